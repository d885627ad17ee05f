"""The layer against a loop over positions; its two paths; gradients, memory, compilation."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from lmconv import layers, orders
from lmconv.layers import LocallyMaskedConv2d, Masks, mask_from_rank, single_pattern
from lmconv.orders import masks
from tests import tolerance

ROOT = Path(__file__).parents[2]


def make_layer(kernel: int, dilation: int = 1, mask_weight: bool = False, channels: tuple[int, int] = (2, 3)):
    torch.manual_seed(kernel)
    return LocallyMaskedConv2d(*channels, kernel, dilation, mask_weight=mask_weight).double()


def images(batch: int, channels: int, height: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, channels, height, width, dtype=torch.double, generator=generator)


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    """Sums over the taps of a kernel of 5, its channels and, of gradients, as many positions and images."""
    tolerance.assert_close(found, expected, depth=100)


def loop(layer: LocallyMaskedConv2d, x: torch.Tensor, mask: np.ndarray) -> torch.Tensor:
    """The layer's definition, one position and one tap at a time; `mask` is [k*k, H*W] bool."""
    batch, _, height, width = x.shape
    k, d = layer.kernel_size, layer.dilation
    out = torch.zeros(batch, layer.out_channels, height, width, dtype=x.dtype)
    for r in range(height):
        for c in range(width):
            for tap in np.flatnonzero(mask[:, r * width + c]):
                i, j = divmod(int(tap), k)
                seen = x[:, :, r + d * (i - k // 2), c + d * (j - k // 2)]  # [B, Cin]
                out[:, :, r, c] += seen @ layer.weight[:, :, i, j].T
                if layer.mask_weight is not None:
                    out[:, :, r, c] += layer.mask_weight[:, i, j]
    return out if layer.bias is None else out + layer.bias[:, None, None]


@settings(max_examples=40)
@given(
    st.sampled_from(["raster", "s_curve:6", "wavefront", "gilbert", "random=2", "multiscale=2"]),
    st.integers(1, 5),
    st.integers(1, 5),
    st.integers(1, 2),
    st.sampled_from([1, 3, 5]),
    st.integers(1, 2),
    st.sampled_from("AB"),
    st.booleans(),
)
def test_both_paths_equal_a_loop(spec, height, width, batch, kernel, dilation, kind, mask_weight):
    rank = orders.make(spec, height, width)
    layer, mask = make_layer(kernel, dilation, mask_weight), mask_from_rank(rank, kernel, dilation, kind)
    x = images(batch, 2, height, width)
    with torch.no_grad():
        expected = loop(layer, x, masks.masks(rank, kernel, dilation, kind))
        for path in (layer.forward, layer.by_patterns, layer.by_taps):
            close(path(x, mask), expected)


def test_no_bias():
    layer = LocallyMaskedConv2d(2, 3, 3, bias=False).double()
    x, rank = images(2, 2, 4, 4), orders.random(4, 4, 1)
    mask = mask_from_rank(rank, 3, 1, "B")
    assert [name for name, _ in layer.named_parameters()] == ["weight"]
    for path in (layer.by_patterns, layer.by_taps):
        close(path(x, mask), loop(layer, x, masks.masks(rank, 3, 1, "B")))


@pytest.mark.parametrize("dilation", [1, 2])
def test_a_mask_of_ones_is_a_convolution(dilation):
    layer, x = make_layer(3, dilation), images(2, 2, 6, 7)
    conv = F.conv2d(x, layer.weight, layer.bias, padding=dilation, dilation=dilation)
    inside = masks.inside(6, 7, 3, dilation)
    mask = layers.TorchMask(
        3,
        dilation,
        torch.ones(1, 3, 3, dtype=torch.bool),
        (bytes((0, 3, 0, 3)),),
        dense=torch.from_numpy(inside),
        reads=layers.reads(inside, 7, 3, dilation),
    )
    close(layer.by_patterns(x, mask), conv)
    close(layer.by_taps(x, mask), conv)


def test_parameters_are_drawn_as_by_torch():
    torch.manual_seed(0)
    ours = LocallyMaskedConv2d(3, 5, 3)
    torch.manual_seed(0)
    theirs = torch.nn.Conv2d(3, 5, 3)
    assert torch.equal(ours.weight, theirs.weight) and torch.equal(ours.bias, theirs.bias)
    assert LocallyMaskedConv2d(3, 5, 3, mask_weight=True).mask_weight.shape == (5, 3, 3)


def test_boxes_hold_only_the_taps_of_the_order():
    assert [tuple(box) for box in single_pattern("wavefront", 5).boxes] == [(0, 3, 0, 5)]
    # One tap of the row below, three columns to the left, has a smaller rank: -3 + 2 < 0.
    assert [tuple(box) for box in single_pattern("wavefront", 7).boxes] == [(0, 5, 0, 7)]
    assert int(single_pattern("wavefront", 7).taps[0, 4].sum()) == 1
    assert [tuple(box) for box in single_pattern("wavefront", 3, 1, "B").boxes] == [(0, 2, 0, 3)]
    assert [tuple(box) for box in single_pattern("raster:3", 3, 1, "B").boxes] == [(1, 3, 0, 3)]
    assert [tuple(box) for box in single_pattern("raster", 1, 1, "A").boxes] == [(0, 1, 0, 1)]
    s_curve = mask_from_rank(orders.s_curve(8, 8), 3, 1, "A")
    assert {tuple(box) for box in s_curve.boxes} == {(0, 2, 0, 3)}


@pytest.mark.parametrize("kernel, dilation, kind", [(7, 1, "A"), (3, 1, "B"), (3, 2, "B"), (5, 1, "A")])
def test_single_pattern_serves_every_size(kernel, dilation, kind):
    layer = make_layer(kernel, dilation, mask_weight=True)
    for order in ("raster", "wavefront", "wavefront:3", "wavefront:6"):
        anywhere = single_pattern(order, kernel, dilation, kind)
        for height, width in ((1, 1), (1, 9), (9, 1), (2, 3), (8, 8), (5, 12)):
            x = images(2, 2, height, width)
            here = mask_from_rank(orders.make(order, height, width), kernel, dilation, kind)
            close(layer(x, anywhere), layer.by_taps(x, here))


@pytest.mark.parametrize("mask_weight", [False, True])
@pytest.mark.parametrize("spec", ["s_curve", "random=4"])
@pytest.mark.parametrize("path", ["by_patterns", "by_taps"])
def test_gradients(path, spec, mask_weight):
    layer = make_layer(3, 1, mask_weight, channels=(2, 2))
    mask = mask_from_rank(orders.make(spec, 3, 4), 3, 1, "B")
    names, parameters = zip(*layer.named_parameters(), strict=True)

    def call(x: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
        bound = dict(zip(names, values, strict=True))
        return torch.func.functional_call(_Path(layer, path), {f"layer.{k}": v for k, v in bound.items()}, (x, mask))

    x = images(2, 2, 3, 4).requires_grad_()
    assert torch.autograd.gradcheck(call, (x, *parameters))


class _Path(torch.nn.Module):
    """One of the layer's two paths as a module's forward."""

    def __init__(self, layer: LocallyMaskedConv2d, path: str) -> None:
        super().__init__()
        self.layer, self.path = layer, path

    def forward(self, x, mask):
        return getattr(self.layer, self.path)(x, mask)


def test_only_the_gradients_asked_for():
    layer, mask = make_layer(3), mask_from_rank(orders.random(4, 4, 0), 3)
    layer.weight.requires_grad_(False)
    x = images(1, 2, 4, 4).requires_grad_()
    layer.by_taps(x, mask).sum().backward()
    assert x.grad is not None and layer.weight.grad is None
    layer = make_layer(3)
    layer.by_taps(x.detach(), mask).sum().backward()
    assert layer.weight.grad is not None


@pytest.mark.parametrize("kind", ["A", "B"])
def test_images_in_chunks(monkeypatch, kind):
    layer, mask = make_layer(3), mask_from_rank(orders.make("gilbert", 5, 4), 3, 1, kind)
    found = []
    for chunk in (1, 3 * images(1, 2, 5, 4).nbytes, 1 << 20):  # one image, three and then two, all five
        monkeypatch.setattr(layers, "CHUNK", chunk)
        x = images(5, 2, 5, 4).requires_grad_()
        out = layer.by_taps(x, mask)
        found.append((out, *torch.autograd.grad(out.square().sum(), [x, *layer.parameters()])))
    for other in found[1:]:
        for value, expected in zip(other, found[0], strict=True):
            close(value, expected)
    assert layer.by_taps(images(0, 2, 5, 4), mask).shape == (0, 3, 5, 4)


def test_reads_are_the_open_taps():
    dense = masks.masks(orders.make("random=1", 4, 5), 3, 2, "B")
    position = np.arange(20).reshape(4, 5)
    for tap, (mask, pair) in enumerate(zip(dense, layers.reads(dense, 5, 3, 2), strict=True)):
        down, right = 2 * (tap // 3 - 1), 2 * (tap % 3 - 1)
        expected = [[p, position[r + down, c + right]] for (r, c), p in np.ndenumerate(position) if mask[p]]
        assert pair.T.tolist() == expected


def saved_elements(function) -> int:
    """The most elements of any one tensor that a computation saves for its backward pass."""
    sizes = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
        function()
    return max(sizes)


def test_patches_are_not_saved():
    layer, x = make_layer(3, channels=(8, 8)), images(2, 8, 10, 10).requires_grad_()
    mask = mask_from_rank(orders.gilbert(10, 10), 3, 1, "B")
    assert len(mask.boxes) > layers.FEW_PATTERNS

    def plain() -> torch.Tensor:
        patches = F.unfold(x, 3, padding=1).view(2, 8, 9, 100) * mask.dense
        return layer.weight.flatten(1) @ patches.flatten(1, 2)

    assert saved_elements(plain) == 9 * x.numel()  # so the next line can fail
    assert saved_elements(lambda: layer(x, mask)) == x.numel()


@pytest.mark.parametrize("variant", [0, 3, 6])
def test_no_position_depends_on_a_later_one(variant):
    rank = orders.make(f"s_curve:{variant}", 5, 6)
    first, second = make_layer(3, 1, channels=(1, 1)), make_layer(3, 2, channels=(1, 1))
    with torch.no_grad():  # positive weights: no dependence can cancel
        first.weight.abs_()
        second.weight.abs_()
    x = images(1, 1, 5, 6).requires_grad_()
    out = first(x, mask_from_rank(rank, 3, 1, "A"))
    for _ in range(30):
        out = second(out, mask_from_rank(rank, 3, 2, "B")) + first(out, mask_from_rank(rank, 3, 1, "B"))
    for r, c in ((0, 0), (2, 3), (4, 5), (3, 0)):
        (gradient,) = torch.autograd.grad(out[0, 0, r, c], x, retain_graph=True)
        np.testing.assert_array_equal(gradient[0, 0].numpy() != 0, rank < rank[r, c])


@pytest.mark.parametrize("spec", ["wavefront", "s_curve", "gilbert"])
def test_autocast_and_channels_last(spec):
    layer = LocallyMaskedConv2d(4, 6, 3, mask_weight=True)
    mask = mask_from_rank(orders.make(spec, 8, 8), 3, 1, "B")
    x = images(2, 4, 8, 8).float()
    expected = layer(x, mask)
    x = x.to(memory_format=torch.channels_last).requires_grad_()
    close(layer(x, mask), expected)
    assert layer(x, mask).is_contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = layer(x, mask)
    assert out.dtype == torch.bfloat16
    # Inputs, weights and results are rounded, half a unit each; terms that cancel are larger than what is left of them.
    assert tolerance.distance(out, expected) < 4 * tolerance.UNITS["bfloat16"]
    out.float().sum().backward()
    assert x.grad.dtype == layer.weight.grad.dtype == layer.mask_weight.grad.dtype == torch.float32


def test_compiles_without_graph_breaks():
    layer = LocallyMaskedConv2d(2, 2, 3, mask_weight=True)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    for spec in ("s_curve", "s_curve:7", "gilbert"):
        mask, x = (
            mask_from_rank(orders.make(spec, 6, 6), 3, 1, "B"),
            images(1, 2, 6, 6).float().requires_grad_(),
        )
        gradients = []
        for module in (compiled, layer):
            out = module(x, mask)
            gradients.append((out, *torch.autograd.grad(out.square().sum(), [x, *layer.parameters()])))
        for value, expected in zip(*gradients, strict=True):
            close(value, expected)
    anywhere = single_pattern("wavefront", 3, 1, "B")
    for side in (6, 9):
        x = images(1, 2, side, side + 1).float()
        close(compiled(x, anywhere), layer(x, anywhere))


def test_masks_move_between_devices():
    mask = mask_from_rank(orders.s_curve(4, 4), 3)
    assert mask.to("cpu") is mask
    moved = mask.to("meta")
    assert {t.device.type for t in (moved.taps, moved.index, moved.dense)} == {"meta"}
    assert (moved.boxes, moved.size) == (mask.boxes, mask.size)
    assert single_pattern("raster", 3).to("meta").taps.device.type == "meta"


def test_errors():
    layer, x = make_layer(3), images(1, 2, 4, 4)
    with pytest.raises(ValueError, match=r"kernel 5 and dilation 1.*kernel 3"):
        layer(x, single_pattern("raster", 5))
    with pytest.raises(ValueError, match="dilation 2"):
        layer(x, single_pattern("raster", 3, 2))
    with pytest.raises(ValueError, match=r"\(4, 5\), not \(4, 4\)"):
        layer(x, mask_from_rank(orders.raster(4, 5), 3))
    with pytest.raises(ValueError, match="mask_from_rank"):
        layer.by_taps(x, single_pattern("raster", 3))
    with pytest.raises(ValueError, match="odd kernel size, not 4"):
        LocallyMaskedConv2d(1, 1, 4)


# In others' networks


def test_importing_the_layer_needs_torch_and_numpy_alone():
    others = "PIL click constriction llvmlite matplotlib numba onnx onnxruntime safetensors tensorboard torchvision"
    code = (
        "import sys; import torch; sys.modules.update(dict.fromkeys(sys.argv[1:]));"
        "import lmconv.layers, lmconv.orders; lmconv.orders.make('s_curve@centre:3', 4, 4)"
    )
    subprocess.run([sys.executable, "-c", code, *others.split()], cwd=ROOT, check=True)


@pytest.mark.parametrize("order", ["raster", "s_curve", "random=3"])
def test_masks_follow_the_network_that_holds_them(order):
    rank = orders.make(order, 5, 6)
    network = torch.nn.Module()
    given = {"first": mask_from_rank(rank, 3, 1, "A"), "later": mask_from_rank(rank, 3, 2, "B")}
    network.masks = Masks(**given, any=single_pattern("raster", 3))
    assert network.state_dict() == {}
    for name, mask in given.items():
        found = network.masks[name]
        assert (found.kernel, found.dilation, found.boxes, found.size) == (3, mask.dilation, mask.boxes, (5, 6))
        for one, other in zip(tensors(found), tensors(mask), strict=True):
            assert torch.equal(one, other)
    network.to("meta")
    assert {tensor.device.type for name in given for tensor in tensors(network.masks[name])} == {"meta"}
    assert network.masks["any"].taps.device.type == "meta" and network.masks["any"].dense is None
    with pytest.raises(KeyError):
        network.masks["none"]


def tensors(mask):
    return [tensor for tensor in (mask.taps, mask.index, mask.dense, *mask.reads) if tensor is not None]


def test_sizes_may_be_given_for_rows_and_columns():
    layer = LocallyMaskedConv2d(2, 3, (3, 3), dilation=(2, 2))
    assert (layer.kernel_size, layer.dilation, layer.weight.shape) == (3, 2, (3, 2, 3, 3))
    with pytest.raises(masks.MaskError, match="the same kernel_size for rows and columns, not 3 and 5"):
        LocallyMaskedConv2d(2, 3, (3, 5))


@pytest.mark.parametrize("order", ["raster", "s_curve", "random=3"])
@pytest.mark.parametrize("kind", ["A", "B"])
def test_masks_without_patterns_compute_the_same(order, kind):
    rank, torch_seed = orders.make(order, 5, 6), torch.Generator().manual_seed(0)
    layer = LocallyMaskedConv2d(2, 3, 3).double()
    x = torch.rand(2, 2, 5, 6, generator=torch_seed, dtype=torch.double)
    plain = mask_from_rank(rank, 3, 1, kind, patterns=False)
    assert plain.boxes == () and len(plain.taps) == 0
    tolerance.assert_close(layer(x, plain), layer(x, mask_from_rank(rank, 3, 1, kind)), 2 * 9 * 2)


# Patterns that alternate


@pytest.mark.parametrize("variant", range(8))
@pytest.mark.parametrize(("kernel", "dilation"), [(3, 1), (3, 2), (5, 1)])
@pytest.mark.parametrize("size", [(6, 7), (7, 6), (5, 9), (8, 8)])
def test_an_s_curves_patterns_are_computed_where_they_are_used(variant, kernel, dilation, size):
    """Whole numbers: both ways give the same to the last bit, and so do gradients."""
    mask = mask_from_rank(orders.make(f"s_curve:{variant}", *size), kernel, dilation, "B")
    assert mask.alternate is not None and mask.alternate[0] == (layers.COLUMNS if variant >= 4 else layers.ROWS)
    layer = LocallyMaskedConv2d(2, 3, kernel, dilation, mask_weight=True).double()
    generator, found = torch.Generator().manual_seed(variant), []
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randint(-4, 5, parameter.shape, generator=generator))
    x, grad = (torch.randint(-4, 5, (2, c, *size), generator=generator).double() for c in (2, 3))
    for way in (mask, replace(mask, alternate=None)):
        layer.zero_grad()
        leaf = x.clone().requires_grad_()
        out = layer.by_patterns(leaf, way)
        out.backward(grad)
        found.append([out, leaf.grad, *(parameter.grad for parameter in layer.parameters())])
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


def test_half_the_products_of_alternating_patterns():
    mask = mask_from_rank(orders.make("s_curve", 8, 8), 3, 1, "B")
    layer, x, counts = LocallyMaskedConv2d(4, 4, 3), torch.rand(1, 4, 8, 8), []
    for way in (mask, replace(mask, alternate=None)):
        with FlopCounterMode(display=False) as counter:
            layer.by_patterns(x, way)
        counts.append(counter.get_total_flops())
    assert counts == [2 * 64 * 16 * 6, 2 * 64 * 16 * 12]  # six taps a position, of two patterns in turn or of both


@pytest.mark.parametrize("order", ["raster", "gilbert", "random=2", "wavefront"])
def test_other_patterns_do_not_alternate(order):
    assert mask_from_rank(orders.make(order, 6, 6), 3, 1, "B").alternate is None


def test_one_compiled_graph_serves_all_variants():
    """Of an order on images that are turned; else one for each shape of patterns."""
    layer, x = LocallyMaskedConv2d(2, 3, 3, mask_weight=True), torch.randn(2, 2, 6, 6)
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    torch._dynamo.reset()  # of what others compiled: PyTorch counts all graphs of a function
    compiled = torch.compile(layer, backend=backend, fullgraph=True, dynamic=False)
    base = mask_from_rank(orders.make("s_curve", 6, 6), 3, kind="B")
    for variant in range(8):
        close(compiled(x, base.turned(variant)), layer(x, base.turned(variant)))
    assert len(graphs) == 1
    for variant in (1, 4, 6):  # PyTorch gives up after 8 graphs
        compiled(x, mask_from_rank(orders.make(f"s_curve:{variant}", 6, 6), 3, kind="B"))
    assert len(graphs) == 4
