"""Section 5: least squares, one row of the tile after another.

Every operation is NumPy's on float32, rounded by itself. Where a line stands for many, as in a matrix, none of them
sees another's result, so their order is free; all else is done in the order that is written.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate
from operator import mul

import numpy as np

from tests.reference.numbers import f32

A = [(0, -1), (-1, 0), (-1, 1), (0, -2), (-2, 0), (-1, -2), (-2, 1), (-2, -1), (0, -3), (-2, 2), (-3, 0), (-2, -2)]
A += [(-2, 3), (-3, 1), (-1, -3), (-3, -1)]
A += [(0, -4), (-3, 2), (-2, -3), (-3, 3), (-3, -2), (-4, 0), (-3, 4), (-1, -4)]  # only for more than 8 bits
B = [(0, -1), (-1, 0), (-1, 1), (0, -2), (-2, 0), (-1, -2), (-2, 1)]
B += [(-2, -1), (-2, 2), (-1, -3)]  # only for more than 8 bits
OTHERS = ((1, 2), (0, 2), (1, 0))  # the first and the second other plane of each
BLOCK = 8  # rows whose sums are joined at once
UNKNOWN = 256  # error of what is not known, 1/64 grey level


def taps(sizes, k: int) -> list[tuple[int, int, int]]:
    """(plane, row, column) of plane k's features; those of the position itself come last."""
    found = [(k, *offset) for offset in A[: sizes[k][0]]]
    here = []
    for plane, count in zip(OTHERS[k], sizes[k][1:]):
        if plane < k:
            here.append((plane, 0, 0))
            count -= 1
        found += [(plane, *offset) for offset in B[:count]]
    return found + here


def rows_of(level: int, height: int, width: int) -> list[int]:
    return [r for r in range(height) if 0 <= level - 2 * r < width]


class Canvas:
    """The values of a tile that are known, x[k, r, c], 0 to `white`, and what stands around them."""

    def __init__(self, height: int, width: int, planes: int = 3, white: int = 255):
        self.height, self.width, self.planes, self.white, self.x = height, width, planes, white, {}

    def pixel(self, k: int, r: int, c: int) -> int:
        if r < 0:
            return (self.white + 1) // 2
        if c < 0:
            return self.pixel(k, r - 1, 0)
        return self.x[k, r, min(c, self.width - 1)]

    def reference(self, k: int, r: int, c: int) -> np.float32:
        """The mean of four neighbours."""
        return f32(self.pixel(k, r, c - 1) + sum(self.pixel(k, r - 1, c + dc) for dc in (-1, 0, 1))) / f32(4)

    def added(self, k: int, r: int, c: int) -> np.float32:
        """What the planes before say of plane k at the position itself."""
        above = [f32(self.x[p, r, c]) - self.reference(p, r, c) for p in range(k)]
        return (f32(0), *above)[k] if k < 2 else f32(0.5) * above[0] + f32(0.5) * above[1]


