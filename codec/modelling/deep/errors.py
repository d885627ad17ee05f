"""How far off a forecast may be: expected absolute errors of the corrected blend, in 1/64.

Four of them: 0 by least squares from all that says something of it, 1 of the neighbours, 2 of a wide surrounding, 3 of
values about as bright in the same plane, in rows and columns of the same parity, for noise grows with light.
"""

from typing import NamedTuple

import numpy as np

from codec.modelling.deep.forecast import elsewhere
from runtime import least_squares
from runtime.kernels import inlined
from runtime.least_squares import ALL, FIRST_ERROR, LANES, LAST, RING, UNIT, Canvas, Fits
from runtime.vectors import bits_of

EXPECTED = 4
LEAST = 8  # what an expected error is at least
_FEATURES = 12
_DECAY, _ROW_DECAY, _RIDGE, _INTERVAL = 0.99, 0.95, 8.0, 4
_WIDE_BITS = 4  # fractional bits of the wide means, which take in a quarter of each error
_MOST = 1 << 22
_OCTAVES = 128  # classes of values, eight an octave
_BRIGHTNESS = 4 * _OCTAVES  # and of four kinds of rows and columns, for a sensor's filter has four
_MEAN_BITS, _SLOWEST = 8, 64  # fractional bits of a class's mean, and how slowly it moves at last
_SCALE = np.float32(1 / UNIT)
_PER_VALUE = np.float32(UNIT)


class Errors(NamedTuple):
    """State of a tile, and what is expected at the position at hand."""

    fits: Fits
    wide: np.ndarray  # int32 [C, H + 1, RING]: [r + 1, c & LAST], 1/16 of the unit
    bright: np.ndarray  # int32 [C, _BRIGHTNESS]: mean errors, 1/256 of the unit
    counts: np.ndarray  # int32 [C, _BRIGHTNESS]
    expected: np.ndarray  # int64 [EXPECTED]
    known: np.ndarray  # int64 [2]: what the target is relative to, class of brightness


def errors(canvas: Canvas) -> Errors:
    """Ones that have seen nothing."""
    height, planes = canvas.size.height, len(canvas.pixels)
    return Errors(
        least_squares.fits(height, [_FEATURES] * planes, _DECAY, _ROW_DECAY, [_RIDGE] * planes, _INTERVAL, True),
        np.full((planes, height + 1, RING), FIRST_ERROR << _WIDE_BITS, np.int32),
        np.full((planes, _BRIGHTNESS), FIRST_ERROR << _MEAN_BITS, np.int32),
        np.zeros((planes, _BRIGHTNESS), np.int32),
        np.zeros(EXPECTED, np.int64),
        np.zeros(2, np.int64),
    )


@inlined
def refit_errors(level, k, canvas, errors, rows=ALL):
    """Fits plane k to the levels before."""
    least_squares.refit(level, canvas.size, k, errors.fits, rows)


@inlined
def expect_errors(level, k, row, forecast, errors):
    """Sets what is expected of plane k at a level's row."""
    c, fits, wide = level - 2 * row, errors.fits, errors.wide[k]
    rings = forecast.errors
    own, above, over = rings[k, row + 2], rings[k, row + 1], rings[k, row]
    f = fits.features[k, row // LANES, least_squares.slot_of(level, k, fits), :, row % LANES]
    kind = 4 * _brightness(forecast.members[0]) + 2 * (row & 1) + (c & 1)
    around = (np.int64(wide[row + 1, (c - 1) & LAST]) + np.int64(wide[row, (c + 1) & LAST])) >> (1 + _WIDE_BITS)
    near = forecast.near[0] >> 3
    bright = np.int64(errors.bright[k, kind]) >> _MEAN_BITS
    start = (near + around + 1) >> 1
    f[0] = _from(own[(c - 1) & LAST, 0], start)
    f[1] = _from(above[c & LAST, 0], start)
    f[2] = _from(above[(c + 1) & LAST, 0], start)
    f[3] = _from(above[(c - 1) & LAST, 0], start)
    f[4] = _from(own[(c - 2) & LAST, 0], start)
    f[5] = _from(over[c & LAST, 0], start)
    f[6] = _from(around, start)
    f[7] = _from(bright, start)
    for i in range(2):
        f[8 + i] = _from(elsewhere(rings, k, i, (row, c), 0), start)
    members = forecast.members
    f[10] = _from(abs(members[2] - members[3]) + abs(members[2] - members[4]), start)
    f[11] = _from(abs(members[5] - members[6]), start)
    value = np.float32(0)
    for i in range(_FEATURES):
        value += fits.weights[k, row // LANES, i, row % LANES] * f[i]
    least, most = start >> 2, 4 * start
    value = np.float32(start) + value * _PER_VALUE
    found = least
    if value > np.float32(least):  # not for what is no number
        found = np.int64(value) if value < np.float32(most) else most
    expected = errors.expected
    expected[0], expected[1], expected[2], expected[3] = found, near, around, bright
    for i in range(EXPECTED):
        expected[i] = min(max(expected[i], LEAST), _MOST)
    errors.known[0], errors.known[1] = start, kind


@inlined
def _from(error, start):
    return np.float32(np.int64(error) - start) * _SCALE


@inlined
def _brightness(mean):
    """Eight classes an octave of a prediction."""
    exponent = (bits_of(np.float32(max(mean, UNIT))) >> np.int32(20)) - np.int32((127 + 6) << 3)
    return min(max(np.int64(exponent), 0), _OCTAVES - 1)


@inlined
def settle_errors(level, k, row, width, forecast, errors):
    """Learns the error of the corrected blend, which is in the rings."""
    c, fits = level - 2 * row, errors.fits
    error = np.int64(forecast.errors[k, row + 2, c & LAST, 0])
    start, kind, wide = errors.known[0], errors.known[1], errors.wide[k]
    fits.errors[k, row + 1, c & LAST] = errors.expected[0]
    slot = least_squares.slot_of(level, k, fits)
    fits.features[k, row // LANES, slot, fits.counts[k], row % LANES] = _from(error, start)
    around = (np.int64(wide[row + 1, (c - 1) & LAST]) + np.int64(wide[row, (c + 1) & LAST])) >> 1
    wide[row + 1, c & LAST] = around + (((error << _WIDE_BITS) - around) >> 2)
    if c == width - 1:
        wide[row + 1, (c + 1) & LAST] = wide[row + 1, c & LAST]
    count, mean = errors.counts[k, kind], np.int64(errors.bright[k, kind])
    errors.bright[k, kind] = mean + ((error << _MEAN_BITS) - mean) // (np.int64(count) + 1)
    errors.counts[k, kind] = min(count + 1, _SLOWEST)
