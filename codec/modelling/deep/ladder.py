"""A value of any range as binary decisions: sign around a centre, a ladder of steps, then halving.

As in codec/entropy/binarisation.py, but for values 0 .. top - 1, and the ladder's thresholds are multiples of the
expected error, so that a rung means the same whatever the noise. A node is an interval [low, high) and a split in it;
decision 1 always moves away from the centre.
"""

from typing import NamedTuple

import numpy as np

from codec.entropy.binarisation import ABOVE, BELOW, UNDECIDED
from runtime.kernels import inlined

# Thresholds of the distance from the centre, in 1/16 of the expected error; a threshold is one more than the last at
# least.
RISE = np.array([8, 16, 24, 32, 48, 64, 80, 96, 128, 160, 192, 256, 384, 512, 1024, 4096], np.int64)
RUNGS = len(RISE)
_TO_VALUES = 4 + 6  # log2 of what RISE times an expected error counts in a value
HALVINGS = 3  # how many are told apart
_STOPS = 8  # rungs where the ladder ended that are told apart
KINDS = 1 + 2 * RUNGS + 2 * _STOPS * HALVINGS  # of decisions
STEPS = 1 + 8 + HALVINGS  # coarser: sign, rungs, halvings
MOST_DECISIONS = 1 + RUNGS + 16  # about one value
_FINE = 8  # an interval of so many values, shifted, is far below the error: a quarter of it


class Node(NamedTuple):
    """Where a value stands; `side` is UNDECIDED, BELOW or ABOVE the centre, `halvings` -1 on the ladder."""

    low: int
    high: int
    centre: int
    side: int
    rung: int
    halvings: int
    split: int


@inlined
def first_node(mean, top):
    """The first decision about a value below `top` of an expected mean in 1/64."""
    centre = min(max((mean >> 6) + 1, 1), top - 1)
    return Node(0, top, centre, UNDECIDED, 0, -1, centre)


@inlined
def next_node(node, decision, error):
    """The node behind a decision; the value is known when its high is low + 1. error: the expected one, in 1/64."""
    low, high, centre, side, rung, halvings = node.low, node.high, node.centre, node.side, node.rung, node.halvings
    if (decision == 1) == (side != BELOW):
        low = node.split
    else:
        high = node.split
    if side == UNDECIDED:
        side = decision
    elif halvings < 0 and decision == 1:
        rung += 1
    else:
        halvings = min(halvings + 1, HALVINGS)
    above = side == ABOVE
    nearest = low - centre if above else centre - high  # distances still possible: [nearest, farthest)
    farthest = high - centre if above else centre - low
    distance = farthest
    if halvings < 0 and rung < RUNGS:
        distance = max((error * RISE[rung]) >> _TO_VALUES, nearest + 1)
    if distance >= farthest:
        halvings = max(halvings, 0)
        distance = (nearest + farthest) >> 1
    return Node(low, high, centre, side, rung, halvings, centre + distance if above else centre - distance)


@inlined
def is_fine(node, error):
    """Whether all values that are left lie so close together that they are about equally likely."""
    return node.halvings >= 0 and (node.high - node.low) <= error >> _FINE


@inlined
def kind_of(node):
    """Number of a node's kind, below KINDS, and of its step, below STEPS."""
    if node.side == UNDECIDED:
        return 0, 0
    if node.halvings < 0:
        return 1 + 2 * node.rung + node.side, 1 + min(node.rung, 7)
    stop, halvings = min(node.rung, _STOPS - 1), min(node.halvings, HALVINGS - 1)
    return 1 + 2 * RUNGS + 2 * (stop * HALVINGS + halvings) + node.side, 9 + halvings
