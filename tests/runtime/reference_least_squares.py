"""The online least squares again, slowly: runtime/least_squares.py and lanes.py, one row of the picture after another.

Every operation is NumPy's on float32, rounded by itself. Where a line stands for many, as in a matrix, none of them
sees another's result, so their order is free; all else is done in the order that is written. The kernels must give the
same integers, and the same weights to the last bit.
"""

from __future__ import annotations

import numpy as np

from runtime.least_squares import Settings

OWN = [(0, -1), (-1, 0), (-1, 1), (0, -2), (-2, 0), (-1, -2), (-2, 1), (-2, -1), (0, -3), (-2, 2), (-3, 0), (-2, -2)]
OWN += [(-2, 3), (-3, 1), (-1, -3), (-3, -1)]
OTHER = [(0, -1), (-1, 0), (-1, 1), (0, -2), (-2, 0), (-1, -2), (-2, 1)]
OTHERS = ((1, 2), (0, 2), (1, 0))  # the first and the second other plane of each
BLOCK = 8  # rows whose sums are joined at once
UNKNOWN = 256  # error of what is not known, 1/64 grey level


def f32(value) -> np.float32:
    return np.float32(value)


def taps(sizes, k: int) -> list[tuple[int, int, int]]:
    """(plane, row, column) of plane k's features; those of the position itself come last."""
    found = [(k, *offset) for offset in OWN[: sizes[k][0]]]
    here = []
    for plane, count in zip(OTHERS[k], sizes[k][1:]):
        if plane < k:
            here.append((plane, 0, 0))
            count -= 1
        found += [(plane, *offset) for offset in OTHER[:count]]
    return found + here


def rows_of(level: int, height: int, width: int) -> list[int]:
    return [r for r in range(height) if 0 <= level - 2 * r < width]


