"""Pictures by the paper's networks: small tiles in one of the bundle's orders, all of one size in lockstep.

A picture, or a tile of a large one, is cut into squares of the network's size, smaller ones at its right and lower
edge. Those of one size are coded together, level by level; one coder takes them all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from runtime.pixelcnn import PixelCnnLayout, PixelCnnModel

from .bits import Bits
from .coder import Encoder
from .decisions import Coder, channel_values
from .errors import UnsupportedImage
from .mixture import Mixture

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


def check(model: PixelCnnModel, planes: np.ndarray) -> None:
    """Raises UnsupportedImage for planes, uint8 [C, H, W], that the network is not for."""
    layout, name = model.layout, model.manifest.name
    kinds = {(3, False): "colour pictures", (1, False): "grey pictures", (1, True): "pictures of black and white alone"}
    fits = len(planes) == layout.channels and not (layout.binary and ((planes != 0) & (planes != 255)).any())
    if not fits:
        raise UnsupportedImage(f"model {name} codes {kinds[layout.channels, layout.binary]}, which this is not")


def code_squares(
    model: PixelCnnModel,
    coder: Coder,
    known: np.ndarray,
    order: int,
    report: Callable[[float], None] = lambda pixels: None,
    costs: np.ndarray | None = None,
) -> tuple[float, np.ndarray]:
    """Runs a picture, uint8 [C, H, W], through a coder: bits, and its pixels; `known` and `costs` as in code_tile.

    An Encoder's pixels are there from the beginning, so that the network sees all of them in one pass.
    """
    channels, height, width = known.shape
    known, pixels, bits = known.reshape(channels, -1), np.empty((channels, height * width), np.uint8), 0.0
    for group in squares(height, width, model.layout):
        bits += _code_group(model, coder, known, group, order, width, pixels, report, costs)
    return bits, pixels.reshape(channels, height, width)


def _code_group(model, coder, known, group, order, width, pixels, report, costs) -> float:
    steps = model.schedule(order, group.height, group.width)
    count, channels = len(group.rows), len(known)
    if isinstance(coder, Encoder):
        levels = known[:, group.flat(np.arange(group.height * group.width), width)]
        shape = channels, count, group.height, group.width
        tiles = model.known_tiles(steps, levels.reshape(shape).transpose(1, 0, 2, 3), order)
    else:
        tiles = model.tiles(steps, count)
    rows = count * int(np.diff(steps.starts).max())
    mixture = Bits(rows, model.tables) if model.layout.binary else Mixture(rows, model.layout.components, model.tables)
    bases, fixed = np.full(rows, _BASE, np.int32), np.full(rows, -1, np.int16)
    for level in range(steps.steps):
        at = group.flat(steps.positions[steps.starts[level] : steps.starts[level + 1]].astype(np.int64), width)
        n = len(at)
        mixture.weigh(tiles.step(level))
        for k in range(channels):
            before = None if costs is None else mixture.bits.copy()
            pixels[k, at] = channel_values(coder, mixture, k, bases[:n], known[k, at], fixed[:n])
            if costs is not None:
                costs[k, at] = (mixture.bits - before)[:n]
        tiles.put(level, pixels[:, at].T)
        report(n)
    return float(mixture.bits.sum())
