"""Residual histograms: counts that rise, shares strictly inside, halving, and what they start with."""

import numpy as np
import pytest

from codec.entropy.binarisation import HALVING, Node
from codec.modelling import histograms as residuals
from codec.modelling.histograms import BINS, CLASSES, COST_CLASS, histograms
from codec.modelling.logistic import HISTOGRAMS
from codec.modelling.simple import simple
from runtime.kernels import kernel
from tests.reference.histograms import Histograms, cost_class, error_class, log2

MOST = 25600
INTERVALS = [(0, 1, 256), (0, 255, 256), (0, 128, 256), (90, 95, 120), (100, 101, 102), (254, 255, 256), (0, 1, 2)]


@kernel
def opened(k, predictions, cost, state):
    residuals.open_histograms(k, predictions, cost, state)


@kernel
def told(node, away, state, out):
    for end, value in ((0, node.low), (1, node.split), (2, node.high)):
        residuals.locate(value, state, state.below[end])
    residuals.tell(node, away, state, out)


@kernel
def counted(value, state):
    residuals.count_value(value, state)


@kernel
def logarithm(n):
    return residuals.log2(np.int32(n))


def of(state, q: int) -> np.ndarray:
    """Counts of the histogram that is open for number q."""
    return state.counts[state.rows[q] : state.rows[q] + BINS + 1].astype(int)


def test_what_they_start_with():
    state = histograms(3, 2)
    counts = state.counts.reshape(3, 5, CLASSES, -1)
    for k in range(3):
        np.testing.assert_array_equal(counts[k, :3, :, : BINS + 1], np.repeat(HISTOGRAMS[:1], 3, 0))
        np.testing.assert_array_equal(counts[k, 3:, :, : BINS + 1], np.repeat(HISTOGRAMS[1:], 2, 0))
    assert (np.diff(HISTOGRAMS.astype(int)) >= 0).all()
    assert (HISTOGRAMS[..., 0] == 0).all() and (HISTOGRAMS[..., BINS] == 384).all()
    middle = HISTOGRAMS[..., BINS // 2]
    assert (abs(middle.astype(int) - 192) <= 1).all()  # as likely above as below


def test_classes_are_the_references():
    assert COST_CLASS.tolist() == [cost_class(cost) for cost in range(1024)] and COST_CLASS.max() < CLASSES
    state, predictions = histograms(1, 0), simple(1, 1, 4)
    seen = []
    for near in range(8 * 255 + 1):
        predictions.near[0] = near
        opened(0, predictions, 0, state)
        seen.append(int(state.rows[0]) // (len(state.counts) // (3 * CLASSES)))
    assert seen == [error_class(near) for near in range(8 * 255 + 1)] and max(seen) < CLASSES


@pytest.mark.parametrize("seed", range(4))
def test_equals_the_reference_and_stays_in_range(seed):
    """Any predictions and values, until everything has been halved several times."""
    rng, count, twice = np.random.default_rng(seed), 6, 3
    predictions, state, reference = simple(1, 1, count), histograms(count, twice), Histograms(twice)
    values = (rng.integers(0, 256, 3), [0], [255], [7, 7, 7, 8])[seed]
    for step in range(900):
        predictions.predictions[:] = rng.integers(-800, 1825, count) if step % 3 == 0 else 4 * 7 + rng.integers(-9, 9)
        predictions.near[:] = rng.choice([0, 15, 16, 200, 900, 2040]) if step % 5 == 0 else 60
        k, cost, value = step % 2, int(rng.integers(0, 15)), int(rng.choice(values))
        opened(k, predictions, np.int32(cost), state)
        reference.open(k, predictions.predictions.tolist(), predictions.near.tolist(), cost)
        low, split, high = INTERVALS[step % len(INTERVALS)]
        upper, out = bool(step % 4 < 2), np.zeros(2 * (count + twice), np.int16)
        told(Node(low, high, 128, 0, HALVING, 0, split), upper, state, out)
        assert out.tolist() == reference.inputs(low, split, high, upper)
        assert (abs(out[: count + twice]) <= 4915).all() and (abs(out[count + twice :]) < 4096).all()
        counted(value, state)
        reference.learn(value)
    for (k, q, by_cost, kind), histogram in reference.all.items():
        counts = state.counts.reshape(3, count + twice, CLASSES, -1)[k, q + count * by_cost, kind].astype(int)
        assert counts[: BINS + 1].tolist() == histogram.counts.tolist()
        assert (np.diff(counts) >= 0).all() and (counts[BINS:] == counts[BINS]).all() and counts[BINS] <= MOST


def test_a_value_counts_once_and_all_halve_when_there_are_many():
    predictions, state = simple(1, 1, 4), histograms(1, 0)
    predictions.predictions[:], predictions.near[:] = 4 * 100, 60
    opened(0, predictions, np.int32(0), state)
    before = of(state, 0)
    counted(100, state)
    added = of(state, 0) - before
    assert added.tolist() == np.clip((np.arange(BINS + 1) - 62) * 16, 0, 64).tolist()  # two quarters below, two above
    while of(state, 0)[BINS] <= MOST - 64:
        counted(103, state)
    full = of(state, 0)
    counted(255, state)
    expected = full + np.clip((np.arange(BINS + 1) - 124) * 16, 0, 64)
    assert of(state, 0).tolist() == (expected >> (expected[BINS] > MOST)).tolist()


def test_logarithms():
    numbers = [*range(1, 5000), *np.random.default_rng(0).integers(1, 1 << 20, 5000).tolist(), (1 << 20) - 1]
    found = np.array([logarithm(n) for n in numbers]) - 127 * 4096
    assert found.tolist() == [log2(n) for n in numbers]
    np.testing.assert_allclose(found / 4096, np.log2(numbers), atol=5e-3)
