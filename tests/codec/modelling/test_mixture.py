"""Integer probabilities: equal to a plain reference for any parameters at all, and close to the float mixture."""

from fractions import Fraction
from math import prod

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from codec.entropy.binarisation import MOST_DECISIONS, first_node
from codec.entropy.range_coder import ONE, Encoder
from codec.modelling import mixture as mixtures
from codec.modelling.mixture import cdf, explain, place, share, tables_of, weigh
from codec.tile_coders.photo import code_plain
from export.exact.tables import distribution_tables
from runtime import rules
from runtime.kernels import kernel
from tests.reference import mixture as reference
from tests.reference.mixture import Mixture
from tests.reference.range_coder import Answers

TABLES = distribution_tables()
INTEGERS = reference.integers(TABLES)
INT32 = np.iinfo(np.int32)
LIMITS = [INT32.min, INT32.min + 1, -(2**30), -32768, -16385, -8192, -256, -129, -128, -1]
LIMITS += [0, 1, 192, 193, 255, 16384, 32767, INT32.max]


def ordinary(rows: int, components: int = 3, seed: int = 0) -> np.ndarray:
    """Parameters like a trained network's, int32 [rows, 10 K]."""
    rng = np.random.default_rng(seed)

    def of(count, mean, spread):
        return rng.normal(mean, spread, (rows, count * components))

    logits, shifts, scales, couplings = of(1, 0, 64), of(3, 0, 150), of(3, 25, 30), of(3, 5120, 4480)
    return np.round(np.concatenate([logits, shifts, scales, couplings], 1)).astype(np.int32)


def some_bases(rows: int, seed: int = 1) -> np.ndarray:
    """int32 [rows, 3] in 1/64 grey level, the ends among them."""
    bases = np.random.default_rng(seed).integers(0, 255 * 64 + 1, (rows, 3)).astype(np.int32)
    bases[::7], bases[3::11] = 0, 255 * 64
    return bases


@kernel
def code_positions(parameters, bases, values, tables, mixture, residuals, coding, found):
    """Codes the three planes of each position; found [n, 3, 3 + 3 K + 257]: mean, spread and number of decisions, the
    mixture, its distribution function."""
    count = len(mixture)
    for row in range(len(parameters)):
        weigh(parameters[row], tables.exponential, mixture)
        for k in range(3):
            base, value, out = np.int64(bases[row, k]), np.int64(values[row, k]), found[row, k]
            out[0], out[1] = place(k, parameters[row], base, residuals, tables, mixture)
            for j in range(count):
                for i in range(3):
                    out[3 + 3 * j + i] = mixture[j, i]
            for v in range(257):
                out[3 + 3 * count + v] = cdf(mixture, v, tables.logistic)
            before = np.int64(coding.state[0])
            code_plain(first_node(out[0], out[1]), mixture, tables.logistic, value, coding)
            out[2] = np.int64(coding.state[0]) - before
            if k < 2:
                explain(value, tables.logistic, mixture)
            residuals[k] = value * rules.MEAN_UNIT - base


