"""The paper's network in integers: every bound holds for the worst input, and next to nothing is lost."""

import copy
import math
from fractions import Fraction
from math import isqrt

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from export.errors import QuantisationError
from export.exact.integers import BOUND
from export.pixelcnn.calibrate import exaggerated
from export.pixelcnn.network import EXACT, SIGMOID_RANGE, SIGMOID_UNIT
from export.pixelcnn.outputs import GREY, floats
from export.pixelcnn.pytorch import IntegerPixelCnnNet, bits_per_dim
from export.pixelcnn.quantise import quantise_pixelcnn
from lmconv.config import PixelCnnConfig
from lmconv.networks.distributions import centred
from lmconv.networks.kinds import build
from lmconv.networks.pixelcnn import EPSILON, order_masks
from tests.export.pixelcnn.networks import CALIBRATED, NETWORKS, hostile, images, quantised, rank
from tests.lmconv import tiny

names = pytest.mark.parametrize("name", NETWORKS)
PONO = [name for name, config in NETWORKS.items() if config.norm == "pono"]


def again(net, levels=None):
    """Quantises a network anew, after a change."""
    config = net.config
    return quantise_pixelcnn(net, [rank(CALIBRATED[0])], images(config, 2) if levels is None else levels)


@pytest.fixture
def net():
    """A network of its own for tests that change weights."""
    return copy.deepcopy(quantised("colour")[0])


@names
def test_bounds_are_proved(name):
    for layer in quantised(name)[1].layers():
        weight = layer.weight.astype(np.int64)
        highest, lowest = 255 * weight.clip(0).sum(0) + layer.bias, 255 * weight.clip(None, 0).sum(0) + layer.bias
        assert (np.maximum(np.abs(highest), np.abs(lowest)) <= layer.bound()).all() and layer.bound().max() < BOUND
        wide = layer.name in ("first", "head")
        assert layer.weight.dtype == (np.int16 if wide else np.int8) and (wide or np.abs(weight).max() <= 63)


@names
def test_nothing_exceeds_what_was_proved(name):
    """The whole network on ordinary and hostile images: inputs of products are codes, sums stay within the bounds."""
    _, network = quantised(name)
    shares = {}

    class Watched(IntegerPixelCnnNet):
        def whole(self, x, product):
            assert x.min() >= 0 and x.max() <= 255 and (x == x.round()).all()
            found = super().whole(x, product)
            total = found.abs().amax((0, 2, 3)).numpy() * 2.0**product.layer.shift
            shares[product.layer.name] = max(shares.get(product.layer.name, 0), (total / product.layer.bound()).max())
            return found

        def norm(self, x, product, which):
            found = super().norm(x, product, which)
            assert found.abs().max() <= network.limit and (found == found.round()).all()
            return found

        def gate(self, h, x, product, which):
            found = super().gate(h, x, product, which)
            assert found.abs().max() <= network.limit and (found == found.round()).all()
            return found

    levels = torch.from_numpy(np.concatenate([images(network.config), hostile(network.config)]))
    for order in ("s_curve", "random=3"):
        Watched(network, rank(order), torch.float64)(levels)
    assert set(shares) == {layer.name for layer in network.layers()}
    assert max(shares.values()) <= 1 and max(shares.values()) > 0.1


@names
def test_arithmetic_between_products_is_exact_in_float32(name):
    """At the ends of what values can be: scaled and moved to codes, and multiplied by the sigmoid."""
    _, network = quantised(name)
    limit = network.limit
    assert limit * int(network.sigmoid.max()) <= BOUND
    values = np.array([-limit, 1 - limit, -1, 0, 1, limit - 1, limit])[:, None]
    for codes in (product.codes for product in network.products() if product.codes):
        assert codes.zero.min() >= 0 and codes.zero.max() <= 255 and codes.scale.dtype == np.float32
        single = values.astype(np.float32) * codes.scale + codes.zero.astype(np.float32)
        np.testing.assert_array_equal(single, values * codes.scale.astype(np.float64) + codes.zero)