class Fit:
    """Least squares of one plane: a window of samples for each row, joined row by row, solved at every interval-th
    level, each plane at levels of its own."""

    squared = False  # whether a sample's weight is the square of what it is otherwise

    def __init__(
        self, k: int, size: tuple[int, int], n: int, decay: float, row_decay: float, ridge: float, interval: int = 1
    ):
        (self.height, self.width), self.phase = size, k * interval // 3
        self.n, self.decay, self.ridge, self.interval = n, f32(decay), f32(ridge), interval
        self.powers = [f32(power) for power in accumulate([row_decay] * BLOCK, mul)]  # of float64, then rounded
        self.sums = np.zeros((-(-self.height // BLOCK) * BLOCK, n, n + 1), np.float32)  # column n is the target's
        self.weights = np.zeros((self.height, n), np.float32)
        self.errors = {}  # (r, c): absolute, 1/64 grey level
        self.samples = {}  # r: features and target of the row's last position

    def refit(self, level: int) -> None:
        rows = rows_of(level, self.height, self.width)
        for r in rows:
            c = level - 2 * r
            if c > 0:
                expected = f32(self.nearby(r, c)) / f32(512) + f32(0.3)
                weight = f32(1) / (expected * expected if self.squared else expected)
                sample = self.samples[r]
                self.sums[r] = self.decay * self.sums[r] + np.multiply.outer(weight * sample[:-1], sample)
        if (level + self.phase) % self.interval == 0 and rows:
            totals = dict(self.joined(max(rows[0] - 1, 0), rows[-1]))
            self.weights[rows] = self.solutions(np.array([totals[r] for r in rows]))
        elif level % 2 == 0 and level // 2 < self.height:
            self.weights[level // 2] = self.weights[level // 2 - 1]  # the row begins with its neighbour's

    def nearby(self, r: int, c: int) -> int:
        """E: eight times the mean absolute error around a position."""

        def e(dr: int, dc: int) -> int:
            return self.errors.get((r + dr, c + dc), UNKNOWN)

        return 2 * (e(0, -1) + e(0, -2) + e(-1, -1)) + e(-1, 0) + e(-1, -2)

    def joined(self, start: int, last: int):
        """(row, sums with those of the rows above from `start` on, each row's decayed once a row)."""
        carry = np.zeros_like(self.sums[0])
        for first in range(start // BLOCK * BLOCK, last + 1, BLOCK):
            y = self.sums[first : first + BLOCK].copy()
            y[: max(start - first, 0)] = 0
            for m in (1, 2, 4):
                y = y + self.powers[m - 1] * np.concatenate([np.zeros_like(y[:m]), y[:-m]])
            y = y + np.reshape(self.powers, (-1, 1, 1)) * carry
            carry = y[-1]
            yield from enumerate(y, first)

    def solutions(self, a: np.ndarray) -> np.ndarray:
        """w of (S + ridge I) w = S[:, n] by elimination without pivoting, for each of several S, which it overwrites;
        only the upper half of one counts."""
        n, w = self.n, np.zeros((len(a), self.n), np.float32)
        with np.errstate(all="ignore"):
            for i in range(n):
                a[:, i, i] += self.ridge
            for j in range(n):
                factors = a[:, j, j + 1 : n] * (f32(1) / a[:, j, j])[:, None]
                a[:, j + 1 :, j + 1 :] -= factors[:, :, None] * a[:, j, None, j + 1 :]
            for i in reversed(range(n)):
                u = a[:, i, n]
                for m in range(i + 1, n):
                    u = u - a[:, i, m] * w[:, m]
                w[:, i] = u / a[:, i, i]
        return w

    def plus_products(self, value: np.float32, r: int, features: np.ndarray) -> np.float32:
        """value + w f + ..., added in this order."""
        with np.errstate(all="ignore"):
            for product in self.weights[r] * features:
                value = value + product
        return value

    def learn(self, r: int, c: int, x: int, base: int, features: np.ndarray, origin: np.float32) -> None:
        """Takes over the true value of a position whose target is relative to origin."""
        self.errors[r, c] = abs(64 * x - base)
        self.samples[r] = np.array([*features, f32(x) - origin], np.float32)


def in_units(value: np.float32, white: int = 255) -> int:
    """In 1/64 grey level; what is no number counts as 0."""
    value = value if value > 0 else f32(0)
    value = value if value < white else f32(white)
    return math.floor(f32(64) * value + f32(0.5))


@dataclass(frozen=True)
class Settings:
    """Of a predictor: for each plane three sizes and a ridge."""

    sizes: tuple
    decay: float
    row_decay: float
    ridge: tuple
    interval: int = 1


class Predictor:
    """Bases of the planes, and what they are learned from."""

    def __init__(self, canvas: Canvas, settings: Settings):
        self.canvas, size = canvas, (canvas.height, canvas.width)
        self.taps = [taps(settings.sizes, k) for k in range(canvas.planes)]
        rates = settings.decay, settings.row_decay
        self.fits = [
            Fit(k, size, len(self.taps[k]), *rates, settings.ridge[k], settings.interval) for k in range(canvas.planes)
        ]
        self.last = {}  # k: base, features and origin of the position at hand

    def refit(self, level: int, planes: int = 3) -> None:
        for fit in self.fits[:planes]:
            fit.refit(level)

    def predict(self, k: int, r: int, c: int) -> int:
        reference = np.array([self.canvas.reference(p, r, c) for p in range(self.canvas.planes)])
        pixels = [self.canvas.pixel(p, r + dr, c + dc) for p, dr, dc in self.taps[k]]
        features = np.array(pixels, np.float32) - reference[[p for p, *_ in self.taps[k]]]
        added = self.canvas.added(k, r, c)
        value = self.fits[k].plus_products(reference[k], r, features)
        base = in_units(value + added if k > 0 else value, self.canvas.white)
        self.last[k] = base, features, reference[k] + added
        return base

    def learn(self, k: int, r: int, c: int) -> None:
        self.fits[k].learn(r, c, self.canvas.x[k, r, c], *self.last[k])
