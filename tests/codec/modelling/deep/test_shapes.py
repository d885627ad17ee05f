"""Histograms in units of the expected error: equal to the reference's, whatever the scale."""

import numpy as np
import pytest

from codec.modelling.deep.shapes import (
    BINS,
    Shapes,
    count_shapes,
    locate,
    narrow_shapes,
    open_shapes,
    scale_of,
    shapes,
    tell_shapes,
)
from runtime.kernels import kernel
from tests.reference.deep import Expert, Histogram


@kernel
def say(ends, up, out, shapes):
    """The inputs for a decision with these ends."""
    locate(ends[0], 0, 0, shapes)
    locate(ends[1], 0, 1, shapes)
    locate(ends[2], 0, 2, shapes)
    tell_shapes(up, shapes, out)


@kernel
def learn(value, shapes):
    count_shapes(value, 0, shapes)


@kernel
def decide(top, split, up, shapes):
    open_shapes(0, top, shapes)
    locate(split, 0, 1, shapes)
    narrow_shapes(up, shapes)


@kernel
def scaled(expected):
    return scale_of(expected)


def opened(predictions: list[int], errors: list[int]) -> Shapes:
    state = shapes(1, len(predictions))
    state.predictions[:] = predictions
    state.scales[:] = [scaled(error) for error in errors]
    return state


@pytest.mark.parametrize("error", [8, 37, 1000, 60000, 1 << 22])
def test_they_are_the_references(error):
    rng, state, histogram = np.random.default_rng(error), opened([64 * 30000 + 17] * 2, [error] * 2), Histogram()
    out = np.zeros(4, np.int16)
    for _ in range(500):
        expert = Expert(histogram, 64 * 30000 + 17, error)
        ends = np.sort(np.clip(rng.normal(size=3) * max(error / 40, 3) + 30000, 0, 65535).astype(np.int64))
        up = bool(rng.integers(2))
        say(ends, up, out, state)
        logit, share = expert.inputs(*map(int, ends), up)
        assert out.tolist() == [logit, logit, share, share]
        value = int(np.clip(rng.normal() * error / 64 + 30000, 0, 65535))
        learn(value, state)
        expert.learn(value)
        assert state.counts[0, 0, : BINS + 1].tolist() == histogram.counts


def test_the_ends_follow_decisions():
    state = opened([64 * 500], [640])
    decide(1024, 490, True, state)
    kept = state.below[2, 0]
    assert state.below[0, 0] == state.below[1, 0] < kept
    decide(1024, 490, False, state)
    assert state.below[2, 0] == state.below[1, 0] and state.below[0, 0] < state.below[2, 0]


def test_they_learn_what_comes():
    """What was rare becomes likely."""
    state, out = opened([64 * 500], [640]), np.zeros(2, np.int16)
    ends = np.array([0, 515, 1024])
    say(ends, True, out, state)
    before = out.copy()
    for _ in range(50):
        learn(520, state)
    say(ends, True, out, state)
    assert (before < 0).all() and (out > 0).all()
