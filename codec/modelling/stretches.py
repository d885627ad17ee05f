"""Stretches of a row whose colours are expected: do all of them come, and if not, up to where?

Where everything above is one colour for a while, or a match has long been right, one decision is about many positions;
if it says no, the first half is asked for, until the break is found. What the row's match foretells and how often rows
and columns broke before are the contexts.
"""

from typing import NamedTuple

import numpy as np

from codec.entropy.range_coder import code
from codec.modelling.adaptive import Adaptive, adapt, adaptive, probability
from codec.modelling.exact_colours.memory import NOWHERE, place_of
from codec.modelling.mixer import Mixer, adjust, equal, mix, mixer, squash, stretch
from runtime.kernels import inlined

SHORTEST = 12  # pixels
_LONGEST_COPY = 256
_SURE = 15  # how often in a row a match was right that is copied from
DECISIONS = 34  # about one stretch
_FURTHEST = 512  # pixels of what a match foretells
_INPUTS = 4
_SIZES, _FORETOLD, _PASTS = 32, 3, 256
_WHOLE, _PART = 0, 1  # questions; two more are those of copies
_CONSTANT = 1229
_RATES = np.maximum(262, 163840 // (np.arange(1024) + 50)).astype(np.int32)
_FINAL_RATE = 131


class Stretches(NamedTuple):
    """State of a tile."""

    probabilities: Adaptive
    rows: Adaptive
    mixer: Mixer
    addresses: np.ndarray  # int64 [4]: the decision's probabilities
    past: np.ndarray  # int64 [3]: how stretches of one colour, rows and copies went, the latest in the lowest bit


def stretches() -> Stretches:
    """What starts a tile."""
    weights = np.full((4 * _SIZES + 4 * _FORETOLD * 16, _INPUTS + 1), 6554, np.int16)
    weights[:, _INPUTS] = 0
    return Stretches(
        adaptive(4 * _INPUTS * 4096),
        adaptive(_PASTS),
        mixer(weights, equal(4, 2), _RATES, _FINAL_RATE),
        np.zeros(_INPUTS, np.int64),
        np.zeros(3, np.int64),
    )


@inlined
def code_same_row(same, stretches, coding):
    """Codes whether a row is like the one above; returns it."""
    at = stretches.past[1]
    frequency = min(max(np.int64(stretches.rows.probabilities[at]) << 2, np.int64(256)), np.int64((1 << 24) - 256))
    found = code(coding, frequency, same)
    adapt(stretches.rows, at, found)
    stretches.past[1] = (stretches.past[1] << 1 | found) & (_PASTS - 1)
    return found


@inlined
def flat_until(row, c, end, memory):
    """Up to where all above a position is of the colour N, as are its neighbours; c if they are not. end: how far
    that was found before."""
    here = place_of(memory, row, c)
    above = here - memory.stride
    pixels, colour, width = memory.pixels, memory.pixels[above], len(memory.column_runs)
    if c > 0 and (pixels[here - 1] != colour or pixels[above - 1] != colour):
        return c
    if c + 1 < width and pixels[above + 1] != colour:
        return c
    if row > 1 and pixels[above - memory.stride] != colour:
        return c
    if c > 1 and pixels[here - 2] != colour:
        return c
    last = max(c, end)
    while (
        last < width
        and pixels[above + last - c] == colour
        and (last + 1 == width or pixels[above + last - c + 1] == colour)
    ):
        last += 1
    return last


@inlined
def copied_until(row, c, memory):
    """The place of the match at W, and up to where the colours above are those above the match; c if they are not, or
    if the match has not been right for long."""
    own, ring = (row + 1) & memory.rows, (c - 1) & memory.columns
    place, here, last = np.int64(memory.matches[own, ring]) + 1, place_of(memory, row, c), c
    if memory.streaks[own, ring] < _SURE:
        return place, last
    pixels, above, end = memory.pixels, memory.stride, min(c + _LONGEST_COPY, len(memory.column_runs))
    if pixels[here - above] != pixels[place - above]:
        return place, last
    while last < end and pixels[place + last - c] != NOWHERE:
        i = last - c + 1 - above
        if pixels[here + i] != pixels[place + i]:
            break
        last += 1
    return place, last


@inlined
def code_stretch(row, c, length, copied, truth, state):
    """Codes how many positions from c on have the colours that are expected of them, `length` if all; truth: that, when
    encoding. copied: whether those of a match, else the one above. state: memory, stretches, coding."""
    memory, stretches, coding = state
    reach = np.int64(-1) if copied else _foretold(row, c, length, memory)
    breaks = min(np.int64(memory.row_breaks[row]), 3)
    past = stretches.past[2 * copied]
    kind = 2 * np.int64(copied)
    whole = _asked((_WHOLE + kind, length, reach, breaks, past), np.int64(truth >= length), stretches, coding)
    stretches.past[2 * copied] = (past << 1 | np.int64(whole)) & 15
    if whole:
        return length
    low, left = np.int64(0), length
    while left > 1:
        first = (left + 1) >> 1
        near = np.int64(reach - low) if reach >= 0 else np.int64(-1)
        columns = np.int64(0)
        if left <= 16:
            x, y = np.int64(0), np.int64(0)
            for i in range(first):
                x = max(x, np.int64(memory.column_breaks[c + low + i]))
            for i in range(first, left):
                y = max(y, np.int64(memory.column_breaks[c + low + i]))
            columns = (
                np.int64(1) + np.int64(x > y) + 2 * np.int64(y > x) + 4 * np.int64(x > 2 * y) + 8 * np.int64(y > 2 * x)
            )
        if _asked((_PART + kind, first, near, breaks, columns), np.int64(truth >= low + first), stretches, coding):
            low += first
            left -= first
        else:
            left = first
    return low


@inlined
def _foretold(row, c, length, memory):
    """How many positions have the colour above by the match at W; -1 if there is none."""
    place = np.int64(memory.matches[(row + 1) & memory.rows, (c - 1) & memory.columns]) + 1
    colour = memory.pixels[place_of(memory, row, c) - memory.stride]
    if memory.pixels[place] == NOWHERE:
        return np.int64(-1)
    count = np.int64(0)
    while count < length and count < _FURTHEST and memory.pixels[place + count] == colour:
        count += 1
    return np.int64(length) if count == _FURTHEST else count


@inlined
def _asked(question, truth, stretches, coding):
    """Codes whether the first positions of a stretch, so many, are as expected; returns it. question: kind, how many,
    how many the match foretells, breaks of the row, and one more context."""
    kind, length, reach, breaks, other = question
    size = np.int64(0)
    while (1 << size) < length:
        size += 1
    foretold = np.int64(0) if reach < 0 else np.int64(1) if reach >= length else np.int64(2)
    first, mixer = kind * _INPUTS * 4096, stretches.mixer
    stretches.addresses[0] = first + size * 3 + foretold
    stretches.addresses[1] = first + 4096 + (size * 16 + other) * 3 + foretold
    stretches.addresses[2] = first + 2 * 4096 + size * 4 + breaks
    stretches.addresses[3] = first + 3 * 4096 + ((min(size, 15) * 4 + breaks) * 16 + other) * 3 + foretold
    for j in range(_INPUTS):
        mixer.inputs[j] = stretch(probability(stretches.probabilities, stretches.addresses[j]))
    mixer.inputs[_INPUTS] = _CONSTANT
    mixer.selected[0] = kind * _SIZES + size
    mixer.selected[1] = 4 * _SIZES + (kind * 3 + foretold) * 16 + other
    mixed = np.int64(squash(mix(mixer, kind)))
    found = code(coding, mixed << 8, truth)
    adjust(mixer, kind, mixed, found)
    for j in range(_INPUTS):
        adapt(stretches.probabilities, stretches.addresses[j], found)
    return found == 1
