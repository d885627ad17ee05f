"""The LZW code of GIF: from a stream of codes to pixels, and back to the same bytes where its habits can be told.

A stream's pixels leave free where it has clear codes and how long each phrase is; nearly every encoder takes the
longest phrase there is, and clears after the same number of codes each time. `Habits` are what an encoder does, and
where the greedy one does otherwise, lists of it. Streams are uint8 arrays without the blocks that a file cuts them
into. Both directions go through the rows in the order in which the file has them. (GIF89a specification, appendix F.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from codec.errors import UnreadableImage
from runtime.kernels import inlined, kernel

_CODES = 4096  # that a table has at most
_WIDEST = 12  # bits of a code
_CHUNK = 1 << 20  # pixels that are coded before bytes are given

# Of a decoder's state, and of an encoder's.
_WRONG, _USED, _CLEARS, _LAST, _LONGEST, _NO_FIRST, _NO_END, _LISTED = range(8)
_CODE, _LENGTH, _FREE, _SIZE, _BITS, _COUNT, _SINCE, _CLEAR, _PHRASE, _NUMBER, _AT = range(1, 12)
_STATE = 12
_AS_LISTED = -1  # instead of a period
_CUT, _NO_CODE, _TOO_MANY, _UNLIKE = range(1, 5)
_REASONS = {
    _CUT: "its pixels end before the frame is full",
    _NO_CODE: "it has a code that is not defined",
    _TOO_MANY: "it has more pixels than its frame",
}


@dataclass(frozen=True, eq=False)
class Habits:
    """How an encoder packs pixels.

    first_clear, end: whether it begins with a clear code and stops with an end code. period: after how many codes it
    clears if more are to come, 0 for never. clears: the numbers of codes from each clear code to the next instead,
    int64 [n], or None. literal: whether every phrase is one pixel. phrases: those that are not the longest, int64
    [n, 2]: the code's place in the stream, clear codes not counted, and the pixels that it stands for. pad: the bits
    that fill the last byte.
    """

    first_clear: bool = True
    end: bool = True
    period: int = 0
    clears: np.ndarray | None = None
    literal: bool = False
    phrases: np.ndarray | None = None
    pad: int = 0


@dataclass(frozen=True, eq=False)
class Decoded:
    """What a stream says: pixels, uint8 [H, W], its habits but for the phrases or None if they take too much room to
    list, how many of its bytes are used, and whether all phrases are of one pixel."""

    values: np.ndarray
    habits: Habits | None
    used: int
    literal: bool


def usual(least: int) -> Habits:
    """Those of an encoder that clears as soon as its table is full. least: bits of a pixel."""
    return Habits(period=_CODES - (1 << least) - 2)


def decode(stream: np.ndarray, least: int, shape: tuple[int, int], order: np.ndarray, most: int) -> Decoded:
    """The pixels of a stream. order: int64 [H], the frame's rows as they follow in it. most: clear codes that may be
    listed. Raises UnreadableImage, before memory is taken for more pixels than the stream can have."""
    if shape[0] * shape[1] > _CODES * (8 * len(stream) // (least + 1)):
        raise UnreadableImage(f"a damaged GIF, {_REASONS[_CUT]}: get the file again")
    values, state = np.empty(shape, np.uint8), np.zeros(_STATE, np.int64)
    clears, work = np.zeros(most, np.int64), np.zeros((4, _CODES), np.int64)
    _decode(stream, least, values, order, clears, work, state)
    if state[_WRONG]:
        raise UnreadableImage(f"a damaged GIF, {_REASONS[int(state[_WRONG])]}: get the file again")
    used, count, last = int(state[_USED]), int(state[_CLEARS]), int(state[_LAST])
    pad = int(stream[used // 8]) >> used % 8 if used % 8 else 0
    found = Habits(not state[_NO_FIRST], not state[_NO_END], pad=pad)
    habits: Habits | None = found
    if count > most:
        habits = None
    elif not count and last <= usual(least).period:
        habits = replace(found, period=usual(least).period)
    elif count:
        period = int(clears[0])
        regular = period > 0 and (clears[:count] == period).all() and 0 < last <= period
        habits = replace(found, period=period) if regular else replace(found, clears=clears[:count].copy())
    return Decoded(values, habits, -(-used // 8), bool(state[_LONGEST] == 1))


def phrases(stream: np.ndarray, least: int, values: np.ndarray, order: np.ndarray, most: int) -> np.ndarray | None:
    """A sound stream's phrases that are not the longest, as in Habits; None if they are more than `most`."""
    state, found = np.zeros(_STATE, np.int64), np.zeros((most, 2), np.int64)
    work, table = np.zeros((3, _CODES), np.int64), np.zeros((_CODES, 256), np.uint16)
    _follow(stream, least, values, order, found, work, table, state)
    return None if state[_WRONG] else found[: state[_LISTED]]


