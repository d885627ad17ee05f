"""What strips and tiles hold besides the picture: the samples of tiles beyond its edges, and the bits at rows' ends.

Most writers follow a rule; where none holds, what is stored is kept. Samples are kept in the order of blocks, rows,
columns and channels, in one byte each up to 8 bits and in two (the lower one first) above; row ends in that of blocks
and rows, a byte each with the bits in its lowest places. Row ends that are kept are all or none: none means zeros.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codec.errors import DamagedFile
from codec.images.tiff.page import Box, Page
from codec.images.tiff.rows import dtype, end_bits, sign_bit

ZEROS, EDGES, KEPT = range(3)  # rules: stored bits of 0; the picture's last column and row again; as they are kept


@dataclass(frozen=True)
class Padding:
    """rule: one of ZEROS, EDGES, KEPT. samples: those of KEPT, else empty. ends: the rows' ends, empty for zeros."""

    rule: int = ZEROS
    samples: bytes = b""
    ends: bytes = b""


def padded_rows(values: np.ndarray, page: Page, box: Box, start: int, stop: int, rule: int) -> np.ndarray:
    """Rows start to stop of a block, [stop - start, block width, block channels], the padding by a rule (KEPT: any)."""
    columns = slice(box.x, box.x + box.width)
    inside = values[box.y + start : box.y + min(stop, box.height), columns, box.channels]
    if stop <= box.height and box.width == page.block_width:
        return inside
    rows = np.full((stop - start, page.block_width, page.block_channels), sign_bit(page), values.dtype)
    rows[: len(inside), : box.width] = inside
    if rule == EDGES:
        rows[len(inside) :, : box.width] = values[box.y + box.height - 1, columns, box.channels]
        rows[:, box.width :] = rows[:, box.width - 1 : box.width]
    return rows


class Seen:
    """What padding was found while blocks are read in order."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._follows = {ZEROS: True, EDGES: True}
        self._samples: list[bytes] = []
        self._ends: list[bytes] = []
        self._any_end = False

    def add(self, rows: np.ndarray, ends: np.ndarray, values: np.ndarray, box: Box, start: int) -> None:
        """rows: those of a block from `start` on, whose samples are in values already; ends: [rows] uint8."""
        if end_bits(self._page):
            self._ends.append(ends.tobytes())
            self._any_end = self._any_end or bool(ends.any())
        stop = start + len(rows)
        if stop <= box.height and box.width == self._page.block_width:
            return
        for rule in [rule for rule, follows in self._follows.items() if follows]:
            expected = padded_rows(values, self._page, box, start, stop, rule)
            self._follows[rule] = np.array_equal(rows, expected)
        beyond = max(0, min(box.height - start, len(rows)))
        for part in (rows[:beyond, box.width :], rows[beyond:]):
            self._samples.append(part.astype(part.dtype.newbyteorder("<")).tobytes())

    def padding(self) -> Padding:
        """What tells it all."""
        rule = next((rule for rule, follows in self._follows.items() if follows), KEPT)
        samples = b"".join(self._samples) if rule == KEPT else b""
        return Padding(rule, samples, b"".join(self._ends) if self._any_end else b"")


class Filling:
    """Padding that is put back, into any block. Raises DamagedFile where what was kept does not fit the page."""

    def __init__(self, padding: Padding, page: Page) -> None:
        self._page, self.rule = page, padding.rule
        self._samples = np.frombuffer(padding.samples, np.dtype(dtype(page)).newbyteorder("<"))
        self._ends = np.frombuffer(padding.ends, np.uint8)
        self._sample_starts, self._row_starts = _starts(page) if padding.samples or padding.ends else ([0], [0])
        samples_due = self._sample_starts[-1] if padding.rule == KEPT else 0
        too_high = bool(len(self._samples)) and int(self._samples.max()) >> page.depth
        if padding.rule not in (ZEROS, EDGES, KEPT) or len(self._samples) != samples_due or too_high:
            raise DamagedFile(f"padding of {len(self._samples)} samples does not fit {samples_due}: get the file again")
        bad_ends = len(self._ends) and int(self._ends.max()) >> end_bits(page)
        if bad_ends or len(self._ends) not in (0, self._row_starts[-1]):
            raise DamagedFile(f"{len(self._ends)} row ends do not fit the picture: get the file again")

    def rows(self, values: np.ndarray, block: int, box: Box, start: int, stop: int) -> np.ndarray:
        """Rows start to stop of a block with their padding, as `padded_rows`."""
        rows = padded_rows(values, self._page, box, start, stop, self.rule)
        if self.rule != KEPT or (stop <= box.height and box.width == self._page.block_width):
            return rows
        right = self._page.block_width - box.width
        channels, full = self._page.block_channels, min(start, box.height)
        at = self._sample_starts[block] + (full * right + (start - full) * self._page.block_width) * channels
        beyond = max(0, min(box.height - start, len(rows)))
        for part in (rows[:beyond, box.width :], rows[beyond:]):
            part[...] = self._samples[at : at + part.size].reshape(part.shape)
            at += part.size
        return rows

    def ends(self, block: int, start: int, stop: int) -> np.ndarray | None:
        """The ends of these rows; None for zeros."""
        if not len(self._ends):
            return None
        first = self._row_starts[block]
        return self._ends[first + start : first + stop]


def _starts(page: Page) -> tuple[list[int], list[int]]:
    """How many samples of padding and how many rows are before each block, and in all."""
    samples, rows = [0], [0]
    for block in range(page.blocks):
        box = page.box(block)
        stored, shown = box.rows * page.block_width, box.height * box.width
        samples.append(samples[-1] + (stored - shown) * page.block_channels)
        rows.append(rows[-1] + box.rows)
    return samples, rows
