"""Which kernel taps each position may read, from a rank map (orders.py).

A mask is `[k*k, H*W] bool`: taps row-major in the kernel, positions row-major in the image. A tap is allowed
iff it lies inside the image and has a smaller rank than the centre; the centre itself is for kind "B" only.
Patterns are the few ordinary k x k kernel masks that, selected per position, say the same if padding is zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lmconv import orders
from lmconv.errors import LmconvError
from runtime.schedule import Kernel


class MaskError(LmconvError):
    """A kernel, dilation or kind that no mask has, or an order of more than one pattern."""


@dataclass(frozen=True)
class Patterns:
    """Tap patterns `taps [P, k*k] bool` and which of them each position uses, `index [H*W] int32`."""

    taps: np.ndarray
    index: np.ndarray


def masks(rank: np.ndarray, kernel: int, dilation: int = 1, kind: str = "A") -> np.ndarray:
    """The mask [k*k, H*W] bool of a rank map [H, W] for one layer.

    Given positions (rank -1) are seen by all others and see nothing but, in kind B, themselves.
    """
    check_layer(kernel, dilation, kind)
    height, width = rank.shape
    reach = dilation * (kernel // 2)
    never = np.iinfo(np.int64).max
    padded = np.pad(rank.astype(np.int64), reach, constant_values=never)
    mask = np.empty((kernel * kernel, height, width), bool)
    for tap in range(kernel * kernel):
        row, col = dilation * (tap // kernel), dilation * (tap % kernel)
        np.less(padded[row : row + height, col : col + width], rank, out=mask[tap])
    mask[kernel * kernel // 2] = kind == "B"
    return mask.reshape(kernel * kernel, height * width)


def inside(height: int, width: int, kernel: int, dilation: int = 1) -> np.ndarray:
    """Which taps lie inside the image: [k*k, H*W] bool."""
    offset = dilation * (np.arange(kernel) - kernel // 2)
    row = offset[:, None] + np.arange(height)  # [k, H]
    col = offset[:, None] + np.arange(width)  # [k, W]
    row_inside = (row >= 0) & (row < height)
    col_inside = (col >= 0) & (col < width)
    both = row_inside[:, None, :, None] & col_inside[None, :, None, :]  # [k, k, H, W]
    return both.reshape(kernel * kernel, height * width)


def patterns(mask: np.ndarray, height: int, width: int, kernel: int, dilation: int = 1) -> Patterns:
    """Few tap patterns that agree with `mask` [k*k, H*W] wherever a tap is inside the image.

    Taps outside read zero padding, so they may be anything, and positions that differ only there can share a
    pattern. As each tap is 0, 1 or anything, positions that fit in pairs fit together, so this is colouring a
    graph. Greedy (DSATUR, Brelaz 1979): the least number where that is 1 or 2, not proved so otherwise.
    Raster and wavefront have 1 pattern, the S-curve 2, on any size.
    """
    known = inside(height, width, kernel, dilation)
    if mask.shape != known.shape:
        raise MaskError(
            f"a mask for kernel {kernel} on {height}x{width} has shape {list(known.shape)}, not {list(mask.shape)}"
        )
    # One row of bits a class of equal positions: the taps' values, then which are inside. Bits outside are 0.
    bits = np.concatenate((np.packbits(mask & known, axis=0), np.packbits(known, axis=0))).T
    classes, class_of = _distinct_rows(bits)
    value, known = np.split(classes, 2, axis=1)  # [N, ceil(k*k / 8)] each
    full = np.unpackbits(known, axis=1).sum(axis=1, dtype=np.int64) == kernel * kernel

    # Interior positions settle all taps: each class is a pattern, and border classes that fit change nothing.
    pattern_of = np.full(len(classes), -1, np.int32)
    pattern_of[full] = np.arange(full.sum())
    interior = value[full]
    for i in np.flatnonzero(~full):
        fits = np.flatnonzero(~((interior ^ value[i]) & known[i]).any(axis=1))
        if fits.size:
            pattern_of[i] = fits[0]
    left = np.flatnonzero(pattern_of < 0)
    merged, merged_of = _merge(value[left], known[left])
    pattern_of[left] = merged_of + len(interior)
    taps = np.unpackbits(np.concatenate((interior, merged)), axis=1, count=kernel * kernel).astype(bool)
    return Patterns(taps, pattern_of[class_of])


def blind(rank: np.ndarray, stages: Sequence[Sequence[Kernel]]) -> list[int]:
    """The ranks of an order [H, W] none of whose positions, of which there are several, has a pixel of smaller rank
    within reach of layers, given from the first, which alone see pixels, to the last, side by side or alone."""
    opened = {kernel: masks(rank, kernel.size, kernel.dilation, kernel.kind) for stage in stages for kernel in stage}
    seen = np.any([opened[kernel].any(0) for kernel in stages[0]], 0).reshape(rank.shape)
    for stage in stages[1:]:
        found = seen.copy()
        for kernel in stage:
            reach = kernel.dilation * (kernel.size // 2)
            padded = np.pad(seen, reach)
            for (down, right), tap in zip(kernel.offsets(), opened[kernel]):
                at = slice(reach + down, reach + down + len(rank)), slice(reach + right, reach + right + rank.shape[1])
                found |= padded[at] & tap.reshape(rank.shape)
        seen = found
    ranks, number, counts = np.unique(rank, return_inverse=True, return_counts=True)
    seeing = np.bincount(number.ravel(), seen.ravel(), len(ranks))
    late = (counts > 1) & (ranks > max(int(ranks[0]), 0)) & (seeing == 0)
    return ranks[late].tolist()


def single_pattern(order: str, kernel: int, dilation: int = 1, kind: str = "A") -> np.ndarray:
    """The tap pattern [k*k] bool of an order that has one for any size: raster or wavefront, any variant."""
    check_layer(kernel, dilation, kind)
    base, _ = orders.parse_variant(order)
    if base not in ("raster", "wavefront"):
        raise MaskError(f"only raster and wavefront have one pattern on every size, not {order!r}")
    size = 2 * dilation * (kernel // 2) + 1  # the smallest image whose centre has all taps inside
    mask = masks(orders.make(order, size, size), kernel, dilation, kind)
    return mask[:, size * size // 2]


def check_layer(kernel: int, dilation: int, kind: str) -> None:
    """Raises MaskError unless the kernel is odd, the dilation positive and the kind "A" or "B"."""
    if kernel < 1 or kernel % 2 == 0:
        raise MaskError(f"a mask needs an odd kernel size, not {kernel}")
    if dilation < 1:
        raise MaskError(f"a mask needs a dilation of 1 or more, not {dilation}")
    if kind not in ("A", "B"):
        raise MaskError(f"the kind of a mask is 'A' or 'B', not {kind!r}")


def _merge(value: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Few rows of bits that agree with each `value` [N, M] uint8 where it is `known`, and which each uses.

    Always places next the class that clashes with most of the rows so far.
    """
    total = len(value)
    rows, settled = np.zeros_like(value), np.zeros_like(known)
    clash = np.zeros((total, total), bool)  # class, row
    clashes = np.zeros(total, np.int64)  # of each class; -1 when it is placed
    row_of = np.empty(total, np.int32)
    for _ in range(total):
        i = int(clashes.argmax())
        row = row_of[i] = int(clash[i].argmin())  # the first that fits: an empty one fits all
        clashes[i] = -1
        rows[row] |= value[i]
        settled[row] |= known[i]
        still = np.flatnonzero(clashes >= 0)
        now = ((value[still] ^ rows[row]) & known[still] & settled[row]).any(axis=1)
        clashes[still] += now & ~clash[still, row]
        clash[still, row] = now
    return rows[: row_of.max(initial=-1) + 1], row_of


def _distinct_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct rows of `rows` [N, M] uint8 in a fixed order, and for each row the number of its equal."""
    rows = np.ascontiguousarray(rows)
    whole = rows.view(np.dtype((np.void, rows.shape[1]))).ravel()
    _, first, number = np.unique(whole, return_index=True, return_inverse=True)
    return rows[first], number
