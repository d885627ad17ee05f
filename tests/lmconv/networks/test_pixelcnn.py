"""The paper's network: sizes, what each position depends on, probabilities of all images, its parts, its rows."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from lmconv import orders
from lmconv.config import PRESETS, PixelCnnConfig, preset
from lmconv.errors import LmconvError
from lmconv.networks.distributions import centred, distribution
from lmconv.networks.pixelcnn import Norm, PixelCnn, Pointwise, concat_elu, order_masks, pono
from lmconv.orders import masks
from runtime.variants import orient, unorient
from tests import tolerance

TINY = PixelCnnConfig(channels=1, filters=4, resnets=1, components=2)
BINARY = replace(TINY, bits=1, binary=True)
ORDERS = ("raster", "s_curve", "gilbert", "wavefront", "multiscale=2", "random=3")
VARIANTS = range(orders.VARIANTS)
OPTIONS = [
    dict(norm=norm, mask_weight=weight)
    for norm in ("none", "weight_norm", "order_rescale", "pono")
    for weight in (False, True)
] + [dict(kernel=5), dict(dilation=1), dict(dilation=3), dict(bias=False), dict(far=(2, 4))]


IMAGES = 2**9 + 10 * 9  # roundings in a row: adding up all images' likelihoods, each a product of nine


def network(config: PixelCnnConfig) -> PixelCnn:
    """Random weights, head included, float64."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return PixelCnn(config).double()


def images(batch: int, channels: int, height: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return 2 * torch.rand(batch, channels, height, width, dtype=torch.double, generator=generator) - 1


# Parameters


@pytest.mark.parametrize(
    "config, count",
    [
        (preset("cifar10").network, 46_072_360),
        (preset("mnist").network, 46_058_140),
        (preset("mnist_binary").network, 46_053_604),
        (preset("celebahq").network, 184_202_120),
        (PixelCnnConfig(kernel=5), 126_364_200),
    ],
)
def test_published_numbers_of_parameters(config, count):
    with torch.device("meta"):
        net = PixelCnn(config)
    assert sum(parameter.numel() for parameter in net.parameters()) == count


def test_published_settings():
    for name, order, side, bits in (
        ("cifar10", "s_curve", 32, 8),
        ("mnist", "gilbert", 28, 8),
        ("mnist_binary", "s_curve", 28, 1),
        ("celebahq", "s_curve", 64, 5),
    ):
        found = preset(name)
        assert (found.order, found.height, found.width, found.network.bits) == (order, side, side, bits)
        assert (found.batch, found.rate, found.betas) == (32, 2e-4, (0.9, 0.999))
        assert (found.decay, found.clip) == (0.999995, 2e6)
        assert found.variants == tuple(VARIANTS)


@pytest.mark.parametrize("name", [name for name in PRESETS if name.startswith("tiny_")])
def test_tiny_presets_are_twins(name):
    tiny, full = preset(name), preset(name.removeprefix("tiny_"))
    smaller = dict(filters=full.network.filters, resnets=full.network.resnets, components=full.network.components)
    assert replace(tiny.network, **smaller) == full.network
    assert (tiny.height, tiny.width, tiny.variants) == (full.height, full.width, full.variants)
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in PixelCnn(tiny.network).parameters()) < 150_000


# What a position depends on