def moved(network, shares) -> tuple[torch.Tensor, torch.Tensor]:
    """The least and the largest of each channel of each layer before it is rounded to codes, on a part per order."""
    seen = {}

    class Watched(IntegerPixelCnnNet):
        def _moved(self, x, codes):
            found = super()._moved(x, codes)
            low, high = found.amin((0, 2, 3)), found.amax((0, 2, 3))
            before = seen.get(id(codes), (low, high))
            seen[id(codes)] = torch.minimum(low, before[0]), torch.maximum(high, before[1])
            return found

    for order, share in zip(CALIBRATED, shares):
        Watched(network, rank(order))(torch.from_numpy(share))
    return tuple(torch.cat(part) for part in zip(*seen.values()))


@names
def test_channels_use_their_codes(name):
    """What calibration saw fits, far more colourful images than it was given among it, and not in half of the codes."""
    _, network = quantised(name)
    levels = images(network.config, 12, seed=1)
    levels = np.concatenate([levels, exaggerated(levels, network.config)])
    lows, highs = moved(network, [levels[i :: len(CALIBRATED)] for i in range(len(CALIBRATED))])
    reached = torch.stack([-lows, highs - 255]).amax(0)  # by rounding errors before; each channel
    assert (reached < 8).double().mean() > 0.95 and ((highs - lows) > 120).double().mean() > 0.8


@pytest.mark.parametrize("name", PONO)
def test_pono_is_exact(name):
    """Sums of squares of the worst values stay below 2^53, in whatever order, and the result is the rounded truth."""
    _, network = quantised(name)
    filters = network.config.filters
    machine = IntegerPixelCnnNet(network, rank("raster"), torch.float64)
    rng = np.random.default_rng(0)
    for product in (network.first, *network.up_dilated, network.up[0][0].conv_input, network.up[0][0].conv_out):
        assert filters**3 * product.limit**2 < EXACT
        x = rng.integers(-product.limit, product.limit + 1, (40, filters))
        x[:8] = product.limit * rng.choice([-1, 1], (8, filters))
        x[8], x[9:12] = 7, x[9:12] // 1000
        x[12], x[12, 0] = -product.limit, product.limit  # the farthest a channel can be
        found = machine.norm(torch.from_numpy(x.astype(float))[:, :, None, None], product, "plain")[:, :, 0, 0]
        assert found.abs().max() <= filters**0.5 * 2**network.lattice + 0.5 <= network.limit + 0.5
        for row, y in zip(x.tolist(), found.tolist()):
            distance = [filters * value - sum(row) for value in row]
            variance = Fraction(sum(d * d for d in distance), filters - 1)
            variance += Fraction(EPSILON) * filters**2 * Fraction(4) ** product.lattice
            root = Fraction(isqrt(int(variance * 4**60)), 2**60)
            assert all(
                abs(d * 2**network.lattice / root - value) <= Fraction(1, 2) + Fraction(1, 1 << 20)
                for d, value in zip(distance, y)
            )


@names
def test_tables(name):
    _, network = quantised(name)
    one, elu, sigmoid, tanh = 1 << network.lattice, network.elu, network.sigmoid, network.tanh
    steps = np.arange(len(elu))
    assert (np.abs(elu[-steps] - one * np.expm1(-steps / one)) <= 0.5).all() and elu[0] == 0 and elu[1] == -one
    assert (elu[-steps] >= -steps).all()  # so that the larger one of x and it is elu
    ends = SIGMOID_RANGE * SIGMOID_UNIT
    assert len(sigmoid) == 2 * ends + 1 and sigmoid[0] * 2 == 2**network.sigmoid_bits
    assert (sigmoid[np.arange(-ends, ends + 1)] + sigmoid[np.arange(ends, -ends - 1, -1)] == 2 * sigmoid[0]).all()
    assert (np.diff(sigmoid[np.arange(-ends, ends + 1)]) >= 0).all() and sigmoid[-ends] <= 1
    assert (tanh[np.arange(1, 100)] == -tanh[-np.arange(1, 100)]).all() and tanh.dtype == np.int64


