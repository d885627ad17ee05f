"""Levels and slots: in which steps the positions of an order are computed, and where their features live meanwhile.

Level of a position = 1 + the largest level among the positions that any layer reads there; the positions of one level
never read each other, so one step computes them all. A slot holds one position's features and is given out again
after the last level that reads them, as registers are in a compiler; slot 0 is the padding, which masked taps and
taps outside the picture point to. One mechanism for every order and size; numpy alone.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Kernel:
    """A layer's window: side, dilation, and whether it reads the position itself ("B") or not ("A")."""

    size: int
    dilation: int = 1
    kind: str = "B"

    def offsets(self) -> list[tuple[int, int]]:
        """(row, column) offsets of all taps, row-major."""
        reach = range(-(self.size // 2), self.size // 2 + 1)
        return [(dr * self.dilation, dc * self.dilation) for dr in reach for dc in reach]


@dataclass(frozen=True)
class Schedule:
    """Steps of one picture size: step s computes positions[starts[s]:starts[s + 1]].

    positions int32 [N], row-major indices, ascending within a step; taps int64 [N, T], the slots that the layers
    with features read (T = number of `offsets`, the taps open anywhere); slot int64 [N], where the position's own
    features go; slots: how many there are, padding included.
    """

    height: int
    width: int
    starts: np.ndarray
    positions: np.ndarray
    taps: np.ndarray
    slot: np.ndarray
    slots: int
    offsets: tuple[tuple[int, int], ...]

    @property
    def steps(self) -> int:
        return len(self.starts) - 1


def wavefront(height: int, width: int) -> np.ndarray:
    """The rank map c + 2 r: W + 2 (H - 1) ranks of independent positions, [H, W] int32."""
    return np.add.outer(2 * np.arange(height, dtype=np.int32), np.arange(width, dtype=np.int32))


def open_taps(rank: np.ndarray, kernel: Kernel) -> tuple[tuple[tuple[int, int], ...], np.ndarray]:
    """The offsets a layer may read anywhere under a rank map, and which of them at each position, bool [T, H, W]."""
    found, masks = [], []
    for dr, dc in kernel.offsets():
        seen = np.zeros(rank.shape, bool)
        if (dr, dc) == (0, 0):
            seen[:] = kernel.kind == "B"
        else:
            centre, tap = overlap(rank.shape, dr, dc)
            seen[centre] = rank[tap] < rank[centre]
        if seen.any():
            found.append((dr, dc))
            masks.append(seen)
    return tuple(found), np.array(masks).reshape(len(masks), *rank.shape)


def overlap(shape: tuple[int, int], dr: int, dc: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Slices of the positions whose tap (dr, dc) is inside the picture, and of those taps."""
    h, w = shape
    centre = (slice(max(0, -dr), max(0, h - max(0, dr))), slice(max(0, -dc), max(0, w - max(0, dc))))
    tap = (slice(max(0, dr), max(0, h + min(0, dr))), slice(max(0, dc), max(0, w + min(0, dc))))
    return centre, tap


def levels(rank: np.ndarray, kernels: tuple[Kernel, ...]) -> np.ndarray:
    """Level of every position, int32 [H, W], from 0; given positions (rank -1) are at -1."""
    h, w = rank.shape
    reads = [
        (offset, seen.ravel())
        for kernel in kernels
        for offset, seen in zip(*open_taps(rank, kernel))
        if offset != (0, 0)
    ]
    if _is_level(rank, reads):
        return rank.astype(np.int32)
    order = np.argsort(rank, axis=None, kind="stable")
    ranks = rank.ravel()[order]
    bounds = np.flatnonzero(np.diff(ranks, prepend=ranks[0] - 1)).tolist() + [len(order)]
    level = np.full(h * w, -1, np.int32)
    for start, end in zip(bounds, bounds[1:]):
        if ranks[start] < 0:
            continue
        here = order[start:end]
        highest = np.full(len(here), -1, np.int32)
        for (dr, dc), seen in reads:
            below = level[np.where(seen[here], here + dr * w + dc, here)]  # unread taps give -1: not yet set
            np.maximum(highest, below, out=highest)
        level[here] = highest + 1
    return level.reshape(h, w)


def _is_level(rank: np.ndarray, reads: list[tuple[tuple[int, int], np.ndarray]]) -> bool:
    """Whether every rank is already 1 + the largest rank read, as a wavefront's is: then ranks are levels."""
    highest = np.full(rank.shape, -1, np.int32)
    for (dr, dc), seen in reads:
        centre, tap = overlap(rank.shape, dr, dc)
        np.maximum(highest[centre], np.where(seen.reshape(rank.shape)[centre], rank[tap], -1), out=highest[centre])
    return bool((highest + 1 == rank).all())


def schedule(
    rank: np.ndarray,
    features: tuple[Kernel, ...],
    kernels: tuple[Kernel, ...] = (),
    offsets: tuple[tuple[int, int], ...] | None = None,
) -> Schedule:
    """The steps of an order for layers that read features through the kernels `features` and inputs through `kernels`.

    `offsets`: the taps to give in this order, all that are open anywhere among them (the default is just those): a
    network has its taps in pictures of one row, too, where some are closed everywhere.
    """
    return _assign(levels(rank, (*features, *kernels)), rank, features, offsets)


def in_steps(
    steps: np.ndarray,
    rank: np.ndarray,
    features: tuple[Kernel, ...],
    offsets: tuple[tuple[int, int], ...] | None = None,
) -> Schedule:
    """The steps that are given, int [H, W], of a rank map; also those that no position has. Whatever a layer may read
    must have an earlier step."""
    return _assign(steps.astype(np.int32), rank, features, offsets)


def all_at_once(
    rank: np.ndarray, features: tuple[Kernel, ...], offsets: tuple[tuple[int, int], ...] | None = None
) -> Schedule:
    """One step for all positions: the full pass over a known picture. Layers are computed one after another."""
    return _assign(np.where(rank < 0, -1, 0).astype(np.int32), rank, features, offsets)


def _assign(
    level: np.ndarray, rank: np.ndarray, kernels: tuple[Kernel, ...], wanted: tuple[tuple[int, int], ...] | None
) -> Schedule:
    h, w = rank.shape
    reads = dict(tap for kernel in kernels for tap in zip(*open_taps(rank, kernel)))
    offsets, seen = tuple(reads), list(reads.values())
    wanted = offsets if wanted is None else wanted
    last = level.copy()  # the last level that reads a position
    for (dr, dc), mask in zip(offsets, seen):
        centre, tap = overlap((h, w), dr, dc)
        reader = np.where(mask[centre], level[centre], -1)
        np.maximum(last[tap], reader, out=last[tap])
    flat = level.ravel()
    computed = int((flat >= 0).sum())
    positions = np.argsort(flat, kind="stable")[len(flat) - computed :].astype(np.int32)
    steps = int(flat.max(initial=-1)) + 1
    starts = np.searchsorted(flat[positions], np.arange(steps + 1))
    slot_of, slots = _slots(positions, starts, last.ravel())
    taps = np.zeros((computed, len(wanted)), np.int64)
    for (dr, dc), mask in zip(offsets, seen):
        open_here = mask.ravel()[positions]
        taps[open_here, wanted.index((dr, dc))] = slot_of[positions[open_here] + dr * w + dc]
    return Schedule(h, w, starts, positions, taps, slot_of[positions], slots, wanted)


def _slots(positions: np.ndarray, starts: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, int]:
    """Slot of every position (0 where never computed) and the number of slots, by lifetime."""
    ending = positions[np.argsort(last[positions], kind="stable")]
    ends = np.searchsorted(last[ending], np.arange(len(starts)))
    slot_of = np.zeros(len(last), np.int64)
    free = np.empty(0, np.int64)  # a stack: the last released is the first reused
    slots = 1
    for step in range(len(starts) - 1):
        here = positions[starts[step] : starts[step + 1]]
        if len(free) < len(here):
            more = max(len(here) - len(free), slots // 4)
            free = np.concatenate([np.arange(slots + more - 1, slots - 1, -1), free])
            slots += more
        slot_of[here] = free[: -len(here) - 1 : -1]
        free = np.concatenate([free[: len(free) - len(here)], slot_of[ending[ends[step] : ends[step + 1]]]])
    return slot_of, slots
