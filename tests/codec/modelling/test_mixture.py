"""Integer probabilities: equal to a plain reference for any parameters at all, and close to the float mixture."""
from fractions import Fraction
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec.coder import ONE
from codec.mixture import Mixture, cdf, curve
from export.tables import distribution_tables
from runtime import rules
from tests.codec.reference_mixture import Position, splits

TABLES = distribution_tables()
INT32 = np.iinfo(np.int32)
LIMITS = [INT32.min, INT32.min + 1, -(2**30), -32768, -16385, -8192, -256, -129, -128, -1,
          0, 1, 192, 193, 255, 16384, 32767, INT32.max]


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


def rounds(parameters, bases, values, decode=False, mixture=None, fixed=None):
    """Every call's (frequencies, symbols) of one level as lists, per channel; when decoding the symbols are put in.

    fixed: bool [rows, 3], the values that are known already."""
    mixture = mixture or Mixture(len(parameters), parameters.shape[1] // 10, TABLES)
    mixture.weigh(parameters)
    truth = iter(rounds(parameters, bases, values, fixed=fixed)) if decode else None
    told_before = np.where(False if fixed is None else fixed, values.astype(np.int16), np.int16(-1))
    found = []
    for k in range(3):
        known = np.zeros(len(values), np.uint8) if decode else values[:, k]
        base, calls = np.ascontiguousarray(bases[:, k]), []
        told = iter(next(truth)) if decode else None
        frequencies, symbols = mixture.open(k, base, known, np.ascontiguousarray(told_before[:, k]))
        while len(symbols):
            if decode:
                symbols[:] = next(told)[1]
            calls.append((frequencies.tolist(), symbols.tolist()))
            frequencies, symbols = mixture.decide(len(symbols), known)
        out = np.empty(len(values), np.uint8)
        mixture.learn(k, base, out)
        np.testing.assert_array_equal(out, values[:, k])
        found.append(calls)
    return found


def expected(parameters, bases, values, fixed=None):
    """The same from the reference: round by round, positions in order."""
    found = [[], [], []]
    fixed = np.zeros(values.shape, bool) if fixed is None else fixed
    for row, base, value, known in zip(parameters, bases.tolist(), values.tolist(), fixed):
        position = Position(row, TABLES)
        for k in range(3):
            position.open(base[k])
            found[k].append([] if known[k] else position.decisions(value[k]))
            position.learn(value[k], base[k])
    return [[tuple(list(part) for part in zip(*[path[i] for path in paths if i < len(path)]))
             for i in range(max(map(len, paths), default=0))] for paths in found]


@pytest.mark.parametrize("components", [1, 2, 3, 10])
def test_equals_the_reference_for_ordinary_parameters(components):
    parameters, bases = ordinary(150, components), some_bases(150)
    values = np.random.default_rng(2).integers(0, 256, (150, 3), dtype=np.uint8)
    near = (bases // 64 + np.random.default_rng(3).integers(-3, 4, bases.shape)).clip(0, 255).astype(np.uint8)
    for value in (values, near, np.full_like(values, 0), np.full_like(values, 255)):
        assert rounds(parameters, bases, value) == expected(parameters, bases, value)


@pytest.mark.parametrize("decode", [False, True], ids=["encoding", "decoding"])
def test_equals_the_reference_where_values_are_known_already(decode):
    """They take no decisions, and the channels after them are weighted as if they had been coded."""
    parameters, bases, rng = ordinary(90), some_bases(90), np.random.default_rng(13)
    values = rng.integers(0, 256, (90, 3), dtype=np.uint8)
    values[::9] = 0
    for fixed in (rng.random((90, 3)) < 0.4, np.repeat(rng.random((90, 1)) < 0.5, 3, 1), np.ones((90, 3), bool)):
        found = rounds(parameters, bases, values, decode, fixed=fixed)
        assert found == expected(parameters, bases, values, fixed)
    assert found == [[], [], []]


def test_equals_the_reference_over_all_of_int32():
    rng = np.random.default_rng(4)
    values = rng.integers(0, 256, (300, 3), dtype=np.uint8)
    parameters = np.concatenate([rng.choice(LIMITS, (200, 30)), rng.integers(INT32.min, INT32.max, (100, 30))])
    bases = some_bases(300)
    assert rounds(parameters.astype(np.int32), bases, values) == expected(parameters, bases, values)


hostile = st.lists(st.one_of(st.sampled_from(LIMITS), st.integers(INT32.min, INT32.max), st.integers(-500, 500)),
                   min_size=20, max_size=20)
base = st.one_of(st.sampled_from([0, 1, 63, 64, 8160, 255 * 64]), st.integers(0, 255 * 64))


@settings(deadline=None, max_examples=200)
@given(hostile, st.tuples(base, base, base), st.tuples(*[st.integers(0, 255)] * 3))
def test_equals_the_reference_for_hostile_parameters(parameters, bases, values):
    parameters, bases = np.array([parameters], np.int32), np.array([bases], np.int32)
    values = np.array([values], np.uint8)
    found = rounds(parameters, bases, values)
    assert found == expected(parameters, bases, values)
    assert all(16 <= frequency <= ONE - 16 for calls in found for frequencies, _ in calls for frequency in frequencies)


@settings(deadline=None, max_examples=60)
@given(hostile, st.tuples(base, base, base), st.tuples(*[st.integers(0, 255)] * 3))
def test_nothing_overflows_whatever_the_parameters(parameters, bases, values):
    """The bounds that the kernels' 64-bit integers rest on, looked up in the reference, which has no bounds."""
    position = Position(parameters, TABLES)
    for k in range(3):
        assert 0 < sum(position.weights) <= 1 << rules.WEIGHT_BITS
        position.open(bases[k])
        masses = [position.mass(v) for v in range(257)]
        least = sum(position.weights) << 2                  # a value's uniform part
        assert masses[0] == 0 and masses[-1] < 1 << 38
        assert all(above - below >= least for below, above in zip(masses, masses[1:]))
        assert all(abs((64 * v - 32 - m) * i) < 1 << 62 for v in (0, 256)
                   for m, i in zip(position.means, position.inverses))
        position.learn(values[k], bases[k])


@pytest.mark.parametrize("kind", ["ordinary", "hostile"])
def test_a_curve_is_the_distribution_function_at_consecutive_values(kind):
    rng = np.random.default_rng(14)
    for trial in range(40):
        parameters = ordinary(1, seed=trial)[0] if kind == "ordinary" else rng.choice(LIMITS, 30).astype(np.int32)
        base = int(some_bases(1, trial)[0, 0]) if trial % 3 else (trial % 2) * 255 * 64
        position = Position(parameters, TABLES)
        position.open(base)
        components = np.array([list(zip(position.weights, position.means, position.inverses))], np.int64)
        logistic, out = TABLES["logistic"], np.empty((1, 1, 257), np.int64)
        low = int(rng.choice([0, 1, 100, 228, 250, 255]))
        for size in (1, 2, min(28, 256 - low), 256 - low):
            curve(components, 0, low, min(size, 256 - low), logistic, out)
            size = min(size, 256 - low)
            assert out[0, 0, :size + 1].tolist() == [position.mass(v) for v in range(low, low + size + 1)]
            assert out[0, 0, 0] == cdf(components, 0, low, logistic)


def distribution(parameters, bases, before) -> list[Fraction]:
    """Probability of each value of plane len(before) from the compiled code, multiplied along the decisions."""
    k = len(before)
    values = np.zeros((256, 3), np.uint8)
    values[:, :k], values[:, k] = before, np.arange(256)
    calls = rounds(np.repeat(parameters[None], 256, 0), np.repeat(bases[None], 256, 0), values)[k]
    paths = [[] for _ in range(256)]
    active = range(256)
    position = Position(parameters, TABLES)
    for i in range(k + 1):
        position.open(int(bases[i]))
        if i < k:
            position.learn(int(before[i]), int(bases[i]))
    depths = [len(list(splits(v, position.mean, position.deviation))) for v in range(256)]
    for i, (frequencies, symbols) in enumerate(calls):
        active = [v for v in active if depths[v] > i]
        for v, frequency, symbol in zip(active, frequencies, symbols):
            paths[v].append(Fraction(frequency if symbol else ONE - frequency, ONE))
    return [prod(path) for path in paths], position


@pytest.mark.parametrize("kind", ["ordinary", "hostile"])
def test_a_distribution_sums_to_one_and_is_the_masses(kind):
    rng = np.random.default_rng(5)
    for trial in range(12):
        parameters = ordinary(1, seed=trial)[0] if kind == "ordinary" else rng.choice(LIMITS, 30).astype(np.int32)
        bases, before = some_bases(1, trial)[0], rng.integers(0, 256, trial % 3)
        found, position = distribution(parameters, bases, before)
        assert sum(found) == 1
        masses = [position.mass(v) for v in range(257)]
        for v in range(256):
            exact = Fraction(masses[v + 1] - masses[v], masses[256])
            # Every decision is rounded down by less than 2^-24 and moved by the limits by less than 2^-20.
            assert abs(found[v] - exact) < Fraction(22 * 17, ONE)
            assert found[v] >= Fraction(16, ONE) / 2


def float_distributions(parameters, bases, pixel) -> list[np.ndarray]:
    """p(red), p(green | red), p(blue | red, green) of lmconv's mixture, float64 [256] each."""
    import torch

    from export.quantise import output_units
    from lmconv import likelihood
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
        bins = likelihood.log_bin(values - base[0, k, 0, 0], values, mean, scale)           # [K, 256]
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
    rng = np.random.default_rng(6)
    distance, entropy = np.zeros(3), np.zeros(3)
    for trial in range(60):
        parameters, bases = ordinary(1, seed=100 + trial)[0], some_bases(2, trial)[1]
        pixel = sampled(parameters, bases, rng)
        for k, p in enumerate(float_distributions(parameters, bases, pixel)):
            np.testing.assert_allclose(p.sum(), 1, atol=1e-4)
            q = np.array([float(x) for x in distribution(parameters, bases, pixel[:k])[0]])
            distance[k] += (p * np.log2(np.maximum(p, 1e-300) / q)).sum()
            entropy[k] -= (p * np.log2(np.maximum(p, 1e-300))).sum()
    assert (entropy / 60 > 1).all()
    assert (distance < 1e-3 * entropy).all(), distance / entropy


def test_conditionals_multiply_to_the_joint():
    """Bits of whole pixels against lmconv's own likelihood of them, in total and one by one."""
    import torch

    from export.quantise import output_units
    from lmconv import likelihood
    rng, count = np.random.default_rng(7), 250
    parameters, bases = ordinary(count, seed=8), some_bases(count, 9)
    pixels = np.stack([sampled(p, b, rng) for p, b in zip(parameters, bases)])
    found = np.array([bits_of(p, b, pixel) for p, b, pixel in zip(parameters, bases, pixels)])
    network = torch.from_numpy(parameters / output_units(3)).float().view(count, 30, 1, 1)
    nats = likelihood.nll(torch.from_numpy(pixels).float().view(count, 3, 1, 1),
                          torch.from_numpy(bases / 64).float().view(count, 3, 1, 1), network)
    exact = nats.double().view(-1).numpy() / np.log(2)
    assert exact.mean() > 6
    assert abs(found.sum() / exact.sum() - 1) < 1e-3
    assert (abs(found - exact) < 0.02 * exact + 0.02).all()


def bits_of(parameters, bases, pixel) -> float:
    mixture = Mixture(1, len(parameters) // 10, TABLES)
    calls = rounds(parameters[None], bases[None], pixel[None], mixture=mixture)
    bits = -sum(np.log2((f[0] if s[0] else ONE - f[0]) / ONE) for channel in calls for f, s in channel)
    assert mixture.bits[0] == pytest.approx(bits, rel=1e-12)
    return bits


def test_the_decoder_sees_the_same_frequencies():
    """Its values are anything; only the symbols tell."""
    parameters, bases = ordinary(80), some_bases(80)
    values = np.random.default_rng(10).integers(0, 256, (80, 3), dtype=np.uint8)
    assert rounds(parameters, bases, values, decode=True) == rounds(parameters, bases, values)


def test_levels_of_other_sizes_leave_nothing_behind():
    """One Mixture serves all levels of a tile, the long ones and the short ones."""
    mixture, rng = Mixture(50, 3, TABLES), np.random.default_rng(11)
    for rows in (50, 1, 17, 50, 3):
        parameters, bases = ordinary(rows, seed=rows), some_bases(rows, rows)
        values = rng.integers(0, 256, (rows, 3), dtype=np.uint8)
        assert rounds(parameters, bases, values, mixture=mixture) == rounds(parameters, bases, values)


def test_rows_do_not_touch_each_other():
    parameters, bases = ordinary(20), some_bases(20)
    values = np.random.default_rng(12).integers(0, 256, (20, 3), dtype=np.uint8)
    whole = rounds(parameters, bases, values)
    for row in (0, 7, 19):
        alone = rounds(parameters[row:row + 1], bases[row:row + 1], values[row:row + 1])
        for k in range(3):
            assert alone[k][0] == ([whole[k][0][0][row]], [whole[k][0][1][row]])


def test_a_coupling_moves_the_mean_with_the_residual_before():
    """Green follows red by half of what red was off, blue follows green; checked where the probability peaks."""
    parameters = np.zeros((1, 10), np.int32)
    parameters[0, 4:7] = -64                                # narrow: a scale of exp(-2) grey levels
    parameters[0, 7], parameters[0, 9] = 4096, -8192        # half of red's residual, minus green's
    bases = np.full((1, 3), 100 * 64, np.int32)
    peaks = [int(np.argmax([float(p) for p in distribution(parameters[0], bases[0], before)[0]]))
             for before in ((), (120,), (120, 115))]
    assert peaks == [100, 110, 85]
