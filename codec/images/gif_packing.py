"""How a GIF's pixels were packed: the habits of its LZW code, and the lengths of the blocks that hold it.

In a rest, with numbers as in numbers.py: a byte of flags, 1 for no clear code first, 2 for no end code, 4 for phrases
of one pixel each, and of what follows: 8 _CLEARS, 16 _PHRASES, 32 _SIZES, 64 _PAD. With _CLEARS the number of clear
codes (the first one apart) and of each the codes since the one before; else the period, after how many codes it clears
if more are to come, 0 for never. With _PHRASES the number of phrases that are not the longest, and of each how many
codes lie between it and the one before, and the pixels that it stands for; clear codes are not counted. The length of
all blocks but the last, a byte; with _SIZES the number of blocks instead and a byte for each. With _PAD a byte, the
bits that fill the last byte of the code; else they are 0. All numbers but bytes are varints.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from codec.errors import DamagedFile
from codec.format.numbers import Reader, varint
from codec.images import gif_lzw
from codec.images.gif_lzw import Decoded, Habits
from runtime.kernels import kernel

DEFAULT_BLOCK = 255
_NO_FIRST, _NO_END, _LITERAL, _CLEARS, _PHRASES, _SIZES, _PAD = (1 << bit for bit in range(7))
_SHARE, _SOME = 100, 64  # bytes of lists: one of so many of the code's, and so many besides


@dataclass(frozen=True, eq=False)
class Packing:
    """habits: of the LZW code. sizes: the length of all blocks but the last, or each block's."""

    habits: Habits
    sizes: int | bytes = DEFAULT_BLOCK


def found_packing(
    stream: np.ndarray, least: int, decoded: Decoded, order: np.ndarray, image: bytes, size: int
) -> Packing | None:
    """The packing by which the very bytes of an image are made again, which is tried; None if there is none that takes
    little room. image: the blocks with their end. size: the length of all of them but the last, 0 if they differ."""
    room = len(stream) // _SHARE + _SOME
    sizes: int | bytes = size if size else _sizes(image, room)
    if not sizes or decoded.habits is None:
        return None
    for habits in _likely(stream, least, decoded, order, room):
        if _listed(habits) + (0 if size else len(bytes(sizes))) > room:
            continue
        code = gif_lzw.encode(decoded.values, least, order, habits)
        if _same(blocks(code, sizes, stream[decoded.used :].tobytes()), image):
            return Packing(habits, sizes)
    return None


def _likely(stream: np.ndarray, least: int, decoded: Decoded, order: np.ndarray, room: int) -> Iterator[Habits]:
    """Habits to try, those first that take least room."""
    if decoded.habits is None:
        return
    yield decoded.habits
    if decoded.literal:
        yield replace(decoded.habits, literal=True)
    listed = gif_lzw.phrases(stream, least, decoded.values, order, room)
    if listed is not None and len(listed):
        yield replace(decoded.habits, phrases=listed)


def _listed(habits: Habits) -> int:
    """Bytes that a packing's lists take."""
    return len(_clears(habits)) + len(_phrases(habits))


def _same(pieces: Iterable[bytes], image: bytes) -> bool:
    at = 0
    try:
        for piece in pieces:
            if image[at : at + len(piece)] != piece:
                return False
            at += len(piece)
    except ValueError:
        return False
    return at == len(image)


def _sizes(image: bytes, most: int) -> bytes:
    """The lengths of all blocks; none for more than so many."""
    found, at = bytearray(), 0
    while image[at]:
        if len(found) == most:
            return b""
        found.append(image[at])
        at += image[at] + 1
    return bytes(found)


def blocks(code: Iterable[np.ndarray], sizes: int | bytes, tail: bytes) -> Iterator[bytes]:
    """The blocks of an LZW code and of a tail behind it, and the empty one that ends them. Raises ValueError where
    sizes do not sum up to their bytes."""
    if not isinstance(sizes, int):
        yield from _blocks_of_sizes(code, sizes, tail)
        return
    left = np.zeros(0, np.uint8)
    for piece in chain(code, [np.frombuffer(tail, np.uint8)]):
        left = np.concatenate([left, piece])
        whole = len(left) // sizes
        if whole:
            cut = np.empty((whole, sizes + 1), np.uint8)
            cut[:, 0] = sizes
            cut[:, 1:] = left[: whole * sizes].reshape(whole, sizes)
            left = left[whole * sizes :]
            yield cut.tobytes()
    yield (bytes([len(left)]) + left.tobytes() if len(left) else b"") + b"\0"


