"""What the mixer's weight sets select their vectors by.

A set has one vector for each pair of a value's context and a part of a decision. Contexts are found once a value, parts
once a decision. A and B are what predictors.py calls so.
"""

from typing import NamedTuple

import numpy as np

from codec.entropy.binarisation import CLASSES as DEVIATIONS
from codec.entropy.binarisation import HALVING, UNDECIDED
from codec.modelling.blend import nearby
from codec.modelling.logistic import ERROR_CLASS
from codec.modelling.simple import nearest
from runtime.kernels import inlined
from runtime.least_squares import LAST, LEFT, TOP

# Of decisions: all that are told apart; coarsely; before the side is known, below, above.
KINDS, STEPS, SIDES = 65, 12, 3
ALWAYS, STAGE, STEP, STEP_AND_SIDE, KIND = range(5)
_STAGES = np.array([0, 1, 1, 2, 2, 2, 2, 2, 2, 3, 3, 3])  # of a step: sign, first rungs, later ones, halving
PARTS = np.array([1, 4, STEPS, STEPS * SIDES, KINDS])  # how many of each

_LADDER = np.array([26, 64, 128, 256, 512, 896, 1600])
_SIGNED = np.array([-320, -128, -48, -16, 15, 47, 127, 319])
_SIGNS = np.array([-160, -48, -12, 11, 47, 159])
_APART = np.array([-192, -96, -40, -12, 11, 39, 95, 191])
_JUMPS = np.array([-1000, -400, -160, -40, 39, 159, 399, 999])
_ACTIVITY = np.array([3, 6, 10, 16, 26, 42, 80])
_SPREAD = np.array(
    [8, 16, 24, 32, 48, 64, 80, 96, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768, 1024, 1400, 2000, 3000]
)

SETS = (  # name, contexts a plane, part
    ("deviation", DEVIATIONS, KIND),
    ("deviation, network's error", DEVIATIONS * 8, STEP),
    ("errors of the planes before", 8, STEP_AND_SIDE),
    ("steps of A at W and N", 81, ALWAYS),
    ("best predictor nearby", 128, ALWAYS),
    ("cost nearby", 16, ALWAYS),
    ("errors of the other planes", 81, ALWAYS),
    ("best predictor before", 128, ALWAYS),
    ("high bits", 64, ALWAYS),
    ("errors at W and N", 49, ALWAYS),
    ("comparisons", 64, ALWAYS),
    ("edge", 32, ALWAYS),
    ("experts apart", 81, ALWAYS),
    ("spread of the experts", 24, STAGE),
    ("network's deviation", 24, STAGE),
    ("steps at W and N", 81, ALWAYS),
    ("steps of A at NE and NW", 81, ALWAYS),
    ("steps of B at W and N", 81, ALWAYS),
    ("stage", 1, STAGE),
)
FIRST = "deviation", "high bits", "steps of A at W and N", "network's deviation"  # found at little cost
ALL = tuple(name for name, _, _ in SETS)
_PARTS = np.array([part for _, _, part in SETS])
_COUNTS = np.array([contexts for _, contexts, _ in SETS])
PLACES = 3 * DEVIATIONS * STEPS  # of the second layer


def vectors(names: tuple[str, ...]) -> list[int]:
    """How many weight vectors each of these sets has."""
    return [3 * contexts * parts for (_, contexts, _), parts in zip(map(_named, names), parts_of(names))]


def parts_of(names: tuple[str, ...]) -> list[int]:
    """How many parts of a decision each of these sets tells apart."""
    return [int(PARTS[part]) for _, _, part in map(_named, names)]


def _named(name: str) -> tuple[str, int, int]:
    return SETS[ALL.index(name)]


