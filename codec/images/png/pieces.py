"""Streams of bytes that come in pieces: cut anew, gathered, and how an encoder has cut its own."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, repeat

import numpy as np

from codec.format.numbers import Reader, varint

_ONE, _LISTED = 0, 1  # else it is one more than the length of all pieces
_GATHERED = 2**20  # bytes


class Pieces:
    """Takes as many bytes at a time as are asked for from an iterator of pieces of any length."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._piece, self._at = b"", 0

    @property
    def ended(self) -> bool:
        while self._at == len(self._piece):
            piece = next(self._pieces, None)
            if piece is None:
                return True
            self._piece, self._at = piece, 0
        return False

    def take(self, length: int) -> bytes:
        """The next bytes, fewer only where they end."""
        parts = []
        while length > 0 and not self.ended:
            parts.append(self._piece[self._at : self._at + length])
            self._at += len(parts[-1])
            length -= len(parts[-1])
        return b"".join(parts)


def gathered(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of a megabyte or more, but for the last."""
    parts, size = [], 0
    for piece in pieces:
        parts.append(piece)
        size += len(piece)
        if size >= _GATHERED:
            yield b"".join(parts)
            parts, size = [], 0
    if parts:
        yield b"".join(parts)


@dataclass(frozen=True)
class Split:
    """How a stream is cut: in one piece, in pieces of `every` bytes and what is left, or as listed."""

    every: int | None = None
    listed: array[int] | None = None

    @property
    def coded(self) -> bytes:
        if self.listed is not None:
            return varint(_LISTED) + varint(len(self.listed)) + b"".join(map(varint, self.listed))
        return varint(_ONE if self.every is None else self.every + 1)

    def lengths(self, size: int) -> Iterator[int]:
        """Of all pieces of a stream of so many bytes; what is listed need not have that sum."""
        if self.listed is not None:
            yield from self.listed
        else:
            every = size if self.every is None else self.every
            for done in range(0, size, every):
                yield min(every, size - done)

    def lengths_at_most(self, most: int, beyond: int) -> Iterator[int]:
        """Of pieces without end, for a stream whose size is not known: `beyond` after those that are listed."""
        if self.listed is not None:
            return (min(most, length) for length in chain(self.listed, repeat(beyond)))
        return repeat(most if self.every is None else min(most, self.every))


def found_split(lengths: array[int]) -> Split:
    """The shortest way to say how long the pieces are; there is one at least."""
    if len(lengths) == 1:
        return Split()
    every, *_, last = lengths[0], lengths[-1]
    if 0 < last <= every and (np.frombuffer(lengths, np.uint64)[:-1] == every).all():
        return Split(every)
    return Split(listed=lengths)


def read_split(rest: Reader) -> Split:
    """Raises DamagedFile where the rest ends."""
    way = rest.varint()
    if way == _LISTED:
        return Split(listed=array("Q", (rest.varint() for _ in range(rest.varint()))))
    return Split(None if way == _ONE else way - 1)
