"""The discretised mixture of logistics: a distribution, equal to its slow reading, its gradients finite everywhere."""

import itertools
import math

import pytest
import torch

from lmconv.networks import likelihood
from lmconv.networks.likelihood import COUPLINGS, LOG_SCALES, PARAMETERS, SHIFT_UNIT
from tests import tolerance

VALUES = torch.arange(256, dtype=torch.float64)
LARGEST = 600 * math.exp(-LOG_SCALES[0])  # in a logarithm of a probability: grey levels off, in the least scale


def random_parameters(generator, components, height=1, width=1):
    """float32 [1, 10 K, H, W] that reach beyond the limits of log-scales and couplings."""
    p = torch.randn(1, PARAMETERS, components, height, width, generator=generator)
    p[:, 1:4] *= 4
    p[:, 4:7] = p[:, 4:7] * 2 + 0.5
    return p.flatten(1, 2)


def slow_bin(value, base, mean, log_scale):
    """Probability of one value under a logistic round base + mean, in Python floats: 0 and 255 take the tails."""
    scale = math.exp(log_scale)

    def below(edge):
        z = (edge - base - mean) / scale
        return 1 / (1 + math.exp(-z)) if z > 0 else math.exp(z) / (1 + math.exp(z))

    def above(edge):
        return below(2 * (base + mean) - edge)

    if value == 0:
        return below(0.5)
    if value == 255:
        return above(254.5)
    if value > base + mean:  # the difference of the smaller tails keeps its digits
        return above(value - 0.5) - above(value + 0.5)
    return below(value + 0.5) - below(value - 0.5)


def slow_probability(pixel, bases, parameters, channels=3):
    """P of the first channels of one pixel; `parameters` is [10 K] in the network's layout."""
    components = len(parameters) // PARAMETERS
    p = [parameters[i * components : (i + 1) * components] for i in range(PARAMETERS)]
    weights = [math.exp(logit) for logit in p[0]]
    r, g = pixel[0] - bases[0], pixel[1] - bases[1]
    total = 0.0
    for k in range(components):
        a, b, c = (min(max(p[7 + i][k], COUPLINGS[0]), COUPLINGS[1]) for i in range(3))
        shift = [SHIFT_UNIT * p[1 + i][k] for i in range(3)]
        means = [shift[0], shift[1] + a * r, shift[2] + b * r + c * g]
        product = weights[k] / sum(weights)
        for i in range(channels):
            log_scale = min(max(p[4 + i][k], LOG_SCALES[0]), LOG_SCALES[1])
            product *= slow_bin(pixel[i], bases[i], means[i], log_scale)
        total += product
    return total


def test_bins_sum_to_one():
    """Over all 256 values, for 1600 random logistics and those at the limits, in float64."""
    count, generator, (low, high) = 1600, torch.Generator().manual_seed(0), LOG_SCALES
    base = 255 * torch.rand(count, 1, generator=generator, dtype=torch.float64)
    mean = 60 * torch.randn(count, 1, generator=generator, dtype=torch.float64)
    log_scale = low + (high - low) * torch.rand(count, 1, generator=generator, dtype=torch.float64)
    bins = likelihood.log_bin(VALUES - base, VALUES.expand(count, -1), mean, log_scale).exp()
    tolerance.assert_close(bins.sum(1), torch.ones(count), 256, LARGEST)
    for log_scale, mean in itertools.product(LOG_SCALES, (-300.0, -0.5, 0.0, 99.7, 255.0, 600.0)):
        zero = torch.zeros(256, dtype=torch.float64)
        bins = likelihood.log_bin(VALUES, VALUES, zero + mean, zero + log_scale).exp()
        tolerance.assert_close(bins.sum(), 1, 256, LARGEST)


@pytest.mark.parametrize("components", [1, 3, 5])
def test_each_channel_sums_to_one_given_those_before(components):
    """In float64, through `means`: red; green for each red; blue for each red and green; weights by Bayes."""
    generator = torch.Generator().manual_seed(components)
    parameters = random_parameters(generator, components)
    logits, shifts, log_scales, couplings = (part.double() for part in likelihood.split(parameters))
    bases = torch.tensor([30.25, 128.0, 250.5], dtype=torch.float64)
    weights = torch.softmax(logits[0, :, 0, 0], 0)
    pixel = torch.tensor([25.0, 130.0, 0.0], dtype=torch.float64)
    for channel in range(3):
        residual = (pixel - bases).view(1, 3, 1, 1)
        mean = likelihood.means(residual, shifts, couplings)[0, channel, :, 0, 0]
        scale = log_scales[0, channel, :, 0, 0]
        values = VALUES.expand(components, -1)
        bins = likelihood.log_bin(values - bases[channel], values, mean[:, None], scale[:, None]).exp()
        tolerance.assert_close((weights[:, None] * bins).sum(), 1, 256, LARGEST)
        explained = weights * bins[:, int(pixel[channel])]
        weights = explained / explained.sum()


