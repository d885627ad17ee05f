"""A pixel value as binary decisions: sign around a centre, a ladder of growing steps, then halving.

A node is an interval [low, high) of values 0..255 and a split in it. The first decision asks for x >= centre; then,
on that side, thresholds k >= T_0, T_1, ... of the distance k from the centre, until one answers no or the side is
used up; then the remaining interval is halved. Steps grow with the expected size of the error (`ladder`), so that
about three decisions code a value. Decision 1 always moves away from the centre.
"""

import numpy as np

from runtime.kernels import kernel

_STEPS = (1, 1, 2, 4, 8)  # ladder step by class of expected error
_GROWTH = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
LADDER = np.array([[min(step * growth, 256) for growth in _GROWTH] for step in _STEPS], np.int64)
DEVIATION_CLASSES = np.array([96, 192, 384, 768], np.int64)  # 1.5, 3, 6, 12 grey levels in 1/64

# Columns of a node.
LOW, HIGH, CENTRE, LADDER_CLASS, RUNG, SIDE, SPLIT = range(7)
NODE = 7
_UNDECIDED, _BELOW, _ABOVE = -1, 0, 1
_HALVING = 99  # a rung past the ladder


@kernel
def open_node(nodes, row, mean, deviation):
    """The first decision about a value of expected mean and mean absolute error, both in 1/64 grey level."""
    centre = min(max((mean >> 6) + 1, 1), 255)
    kind = 0
    for threshold in DEVIATION_CLASSES:
        kind += deviation > threshold
    nodes[row, LOW], nodes[row, HIGH], nodes[row, CENTRE], nodes[row, LADDER_CLASS] = 0, 256, centre, kind
    nodes[row, RUNG], nodes[row, SIDE], nodes[row, SPLIT] = 0, _UNDECIDED, centre


@kernel
def answer(nodes, row, value):
    """The decision at a row's node that leads to `value`: 0 or 1."""
    above = value >= nodes[row, SPLIT]
    return int(above if nodes[row, SIDE] != _BELOW else not above)


@kernel
def follow(nodes, row, decision):
    """Moves to the next node; True while the value is not yet known (then SPLIT is the next split)."""
    side, rung, split = nodes[row, SIDE], nodes[row, RUNG], nodes[row, SPLIT]
    upper = decision == 1 if side == _UNDECIDED else (decision == 1) == (side == _ABOVE)
    nodes[row, LOW if upper else HIGH] = split
    if side == _UNDECIDED:
        side = nodes[row, SIDE] = decision
    else:
        rung = rung + 1 if decision and rung != _HALVING else _HALVING
    low, high, centre = nodes[row, LOW], nodes[row, HIGH], nodes[row, CENTRE]
    above = side == _ABOVE
    nearest = low - centre if above else centre - high  # distances k still possible: [nearest, farthest)
    farthest = high - centre if above else centre - low
    distance = farthest
    if rung != _HALVING:
        distance = LADDER[nodes[row, LADDER_CLASS], rung]
    if distance >= farthest:
        rung = _HALVING
        distance = (nearest + farthest) >> 1
    nodes[row, RUNG] = rung
    nodes[row, SPLIT] = centre + distance if above else centre - distance
    return high - low > 1
