"""A file without its picture's samples: the bytes that are kept, and where in the file the others were.

Positions are those in the whole file. A hole is a pair of its position and its length; holes are in order, none is
empty, and no two touch.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from itertools import accumulate

import numpy as np

from codec.errors import UnreadableImage

Buffer = bytes | bytearray | memoryview


class FileWithHoles:
    """kept: the file's bytes outside its holes, in order."""

    def __init__(self, kept: Buffer, holes: tuple[tuple[int, int], ...] = ()) -> None:
        self.kept = kept
        self.holes = holes
        self._starts = [at for at, _ in holes]
        self._ends = [at + size for at, size in holes]
        self._before = [0, *accumulate(size for _, size in holes)]  # bytes in the holes before each

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return len(self.kept) + self._before[-1]

    def touches(self, at: int, size: int) -> bool:
        """Whether a byte of these is in a hole."""
        return size > 0 and bisect_left(self._starts, at + size) > bisect_right(self._ends, at)

    def read(self, at: int, size: int) -> bytes:
        """Bytes outside the holes. Raises UnreadableImage for those in one, or behind the file's end."""
        if at < 0 or at + size > self.size:
            raise UnreadableImage(f"{size} bytes are due at {at} of a file of {self.size}: get the file again")
        if self.touches(at, size):
            raise UnreadableImage(f"{size} bytes of tags at {at} are where samples are: get the file again")
        start = self.index(at)
        return bytes(self.kept[start : start + size])

    def index(self, at: int) -> int:
        """Where in `kept` the byte is that is at this position, outside the holes."""
        return at - self._before[bisect_right(self._starts, at)]

    def pieces(self) -> list[tuple[int, int, int]]:
        """Of each stretch of kept bytes its position in the file, its start in `kept` and its end there."""
        found, at, start = [], 0, 0
        for hole, size in [*self.holes, (self.size, 0)]:
            if hole > at:
                found.append((at, start, start + hole - at))
                start += hole - at
            at = hole + size
        return found


def merged(at: np.ndarray, sizes: np.ndarray) -> tuple[tuple[int, int], ...]:
    """The holes that stretches leave: at and sizes are [N] int64. Raises UnreadableImage where two overlap."""
    order = np.argsort(at, kind="stable")
    starts, ends = at[order], at[order] + sizes[order]
    if (starts[1:] < ends[:-1]).any():
        raise UnreadableImage("two strips or tiles share bytes of the file: write it with its own data for each")
    first = np.concatenate([[True], starts[1:] > ends[:-1]])
    last = np.concatenate([first[1:], [True]])
    return tuple((int(start), int(end - start)) for start, end in zip(starts[first], ends[last]) if end > start)


def cut(data: Buffer, holes: tuple[tuple[int, int], ...]) -> FileWithHoles:
    """The file of these bytes without those in the holes."""
    kept, at = bytearray(), 0
    for hole, size in holes:
        kept += data[at:hole]
        at = hole + size
    kept += data[at:]
    return FileWithHoles(kept, holes)


def patched(file: FileWithHoles, patches: Iterable[tuple[int, bytes]]) -> FileWithHoles:
    """The file with other bytes from some positions on, all of them outside the holes."""
    kept = bytearray(file.kept)
    for at, written in patches:
        start = file.index(at)
        kept[start : start + len(written)] = written
    return FileWithHoles(kept, file.holes)
