"""Blended least squares again, slowly: codec/modelling/blend.py, one number at a time, in NumPy's float32."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from codec.modelling import blend
from tests.runtime.reference_least_squares import Fit, f32, in_units, plus_products, predict, rows_of

UNKNOWN = 256  # an error, 1/64 grey level
STEP = f32(1 / 64)  # grey levels


def nearby(errors: dict, k, r: int, c: int, width: int) -> int:
    """(2 W + 2 N + NE + NW + WW + NN) // 8 of absolute errors in plane k; right of a row stands its last."""

    def e(dr: int, dc: int) -> int:
        return abs(errors.get((k, r + dr, min(c + dc, width - 1)), UNKNOWN))

    return (2 * e(0, -1) + 2 * e(-1, 0) + e(-1, 1) + e(-1, -1) + e(0, -2) + e(-2, 0)) // 8


@dataclass
class Prediction:
    """members: the blend's as its fit corrects it, then the four that it is made of, in 1/64 grey level."""

    members: list[int]
    mean: np.float32  # of the four, 1/64 grey level
    features: list[np.float32]


class Blend:
    """Level by level: `refit`, then for each position and plane `predict` and `put`."""

    def __init__(self, pixels: np.ndarray, planes: int):
        """pixels: uint8 [3, H, W], from which the fast and slow predictions are computed at once. planes: how many of
        them are coded."""
        _, self.height, self.width = pixels.shape
        self.fast = predict(pixels, blend.FAST).tolist()
        self.slow = predict(pixels, blend.SLOW, blend.SLOW_INTERVAL).tolist()
        rates = blend._DECAY, blend._ROW_DECAY, blend._RIDGE
        self.fits = [Fit(k, self.height, 10, *rates) for k in range(planes)]
        self.errors = {}  # ((k, member), r, c): 64 x - member
        self.blended = {}  # (k, r, c): 64 x - mean

    def refit(self, level: int) -> None:
        for fit in self.fits:
            fit.refit(level, rows_of(level, self.height, self.width))

    def nearby(self, k: int, member: int, r: int, c: int) -> int:
        return nearby(self.errors, (k, member), r, c, self.width)

    def predict(self, k: int, r: int, c: int, base: int, mean: int) -> Prediction:
        inputs = [base, self.fast[k][r][c], self.slow[k][r][c], mean]
        total = blended = f32(0)
        for i, member in enumerate(inputs):
            error = f32(self.nearby(k, 1 + i, r, c)) * STEP
            g = error * error + f32(0.05)
            g = f32(1) / (g * g)
            total, blended = total + g, blended + g * f32(member)
        blended = blended / total
        features = [(f32(member) - blended) * STEP for member in inputs]
        features += [f32(error) * STEP for error in self.around(k, r, c)]
        predicted = in_units(plus_products(blended * STEP, self.fits[k].weights[r], features))
        return Prediction([predicted, *inputs], blended, features)

    def around(self, k: int, r: int, c: int) -> list[int]:
        """The blend's errors at neighbours, then in planes k + 1, k + 2 modulo 3: here where known, else left."""

        def e(plane: int, dr: int, dc: int) -> int:
            return self.blended.get((plane, r + dr, min(c + dc, self.width - 1)), 0)

        others = [e(p, 0, 0 if p < k else -1) for p in ((k + 1) % 3, (k + 2) % 3)]
        return [e(k, 0, -1), e(k, -1, 0), e(k, -1, 1), e(k, -1, -1), *others]

    def put(self, k: int, r: int, c: int, x: int, found: Prediction) -> None:
        for i, member in enumerate(found.members):
            self.errors[(k, i), r, c] = 64 * x - member
        value = found.mean * STEP
        self.blended[k, r, c] = 64 * x - math.floor(value * f32(64) + f32(0.5))
        self.fits[k].put(r, c, x, found.members[0], found.features, value)
