"""The five filters of PNG's scanlines, forth and back, and the rules by which encoders choose among them.

Rows are [R, B] uint8, `above` is the row before the first, [B] uint8, zeros where there is none; reach is the distance
in bytes of the pixel to the left. A filtered row has its filter's number before it. W3C PNG, section 9.
"""

from __future__ import annotations

import numpy as np

NONE, SUB, UP, AVERAGE, PAETH = FILTERS = range(5)

# The order in which encoders try filters, each of which must be better than those before: libpng's, and those of
# Pillow without and with its option to optimise.
RULES = ((NONE, SUB, UP, AVERAGE, PAETH), (NONE, UP, SUB, PAETH), (NONE, UP, SUB, AVERAGE, PAETH))

_FEW = 48  # bytes side by side in a column of rows: a plain loop is as fast as numpy from there down


class _Neighbours:
    """What stands to the left of every byte, above it, and to the left above, each [R, B] uint8."""

    def __init__(self, rows: np.ndarray, above: np.ndarray, reach: int) -> None:
        self.above = np.concatenate([above[None], rows[:-1]])
        self.left, self.corner = np.zeros_like(rows), np.zeros_like(rows)
        self.left[:, reach:] = rows[:, :-reach]
        self.corner[:, reach:] = self.above[:, :-reach]

    def prediction(self, kind: int, at: slice | np.ndarray) -> np.ndarray:
        """What a filter expects in the rows at, [R', B] uint8."""
        left, above = self.left[at], self.above[at]
        if kind == NONE:
            return np.zeros_like(left)
        if kind == SUB:
            return left
        if kind == UP:
            return above
        if kind == AVERAGE:
            return (left & above) + ((left ^ above) >> 1)
        return _paeth(left, above, self.corner[at])


def _paeth(left: np.ndarray, above: np.ndarray, corner: np.ndarray) -> np.ndarray:
    """Whichever of the three is nearest to left + above - corner, in this order where several are."""
    far_left = np.subtract(above, corner, dtype=np.int16)
    far_above = np.subtract(left, corner, dtype=np.int16)
    far_corner = np.abs(far_left + far_above)
    np.abs(far_left, out=far_left)
    np.abs(far_above, out=far_above)
    nearest = np.where(far_above <= far_corner, above, corner)
    np.copyto(nearest, left, where=far_left <= np.minimum(far_above, far_corner, out=far_corner))
    return nearest


def apply(rows: np.ndarray, above: np.ndarray, reach: int, kinds: np.ndarray) -> np.ndarray:
    """Filtered rows [R, 1 + B] uint8, each by its own of kinds, [R] uint8."""
    neighbours = _Neighbours(rows, above, reach)
    lines = np.empty((rows.shape[0], 1 + rows.shape[1]), np.uint8)
    lines[:, 0] = kinds
    for kind in np.unique(kinds):
        at = np.flatnonzero(kinds == kind)
        lines[at, 1:] = rows[at] - neighbours.prediction(int(kind), at)
    return lines


def costs(rows: np.ndarray, above: np.ndarray, reach: int) -> np.ndarray:
    """[R, 5]: the sum of the absolute values, as signed bytes, of each row in each filter."""
    neighbours = _Neighbours(rows, above, reach)
    every = slice(None)
    sums = [_size(rows - neighbours.prediction(kind, every)) for kind in FILTERS]
    return np.stack(sums, axis=1)


def _size(differences: np.ndarray) -> np.ndarray:
    absolute = np.abs(differences.view(np.int8)).view(np.uint8)  # -128 stays as it is and is 128 again
    return absolute.sum(axis=1, dtype=np.uint64)


def chosen(costs: np.ndarray, rule: int) -> np.ndarray:
    """The filters [R] uint8 that a rule of RULES takes by `costs`: the first of the smallest."""
    order = np.array(RULES[rule], np.uint8)
    return order[costs[:, order].argmin(axis=1)]


