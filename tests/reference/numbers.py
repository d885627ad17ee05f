"""Section 1: integers, float32, and the tables that all models share, made from their formulas."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Hashable

import numpy as np


def clip(v, a, b):
    return a if v < a else b if v > b else v


def f32(value) -> np.float32:
    """Operations on these are single ones of IEEE 754, rounded to nearest."""
    return np.float32(value)


def reached(thresholds, n: int) -> int:
    """How many are <= n; they rise."""
    return bisect_right(thresholds, n)


def passed(limits, n: int) -> int:
    """How many are below n; they rise."""
    return bisect_left(limits, n)


_SQUASH = [round(65536 / (1 + math.exp(-x / 256))) for x in range(-2047, 2048)]
_STRETCH = [clip(round(256 * math.log((p + 0.5) / (4095.5 - p))), -2047, 2047) for p in range(4096)]
_ERROR_CLASS = [clip(round(2 * math.log2(i / 16 + 0.15) + 6), 0, 23) for i in range(2048)]
_LOG_SCALE = [round(32 * math.log((i / 16 + 0.15) / (2 * math.log(2)))) for i in range(2048)]
_COST = [round(-32 * math.log2((p + 0.5) / 4096)) for p in range(4096)]

# Residual histograms at first: mean absolute errors, and a bin's width in quarters, of the classes of errors and costs.
_EXPECTED = (
    (0.18, 0.31, 0.44, 0.62, 0.87, 1.25, 1.75, 2.5, 3.5, 5, 7, 10, 14, 20, 28, 40),
    (0.23, 0.30, 0.40, 0.53, 0.70, 0.92, 1.22, 1.61, 2.12, 2.80, 3.69, 5.60, 7.92, 11.2, 22.4, 22.4),
)
_WIDTHS = [1] * 8 + [2] * 2 + [4] * 6, [1] * 10 + [2] * 2 + [4] * 4


def _first_counts(error: float, width: int) -> list[int]:
    def share(bin: int) -> float:
        x = (bin - 64) * width / 4 / (error / (2 * math.log(2)))
        return 0.85 / (1 + math.exp(-x)) + 0.15 / (1 + math.exp(-x / 3))

    return [round(384 * (share(bin) - share(0)) / (share(128) - share(0))) for bin in range(129)]


_FIRST_COUNTS = [list(map(_first_counts, *kind)) for kind in zip(_EXPECTED, _WIDTHS)]


def first_counts(by_cost: bool, kind: int) -> list[int]:
    """Below the 129 ends of a histogram's bins before it has seen anything."""
    return _FIRST_COUNTS[by_cost][kind]


def cost(p: int) -> int:
    """What a decision of that probability, out of 2^12, costs in 1/32 bit."""
    return _COST[p]


def squash(x: int) -> int:
    """The probability of a logit, out of 2^16."""
    return _SQUASH[x + 2047]


def stretch(p: int) -> int:
    """The logit of a probability out of 2^12."""
    return _STRETCH[p]


def error_class(near: int) -> int:
    """Of an error in 1/64 grey level."""
    return _ERROR_CLASS[min(near >> 2, 2047)]


def log_scale(nearby: int) -> int:
    """Of eight times a mean error in 1/64 grey level."""
    return _LOG_SCALE[min(nearby >> 5, 2047)]


class Table(dict):
    """What belongs to a context: start(context) until it is first changed."""

    def __init__(self, start: Callable[[Hashable], object]):
        super().__init__()
        self.start = start

    def __missing__(self, context: Hashable):
        self[context] = self.start(context)
        return self[context]
