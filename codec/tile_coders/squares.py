"""Pictures by the paper's networks: small tiles in one of the bundle's orders, all of one size in lockstep.

A picture, or a tile of a large one, is cut into squares of the network's size, smaller ones at its right and lower
edge. Those of one size are coded together, level by level; one coder takes them all.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from codec.entropy import binarisation
from codec.entropy.binarisation import first_node
from codec.entropy.range_coder import Coder, code, spend_on
from codec.errors import DamagedFile, UnknownOrder, UnsupportedImage
from codec.format.method import AnyMethod, InOrder
from codec.modelling.mixture import Tables, explain, odds, place, tables_of, weigh
from codec.modelling.reconstruction import NONE
from codec.tile_coders import AUTO, How, Report
from codec.tile_coders.photo import code_plain
from runtime import rules
from runtime.kernels import kernel
from runtime.pixelcnn import Ahead, Lockstep, PixelCnnLayout, PixelCnnModel

_BASE = 8160  # 127.5 grey levels, to which all means are relative
_MOST = 256  # squares in lockstep: their features are kept at once


@dataclass(frozen=True)
class Squares:
    """Squares of one size: rows and columns of their first pixels, int64 [T]."""

    height: int
    width: int
    rows: np.ndarray
    cols: np.ndarray

    def flat(self, positions: np.ndarray, width: int) -> np.ndarray:
        """Where positions of each square are in a picture of that width, row-major: int64 [T * n], square by square."""
        inside = positions // self.width * width + positions % self.width
        return (self.rows[:, None] * width + self.cols[:, None] + inside).reshape(-1)


def squares(height: int, width: int, layout: PixelCnnLayout, most: int = _MOST) -> list[Squares]:
    """How a picture is cut: by size, whole ones first; at most `most` in lockstep."""
    groups: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for row in range(0, height, layout.height):
        for col in range(0, width, layout.width):
            size = min(layout.height, height - row), min(layout.width, width - col)
            groups.setdefault(size, []).append((row, col))
    found = []
    for size, places in groups.items():
        for start in range(0, len(places), most):
            found.append(Squares(*size, *np.array(places[start : start + most]).T))
    return found


class SquareCoder:
    """The TileCoder of the paper's networks."""

    general = False

    def __init__(self, model: PixelCnnModel) -> None:
        self._model = model

    def check(self, planes: np.ndarray) -> None:
        layout, name = self._model.layout, self._model.manifest.name
        kinds = {(3, False): "colour pictures", (1, False): "grey pictures", (1, True): "black and white pictures"}
        fits = len(planes) == layout.channels and not (layout.binary and ((planes != 0) & (planes != 255)).any())
        if not fits:
            raise UnsupportedImage(f"model {name} codes {kinds[layout.channels, layout.binary]}, which this is not")

    def variant(self, planes: np.ndarray, effort: str, order: str) -> int:
        """Always 0: the orders are the bundle's."""
        self._numbers(order)
        return 0

    def candidates(self, tile: np.ndarray, effort: str, order: str, made: np.ndarray = NONE) -> list[AnyMethod]:
        return [InOrder(number) for number in self._numbers(order)]

    def _numbers(self, order: str) -> list[int]:
        orders = self._model.layout.orders
        if order == AUTO:
            return list(range(len(orders)))
        name = order if ":" in order else f"{order}:0"
        if name not in orders:
            raise UnknownOrder(f"model {self._model.manifest.name} has no order {order!r}, but {', '.join(orders)}")
        return [orders.index(name)]

    def for_masks(self, effort: str) -> list[AnyMethod]:
        """None: the network knows its own pictures alone."""
        return []

    def code(self, coder: Coder, pixels: np.ndarray, method: AnyMethod, how: How) -> None:
        """An Encoder's pixels are there from the beginning, so the network sees all of them in one pass."""
        layout = self._model.layout
        if not isinstance(method, InOrder) or method.order >= len(layout.orders):
            raise DamagedFile(f"a tile is coded by {method}, which the model has not: get the file again")
        channels, height, width = pixels.shape
        if channels != layout.channels:
            raise DamagedFile(f"a picture of {channels} channels by a model of {layout.channels}: get the file again")
        flat = pixels.reshape(channels, -1)
        for group in squares(height, width, layout):
            self._code_group(coder, flat, group, (method.order, width), how.report)

    def _code_group(
        self, coder: Coder, flat: np.ndarray, group: Squares, where: tuple[int, int], report: Report
    ) -> None:
        model, (order, width) = self._model, where
        steps, channels = model.schedule(order, group.height, group.width), len(flat)
        tiles: Ahead | Lockstep
        if coder.coding.encodes:
            levels = flat[:, group.flat(np.arange(group.height * group.width), width)]
            shape = channels, len(group.rows), group.height, group.width
            tiles = model.known_tiles(steps, levels.reshape(shape).transpose(1, 0, 2, 3), order)
        else:
            tiles = model.tiles(steps, len(group.rows))
        state = Square(
            model.layout.binary,
            flat,
            tables_of(model.tables),
            np.zeros((1 if model.layout.binary else model.layout.components, 3), np.int64),
            np.zeros(3, np.int64),
        )
        for level in range(steps.steps):
            at = group.flat(steps.positions[steps.starts[level] : steps.starts[level + 1]].astype(np.int64), width)
            parameters = tiles.step(level)
            coder.reserve(len(at) * channels * binarisation.MOST_DECISIONS)
            code_level(at, parameters, state, coder.coding)
            coder.check()
            tiles.put(level, flat[:, at].T)
            report(len(at))


class Square(NamedTuple):
    """All that the kernels work on. pixels: uint8 [C, H * W], the true ones when encoding, else to be filled."""

    binary: bool
    pixels: np.ndarray
    tables: Tables
    mixture: np.ndarray  # int64 [K, 3]
    residuals: np.ndarray  # int64 [3]: value - base of a position's planes, in 1/64 grey level


@kernel
def code_level(at, parameters, square, coding):
    """Codes the positions `at` of the pixels, int64 [n], whose parameters are int32 [n, P]."""
    channels, logistic = len(square.pixels), square.tables.logistic
    for i in range(len(at)):
        if square.binary:
            spend_on(coding, at[i])
            white = code(coding, odds(parameters[i, 0], logistic), np.int64(square.pixels[0, at[i]] > 127))
            square.pixels[0, at[i]] = 255 * white
            continue
        weigh(parameters[i], square.tables.exponential, square.mixture)
        for k in range(channels):
            spend_on(coding, at[i] * channels + k)
            mean, spread = place(k, parameters[i], _BASE, square.residuals, square.tables, square.mixture)
            known = np.int64(square.pixels[k, at[i]])
            value = code_plain(first_node(mean, spread), square.mixture, logistic, known, coding)
            square.pixels[k, at[i]] = value
            square.residuals[k] = value * rules.MEAN_UNIT - _BASE
            if k + 1 < channels:
                explain(value, logistic, square.mixture)