class Fit:
    """Least squares of one plane: a window of samples for each row, joined row by row, solved at every interval-th
    level, each plane at levels of its own."""

    def __init__(self, k: int, height: int, n: int, decay: float, row_decay: float, ridge: float, interval: int = 1):
        self.n, self.decay, self.ridge, self.interval = n, f32(decay), f32(ridge), interval
        self.phase = k * interval // 3
        powers = [row_decay]
        while len(powers) < BLOCK:
            powers.append(powers[-1] * row_decay)  # in double precision
        self.powers = [f32(power) for power in powers]
        self.sums = np.zeros((-(-height // BLOCK) * BLOCK, n, n + 1), np.float32)  # column n is the target's
        self.weights = np.zeros((height, n), np.float32)
        self.errors = {}  # (r, c): absolute, 1/64 grey level
        self.samples = {}  # r: features and target of the row's last position

    def refit(self, level: int, rows: list[int]) -> None:
        """Before a level, which has these rows."""
        for r in rows:
            c = level - 2 * r
            if c > 0:
                weight = f32(1) / (f32(self.nearby(r, c)) * f32(1 / 512) + f32(0.3))
                sample = self.samples[r]
                self.sums[r] = self.decay * self.sums[r] + np.multiply.outer(weight * sample[:-1], sample)
        if (level + self.phase) % self.interval == 0:
            for r, total in self.joined(max(rows[0] - 1, 0), rows[-1]) if rows else ():
                if r in rows:
                    self.weights[r] = self.solution(total)
        elif rows and level == 2 * rows[-1]:
            self.weights[rows[-1]] = self.weights[rows[-1] - 1]  # the row begins with its neighbour's

    def nearby(self, r: int, c: int) -> int:
        """Eight times the mean absolute error around a position."""

        def e(dr: int, dc: int) -> int:
            return self.errors.get((r + dr, c + dc), UNKNOWN)

        return 2 * (e(0, -1) + e(0, -2) + e(-1, -1)) + e(-1, 0) + e(-1, -2)

    def joined(self, start: int, last: int):
        """(row, sums with those of the rows above from `start` on, each row's decayed once a row)."""
        carry = np.zeros_like(self.sums[0])
        for first in range(start // BLOCK * BLOCK, last + 1, BLOCK):
            x = [self.sums[r] if r >= start else 0 * carry for r in range(first, first + BLOCK)]
            for d in (1, 2, 4):
                x = [x[i] + self.powers[d - 1] * (x[i - d] if i >= d else 0 * carry) for i in range(BLOCK)]
            x = [x[i] + self.powers[i] * carry for i in range(BLOCK)]
            carry = x[-1]
            yield from enumerate(x, first)

    def solution(self, total: np.ndarray) -> np.ndarray:
        """w of (S + ridge I) w = b by elimination without pivots; only the upper half of S counts."""
        n, a = self.n, total.copy()
        with np.errstate(all="ignore"):
            for i in range(n):
                a[i, i] += self.ridge
            for j in range(n):
                factors = a[j, j + 1 : n] * (f32(1) / a[j, j])
                a[j + 1 :, j + 1 :] -= np.multiply.outer(factors, a[j, j + 1 :])
            w = np.zeros(n, np.float32)
            for i in reversed(range(n)):
                rest = a[i, n]
                for m in range(i + 1, n):
                    rest = rest - a[i, m] * w[m]
                w[i] = rest / a[i, i]
        return w

    def put(self, r: int, c: int, x: int, predicted: int, features: list, origin: np.float32) -> None:
        """Takes over the true value of a position whose target is relative to origin."""
        self.errors[r, c] = abs(64 * x - predicted)
        self.samples[r] = np.array([*features, f32(x) - origin], np.float32)


def plus_products(value: np.float32, weights, features) -> np.float32:
    """value + w f + ..., added in this order."""
    with np.errstate(all="ignore"):
        for w, f in zip(weights, features):
            value = value + w * f
    return value


def in_units(value: np.float32) -> int:
    """In 1/64 grey level; what is no number counts as 0."""
    value = value if value > 0 else f32(0)
    value = value if value < 255 else f32(255)
    return int(value * f32(64) + f32(0.5))


class Picture:
    """A picture and what stands around it."""

    def __init__(self, pixels: np.ndarray):
        _, self.height, self.width = pixels.shape
        self.x = pixels.tolist()
        self.references = {}

    def pixel(self, k: int, r: int, c: int) -> int:
        if r < 0:
            return 128
        if c < 0:
            return self.x[k][r - 1][0] if r > 0 else 128
        return self.x[k][r][min(c, self.width - 1)]

    def reference(self, k: int, r: int, c: int) -> np.float32:
        """The mean of four neighbours."""
        if (k, r, c) not in self.references:
            total = self.pixel(k, r, c - 1) + sum(self.pixel(k, r - 1, c + dc) for dc in (-1, 0, 1))
            self.references[k, r, c] = f32(0.25) * f32(total)
        return self.references[k, r, c]

    def relative(self, k: int, r: int, c: int, dr: int = 0, dc: int = 0) -> np.float32:
        return f32(self.pixel(k, r + dr, c + dc)) - self.reference(k, r, c)

    def added(self, k: int, r: int, c: int) -> np.float32:
        """What the planes before say of plane k at the position itself."""
        if k == 0:
            return f32(0)
        red = self.relative(0, r, c)
        return red if k == 1 else f32(0.5) * red + f32(0.5) * self.relative(1, r, c)


def predict(pixels: np.ndarray, settings: Settings, interval: int = 1, weights: dict | None = None) -> np.ndarray:
    """uint8 [3, H, W] -> int16 [3, H, W] in 1/64 grey level; `weights` collects those of every (plane, level)."""
    picture = Picture(pixels)
    height, width = picture.height, picture.width
    told = [taps(settings.sizes, k) for k in range(3)]
    fits = [
        Fit(k, height, len(told[k]), settings.decay, settings.row_decay, settings.ridge[k], interval) for k in range(3)
    ]
    predictions = np.zeros(pixels.shape, np.int16)
    for level in range(width + 2 * (height - 1)):
        rows = rows_of(level, height, width)
        for k, fit in enumerate(fits):
            fit.refit(level, rows)
            if weights is not None:
                weights[k, level] = fit.weights[rows]
            for r in rows:
                c = level - 2 * r
                features = [picture.relative(plane, r, c, dr, dc) for plane, dr, dc in told[k]]
                value = plus_products(picture.reference(k, r, c), fit.weights[r], features) + picture.added(k, r, c)
                predictions[k, r, c] = in_units(value)
                origin = picture.reference(k, r, c) + picture.added(k, r, c)
                fit.put(r, c, picture.x[k][r][c], int(predictions[k, r, c]), features, origin)
    return predictions
