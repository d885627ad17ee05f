"""Secondary estimation: equal to a plain reference, bounded, near what came; fresh estimates change nothing."""

import numpy as np

from codec.modelling.logistic import LIMIT, SQUASH
from codec.modelling.secondary import correct, estimate, secondary
from runtime.kernels import kernel
from tests.reference.estimates import Knots


@kernel
def refined(state, contexts, logits, symbols, seen):
    """Estimates and learns one decision after another."""
    for i in range(len(logits)):
        seen[i] = estimate(state, contexts[i], logits[i])
        correct(state, contexts[i], logits[i], symbols[i])


def learned(state, contexts, logits, symbols) -> list[int]:
    seen = np.zeros(len(logits), np.int64)
    refined(state, *(np.asarray(part, np.int64) for part in (contexts, logits, symbols)), seen)
    return seen.tolist()


def test_equals_the_reference():
    rng, count = np.random.default_rng(0), 4000
    contexts, symbols = rng.integers(0, 3, count), rng.random(count) < 0.8
    logits = np.where(rng.random(count) < 0.2, rng.choice([-LIMIT, LIMIT, 0, 63, 64, 65], count), 0)
    logits += np.where(logits == 0, rng.integers(-LIMIT, LIMIT + 1, count), 0)
    state, told = secondary(3), [Knots() for _ in range(3)]
    for found, at, logit, symbol in zip(learned(state, contexts, logits, symbols), contexts, logits, symbols):
        assert found == told[at].estimate(int(logit))
        told[at].learn(int(symbol))
    assert state.knots.tolist() == [each.knots for each in told]


def test_fresh_estimates_are_the_probabilities():
    logits = np.arange(-LIMIT, LIMIT + 1)
    state = secondary(len(logits))  # one for each, so that nothing is learned in between
    found = np.array(learned(state, np.arange(len(logits)), logits, logits > 0))
    assert (abs(found / 256 - SQUASH) < 0.005 * 65536).all()
    knots = logits % 128 == 0
    np.testing.assert_array_equal(found[knots], SQUASH[knots].astype(int) << 8)
    assert (np.diff(found) >= 0).all()


def test_estimates_stay_within_bounds_and_come_near_what_came():
    for symbol in (0, 1):
        for logit in (-LIMIT, -1, 1000, LIMIT):
            state, count = secondary(1), 5000
            found = learned(state, np.zeros(count), np.full(count, logit), np.full(count, symbol))
            assert 0 <= min(found) and max(found) <= 1 << 24
            assert 0 <= state.knots.min() and state.knots.max() <= 1 << 24
    state, often = secondary(1), np.arange(4000) % 10 == 0
    found = learned(state, np.zeros(4000), np.full(4000, 512), often)  # squash(512) is 0.88; one in ten came
    assert abs(np.mean(found[2000:]) / (1 << 24) - 0.1) < 0.02
