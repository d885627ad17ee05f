"""What a photo network reads: codes of the known past and of the current position, level by level along the wavefront.

A PhotoTile is the state of one tile: the online predictor, and the known planes uint8 [H, W, 7] with a margin that
stands for the outside (zero codes, inside mark 0). Both sides of the coder fill it with the same pixels alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np

from . import rules
from .kernels import kernel
from .model import Model
from .network import BundleError, Probe
from .predictor import LEFT, TOP, Predictor, Settings, rows_of
from .schedule import Kernel, Schedule, all_at_once, by_rank, open_taps
from .tables import CODES, check_number, check_predictor

_MOST_COMPONENTS, _LARGEST_WINDOW = 256, 31
_NEIGHBOURS = np.array(rules.NEIGHBOURS, np.int64)
_CODE_BITS, _CODE_RANGE, _UNIT, _INSIDE, _KNOWN = (
    rules.CODE_BITS,
    rules.CODE_RANGE,
    rules.MEAN_UNIT,
    rules.CODE_INSIDE,
    rules.KNOWN,
)


def wavefront(height: int, width: int) -> np.ndarray:
    """The rank map c + 2 r, int32 [H, W]."""
    return np.add.outer(2 * np.arange(height, dtype=np.int32), np.arange(width, dtype=np.int32))


class PhotoModel(Model):
    """A photo network: any picture of three planes, in wavefront order, on its online predictor."""

    @property
    def components(self) -> int:
        """Of the mixture."""
        return self.layout.components

    def schedule(self, height: int, width: int) -> Schedule:
        """Levels and slots for tiles of one size (kept for the sizes used last)."""
        return _schedule(height, width, self.layout.kernel)

    def tile(self, height: int, width: int) -> PhotoTile:
        """Fresh state of one tile."""
        layout = self.layout
        return PhotoTile(height, width, self.tables["codes"], layout.first_offsets, layout.predictor)

    def parameters(self, pictures: np.ndarray) -> np.ndarray:
        """The full pass, all positions at once: uint8 [N, 3, H, W] -> mixture parameters int32 [N, P, H, W].

        For whoever only wants likelihoods; the integers equal those of the level-by-level pass at every position.
        """
        return np.stack([self._full_pass(picture) for picture in pictures])

    def _full_pass(self, picture: np.ndarray) -> np.ndarray:
        _, height, width = picture.shape
        tile, inputs, kernel = self.tile(height, width), None, self.layout.kernel
        predictor, steps = tile.predictor, self.schedule(height, width)
        for level in range(steps.steps):
            at = steps.positions[steps.starts[level] : steps.starts[level + 1]]
            for k in range(3):
                predictor.solve(level, k)
                predictor.predict(level, k)
                if k == 0:
                    here = tile.inputs(level)
                    inputs = np.empty((height * width, here.shape[1]), np.uint8) if inputs is None else inputs
                    inputs[at] = here
                predictor.put(level, k, picture[k].reshape(-1)[at])
            tile.finish(level)
        whole = all_at_once(wavefront(height, width), (Kernel(kernel),), _taps(kernel))
        return self.network.start(whole).step(0, inputs).T.reshape(-1, height, width)


@dataclass(frozen=True)
class PhotoLayout:
    """How a photo network is run: (row, column) offsets of the first layer's taps, the predictor's settings."""

    kind: ClassVar[str] = "photo"
    model: ClassVar[type[Model]] = PhotoModel
    components: int
    kernel: int  # side of the blocks' window
    first_offsets: tuple[tuple[int, int], ...]
    predictor: Settings
    order: str = "wavefront"

    @property
    def orders(self) -> tuple[str, ...]:
        """The names of the variants, by number."""
        return tuple(f"{self.order}:{variant}" for variant in range(8))

    @classmethod
    def read(cls, fields: dict) -> PhotoLayout:
        """Raises ValueError, TypeError, KeyError or AttributeError for what is no layout."""
        predictor = fields.pop("predictor")
        settings = Settings(
            tuple(tuple(size) for size in predictor["sizes"]),
            predictor["decay"],
            predictor["row_decay"],
            tuple(predictor["ridge"]),
        )
        offsets = tuple((int(dr), int(dc)) for dr, dc in fields.pop("first_offsets"))
        return cls(first_offsets=offsets, predictor=settings, **fields)

    def check(self, tables: dict[str, np.ndarray]) -> None:
        """Raises BundleError for fields, and tables of this kind alone, that are not sound (runtime/tables.py)."""
        if self.order != "wavefront":
            raise BundleError(f"order is {self.order!r}, not 'wavefront'")
        check_number("components", self.components, 1, _MOST_COMPONENTS)
        check_number("kernel", self.kernel, 1, _LARGEST_WINDOW)
        if self.kernel % 2 == 0:
            raise BundleError(f"kernel is {self.kernel}, not an odd number")
        if not self.first_offsets:
            raise BundleError("first_offsets are none")
        for number in (number for offset in self.first_offsets for number in offset):
            check_number("a number of first_offsets", number, -(_LARGEST_WINDOW // 2), _LARGEST_WINDOW // 2)
        check_predictor(self.predictor)
        CODES.check("codes", tables.get("codes"))

    def fits(self, probe: Probe) -> bool:
        """Whether the probe has the shapes that it takes; may raise as `read` does."""
        feed = probe.feed
        return (
            feed["inputs"].shape[1] == len(self.first_offsets) * _KNOWN + len(_NEIGHBOURS) + 1
            and feed["taps"].shape[1] == len(_taps(self.kernel))
            and {"cache", "slots"} < feed.keys()
            and probe.parameters.shape[1] == 10 * self.components
        )


@lru_cache(maxsize=4)
def _schedule(height: int, width: int, kernel: int) -> Schedule:
    return by_rank(wavefront(height, width), (Kernel(kernel),), _taps(kernel))


def _taps(kernel: int) -> tuple[tuple[int, int], ...]:
    """The taps of a block's window that the wavefront opens where all of the window is inside."""
    return open_taps(wavefront(kernel, kernel), Kernel(kernel))[0]