def test_all_pixels_sum_to_one():
    """nll itself: over every green and blue the joint gives red's own probability, and red's sum to one."""
    generator = torch.Generator().manual_seed(11)
    parameters = random_parameters(generator, 3)
    bases = [101.5, 128.0, 140.25]
    flat = parameters.flatten().tolist()
    grid = parameters.expand(-1, -1, 256, 256)
    green, blue = torch.meshgrid(torch.arange(256.0), torch.arange(256.0), indexing="ij")
    for red in (0, 100, 104, 255):
        pixels = torch.stack([torch.full_like(green, red), green, blue])[None]
        nats = likelihood.nll(pixels, torch.tensor(bases).view(1, 3, 1, 1).expand_as(pixels), grid)
        expected = slow_probability([red, 0, 0], bases, flat, channels=1)
        total = torch.exp(-nats.double()).sum().item()
        assert total == pytest.approx(expected, rel=16 * tolerance.bound(10, "float32"))  # of pixels above e^-16
    reds = [slow_probability([red, 0, 0], bases, flat, channels=1) for red in range(256)]
    tolerance.assert_close(sum(reds), 1, 256, LARGEST)


@pytest.mark.parametrize("components", [1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_equals_the_slow_reading(components, seed):
    generator = torch.Generator().manual_seed(seed)
    parameters = random_parameters(generator, components, 5, 7)
    bases = 255 * torch.rand(1, 3, 5, 7, generator=generator)
    pixels = (bases + 6 * torch.randn(1, 3, 5, 7, generator=generator)).round().clamp(0, 255)
    pixels[0, :, 0, :3], pixels[0, :, 1, :3] = 0, 255
    nats = likelihood.nll(pixels, bases, parameters)
    assert nats.shape == (1, 5, 7) and nats.dtype == torch.float32
    for r in range(5):
        for c in range(7):
            p = slow_probability(*(part[0, :, r, c].tolist() for part in (pixels, bases, parameters)))
            if p > math.exp(-140):
                tolerance.assert_close(nats[0, r, c], -math.log(p), depth=10, largest=140)
            else:
                assert nats[0, r, c].item() > 139


def test_equal_components_are_one():
    """Whatever their weights."""
    generator = torch.Generator().manual_seed(3)
    one = random_parameters(generator, 1, 4, 4)
    three = one.view(1, PARAMETERS, 1, 4, 4).repeat(1, 1, 3, 1, 1)
    three[:, 0] = torch.randn(1, 3, 4, 4, generator=generator)
    pixels = torch.randint(0, 256, (1, 3, 4, 4), generator=generator).float()
    bases = torch.full_like(pixels, 128.0)
    tolerance.assert_close(likelihood.nll(pixels, bases, three.flatten(1, 2)), likelihood.nll(pixels, bases, one), 5)


def test_gradients_are_finite():
    low, high = LOG_SCALES
    cases = list(
        itertools.product(
            (0.0, 1.0, 128.0, 254.0, 255.0),
            (0.0, 127.3, 255.0),
            (-60.0, 0.0, 60.0),
            (-100.0, low + 0.01, 0.0, high - 0.01, 100.0),
        )
    )
    value, base, shift, log_scale = torch.tensor(cases).T[:, :, None, None, None]
    parameters = torch.zeros(len(cases), PARAMETERS, 3, 1, 1)
    parameters[:, 1:4], parameters[:, 4:7], parameters[:, 7:10] = shift[..., None], log_scale[..., None], 1.99
    parameters = parameters.flatten(1, 2).requires_grad_()
    nats = likelihood.nll(value.expand(-1, 3, 1, 1), base.expand(-1, 3, 1, 1), parameters)
    nats.sum().backward()
    finite = torch.isfinite(nats).flatten(1).all(1) & torch.isfinite(parameters.grad).flatten(1).all(1)
    likely = (nats < -tolerance.bound(10, "float32")).flatten(1).any(1)  # more than certain
    assert finite.all() and not likely.any(), [case for case, ok in zip(cases, finite & ~likely) if not ok]


def test_bits_per_subpixel():
    tolerance.assert_close(likelihood.bits_per_subpixel(torch.full((2, 4, 4), 3 * math.log(2) * 5)), 5, depth=32)


def test_log_scales_and_couplings_are_limited():
    parameters = torch.full((1, 2 * PARAMETERS, 1, 1), 50.0)
    _, shifts, log_scales, couplings = likelihood.split(parameters)
    assert (shifts == 200).all() and (log_scales == LOG_SCALES[1]).all() and (couplings == COUPLINGS[1]).all()
    _, _, log_scales, couplings = likelihood.split(-parameters)
    assert (log_scales == LOG_SCALES[0]).all() and (couplings == COUPLINGS[0]).all()
