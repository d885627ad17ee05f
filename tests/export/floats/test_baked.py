"""A baked network against the network with its masks: any order, size, norm and sort, in both precisions."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.utils import parametrize

from export.floats.baked import BakedConv, bake, tap_groups
from export.floats.file import random_inputs, reference
from lmconv import orders
from lmconv.config import NORMS
from lmconv.layers import LocallyMaskedConv2d, mask_from_rank
from lmconv.orders import masks
from tests import tolerance
from tests.export.checkpoints import (
    BINARY,
    COLOUR,
    GREY,
    PHOTO,
    TWO_STREAM,
    assert_alike,
    checkpoint_of,
    difference,
)

ORDERS = ("raster:2", "s_curve:5", "gilbert", "multiscale=2:1", "random=3", "wavefront:7")
SORTS = {
    "colour": COLOUR,
    "grey": GREY,
    "binary": BINARY,
    "kernel 5": replace(COLOUR, kernel=5),
    "mask weight": replace(COLOUR, mask_weight=True),
    "no bias": replace(GREY, bias=False),
    "mask weight alone": replace(BINARY, mask_weight=True, bias=False),
    "dilation 1": replace(COLOUR, dilation=1),
    "checkpointing": replace(COLOUR, checkpointing=True),
}


def both(network, order: str, size: tuple[int, int], precision: str = "fp32", batch: int = 2):
    """The baked network's parameters and the network's own."""
    checkpoint, rank, inputs = checkpoint_of(network), orders.make(order, *size), random_inputs(network, size, batch)
    return bake(checkpoint, rank, precision)(*inputs).numpy(), reference(checkpoint, rank, inputs), checkpoint


@pytest.mark.parametrize("norm", NORMS)
def test_any_order_and_norm(norm):
    for order in ORDERS:
        assert_alike(*both(replace(COLOUR, norm=norm), order, (5, 6)))


@pytest.mark.parametrize("sort", SORTS)
def test_any_sort_of_network(sort):
    assert_alike(*both(SORTS[sort], "s_curve:2", (6, 5), batch=3))
    assert_alike(*both(SORTS[sort], "random=1", (3, 7), batch=1))


@pytest.mark.parametrize("size", [(1, 9), (9, 1), (2, 2)], ids=str)
def test_sizes_in_which_taps_stay_closed(size):
    for network in (replace(COLOUR, bias=False), replace(GREY, mask_weight=True)):
        assert_alike(*both(network, "gilbert", size))


def test_a_single_pixel_reads_nothing():
    found, expected, checkpoint = both(COLOUR, "raster", (1, 1), batch=3)
    tolerance.assert_close(found, expected, tolerance.depth(checkpoint.net()))
    tolerance.assert_close(found, found[[0, 0, 0]], tolerance.depth(checkpoint.net()))  # whatever the pixel
    assert len(np.unique(found[0])) == 20


def test_the_two_stream_network():
    assert_alike(*both(TWO_STREAM, "raster", (8, 4)))


@pytest.mark.parametrize("size", [(1, 2), (4, 9), (9, 4)], ids=str)
def test_the_photo_network(size):
    assert_alike(*both(PHOTO, "wavefront", size, batch=3))


def test_another_tap_would_be_seen():
    """The bounds above, and what one weight out of thousands does to the parameters."""
    found, expected, checkpoint = both(COLOUR, "s_curve", (5, 6))
    checkpoint.ema["up.0.0.conv_out.weight"][1, 2, 0, 1] *= 1.01
    wrong = bake(checkpoint, orders.make("s_curve", 5, 6))(*random_inputs(COLOUR, (5, 6), 2)).numpy()
    most = tolerance.bound(tolerance.depth(checkpoint.net()), "float32")
    assert tolerance.distance(found, expected) < most < tolerance.distance(wrong, expected) / 10


def half(checkpoint) -> float:
    """The bound in float16: a layer's sums are float32, so it rounds its weights, its result and what becomes of it."""
    layers = sum(weight.ndim > 1 for weight in checkpoint.net().parameters())
    return tolerance.bound(3 * layers, "float16")


