"""Section 1: integers, float32, and the four tables that all models share, made from their formulas."""

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
