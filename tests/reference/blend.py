"""Section 8.2: three least squares and the mixture's mean, blended, and a fit that corrects the blend."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tests.reference.least_squares import Canvas, Fit, Predictor, Settings, in_units
from tests.reference.numbers import f32

FAST = Settings(((6, 2, 2), (6, 4, 2), (6, 4, 3)), 0.86, 0.75, (16, 3, 3))
SLOW = Settings(((16, 6, 6), (14, 7, 6), (14, 7, 7)), 0.998, 0.97, (8, 8, 8), interval=8)
CORRECTION = 0.96, 0.9, 8  # decay, row decay, ridge
UNKNOWN = 256  # an error, 1/64 grey level


class Errors(dict):
    """64 x - m of a kind of prediction m, or what else is looked at like that, by (k, r, c)."""

    def __init__(self, unknown=UNKNOWN):
        super().__init__()
        self.unknown = unknown

    def at(self, k: int, r: int, c: int):
        return self.get((k, r, c), self.unknown)

    def sum(self, k: int, r: int, c: int, width: int):
        """Of eight absolute values around a position; right of a row stands its last."""

        def e(dr: int, dc: int):
            return abs(self.at(k, r + dr, min(c + dc, width - 1)))

        return 2 * e(0, -1) + 2 * e(-1, 0) + e(-1, 1) + e(-1, -1) + e(0, -2) + e(-2, 0)

    def near(self, k: int, r: int, c: int, width: int) -> int:
        """Their mean."""
        return self.sum(k, r, c, width) >> 3


def mean(members: list[int], near: list[int]) -> np.float32:
    """B of m_1 .. m_4, weighted by how small their errors nearby are."""
    total = found = f32(0)
    for m, error in zip(members, near):
        h = f32(error) / f32(64)
        g = h * h + f32(0.05)
        g = f32(1) / (g * g)
        total, found = total + g, found + g * f32(m)
    return found / total


@dataclass
class Prediction:
    """members: m_0, the blend as its fit corrects it, then m_1 .. m_4, that it is made of, in 1/64 grey level."""

    members: list[int]
    blended: np.float32  # 1/64 grey level
    features: np.ndarray


class Blend:
    """Level by level: `refit`, then for each position and plane `predict` and `learn`."""

    def __init__(self, canvas: Canvas, planes: int):
        """planes: how many of them are coded."""
        self.canvas, self.planes = canvas, planes
        self.fast, self.slow = Predictor(canvas, FAST), Predictor(canvas, SLOW)
        self.fits = [Fit(k, (canvas.height, canvas.width), 10, *CORRECTION) for k in range(planes)]
        self.errors = [Errors() for _ in range(5)]  # of each member
        self.blended = {}  # (k, r, c): 64 x - y

    def refit(self, level: int) -> None:
        self.fast.refit(level, self.planes)
        self.slow.refit(level, self.planes)
        for fit in self.fits:
            fit.refit(level)

    def near(self, member: int, k: int, r: int, c: int) -> int:
        return self.errors[member].near(k, r, c, self.canvas.width)

    def predict(self, k: int, r: int, c: int, base: int, expected: int) -> Prediction:
        members = [base, self.fast.predict(k, r, c), self.slow.predict(k, r, c), expected]
        blended = mean(members, [self.near(i, k, r, c) for i in range(1, 5)])
        features = [(f32(m) - blended) / f32(64) for m in members]
        features = np.array([*features, *(f32(error) / f32(64) for error in self.around(k, r, c))])
        corrected = in_units(self.fits[k].plus_products(blended / f32(64), r, features))
        return Prediction([corrected, *members], blended, features)

    def around(self, k: int, r: int, c: int) -> list[int]:
        """The blend's errors at neighbours, then in planes k + 1, k + 2 modulo 3: here where known, else left."""

        def e(plane: int, dr: int, dc: int) -> int:
            return self.blended.get((plane, r + dr, min(c + dc, self.canvas.width - 1)), 0)

        others = [e(p, 0, 0 if p < k else -1) for p in ((k + 1) % 3, (k + 2) % 3)]
        return [e(k, 0, -1), e(k, -1, 0), e(k, -1, 1), e(k, -1, -1), *others]

    def learn(self, k: int, r: int, c: int, found: Prediction) -> None:
        x = self.canvas.x[k, r, c]
        for errors, m in zip(self.errors, found.members):
            errors[k, r, c] = 64 * x - m
        self.blended[k, r, c] = 64 * x - math.floor(found.blended + f32(0.5))
        self.fits[k].learn(r, c, x, found.members[0], found.features, found.blended / f32(64))
        self.fast.learn(k, r, c)
        self.slow.learn(k, r, c)
