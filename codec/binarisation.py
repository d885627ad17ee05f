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
def open_node(node, mean, deviation):
    """The first decision about a value of expected mean and mean absolute error, both in 1/64 grey level."""
    centre = min(max((mean >> 6) + 1, 1), 255)
    kind = 0
    for threshold in DEVIATION_CLASSES:
        kind += deviation > threshold
    node[LOW], node[HIGH], node[CENTRE], node[LADDER_CLASS] = 0, 256, centre, kind
    node[RUNG], node[SIDE], node[SPLIT] = 0, _UNDECIDED, centre


@kernel
def answer(node, value):
    """The decision at this node that leads to `value`: 0 or 1."""
    above = value >= node[SPLIT]
    return int(above if node[SIDE] != _BELOW else not above)


@kernel
def follow(node, decision):
    """Moves to the next node; True while the value is not yet known (then node[SPLIT] is the next split)."""
    if node[SIDE] == _UNDECIDED:
        node[SIDE] = decision
        if decision:
            node[LOW] = node[SPLIT]
        else:
            node[HIGH] = node[SPLIT]
    else:
        if (decision == 1) == (node[SIDE] == _ABOVE):
            node[LOW] = node[SPLIT]
        else:
            node[HIGH] = node[SPLIT]
        node[RUNG] = node[RUNG] + 1 if decision and node[RUNG] != _HALVING else _HALVING
    if node[HIGH] - node[LOW] == 1:
        return False
    centre, above = node[CENTRE], node[SIDE] == _ABOVE
    nearest = node[LOW] - centre if above else centre - node[HIGH]  # distances k still possible: [nearest, farthest)
    farthest = node[HIGH] - centre if above else centre - node[LOW]
    distance = farthest
    if node[RUNG] != _HALVING:
        distance = LADDER[node[LADDER_CLASS], node[RUNG]]
    if distance >= farthest:
        node[RUNG] = _HALVING
        distance = (nearest + farthest) >> 1
    node[SPLIT] = centre + distance if above else centre - distance
    return True
