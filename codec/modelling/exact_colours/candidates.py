"""The candidates for a position's colour, and the palette of the picture's latest colours behind them."""

from typing import NamedTuple

import numpy as np

from codec.modelling.exact_colours.memory import CONTEXTS, NOWHERE, RECENT, WAYS
from runtime.kernels import inlined

MOST = 8  # candidates of a position


class Candidates(NamedTuple):
    """Those of the position at hand, and behind them the palette; colours and scores are int64."""

    colours: np.ndarray  # [MOST + RECENT]
    scores: np.ndarray  # [MOST]


def candidates() -> Candidates:
    """Room for them."""
    return Candidates(np.zeros(MOST + RECENT, np.int64), np.zeros(MOST, np.int64))


@inlined
def gather(candidates, match, contexts, around, refused):
    """Lists the match, what the contexts remember from the last to the shortest, the neighbours, but for a colour that
    is refused; returns how many."""
    listed = 0 if match.colour == refused else _add(candidates, 0, match.colour)
    for k in range(CONTEXTS - 1, -1, -1):
        for i in range(WAYS):
            if contexts.seen[k, i] > 0:
                listed = _add(candidates, listed, contexts.seen[k, i] & 0xFFFFFF)
    listed = listed if around.w == refused else _add(candidates, listed, around.w)
    listed = listed if around.n == refused else _add(candidates, listed, around.n)
    listed = listed if around.nw == refused else _add(candidates, listed, around.nw)
    return listed if around.ne == refused else _add(candidates, listed, around.ne)


@inlined
def _add(candidates, listed, colour):
    """Lists a colour, unless it is listed or the list is full; returns how many are listed."""
    if colour == NOWHERE or listed == MOST or find(candidates, 0, listed, colour) < listed:
        return listed
    candidates.colours[listed] = colour
    return listed + 1


@inlined
def find(candidates, start, end, colour):
    """Where a colour stands among those from start to end - 1; end if it does not."""
    for j in range(start, end):
        if candidates.colours[j] == colour:
            return j
    return end


@inlined
def bring_best(candidates, tried, listed):
    """Moves the candidate of the best score to the place `tried`; the others keep their order."""
    best = tried
    for j in range(tried + 1, listed):
        if candidates.scores[j] > candidates.scores[best]:
            best = j
    colour, score = candidates.colours[best], candidates.scores[best]
    for j in range(best, tried, -1):
        candidates.colours[j], candidates.scores[j] = candidates.colours[j - 1], candidates.scores[j - 1]
    candidates.colours[tried], candidates.scores[tried] = colour, score


@inlined
def list_palette(candidates, listed, recent, refused):
    """Lists the picture's colours that are no candidates nor refused; returns how many there are in all."""
    end = listed
    for colour in recent:
        if colour == NOWHERE:
            break
        if colour != refused and find(candidates, 0, listed, colour) == listed:
            candidates.colours[end] = colour
            end += 1
    return end