def undo(lines: np.ndarray, above: np.ndarray, reach: int) -> np.ndarray:
    """The rows of filtered ones [R, 1 + B] uint8, whose filters exist."""
    kinds, rows = lines[:, 0], lines[:, 1:].copy()
    for row in np.flatnonzero(kinds == SUB):
        pixels = rows[row].reshape(-1, reach)
        np.cumsum(pixels, axis=0, dtype=np.uint8, out=pixels)
    looking_up = np.flatnonzero(kinds >= UP)
    if not (kinds >= AVERAGE).any():
        for row in looking_up:
            rows[row] += rows[row - 1] if row else above
    elif len(rows) * reach < _FEW:
        for row in looking_up:
            _undo_row(rows[row], rows[row - 1] if row else above, reach, int(kinds[row]))
    else:
        _undo_slanted(rows, above, reach, kinds)
    return rows


def _undo_row(row: np.ndarray, above: np.ndarray, reach: int, kind: int) -> None:
    """Byte by byte, in place: a row [B] that was filtered by what stands above it."""
    before, done = bytes(reach) + above.tobytes(), bytearray(reach) + row.tobytes()
    for here in range(reach, len(done)):
        left, up, corner = done[here - reach], before[here], before[here - reach]
        if kind == PAETH:
            far_left, far_up, far_corner = abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)
            if far_left <= far_up and far_left <= far_corner:
                expected = left
            else:
                expected = up if far_up <= far_corner else corner
        else:
            expected = left + up >> 1 if kind == AVERAGE else up
        done[here] = done[here] + expected & 255
    row[:] = np.frombuffer(done, np.uint8)[reach:]


def _undo_slanted(rows: np.ndarray, above: np.ndarray, reach: int, kinds: np.ndarray) -> None:
    """All rows at once, each a pixel behind the one above, so that what it looks at is known.

    slanted [steps, 1 + R, reach] int16 holds in a step what is next of every row, the row above being the first.
    """
    height, width = rows.shape[0], rows.shape[1] // reach
    slanted = np.zeros((2 + width + height, 1 + height, reach), np.int16)
    step, lane, byte = slanted.strides
    level = np.lib.stride_tricks.as_strided(slanted[2:], (1 + height, width, reach), (step + lane, step, byte))
    level[0] = above.reshape(width, reach)
    level[1:] = rows.reshape(height, width, reach)
    by_kind = [np.repeat(kinds, reach) == kind for kind in FILTERS]
    _step_by_step(slanted.reshape(len(slanted), -1), reach, by_kind)
    rows.reshape(height, width, reach)[:] = level[1:]


def _step_by_step(slanted: np.ndarray, reach: int, by_kind: list[np.ndarray]) -> None:
    """slanted [steps, (1 + R) * reach], by_kind: for each filter which of R * reach bytes are of it."""
    known, up, average = by_kind[NONE] | by_kind[SUB], by_kind[UP], by_kind[AVERAGE]
    any_known, any_up, any_average = known.any(), up.any(), average.any()
    size = slanted.shape[1] - reach
    far_left, far_above, far_corner, expected = (np.empty(size, np.int16) for _ in range(4))
    nearer = np.empty(size, bool)
    for last, before, now in zip(slanted, slanted[1:], slanted[2:]):
        left, above, corner = before[reach:], before[:size], last[:size]
        np.subtract(above, corner, out=far_left)
        np.subtract(left, corner, out=far_above)
        np.add(far_left, far_above, out=far_corner)
        np.abs(far_left, out=far_left)
        np.abs(far_above, out=far_above)
        np.abs(far_corner, out=far_corner)
        np.copyto(expected, corner)
        np.copyto(expected, above, where=np.less_equal(far_above, far_corner, out=nearer))
        np.minimum(far_above, far_corner, out=far_corner)
        np.copyto(expected, left, where=np.less_equal(far_left, far_corner, out=nearer))
        if any_average:
            np.add(left, above, out=far_left)
            np.right_shift(far_left, 1, out=far_left)
            np.copyto(expected, far_left, where=average)
        if any_up:
            np.copyto(expected, above, where=up)
        if any_known:
            np.copyto(expected, 0, where=known)
        here = now[reach:]
        np.add(here, expected, out=here)
        np.bitwise_and(here, 255, out=here)
