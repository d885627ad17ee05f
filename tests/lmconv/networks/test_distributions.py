"""The paper's likelihoods: they sum to one, equal a slow reading, and their samples follow them."""

import itertools
import math

import pytest
import torch

from lmconv.config import PixelCnnConfig, preset
from lmconv.errors import LmconvError
from lmconv.networks.distributions import LOG_SCALE_MIN, Categorical, Gaussians, Logistics, centred, distribution
from tests import tolerance

FALSE_ALARM = 1e-4  # chance of a seed at which a right sampler fails one chi-square test


def random_parameters(of: Logistics, count: int, seed: int = 0) -> torch.Tensor:
    """float64 rows [N, P]: means in and beyond [-1, 1], scales from below the limit to wider than all levels."""
    generator = torch.Generator().manual_seed(seed)
    p = torch.randn(count, of.parameters, dtype=torch.double, generator=generator)
    rest = p[:, of.components :].unflatten(1, (of.channels, -1, of.components))  # a view
    rest[:, :, 0] *= 0.7
    rest[:, :, 1] = rest[:, :, 1] * 2.5 - 3.5
    return p


def every_level(of: Logistics) -> torch.Tensor:
    """All pixels, int64 [2^(bits C), C], the last channel fastest."""
    return torch.tensor(list(itertools.product(range(2**of.bits), repeat=of.channels)))


def conditionals(of: Logistics, parameters: torch.Tensor, pixel: list[int]) -> list[torch.Tensor]:
    """p(level | channels before it) over all levels of each channel, weights by Bayes, from one row [1, P]."""
    levels = torch.tensor([pixel]).repeat(2**of.bits, 1)
    weights = torch.softmax(parameters[0, : of.components], 0)
    found = []
    for c in range(of.channels):
        varied = levels.clone()
        varied[:, c] = torch.arange(2**of.bits)
        bins = of.log_bins(parameters.expand(len(varied), -1), varied)[:, c].exp()  # [levels, K]
        found.append(bins @ weights)
        weights = weights * bins[pixel[c]]
        weights = weights / weights.sum()
    return found


