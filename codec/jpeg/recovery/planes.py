"""A plane's table and its coefficients from the ranges of its samples."""

from __future__ import annotations

import numpy as np

from codec.jpeg.recovery.blocks import FORWARD, decoded, in_blocks, rounded, settle, transformed
from codec.jpeg.recovery.interpolation import filled
from codec.jpeg.recovery.tables import Table, plausible, standard_tables

_BUSY, _LEAST_BLOCKS, _MOST_BLOCKS = 8, 64, 1500  # coefficients of blocks that tell steps, and how many of these
_SOME = 1000  # blocks that tables are tried on
_LEAST_SHARE = 0.05  # of these that have to be reproduced
_WRONG = 4  # bits that a wrong pixel costs
ROUNDING = 0.3  # standard deviation of what rounding adds to frequencies, a little more than that of samples


def luma_table(low: np.ndarray, high: np.ndarray) -> Table | None:
    """The table by the blocks that are known whole; None if hardly any of them is a block of such coefficients.

    low, high: int16 [H, W].
    """
    least, most = in_blocks(low), in_blocks(high)
    clean = least[((least == most) & (least > 0) & (most < 255)).all(1)]
    if len(clean) == 0:
        return None
    frequencies = transformed(clean)
    tables = plausible(frequencies[busiest(frequencies)], np.full(64, ROUNDING), standard_tables(False))
    some = slice(None, None, max(len(clean) // _SOME, 1))
    tries = [_tried(clean[some], frequencies[some], steps) for steps, _ in tables]
    (_, share), table = min(zip(tries, tables), key=lambda tried: tried[0][0] + price(tried[1]))
    return table if share >= _LEAST_SHARE else None


def _tried(blocks: np.ndarray, frequencies: np.ndarray, steps: np.ndarray) -> tuple[float, float]:
    """What coefficients by these steps cost, and the share of busy blocks that they make exactly."""
    coefficients, made = rounded(frequencies, steps), np.empty(blocks.shape, np.int16)
    decoded(coefficients, steps, made, np.zeros(64, np.int64))
    busy = busiest(frequencies)
    return cost(coefficients, made == blocks), float((made == blocks)[busy].all(1).mean())


def busiest(frequencies: np.ndarray) -> np.ndarray:
    """Numbers of blocks that have many coefficients, so that what rounding adds to these is small, the most first."""
    busy = (abs(frequencies) > 1).sum(1)
    return np.argsort(-busy, kind="stable")[: min(max((busy >= _BUSY).sum(), _LEAST_BLOCKS), _MOST_BLOCKS)]


def coefficients_within(low: np.ndarray, high: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Coefficients of a plane whose samples lie within ranges, int16 [H, W], as far as they are found."""
    start = filled(low, low == high).clip(low, high)
    return settled(in_blocks(low), in_blocks(high), in_blocks(start), steps)


def settled(low: np.ndarray, high: np.ndarray, start: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Coefficients of blocks whose samples lie within ranges, int16 [n, 64], found from some samples on."""
    coefficients, wrong = rounded(transformed(start), steps), np.zeros(len(low), np.int64)
    state = np.zeros((3, 64)), np.zeros((3, 64), np.int64)
    settle(coefficients, low, high, steps, wrong, FORWARD, state)
    return coefficients


def cost(coefficients: np.ndarray, right: np.ndarray) -> float:
    """About how many bits coefficients take, and pixels that they do not make right."""
    return float(2 * np.log2(1 + abs(coefficients.astype(np.float64))).sum() + _WRONG * (~right).sum())


def price(table: Table, likely: int = 0) -> int:
    """Bits that it takes to tell a table, a quality being likely."""
    return 512 if not table[1] else 128 if likely and table[1] != likely else 0