def reads(rank: np.ndarray, kernel: int, dilation: int, kind: str) -> np.ndarray:
    """[H*W, H*W] bool: row i has the positions that a layer reads at i."""
    height, width = rank.shape
    mask = masks.masks(rank, kernel, dilation, kind).reshape(kernel, kernel, height, width)
    found = np.zeros((rank.size, rank.size), bool)
    for i, j, r, c in zip(*np.nonzero(mask)):
        row, col = r + dilation * (i - kernel // 2), c + dilation * (j - kernel // 2)
        found[r * width + c, row * width + col] = True
    return found


def chains(rank: np.ndarray, config: PixelCnnConfig) -> np.ndarray:
    """[H*W, H*W] bool: what a chain of allowed taps, one a layer, reaches from each position."""
    plain = reads(rank, config.kernel, 1, "B")
    dilated = np.any([reads(rank, config.kernel, each, "B") for each in (config.dilation, *config.far)], 0)
    n = config.resnets
    reached = np.any([reads(rank, config.kernel, each, "A") for each in (1, *config.far)], 0)
    for between, blocks in ((None, n), (dilated, n), (dilated, n), (None, n), (dilated, n + 1), (dilated, n + 1)):
        for layer in ([] if between is None else [between]) + [plain] * (2 * blocks):
            reached = layer @ reached
    return reached


def dependence(net: PixelCnn, order, height: int, width: int) -> torch.Tensor:
    """[H*W, C, H*W] summed |d parameters / d image|: one image a position in the batch, so one backward pass for all.

    Random weights on the parameters of a position: their sum has a zero derivative only where all have.
    """
    size = height * width
    x = images(1, net.config.channels, height, width).repeat(size, 1, 1, 1).requires_grad_()
    out = net(x, order).flatten(2)  # [H*W, P, H*W]
    weights = torch.randn(out.shape[1], dtype=out.dtype, generator=torch.Generator().manual_seed(2))
    (out.diagonal(dim1=0, dim2=2).T @ weights).sum().backward()
    return x.grad.abs().flatten(2)


def check_dependence(config: PixelCnnConfig, rank: np.ndarray) -> np.ndarray:
    """Zero exactly where the order forbids, non-zero exactly where a chain of taps leads; returns the latter."""
    found = (dependence(network(config), order_masks(rank, config), *rank.shape) > 0).numpy()
    forbidden = rank.reshape(1, -1) >= rank.reshape(-1, 1)
    assert not (found & forbidden[:, None]).any()
    expected = chains(rank, config)
    for channel in range(config.channels):
        np.testing.assert_array_equal(found[:, channel], expected)
    return expected


@pytest.mark.parametrize("order", ORDERS)
def test_a_position_depends_on_its_past_alone(order):
    for variant in VARIANTS:
        rank = orders.make(f"{order}:{variant}", 6, 5)
        past = check_dependence(TINY, rank)
        assert past.any(), variant
        if order in ("s_curve", "gilbert"):  # successive positions touch: no past is lost
            assert (past == (rank.reshape(1, -1) < rank.reshape(-1, 1))).all(), variant


def test_a_position_depends_on_its_past_alone_hilbert():
    for variant in VARIANTS:
        check_dependence(TINY, orders.make(f"hilbert:{variant}", 4, 4))


def test_a_position_depends_on_its_past_alone_hilbert_8x8():
    past = check_dependence(TINY, orders.make("hilbert", 8, 8))
    assert past.sum() == 64 * 63 // 2


@pytest.mark.parametrize("order", ["s_curve:5", "random=3"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_position_depends_on_its_past_alone_with(options, order):
    config = replace(TINY, channels=3, **options)
    rank = orders.make(order, 6, 5)
    if "bias" in options:  # without biases the ones alone reach the first pixel
        assert not network(config).first.bias
    check_dependence(config, rank)


def test_every_layer_adds_reach():
    """Along a row a plain layer reaches 1 further and a dilated one 2: none reads another's input by mistake."""
    rank = orders.make("raster", 1, 48)
    for resnets, reach in ((1, 1 + 2 * 8 + 2 * 4), (2, 1 + 2 * 14 + 2 * 4)):
        past = check_dependence(replace(TINY, resnets=resnets), rank)
        assert np.flatnonzero(past[-1]).tolist() == list(range(47 - reach, 47))


def test_given_positions_are_seen_and_see_nothing():
    region = np.zeros((6, 5), bool)
    region[4:, 1:3] = True
    past = check_dependence(TINY, np.where(region, orders.OBSERVED, orders.make("s_curve", 6, 5)))
    assert past[3 * 5, 4 * 5 + 1]  # from (3, 0) to (4, 1), which would come later
    assert not past[region.ravel()].any()


# Probabilities


def all_images(channels: int, height: int, width: int) -> torch.Tensor:
    """Every image of one bit, uint8 [2^(C H W), C, H, W]."""
    bits = channels * height * width
    number = torch.arange(2**bits)[:, None]
    return (number >> torch.arange(bits) & 1).to(torch.uint8).view(-1, channels, height, width)


def total_probability(config: PixelCnnConfig, spec: str, height: int, width: int) -> float:
    levels = all_images(config.channels, height, width)
    generator = torch.Generator().manual_seed(0)
    planes = torch.randint(256, (config.given, height, width), dtype=torch.uint8, generator=generator)
    with torch.no_grad():
        order = order_masks(orders.make(spec, height, width), config)
        order = order.beside(planes.expand(len(levels), -1, -1, -1) if config.given else None)
        parameters = network(config)(centred(levels, config.bits, torch.double), order)
    nats = distribution(config).nll(3 * parameters, levels)  # times 3: far from uniform
    assert nats.std() > 0.1
    return torch.exp(-nats.sum((1, 2))).sum().item()


@pytest.mark.parametrize("order", ORDERS)
def test_all_binary_images_sum_to_one(order):
    for variant in VARIANTS:
        tolerance.assert_close(total_probability(BINARY, f"{order}:{variant}", 3, 3), 1, IMAGES)


@pytest.mark.parametrize("options", [*OPTIONS, dict(planes=2, classes=1)], ids=str)
def test_all_binary_images_sum_to_one_with(options):
    tolerance.assert_close(total_probability(replace(BINARY, **options), "gilbert:6", 3, 3), 1, IMAGES)


def test_all_binary_images_sum_to_one_hilbert():
    for variant in VARIANTS:
        tolerance.assert_close(total_probability(BINARY, f"hilbert:{variant}", 2, 2), 1, IMAGES)


@pytest.mark.parametrize("order", ["raster", "random=3"])
def test_all_colour_images_of_one_bit_sum_to_one(order):
    """Masks and the couplings of the colours together: all 2^9 images of 1x3."""
    config = replace(TINY, channels=3, bits=1)
    tolerance.assert_close(total_probability(config, order, 1, 3), 1, IMAGES)


# Parts


def test_pono_is_the_unbiased_formula():
    x = images(2, 7, 3, 4)
    expected = (x - x.mean(1, keepdim=True)) / torch.sqrt(x.var(1, keepdim=True, unbiased=True) + 1e-5)
    tolerance.assert_close(pono(x), expected, depth=20)
    tolerance.assert_close(pono(x[:, :, 0, 0]), expected[:, :, 0, 0], depth=20)
    assert pono(x.bfloat16()).dtype == torch.bfloat16


def test_order_rescale_divides_by_the_open_taps():
    rank = orders.make("s_curve", 4, 6)
    config = replace(TINY, norm="order_rescale", far=(4,))
    order, x = order_masks(rank, config), images(2, 4, 4, 6)
    for dilations in ((1,), (2,), (1, 4)):
        each = [masks.masks(rank, 3, dilation, "B").sum(0).reshape(4, 6) for dilation in dilations]
        taps = torch.from_numpy(sum(each))
        assert torch.equal(order.open_taps(dilations).long(), taps)
        assert torch.equal(Norm("order_rescale")(x, order.open_taps(dilations)), x / taps)
    assert order.open_taps([1])[0, 0] == 1 and order.open_taps([1])[1, 1] == 5
    x = x.bfloat16()
    assert Norm("order_rescale")(x, order.open_taps([1])).dtype == torch.bfloat16


def test_concat_elu():
    x = torch.tensor([[1.0, -2.0]])
    tolerance.assert_close(concat_elu(x), [[1.0, np.expm1(-2), np.expm1(-1), 2.0]], depth=2)


def test_pointwise_serves_rows_and_images():
    layer, x = Pointwise(3, 5).double(), images(2, 3, 4, 6)
    rows = x.permute(0, 2, 3, 1).reshape(-1, 3)
    tolerance.assert_close(layer(x).permute(0, 2, 3, 1).reshape(-1, 5), layer(rows), depth=4)
    assert torch.equal(layer(rows), nn.Linear.forward(layer, rows))


def gradients(net: PixelCnn, order) -> list[torch.Tensor]:
    torch.manual_seed(3)
    out = net(images(2, net.config.channels, 6, 5), order)
    return [out, *torch.autograd.grad(out.square().sum(), list(net.parameters()))]


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_checkpointing_changes_no_gradient(dropout):
    config = replace(TINY, dropout=dropout)
    order = order_masks(orders.make("random=3", 6, 5), config)
    net, other = network(config), network(replace(config, checkpointing=True))
    for plain, saved in zip(gradients(net, order), gradients(other, order)):
        assert plain.any()
        tolerance.assert_close(saved, plain, 2 * tolerance.depth(net))


def test_weight_norm_starts_as_the_network_without_it():
    order, x = order_masks(orders.make("s_curve", 6, 5), TINY), images(2, 1, 6, 5)
    plain, normed = (network(replace(TINY, norm=norm)) for norm in ("none", "weight_norm"))
    # Lengths are float32 at first.
    tolerance.assert_close(normed(x, order), plain(x, order), tolerance.depth(plain), number="float32")
    assert {"parametrizations.weight.original0", "parametrizations.weight.original1", "bias"} == {
        name for name, _ in normed.first.named_parameters()
    }
    assert {name for name, _ in plain.first.named_parameters()} == {"weight", "bias"}


def test_dropout_drops_whole_channels():
    config = replace(TINY, filters=16, dropout=0.5)
    net, order, seen = network(config), order_masks(orders.make("raster", 6, 5), config), []
    net.up[0][0].conv_out.register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0]))
    x = images(4, 1, 6, 5)
    torch.manual_seed(5)
    net.train()(x, order)
    net.eval()(x, order)
    dropped, whole = seen
    gone = (dropped == 0).flatten(2).all(2)  # [B, 2 F]
    assert (dropped[gone] == 0).all() and 0.3 < gone.double().mean() < 0.7
    tolerance.assert_close(dropped[~gone], 2 * whole[~gone], tolerance.depth(net))