# Probabilities


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("bits", [1, 2, 5, 8])
def test_each_channel_sums_to_one_given_those_before(bits, channels):
    of = Logistics(channels, bits, 3)
    top = 2**bits - 1
    for seed, pixel in enumerate([[0] * 3, [top] * 3, [top // 2, top, 0], [top // 3, top // 2, 2 * top // 3]]):
        parameters = random_parameters(of, 1, seed)
        for distribution_of_channel in conditionals(of, parameters, pixel[:channels]):
            tolerance.assert_close(distribution_of_channel.sum(), 1, depth=30 + 2**bits)


@pytest.mark.parametrize("channels, bits", [(1, 1), (1, 5), (1, 8), (3, 1), (3, 2), (3, 4)])
def test_all_pixels_sum_to_one(channels, bits):
    of = Logistics(channels, bits, 3)
    pixels = every_level(of)
    for row in random_parameters(of, 5):
        nats = of.nll(row.expand(len(pixels), -1), pixels)
        tolerance.assert_close(torch.exp(-nats).sum(), 1, depth=30 + len(pixels))


def test_sums_to_one_at_the_limits():
    of = Logistics(1, 8, 1)
    means, log_scales = (-1000.0, -1.0, 1 / 255, 0.3, 1.0, 30.0), (-50.0, LOG_SCALE_MIN, 0.0, 8.0, 200.0)
    for row in itertools.product([0.0], means, log_scales):
        parameters = torch.tensor([row], dtype=torch.double).expand(256, -1)
        tolerance.assert_close(torch.exp(-of.nll(parameters, every_level(of))).sum(), 1, depth=256)


def test_bits_sum_to_one():
    parameters = 5 * torch.randn(50, 2, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    p = [torch.exp(-Categorical(1).nll(parameters, torch.full((50, 1), bit))) for bit in (0, 1)]
    tolerance.assert_close(p[0] + p[1], torch.ones(50), depth=3)
    tolerance.assert_close(p[1], torch.sigmoid(parameters[:, 1] - parameters[:, 0]), depth=5)


def test_categories_sum_to_one():
    of = Categorical(4)
    parameters = 3 * torch.randn(1, 16, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    p = torch.exp(-of.nll(parameters.expand(16, -1), every_level(of)))
    tolerance.assert_close(p, torch.softmax(parameters[0], 0), depth=16)
    tolerance.assert_close(p.sum(), 1, depth=32)


def slow_probability(of: Logistics, row: list[float], pixel: list[int]) -> float:
    """The mixture by its definition, in Python floats."""
    k, top = of.components, 2**of.bits - 1
    per = 3 if of.channels == 3 else 2
    part = [[row[k + (c * per + i) * k :][:k] for i in range(per)] for c in range(of.channels)]
    x = [2 * level / top - 1 for level in pixel]

    def below(edge, mean, scale):
        z = (edge - mean) / scale
        return 1 / (1 + math.exp(-z)) if z > -700 else 0.0

    total = 0.0
    for i in range(k):
        p = math.exp(row[i]) / sum(map(math.exp, row[:k]))
        for c in range(of.channels):
            mean = part[c][0][i]
            scale = math.exp(max(part[c][1][i], -7))
            if c == 1:
                mean += math.tanh(part[0][2][i]) * x[0]
            if c == 2:
                mean += math.tanh(part[1][2][i]) * x[0] + math.tanh(part[2][2][i]) * x[1]
            upper = 1.0 if pixel[c] == top else below(x[c] + 1 / top, mean, scale)
            lower = 0.0 if pixel[c] == 0 else below(x[c] - 1 / top, mean, scale)
            p *= upper - lower
        total += p
    return total


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("bits", [1, 3, 8])
def test_equals_the_slow_reading(bits, channels):
    of = Logistics(channels, bits, 4)
    parameters = random_parameters(of, 200, seed=bits)
    noise = of.noise(200, 1, 1, torch.Generator().manual_seed(1))[:, :, 0, 0]
    levels = of.sample(parameters, noise)  # likely ones: the slow reading keeps their digits
    levels[:20], levels[20:40] = 0, 2**bits - 1
    nats, compared = of.nll(parameters, levels), 0
    for row, pixel, nat in zip(parameters.tolist(), levels.tolist(), nats.tolist()):
        p = slow_probability(of, row, pixel)
        if p > 1e-9:  # below, the slow difference of numbers near 1 has lost its digits
            assert abs(nat + math.log(p)) < tolerance.bound(channels) / 1e-9
            compared += 1
    assert compared > 100


def test_green_depends_on_red_and_blue_on_both():
    """The log-probability of a channel moves with the channels before it, and with no other."""
    of = Logistics(3, 8, 2)
    parameters = random_parameters(of, 1)
    pixel = torch.tensor([[100, 120, 140]])
    bins = of.log_bins(parameters, pixel)
    for changed in range(3):
        other = pixel.clone()
        other[0, changed] += 9
        moved = (of.log_bins(parameters, other) != bins).flatten(2).any(2)[0].tolist()
        assert moved == [c >= changed for c in range(3)]


def test_rows_and_images_agree_and_floats_are_close():
    of = Logistics(3, 5, 3)
    rows = random_parameters(of, 24)
    levels = torch.randint(0, 32, (24, 3), generator=torch.Generator().manual_seed(2))
    as_image = [part.view(2, 3, 4, -1).permute(0, 3, 1, 2) for part in (rows, levels)]
    nats = of.nll(*as_image)
    assert nats.shape == (2, 3, 4)
    tolerance.assert_close(nats.flatten(), of.nll(rows, levels), depth=10)
    single = of.nll(rows.float(), levels.to(torch.uint8))
    assert single.dtype == torch.float32
    tolerance.assert_close(single, of.nll(rows, levels), depth=10)
    assert of.nll(rows.bfloat16(), levels).dtype == torch.float32


def test_gradients_are_finite():
    cases = list(itertools.product((0, 1, 128, 254, 255), (-1000.0, 0.1, 1000.0), (-200.0, -7.0, 0.0, 200.0)))
    level, mean, log_scale = torch.tensor(cases).T[:, :, None, None]
    of = Logistics(3, 8, 2)
    parameters = torch.zeros(len(cases), of.parameters)
    rest = parameters[:, 2:].unflatten(1, (3, 3, 2))
    rest[:, :, 0], rest[:, :, 1], rest[:, :, 2] = mean, log_scale, 100.0
    parameters.requires_grad_()
    nats = of.nll(parameters, level[:, 0].expand(-1, 3).long())
    nats.sum().backward()
    finite = torch.isfinite(nats) & torch.isfinite(parameters.grad).all(1)
    likely = nats < -tolerance.bound(10, "float32")  # more than certain
    assert finite.all() and not likely.any(), [case for case, ok in zip(cases, finite & ~likely) if not ok]


def test_centred_levels():
    assert centred(torch.tensor([0, 1], dtype=torch.uint8), 1).tolist() == [-1, 1]
    tolerance.assert_close(centred(torch.arange(256), 8, torch.double), [2 * i / 255 - 1 for i in range(256)], depth=3)


def test_distribution_of_a_config():
    assert distribution(preset("cifar10").network) == Logistics(3, 8, 10)
    assert distribution(preset("mnist").network) == Logistics(1, 8, 10)
    assert distribution(preset("mnist_binary").network) == Categorical(1)
    assert distribution(preset("celebahq").network) == Logistics(3, 5, 10)
    assert distribution(PixelCnnConfig(channels=1, bits=4, categorical=True)) == Categorical(4)
    for wrong in (dict(channels=3), dict(channels=1, bits=1, binary=True)):
        with pytest.raises(LmconvError, match="a categorical network has 1 channel"):
            PixelCnnConfig(categorical=True, **wrong)
    numbers = [distribution(preset(name).network).parameters for name in ("cifar10", "mnist", "mnist_binary")]
    assert numbers == [100, 30, 2]
    assert distribution(PixelCnnConfig(channels=1, bits=1)) == Logistics(1, 1, 10)


# Samples


def p_value(counts: torch.Tensor, expected: torch.Tensor) -> float:
    """Of Pearson's chi-square; cells that expect fewer than 5 are taken together."""
    few = expected < 5
    counts = torch.cat((counts[~few], counts[few].sum()[None])).double()
    expected = torch.cat((expected[~few], expected[few].sum()[None]))
    if expected[-1] == 0:
        counts, expected = counts[:-1], expected[:-1]
    statistic = ((counts - expected) ** 2 / expected).sum()
    return torch.special.gammaincc(torch.tensor((len(counts) - 1) / 2, dtype=torch.double), statistic / 2).item()


def draw(of, parameters: torch.Tensor, count: int, seed: int, **temperatures) -> torch.Tensor:
    """Levels [N, C] of one row of parameters, drawn as one wide image."""
    noise = of.noise(1, 1, count, torch.Generator().manual_seed(seed))
    image = parameters.view(1, -1, 1, 1).expand(-1, -1, 1, count)
    return of.sample(image, noise, **temperatures)[0, :, 0].T.long()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("channels, bits", [(1, 1), (1, 3), (1, 8), (3, 2)])
def test_samples_follow_the_distribution(channels, bits, seed):
    of, count = Logistics(channels, bits, 3), 20_000
    parameters = random_parameters(of, 1, seed)
    pixels = every_level(of)
    expected = count * torch.exp(-of.nll(parameters.expand(len(pixels), -1), pixels))
    place = 2 ** (bits * torch.arange(channels - 1, -1, -1))
    counts = torch.bincount((draw(of, parameters, count, seed) * place).sum(1), minlength=len(pixels))
    assert p_value(counts, expected) > FALSE_ALARM


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_bits_follow_the_distribution(temperature):
    parameters = torch.tensor([[0.3, -0.9]], dtype=torch.double)
    ones = draw(Categorical(1), parameters, 20_000, 0, mixture_temperature=temperature).sum()
    expected = 20_000 * torch.softmax(parameters[0] / temperature, 0)
    assert p_value(torch.stack((20_000 - ones, ones)), expected) > FALSE_ALARM


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_categories_follow_the_distribution(temperature):
    of = Categorical(3)
    parameters = torch.randn(1, 8, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    drawn = draw(of, parameters, 20_000, 0, mixture_temperature=temperature)[:, 0]
    expected = 20_000 * torch.softmax(parameters[0] / temperature, 0)
    assert p_value(torch.bincount(drawn, minlength=8), expected) > FALSE_ALARM
    assert draw(of, parameters, 3, 0, mixture_temperature=0.0).unique().tolist() == [int(parameters.argmax())]


def test_chi_square_sees_a_wrong_sampler():
    """A shift of the means by a quarter of a level, and a temperature on the wrong side."""
    of, count = Logistics(1, 3, 3), 20_000
    parameters = random_parameters(of, 1)
    parameters[:, 6:] = -1.5
    pixels = every_level(of)
    expected = count * torch.exp(-of.nll(parameters.expand(8, -1), pixels))
    shifted = parameters.clone()
    shifted[:, 3:6] += 0.25 * 2 / 7
    for wrong, temperature in ((shifted, 1.0), (parameters, 1.2)):
        counts = torch.bincount(draw(of, wrong, count, 0, logistic_temperature=temperature)[:, 0], minlength=8)
        assert p_value(counts, expected) < FALSE_ALARM


def test_mixture_temperature_divides_the_logits():
    """Three narrow components apart: each is seen as often as the tempered softmax says; means and scales stay."""
    of, count = Logistics(1, 8, 3), 20_000
    logits, at = torch.tensor([0.2, 1.0, -0.5], dtype=torch.double), torch.tensor([26, 128, 230])
    parameters = torch.cat((logits, centred(at, 8, torch.double), torch.full((3,), -7.0).double()))[None]
    for temperature in (0.4, 1.0, 3.0):
        levels = draw(of, parameters, count, 1, mixture_temperature=temperature)[:, 0]
        seen = levels // 86
        assert p_value(torch.bincount(seen, minlength=3), count * torch.softmax(logits / temperature, 0)) > FALSE_ALARM
        assert (levels - at[seen]).abs().max() <= 2  # scales of 0.12 levels
    assert (draw(of, parameters, 500, 2, mixture_temperature=0.0) // 86 == 1).all()


def test_logistic_temperature_multiplies_the_scales():
    of = Logistics(1, 8, 1)
    parameters = torch.tensor([[0.0, 0.1, -3.0]], dtype=torch.double)
    for temperature in (0.25, 1.0):
        spread = draw(of, parameters, 20_000, 0, logistic_temperature=temperature).double().std().item()
        expected = 127.5 * temperature * math.exp(-3) * math.pi / math.sqrt(3)
        assert spread == pytest.approx(expected, rel=0.05)  # of 20000 draws: eight of its own deviations
    assert draw(of, parameters, 50, 0, logistic_temperature=0.0).unique().tolist() == [round(1.1 * 127.5)]


def test_both_temperatures_zero_give_the_means_and_couplings_use_rounded_levels():
    of = Logistics(3, 2, 2)  # levels at -1, -1/3, 1/3, 1
    parameters = torch.zeros(1, of.parameters, dtype=torch.double)
    parameters[0, 1] = 1.0  # the second component is likelier
    of_second = parameters[0, 2:].view(3, 3, 2)[:, :, 1]  # channel, (mean, log-scale, coupling)
    of_second[:, 0] = torch.tensor([0.6, 0.1, -0.4])
    of_second[:, 2] = torch.atanh(torch.tensor([0.5, -0.9, 0.8], dtype=torch.double))
    # R: 0.6 -> 1/3 (level 2). G: 0.1 + 0.5/3 = 0.27 -> 1/3 (2). B: -0.4 - 0.9/3 + 0.8/3 = -0.43 -> -1/3 (1).
    levels = draw(of, parameters, 3, 0, mixture_temperature=0.0, logistic_temperature=0.0)
    assert levels.tolist() == [[2, 2, 1]] * 3
    # Unrounded, R would stay 0.6, G 0.4 and B -0.4 - 0.54 + 0.32 = -0.62: the same level by luck; with -0.5 it is not.
    of_second[2, 0] = -0.5  # rounded: -0.53 -> 1; unrounded: -0.72 -> 0
    assert draw(of, parameters, 1, 0, mixture_temperature=0.0, logistic_temperature=0.0).tolist() == [[2, 2, 1]]


@pytest.mark.parametrize("of", [Logistics(3, 8, 10), Logistics(1, 5, 4), Categorical(1), Categorical(5)])
def test_a_sample_is_a_function_of_parameters_and_noise(of):
    """Rows and images, float32 and float64 parameters: the same levels."""
    generator = torch.Generator().manual_seed(0)
    noise = of.noise(2, 3, 4, generator)
    assert noise.shape == (2, of.uniforms, 3, 4) and noise.dtype == torch.float64
    assert (noise > 0).all() and (noise < 1).all()
    parameters = torch.randn(2, of.parameters, 3, 4, generator=generator)
    levels = of.sample(parameters, noise)
    assert levels.shape == (2, of.channels, 3, 4) and levels.dtype == torch.uint8
    assert int(levels.max()) < 2**of.bits and levels.unique().numel() > 1
    assert torch.equal(of.sample(parameters.double(), noise), levels)
    rows = of.sample(*(part.permute(0, 2, 3, 1).flatten(0, 2) for part in (parameters, noise)))
    assert torch.equal(rows.view(2, 3, 4, -1).permute(0, 3, 1, 2), levels)


def test_noise_at_the_ends_of_its_range():
    for of in (Logistics(3, 8, 2), Categorical(1), Categorical(8)):
        for end in (2.0**-54, 1 - 2.0**-53):
            noise = torch.full((1, of.uniforms, 1, 1), end, dtype=torch.double)
            for temperature in (0.0, 1.0):
                of.sample(torch.zeros(1, of.parameters, 1, 1), noise, temperature)
    lowest = Logistics(1, 8, 1).sample(torch.zeros(1, 3), torch.tensor([[0.5, 2.0**-54]], dtype=torch.double))
    highest = Logistics(1, 8, 1).sample(torch.zeros(1, 3), torch.tensor([[0.5, 1 - 2.0**-53]], dtype=torch.double))
    assert (lowest.item(), highest.item()) == (0, 255)


def test_bad_temperatures():
    of, generator = Logistics(1, 8, 1), torch.Generator()
    parameters, noise = torch.zeros(1, 3, 1, 1), of.noise(1, 1, 1, generator)
    with pytest.raises(LmconvError, match="0 or more, not -1"):
        of.sample(parameters, noise, mixture_temperature=-1)
    with pytest.raises(LmconvError, match="0 or more, not nan"):
        of.sample(parameters, noise, logistic_temperature=math.nan)
    with pytest.raises(LmconvError, match="no logistic temperature: it must be 1, not 0.5"):
        Categorical(1).sample(torch.zeros(1, 2, 1, 1), noise[:, :1], logistic_temperature=0.5)


# Gaussians


@pytest.mark.parametrize("channels", [1, 3])
def test_gaussian_levels_sum_to_one(channels):
    mixture = Gaussians(channels, 4, 3)
    generator = torch.Generator().manual_seed(0)
    parameters = torch.randn(1, mixture.parameters, 2, 2, dtype=torch.double, generator=generator).repeat(16, 1, 1, 1)
    levels = torch.arange(16).view(16, 1, 1, 1).expand(16, channels, 2, 2).contiguous()
    levels[:, : channels - 1] = 5  # of colours the last channel, given the others
    masses = torch.exp(-mixture.nll(parameters, levels))
    if channels == 1:
        assert (masses.sum(0) - 1).abs().max() < 1e-9
    else:
        others = torch.exp(mixture.log_bins(parameters, levels)[:1, :2].sum(1))
        weights = torch.softmax(parameters[:1, :3], 1)
        assert (masses.sum(0) / (others * weights).sum(1)[0] - 1).abs().max() < 1e-9


def test_gaussian_masses_are_integrals_of_the_density():
    mixture = Gaussians(1, 8, 2)
    parameters = torch.tensor([0.3, -0.2, 0.1, -0.4, -2.0, -1.0], dtype=torch.double).view(1, 6, 1, 1)
    for level in (3, 100, 128, 250):
        points = (level - 0.5 + (torch.arange(2000) + 0.5) / 2000) * (2 / 255) - 1
        density = torch.exp(mixture.density(parameters, points.view(-1, 1, 1, 1).double())).mean() * 2 / 255
        mass = torch.exp(-mixture.nll(parameters, torch.tensor([[[[level]]]])))
        assert abs(density / mass - 1) < 1e-5


def test_gaussian_tails_keep_their_digits():
    """40 deviations away, on both sides, in single precision against double."""
    mixture = Gaussians(1, 8, 1)
    for mean in (-0.99, 0.99):
        parameters = torch.tensor([0.0, mean, -3.0]).view(1, 3, 1, 1)
        for level in (1, 60, 200, 254):
            levels = torch.tensor([[[[level]]]])
            one, other = mixture.nll(parameters, levels).item(), mixture.nll(parameters.double(), levels).item()
            assert math.isfinite(one) and abs(one / other - 1) < 1e-4


def test_gaussian_samples_have_the_masses():
    mixture = Gaussians(1, 3, 2)
    parameters = torch.tensor([0.5, -0.5, -0.6, 0.5, -1.0, -0.5]).view(1, 6, 1, 1)
    noise = mixture.noise(1, 1, 40_000, torch.Generator().manual_seed(0))
    levels = mixture.sample(parameters.expand(1, 6, 1, 40_000), noise)
    found = torch.bincount(levels.flatten().long(), minlength=8) / 40_000
    masses = torch.exp(-mixture.nll(parameters.expand(8, 6, 1, 1), torch.arange(8).view(8, 1, 1, 1))).flatten()
    assert (found - masses).abs().max() < 0.01