class PhotoTile:
    """Predictor and network inputs of a tile. Per level: predictor.solve and predict, inputs, and finish at the end."""

    def __init__(
        self, height: int, width: int, codes: np.ndarray, offsets: tuple[tuple[int, int], ...], settings: Settings
    ):
        self.height, self.width, self.codes = height, width, codes
        self.predictor = Predictor(height, width, settings)
        self._margin = max(max(abs(dr), abs(dc)) for dr, dc in offsets)
        self._known = np.zeros((height + 2 * self._margin, width + 2 * self._margin, rules.KNOWN), np.uint8)
        self._known[..., :-1] = rules.CODE_ZERO
        stride = self._known.shape[1]
        self._offsets = np.array([(dr * stride + dc) * rules.KNOWN for dr, dc in offsets], np.int64)
        self.features = len(offsets) * rules.KNOWN + len(rules.NEIGHBOURS) + 1

    def inputs(self, level: int) -> np.ndarray:
        """The network's inputs at `level`, uint8 [n, features]; needs the level's red predictions."""
        first, end = rows_of(level, self.height, self.width)
        out = np.empty((end - first, self.features), np.uint8)
        _gather(
            level,
            first,
            end,
            self._known.reshape(-1),
            self._known.shape[1],
            self._margin,
            self._offsets,
            self.predictor.planes[0],
            self.predictor.bases[0],
            self.codes,
            out,
        )
        return out

    def finish(self, level: int) -> None:
        """Takes over the level's pixels, which `predictor.put` has entered for all three planes."""
        first, end = rows_of(level, self.height, self.width)
        _record(level, first, end, self._known, self._margin, self.predictor.planes, self.predictor.bases, self.codes)


@kernel
def _code(residual, codes):
    return codes[min(max((residual >> _CODE_BITS) + _CODE_RANGE, 0), 2 * _CODE_RANGE - 1)]


@kernel
def _gather(level, first, end, known, stride, margin, offsets, red, bases, codes, out):
    for row in range(first, end):
        c = level - 2 * row
        here = ((row + margin) * stride + c + margin) * _KNOWN
        line = out[row - first]
        at = 0
        for i in range(len(offsets)):
            tap = here + offsets[i]
            for plane in range(_KNOWN):
                line[at + plane] = known[tap + plane]
            at += _KNOWN
        base = bases[row]
        for i in range(len(_NEIGHBOURS)):
            near = np.int32(red[row + TOP + _NEIGHBOURS[i, 0], c + LEFT + _NEIGHBOURS[i, 1]])
            line[at + i] = _code(near * _UNIT - base, codes)
        line[at + len(_NEIGHBOURS)] = base // _UNIT


@kernel
def _record(level, first, end, known, margin, planes, bases, codes):
    for row in range(first, end):
        c = level - 2 * row
        for k in range(3):
            x = planes[k, row + TOP, c + LEFT]
            known[row + margin, c + margin, k] = x
            known[row + margin, c + margin, 3 + k] = _code(np.int32(x) * _UNIT - bases[k, row], codes)
        known[row + margin, c + margin, 6] = _INSIDE