@names
def test_rounding_loses_next_to_nothing(name):
    """Weights of 7 bits are off by 1 / (126 sqrt(3)) of the largest, half a percent; 27 layers make it two and a half.

    Four times that is allowed: which weights are rounded up and which down depends on the last digits of calibration.
    """
    net, network = quantised(name)
    levels = images(net.config, 6, seed=7)
    ranks = [rank(order) for order in CALIBRATED]
    float_bits, integer_bits = bits_per_dim(net, network, ranks, levels)
    assert 0.2 < float_bits < 20 and abs(integer_bits / float_bits - 1) < 0.01
    with torch.no_grad():
        exact = net(centred(torch.from_numpy(levels), net.config.bits), order_masks(ranks[0], net.config))
    rounded = floats(net.config, IntegerPixelCnnNet(network, ranks[0])(torch.from_numpy(levels)))
    if net.config.binary:
        exact = exact - exact[:, :1]
    else:  # log-scales end where the codec's do
        kinds = exact[:, net.config.components :].unflatten(1, (net.config.channels, -1, net.config.components))
        kinds[:, :, 1].clamp_(max=6 - math.log(GREY))
    difference = (rounded - exact).clamp(-1, 1)  # of large couplings only tanh matters
    assert difference.square().mean().sqrt() < 0.1 * exact.std()


@names
def test_a_position_depends_on_earlier_ones_alone(name):
    _, network = quantised(name)
    where, levels = rank("s_curve:6"), images(network.config, 1)
    machine = IntegerPixelCnnNet(network, where)
    before = machine(torch.from_numpy(levels))[0]
    changed = levels.copy()
    changed[:, :, where >= 12] = hostile(network.config)[3:, :, where >= 12]
    after = machine(torch.from_numpy(changed))[0]
    same = (before == after).all(0).numpy()
    assert same[where <= 12].all() and not same[where > 12].all()


def test_exaggerated():
    pixel = np.array([100, 120, 140], np.uint8).reshape(1, 3, 1, 1)
    assert exaggerated(pixel, tiny.COLOUR).ravel().tolist() == [80, 120, 160]
    grey = np.array([0, 100, 200, 255], np.uint8).reshape(1, 1, 2, 2)
    assert exaggerated(grey, NETWORKS["grey, weight norm"]).ravel().tolist() == [0, 72, 255, 255]
    assert not len(exaggerated(grey, tiny.BINARY))


def test_other_images_are_calibrated_in_each_order():
    """Twelve images in three orders: four each; and one image serves as many orders as there are."""
    net = quantised("colour")[0]
    ranks = [rank(order) for order in CALIBRATED]
    assert quantise_pixelcnn(net, ranks, images(net.config, 1)).lattice > 0


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["first.weight", "up.0.0.conv_out.bias", "head.bias"])
def test_numbers_that_are_not_finite_are_refused(net, name, value):
    with torch.no_grad():
        net.get_parameter(name).view(-1)[0] = value
    with pytest.raises(QuantisationError, match=name):
        again(net)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (PixelCnnConfig(bits=5, filters=4, resnets=1, components=1), "8 bits and for binary images, not for 5 bits"),
        (PixelCnnConfig(norm="weight_norm", two_stream=True, filters=4, resnets=1, components=1), "TwoStreamPixelCnn"),
    ],
)
def test_settings_without_an_integer_form_are_refused(config, words):
    with pytest.raises(QuantisationError, match=words):
        quantise_pixelcnn(build(config), [rank("raster")], images(config, 1))


