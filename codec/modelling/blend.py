"""Blended least squares: more online predictors, and one that learns how to combine them with the network's mean.

Each predictor sees the picture through a window of its own length. A blend weighs them by their errors nearby; one more
least-squares fit then foretells the blend's error from how far each predictor stands from it and from the blend's
errors around (after Ye and Hou, and Ulacha; runtime/least_squares.py). float32 with + - * / in a fixed order, rounded
to 1/64 grey level.

A *ring* is int32 [H + 2, RING]: signed errors, value - prediction in 1/64 grey level; the one at row r and column c
stands in [r + 2, c & LAST]. What lies left of a row or above the picture keeps its first value; right of a row stands
its last. Along the wavefront row r - 1 is two columns ahead, r - 2 four, so nothing needed has been overwritten.
"""

import math
from typing import NamedTuple

import numpy as np

from runtime import least_squares
from runtime.kernels import inlined
from runtime.lanes import LANES
from runtime.least_squares import ALL, FIRST_ERROR, LAST, RING, UNIT, Canvas, Fits, Predictor, Settings

# Besides the model's own predictor: one that forgets fast, and one that hardly forgets, refitted at every 8th level.
FAST = Settings(((6, 2, 2), (6, 4, 2), (6, 4, 3)), 0.86, 0.75, (16.0, 3.0, 3.0))
SLOW = Settings(((16, 6, 6), (14, 7, 6), (14, 7, 7)), 0.998, 0.97, (8.0, 8.0, 8.0))
SLOW_INTERVAL = 8
_PREDICTIONS = 4  # what is blended: the model's predictor, fast, slow, the network's mean
MEMBERS = 4  # predictions that compete with the network: the blend's, the model's predictor's, fast, slow
_FEATURES = _PREDICTIONS + 6
_DECAY, _ROW_DECAY, _RIDGE = 0.96, 0.9, 8.0
_FLOOR = np.float32(0.05)  # of a squared error in a prediction's weight
_SCALE = np.float32(1 / UNIT)
_ZERO, _HALF, _ONE = np.float32(0), np.float32(0.5), np.float32(1)


class Blend(NamedTuple):
    """State of a tile, and the predictions at the position at hand."""

    fast: Predictor
    slow: Predictor
    fits: Fits
    rings: np.ndarray  # int32 [3, 1 + 4, H + 2, RING]: of the blend corrected by the fit, then of the four
    blended: np.ndarray  # int32 [3, H + 2, RING]: ring of the blend alone
    members: np.ndarray  # int32 [1 + 4]: predictions in the order of the rings
    near: np.ndarray  # int64 [1 + 4]: their errors nearby
    origins: np.ndarray  # float32 [2]: what targets are relative to, of the pixels' predictors and of the fit


def blend(canvas: Canvas) -> Blend:
    """One that has seen nothing."""
    height = canvas.size.height
    return Blend(
        least_squares.predictor(canvas, FAST),
        least_squares.predictor(canvas, SLOW, SLOW_INTERVAL),
        least_squares.fits(height, [_FEATURES] * 3, _DECAY, _ROW_DECAY, [_RIDGE] * 3),
        np.full((3, 1 + _PREDICTIONS, height + 2, RING), FIRST_ERROR, np.int32),
        np.zeros((3, height + 2, RING), np.int32),
        np.zeros(1 + _PREDICTIONS, np.int32),
        np.zeros(1 + _PREDICTIONS, np.int64),
        np.zeros(2, np.float32),
    )


@inlined
def refit_blend(level, k, canvas, blend, rows=ALL):
    """Fits all of plane k to the levels before, and foresees what it can of the predictions at this one."""
    for member in (blend.fast, blend.slow):
        least_squares.refit(level, canvas.size, k, member.fits, rows)
        least_squares.foresee(level, k, canvas, member, rows)
    least_squares.refit(level, canvas.size, k, blend.fits, rows)


@inlined
def nearby(ring, row, c):
    """(2 W + 2 N + NE + NW + WW + NN) // 8 of the absolute errors around a position."""
    own, above = ring[row + 2], ring[row + 1]
    total = 2 * abs(own[(c - 1) & LAST]) + 2 * abs(above[c & LAST])
    total += abs(above[(c + 1) & LAST]) + abs(above[(c - 1) & LAST])
    return (total + abs(own[(c - 2) & LAST]) + abs(ring[row, c & LAST])) >> 3


@inlined
def keep_error(ring, row, c, width, error):
    """Enters an error; a row's last one also stands for what lies right of it."""
    ring[row + 2, c & LAST] = error
    if c == width - 1:
        ring[row + 2, (c + 1) & LAST] = error


@inlined
def combine(level, k, row, means, canvas, blend):
    """Predicts plane k at a level's row: sets members, near and origins.

    means: the model's predictor's and the network's prediction, in 1/64 grey level.
    """
    c, members, slot = level - 2 * row, blend.members, least_squares.slot_of(level, k, blend.fits)
    f = blend.fits.features[k, row // LANES, slot, :, row % LANES]
    members[1], members[4] = means
    members[2], origin = least_squares.predict(level, k, row, canvas, blend.fast)
    members[3], origin = least_squares.predict(level, k, row, canvas, blend.slow)
    total, mean = _ZERO, _ZERO
    for i in range(1 + _PREDICTIONS):
        blend.near[i] = nearby(blend.rings[k, i], row, c)
    for i in range(1, 1 + _PREDICTIONS):
        error = np.float32(blend.near[i]) * _SCALE
        g = error * error + _FLOOR
        g = _ONE / (g * g)
        total += g
        mean += g * np.float32(members[i])
    mean = mean / total
    for i in range(_PREDICTIONS):
        f[i] = (np.float32(members[1 + i]) - mean) * _SCALE
    own, above = blend.blended[k, row + 2], blend.blended[k, row + 1]
    one, two = (k + 1) % 3, (k + 2) % 3
    f[_PREDICTIONS] = np.float32(own[(c - 1) & LAST]) * _SCALE
    f[_PREDICTIONS + 1] = np.float32(above[c & LAST]) * _SCALE
    f[_PREDICTIONS + 2] = np.float32(above[(c + 1) & LAST]) * _SCALE
    f[_PREDICTIONS + 3] = np.float32(above[(c - 1) & LAST]) * _SCALE
    f[_PREDICTIONS + 4] = np.float32(blend.blended[one, row + 2, (c if one < k else c - 1) & LAST]) * _SCALE
    f[_PREDICTIONS + 5] = np.float32(blend.blended[two, row + 2, (c if two < k else c - 1) & LAST]) * _SCALE
    value = mean * _SCALE
    blend.origins[0], blend.origins[1] = origin, value
    for i in range(_FEATURES):
        value += blend.fits.weights[k, row // LANES, i, row % LANES] * f[i]
    members[0] = least_squares.in_units(value, canvas.white)


@inlined
def settle(level, k, row, value, width, blend):
    """Enters the true value of what `combine` predicted last."""
    c, wanted = level - 2 * row, np.int32(value) * UNIT
    for i in range(1 + _PREDICTIONS):
        keep_error(blend.rings[k, i], row, c, width, wanted - blend.members[i])
    middle = np.int32(math.floor(blend.origins[1] * np.float32(UNIT) + _HALF))
    keep_error(blend.blended[k], row, c, width, wanted - middle)
    least_squares.learn(level, k, row, value, (blend.members[2], blend.origins[0]), blend.fast.fits)
    least_squares.learn(level, k, row, value, (blend.members[3], blend.origins[0]), blend.slow.fits)
    least_squares.learn(level, k, row, value, (blend.members[0], blend.origins[1]), blend.fits)
