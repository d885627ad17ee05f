"""What is read from a picture's file: its samples, apart from all else that the file says.

Every format has a module with the same five functions. `recognises(data)` looks at the first bytes.
`take_apart(data, max_pixels)` gives Parts; `put_together(samples, rest)` makes the file of them again, in pieces.
`metadata(rest)` lists what the file says besides its samples, and `stripped(rest)` is a rest without it. Where samples
may mean something else than a PNG's of the same kind, `peculiarity(rest)` says so.
`second_opinion(data)` reads the samples by somebody else's program, where there is one that keeps them all.

data is `bytes` or what has its interface (an `mmap`). Readers raise UnreadableImage for what is damaged or against the
format, UnsupportedImage for what is valid but not read (the message names it), ImageTooLarge; all of them before memory
is taken for what a header claims. A rest comes from a file that nobody vouches for: `put_together` raises DamagedFile
where it does not fit, and its time and memory are bounded by the sizes of samples and rest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CHANNELS = {
    "grey": 1,
    "grey+alpha": 2,
    "rgb": 3,
    "rgb+alpha": 4,
    "cmyk": 4,
    "cmyk+alpha": 5,
    "palette": 1,
    "palette+alpha": 2,
}


@dataclass(frozen=True, eq=False)
class Samples:
    """The samples of a picture as its file stores them, the top row first.

    values: [H, W, C], uint8 where depth is at most 8, else uint16; every value is below 2**depth. depth: bits of the
    deepest channel, 1 to 16. kind: one of CHANNELS, which gives C. palette: for the palette kinds the colours as they
    are shown, [N, 3] uint8, of which values may ask for more than there are; None for other kinds.
    """

    values: np.ndarray
    depth: int
    kind: str
    palette: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.kind not in CHANNELS or not 1 <= self.depth <= 16:
            raise ValueError(f"samples of kind {self.kind!r} and {self.depth} bits do not exist")
        shape, dtype = self.values.shape, np.uint8 if self.depth <= 8 else np.uint16
        if len(shape) != 3 or shape[2] != CHANNELS[self.kind] or self.values.dtype != dtype or not self.values.size:
            found = f"{list(shape)} {self.values.dtype}"
            raise ValueError(f"{self.kind} of {self.depth} bits needs [H, W, {CHANNELS[self.kind]}], not {found}")
        if (self.palette is not None) != self.kind.startswith("palette"):
            raise ValueError(f"samples of kind {self.kind} and a palette that is {self.palette!r}")

    @classmethod
    def of(cls, values: np.ndarray) -> Samples:
        """Those of an array, [H, W] or [H, W, C] of uint8 or uint16: grey, grey and alpha, RGB, RGB and alpha by C = 1
        to 4. Raises ValueError for other arrays."""
        shaped = values[..., None] if values.ndim == 2 else values
        names = [name for name, channels in CHANNELS.items() if shaped.ndim == 3 and channels == shaped.shape[2]]
        if values.dtype not in (np.uint8, np.uint16) or not names or names[0].startswith("cmyk"):
            raise ValueError(f"{list(values.shape)} {values.dtype} is no [H, W] or [H, W, 1 to 4] of uint8 or uint16")
        return cls(shaped, 8 * values.dtype.itemsize, names[0])

    @property
    def height(self) -> int:
        return self.values.shape[0]

    @property
    def width(self) -> int:
        return self.values.shape[1]

    @property
    def description(self) -> str:
        bits = "" if self.depth == 8 else f", {self.depth} bit{'s' if self.depth > 1 else ''}"
        return f"{self.width} x {self.height} {self.kind}{bits}"

    def difference(self, other: Samples) -> str | None:
        """How other differs from these, in words; None where kind, depth and every value are the same."""
        mine, theirs = ((each.kind, each.depth, each.values.shape) for each in (self, other))
        if mine != theirs:
            return f"{self.description} is not {other.description}"
        count, first = 0, ""
        for row in range(self.height):
            wrong = (self.values[row] != other.values[row]).any(axis=1)
            if wrong.any():
                first = first or f"the first in row {row}, column {wrong.argmax()}"
                count += int(wrong.sum())
        return f"{count} of {self.height * self.width} pixels differ, {first}" if count else None

    def same(self, other: Samples) -> bool:
        """Whether kind, depth and every value are the same."""
        return self.difference(other) is None


@dataclass(frozen=True)
class Parts:
    """A file taken apart: its samples and, in a form that its format's module knows, the rest.

    exact: whether `put_together` gives the very bytes of the file; if not, it gives a file of the same samples and of
    the same metadata, byte for byte, but packed otherwise.
    """

    samples: Samples
    rest: bytes
    exact: bool


@dataclass(frozen=True)
class Item:
    """A piece of metadata: a name that people know ("ICC profile", "EXIF", "gAMA") and its bytes in the file."""

    name: str
    data: bytes
