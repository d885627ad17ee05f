"""Between samples and the bytes that deflate packs: passes, scanlines, filters, the padding of rows.

A pass is every so manieth sample of a picture; one that is not interlaced has one pass, of all of them. Rows are
counted through all passes that have samples. Both directions go by blocks of rows, so nothing is there twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from codec.errors import DamagedFile, UnreadableImage
from codec.images.png import filters
from codec.images.rows import pack_rows, padding_mask, row_bytes, unpack_rows

LISTED = 8  # numbers of ways to choose filters: one of the five everywhere, then those of filters.RULES, then this
_RULED = len(filters.FILTERS)

_ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
_BLOCK = 2**18  # bytes of scanlines that are written at a time
_READ_BLOCK = 2**24  # of those that are read, because what undoes the filters is quick where rows are many,
_READ_ROWS = 256  # but no more rows than this
_SMALL = 2**24  # bytes of scanlines up to which a rule is sought for the filters: beyond it would save too little


@dataclass(frozen=True)
class Pass:
    """The samples [top::down, left::right] of a picture: height x width, none of them zero."""

    top: int
    left: int
    down: int
    right: int
    height: int
    width: int

    def of(self, values: np.ndarray) -> np.ndarray:
        """Its samples, a view [height, width, C] of the picture's."""
        return values[self.top :: self.down, self.left :: self.right]


@dataclass(frozen=True)
class Layout:
    """How a picture's samples are laid out in scanlines: its passes, samples to a pixel, bits to a sample."""

    passes: tuple[Pass, ...]
    channels: int
    depth: int

    @property
    def reach(self) -> int:
        """How many bytes the filters look to the left."""
        return max(1, self.channels * self.depth // 8)

    @property
    def rows(self) -> int:
        return sum(part.height for part in self.passes)

    @property
    def size(self) -> int:
        """Bytes of all scanlines, with their filters."""
        return sum(part.height * (1 + self.row_bytes(part)) for part in self.passes)

    def row_bytes(self, part: Pass) -> int:
        return row_bytes(part.width * self.channels, self.depth)

    def padding_mask(self, part: Pass) -> int:
        return padding_mask(part.width * self.channels, self.depth) if self.depth < 8 else 0


def layout(height: int, width: int, channels: int, depth: int, interlaced: bool) -> Layout:
    grid = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    passes = tuple(
        Pass(top, left, down, right, -(-(height - top) // down), -(-(width - left) // right))
        for top, left, down, right in grid
        if top < height and left < width
    )
    return Layout(passes, channels, depth)


@dataclass(frozen=True)
class Choice:
    """How each row's filter is chosen: a number up to LISTED, and for LISTED the filters, a byte for every row."""

    way: int
    listed: bytes = b""


def read(take: Callable[[int], bytes], of: Layout, values: np.ndarray) -> tuple[Choice, bytes]:
    """Fills values with what the scanlines say; the choice of filters; a byte of padding bits for every row, or b"".

    take(n) gives the next n bytes of scanlines. Raises UnreadableImage for a filter that does not exist.
    """
    kinds, costs, padding = [], [], []
    for part in of.passes:
        samples, size, mask = part.of(values), of.row_bytes(part), of.padding_mask(part)
        above = np.zeros(size, np.uint8)
        step = max(1, min(_READ_ROWS, _READ_BLOCK // size))
        for top in range(0, part.height, step):
            height = min(step, part.height - top)
            lines = np.frombuffer(take(height * (1 + size)), np.uint8).reshape(height, 1 + size)
            if lines[:, 0].max() > filters.PAETH:
                raise UnreadableImage(f"a row is filtered by {lines[:, 0].max()}, not by 0 to 4: get the picture again")
            rows = filters.undo(lines, above, of.reach)
            if of.size <= _SMALL:
                costs.append(filters.costs(rows, above, of.reach))
            above = rows[-1].copy()
            samples[top : top + height] = _unpacked(rows, part.width, of)
            kinds.append(lines[:, 0].copy())
            padding.append(rows[:, -1] & np.uint8(mask))
    every_padding = np.concatenate(padding)
    choice = _found(np.concatenate(kinds), np.concatenate(costs) if costs else None)
    return choice, every_padding.tobytes() if every_padding.any() else b""


def _unpacked(rows: np.ndarray, width: int, of: Layout) -> np.ndarray:
    """The samples [R, width, C] of unfiltered rows."""
    if of.depth < 8:
        return unpack_rows(rows, width * of.channels, of.depth).reshape(len(rows), width, of.channels)
    return rows.view(">u2" if of.depth == 16 else np.uint8).reshape(len(rows), width, of.channels)


def _found(kinds: np.ndarray, costs: np.ndarray | None) -> Choice:
    """The shortest way to say how these filters were chosen."""
    if (kinds == kinds[0]).all():
        return Choice(int(kinds[0]))
    for rule in range(len(filters.RULES)):
        if costs is not None and np.array_equal(filters.chosen(costs, rule), kinds):
            return Choice(_RULED + rule)
    return Choice(LISTED, kinds.tobytes())


def ordinary(kind: str, depth: int) -> Choice:
    """What is usual: libpng's rule, but no filter where neighbouring numbers say nothing of each other."""
    return Choice(filters.NONE if kind == "palette" or depth < 8 else _RULED)


def write(values: np.ndarray, of: Layout, choice: Choice, padding: bytes) -> Iterator[bytes]:
    """The scanlines of samples, filtered, in pieces; padding as `read` gives it.

    Raises DamagedFile at once where choice or padding is not one for this many rows.
    """
    if len(choice.listed) != (of.rows if choice.way == LISTED else 0) or len(padding) not in (0, of.rows):
        found = f"{len(choice.listed)} filters and {len(padding)} paddings"
        raise DamagedFile(f"{found} have been kept of {of.rows} rows: get the file again")
    listed = np.frombuffer(choice.listed, np.uint8)
    if choice.way > LISTED or listed.size and listed.max() > filters.PAETH:
        raise DamagedFile("a filter has been kept that does not exist: get the file again")
    return _written(values, of, choice.way, listed, np.frombuffer(padding, np.uint8))


def _written(values: np.ndarray, of: Layout, way: int, listed: np.ndarray, padding: np.ndarray) -> Iterator[bytes]:
    row = 0
    for part in of.passes:
        samples, size, mask = part.of(values), of.row_bytes(part), of.padding_mask(part)
        above = np.zeros(size, np.uint8)
        step = max(1, _BLOCK // size)
        for top in range(0, part.height, step):
            rows = _packed(samples[top : top + step], of)
            every = slice(row + top, row + top + len(rows))
            if padding.size:
                rows[:, -1] |= padding[every] & np.uint8(mask)
            if way == LISTED:
                kinds = listed[every]
            elif way < _RULED:
                kinds = np.full(len(rows), way, np.uint8)
            else:
                kinds = filters.chosen(filters.costs(rows, above, of.reach), way - _RULED)
            yield filters.apply(rows, above, of.reach, kinds).tobytes()
            above = rows[-1]
        row += part.height


def _packed(samples: np.ndarray, of: Layout) -> np.ndarray:
    """The unfiltered rows [R, B] uint8 of samples [R, W, C], an array of its own."""
    flat = samples.reshape(len(samples), -1)
    if of.depth < 8:
        return pack_rows(flat, of.depth)
    return flat.astype(">u2" if of.depth == 16 else np.uint8, order="C").view(np.uint8)