def _blocks_of_sizes(code: Iterable[np.ndarray], sizes: bytes, tail: bytes) -> Iterator[bytes]:
    left, number = b"", 0
    for piece in chain(code, [np.frombuffer(tail, np.uint8)]):
        left, at, cut = left + piece.tobytes(), 0, []
        while number < len(sizes) and at + sizes[number] <= len(left):
            cut += [sizes[number : number + 1], left[at : at + sizes[number]]]
            at += sizes[number]
            number += 1
        left = left[at:]
        yield b"".join(cut)
    if left or number < len(sizes):
        raise ValueError("its blocks have other lengths than its code")
    yield b"\0"


def pack(packing: Packing, least: int) -> bytes:
    """A packing in a rest; nothing for the usual one."""
    habits, sizes = packing.habits, packing.sizes
    listed = not isinstance(sizes, int)
    told = {
        _NO_FIRST: not habits.first_clear,
        _NO_END: not habits.end,
        _LITERAL: habits.literal,
        _CLEARS: habits.clears is not None,
        _PHRASES: habits.phrases is not None,
        _SIZES: listed,
        _PAD: habits.pad,
    }
    flags = sum(flag for flag, is_so in told.items() if is_so)
    if not flags and habits.period == gif_lzw.usual(least).period and sizes == DEFAULT_BLOCK:
        return b""
    pieces = [
        bytes([flags]),
        varint(habits.period) if habits.clears is None else _clears(habits),
        _phrases(habits),
        bytes([sizes]) if isinstance(sizes, int) else varint(len(sizes)) + sizes,
        bytes([habits.pad]) if habits.pad else b"",
    ]
    return b"".join(pieces)


def _clears(habits: Habits) -> bytes:
    if habits.clears is None:
        return b""
    return varint(len(habits.clears)) + b"".join(varint(number) for number in habits.clears.tolist())


def _phrases(habits: Habits) -> bytes:
    if habits.phrases is None:
        return b""
    gaps = np.diff(habits.phrases[:, 0], prepend=-1) - 1
    pairs = np.stack([gaps, habits.phrases[:, 1]], 1)
    return varint(len(pairs)) + b"".join(varint(number) for number in pairs.ravel().tolist())


def unpack(reader: Reader, least: int) -> Packing:
    """The packing that a rest goes on with. Raises DamagedFile."""
    flags, period = reader.byte(), 0
    clears, phrases = None, None
    if flags & _CLEARS:
        clears = _numbers(reader, reader.varint())
    else:
        period = reader.varint()
    if flags & _PHRASES:
        pairs = _numbers(reader, 2 * min(reader.varint(), reader.left)).reshape(-1, 2)
        phrases = np.stack([np.cumsum(pairs[:, 0] + 1) - 1, pairs[:, 1]], 1)
    sizes: int | bytes = reader.take(reader.varint()) if flags & _SIZES else reader.byte()
    if sizes == 0 or flags > 127 or not isinstance(sizes, int) and 0 in sizes:
        raise DamagedFile("what was kept of a GIF has blocks of no bytes: get the file again")
    pad = reader.byte() if flags & _PAD else 0
    end, literal = not flags & _NO_END, bool(flags & _LITERAL)
    return Packing(Habits(not flags & _NO_FIRST, end, period, clears, literal, phrases, pad), sizes)


def _numbers(reader: Reader, count: int) -> np.ndarray:
    """So many varints, int64 [n]. Raises DamagedFile, before memory is taken for more than there can be."""
    if count > reader.left:
        raise DamagedFile(f"what was kept of a GIF lists {count} numbers in {reader.left} bytes: get the file again")
    return np.array([reader.varint() for _ in range(count)], np.int64)


@kernel
def join(data: np.ndarray, at: int, joined: np.ndarray, state: np.ndarray) -> None:
    """Joins the blocks of data, uint8 [n], from a place on, without their lengths.

    state: int64 [5], set to whether the end is missing, the place behind the last block's, the bytes of all, the first
    block's length, and whether all have that length but the last, which is no longer.
    """
    count, first, regular, short = 0, 0, True, False
    while at < len(data):
        size = np.int64(data[at])
        at += 1
        if size == 0:
            state[0], state[1], state[2], state[3], state[4] = 0, at, count, first, regular
            return
        if at + size > len(data):
            break
        if count == 0:
            first = size
        if short or size > first:
            regular = False
        short = size < first
        for i in range(size):
            joined[count + i] = data[at + i]
        count += size
        at += size
    state[0] = 1
