"""The mixer: equal to a plain reference from any state, bounded, and it learns which inputs to believe."""

import numpy as np
import pytest

from codec.modelling.mixer import UNIT_BITS, adjust, equal, mix, mixer, squash, stretch
from runtime.kernels import kernel
from runtime.vectors import dot, nudge
from tests.reference import numbers
from tests.reference.mixer import Mixer

INPUTS, SIZES, PLACES = 16, (5, 3, 4), 3  # vectors of three sets
FIRST = np.cumsum((0, *SIZES))
RATES = np.array([4000, 3000, 1310, 197])
LEAST, MOST = -(1 << 15), (1 << 15) - 1  # weights
FINAL = 1 << 20  # limit of the second layer's
INPUT = 2047 * 16  # the largest


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
        assert state.weights[vector].tolist() == weights.tolist() and state.visits[vector] == told.visits[vector]
    for place, final in told.final.items():
        assert state.final[place].tolist() == final
    assert abs(state.final).max() <= FINAL


@pytest.mark.parametrize("start", ["plain", "anything", "at the limits"])
@pytest.mark.parametrize("inputs", ["anything", "at the limits", "the same"])
def test_equals_the_reference(start, inputs):
    rng = np.random.default_rng(0)
    shapes = (int(FIRST[-1]), INPUTS), (PLACES, len(SIZES))
    weights, final = {
        "plain": lambda: (np.full(shapes[0], 1638), equal(*shapes[1])),
        "anything": lambda: (rng.integers(LEAST, MOST + 1, shapes[0]), rng.integers(-FINAL, FINAL + 1, shapes[1])),
        "at the limits": lambda: (rng.choice([LEAST, MOST], shapes[0]), rng.choice([-FINAL, FINAL], shapes[1])),
    }[start]()
    state, told = both(weights, final)
    for _ in range(250):
        made = {
            "anything": lambda: rng.integers(-INPUT, INPUT + 1, INPUTS),
            "at the limits": lambda: rng.choice([-INPUT, INPUT], INPUTS),
            "the same": lambda: np.full(INPUTS, rng.choice([-INPUT, 0, INPUT])),
        }[inputs]()
        vectors = [int(FIRST[s] + rng.integers(size)) for s, size in enumerate(SIZES)]
        decide(state, told, made, vectors, int(rng.integers(PLACES)), int(rng.integers(2)))
        same_state(state, told)


@pytest.mark.parametrize("sign", [-1, 1])
def test_weights_stop_at_their_limits(sign):
    """Every decision takes them further out."""
    starts = np.full((1, INPUTS), sign * (MOST - 100)), np.full((1, 1), sign * FINAL)
    state, told = both(*starts, np.array([4095]))
    for i in range(100):
        decide(state, told, np.full(INPUTS, INPUT if i % 2 else -INPUT), [0], 0, i % 2 if sign > 0 else 1 - i % 2)
        same_state(state, told)
    assert (state.weights == (MOST if sign > 0 else LEAST)).all()


@kernel
def dotted(weights, row, inputs):
    return dot(weights, row, inputs)


@kernel
def nudged(weights, row, inputs, step):
    nudge(weights, row, inputs, step)


@pytest.mark.parametrize("size", [16, 48, 256, 512])
@pytest.mark.parametrize("kind", ["anything", "least", "greatest", "mixed"])
def test_vectors_are_plain_integers(size, kind):
    """dot and nudge, whatever the weights and up to 512 lanes: nothing wraps."""
    rng = np.random.default_rng(size)
    weights = {
        "anything": rng.integers(LEAST, MOST + 1, (3, size)),
        "least": np.full((3, size), LEAST),
        "greatest": np.full((3, size), MOST),
        "mixed": rng.choice([LEAST, MOST, 0, -1, 1], (3, size)),
    }[kind].astype(np.int16)
    for made in (rng.integers(-INPUT, INPUT + 1, size), np.full(size, INPUT), rng.choice([-INPUT, INPUT], size)):
        inputs, before = made.astype(np.int16), weights.tolist()
        products = [w * x for w, x in zip(before[1], made.tolist())]
        expected = sum((one + two) >> 8 for one, two in zip(products[::2], products[1::2]))
        assert dotted(weights, 1, inputs) == expected
        for step in (0, 1, -1, 77, -12345, (1 << 15) - 1, -(1 << 15) + 1):
            row = weights[1].tolist()
            nudged(weights, 1, inputs, step)
            wanted = [w + ((((x * step) >> 16) + 1) >> 1) for w, x in zip(row, made.tolist())]
            assert weights[1].tolist() == [min(max(w, LEAST), MOST) for w in wanted]
        assert weights[[0, 2]].tolist() == [before[0], before[2]]


def test_inputs_are_filled_up_to_whole_vectors():
    state = mixer(np.ones((2, 5), np.int16), equal(1, 2), RATES, 20)
    assert state.weights.shape == (2, 16) and len(state.inputs) == 16
    assert state.weights.tolist() == [[1] * 5 + [0] * 11] * 2


def test_it_learns_whom_to_believe():
    """One input that knows, fifteen that guess: its weights grow, the mixed probability follows."""
    rng = np.random.default_rng(1)
    weights = np.full((1, INPUTS), (1 << UNIT_BITS) // INPUTS)
    state, spent = mixer(weights, equal(1, 1), np.maximum(197, 65536 // (np.arange(1024) + 50)), 20), []
    for symbol in rng.integers(0, 2, 3000).tolist():
        state.inputs[:] = rng.integers(-9600, 9601, INPUTS)
        state.inputs[3] = 8000 if symbol else -8000
        probability = squashed(mixed(state, 0))
        spent.append(-np.log2((probability if symbol else 65536 - probability) / 65536))
        adjusted(state, 0, probability, symbol)
    assert np.mean(spent[:100]) > 0.3 and np.mean(spent[-500:]) < 0.03
    assert state.weights[0, 3] == state.weights[0].max() > 4 * np.abs(np.delete(state.weights[0], 3)).max()


def test_a_mixer_has_a_copy_of_its_start():
    weights, final = np.ones((2, INPUTS), np.int16), equal(1, 3)
    state = mixer(weights, final, RATES, 20)
    assert final.tolist() == [[21845] * 3]
    for own, given in ((state.weights, weights), (state.final, final)):
        own += 1
        assert (own == given + 1).all()
    assert state.visits.tolist() == [0, 0] and state.inputs.dtype == np.int16


def test_stretch_and_squash_are_the_tables():
    assert [stretched(p) for p in (0, 15, 16, 32768, 65535)] == [16 * numbers.stretch(p) for p in (0, 0, 1, 2048, 4095)]
    assert [squashed(x) for x in (-2047, 0, 2047)] == [numbers.squash(x) for x in (-2047, 0, 2047)]
    assert squashed(0) == 32768 and stretched(0) == -INPUT and stretched(65535) == INPUT
