"""What a photo network reads: codes of the known past and of the current position, level by level along the wavefront.

A PhotoTile is the state of one tile: the online predictor, and the known planes uint8 [H, W, 7] with a margin that
stands for the outside (zero codes, inside mark 0). Both sides of the coder fill it with the same pixels alike:
`prepare` a level, then for each position and plane least_squares' `predict`, `draw`, `learn`, and `record` at its end.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, NamedTuple

import numpy as np

from runtime import least_squares, rules
from runtime.kernels import inlined, kernel
from runtime.least_squares import ALL, LEFT, TOP, Canvas, Predictor, Settings, Size, rows_of
from runtime.model import Model
from runtime.network import BundleError, Probe
from runtime.schedule import Kernel, Schedule, all_at_once, in_steps, open_taps, wavefront
from runtime.tables import CODES, check_number, check_predictor

_RED = np.int64(0)
RowsOfLevel = tuple[int, tuple[int, int]]  # a level, and of its rows the first and the one behind the last
_MOST_COMPONENTS, _LARGEST_WINDOW = 256, 31
_NEIGHBOURS = np.array(rules.NEIGHBOURS, np.int64)
_CODE_BITS, _CODE_RANGE, _UNIT, _INSIDE, _KNOWN = (
    rules.CODE_BITS,
    rules.CODE_RANGE,
    rules.MEAN_UNIT,
    rules.CODE_INSIDE,
    rules.KNOWN,
)


class PhotoModel(Model):
    """A photo network: any picture of three planes, in wavefront order, on its online predictor."""

    @property
    def layout(self) -> PhotoLayout:
        """How it is run."""
        assert isinstance(self.manifest.layout, PhotoLayout)
        return self.manifest.layout

    @property
    def components(self) -> int:
        """Of the mixture."""
        return self.layout.components

    def schedule(self, height: int, width: int, parts: tuple[RowsOfLevel, ...] = ()) -> Schedule:
        """Levels and slots for tiles of one size (kept for the sizes used last).

        parts: what each step has, in place of a step for each level; all levels, downwards.
        """
        return _schedule(height, width, self.layout.kernel, parts)

    def tile(self, height: int, width: int) -> PhotoTile:
        """Fresh state of one tile."""
        return photo_tile(height, width, self.tables["codes"], self.layout)

    def parameters(self, pictures: np.ndarray) -> np.ndarray:
        """The full pass, all positions at once: uint8 [N, 3, H, W] -> mixture parameters int32 [N, P, H, W].

        For whoever only wants likelihoods; the integers equal those of the level-by-level pass at every position.
        """
        return np.stack([self._full_pass(picture) for picture in pictures])

    def _full_pass(self, picture: np.ndarray) -> np.ndarray:
        _, height, width = picture.shape
        tile, kernel = self.tile(height, width), self.layout.kernel
        inputs = np.empty((height, width, tile.inputs.shape[1]), np.uint8)
        _read(np.ascontiguousarray(picture), tile, inputs)
        parameters = self.network.start(_whole(height, width, kernel)).step(0, inputs.reshape(height * width, -1))
        return parameters.T.reshape(-1, height, width)


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
def _schedule(height: int, width: int, kernel: int, parts: tuple[RowsOfLevel, ...]) -> Schedule:
    rank = wavefront(height, width)
    steps = rank.copy()
    for step, (level, rows) in enumerate(parts):
        here = np.arange(*rows_of.py_func(level, Size(height, width), rows))
        steps[here, level - 2 * here] = step
    return in_steps(steps, rank, (Kernel(kernel),), _taps(kernel))


@lru_cache(maxsize=2)
def _whole(height: int, width: int, kernel: int) -> Schedule:
    return all_at_once(wavefront(height, width), (Kernel(kernel),), _taps(kernel))


def _taps(kernel: int) -> tuple[tuple[int, int], ...]:
    """The taps of a block's window that the wavefront opens where all of the window is inside."""
    return open_taps(wavefront(kernel, kernel), Kernel(kernel))[0]


class PhotoTile(NamedTuple):
    """Predictor and network inputs of a tile."""

    canvas: Canvas
    predictor: Predictor
    bases: np.ndarray  # int32 [3, H]: the predictor's at the level at hand, or where a row was last coded
    known: np.ndarray  # uint8 [(H + 2 margin) * stride * KNOWN]: codes of the known planes
    stride: int  # columns of a row of these
    margin: int
    offsets: np.ndarray  # int64 [T]: where the first layer's taps lie in them
    codes: np.ndarray  # uint8: the table of residual codes
    inputs: np.ndarray  # uint8 [rows, F]: the network's at the level at hand, from the level's first row on


