"""Tiles of 9 to 16 bits, without a network: level by level along the wavefront, as in photo.py.

`refit` fits every predictor to the levels before; with a second thread it runs ahead of `code_level`, by parts of a
level (parts.py), which codes one position after the other to its end and learns from it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from codec.entropy.range_coder import Coder, spend_on
from codec.modelling.deep.ladder import MOST_DECISIONS
from codec.modelling.deep.value import Deep, code_value, deep, refit_deep
from codec.tile_coders import Report
from codec.tile_coders.parts import Part, Parts
from runtime.kept import Kept
from runtime.kernels import kernel
from runtime.least_squares import Canvas, canvas, draw, refer, rows_of


class Tile(NamedTuple):
    """What a tile's kernels work on. pixels: uint16 [C, H, W], the true ones when encoding, else to be filled."""

    pixels: np.ndarray
    canvas: Canvas
    state: Deep


def code_deep(coder: Coder, planes: np.ndarray, depth: int, threads: int, report: Report) -> None:
    """Runs a tile through a coder: an Encoder is told the planes, a Decoder's decisions are written into them.

    planes: uint16 [C, H, W] in coding order, C 1 or 3, values below 2^depth, depth 9 to 16. threads: how many may be
    used. Raises DamagedFile for what no encoder can have written.
    """
    count, height, width = planes.shape
    known = canvas(height, width, count, (1 << depth) - 1)
    tile = Kept(Tile(planes, known, deep(known, depth)))
    parts = Parts(known.size, threads)

    def foresee(number: int, part: Part) -> None:
        refit(part.level, tile, part.rows)

    for part, _ in parts.ahead(foresee):
        coder.reserve(part.positions * count * MOST_DECISIONS)
        code_level(part.level, tile, coder.coding, part.rows)
        coder.check()
        report(part.positions)


@kernel
def refit(level, tile, rows):
    """Fits every predictor to the levels before, and foresees what it can of their predictions."""
    refer(level, tile.canvas, rows)
    for k in range(len(tile.pixels)):
        refit_deep(level, k, tile.canvas, tile.state, rows)


@kernel
def code_level(level, tile, coding, rows):
    """Codes every position of a level in some rows."""
    first, end = rows_of(level, tile.canvas.size, rows)
    planes, width = len(tile.pixels), tile.canvas.size.width
    for row in range(first, end):
        c = level - 2 * row
        for k in range(planes):
            spend_on(coding, (row * width + c) * planes + k)
            value = code_value(level, k, row, np.int64(tile.pixels[k, row, c]), tile.canvas, (coding, tile.state))
            tile.pixels[k, row, c] = value
            draw(k, row, c, value, tile.canvas)