class Selectors(NamedTuple):
    """Which sets there are, and the contexts of the value and the parts of the decision at hand."""

    chosen: np.ndarray  # int64 [sets]: their numbers in SETS
    starts: np.ndarray  # int64 [sets]: the first vector of each
    contexts: np.ndarray  # int64 [len(SETS)]
    parts: np.ndarray  # int64 [len(PARTS)]
    more: bool  # whether any context but the first ones is asked for


def selectors(names: tuple[str, ...]) -> Selectors:
    """Those of the sets of these names."""
    starts = np.cumsum([0, *vectors(names)[:-1]])
    chosen = np.array([ALL.index(name) for name in names], np.int64)
    more = not set(names) <= set(FIRST)
    return Selectors(chosen, starts, np.zeros(len(SETS), np.int64), np.zeros(len(PARTS), np.int64), more)


@inlined
def look_around(k, row, c, expected, canvas, blend, simple, selectors):
    """Finds the contexts of plane k of a position.

    expected: the class of the value's decisions, the network's mean absolute error in 1/64 grey level, and the class of
    what the values nearby have cost.
    """
    deviation, spread, cost = expected
    contexts, members, pixels = selectors.contexts, blend.members, canvas.pixels
    y, x = row + TOP, c + LEFT
    w, n, before = _at(pixels[k], y, x - 1), _at(pixels[k], y - 1, x), pixels[k - 1]
    contexts[0] = deviation
    contexts[14] = ERROR_CLASS[min(spread >> 2, len(ERROR_CLASS) - 1)]
    if k == 0:
        a = members[0]
        contexts[3], contexts[8] = _pair(a - 64 * w, a - 64 * n, _JUMPS), (w >> 5) * 8 + (n >> 5)
    else:
        a, b = _at(before, y, x), w if k == 1 else _at(pixels[0], y, x)
        contexts[3] = _pair(64 * (a - _at(before, y, x - 1)), 64 * (a - _at(before, y - 1, x)), _JUMPS)
        contexts[8] = (a >> 5) * 8 + (b >> 5)
    if selectors.more:
        contexts[5] = cost
        _look_further((k, row, c), canvas, blend, simple, contexts)
    for s in range(len(contexts)):
        contexts[s] += k * _COUNTS[s]


@inlined
def _look_further(place, canvas, blend, simple, contexts):
    """The contexts that only full learning has."""
    k, row, c = place
    members, rings, pixels = blend.members, blend.rings, canvas.pixels
    r, above, y, x, here, left = row + 2, row + 1, row + TOP, c + LEFT, c & LAST, (c - 1) & LAST
    plane = pixels[k]
    w, n, nw, ne = _at(plane, y, x - 1), _at(plane, y - 1, x), _at(plane, y - 1, x - 1), _at(plane, y - 1, x + 1)
    nn, ww = _at(plane, y - 2, x), _at(plane, y, x - 2)

    own = ERROR_CLASS[min(nearby(rings[k, 4], row, c) >> 2, len(ERROR_CLASS) - 1)]
    contexts[1] = contexts[0] * 8 + min(max(own - 4, 0) >> 1, 7)
    contexts[4] = nearest(simple)
    contexts[10] = (n > nw) + 2 * (n > ne) + 4 * (w > n) + 8 * (w > nw) + 16 * (n > nn) + 32 * (w > ww)
    contexts[9] = _pair(rings[k, 0, r, left], rings[k, 0, above, here], _SIGNS)
    contexts[11] = _edge(plane, y, x)
    contexts[12] = _pair(members[0] - members[4], members[1] - members[3], _APART)
    lowest = min(min(members[0], members[1]), min(min(members[2], members[3]), members[4]))
    highest = max(max(members[0], members[1]), max(max(members[2], members[3]), members[4]))
    contexts[13] = _class(highest - lowest, _SPREAD)
    contexts[15] = _pair(64 * (w - nw), 64 * (n - nw), _JUMPS)
    contexts[18] = 0
    if k == 0:
        a, b = members[0], members[4]
        one = (rings[1, 0, above, here] + rings[1, 0, r, left]) >> 1
        two = (rings[2, 0, above, here] + rings[2, 0, r, left]) >> 1
        cross = _missed(rings[1, 4], r, left) + _missed(rings[1, 4], above, here)
        cross = (cross + _missed(rings[2, 4], r, left) + _missed(rings[2, 4], above, here)) >> 2
        contexts[16] = _pair(b - 64 * w, b - 64 * n, _JUMPS)
        contexts[17] = _pair(a - 64 * ne, a - 64 * nw, _JUMPS)
        contexts[7] = simple.best[0, r, left]
    else:
        before = pixels[k - 1]
        a, one = _at(before, y, x), rings[k - 1, 0, r, here]
        contexts[16] = _pair(64 * (a - _at(before, y - 1, x + 1)), 64 * (a - _at(before, y - 1, x - 1)), _JUMPS)
        cross = _missed(rings[k - 1, 4], r, here)
        if k == 1:
            two = (rings[2, 0, above, here] + rings[2, 0, r, left]) >> 1
            contexts[17] = _pair(members[0] - 64 * w, members[0] - 64 * n, _JUMPS)
        else:
            two, b = rings[0, 0, r, here], _at(pixels[0], y, x)
            cross += _missed(rings[0, 4], r, here) >> 1
            contexts[17] = _pair(64 * (b - _at(pixels[0], y, x - 1)), 64 * (b - _at(pixels[0], y - 1, x)), _JUMPS)
        contexts[7] = simple.best[k - 1, r, here]
    contexts[2] = _class(cross, _LADDER)
    contexts[6] = _pair(one, two, _SIGNED)


