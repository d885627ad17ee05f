"""LZW as TIFF has it: codes of 9 to 12 bits, the highest bit first, which get longer one entry early.

Code 256 clears the table, 257 ends a block. An encoder takes the longest string that is in the table; what encoders
differ in is when they clear it, and how they end. Ours is told by three numbers, which are in `Habits`.
The kernels keep their state from one call to the next, so a block of any size goes through them in pieces.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from runtime.kernels import kernel

CLEAR, END, FIRST, MOST = 256, 257, 258, 4096  # MOST: entries of a table
_GAP = 10_000  # bytes between two looks at how well it goes
_SLOTS = 1 << 14  # of the hash table
_FAR = 0x7FFFFF  # bytes from which on a ratio is taken otherwise, so that 32 bits hold it
_HIGHEST = 0x7FFFFFFF

# Places in a decoder's state: the next bit, bits of a code, next entry, code before (-1: none), what went wrong.
_BIT, _WIDTH, _FREE, _OLD, _FAULT = range(5)
CUT_SHORT, NO_SUCH_CODE = 1, 2
# Places in an encoder's state: those of the same names, the string so far (-1: none), bits not yet written and their
# number; then bytes in and bits out since the table was cleared, where to look next, the ratio then, times cleared.
_TEXT, _LEFT, _LEFT_BITS, _IN, _OUT, _NEXT, _RATIO, _TABLE = range(5, 13)


class Habits(NamedTuple):
    """What LZW encoders differ in.

    watches: 1 for one that looks every 10,000 bytes whether the ratio has got worse, and then clears its table, as
    libtiff's does. most: entries, 256 codes and both signs among them, with which a table is cleared. closes: 1 where
    the last code counts as an entry before the end is written, as in libtiff since 4.0.
    """

    watches: int
    most: int
    closes: int


class DecoderState(NamedTuple):
    """numbers: int64 [5]. prefix: int16 [4096], of each string all but its last byte. last, first: uint8 [4096], its
    last and first byte. length: int16 [4096]."""

    numbers: np.ndarray
    prefix: np.ndarray
    last: np.ndarray
    first: np.ndarray
    length: np.ndarray


class EncoderState(NamedTuple):
    """numbers: int64 [13]. keys: int64 [slots] of table, string and byte; codes: int16 [slots]."""

    numbers: np.ndarray
    keys: np.ndarray
    codes: np.ndarray


def new_decoder() -> DecoderState:
    numbers = np.zeros(5, np.int64)
    numbers[_WIDTH], numbers[_FREE], numbers[_OLD] = 9, FIRST, -1
    first, length = np.zeros(MOST, np.uint8), np.ones(MOST, np.int16)
    first[:256] = np.arange(256)
    return DecoderState(numbers, np.zeros(MOST, np.int16), first.copy(), first, length)


def new_encoder() -> EncoderState:
    numbers = np.zeros(13, np.int64)
    numbers[_WIDTH], numbers[_FREE], numbers[_TEXT], numbers[_NEXT] = 9, FIRST, -1, _GAP
    return EncoderState(numbers, np.full(_SLOTS, -1, np.int64), np.zeros(_SLOTS, np.int16))


@kernel
def decode(source: np.ndarray, state: DecoderState, out: np.ndarray, filled: int, wanted: int) -> int:
    """Writes strings to `out` until `wanted` bytes are there, of which `filled` were; up to MOST more are written.

    Returns how many are there: fewer where the source ends or has what no encoder writes.
    """
    numbers, prefix, last, first, length = state
    bits = 8 * len(source)
    while filled < wanted:
        at, width = numbers[_BIT], numbers[_WIDTH]
        if at + width > bits:
            numbers[_FAULT] = CUT_SHORT
            break
        code = np.int64(0)
        for byte in range(at >> 3, (at + width + 7) >> 3):
            code = code << 8 | np.int64(source[byte])
        code = code >> (-(at + width) & 7) & ((1 << width) - 1)
        numbers[_BIT] = at + width
        free, old = numbers[_FREE], numbers[_OLD]
        if code == CLEAR:
            numbers[_WIDTH], numbers[_FREE], numbers[_OLD] = 9, FIRST, -1
            continue
        if code == END:
            numbers[_FAULT] = CUT_SHORT
            break
        if (code >= 256 and old < 0) or code > free or (code == free and free == MOST):
            numbers[_FAULT] = NO_SUCH_CODE
            break
        if old >= 0 and free < MOST:
            prefix[free], first[free], length[free] = old, first[old], length[old] + 1
            last[free] = first[old] if code == free else first[code]
            free += 1
            numbers[_FREE] = free
            if free + 1 >= 1 << width and width < 12:
                numbers[_WIDTH] = width + 1
        numbers[_OLD] = code
        size = np.int64(length[code])
        for place in range(filled + size - 1, filled - 1, -1):
            out[place] = last[code]
            code = np.int64(prefix[code])
        filled += size
    return filled


def fault(state: DecoderState) -> int:
    """0, CUT_SHORT or NO_SUCH_CODE."""
    return int(state.numbers[_FAULT])


def end(source: np.ndarray, state: DecoderState) -> int | None:
    """How many bytes the block takes, its end mark included; None where other codes follow.

    Some encoders write no mark; some write it a bit shorter than its place asks for; some clear the table before it.
    """
    at, width = int(state.numbers[_BIT]), int(state.numbers[_WIDTH])
    following = int.from_bytes(source[at >> 3 : (at >> 3) + 4].tobytes().ljust(4, b"\0"), "big") << (at & 7) & 2**32 - 1
    marks = [(END, width), (END, width - 1), (CLEAR << 9 | END, width + 9)]
    for mark, bits in marks:
        if following >> 32 - bits == mark and at + bits <= 8 * len(source):
            return (at + bits + 7) // 8
    return (at + 7) // 8 if 8 * len(source) - at < width else None


@kernel
def encode(data: np.ndarray, state: EncoderState, watches: int, most: int, out: np.ndarray) -> int:
    """Writes the codes of data to `out`, which has room for 2 len(data) + 16 bytes. Returns how many bytes they are."""
    numbers, keys, codes = state
    text, free, width, table = numbers[_TEXT], numbers[_FREE], numbers[_WIDTH], numbers[_TABLE]
    left, left_bits, written = numbers[_LEFT], numbers[_LEFT_BITS], 0
    for byte in data:
        numbers[_IN] += 1
        if text < 0:
            left, left_bits = left << width | CLEAR, left_bits + width
            numbers[_OUT] += width
            text = np.int64(byte)
            continue
        key = (table << 20) | (text << 8) | np.int64(byte)
        slot = ((text << 8 | np.int64(byte)) * 40503 >> 4) & (_SLOTS - 1)
        while keys[slot] >> 20 == table and keys[slot] != key:
            slot = (slot + 1) & (_SLOTS - 1)
        if keys[slot] == key:
            text = np.int64(codes[slot])
            continue
        left, left_bits = left << width | text, left_bits + width
        numbers[_OUT] += width
        keys[slot], codes[slot], text = key, free, np.int64(byte)
        free += 1
        clears = free == most
        if not clears and free >= 1 << width and width < 12:
            width += 1
        elif not clears and watches and numbers[_IN] >= numbers[_NEXT]:
            numbers[_NEXT] = numbers[_IN] + _GAP
            if numbers[_IN] > _FAR:
                scaled = numbers[_OUT] >> 8
                ratio = numbers[_IN] // scaled if scaled else np.int64(_HIGHEST)
            else:
                ratio = (numbers[_IN] << 8) // numbers[_OUT]
            clears = ratio <= numbers[_RATIO]
            numbers[_RATIO] = ratio
        if clears:
            left, left_bits = left << width | CLEAR, left_bits + width
            numbers[_IN], numbers[_OUT], numbers[_RATIO] = 0, width, 0
            free, width, table = np.int64(FIRST), np.int64(9), table + 1
        while left_bits >= 8:
            left_bits -= 8
            out[written] = left >> left_bits & 255
            written += 1
        left &= 255
    numbers[_TEXT], numbers[_FREE], numbers[_WIDTH], numbers[_TABLE] = text, free, width, table
    numbers[_LEFT], numbers[_LEFT_BITS] = left, left_bits
    return written


def finish(state: EncoderState, habits: Habits) -> bytes:
    """The last bytes of a block."""
    names = (_LEFT, _LEFT_BITS, _TEXT, _WIDTH, _FREE)
    left, bits, text, width, free = (int(state.numbers[name]) for name in names)
    left, bits = left & (1 << bits) - 1, bits
    if text >= 0:
        left, bits = left << width | text, bits + width
        if habits.closes and free + 1 == habits.most:
            left, bits, width = left << width | CLEAR, bits + width, 9
        elif habits.closes and free + 1 >= 1 << width and width < 12:
            width += 1
    left, bits = left << width | END, bits + width
    return (left << -bits % 8).to_bytes((bits + 7) // 8, "big")