# The same forward on rows


class Caches:
    """An order run level by level: each layer's inputs so far, on a grid; rows of the positions of one level."""

    def __init__(self, order, height: int, width: int):
        self.order, self.size, self.inputs = order, (height, width), {}

    def at(self, row: np.ndarray, col: np.ndarray) -> "Caches":
        self.row, self.col = row, col
        return self

    def convolve(self, layer, x, kind):
        grid = self.inputs.setdefault(layer, x.new_zeros(1, x.shape[1], *self.size))
        grid[0, :, self.row, self.col] = x.T
        return self.order.convolve(layer, grid, kind)[0, :, self.row, self.col].T

    def open_taps(self, dilations):
        return self.order.open_taps(dilations)[self.row, self.col, None]


@pytest.mark.parametrize("norm", ["pono", "order_rescale"])
@pytest.mark.parametrize(("spec", "far"), [("wavefront", ()), ("s_curve:7", ()), ("multiscale=4", (3, 4))])
def test_level_by_level_on_rows_equals_whole_images(spec, far, norm):
    config = replace(TINY, channels=3, norm=norm, far=far)
    rank = orders.make(spec, 6, 5)
    net, order, x = network(config).eval(), order_masks(rank, config), images(1, 3, 6, 5)
    whole, caches = net(x, order), Caches(order, 6, 5)
    with torch.no_grad():
        for level in range(rank.max() + 1):
            row, col = np.nonzero(rank == level)
            out = net(x[0, :, row, col].T, caches.at(row, col))
            tolerance.assert_close(out, whole[0, :, row, col].T, tolerance.depth(net))