def encode(values: np.ndarray, least: int, order: np.ndarray, habits: Habits) -> Iterator[np.ndarray]:
    """The bytes of a stream, a MB or so a time. values: uint8 [H, W]. Raises ValueError for a pixel of more than
    `least` bits, and for habits that list more than the pixels have a place for."""
    clears = np.zeros(0, np.int64) if habits.clears is None else habits.clears
    listed = np.zeros((0, 2), np.int64) if habits.phrases is None else habits.phrases
    period = habits.period if habits.clears is None else _AS_LISTED
    modes = np.array([least, period, habits.literal, habits.first_clear, habits.end, habits.pad], np.int64)
    state, table, work = np.zeros(_STATE, np.int64), np.zeros((_CODES, 256), np.uint16), np.zeros((2, _CODES), np.int64)
    rows = max(1, _CHUNK // values.shape[1])
    room = np.empty(3 * min(rows, len(order)) * values.shape[1] + 2 * len(clears) + 64, np.uint8)
    for first in range(0, len(order), rows):
        some = order[first : first + rows]
        _encode(values, some, first == 0, first + rows >= len(order), modes, clears, listed, room, work, table, state)
        if state[_WRONG]:
            raise ValueError(f"a pixel has more than {least} bits")
        yield room[: state[_AT]].copy()
        state[_AT] = 0
    if state[_CLEAR] < len(clears) or state[_PHRASE] < len(listed):
        raise ValueError("more clear codes or phrases are listed than the pixels have")


@kernel
def _decode(
    stream: np.ndarray,
    least: int,
    values: np.ndarray,
    order: np.ndarray,
    clears: np.ndarray,
    work: np.ndarray,
    state: np.ndarray,
) -> None:
    clear, height, width = 1 << least, values.shape[0], values.shape[1]
    # Of each code: the code before its last pixel, its last and first pixel, and how many it has.
    prefix, last, head, length = work[0], work[1], work[2], work[3]
    for i in range(clear):
        prefix[i], last[i], head[i], length[i] = -1, i, i, 1
    bits, count, at, size, free, before, since = 0, 0, 0, least + 1, clear + 2, -1, 0
    row, column, used, begun = 0, 0, 0, False
    while True:
        while count < size and at < len(stream):
            bits |= np.int64(stream[at]) << count
            at += 1
            count += 8
        full = row == height
        code = bits & ((1 << size) - 1)
        if count < size or (full and code != clear and code != clear + 1):
            state[_WRONG] = 0 if full else _CUT
            state[_NO_END] = 1
            break
        bits >>= size
        count -= size
        used += size
        if code == clear + 1:
            state[_WRONG] = 0 if full else _CUT
            break
        if code == clear:
            if begun:
                if state[_CLEARS] < len(clears):
                    clears[state[_CLEARS]] = since
                state[_CLEARS] += 1
            begun, before, since, size, free = True, -1, 0, least + 1, clear + 2
            continue
        if not begun:
            state[_NO_FIRST] = 1
            begun = True
        if before < 0 and code >= clear or code > free or code == free and free == _CODES:
            state[_WRONG] = _NO_CODE
            break
        since += 1
        if before >= 0 and free < _CODES:
            prefix[free], last[free] = before, head[code if code < free else before]
            head[free], length[free] = head[before], length[before] + 1
            free += 1
        if free >= 1 << size and size < _WIDEST:
            size += 1
        before = code
        steps = length[code]
        state[_LONGEST] = max(state[_LONGEST], steps)
        bottom, right = row, column + steps - 1  # of the phrase's last pixel
        while right >= width:
            bottom += 1
            right -= width
        if bottom >= height:
            state[_WRONG] = _TOO_MANY
            break
        row, column = bottom, right + 1
        if column == width:
            row, column = row + 1, 0
        while code >= 0:
            values[order[bottom], right] = last[code]
            code = prefix[code]
            right -= 1
            if right < 0:
                bottom -= 1
                right = width - 1
    state[_USED], state[_LAST] = used, since


@kernel
def _follow(
    stream: np.ndarray,
    least: int,
    values: np.ndarray,
    order: np.ndarray,
    found: np.ndarray,
    work: np.ndarray,
    table: np.ndarray,
    state: np.ndarray,
) -> None:
    clear, height, width = 1 << least, values.shape[0], values.shape[1]
    parent, suffix, length = work[0], work[1], work[2]
    for i in range(clear):
        length[i] = 1
    bits, count, at, size, free, before, number = 0, 0, 0, least + 1, clear + 2, -1, 0
    row, column = 0, 0
    while row < height:
        while count < size and at < len(stream):
            bits |= np.int64(stream[at]) << count
            at += 1
            count += 8
        code = bits & ((1 << size) - 1)
        bits >>= size
        count -= size
        if code == clear:
            for i in range(clear + 2, free):
                table[parent[i], suffix[i]] = 0
            before, size, free = -1, least + 1, clear + 2
            continue
        here = np.int64(values[order[row], column])
        if before >= 0 and free < _CODES:  # before the phrase is looked for, as an encoder does
            parent[free], suffix[free], length[free] = before, here, length[before] + 1
            if table[before, here] == 0:
                table[before, here] = free
            free += 1
        if free >= 1 << size and size < _WIDEST:
            size += 1
        steps, y, x = 1, row, column
        while True:
            x += 1
            if x == width:
                y, x = y + 1, 0
            if y == height:
                break
            here = np.int64(table[here, values[order[y], x]])
            if here == 0:
                break
            steps += 1
        if steps != length[code]:
            if state[_LISTED] == len(found):
                state[_WRONG] = _UNLIKE
                return
            found[state[_LISTED], 0], found[state[_LISTED], 1] = number, length[code]
            state[_LISTED] += 1
        number += 1
        before = code
        column += length[code]
        while column >= width:
            row += 1
            column -= width


@kernel
def _encode(
    values: np.ndarray,
    order: np.ndarray,
    first: bool,
    last: bool,
    modes: np.ndarray,
    clears: np.ndarray,
    listed: np.ndarray,
    room: np.ndarray,
    work: np.ndarray,
    table: np.ndarray,
    state: np.ndarray,
) -> None:
    clear, period, literal = 1 << modes[0], modes[1], modes[2] != 0
    if first:
        state[_CODE] = -1
        _reset(clear, work, table, state)
        if modes[3]:
            _emit(clear, room, state)
        _clear_as_listed(clear, period, clears, room, work, table, state)
    for row in order:
        for column in range(values.shape[1]):
            pixel = np.int64(values[row, column])
            if pixel >= clear:
                state[_WRONG] = _NO_CODE
                return
            code = state[_CODE]
            if code >= 0:
                stop = literal
                if state[_PHRASE] < len(listed) and listed[state[_PHRASE], 0] == state[_NUMBER]:
                    stop = listed[state[_PHRASE], 1] == state[_LENGTH]
                child = np.int64(0) if stop else np.int64(table[code, pixel])
                if child:
                    state[_CODE] = child
                    state[_LENGTH] += 1
                    continue
                _take_phrase(clear, period, clears, listed, pixel, room, work, table, state)
                if state[_SINCE] == period:
                    _emit(clear, room, state)
                    _reset(clear, work, table, state)
            state[_CODE], state[_LENGTH] = pixel, 1
    if last:
        _take_phrase(clear, period, clears, listed, 0, room, work, table, state)
        if modes[4]:
            _emit(clear + 1, room, state)
        if state[_COUNT]:
            room[state[_AT]] = (state[_BITS] | modes[5] << state[_COUNT]) & 255
            state[_AT] += 1


@inlined
def _take_phrase(
    clear: int,
    period: int,
    clears: np.ndarray,
    listed: np.ndarray,
    pixel: int,
    room: np.ndarray,
    work: np.ndarray,
    table: np.ndarray,
    state: np.ndarray,
) -> None:
    """Writes the phrase's code, gives the next one to it and the pixel behind it, and clears where that is listed."""
    code, free = state[_CODE], state[_FREE]
    _emit(code, room, state)
    if state[_PHRASE] < len(listed) and listed[state[_PHRASE], 0] == state[_NUMBER]:
        state[_PHRASE] += 1
    state[_NUMBER] += 1
    state[_SINCE] += 1
    if free >= 1 << state[_SIZE] and state[_SIZE] < _WIDEST:  # by the codes that a decoder has: one less
        state[_SIZE] += 1
    if free < _CODES:
        work[0, free], work[1, free] = code, pixel
        if table[code, pixel] == 0:
            table[code, pixel] = free
        state[_FREE] += 1
    _clear_as_listed(clear, period, clears, room, work, table, state)


@inlined
def _clear_as_listed(
    clear: int,
    period: int,
    clears: np.ndarray,
    room: np.ndarray,
    work: np.ndarray,
    table: np.ndarray,
    state: np.ndarray,
) -> None:
    while period == _AS_LISTED and state[_CLEAR] < len(clears) and clears[state[_CLEAR]] == state[_SINCE]:
        _emit(clear, room, state)
        _reset(clear, work, table, state)
        state[_CLEAR] += 1


@inlined
def _reset(clear: int, work: np.ndarray, table: np.ndarray, state: np.ndarray) -> None:
    for i in range(clear + 2, state[_FREE]):
        table[work[0, i], work[1, i]] = 0
    state[_FREE], state[_SINCE], state[_SIZE] = clear + 2, 0, 1
    while 1 << state[_SIZE] <= clear:
        state[_SIZE] += 1


@inlined
def _emit(code: int, room: np.ndarray, state: np.ndarray) -> None:
    state[_BITS] |= code << state[_COUNT]
    state[_COUNT] += state[_SIZE]
    while state[_COUNT] >= 8:
        room[state[_AT]] = state[_BITS] & 255
        state[_AT] += 1
        state[_BITS] >>= 8
        state[_COUNT] -= 8
