"""Stacked least squares: more online predictors, and one that learns how to combine them with the network's mean.

Each predictor sees the picture through a window of its own length. A blend weighs them by their errors nearby; the
stack then fits the blend's error from how far each predictor stands from it and from the blend's errors around, by
the same least squares (runtime/predictor.py). Float64 with + - * / in a fixed order, rounded to 1/64 grey level.
"""

import math

import numpy as np

from runtime.kernels import kernel
from runtime.lanes import LANES
from runtime.predictor import FIRST_ERROR, RING, UNIT, Fit, Predictor, Settings, rows_of, solve

from .neighbours import nearby

# Besides the model's own predictor: one that forgets fast, and one that hardly forgets, refitted at every 8th level.
FAST = Settings(((6, 2, 2), (6, 4, 2), (6, 4, 3)), 0.86, 0.75, (16.0, 3.0, 3.0))
SLOW = Settings(((16, 6, 6), (14, 7, 6), (14, 7, 7)), 0.998, 0.97, (8.0, 8.0, 8.0))
SLOW_INTERVAL = 8
_INPUTS = 4  # the model's predictor, fast, slow, the network's mean
MEMBERS = 4  # predictions handed on: the stack's, the model's predictor's, fast, slow
_FEATURES = _INPUTS + 6
_RATES = (0.96, 0.9, 8.0)  # decay, row decay, ridge
_FLOOR = 0.05  # of a squared error in a blend's weight


class Stack:
    """State of a tile: per level `solve` of every coded plane; then its `predict` and, once values are known, `put`."""

    def __init__(self, predictor: Predictor):
        self._height, self._width, self._own = predictor.height, predictor.width, predictor
        size = predictor.height, predictor.width
        self._fast = Predictor(*size, FAST, planes=predictor.planes)
        self._slow = Predictor(*size, SLOW, SLOW_INTERVAL, predictor.planes)
        rates = np.array(_RATES)
        self._fits = [Fit(predictor.height, _FEATURES, rates, 1, plane) for plane in predictor.planes]
        self.members = np.zeros((1 + _INPUTS, predictor.height), np.int32)  # by row; 0 is the stack's own
        self._errors = np.full((3, 1 + _INPUTS, predictor.height + 2, RING), FIRST_ERROR, np.int32)  # value - member
        self._blended = np.zeros((3, predictor.height + 2, RING), np.int32)  # value - blend
        self._blends = np.zeros(predictor.height, np.int32)

    def solve(self, level: int, k: int) -> None:
        """Refits everything of plane k for `level`, from the levels before."""
        self._fast.solve(level, k)
        self._slow.solve(level, k)
        solve(level, self._height, self._width, *self._fits[k].arrays)

    def predict(self, level: int, k: int, means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Members int32 [1 + 4, H] at `level` in 1/64 grey level, by row, and their errors so far, rings.

        means: the network's, int64 [n] in 1/64 grey level. The model's predictor must have predicted this plane.
        """
        first, end = rows_of(level, self._height, self._width)
        members, fit = self.members, self._fits[k]
        members[1, first:end] = self._own.bases[k, first:end]
        members[2, first:end] = self._fast.predict(level, k)
        members[3, first:end] = self._slow.predict(level, k)
        members[4, first:end] = means
        _combine(
            level,
            k,
            first,
            end,
            members,
            self._errors[k],
            self._blended,
            self._blends,
            fit.features,
            fit.weights,
            fit.origins,
        )
        return members, self._errors[k]

    def put(self, level: int, k: int, values: np.ndarray) -> None:
        """Enters the true values of plane k at `level`, uint8 [n]; `solve` reads the planes, which are the model's."""
        first, end = rows_of(level, self._height, self._width)
        self._fast.put(level, k, values)
        self._slow.put(level, k, values)
        _enter(
            level,
            first,
            end,
            self._width,
            values,
            self.members,
            self._errors[k],
            self._blends,
            self._blended[k],
            self._fits[k].errors,
        )


@kernel
def _combine(level, k, first, end, members, errors, blended, blends, features, weights, origins):
    for row in range(first, end):
        c, block, lane = level - 2 * row, row // LANES, row % LANES
        total, blend = 0.0, 0.0
        for i in range(1, 1 + _INPUTS):
            error = nearby(errors[i], row, c) * (1.0 / UNIT)
            g = error * error + _FLOOR
            g = 1.0 / (g * g)
            total += g
            blend += g * members[i, row]
        blend = blend / total
        blends[row] = math.floor(blend + 0.5)
        f = features[block]
        for i in range(_INPUTS):
            f[i, lane] = (members[1 + i, row] - blend) * (1.0 / UNIT)
        own, above = blended[k, row + 2], blended[k, row + 1]
        one, two = (k + 1) % 3, (k + 2) % 3
        f[_INPUTS, lane] = own[(c - 1) % RING] * (1.0 / UNIT)
        f[_INPUTS + 1, lane] = above[c % RING] * (1.0 / UNIT)
        f[_INPUTS + 2, lane] = above[(c + 1) % RING] * (1.0 / UNIT)
        f[_INPUTS + 3, lane] = above[(c - 1) % RING] * (1.0 / UNIT)
        f[_INPUTS + 4, lane] = blended[one, row + 2, (c if one < k else c - 1) % RING] * (1.0 / UNIT)
        f[_INPUTS + 5, lane] = blended[two, row + 2, (c if two < k else c - 1) % RING] * (1.0 / UNIT)
        value = blend * (1.0 / UNIT)
        origins[block, lane] = value
        for i in range(_FEATURES):
            value += weights[block, i, lane] * f[i, lane]
        members[0, row] = np.int32(min(max(value, 0.0), 255.0) * UNIT + 0.5)


@kernel
def _enter(level, first, end, width, values, members, errors, blends, blended, own):
    for row in range(first, end):
        c = level - 2 * row
        value = np.int32(values[row - first]) * UNIT
        last = 2 if c == width - 1 else 1  # right of the picture stands the row's last error
        for x in range(c, c + last):
            for i in range(1 + _INPUTS):
                errors[i, row + 2, x % RING] = value - members[i, row]
            blended[row + 2, x % RING] = value - blends[row]
        own[row + 1, c % RING] = abs(value - members[0, row])