@pytest.fixture(scope="module")
def equal_weights():
    """A network of which a layer has 1100 codes of equal weights, 62 at 7 bits: they may sum up to more than 2^24."""
    net = tiny.random_net(PixelCnnConfig(channels=1, filters=22, resnets=1, components=1, kernel=5, norm="none"))
    with pytest.MonkeyPatch.context() as patch:  # for the scales alone, which are there before any rounding
        patch.setattr("export.exact.integers.compensated", lambda weight, bias, *_: (weight.round(), bias))
        network, layer = again(net), net.up[0][0].conv_out
    scale = torch.from_numpy(network.up[0][0].conv_out.codes.scale)[:, None, None]  # codes per step of the lattice
    with torch.no_grad():
        layer.weight[0] = 62.3 / 2**12 * scale
    return net


def test_a_layer_of_many_equal_weights_is_coarsened(equal_weights):
    layer = again(equal_weights).up[0][0].conv_out.layer
    weight = layer.weight[:, 0].astype(int)
    assert 30 < weight.mean() < 32 and layer.bound().max() < BOUND
    assert 255 * 2 * weight.sum() > BOUND and np.abs(layer.weight[:, 1:].astype(int)).max() > 32


def test_a_layer_too_wide_is_named(equal_weights, monkeypatch):
    monkeypatch.setattr("export.pixelcnn.quantise.LEAST_WEIGHTS", 63)
    with pytest.raises(QuantisationError, match=r"layer up\.0\.0\.conv_out: a sum may reach \d{8}, over 2\^24"):
        again(equal_weights)


@pytest.mark.parametrize("layer", ["first", "up.0.0.conv_input", "up_dilated.1", "down.1.0.conv_out"])
def test_a_channel_without_weights_is_no_obstacle(net, layer):
    with torch.no_grad():
        net.get_submodule(layer).weight[1] = 0
        net.get_submodule(layer).bias[1] = 0.5
    network = again(net)
    assert max(each.bound().max() for each in network.layers()) < BOUND


def test_values_too_large_for_the_lattice_make_it_coarser():
    net = tiny.random_net(NETWORKS["grey, no norm, no bias"])
    with torch.no_grad():
        net.first.weight *= 40
    network = again(net)
    assert network.lattice < 10 and network.limit <= 1 << 15
    levels = torch.from_numpy(images(net.config))
    single, double = (
        IntegerPixelCnnNet(network, rank("gilbert"), dtype)(levels) for dtype in (torch.float32, torch.float64)
    )
    assert torch.equal(single, double)


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_closed_taps_count_for_nothing(seed):
    """Whatever stands there, and their code is that of 0: with all inputs 0 a layer gives its bias."""
    net, network = quantised("colour, kernel 5, mask weights")
    rng = np.random.default_rng(seed)
    name = rng.choice([product.layer.name for product in network.products() if "conv_in" in product.layer.name])
    product = next(each for each in network.products() if each.layer.name == name)
    zeros = np.append(np.tile(product.codes.zero, 25), np.zeros(25, np.int64))
    value = (zeros @ product.layer.weight.astype(np.int64) + product.layer.bias) * 2.0**-product.layer.shift
    bias = net.get_submodule(name).bias.detach().numpy() * 2.0**product.lattice
    step = np.abs(value - bias).max() * 2.0**-product.lattice
    assert step < 0.05  # ten times what is seen: the bias makes up for the weights' errors


def test_the_tensors_name_everything():
    _, network = quantised("colour")
    tensors = network.tensors()
    assert all(isinstance(tensor, np.ndarray) for tensor in tensors.values())
    for layer in network.layers():
        np.testing.assert_array_equal(tensors[f"{layer.name}.weight"], layer.weight)
        assert {f"{layer.name}.{part}" for part in ("bias", "shift", "lattice", "limit")} <= set(tensors)
    assert {"elu", "sigmoid", "tanh", "lowest", "highest", "lattice", "limit"} <= set(tensors)
    assert "first.scale" not in tensors and "head.zero" in tensors
