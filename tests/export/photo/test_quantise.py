"""Rounding to integers: every bound holds for the worst input there is, and rounding loses next to nothing."""

import copy
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from export.errors import QuantisationError
from export.exact.integers import BOUND, WIDE_LIMIT, IntegerLayer, fitted
from export.exact.tables import distribution_tables
from export.photo.pytorch import IntegerPhotoNet, activation, float_parameters
from export.photo.quantise import quantise, stream_bound
from lmconv.config import PhotoConfig
from lmconv.networks import likelihood
from lmconv.networks.photo import PhotoNet
from runtime import rules
from runtime.least_squares import predict_picture
from tests.pictures import KINDS, photographs


@pytest.fixture(scope="module")
def calibration():
    pictures = photographs(2, 24, 32)
    return torch.from_numpy(pictures), torch.from_numpy(np.stack([predict_picture(picture) for picture in pictures]))


@pytest.fixture
def net(tiny_checkpoint):
    """A network of its own for tests that change weights."""
    return copy.deepcopy(tiny_checkpoint.net())


def sums(layer: IntegerLayer, inputs: np.ndarray) -> np.ndarray:
    return inputs.astype(np.int64) @ layer.weight.astype(np.int64) + layer.bias


def worst(layer: IntegerLayer) -> tuple[np.ndarray, np.ndarray]:
    """Per output channel the inputs that give the largest and the smallest sum, [outputs, inputs]."""
    return 255 * (layer.weight > 0).T, 255 * (layer.weight < 0).T


