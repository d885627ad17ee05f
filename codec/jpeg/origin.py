"""What is said of the JPEG that made a picture, before its coefficients: docs/format.md, section 14."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from codec.errors import DamagedFile
from codec.jpeg.likely import standard_steps
from codec.jpeg.segments import Frame, frame

_HEAD = struct.Struct("<BBBB")  # row + 16 column, kind, quality, percent
SAMPLINGS = (1, 1), (2, 2), (2, 1), (1, 2)  # of luma, across and down
_NAMES = "4:4:4", "4:2:0", "4:2:2", "4:4:0"
_GREY, _KINDS, _PLAIN = 4, 5, 8  # of kinds: one without chroma; how many; added where upsampling repeats samples
_STEPS = 64  # bytes of a table


@dataclass(frozen=True)
class Origin:
    """Where a picture lies in a JPEG, and how this is decoded.

    row, column: of the picture's first pixel, 0 to 15. sampling: of luma, across and down; None for a grey JPEG.
    smooth: whether chroma is upsampled as libjpeg does it by default, else its samples are repeated. luma, chroma:
    steps of the coefficients, 1 to 255, int [64]. percent: how many of the picture's pixels it makes, rounded down.
    """

    row: int
    column: int
    sampling: tuple[int, int] | None
    smooth: bool
    luma: np.ndarray
    chroma: np.ndarray
    percent: int

    @property
    def steps(self) -> tuple[np.ndarray, ...]:
        """Of each component."""
        return (self.luma,) if self.sampling is None else (self.luma, self.chroma, self.chroma)

    @property
    def quality(self) -> int:
        """That of libjpeg's tables if these are such, else 0."""
        for quality in range(1, 101):
            if np.array_equal(self.luma, standard_steps(quality, False)):
                if self.sampling is None or np.array_equal(self.chroma, standard_steps(quality, True)):
                    return quality
        return 0

    def frame(self, height: int, width: int) -> Frame:
        """Of the JPEG, down to the last pixel of a picture of that size."""
        return frame_of(self.column + width, self.row + height, self.sampling or (1, 1), len(self.steps))

    def pack(self) -> bytes:
        """Its bytes in a file."""
        kind = _GREY if self.sampling is None else SAMPLINGS.index(self.sampling)
        head = _HEAD.pack(self.row + 16 * self.column, kind + _PLAIN * (not self.smooth), self.quality, self.percent)
        if self.quality:
            return head
        tables = self.steps[: 1 if self.sampling is None else 2]
        return head + b"".join(table.astype(np.uint8).tobytes() for table in tables)

    def __str__(self) -> str:
        name = "grey" if self.sampling is None else _NAMES[SAMPLINGS.index(self.sampling)]
        parts = [f"quality {self.quality}" if self.quality else "tables of its own", name]
        if self.percent < 100:
            parts.append(f"{self.percent} % of its pixels found")
        return f"was a JPEG, {', '.join(parts)}"


def frame_of(width: int, height: int, sampling: tuple[int, int], components: int = 3) -> Frame:
    """Of Y, Cb and Cr, or of Y alone, and a size in pixels."""
    return frame(width, height, [(1, *sampling, 0), (2, 1, 1, 1), (3, 1, 1, 1)][:components])


def read_origin(data: bytes) -> tuple[Origin, bytes]:
    """What the bytes of a file say, and those behind it. Raises DamagedFile."""
    if len(data) < _HEAD.size:
        raise DamagedFile("what is said of a picture's JPEG is cut off: get the file again")
    (place, kind, quality, percent), rest = _HEAD.unpack_from(data), data[_HEAD.size :]
    column, row = divmod(place, 16)
    sampling = SAMPLINGS[kind % _PLAIN] if kind % _PLAIN < _GREY else None
    count = 0 if quality else 1 if sampling is None else 2
    if kind >= 2 * _PLAIN or kind % _PLAIN >= _KINDS or quality > 100 or percent > 100 or len(rest) < count * _STEPS:
        raise DamagedFile("what is said of a picture's JPEG has a wrong value: get the file again")
    if quality:
        luma, chroma = standard_steps(quality, False), standard_steps(quality, True)
    else:
        tables = np.frombuffer(rest, np.uint8, count * _STEPS).astype(np.int64).reshape(count, _STEPS)
        luma, chroma = tables[0], tables[-1]
        if not tables.all():
            raise DamagedFile("a step of a picture's JPEG is 0: get the file again")
    return Origin(row, column, sampling, kind < _PLAIN, luma, chroma, percent), rest[count * _STEPS :]
