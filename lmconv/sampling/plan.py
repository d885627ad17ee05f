"""In which steps an order is drawn, and where each position finds what its neighbours left.

Levels are the schedule's (runtime.schedule), in which given positions are known from the start. Its slots are not used:
there, taps on given positions are the padding, as these have no features; here they have, and every tap that a mask
opens (lmconv.orders.masks) finds them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lmconv.config import PixelCnnConfig
from lmconv.networks.pixelcnn import Kind, sorts
from lmconv.orders import OBSERVED, masks
from runtime.schedule import Kernel, levels


@dataclass(frozen=True, eq=False)
class Taps:
    """What one sort of layers reads at each position of a plan.

    `columns` [T] int64 are the taps (row-major in the kernel) that are open anywhere, `slots` [N, T] int64 where their
    features are, 0 for a closed one, and `open` [N, k*k] bool the whole masks.
    """

    columns: Tensor
    slots: Tensor
    open: Tensor


@dataclass(frozen=True, eq=False)
class Plan:
    """In which order positions are computed, and where each finds its neighbours' features.

    `positions` [N] int64: row-major indices of the hidden ones, level after level (level l is those from starts[l] to
    starts[l + 1]), then of the given ones. Features of positions[i] are in slot i + 1; slot 0 is zero, the padding.
    """

    starts: tuple[int, ...]
    positions: Tensor
    taps: dict[tuple[Kind, int], Taps]  # by kind and dilation of the layers
    counts: dict[int, Tensor]  # open taps [N] of kind B by dilation, for order_rescale

    @property
    def levels(self) -> list[tuple[int, int]]:
        """(start, end) of each level's positions."""
        return list(zip(self.starts, self.starts[1:]))

    @property
    def hidden(self) -> int:
        """How many positions are drawn: the first ones."""
        return self.starts[-1]

    def to(self, device: torch.device | str) -> Plan:
        """The same plan on another device."""
        taps = {sort: Taps(*(part.to(device) for part in vars(taps).values())) for sort, taps in self.taps.items()}
        counts = {dilation: count.to(device) for dilation, count in self.counts.items()}
        return Plan(self.starts, self.positions.to(device), taps, counts)


def plan(rank: np.ndarray, hidden: np.ndarray, config: PixelCnnConfig) -> Plan:
    """The plan of an order [H, W] that visits the hidden positions [H, W] bool last, on the CPU."""
    kernels = tuple(Kernel(config.kernel, dilation) for kind, dilation in sorts(config) if kind == "B")
    level = levels(np.where(hidden, rank, OBSERVED), kernels).ravel()
    steps = int(level.max()) + 1
    level = np.where(level < 0, steps, level)  # the given ones come last
    positions = np.argsort(level, kind="stable")
    starts = np.searchsorted(level[positions], np.arange(steps + 1))
    taps = {(kind, dilation): _taps(rank, positions, config.kernel, dilation, kind) for kind, dilation in sorts(config)}
    counts = {dilation: each.open.sum(1) for (kind, dilation), each in taps.items() if kind == "B"}
    return Plan(tuple(starts.tolist()), torch.from_numpy(positions), taps, counts)


def _taps(rank: np.ndarray, positions: np.ndarray, kernel: int, dilation: int, kind: str) -> Taps:
    slot = np.empty(rank.size, np.int64)
    slot[positions] = np.arange(1, rank.size + 1)
    mask = masks.masks(rank, kernel, dilation, kind)[:, positions]  # [k*k, N]
    columns = np.flatnonzero(mask.any(1))
    slots = np.zeros((len(positions), len(columns)), np.int64)
    for column, tap in enumerate(columns):
        down, right = (dilation * (part - kernel // 2) for part in divmod(int(tap), kernel))
        slots[mask[tap], column] = slot[positions[mask[tap]] + down * rank.shape[1] + right]
    return Taps(torch.from_numpy(columns), torch.from_numpy(slots), torch.from_numpy(mask.T.copy()))