def test_weights_fit_their_limits(tiny_integers):
    for layer in tiny_integers.layers():
        wide = layer.name in ("first", "out")
        assert layer.weight.dtype == (np.int16 if wide else np.int8)
        largest, limit = np.abs(layer.weight.astype(int)).max(0), WIDE_LIMIT if wide else 63
        assert largest.min() >= 1 and largest.max() <= limit
        # The shifts are the finest that fit: but for the stream's writers, every channel uses the range.
        if layer not in tiny_integers.writers():
            assert (largest >= limit // 2).all(), layer.name
    assert (np.abs(tiny_integers.first.weight.astype(int)).max(0) > 4 * 63).all()


@given(st.lists(st.integers(-32768, 32767), min_size=1, max_size=20))
def test_parts_make_up_the_weight(numbers):
    weight = np.array(numbers, np.int16)[:, None]
    parts, total, largest = IntegerLayer("wide", weight, np.zeros(1), np.zeros(1)).parts(), 0, np.abs(numbers).max()
    for part in parts:
        assert part.dtype == np.int8 and np.abs(part.astype(int)).max() <= 63
        total = total * 64 + part.astype(int)
    np.testing.assert_array_equal(total, weight)
    assert len(parts) == 1 if largest <= 63 else len(parts) >= 2
    if largest <= WIDE_LIMIT:
        assert len(parts) <= 2


def test_parts_of_the_largest_wide_weights():
    weight = np.array([[WIDE_LIMIT, -WIDE_LIMIT, 63, 64, -64, 0]], np.int16)
    high, low = IntegerLayer("wide", weight, np.zeros(6), np.zeros(6)).parts()
    assert high.tolist() == [[63, -63, 1, 1, -1, 0]] and low.tolist() == [[31, -31, -1, 0, 0, 0]]


@pytest.mark.parametrize("count", [1, 15, 16, 17, 33, 168, 600, 1030, 3000])
def test_wide_weights_are_as_fine_as_the_bound_allows(count):
    """Equal weights, the worst there are: every input adds the largest."""
    matrix = np.full((count, 1), 1.9)
    for bias in (0.0, 1.0, -3e5):
        layer, narrow = (fitted("wide", matrix, np.array([bias]), limit) for limit in (WIDE_LIMIT, 63))
        assert layer.shift >= narrow.shift
        if layer.shift > narrow.shift:
            assert layer.bound().max() < BOUND
        finer = IntegerLayer("finer", 2 * layer.weight.astype(int), 2 * layer.bias, layer.shift + 1)
        assert finer.bound() >= BOUND * 0.99 or np.abs(finer.weight).max() > WIDE_LIMIT or 4 * abs(layer.bias) >= BOUND
        if count == 3000:  # no wide weight is coarser than one of 7 bits: the caller names the layer
            assert layer.shift == narrow.shift and layer.bound() >= BOUND


@pytest.mark.parametrize("fill", [1.0, -1.0, 1e-4, 1e3])
def test_a_first_layer_of_equal_weights_stays_below_the_bound(net, calibration, fill):
    with torch.no_grad():
        net.first.weight[2], net.current.weight[2] = fill, fill
    integers = quantise(net, *calibration)
    assert stream_bound(list(integers.writers())).max() < BOUND and integers.first.bound().max() < BOUND
    assert np.abs(integers.first.weight[:, 2].astype(int)).max() < 400  # 168 * 255 * 400 > 2^24


def test_two_products_fit_sixteen_bits():
    """What processors without VNNI need: they add two products u8 x s8 in int16 with saturation."""
    assert 2 * 255 * 63 <= 2**15 - 1 < 2 * 255 * 65


def test_bounds_are_reached_by_the_worst_inputs(tiny_integers):
    for layer in tiny_integers.layers():
        highest, lowest = (np.diagonal(sums(layer, inputs)) for inputs in worst(layer))
        # 255 sum |w| is the distance of the two extremes, whatever the bias.
        np.testing.assert_array_equal(highest - lowest + np.abs(layer.bias), layer.bound(), layer.name)
        assert (np.maximum(np.abs(highest), np.abs(lowest)) <= layer.bound()).all()
        assert layer.bound().max() < BOUND


@settings(max_examples=40)
@given(st.data())
def test_bounds_by_brute_force(data):
    """All inputs of a small layer at its corners: the largest sum is the bound where weights and bias have one sign."""
    weight = np.array(data.draw(st.lists(st.integers(-63, 63), min_size=5, max_size=5)), np.int8)[:, None]
    bias = np.array([data.draw(st.integers(-5000, 5000))])
    layer = IntegerLayer("small", weight, bias, np.array([0]))
    corners = np.stack(np.meshgrid(*[[0, 1, 128, 255]] * 5), -1).reshape(-1, 5)
    largest = np.abs(sums(layer, corners)).max()
    assert largest <= layer.bound()[0]
    if min(weight.min(), bias.min()) >= 0 or max(weight.max(), bias.max()) <= 0:
        assert largest == layer.bound()[0]


def streams(integers, inputs: np.ndarray, hidden: np.ndarray, number=np.float32):
    """The residual stream after each writer, [channels], for codes and hidden activations given per channel."""
    total = np.zeros(len(inputs), number)
    for i, layer in enumerate(integers.writers()):
        value = np.diagonal(sums(layer, inputs if i == 0 else hidden[i - 1])).astype(number)
        total = total + value * (2.0**-layer.shift).astype(number)
        yield total


@pytest.mark.parametrize("sign", [1, -1])
def test_the_stream_is_exact_in_float32_for_the_worst_inputs(tiny_integers, sign):
    which = 0 if sign == 1 else 1
    inputs, *hidden = (worst(layer)[which] for layer in tiny_integers.writers())
    finest = np.max([layer.shift for layer in tiny_integers.writers()], axis=0)
    bound = stream_bound(list(tiny_integers.writers()))
    assert bound.max() < BOUND
    exact = [Fraction(0)] * len(bound)
    for i, found in enumerate(streams(tiny_integers, inputs, hidden)):
        layer = tiny_integers.writers()[i]
        values = np.diagonal(sums(layer, inputs if i == 0 else hidden[i - 1]))
        exact = [e + Fraction(int(v)) / Fraction(2) ** int(s) for e, v, s in zip(exact, values, layer.shift)]
        assert [Fraction(float(x)) for x in found] == exact
        steps = [int(e * 2 ** int(s)) for e, s in zip(exact, finest)]
        assert [Fraction(s, 2 ** int(f)) for s, f in zip(steps, finest)] == exact  # on the lattice
        assert (np.abs(steps) <= bound).all()
    # The bound is no looser than the biases make it: both extremes are 255 sum |w| apart.
    opposite = [worst(layer)[1 - which] for layer in tiny_integers.writers()]
    *_, last = streams(tiny_integers, opposite[0], opposite[1:], np.float64)
    biases = sum(np.abs(layer.bias) << (finest - layer.shift) for layer in tiny_integers.writers())
    np.testing.assert_array_equal(np.abs(np.array(steps) - last * 2.0**finest) + biases, bound)


def test_sums_of_real_and_hostile_pictures_stay_below_the_bounds(tiny_checkpoint, tiny_integers):
    """The whole network, not layer by layer: what the integer network adds up on any picture is within the proof."""
    net, integer = tiny_checkpoint.net(), IntegerPhotoNet(tiny_integers, torch.float64)
    seen = {}
    plain = integer.layer

    def watched(x, layer):
        total = plain(x, layer)
        assert x.min() >= 0 and x.max() <= 255 and (x == x.round()).all()
        share = (total.abs().amax((0, 2, 3)).numpy() / layer.bound()).max()
        assert share <= 1
        seen[layer.name] = max(seen.get(layer.name, 0), share)
        return total

    integer.layer = watched
    for kind in KINDS.values():
        picture = kind(9, 14)
        integer(*net.inputs(torch.from_numpy(picture)[None], torch.from_numpy(predict_picture(picture))[None]))
    assert len(seen) == len(tiny_integers.layers()) and max(seen.values()) > 0.05


@pytest.mark.parametrize(
    ("layer", "factor"),
    [("blocks.0.narrow", 1e6), ("blocks.0.narrow", 1e-6), ("blocks.1.narrow", 1e6), ("blocks.1.narrow", 1e-6)],
)
def test_writers_of_very_different_scale_are_coarsened(net, calibration, layer, factor):
    weight = net.get_submodule(layer).weight
    with torch.no_grad():
        weight[2] *= factor
    integers = quantise(net, *calibration)
    writers = list(integers.writers())
    assert stream_bound(writers).max() < BOUND and max(x.bound().max() for x in integers.layers()) < BOUND
    spans = np.ptp([writer.shift for writer in writers], axis=0)
    uses = np.array([np.abs(writer.weight[:, 2].astype(int)).max() for writer in writers])
    assert uses.max() >= 31  # the writer that matters keeps its precision
    assert uses.min() < 31  # and another one gave some of it up
    assert (spans < 24).all()


def test_a_layer_too_wide_is_named():
    """1280 inputs with weights near 63 each may sum up to more than 2^24."""
    torch.manual_seed(0)
    net = PhotoNet(PhotoConfig(channels=256, blocks=1, components=1)).eval()
    picture = torch.from_numpy(photographs(1, 3, 4))
    bases = torch.zeros(picture.shape, dtype=torch.int16)

    def equal_steps(count):
        return [np.full(count, 255.0)] * 2, [np.full(count, 255.0)], np.full(count, 255.0)

    with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
        net.blocks[0].wide.weight.fill_(63 / 4096)
        patch.setattr("export.photo.quantise.calibrate", lambda net, pixels, bases: equal_steps(256))
        with pytest.raises(QuantisationError, match=r"layer blocks\.0\.wide: a sum may reach 2\d{7}, over 2\^24"):
            quantise(net, picture, bases)


def test_an_untrained_network_can_be_exported(calibration):
    """Its last layer is zero but for the bias; a shift made for weights alone would push the bias over the bound."""
    torch.manual_seed(0)
    net = PhotoNet(PhotoConfig(channels=8, blocks=1, components=2)).eval()
    integers = quantise(net, *calibration)
    steps = torch.tensor([64, 256, 256, 256, 32, 32, 32, 128, 128, 128]).repeat_interleave(2)
    expected = torch.round(net.out.bias * steps)
    for parameters in IntegerPhotoNet(integers)(*net.inputs(*calibration)).permute(0, 2, 3, 1).reshape(-1, 20):
        assert parameters.tolist() == expected.tolist()


@pytest.mark.parametrize("bias", [-0.5, 0.5, 100.0])
@pytest.mark.parametrize("layer", ["blocks.0.wide", "head", "blocks.1.narrow", "first"])
def test_a_channel_without_weights_is_no_obstacle(net, calibration, layer, bias):
    """Training leaves dead or constant channels behind; they are exported with the others."""
    module = net.get_submodule(layer)
    with torch.no_grad():
        module.weight[3], module.bias[3] = 0, bias
        if layer == "first":
            net.current.weight[3] = 0
    integers = quantise(net, *calibration)
    assert max(x.bound().max() for x in integers.layers()) < BOUND
    assert stream_bound(list(integers.writers())).max() < BOUND


def test_parameters_over_int32_are_refused(net, calibration):
    with torch.no_grad():
        net.out.weight[4] *= 1e10
    with pytest.raises(QuantisationError, match="layer out: a parameter may reach"):
        quantise(net, *calibration)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["first.weight", "blocks.0.narrow.bias", "out.weight", "out.bias"])
