"""What exact colours remember of a tile: its pixels, buckets of colours by context, runs, and the latest colours."""

from typing import NamedTuple

import numpy as np

from runtime.kernels import inlined

NOWHERE = 1 << 24  # the colour of what lies outside the tile
_TOP, _SIDE = 4, 6  # rows and columns of it that neighbours reach
NEAR = (  # neighbours (row, column), all of levels before; the nearest first
    ((0, -1), (-1, 0), (-1, -1), (-1, 1), (0, -2), (-2, 0), (-2, 1), (-2, -1), (-1, -2), (-2, 2))
    + ((0, -3), (-2, -2), (-2, 3), (-3, 0), (-3, 1), (-1, -3), (-3, -1), (-3, 2), (0, -4), (-3, 3))
    + ((-3, -2), (-2, -3), (-3, 4), (-4, 0), (-4, 1), (-1, -4), (-4, 2), (-4, -1))
)
RECENT = 32
CONTEXTS, WAYS = 8, 3  # buckets of a position, colours in each
_SLOT_BITS = 15
_PLACES = 1 << 16  # of the longest context, where it last came
LONGEST_COUNT = 255
_LONGEST_RUN, _LONGEST_STREAK = 63, 15
_RING = 4  # positions of a row whose matches and outcomes are kept, level by level


class Memory(NamedTuple):
    """State of a tile. Of the rings, row r stands at r + 1, the first lying above the tile; where positions come row by
    row, two rows of all positions take turns."""

    channels: int
    stride: int
    rows: int  # masks of rows and columns in the rings
    columns: int
    offsets: np.ndarray  # int64 [28]: the neighbours in `pixels`
    pixels: np.ndarray  # int32: colours, padded
    buckets: np.ndarray  # uint32 [CONTEXTS * slots, 1 + WAYS]: check, then count 2^24 + colour
    row_runs: np.ndarray  # int32 [H]: length of the present run of one colour along a row
    row_breaks: np.ndarray  # int32 [H]: how often a row's colours differed from those above
    column_runs: np.ndarray  # int32 [W], column_breaks likewise
    column_breaks: np.ndarray
    matches: np.ndarray  # int32 [rows, ring]: where in `pixels` the match of a position was
    streaks: np.ndarray  # int32 [rows, ring]: how many in a row were right
    outcomes: np.ndarray  # int32 [rows, ring]: 0 the first candidate, 1 another, 2 none
    places: np.ndarray  # int32: where in `pixels` a longest context last came
    recent: np.ndarray  # int32 [32]: the latest colours, the last first


def memory(channels: int, height: int, width: int, in_rows: bool = False) -> Memory:
    """An empty one, for positions that come level by level, or row by row."""
    stride = width + 2 * _SIDE
    ring = (2, 1 << width.bit_length()) if in_rows else (height + 1, _RING)  # a place that stays empty left of a row
    return Memory(
        channels,
        stride,
        1 if in_rows else -1,
        ring[1] - 1,
        np.array([dr * stride + dc for dr, dc in NEAR], np.int64),
        np.full((_TOP + height + 1) * stride, NOWHERE, np.int32),
        np.zeros((CONTEXTS << _SLOT_BITS, 1 + WAYS), np.uint32),
        np.zeros(height, np.int32),
        np.zeros(height, np.int32),
        np.zeros(width, np.int32),
        np.zeros(width, np.int32),
        np.zeros(ring, np.int32),
        np.zeros(ring, np.int32),
        np.zeros(ring, np.int32),
        np.zeros(_PLACES, np.int32),
        np.full(RECENT, NOWHERE, np.int32),
    )


@inlined
def place_of(memory, row, c):
    """Where a position lies in `pixels`."""
    return (row + _TOP) * memory.stride + c + _SIDE


@inlined
def colour_of(pixels, row, c):
    """The colour of a position of pixels, uint8 [C, H, W]."""
    if len(pixels) == 1:
        return np.int64(pixels[0, row, c])
    return (np.int64(pixels[0, row, c]) << 16) | (np.int64(pixels[1, row, c]) << 8) | np.int64(pixels[2, row, c])


