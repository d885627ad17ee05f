"""What the mixer's weight sets and the adaptive probabilities of a value go by.

A set has one vector for each plane, context and part of a decision, as in codec/modelling/selectors.py; adaptive
probabilities have one for each plane, context and kind. Contexts are found once a value and compare with the expected
error, so that they mean the same whatever the noise.
"""

from typing import NamedTuple

import numpy as np

from codec.modelling.adaptive import Adaptive, adaptive
from codec.modelling.deep.forecast import MEMBERS, elsewhere
from codec.modelling.deep.ladder import KINDS, STEPS
from runtime.kernels import inlined
from runtime.least_squares import LAST, LEFT, TOP
from runtime.vectors import bits_of

_SIGNED = np.array([-20, -8, -3, 3, 8, 20])  # eighths of the expected error
_APART = np.array([-8, -4, -2, -1, 0, 1, 3, 7])  # sixteenths
_SPREAD = np.array([1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64])  # sixteenths
_RATIO = np.array([4, 5, 6, 7, 9, 11, 14, 20])  # eighths
ALWAYS, STEP, KIND = range(3)  # parts of a decision
PARTS = np.array([1, STEPS, KINDS])
SIZES = 40  # classes of expected errors, two an octave
SETS = (  # contexts a plane, part
    (1, KIND),
    (SIZES, STEP),  # expected error
    (49, STEP),  # errors at W and N
    (49, STEP),  # errors of the other planes
    (81, ALWAYS),  # least squares apart
    (12, STEP),  # spread of the least squares
    (MEMBERS, ALWAYS),  # which member missed least nearby
    (81, STEP),  # neighbours and surrounding against what is expected
    (64, ALWAYS),  # comparisons of neighbours
    (16, STEP),  # brightness
    (4, STEP),  # phase
)
ADAPTIVE = 1, 2, 3, 4, 7  # sets whose contexts adaptive probabilities have
_PARTS = np.array([part for _, part in SETS])
_COUNTS = np.array([count for count, _ in SETS])
_ADAPTIVE = np.array(ADAPTIVE)
PLACES = KINDS  # of the second layer


class Contexts(NamedTuple):
    """Those of the value at hand, and where the vectors and probabilities of a decision stand."""

    starts: np.ndarray  # int64 [sets]: the first vector of each
    found: np.ndarray  # int64 [sets]
    tables: Adaptive  # probabilities, one table after the other
    firsts: np.ndarray  # int64 [ADAPTIVE]: where each table begins
    asked: np.ndarray  # int64 [ADAPTIVE]: those of the decision at hand


def vectors(planes: int) -> np.ndarray:
    """How many weight vectors each set has."""
    return planes * _COUNTS * PARTS[_PARTS]


def contexts(planes: int) -> Contexts:
    """Ones that have seen nothing."""
    starts = np.cumsum([0, *vectors(planes)[:-1]])
    sizes = [planes * SETS[number][0] * KINDS for number in ADAPTIVE]
    return Contexts(
        starts.astype(np.int64),
        np.zeros(len(SETS), np.int64),
        adaptive(sum(sizes)),
        np.cumsum([0, *sizes[:-1]]).astype(np.int64),
        np.zeros(len(ADAPTIVE), np.int64),
    )


@inlined
def find_contexts(k, row, c, depth, canvas, state):
    """Finds the contexts of plane k of a position. state: its forecast, errors and contexts."""
    forecast, errors, contexts = state
    found, members, signed = contexts.found, forecast.members, forecast.signed
    expected = errors.expected
    error = expected[0]
    w, n = signed[k, row + 2, (c - 1) & LAST, 0], signed[k, row + 1, c & LAST, 0]
    found[0] = 0
    found[1] = size_of(error)
    found[2] = _pair(8 * np.int64(w), 8 * np.int64(n), error)
    one, two = elsewhere(signed, k, 0, (row, c), 0), elsewhere(signed, k, 1, (row, c), 0)
    found[3] = _pair(8 * np.int64(one), 8 * np.int64(two), error)
    apart = _class(16 * (members[2] - members[0]), error, _APART), _class(16 * (members[4] - members[0]), error, _APART)
    found[4] = 9 * apart[0] + apart[1]
    lowest = min(min(members[0], members[2]), min(members[3], members[4]))
    highest = max(max(members[0], members[2]), max(members[3], members[4]))
    found[5] = _class(16 * (highest - lowest), error, _SPREAD)
    found[6] = _nearest(forecast.near)
    found[7] = 9 * _class(8 * expected[1], error, _RATIO) + _class(8 * expected[2], error, _RATIO)
    found[8] = _comparisons(canvas.pixels[k], row + TOP, c + LEFT)
    found[9] = members[0] >> (depth + 2)
    found[10] = 2 * (row & 1) + (c & 1)
    for s in range(len(found)):
        found[s] += k * _COUNTS[s]


@inlined
def size_of(error):
    """Two classes an octave of an expected error."""
    return min(np.int64(bits_of(np.float32(error)) >> np.int32(22)) - 2 * (127 + 3), SIZES - 1)


@inlined
def _class(value, error, limits):
    """How many limits, times the error, a value is above."""
    found = 0
    for limit in limits:
        found += value > limit * error
    return found


@inlined
def _pair(a, b, error):
    return 7 * _class(a, error, _SIGNED) + _class(b, error, _SIGNED)


@inlined
def _nearest(near):
    best = np.int64(1 << 40)
    for q in range(MEMBERS):
        best = min(best, near[q] * 64 + q)
    return best & 63


@inlined
def _comparisons(plane, y, x):
    w, n, nw, ne = plane[y, x - 1], plane[y - 1, x], plane[y - 1, x - 1], plane[y - 1, x + 1]
    nn, ww = plane[y - 2, x], plane[y, x - 2]
    return (n > nw) + 2 * (n > ne) + 4 * (w > n) + 8 * (w > nw) + 16 * (n > nn) + 32 * (w > ww)


@inlined
def select(kind, step, contexts, selected):
    """Selects the vectors and the probabilities of a decision."""
    for s in range(len(selected)):
        part = _PARTS[s]
        within = step if part == STEP else kind if part == KIND else 0
        selected[s] = contexts.starts[s] + contexts.found[s] * PARTS[part] + within
    for a in range(len(contexts.asked)):
        contexts.asked[a] = contexts.firsts[a] + contexts.found[_ADAPTIVE[a]] * KINDS + kind