def test_numbers_that_are_not_finite_are_refused(net, calibration, name, value):
    with torch.no_grad():
        net.get_parameter(name).view(-1)[0] = value
    with pytest.raises(QuantisationError, match=name):
        quantise(net, *calibration)


def test_a_stream_far_beyond_64_bits_does_not_wrap():
    coarse = IntegerLayer("coarse", np.full((32, 1), 32, np.int8), np.array([0]), np.array([-32]))
    fine = IntegerLayer("fine", np.zeros((1, 1), np.int8), np.array([0]), np.array([35]))
    assert stream_bound([coarse, fine]).max() >= BOUND


def test_rounding_loses_next_to_nothing(tiny_checkpoint, tiny_integers, tiny_pictures):
    net = tiny_checkpoint.net()
    pictures = tiny_pictures[len(tiny_pictures) // 2 :]
    pixels = torch.from_numpy(pictures)
    bases = torch.from_numpy(np.stack([predict_picture(picture) for picture in pictures]))
    with torch.no_grad():
        exact = net(pixels, bases)
    rounded = float_parameters(net, IntegerPhotoNet(tiny_integers)(*net.inputs(pixels, bases)))
    assert exact.std((0, 2, 3)).min() > 0.005  # parameters that vary: there is something to compare
    assert (rounded - exact).abs().mean() < 0.5 / rules.SCALE_UNIT  # half of the codec's coarsest step
    bits = [
        likelihood.bits_per_subpixel(likelihood.nll(pixels.float(), bases.float() / 64, parameters)).item()
        for parameters in (exact, rounded)
    ]
    assert abs(bits[1] / bits[0] - 1) < 2e-3  # 3e-4 is seen


def test_no_parameter_is_far_off_where_nothing_is_clipped(tiny_checkpoint, tiny_pictures):
    """On the pictures that gave the ranges."""
    net, pixels = tiny_checkpoint.net(), torch.from_numpy(tiny_pictures)
    bases = torch.from_numpy(np.stack([predict_picture(picture) for picture in tiny_pictures]))
    integers = IntegerPhotoNet(quantise(net, pixels, bases))
    with torch.no_grad():
        error = (float_parameters(net, integers(*net.inputs(pixels, bases))) - net(pixels, bases)).abs()
    assert error.max() < 6 / rules.SCALE_UNIT  # of the codec's coarsest steps; one is seen


def test_activations_round_half_to_even_and_saturate():
    values = torch.tensor([-3.0, -0.5, 0.5, 1.5, 2.5, 254.5, 255.5, 1e9])
    assert activation(values).tolist() == [0, 0, 0, 2, 2, 254, 255, 255]
    assert activation(torch.tensor([1.0, 3.0, 6.0]), 1).tolist() == [0, 2, 3]
    assert activation(torch.tensor([1.0, 3.0]), -2).tolist() == [4, 12]


def test_tables_have_the_shapes_and_ends_that_the_rules_ask_for():
    tables = distribution_tables()
    assert {name: (table.shape, table.dtype) for name, table in tables.items()} == {
        "exponential": ((16 * rules.LOGIT_UNIT,), np.int64),
        "inverse_scale": ((rules.SCALES,), np.int64),
        "deviation": ((rules.SCALES,), np.int64),
        "logistic": ((2 * 16 * rules.LOGISTIC_UNIT + 1,), np.int64),
    }
    logistic, exponential = tables["logistic"], tables["exponential"]
    assert logistic[0] == 0 and logistic[-1] == 1 << rules.CDF_BITS and (np.diff(logistic) >= 0).all()
    np.testing.assert_array_equal(logistic + logistic[::-1], 1 << rules.CDF_BITS)
    assert exponential[0] == 1 << rules.CDF_BITS and (np.diff(exponential) <= 0).all()
    assert (np.diff(tables["inverse_scale"]) < 0).all() and tables["inverse_scale"][-1] > 0
    assert (np.diff(tables["deviation"]) >= 0).all()