@pytest.mark.parametrize(
    "network, order, size",
    [
        *((replace(COLOUR, norm=norm), "s_curve:1", (5, 6)) for norm in NORMS),
        (BINARY, "gilbert", (5, 6)),
        (TWO_STREAM, "raster", (4, 8)),
        (PHOTO, "wavefront", (5, 6)),
    ],
    ids=[*NORMS, "binary", "two-stream", "photo"],
)
def test_half_precision(network, order, size):
    """Near, but not the same: arithmetic and weights are float16."""
    found, expected, checkpoint = both(network, order, size, "fp16")
    assert tolerance.UNITS["float16"] / 10 < difference(found, expected) < half(checkpoint)
    net = bake(checkpoint_of(network), orders.make(order, *size), "fp16")
    assert {parameter.dtype for parameter in net.parameters()} == {torch.float16}


def test_half_precision_keeps_the_statistics_of_pono():
    """Squares of channels beyond 256 are over what float16 holds."""
    checkpoint, rank = checkpoint_of(COLOUR), orders.make("s_curve", 5, 6)
    checkpoint.ema["first.weight"] = 3e3 * checkpoint.ema["first.weight"]
    inputs = random_inputs(COLOUR, (5, 6), 2)
    found = bake(checkpoint, rank, "fp16")(*inputs).numpy()
    assert difference(found, reference(checkpoint, rank, inputs)) < half(checkpoint)


@pytest.mark.parametrize(
    "network", [replace(COLOUR, norm="weight_norm"), TWO_STREAM, PHOTO], ids=["one-stream", "two-stream", "photo"]
)
def test_only_plain_operators_are_left(network):
    checkpoint = checkpoint_of(network)
    before = {name: tensor.clone() for name, tensor in checkpoint.ema.items()}
    baked = bake(checkpoint, orders.make("raster" if network is TWO_STREAM else "wavefront", 8, 4))
    assert not any(parametrize.is_parametrized(module) for module in baked.modules())
    assert not any(isinstance(module, LocallyMaskedConv2d) for module in baked.modules())
    assert not any(parameter.requires_grad for parameter in baked.parameters())
    traced = torch.jit.trace(baked, random_inputs(network, (8, 4), 2), check_trace=False)
    kinds = {node.kind() for node in traced.inlined_graph.nodes()}
    assert "aten::_convolution" in kinds
    assert {kind for kind in kinds if not kind.startswith(("aten::", "prim::"))} == set()
    assert not kinds & {"prim::PythonOp", "prim::If", "prim::Loop"}
    assert all(torch.equal(before[name], tensor) for name, tensor in checkpoint.ema.items())


@pytest.mark.parametrize("order", ORDERS)
def test_groups_are_the_mask(order):
    rank = orders.make(order, 5, 6)
    for dilation, kind in itertools.product((1, 2), "AB"):
        mask = mask_from_rank(rank, 3, dilation, kind)
        found = torch.zeros(9, 5, 6)
        for taps, plane in tap_groups(mask):
            found[taps.flatten()] += torch.ones(5, 6) if plane is None else plane
        inside = masks.inside(5, 6, 3, dilation)
        np.testing.assert_array_equal(found.flatten(1).numpy()[inside], mask.dense.numpy()[inside], f"{dilation}{kind}")


@pytest.mark.parametrize(
    "order, count, shapes",
    [("raster", 1, [(2, 3)]), ("wavefront", 1, [(2, 3)]), ("s_curve", 3, [(1, 1), (1, 1), (2, 3)])],
)
def test_few_convolutions_of_cut_kernels(order, count, shapes):
    mask = mask_from_rank(orders.make(order, 8, 8), 3, kind="B")
    conv = BakedConv(LocallyMaskedConv2d(2, 3, 3), mask, tap_groups(mask))
    assert len(conv.weights) == count
    assert sorted(tuple(weight.shape[2:]) for weight in conv.weights) == shapes
