"""Which way round a picture is coded: the variant of the order in which it is likely to be smallest.

What is known of a position lies to its left and above, so a picture, its mirror images and its transpose take different
numbers of bits. The fast online predictor alone foretells which takes fewest, if it sees squares of the picture in all
eight variants (docs/experiments/compression.md). The encoder's choice: a decoder reads it from the file, and takes no
longer.
"""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from codec.modelling.blend import FAST
from runtime.least_squares import UNIT, predict_picture
from runtime.variants import TRANSPOSED, orient

REPEATING = 0.4  # share of pixels like a neighbour from which on exact colours may pay
SIDE, SQUARES = 192, 2  # of the squares, two in a row and in a column, that are probed of a picture
WHOLE = (SQUARES * SIDE) ** 2  # pixels up to which it is probed whole
_FLOOR = 0.3  # grey levels, of the errors expected anywhere


def usual_variant(planes: np.ndarray) -> int:
    """Of planes [C, H, W] the variant in which the longer side lies across, which takes fewer levels."""
    return TRANSPOSED if planes.shape[1] > planes.shape[2] else 0


def best_variant(planes: np.ndarray, threads: int = 1) -> int:
    """The variant to code planes in, uint8 [C, H, W] of 1 or 3 channels.

    The usual one where nothing is better, and where colours repeat, so that predictions matter little.
    """
    usual = usual_variant(planes)
    if repetition(planes) >= REPEATING:
        return usual
    variants = sorted(range(8), key=lambda variant: (variant ^ usual) & TRANSPOSED)
    probed = squares(planes)
    with ThreadPoolExecutor(threads) as pool:
        costs = list(pool.map(lambda variant: sum(_bits(orient(square, variant)) for square in probed), variants))
    return variants[int(np.argmin(costs))]


def squares(planes: np.ndarray) -> list[np.ndarray]:
    """What is probed of planes [C, H, W]: all, or squares evenly apart, SQUARES a row and a column if they fit."""
    _, height, width = planes.shape
    if height * width <= WHOLE:
        return [planes]
    rows, cols = (_starts(length) for length in (height, width))
    return [planes[:, row : row + SIDE, col : col + SIDE] for row in rows for col in cols]


def _starts(length: int) -> list[int]:
    count = min(max(length // SIDE, 1), SQUARES)
    return [max(0, (2 * i + 1) * length // (2 * count) - SIDE // 2) for i in range(count)]


def _bits(square: np.ndarray) -> float:
    """About what a square takes: exponential errors, as wide as they are nearby."""
    colours = np.ascontiguousarray(np.broadcast_to(square, (3, *square.shape[1:])))
    errors = np.abs(colours.astype(np.int32) * UNIT - predict_picture(colours, FAST))[: len(square)] / UNIT
    around = np.pad(errors, ((0, 0), (1, 1), (1, 1)), mode="edge")
    rows = around[:, :-2] + around[:, 1:-1] + around[:, 2:]
    spread = (rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]) / 9 + _FLOOR
    return float((np.log2(spread) + errors / spread * np.log2(math.e)).sum())


def repetition(tile: np.ndarray) -> float:
    """Share of a tile's pixels, uint8 [C, H, W], that have the colour of their left or upper neighbour."""
    same = tile[0] != tile[0]  # nothing yet
    same[:, 1:] = (tile[:, :, 1:] == tile[:, :, :-1]).all(0)
    same[1:] |= (tile[:, 1:] == tile[:, :-1]).all(0)
    return float(same.mean())
