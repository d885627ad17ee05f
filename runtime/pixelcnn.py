"""The paper's networks: tiles of one size at most, in any of the bundle's orders, many of them in lockstep.

An order is a rank map (table `rank.0`, `rank.1`, ...); a smaller tile, at a picture's edge, is coded in the upper left
part of it. What the network reads are codes: the levels of known pixels (a bit: 0 or 255) and INSIDE in the plane that
marks them; 0 stands for all that is not known.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np

from runtime import rules
from runtime.model import Model
from runtime.network import BundleError, Probe, StepPass
from runtime.schedule import Kernel, Schedule, all_at_once, schedule
from runtime.tables import check_number, rank

INSIDE = 128
_RANGES = {
    "height": (1, 1 << 12),
    "width": (1, 1 << 12),
    "channels": (1, 3),
    "components": (1, 256),
    "kernel": (3, 5),
    "dilation": (1, 16),
    "resnets": (1, 64),
}
_CHOICES = {
    "channels": (1, 3),
    "kernel": (3, 5),
    "norm": rules.NORMS,
    "binary": (False, True),
    "mask_weight": (False, True),
}
_POSITIONS = 1 << 13  # in one step of the full pass: every layer keeps the features of all of them


class PixelCnnModel(Model):
    """A PixelCNN++ of locally masked convolutions."""

    @property
    def layout(self) -> PixelCnnLayout:
        """How it is run."""
        assert isinstance(self.manifest.layout, PixelCnnLayout)
        return self.manifest.layout

    def rank(self, order: int, height: int, width: int) -> np.ndarray:
        """The rank map [height, width] of tiles of that size, or smaller than the layout's, in the bundle's order."""
        return self.tables[f"rank.{order}"][:height, :width]

    def schedule(self, order: int, height: int, width: int) -> Schedule:
        """Levels and slots."""
        return _schedule(self.rank(order, height, width).tobytes(), height, width, self.layout)

    def tiles(self, steps: Schedule, count: int) -> Lockstep:
        """Fresh state of `count` tiles, all of the schedule's size."""
        return Lockstep(self, steps, count)

    def known_tiles(self, steps: Schedule, levels: np.ndarray, order: int) -> Ahead:
        """The same for an encoder, who has the tiles' pixels, uint8 [N, C, H, W]: one full pass is faster."""
        return Ahead(self.parameters(levels, order), steps)

    def parameters(self, levels: np.ndarray, order: int = 0) -> np.ndarray:
        """The full pass over a batch, all positions at once: uint8 [N, C, H, W] -> parameters int32 [N, P, H, W].

        Bits are 0 or 255. For whoever only wants likelihoods; the integers equal those of the level-by-level pass.
        """
        _, _, height, width = levels.shape
        whole = all_at_once(self.rank(order, height, width), self.layout.features, self.layout.offsets)
        most = max(1, _POSITIONS // (height * width))
        parts = [levels[start : start + most] for start in range(0, len(levels), most)]
        return np.concatenate([self._walk(part, whole, known_first=True) for part in parts])

    def parameters_by_levels(self, levels: np.ndarray, order: int = 0) -> np.ndarray:
        """The same, as a decoder finds them: each level's parameters before its pixels are known."""
        return self._walk(levels, self.schedule(order, *levels.shape[2:]), known_first=False)

    def _walk(self, levels: np.ndarray, steps: Schedule, known_first: bool) -> np.ndarray:
        count, channels, height, width = levels.shape
        tiles, flat = self.tiles(steps, count), levels.reshape(count, channels, -1).transpose(0, 2, 1)
        out = np.empty((count, height * width, self.network.outputs), np.int32)
        for level in range(steps.steps):
            at = steps.positions[steps.starts[level] : steps.starts[level + 1]]
            pixels = flat[:, at].reshape(-1, channels)
            if known_first:
                tiles.put(level, pixels)
            out[:, at] = tiles.step(level).reshape(count, len(at), -1)
            tiles.put(level, pixels)
        return np.ascontiguousarray(out.transpose(0, 2, 1)).reshape(count, -1, height, width)


@dataclass(frozen=True)
class PixelCnnLayout:
    """How such a network is run. A binary network's one parameter is the log-odds of 1 in 1/1024 nat."""

    kind: ClassVar[str] = "pixelcnn"
    model: ClassVar[type[Model]] = PixelCnnModel
    orders: tuple[str, ...]  # names of the rank maps
    height: int  # of a tile
    width: int
    channels: int  # 1 or 3
    binary: bool
    components: int
    kernel: int
    dilation: int
    resnets: int  # in a group of blocks
    norm: str
    mask_weight: bool

    @classmethod
    def read(cls, fields: dict) -> PixelCnnLayout:
        """Raises ValueError, TypeError, KeyError or AttributeError for what is no layout."""
        return cls(orders=tuple(map(str, fields.pop("orders"))), **fields)

    def check(self, tables: dict[str, np.ndarray]) -> None:
        """Raises BundleError for fields, and tables of this kind alone, that are not sound (runtime/tables.py)."""
        for name, (low, high) in _RANGES.items():
            check_number(name, getattr(self, name), low, high)
        check_number("the number of orders", len(self.orders), 1, 64)
        for name, choice in _CHOICES.items():
            if getattr(self, name) not in choice:
                raise BundleError(f"{name} is {getattr(self, name)!r}, not one of {', '.join(map(str, choice))}")
        if self.binary and self.channels == 3:
            raise BundleError("3 channels are binary, where only 1 can be")
        for number in range(len(self.orders)):
            rank(self.height, self.width).check(f"rank.{number}", tables.get(f"rank.{number}"))

    def fits(self, probe: Probe) -> bool:
        """Whether the probe has the shapes that it takes; may raise as `read` does."""
        taps, feed = self.kernel**2, probe.feed
        return (
            feed["inputs"].shape[1] == (taps - 1) * (self.channels + 1)
            and feed["taps"].shape[1] == feed["dilated_taps"].shape[1] == taps
            and "slots" in feed
            and probe.parameters.shape[1] == (1 if self.binary else 10 * self.components)
        )

    @property
    def order(self) -> str:
        """All of them, in words."""
        return ", ".join(self.orders)

    @property
    def features(self) -> tuple[Kernel, Kernel]:
        """The windows of the layers that read features."""
        return Kernel(self.kernel), Kernel(self.kernel, self.dilation)

    @property
    def offsets(self) -> tuple[tuple[int, int], ...]:
        """All taps of both windows, each once."""
        return tuple(dict.fromkeys(tap for kernel in self.features for tap in kernel.offsets()))

    @property
    def near(self) -> np.ndarray:
        """Which of the offsets the first layer reads: the window's, but the position itself."""
        taps = self.sorts["taps"]
        return np.delete(taps, len(taps) // 2)

    @property
    def sorts(self) -> dict[str, np.ndarray]:
        """Which of the offsets each sort of layers reads."""
        names = ("taps", "dilated_taps")
        columns = ([self.offsets.index(tap) for tap in kernel.offsets()] for kernel in self.features)
        return {name: np.array(found) for name, found in zip(names, columns)}


@lru_cache(maxsize=64)
def _schedule(rank: bytes, height: int, width: int, layout: PixelCnnLayout) -> Schedule:
    return schedule(np.frombuffer(rank, np.int32).reshape(height, width), layout.features, (), layout.offsets)


class Lockstep:
    """Tiles that are coded together: per level `step`, then `put` of what the level's pixels are."""

    def __init__(self, model: PixelCnnModel, steps: Schedule, count: int) -> None:
        layout = model.layout
        self._pass: StepPass = model.network.start(steps, count, layout.sorts)
        self._starts, self._slot = steps.starts, steps.slot
        self._taps = steps.taps[:, layout.near]
        self._bases = np.arange(count)[:, None] * steps.slots
        self._known = np.zeros((count * steps.slots, layout.channels + 1), np.uint8)

    def step(self, level: int) -> np.ndarray:
        """Parameters int32 [tiles * n, P] of a level's positions, tile by tile."""
        taps = self._taps[self._starts[level] : self._starts[level + 1]]
        inputs = self._known[self._bases[:, :, None] + taps]
        return self._pass.step(level, inputs.reshape(len(self._bases) * len(taps), -1))

    def put(self, level: int, levels: np.ndarray) -> None:
        """Takes over a level's pixels, uint8 [tiles * n, C], tile by tile; bits are 0 or 255."""
        slots = self._slot[self._starts[level] : self._starts[level + 1]]
        rows = (self._bases + slots).reshape(-1)
        self._known[rows, :-1] = levels
        self._known[rows, -1] = INSIDE


class Ahead:
    """As Lockstep, of parameters int32 [T, P, H, W] that are all there."""

    def __init__(self, parameters: np.ndarray, steps: Schedule) -> None:
        tiles, outputs = parameters.shape[:2]
        self._rows = parameters.reshape(tiles, outputs, -1)[..., steps.positions].transpose(0, 2, 1)
        self._starts = steps.starts

    def step(self, level: int) -> np.ndarray:
        """As Lockstep.step."""
        rows = self._rows[:, self._starts[level] : self._starts[level + 1]]
        return rows.reshape(-1, rows.shape[2])

    def put(self, level: int, levels: np.ndarray) -> None:
        """They are known."""
