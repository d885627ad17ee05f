"""The stack: equal to its plain reference to the last bit, whatever the picture, the bases and the network's means."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec import stack
from codec.stack import MEMBERS, SLOW_INTERVAL, Stack
from runtime.least_squares import Predictor, predict_picture, rows_of
from tests.codec import reference_stack
from tests.pictures import KINDS, noise, photograph, two_values
from tests.runtime import reference_predictor
from tests.runtime.test_predictor import FUSED, assembly

FARTHEST = (1 << 15) - 1  # of a network's mean from a base


def compiled(pixels, bases, means, planes=3, look=lambda state, level, k: None):
    """Members of every position, int [planes, 5, H, W]."""
    _, height, width = pixels.shape
    predictor = Predictor(height, width)
    state, found = Stack(predictor), np.zeros((planes, 5, height, width), np.int32)
    for level in range(predictor.levels):
        rows = np.arange(*rows_of(level, height, width))
        at = rows, level - 2 * rows
        for k in range(planes):
            state.solve(level, k)
        for k in range(3):
            if k < planes:
                predictor.bases[k, rows] = bases[k][at]
                members, _ = state.predict(level, k, means[k][at])
                found[k][:, at[0], at[1]] = members[:, rows]
                look(state, level, k)
                state.put(level, k, pixels[k][at])
            predictor.put(level, k, pixels[k][at])
    return found


def expected(pixels, bases, means, planes=3):
    _, height, width = pixels.shape
    state, found = reference_stack.Stack(pixels, planes), np.zeros((planes, 5, height, width), np.int32)
    for level in range(width + 2 * (height - 1)):
        state.solve(level)
        for k in range(planes):
            told = {}
            for r in reference_predictor.rows_of(level, height, width):
                c = level - 2 * r
                told[r, c] = state.predict(k, r, c, int(bases[k, r, c]), int(means[k, r, c]))
                found[k, :, r, c] = told[r, c].members
            for (r, c), prediction in told.items():
                state.put(k, r, c, int(pixels[k, r, c]), prediction)
    return found


def network_of(pixels, seed=0):
    """Means like a network's: a little off, in 1/64 grey level."""
    off = np.random.default_rng(seed).normal(0, 120, pixels.shape).round().astype(np.int64)
    return pixels.astype(np.int64) * 64 + off


@pytest.mark.parametrize("planes", [1, 3], ids=["grey", "colour"])
@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 1), (1, 19), (19, 1), (2, 2), (7, 12), (21, 8), (5, 33)], ids=str)
def test_equals_the_reference(size, planes):
    """To the last bit: what is rounded off shows in later predictions."""
    for pixels in (photograph(*size), noise(*size)):
        pixels = pixels if planes == 3 else pixels[:1].repeat(3, 0)
        bases, means = predict_picture(pixels), network_of(pixels)
        np.testing.assert_array_equal(compiled(pixels, bases, means, planes), expected(pixels, bases, means, planes))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("far", [0, -FARTHEST, FARTHEST], ids=["near", "far below", "far above"])
def test_hostile_pictures(kind, far):
    """All stays finite, and equal, with means as far off as a network's can be."""
    pixels = KINDS[kind](9, 14)
    bases, means, seen = predict_picture(pixels), predict_picture(pixels).astype(np.int64) + far, []

    def look(state, level, k):
        fit = state._fits[k]
        assert np.isfinite(fit.weights).all() and np.isfinite(fit.features).all() and np.isfinite(fit.sums).all()
        seen.append(abs(state._errors).max())

    found = compiled(pixels, bases, means, look=look)
    np.testing.assert_array_equal(found, expected(pixels, bases, means))
    assert found[:, :MEMBERS].min() >= 0 and found[:, :MEMBERS].max() <= 255 * 64
    assert max(seen) <= FARTHEST + 255 * 64


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 6), st.integers(1, 9), st.sampled_from([noise, photograph, two_values]), st.integers(0, 2**32))
def test_equals_the_reference_for_anything(height, width, kind, seed):
    rng, pixels = np.random.default_rng(seed), kind(height, width, seed)
    bases = rng.integers(0, 255 * 64 + 1, pixels.shape).astype(np.int32)
    means = bases + rng.choice([0, 1, -300, FARTHEST, -FARTHEST], pixels.shape).astype(np.int64)
    np.testing.assert_array_equal(compiled(pixels, bases, means), expected(pixels, bases, means))


def test_it_is_better_than_its_members():
    """On what it is made for; mean absolute errors."""
    pixels = photograph(40, 60)
    found = compiled(pixels, predict_picture(pixels), network_of(pixels))
    errors = abs(found - pixels[:, None].astype(int) * 64)[:, :, 8:].mean((0, 2, 3))
    assert (errors[0] < errors[1:]).all()


def test_settings_are_the_references():
    for found, (features, decay, row_decay, ridge) in (
        (stack.FAST, reference_predictor.FAST),
        (stack.SLOW, reference_predictor.SLOW),
    ):
        assert [found.taps(k).tolist() for k in range(3)] == [[list(tap) for tap in taps] for taps in features]
        assert (found.decay, found.row_decay, found.ridge) == (decay, row_decay, ridge)
    assert SLOW_INTERVAL == reference_stack.INTERVAL


def test_compiled_code_has_no_fused_multiply_add():
    """Of the kernels with floats: the others have integers alone."""
    pixels = noise(2, 2)
    compiled(pixels, predict_picture(pixels), network_of(pixels))  # so that the signature is known
    assert stack._combine.signatures
    for signature in stack._combine.signatures:
        code = assembly(stack._combine, signature)
        assert re.search(r"mul[ps]d|fmul", code)  # it is the arithmetic that was looked through
        assert not FUSED.search(code)
    for signature in stack._enter.signatures:
        assert not re.search(r"(mul|add|sub|div)[ps]d|fmul|fadd", assembly(stack._enter, signature))
