"""A baked network against the network with its masks: any order, size, norm and sort, in both precisions."""
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.utils import parametrize

from export.baked import BakedConv, bake, tap_groups
from export.floats import random_inputs, reference
from lmconv import masks, orders
from lmconv.config import NORMS
from lmconv.layers import LocallyMaskedConv2d, mask_from_rank
from tests.export.checkpoints import BINARY, COLOUR, GREY, PHOTO, TWO_STREAM, checkpoint_of, difference

ORDERS = ("raster:2", "s_curve:5", "gilbert", "multiscale=2:1", "random=3", "wavefront:7")
SORTS = {"colour": COLOUR, "grey": GREY, "binary": BINARY, "kernel 5": replace(COLOUR, kernel=5),
         "mask weight": replace(COLOUR, mask_weight=True), "no bias": replace(GREY, bias=False),
         "mask weight alone": replace(BINARY, mask_weight=True, bias=False), "dilation 1": replace(COLOUR, dilation=1),
         "checkpointing": replace(COLOUR, checkpointing=True)}


def differs(network, order: str, size: tuple[int, int], precision: str = "fp32", batch: int = 2) -> float:
    checkpoint, rank, inputs = checkpoint_of(network), orders.make(order, *size), random_inputs(network, size, batch)
    return difference(bake(checkpoint, rank, precision)(*inputs).numpy(), reference(checkpoint, rank, inputs))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("norm", NORMS)
def test_any_order_and_norm(norm, order):
    assert differs(replace(COLOUR, norm=norm), order, (5, 6)) < 1e-5


@pytest.mark.parametrize("sort", SORTS)
def test_any_sort_of_network(sort):
    assert differs(SORTS[sort], "s_curve:2", (6, 5), batch=3) < 1e-5
    assert differs(SORTS[sort], "random=1", (3, 7), batch=1) < 1e-5


@pytest.mark.parametrize("network", [replace(COLOUR, bias=False), replace(GREY, mask_weight=True)],
                         ids=["colour", "grey"])
@pytest.mark.parametrize("size", [(1, 9), (9, 1), (2, 2)], ids=str)
def test_sizes_in_which_taps_stay_closed(network, size):
    assert differs(network, "gilbert", size) < 1e-5


def test_a_single_pixel_reads_nothing():
    checkpoint, rank = checkpoint_of(COLOUR), orders.make("raster", 1, 1)
    inputs = random_inputs(COLOUR, (1, 1), 3)
    expected = reference(checkpoint, rank, inputs)
    found = bake(checkpoint, rank)(*inputs).numpy()
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()
    assert (found == found[0]).all() and len(np.unique(found[0])) == 20


def test_the_two_stream_network():
    assert differs(TWO_STREAM, "raster", (8, 4)) < 1e-5


@pytest.mark.parametrize("size", [(1, 2), (4, 9), (9, 4)], ids=str)
def test_the_photo_network(size):
    assert differs(PHOTO, "wavefront", size, batch=3) < 1e-5


@pytest.mark.parametrize("network, order, size", [
    *((replace(COLOUR, norm=norm), "s_curve:1", (5, 6)) for norm in NORMS), (BINARY, "gilbert", (5, 6)),
    (TWO_STREAM, "raster", (4, 8)), (PHOTO, "wavefront", (5, 6))], ids=[*NORMS, "binary", "two-stream", "photo"])
def test_half_precision(network, order, size):
    """Near, but not the same: arithmetic and weights are float16."""
    assert 1e-6 < differs(network, order, size, "fp16") < 2e-2
    net = bake(checkpoint_of(network), orders.make(order, *size), "fp16")
    assert {parameter.dtype for parameter in net.parameters()} == {torch.float16}


def test_half_precision_keeps_the_statistics_of_pono():
    """Squares of channels beyond 256 are over what float16 holds."""
    checkpoint, rank = checkpoint_of(COLOUR), orders.make("s_curve", 5, 6)
    checkpoint.ema["first.weight"] = 3e3 * checkpoint.ema["first.weight"]
    inputs = random_inputs(COLOUR, (5, 6), 2)
    expected = reference(checkpoint, rank, inputs)
    found = bake(checkpoint, rank, "fp16")(*inputs).numpy()
    assert np.abs(found - expected).max() < 2e-2 * np.abs(expected).max()


@pytest.mark.parametrize("network", [replace(COLOUR, norm="weight_norm"), TWO_STREAM, PHOTO],
                         ids=["one-stream", "two-stream", "photo"])
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


@pytest.mark.parametrize("kind", "AB")
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("order", ORDERS)
def test_groups_are_the_mask(order, dilation, kind):
    rank = orders.make(order, 5, 6)
    mask = mask_from_rank(rank, 3, dilation, kind)
    found = torch.zeros(9, 5, 6)
    for taps, plane in tap_groups(mask):
        found[taps.flatten()] += torch.ones(5, 6) if plane is None else plane
    inside = masks.inside(5, 6, 3, dilation)
    np.testing.assert_array_equal(found.flatten(1).numpy()[inside], mask.dense.numpy()[inside])


@pytest.mark.parametrize("order, count, shapes", [
    ("raster", 1, [(2, 3)]), ("wavefront", 1, [(2, 3)]), ("s_curve", 3, [(1, 1), (1, 1), (2, 3)])])
def test_few_convolutions_of_cut_kernels(order, count, shapes):
    mask = mask_from_rank(orders.make(order, 8, 8), 3, kind="B")
    conv = BakedConv(LocallyMaskedConv2d(2, 3, 3), mask, tap_groups(mask))
    assert len(conv.weights) == count
    assert sorted(tuple(weight.shape[2:]) for weight in conv.weights) == shapes