class Coded:
    """What came of positions: `plane(row, k)`."""

    def __init__(self, parameters, bases, values):
        rows, components = len(parameters), parameters.shape[1] // 10
        self.found = np.zeros((rows, 3, 3 + 3 * components + 257), np.int64)
        mixture, residuals, encoder = np.zeros((components, 3), np.int64), np.zeros(3, np.int64), Encoder(traced=True)
        encoder.reserve(rows * 3 * MOST_DECISIONS)
        code_positions(parameters, bases, values, tables_of(TABLES), mixture, residuals, encoder.coding, self.found)
        self.ends = np.cumsum(self.found[..., 2].reshape(-1))
        coded = encoder.decisions().astype(np.int64)
        self.decisions = list(zip((coded // 2 + 1).tolist(), (coded % 2).tolist()))
        self.components, self.bits = components, encoder.costs().sum()

    def plane(self, row: int, k: int):
        """Mean and spread; weights, means and inverse scales; the distribution function; (frequency, decision)s."""
        out, end = self.found[row, k], self.ends[3 * row + k]
        mixture, masses = np.split(out[3:], [3 * self.components])
        return (
            out[:2].tolist(),
            mixture.reshape(-1, 3).T.tolist(),
            masses.tolist(),
            self.decisions[end - out[2] : end],
        )


def agree(parameters, bases, values) -> None:
    """Compiled code and reference."""
    found = Coded(parameters, bases, values)
    for row, (base, value) in enumerate(zip(bases.tolist(), values.tolist())):
        position = Mixture(parameters[row], INTEGERS)
        for k in range(3):
            position.open(base[k])
            (mean, spread), (weights, means, inverses), masses, decisions = found.plane(row, k)
            assert (mean, spread) == (position.mean, position.spread)
            assert (weights, means, inverses) == (position.weights, position.means, position.inverses)
            assert masses == [position.mass(v) for v in range(257)]
            told = Answers(decision for _, decision in decisions)
            assert position.decoded(told) == value[k]
            assert told.asked == [frequency for frequency, _ in decisions]
            assert all(16 <= frequency <= ONE - 16 for frequency, _ in decisions)
            position.learn(value[k])


@pytest.mark.parametrize("components", [1, 2, 3, 10])
def test_equals_the_reference_for_ordinary_parameters(components):
    parameters, bases, rng = ordinary(40, components), some_bases(40), np.random.default_rng(2)
    values = rng.integers(0, 256, (40, 3), dtype=np.uint8)
    values[::2] = (bases // 64 + rng.integers(-3, 4, bases.shape)).clip(0, 255)[::2]
    values[5::10], values[6::10] = 0, 255
    agree(parameters, bases, values)


def test_equals_the_reference_over_all_of_int32():
    rng = np.random.default_rng(4)
    values = rng.integers(0, 256, (90, 3), dtype=np.uint8)
    parameters = np.concatenate([rng.choice(LIMITS, (60, 30)), rng.integers(INT32.min, INT32.max, (30, 30))])
    agree(parameters.astype(np.int32), some_bases(90), values)


number = st.one_of(st.sampled_from(LIMITS), st.integers(INT32.min, INT32.max), st.integers(-500, 500))
hostile = st.lists(number, min_size=20, max_size=20)
base = st.one_of(st.sampled_from([0, 1, 63, 64, 8160, 255 * 64]), st.integers(0, 255 * 64))


@settings(deadline=None, max_examples=100)
@given(hostile, st.tuples(base, base, base), st.tuples(*[st.integers(0, 255)] * 3))
def test_equals_the_reference_for_hostile_parameters(parameters, bases, values):
    """And nothing overflows: the bounds that 64-bit integers rest on, in the reference, which has no bounds."""
    agree(np.array([parameters], np.int32), np.array([bases], np.int32), np.array([values], np.uint8))
    position = Mixture(parameters, INTEGERS)
    for k in range(3):
        assert 0 < sum(position.weights) <= 1 << rules.WEIGHT_BITS
        position.open(bases[k])
        masses = [position.mass(v) for v in range(257)]
        least = sum(position.weights) << 2  # a value's uniform part
        assert masses[0] == 0 and masses[-1] < 1 << 38
        assert all(above - below >= least for below, above in zip(masses, masses[1:]))
        distances = [64 * v - 32 - mean for v in (0, 256) for mean in position.means]
        assert all(abs(distance * max(position.inverses)) < 1 << 62 for distance in distances)
        position.learn(values[k])


@kernel
def divided(a, b):
    return mixtures.divided(a, b)


below_2_53 = st.one_of(st.integers(0, 2**53 - 1), st.integers(0, 2**20), st.integers(2**53 - 100, 2**53 - 1))


@given(
    st.one_of(below_2_53, st.tuples(st.integers(1, 2**26), st.integers(1, 2**26)).map(lambda t: t[0] * t[1] - 1)),
    below_2_53.filter(bool),
)
@example(2**53 - 1, 2**53 - 2)
@example(2**53 - 1, 1)
@example(94906265**2 - 1, 94906265)
def test_divisions_by_floats_are_exact(a, b):
    for whole in (a, a // b * b, a // b * b - 1, (a // b + 1) * b - 1):  # where rounding would show first
        if 0 <= whole < 2**53:
            assert divided(whole, b) == whole // b and divided(-whole, b) == -(whole // b)


@kernel
def curve(mixture, low, size, logistic, out):
    mixtures.curve(mixture, low, size, logistic, out)


@pytest.mark.parametrize("kind", ["ordinary", "hostile"])
def test_a_curve_is_the_distribution_function_at_consecutive_values(kind):
    rng = np.random.default_rng(14)
    for trial in range(40):
        parameters = ordinary(1, seed=trial)[0] if kind == "ordinary" else rng.choice(LIMITS, 30).astype(np.int32)
        base = int(some_bases(1, trial)[0, 0]) if trial % 3 else (trial % 2) * 255 * 64
        position = Mixture(parameters, INTEGERS)
        position.open(base)
        mixture = np.array(list(zip(position.weights, position.means, position.inverses)), np.int64)
        low, out = int(rng.choice([0, 1, 100, 228, 250, 255])), np.full(300, -1, np.int64)
        for size in {1, min(2, 256 - low), min(28, 256 - low), 256 - low}:
            curve(mixture, low, size, TABLES["logistic"], out)
            assert out[: size + 1].tolist() == [position.mass(v) for v in range(low, low + size + 1)]


@kernel
def shared(part, whole):
    return share(part, whole)


def test_shares():
    """Rounded down, never certain, for masses below 2^38."""
    whole = (1 << 38) - 1
    assert shared(1 << 36, 1 << 37) == ONE // 2 and shared(1, 3) == ONE // 3
    assert shared(0, whole) == shared(0, 1) == 16 and shared(whole, whole) == shared(1, 1) == ONE - 16
    assert shared(whole - 1, whole) == ONE - 16 and shared(whole // 3 * 2, whole) == ONE * (whole // 3 * 2) // whole


@kernel
def odds(log_odds, logistic, out):
    for i in range(len(log_odds)):
        out[i] = mixtures.odds(log_odds[i], logistic)


def test_odds_of_binary_pixels():
    """Equal to the reference's, near the logistic function, and never certain."""
    rng = np.random.default_rng(3)
    extremes = [0, 1, -1, 16383, 16384, -16383, -16384, *LIMITS]
    near, steps = rng.integers(-17_000, 17_000, 3000), np.arange(-12 * 1024, 12 * 1024, 7)
    log_odds = np.concatenate([extremes, rng.integers(INT32.min, INT32.max, 100), near, steps]).astype(np.int32)
    found, logistic = np.zeros(len(log_odds), np.int64), TABLES["logistic"].tolist()
    odds(log_odds, TABLES["logistic"], found)
    assert found.tolist() == [reference.odds(x, logistic) for x in log_odds.tolist()]
    exact = 1 / (1 + np.exp(-log_odds.clip(-16384, 16384) / rules.LOG_ODDS_UNIT))
    np.testing.assert_allclose(found / ONE, exact, atol=4e-6)
    assert 16 <= found.min() and found.max() <= ONE - 16 and found[0] == ONE // 2


def distribution(parameters, bases, before, number=float) -> list:
    """Probability of each value of plane len(before) from the compiled code, multiplied along the decisions."""
    k, values = len(before), np.zeros((256, 3), np.uint8)
    values[:, :k], values[:, k] = before, np.arange(256)
    found = Coded(np.repeat(parameters[None], 256, 0), np.repeat(bases[None], 256, 0), values)
    paths = [found.plane(v, k)[3] for v in range(256)]
    return [prod(number(q if symbol else ONE - q) / ONE for q, symbol in path) for path in paths]


@pytest.mark.parametrize("kind", ["ordinary", "hostile"])
def test_a_distribution_sums_to_one_and_is_the_masses(kind):
    rng = np.random.default_rng(5)
    for trial in range(12):
        parameters = ordinary(1, seed=trial)[0] if kind == "ordinary" else rng.choice(LIMITS, 30).astype(np.int32)
        bases, before = some_bases(1, trial)[0], rng.integers(0, 256, trial % 3)
        found, position = distribution(parameters, bases, before, Fraction), Mixture(parameters, INTEGERS)
        assert sum(found) == 1
        for value, base in zip(before.tolist(), bases.tolist()):
            position.open(base)
            position.learn(value)
        position.open(int(bases[len(before)]))
        masses = [position.mass(v) for v in range(257)]
        for v in range(256):
            exact = Fraction(masses[v + 1] - masses[v], masses[256])
            # Every decision is rounded down by less than 2^-24 and moved by the limits by less than 2^-20.
            assert abs(found[v] - exact) < Fraction(22 * 17, ONE)
            assert found[v] >= Fraction(16, ONE) / 2


def float_distributions(parameters, bases, pixel) -> list[np.ndarray]:
    """p(red), p(green | red), p(blue | red, green) of lmconv's mixture, float64 [256] each."""
    import torch

    from export.photo.network import output_units
    from lmconv.networks import likelihood

    units = torch.from_numpy(output_units(len(parameters) // 10))
    network = (torch.from_numpy(parameters.astype(float)) / units).float().view(1, -1, 1, 1)
    logits, shifts, scales, couplings = (part.double() for part in likelihood.split(network))
    base = torch.from_numpy(bases / 64).view(1, 3, 1, 1)
    residual = torch.from_numpy(pixel.astype(float)).view(1, 3, 1, 1) - base
    means = likelihood.means(residual, shifts, couplings)
    log_weights, values = torch.log_softmax(logits, 1)[0, :, 0, 0], torch.arange(256.0, dtype=torch.float64)
    found = []
    for k in range(3):
        mean, scale = (part[0, k, :, 0] for part in (means, scales))
        bins = likelihood.log_bin(values - base[0, k, 0, 0], values, mean, scale)  # [K, 256]
        total = torch.logsumexp(log_weights, 0)
        found.append(torch.exp(torch.logsumexp(log_weights[:, None] + bins, 0) - total).numpy())
        log_weights = log_weights + bins[:, int(pixel[k])]
    return found


def sampled(parameters, bases, rng) -> np.ndarray:
    """A pixel drawn from the float mixture, channel by channel."""
    pixel = np.zeros(3, np.uint8)
    for k in range(3):
        p = float_distributions(parameters, bases, pixel)[k]
        pixel[k] = rng.choice(256, p=p / p.sum())
    return pixel


def test_conditionals_are_close_to_the_float_mixture():
    """Kullback-Leibler distance of a channel's distribution given the channels before: under 0.1 % of the entropy."""
    rng, trials = np.random.default_rng(6), 40
    distance, entropy = np.zeros(3), np.zeros(3)
    for trial in range(trials):
        parameters, bases = ordinary(1, seed=100 + trial)[0], some_bases(2, trial)[1]
        pixel = sampled(parameters, bases, rng)
        for k, p in enumerate(float_distributions(parameters, bases, pixel)):
            np.testing.assert_allclose(p.sum(), 1, atol=1e-4)
            q = np.array(distribution(parameters, bases, pixel[:k]))
            distance[k] += (p * np.log2(np.maximum(p, 1e-300) / q)).sum()
            entropy[k] -= (p * np.log2(np.maximum(p, 1e-300))).sum()
    assert (entropy / trials > 1).all()
    assert (distance < 1e-3 * entropy).all(), distance / entropy


def test_conditionals_multiply_to_the_joint():
    """Bits of whole pixels against lmconv's own likelihood of them, in total and one by one."""
    import torch

    from export.photo.network import output_units
    from lmconv.networks import likelihood

    rng, count = np.random.default_rng(7), 150
    parameters, bases = ordinary(count, seed=8), some_bases(count, 9)
    pixels = np.stack([sampled(p, b, rng) for p, b in zip(parameters, bases)])
    found = np.array([Coded(*(part[i : i + 1] for part in (parameters, bases, pixels))).bits for i in range(count)])
    network = torch.from_numpy(parameters / output_units(3)).float().view(count, 30, 1, 1)
    planes, starts = (torch.from_numpy(part).float().view(count, 3, 1, 1) for part in (pixels, bases / 64))
    exact = likelihood.nll(planes, starts, network).double().view(-1).numpy() / np.log(2)
    assert exact.mean() > 6
    assert abs(found.sum() / exact.sum() - 1) < 1e-3
    assert (abs(found - exact) < 0.02 * exact + 0.02).all()


def test_a_coupling_moves_the_mean_with_the_residual_before():
    """Green follows red by half of what red was off, blue follows green; checked where the probability peaks."""
    parameters = np.zeros(10, np.int32)
    parameters[4:7] = -64  # narrow: a scale of exp(-2) grey levels
    parameters[7], parameters[9] = 4096, -8192  # half of red's residual, minus green's
    bases = np.full(3, 100 * 64, np.int32)
    peaks = [int(np.argmax(distribution(parameters, bases, before))) for before in ((), (120,), (120, 115))]
    assert peaks == [100, 110, 85]
