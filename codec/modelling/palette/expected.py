"""How likely the model's own predictor makes each colour of the palette.

A prediction of green depends on the red that it is given, one of blue on both. So the predictor's weights give, for
every colour of the palette, how far each plane would be from its prediction if it came now. A colour's mass falls with
these residuals, in units of the errors nearby. float32 with + - * / in a fixed order; masses are integers.
"""

from typing import NamedTuple

import numpy as np

from codec.modelling.logistic import ERROR_CLASS, ERROR_CLASSES
from runtime.kernels import inlined
from runtime.lanes import LANES
from runtime.least_squares import UNIT, error_nearby

_ONE, _HALF = np.float32(1), np.float32(0.5)
_SHARPNESS = _HALF  # of a squared residual in units of the error expected
_FARTHEST = np.float32(1e12)
_MASS = np.float32(1 << 22)  # of the likeliest colour


class Expected(NamedTuple):
    """Of the position at hand, but for the palette; N colours."""

    colours: np.ndarray  # float32 [3, N]: the palette
    distances: np.ndarray  # float32 [N]: 1 and a squared residual
    masses: np.ndarray  # int32 [N]
    sums: np.ndarray  # int32 [N + 1]: of the masses before each colour
    scales: np.ndarray  # int64 [3, 24, 2]
    classes: np.ndarray  # int64 [3]


def expected(colours: np.ndarray) -> Expected:
    """For a palette, uint8 [n, C]; of a grey one all planes are copies."""
    planes = np.ascontiguousarray(np.broadcast_to(colours.T, (3, len(colours))), np.float32)
    n = len(colours)
    scales = np.full((3, ERROR_CLASSES, 2), 4, np.int64)
    scales[..., 0] *= np.array([max(16, (11 if u % 2 else 8) << (u // 2)) for u in range(ERROR_CLASSES)])
    return Expected(planes, np.zeros(n, np.float32), np.zeros(n, np.int32), np.zeros(n + 1, np.int32), scales,
        np.zeros(3, np.int64))


@inlined
def expect(level, row, canvas, predictor, expected):
    """Sets the masses of a level's row and their sums; returns the likeliest colour, and the second."""
    block, lane, c = row // LANES, row % LANES, level - 2 * row
    fits, references = predictor.fits, canvas.references
    green, blue = fits.weights[1, block], fits.weights[2, block]
    n1, n2 = fits.counts[1], fits.counts[2]
    green_red = green[n1 - 1, lane] + _ONE
    blue_red, blue_green = blue[n2 - 1, lane] + _HALF, blue[n2 - 2, lane] + _HALF
    at_red = predictor.partial[0, row]
    at_green = predictor.partial[1, row] - green_red * references[0, row]
    at_blue = predictor.partial[2, row] - blue_red * references[0, row]
    at_blue -= blue_green * references[1, row]
    for k in range(3):
        expected.classes[k] = ERROR_CLASS[min(error_nearby(fits.errors[k], row, c) >> 5, len(ERROR_CLASS) - 1)]
    s = expected.scales
    u = expected.classes
    red_scale = np.float32(64) * np.float32(s[0, u[0], 1]) / np.float32(s[0, u[0], 0])
    green_scale = np.float32(64) * np.float32(s[1, u[1], 1]) / np.float32(s[1, u[1], 0])
    blue_scale = np.float32(64) * np.float32(s[2, u[2], 1]) / np.float32(s[2, u[2], 0])
    reds, greens, blues = expected.colours[0], expected.colours[1], expected.colours[2]
    distances, masses, sums = expected.distances, expected.masses, expected.sums
    least = _FARTHEST
    for i in range(len(reds)):
        x = (reds[i] - at_red) * red_scale
        y = (greens[i] - at_green - green_red * reds[i]) * green_scale
        z = (blues[i] - at_blue - blue_red * reds[i] - blue_green * greens[i]) * blue_scale
        distance = _ONE + (x * x + y * y + z * z) * _SHARPNESS
        distances[i] = distance if distance < _FARTHEST else _FARTHEST
        least = min(least, distances[i])
    for i in range(len(masses)):
        share = least / distances[i]
        masses[i] = np.int32(share * share * _MASS) + np.int32(1)
    best, second, total = 0, 0, np.int32(0)
    for i in range(len(masses)):
        if masses[i] > masses[best]:
            best, second = i, best
        elif i > 0 and (best == second or masses[i] > masses[second]):
            second = i
        total += masses[i]
        sums[i + 1] = total
    return best, second


@inlined
def learn_scales(level, row, predictor, expected):
    c = level - 2 * row
    for k in range(3):
        scale = expected.scales[k, expected.classes[k]]
        scale[0] += max(np.int64(predictor.fits.errors[k, row + 1, c & 7]), 16)
        scale[1] += 1
        if scale[1] > 800:
            scale[0] >>= 1
            scale[1] >>= 1