@inlined
def bucket_of(context, h):
    """A context's bucket for a hash of 32 bits, and the check that it holds if it is this hash's."""
    return (context << _SLOT_BITS) + (h & ((1 << _SLOT_BITS) - 1)), h >> _SLOT_BITS


@inlined
def longest_of(h):
    """The entry in `places` for a hash."""
    return h & (_PLACES - 1)


@inlined
def remember(bucket, check, colour):
    """Brings a colour to the front of a context's bucket, one up; the others' counts halve while above 2."""
    if bucket[0] != check:
        bucket[0] = check
        for i in range(1, 1 + WAYS):
            bucket[i] = 0
    count, moved = np.int64(1), np.int64(0)
    for i in range(1, 1 + WAYS):
        entry = np.int64(bucket[i])
        if entry > 0 and (entry & 0xFFFFFF) == colour:
            count = min((entry >> 24) + 1, LONGEST_COUNT)
            bucket[i] = moved
            for rest in range(i + 1, 1 + WAYS):
                bucket[rest] = _faded(np.int64(bucket[rest]))
            break
        bucket[i], moved = moved, _faded(entry)
    bucket[1] = (count << 24) | colour


@inlined
def _faded(entry):
    count = entry >> 24
    return ((count + 2) >> 1 << 24) | (entry & 0xFFFFFF) if count > 2 else entry


@inlined
def extend(memory, row, c, colour, beside):
    """Takes a colour into the runs and breaks of its row and column. beside: the colours at W and N."""
    west, north = beside
    memory.row_runs[row] = min(memory.row_runs[row] + 1, _LONGEST_RUN) if colour == west else 1
    memory.column_runs[c] = min(memory.column_runs[c] + 1, _LONGEST_RUN) if colour == north else 1
    if colour != north and north != NOWHERE:
        memory.row_breaks[row] = min(memory.row_breaks[row] + 1, 255)
    if colour != west and west != NOWHERE:
        memory.column_breaks[c] = min(memory.column_breaks[c] + 1, 255)
    if colour != west:
        _bring_forward(memory.recent, colour)


@inlined
def note(memory, row, c, match, copied, outcome):
    """Enters the match at a position, whether it was right, and what came of the candidates."""
    place, ring = (row + 1) & memory.rows, c & memory.columns
    memory.matches[place, ring] = match.place
    memory.streaks[place, ring] = min(match.streak + 1, _LONGEST_STREAK) if copied else 0
    memory.outcomes[place, ring] = outcome


@inlined
def pass_over(row, c, colour, place, memory):
    """Takes a colour into a position that nothing was asked about, row by row. place: that of its match, or 0 for the
    match at W if it goes on, else for the position above."""
    here, own, ring = place_of(memory, row, c), (row + 1) & memory.rows, c & memory.columns
    before, streak = (c - 1) & memory.columns, np.int64(_LONGEST_STREAK)
    if place == 0:
        place, streak = np.int64(memory.matches[own, before]) + 1, np.int64(memory.streaks[own, before]) + 1
        if memory.pixels[place] != colour:
            place, streak = here - memory.stride, np.int64(0)
    memory.matches[own, ring] = place
    memory.streaks[own, ring] = min(streak, _LONGEST_STREAK)
    memory.outcomes[own, ring] = 0
    memory.pixels[here] = colour
    extend(memory, row, c, colour, (np.int64(memory.pixels[here - 1]), np.int64(memory.pixels[here - memory.stride])))


@inlined
def _bring_forward(recent, colour):
    """Moves a colour to the front of the recent ones; the last goes if it was not among them."""
    j = 0
    while j < RECENT - 1 and recent[j] != colour:
        j += 1
    while j > 0:
        recent[j] = recent[j - 1]
        j -= 1
    recent[0] = colour