@inlined
def _at(plane, y, x):
    return np.int64(plane[y, x])


@inlined
def _missed(ring, r, place):
    return abs(ring[r, place])


@inlined
def _edge(plane, y, x):
    """Which of four directions changes least, and how little."""
    w, n, nw, ne = _at(plane, y, x - 1), _at(plane, y - 1, x), _at(plane, y - 1, x - 1), _at(plane, y - 1, x + 1)
    nn, ww, nne, nnw = _at(plane, y - 2, x), _at(plane, y, x - 2), _at(plane, y - 2, x + 1), _at(plane, y - 2, x - 1)
    least, direction = abs(n - nn) + abs(w - nw) + abs(ne - nne), 0
    others = (
        abs(w - ww) + abs(n - nw) + abs(ne - n),
        abs(w - _at(plane, y - 1, x - 2)) + abs(n - nnw) + abs(ne - nn),
        abs(w - n) + abs(n - nne) + abs(nw - nn),
    )
    for number, other in enumerate(others):
        if other < least:
            least, direction = other, number + 1
    return direction * 8 + _class(least, _ACTIVITY)


@inlined
def select(node, selectors, selected):
    """Selects the vectors of a decision; returns its place in the second layer, by plane, class and step."""
    kind, step, side = 0, 0, 1 + node.side
    if node.side != UNDECIDED:
        width = node.high - node.low
        if node.rung != HALVING:
            kind, step = 1 + 16 * node.side + node.rung, 1 + min(node.rung, 7)
        else:
            kind, step = 33 + 16 * node.side + min(width, 15), 9 + (width > 2) + (width > 4)
    parts = selectors.parts
    parts[STAGE], parts[STEP], parts[STEP_AND_SIDE], parts[KIND] = _STAGES[step], step, step * SIDES + side, kind
    for s in range(len(selected)):
        number = selectors.chosen[s]
        part = _PARTS[number]
        selected[s] = selectors.starts[s] + selectors.contexts[number] * PARTS[part] + parts[part]
    return selectors.contexts[0] * STEPS + step


@inlined
def _class(value, limits):
    """How many limits a value is above."""
    found = 0
    for limit in limits:
        found += value > limit
    return found


@inlined
def _pair(a, b, limits):
    return _class(a, limits) * (len(limits) + 1) + _class(b, limits)
