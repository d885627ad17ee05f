"""A pixel value as binary decisions: sign around a centre, a ladder of growing steps, then halving.

A node is an interval [low, high) of values 0..255 and a split in it. The first decision asks for x >= centre; then,
on that side, thresholds k >= T_0, T_1, ... of the distance k from the centre, until one answers no or the side is
used up; then the remaining interval is halved. Steps grow with the expected size of the error (`LADDER`), so that
about three decisions code a value. Decision 1 always moves away from the centre.
"""

from typing import NamedTuple

import numpy as np

from runtime.kernels import inlined

_STEPS = (1, 1, 2, 4, 8)  # ladder step by class of expected error
_GROWTH = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
LADDER = np.array([[min(step * growth, 256) for growth in _GROWTH] for step in _STEPS], np.int64)
CLASSES = len(_STEPS)
RUNGS = len(_GROWTH)
MOST_DECISIONS = 1 + RUNGS + 8  # about one value
_DEVIATIONS = np.array([96, 192, 384, 768], np.int64)  # 1.5, 3, 6, 12 grey levels in 1/64
UNDECIDED, BELOW, ABOVE = -1, 0, 1
HALVING = 99  # a rung past the ladder


class Node(NamedTuple):
    """Where a value stands; `deviation` is its class of the ladder, `side` UNDECIDED, BELOW or ABOVE the centre."""

    low: int
    high: int
    centre: int
    deviation: int
    rung: int
    side: int
    split: int


@inlined
def first_node(mean, deviation):
    """The first decision about a value of expected mean and mean absolute error, both in 1/64 grey level."""
    centre, kind = min(max((mean >> 6) + 1, 1), 255), 0
    for threshold in _DEVIATIONS:
        kind += deviation > threshold
    return Node(0, 256, centre, kind, 0, UNDECIDED, centre)


@inlined
def decision_for(node, value):
    """The decision at a node that leads to `value`: 0 or 1."""
    above = value >= node.split
    return np.int64(above if node.side != BELOW else not above)


@inlined
def moves_up(node, decision):
    """Whether a decision says that the value is the split or above."""
    return (decision == 1) == (node.side != BELOW)


@inlined
def next_node(node, decision):
    """The node behind a decision; the value is known when its high is low + 1."""
    low, high, centre, rung, side = node.low, node.high, node.centre, node.rung, node.side
    if moves_up(node, decision):
        low = node.split
    else:
        high = node.split
    if side == UNDECIDED:
        side = decision
    else:
        rung = rung + 1 if decision and rung != HALVING else HALVING
    above = side == ABOVE
    nearest = low - centre if above else centre - high  # distances k still possible: [nearest, farthest)
    farthest = high - centre if above else centre - low
    distance = farthest
    if rung != HALVING:
        distance = LADDER[node.deviation, rung]
    if distance >= farthest:
        rung = HALVING
        distance = (nearest + farthest) >> 1
    return Node(low, high, centre, node.deviation, rung, side, centre + distance if above else centre - distance)
