"""The stack again, slowly: docs/format.md, section Stack, one number at a time, in Python's floats (IEEE doubles).

Nothing in it depends on probabilities: it is computed from the values, the bases and the network's means.
"""
import math
from dataclasses import dataclass

import numpy as np

from tests.runtime import reference_predictor
from tests.runtime.reference_predictor import FAST, SLOW, Fit, rows_of

INTERVAL = 8                                # of SLOW
RATES = 0.96, 0.9, 8.0                      # decay, row decay, ridge


def nearby(errors: dict, k, r: int, c: int, width: int) -> int:
    """(2 W + 2 N + NE + NW + WW + NN) // 8 of absolute errors: 256 where unknown; right of a row stands its last."""
    def e(dr, dc):
        return abs(errors.get((k, r + dr, min(c + dc, width - 1)), 256))

    return (2 * e(0, -1) + 2 * e(-1, 0) + e(-1, 1) + e(-1, -1) + e(0, -2) + e(-2, 0)) >> 3


@dataclass
class Prediction:
    """members: the stack's, then the four it is made of, in 1/64 grey level."""

    members: list[int]
    blend: float
    features: list[float]


class Stack:
    """`predict` every position of a plane in a level, then `put` them; planes 0, 1, 2 of level 0, 1, ..."""

    def __init__(self, pixels: np.ndarray, planes: int = 3):
        """pixels: uint8 [3, H, W], the true picture, from which the fast and slow predictions are computed at once.
        planes: how many of them are coded."""
        _, self.height, self.width = pixels.shape
        self.fast = reference_predictor.predict(pixels, None, FAST).tolist()
        self.slow = reference_predictor.predict(pixels, None, SLOW, INTERVAL).tolist()
        self.fits = [Fit(10, *RATES) for _ in range(planes)]
        self.errors = {}                    # ((k, member), r, c): 64 x - member
        self.blended = {}                   # (k, r, c): 64 x - blend

    def solve(self, level: int) -> None:
        for fit in self.fits:
            fit.solve(level, rows_of(level, self.height, self.width))

    def predict(self, k: int, r: int, c: int, base: int, mean: int) -> Prediction:
        inputs = [base, self.fast[k][r][c], self.slow[k][r][c], mean]
        total = sum_ = 0.0
        for i, member in enumerate(inputs):
            error = nearby(self.errors, (k, 1 + i), r, c, self.width) * (1 / 64)
            g = error * error + 0.05
            g = 1.0 / (g * g)
            total, sum_ = total + g, sum_ + g * member
        blend = sum_ / total
        features = [(member - blend) * (1 / 64) for member in inputs]
        features += [error * (1 / 64) for error in self.around(k, r, c)]
        predicted = self.fits[k].predict(r, features, blend * (1 / 64))
        return Prediction([predicted, *inputs], blend, features)

    def around(self, k: int, r: int, c: int) -> list[int]:
        """The blend's errors at neighbours, then in planes k + 1, k + 2 modulo 3: here where known, else left."""
        def e(plane, dr, dc):
            return self.blended.get((plane, r + dr, min(c + dc, self.width - 1)), 0)

        others = [e(p, 0, 0 if p < k else -1) for p in ((k + 1) % 3, (k + 2) % 3)]
        return [e(k, 0, -1), e(k, -1, 0), e(k, -1, 1), e(k, -1, -1), *others]

    def put(self, k: int, r: int, c: int, x: int, found: Prediction) -> None:
        for i, member in enumerate(found.members):
            self.errors[(k, i), r, c] = 64 * x - member
        self.blended[k, r, c] = 64 * x - math.floor(found.blend + 0.5)
        self.fits[k].put(r, c, x, found.members[0], found.features, found.blend * (1 / 64))