def photo_tile(height: int, width: int, codes: np.ndarray, layout: PhotoLayout) -> PhotoTile:
    """Fresh state of a tile of that size."""
    empty, offsets = least_squares.canvas(height, width), layout.first_offsets
    margin = max(max(abs(dr), abs(dc)) for dr, dc in offsets)
    stride = width + 2 * margin
    known = np.zeros((height + 2 * margin, stride, _KNOWN), np.uint8)
    known[..., :-1] = rules.CODE_ZERO
    return PhotoTile(
        empty,
        least_squares.predictor(empty, layout.predictor),
        np.zeros((3, height), np.int32),
        known.reshape(-1),
        stride,
        margin,
        np.array([(dr * stride + dc) * _KNOWN for dr, dc in offsets], np.int64),
        codes,
        np.zeros((most_rows(empty.size), len(offsets) * _KNOWN + len(_NEIGHBOURS) + 1), np.uint8),
    )


def most_rows(size: Size) -> int:
    """The most positions that a wavefront level of a picture has."""
    return min(size.height, (size.width + 1) // 2)


@kernel
def prepare(level, tile, rows=ALL):
    """Predicts red for positions of a level, from the levels before, and gathers the network's inputs."""
    canvas = tile.canvas
    first, end = rows_of(level, canvas.size, rows)
    least_squares.refer(level, canvas, rows)
    least_squares.refit(level, canvas.size, _RED, tile.predictor.fits, rows)
    least_squares.foresee(level, _RED, canvas, tile.predictor, rows)
    for row in range(first, end):
        tile.bases[0, row], _ = least_squares.predict(level, _RED, row, canvas, tile.predictor)
        _gather(row, level - 2 * row, tile, tile.inputs[row - first])


@inlined
def _gather(row, c, tile, out):
    here, at = ((row + tile.margin) * tile.stride + c + tile.margin) * _KNOWN, 0
    for i in range(len(tile.offsets)):
        tap = here + tile.offsets[i]
        for plane in range(_KNOWN):
            out[at + plane] = tile.known[tap + plane]
        at += _KNOWN
    base, red = tile.bases[0, row], tile.canvas.pixels[0]
    for i in range(len(_NEIGHBOURS)):
        near = np.int32(red[row + TOP + _NEIGHBOURS[i, 0], c + LEFT + _NEIGHBOURS[i, 1]])
        out[at + i] = _code(near * _UNIT - base, tile.codes)
    out[at + len(_NEIGHBOURS)] = base // _UNIT


@inlined
def _code(residual, codes):
    return codes[min(max((residual >> _CODE_BITS) + _CODE_RANGE, 0), 2 * _CODE_RANGE - 1)]


@inlined
def record(row, c, tile):
    """Takes over a position whose three planes are drawn."""
    at = ((row + tile.margin) * tile.stride + c + tile.margin) * _KNOWN
    for k in range(3):
        x = tile.canvas.pixels[k, row + TOP, c + LEFT]
        tile.known[at + k] = x
        tile.known[at + 3 + k] = _code(np.int32(x) * _UNIT - tile.bases[k, row], tile.codes)
    tile.known[at + 6] = _INSIDE


@inlined
def fit(level, tile, rows=ALL):
    """Fits the predictor of green and blue to the levels before; what `prepare` does touches none of it."""
    for k in range(1, 3):
        least_squares.refit(level, tile.canvas.size, k, tile.predictor.fits, rows)
        least_squares.foresee(level, k, tile.canvas, tile.predictor, rows)


@kernel
def take_over(level, picture, tile):
    """Takes over a level of a known picture, uint8 [3, H, W], that is prepared."""
    canvas, own = tile.canvas, tile.predictor
    fit(level, tile)
    first, end = rows_of(level, canvas.size)
    for row in range(first, end):
        for k in range(3):
            tile.bases[k, row] = least_squares.take_over(level, k, row, picture, canvas, own)
        record(row, level - 2 * row, tile)


@kernel
def _read(picture, tile, inputs):
    """The network's inputs at every position of a known picture, uint8 [H, W, F]."""
    size = tile.canvas.size
    for level in range(size.width + 2 * (size.height - 1)):
        first, end = rows_of(level, size)
        prepare(level, tile)
        for row in range(first, end):
            for i in range(inputs.shape[2]):
                inputs[row, level - 2 * row, i] = tile.inputs[row - first, i]
        take_over(level, picture, tile)
