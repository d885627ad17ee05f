"""Adaptive probabilities: equal to a plain reference, bounded, and near how often something came."""

import numpy as np
import pytest

from codec.modelling.adaptive import adapt, adaptive, probability
from runtime.kernels import kernel
from tests.reference.estimates import Chance


@kernel
def adapted(state, places, symbols, seen):
    """Learns one symbol after another; seen[i]: the probability before, out of 2^16."""
    for i in range(len(places)):
        seen[i] = probability(state, places[i])
        adapt(state, places[i], symbols[i])


def learned(state, places, symbols) -> list[int]:
    seen = np.zeros(len(places), np.int64)
    adapted(state, np.asarray(places, np.int64), np.asarray(symbols, np.int64), seen)
    return seen.tolist()


@pytest.mark.parametrize("chance", [0, 0.003, 0.5, 0.9, 1])
def test_equals_the_reference(chance):
    rng, count = np.random.default_rng(0), 4
    state, told = adaptive(count), [Chance() for _ in range(count)]
    places, symbols = rng.integers(0, count, 3000), rng.random(3000) < chance
    for found, at, symbol in zip(learned(state, places, symbols), places, symbols):
        assert found == told[at].p >> 6
        told[at].learn(int(symbol))
    assert state.probabilities.tolist() == [each.p for each in told]
    assert state.visits.tolist() == [250] * count


def test_a_new_one_knows_nothing_and_never_becomes_certain():
    state = adaptive(3)
    assert learned(state, [0, 1, 2], [0, 0, 0]) == [32768] * 3
    for symbol, end in ((1, (1 << 22) - 1), (0, 0)):
        learned(state, np.zeros(20_000), np.full(20_000, symbol))
        assert abs(int(state.probabilities[0]) - end) < 1 << 10
        assert 0 <= state.probabilities[0] < 1 << 22


def test_it_counts_at_first():
    """The first hundred visits: the probability is (ones + 1/2 or so) in a hundred."""
    state = adaptive(1)
    learned(state, np.zeros(100), np.arange(100) % 4 == 0)
    assert abs(state.probabilities[0] / (1 << 22) - 0.25) < 0.02
