"""The mixer: equal to a plain reference from any state, bounded, and it learns which inputs to believe."""

import numpy as np
import pytest

from codec.modelling.mixer import UNIT_BITS, WEIGHT_LIMIT, adjust, equal, mix, mixer, squash, stretch
from runtime.kernels import kernel
from tests.reference import numbers
from tests.reference.mixer import Mixer

INPUTS, SIZES, PLACES = 16, (5, 3, 4), 3  # vectors of three sets
FIRST = np.cumsum((0, *SIZES))
RATES = np.array([60000, 3000, 1310, 262])


@kernel
def mixed(state, place):
    return mix(state, place)


@kernel
def adjusted(state, place, probability, symbol):
    adjust(state, place, probability, symbol)


@kernel
def squashed(logit):
    return squash(logit)


@kernel
def stretched(probability):
    return stretch(probability)


def both(weights, final, rates=RATES):
    """A mixer and the reference, from the same start."""
    starts = (lambda at, table=table: table[at].tolist() for table in (weights, final))
    told = Mixer(*starts, lambda visits: int(rates[min(visits, len(rates) - 1)]), 131)
    return mixer(weights, final, rates, 131), told


def decide(state, told, inputs, vectors, place, symbol) -> None:
    """One decision by both."""
    state.inputs[:], state.selected[:] = inputs, vectors
    logit = mixed(state, place)
    assert logit == told.mix([int(x) for x in inputs], vectors, place)
    assert state.outputs.tolist() == told.outputs
    adjusted(state, place, squashed(logit), symbol)
    told.learn(symbol)


def same_state(state, told) -> None:
    for vector, weights in told.weights.items():
        assert state.weights[vector].tolist() == weights and state.visits[vector] == told.visits[vector]
    for place, final in told.final.items():
        assert state.final[place].tolist() == final
    assert abs(state.weights).max() <= WEIGHT_LIMIT and abs(state.final).max() <= WEIGHT_LIMIT


@pytest.mark.parametrize("start", ["plain", "anything", "at the limits"])
@pytest.mark.parametrize("inputs", ["anything", "at the limits", "the same"])
def test_equals_the_reference(start, inputs):
    rng = np.random.default_rng(0)
    shapes = (int(FIRST[-1]), INPUTS), (PLACES, len(SIZES))
    weights, final = {
        "plain": lambda: (np.full(shapes[0], 6553), equal(*shapes[1])),
        "anything": lambda: [rng.integers(-WEIGHT_LIMIT, WEIGHT_LIMIT + 1, shape) for shape in shapes],
        "at the limits": lambda: [rng.choice([-WEIGHT_LIMIT, WEIGHT_LIMIT], shape) for shape in shapes],
    }[start]()
    state, told = both(weights, final)
    for _ in range(250):
        made = {
            "anything": lambda: rng.integers(-2047, 2048, INPUTS),
            "at the limits": lambda: rng.choice([-2047, 2047], INPUTS),
            "the same": lambda: np.full(INPUTS, rng.choice([-2047, 0, 2047])),
        }[inputs]()
        vectors = [int(FIRST[s] + rng.integers(size)) for s, size in enumerate(SIZES)]
        decide(state, told, made, vectors, int(rng.integers(PLACES)), int(rng.integers(2)))
        same_state(state, told)


@pytest.mark.parametrize("sign", [-1, 1])
def test_weights_stop_at_their_limits(sign):
    """Every decision takes them further out."""
    near = sign * (WEIGHT_LIMIT - 1000)
    state, told = both(np.full((1, INPUTS), near), np.full((1, 1), near), np.array([1 << 16]))
    for i in range(100):
        decide(state, told, np.full(INPUTS, 2047 if i % 2 else -2047), [0], 0, i % 2 if sign > 0 else 1 - i % 2)
        same_state(state, told)
    assert (state.weights == sign * WEIGHT_LIMIT).all()


def test_it_learns_whom_to_believe():
    """One input that knows, fifteen that guess: its weights grow, the mixed probability follows."""
    rng = np.random.default_rng(1)
    weights = np.full((1, INPUTS), (1 << UNIT_BITS) // INPUTS)
    state, spent = mixer(weights, equal(1, 1), np.maximum(262, 65536 // (np.arange(1024) + 50)), 20), []
    for symbol in rng.integers(0, 2, 3000).tolist():
        state.inputs[:] = rng.integers(-600, 601, INPUTS)
        state.inputs[3] = 500 if symbol else -500
        probability = squashed(mixed(state, 0))
        spent.append(-np.log2((probability if symbol else 65536 - probability) / 65536))
        adjusted(state, 0, probability, symbol)
    assert np.mean(spent[:100]) > 0.3 and np.mean(spent[-500:]) < 0.03
    assert state.weights[0, 3] == state.weights[0].max() > 4 * np.abs(np.delete(state.weights[0], 3)).max()


def test_a_mixer_has_a_copy_of_its_start():
    weights, final = np.ones((2, INPUTS), np.int32), equal(1, 3)
    state = mixer(weights, final, RATES, 20)
    assert final.tolist() == [[21845] * 3]
    for own, given in ((state.weights, weights), (state.final, final)):
        own += 1
        assert (own == given + 1).all()
    assert state.visits.tolist() == [0, 0] and state.inputs.dtype == np.int16


def test_stretch_and_squash_are_the_tables():
    assert [stretched(p) for p in (0, 15, 16, 32768, 65535)] == [numbers.stretch(p) for p in (0, 0, 1, 2048, 4095)]
    assert [squashed(x) for x in (-2047, 0, 2047)] == [numbers.squash(x) for x in (-2047, 0, 2047)]
    assert squashed(0) == 32768 and stretched(0) == -2047 and stretched(65535) == 2047