def test_masks_move_whole():
    order = order_masks(orders.make("s_curve", 4, 4), TINY).turned(3).beside(torch.zeros(1, 1, 4, 4)).to("meta")
    tensors = [order.planes, *order.taps.values()]
    for mask in order.masks.values():
        tensors += [mask.taps, mask.index, mask.dense, *mask.reads, mask.turn]
    assert {tensor.device.type for tensor in tensors if tensor is not None} == {"meta"} and len(tensors) > 30


@pytest.mark.parametrize("variant", range(8))
@pytest.mark.parametrize("spec", ["s_curve", "gilbert", "multiscale=4"])
def test_a_turned_image_under_turned_masks(spec, variant):
    """The variant of the order on the image, to the rounding of sums in another order."""
    config = replace(TINY, channels=3, mask_weight=True, norm="order_rescale", far=(4,))
    net, x = network(config), images(2, 3, 6, 5)
    turned = torch.from_numpy(orient(x.numpy(), variant).copy())
    base = order_masks(orders.make(spec, *turned.shape[2:]), config)
    with torch.no_grad():
        found = unorient(net(turned, base.turned(variant)).numpy(), variant)
        wanted = net(x, order_masks(orders.make(f"{spec}:{variant}", 6, 5), config))
    tolerance.assert_close(torch.from_numpy(found.copy()), wanted, tolerance.depth(net))
    assert variant == 0 or not torch.equal(net(turned, base), net(turned, base.turned(variant)))


