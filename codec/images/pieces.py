"""Files in pieces: how large they are, whether they are the file that they should be, and bytes that differ.

A band is some rows whose bytes come to about a megabyte, so that no step needs a second copy of a large picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from codec.errors import ImageTooLarge, UnreadableImage
from codec.format.numbers import Reader, blob, varint

BAND = 1 << 20  # bytes


def bands(height: int, row_bytes: int) -> Iterator[slice]:
    """The rows of a picture, some at a time."""
    step = max(1, BAND // max(1, row_bytes))
    for top in range(0, height, step):
        yield slice(top, min(top + step, height))


def is_same(pieces: Iterable[bytes], data: bytes | memoryview) -> bool:
    """Whether the pieces, one after the other, are the data."""
    at = 0
    for piece in pieces:
        if data[at : at + len(piece)] != piece:
            return False
        at += len(piece)
    return at == len(data)


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Raises UnreadableImage for a picture without pixels and ImageTooLarge for one of more than are allowed."""
    if width < 1 or height < 1:
        raise UnreadableImage(f"a picture of {width} x {height} pixels: get the file again")
    if width * height > max_pixels:
        raise ImageTooLarge(
            f"{width} x {height} pixels are more than {max_pixels} in all: allow more with --max-pixels"
        )


def check_length(data: bytes, at: int, count: int) -> None:
    """Raises UnreadableImage unless data has count bytes from `at` on."""
    if at < 0 or count > len(data) - at:
        raise UnreadableImage(f"the file ends after {len(data)} bytes where {at + count} are due: get it again")


def spread(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For [N] counts, each item's index once for each that it counts, and the place among those: [sum] int64 both."""
    ends = np.cumsum(counts, dtype=np.int64)
    owner = np.repeat(np.arange(counts.size), counts)
    return owner, np.arange(owner.size) - (ends - counts)[owner]


def changes(expected: bytes, actual: bytes) -> bytes:
    """What makes expected bytes the actual ones, as many: a varint that counts runs, and for each a varint, the bytes
    that are as expected before it, and a blob, the bytes that stand there instead.
    """
    runs: list[tuple[int, int]] = []
    for at in (at for at in range(len(actual)) if actual[at] != expected[at]):
        if runs and at - runs[-1][1] < 2:
            runs[-1] = (runs[-1][0], at + 1)
        else:
            runs.append((at, at + 1))
    befores = [0, *(end for _, end in runs)]
    written = (varint(start - before) + blob(actual[start:end]) for before, (start, end) in zip(befores, runs))
    return varint(len(runs)) + b"".join(written)


def changed(expected: bytes, reader: Reader) -> bytes:
    """Expected bytes with the changes that a rest goes on with. Raises DamagedFile where they do not fit."""
    left, actual = Reader(expected), b""
    for _ in range(reader.varint()):
        actual += left.take(reader.varint())
        instead = reader.blob()
        left.take(len(instead))
        actual += instead
    return actual + left.take(left.left)
