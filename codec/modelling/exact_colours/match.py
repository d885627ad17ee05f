"""The match model: the known place most like the position at hand, whose colour is the first candidate."""

from typing import NamedTuple

import numpy as np

from codec.modelling.exact_colours.memory import NEAR, NOWHERE
from runtime.kernels import inlined

REACH = len(NEAR)  # the longest match


class Match(NamedTuple):
    """Where in the memory's pixels it is (0: none), how many of the neighbours are alike, how many positions in a row
    it was right, and its colour."""

    place: int
    length: int
    streak: int
    colour: int


@inlined
def find_match(memory, row, c, here, longest):
    """The longest of: right of the west's match, below the north's, the last place of the same longest context."""
    best = Match(np.int64(0), np.int64(0), np.int64(0), np.int64(NOWHERE))
    for source in range(3):
        place, streak = np.int64(memory.places[longest]), np.int64(0)
        if source == 0:
            own, ring = (row + 1) & memory.rows, (c - 1) & memory.columns
            place, streak = np.int64(memory.matches[own, ring]) + 1, np.int64(memory.streaks[own, ring])
        elif source == 1:
            above, ring = row & memory.rows, c & memory.columns
            place, streak = np.int64(memory.matches[above, ring]) + memory.stride, np.int64(memory.streaks[above, ring])
        colour = np.int64(memory.pixels[place])
        if colour == NOWHERE:
            continue
        if place == best.place:
            best = Match(place, best.length, max(best.streak, streak), colour)
            continue
        length = np.int64(0)
        for offset in memory.offsets:
            if memory.pixels[place + offset] != memory.pixels[here + offset]:
                break
            length += 1
        if length > best.length or (length == best.length and streak > best.streak):
            best = Match(place, length, streak, colour)
    return best