def test_compiles_without_graph_breaks():
    """The whole network with masks of one pattern, and a block with those of few and of many: these take long."""
    net, x, h = network(TINY), images(2, 1, 6, 5), images(2, 4, 6, 5)
    order = order_masks(orders.make("raster", 6, 5), TINY)
    compiled = torch.compile(net, fullgraph=True, backend="eager")
    tolerance.assert_close(compiled(x, order), net(x, order), tolerance.depth(net))
    block = net.down[1][0]
    compiled = torch.compile(block, fullgraph=True, backend="eager")
    for spec in ("s_curve", "gilbert:5"):
        order = order_masks(orders.make(spec, 6, 5), TINY)
        tolerance.assert_close(compiled(h, order, h), block(h, order, h), tolerance.depth(block))


@pytest.mark.parametrize("norm", ["none", "weight_norm", "order_rescale", "pono"])
def test_autocast(norm):
    config = replace(TINY, norm=norm)
    net, order = network(config).float(), order_masks(orders.make("gilbert", 6, 5), config)
    x = images(2, 1, 6, 5).float()
    with torch.autocast("cpu", torch.bfloat16):
        out = net(x, order)
    assert out.dtype == torch.float32 and torch.isfinite(out).all()  # the head is computed so
    if norm == "none":  # others magnify the rounding of so few filters
        # The layer before the last rounds its inputs, its weights and its results; of the others little is left.
        assert tolerance.distance(out, net(x, order)) < 4 * tolerance.UNITS["bfloat16"]


# Errors


@pytest.mark.parametrize(
    "settings, message",
    [
        (dict(channels=2), "channels is one of 1, 3, not 2"),
        (dict(bits=9), "bits is a whole number from 1 to 8, not 9"),
        (dict(bits=True), "bits is a whole number from 1 to 8, not True"),
        (dict(filters=0), "filters .* not 0"),
        (dict(resnets=1.5), "resnets .* not 1.5"),
        (dict(components=0), "components .* not 0"),
        (dict(kernel=4), "kernel is one of 3, 5, not 4"),
        (dict(dilation=0), "dilation .* not 0"),
        (dict(far=(1,)), "far dilations are different whole numbers from 2 to 128, not 1"),
        (dict(far=(2, 4, 4)), "not 2, 4, 4"),
        (dict(norm="batch"), "norm is one of none, weight_norm, order_rescale, pono, not 'batch'"),
        (dict(dropout=1.0), "dropout .* not 1.0"),
        (dict(bias=1), "bias is true or false, not 1"),
        (dict(binary=True), "1 channel of 1 bit, not channels = 3 and bits = 8"),
        (dict(filters=1), "2 filters or more, not 1"),
        (dict(two_stream=True), "norm = weight_norm, not 'pono'"),
        (dict(two_stream=True, norm="weight_norm", kernel=5), "kernel = 3, not 5"),
        (dict(two_stream=True, norm="weight_norm", far=(4,)), r"far = \(\), not \(4,\)"),
    ],
)
def test_bad_configs(settings, message):
    with pytest.raises(LmconvError, match=message):
        PixelCnnConfig(**settings)


def test_other_errors():
    with pytest.raises(LmconvError, match="no preset 'imagenet'; known are cifar10, mnist, "):
        preset("imagenet")
    with pytest.raises(LmconvError, match="TwoStreamPixelCnn"):
        PixelCnn(PixelCnnConfig(norm="weight_norm", two_stream=True))
    order = order_masks(orders.make("s_curve", 4, 4), TINY)
    with pytest.raises(ValueError, match="without layers of kind A, dilation 4"):
        network(replace(TINY, far=(4,)))(images(1, 1, 4, 4), order)
    with pytest.raises(ValueError, match=r"\(4, 4\), not \(4, 5\)"):
        network(TINY)(images(1, 1, 4, 5), order)
