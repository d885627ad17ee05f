"""A picture known to both sides that is nearly the one to be coded: what the coefficients of a JPEG make.

Where it is right a position costs next to nothing: one decision says so, by how right it was nearby. Where it is wrong
it is still a prediction, and one with what it missed by nearby added is another.
"""

from typing import NamedTuple

import numpy as np

from codec.entropy.range_coder import ONE, code
from codec.modelling.adaptive import Adaptive, adapt, adaptive
from codec.modelling.exact_colours.memory import NEAR, colour_of
from runtime.kernels import inlined

NONE = np.zeros((0, 0, 0), np.uint8)  # pixels where there is no such picture
_TOP, _SIDE = 2, 2  # rows and columns around it that neighbours reach
_NEAR = NEAR[:10]
_CONTEXTS = 1 << (len(_NEAR) + 1)
_SMALLEST = 16  # of 2^24
_TO_FREQUENCY = 2  # bits from the adaptive probabilities' 2^22


class Reconstruction(NamedTuple):
    """State of a tile. Where wrong lies beyond the picture nothing is wrong."""

    pixels: np.ndarray  # uint8 [C, H, W]
    wrong: np.ndarray  # uint8 [H + 2, W + 4]
    probabilities: Adaptive


def reconstruction(pixels: np.ndarray) -> Reconstruction:
    """What starts a tile whose pixels, uint8 [C, H, W], are nearly these."""
    _, height, width = pixels.shape
    wrong = np.zeros((_TOP + height, width + 2 * _SIDE), np.uint8)
    return Reconstruction(pixels, wrong, adaptive(_CONTEXTS))


@inlined
def ask_whether_right(row, c, truth, made, coding):
    """Codes whether a position has the colour that was made; returns this, or -1 if it has another."""
    context = np.int64(_is_held(made.pixels, row, c))
    for dr, dc in _NEAR:
        context = 2 * context + made.wrong[row + dr + _TOP, c + dc + _SIDE]
    colour = colour_of(made.pixels, row, c)
    frequency = np.int64(made.probabilities.probabilities[context]) << _TO_FREQUENCY
    frequency = min(max(frequency, _SMALLEST), ONE - _SMALLEST)
    wrong = code(coding, frequency, np.int64(colour != truth))
    adapt(made.probabilities, context, wrong)
    made.wrong[row + _TOP, c + _SIDE] = wrong
    return np.int64(-1) if wrong else colour


@inlined
def _is_held(pixels, row, c):
    """Whether a colour touches the ends of its range, where a decoder held it."""
    held = False
    for k in range(len(pixels)):
        held |= pixels[k, row, c] == 0 or pixels[k, row, c] == 255
    return held
