"""How likely the model's own predictor makes each colour of the palette.

A prediction of green depends on the red that it is given, one of blue on both. So the predictor's weights say of every
colour how far each of its planes would be from its prediction, if the position had this colour. A colour's *mass* falls
with the square of these residuals, in units of the errors nearby. float32 with + - * / in a fixed order; masses are
integers.
"""

from typing import NamedTuple

import numpy as np

from codec.modelling.logistic import ERROR_CLASS
from runtime.kernels import inlined
from runtime.lanes import LANES
from runtime.least_squares import UNIT, error_nearby

_EIGHT_LEVELS = np.float32(8 * UNIT)
_FLOOR = 4 * UNIT  # of eight errors nearby: half a grey level each
_SHARPNESS = np.float32(0.25)
_FARTHEST = np.float32(1e12)  # also where a residual is no number
_LARGEST = np.float32(1 << 22)  # a colour's mass
_HALF, _ONE = np.float32(0.5), np.float32(1)


class Expected(NamedTuple):
    """The palette, and what is expected at the position at hand."""

    colours: np.ndarray  # float32 [3, n]
    distances: np.ndarray  # float32 [n]: from 1 on
    masses: np.ndarray  # int32 [n]
    sums: np.ndarray  # int32 [n + 1]: of the masses before each colour


def expected(colours: np.ndarray) -> Expected:
    """For a palette, uint8 [n, C]; planes 1 and 2 of grey are copies, as in the tile."""
    count = len(colours)
    return Expected(
        np.broadcast_to(colours.T, (3, count)).astype(np.float32),
        np.zeros(count, np.float32),
        np.zeros(count, np.int32),
        np.zeros(count + 1, np.int32),
    )


@inlined
def expect(level, row, canvas, predictor, expected):
    """Sets the masses at a level's row and their sums; returns the likeliest colour, the next one and the class of the
    errors nearby."""
    block, lane, c, errors = row // LANES, row % LANES, level - 2 * row, predictor.fits.errors
    near_red, near_green = error_nearby(errors[0], row, c), error_nearby(errors[1], row, c)
    near_blue = error_nearby(errors[2], row, c)
    red_scale = _EIGHT_LEVELS / np.float32(near_red + _FLOOR)
    green_scale = _EIGHT_LEVELS / np.float32(near_green + _FLOOR)
    blue_scale = _EIGHT_LEVELS / np.float32(near_blue + _FLOOR)
    counts, references = predictor.fits.counts, canvas.references
    for_green, for_blue = predictor.fits.weights[1, block], predictor.fits.weights[2, block]
    green_by_red = for_green[counts[1] - 1, lane] + _ONE
    blue_by_red, blue_by_green = for_blue[counts[2] - 1, lane] + _HALF, for_blue[counts[2] - 2, lane] + _HALF
    red_start = predictor.partial[0, row]
    green_start = predictor.partial[1, row] - green_by_red * references[0, row]
    blue_start = predictor.partial[2, row] - blue_by_red * references[0, row] - blue_by_green * references[1, row]

    reds, greens, blues = expected.colours[0], expected.colours[1], expected.colours[2]
    distances, masses, sums, least = expected.distances, expected.masses, expected.sums, _FARTHEST
    for i in range(len(masses)):
        red = (reds[i] - red_start) * red_scale
        green = (greens[i] - green_start - green_by_red * reds[i]) * green_scale
        blue = (blues[i] - blue_start - blue_by_red * reds[i] - blue_by_green * greens[i]) * blue_scale
        distance = _ONE + (red * red + green * green + blue * blue) * _SHARPNESS
        distances[i] = distance if distance < _FARTHEST else _FARTHEST
        least = min(least, distances[i])
    for i in range(len(masses)):
        share = least / distances[i]
        masses[i] = np.int32(share * share * _LARGEST) + np.int32(1)
    first, second, largest, next_largest, total = 0, 0, np.int32(0), np.int32(0), np.int32(0)
    for i in range(len(masses)):
        if masses[i] > largest:
            first, second, largest, next_largest = i, first, masses[i], largest
        elif masses[i] > next_largest:
            second, next_largest = i, masses[i]
        total += masses[i]
        sums[i + 1] = total
    error = ERROR_CLASS[min((near_red + near_green + near_blue) // 3 >> 5, len(ERROR_CLASS) - 1)]
    return np.int64(first), np.int64(second), np.int64(error)
