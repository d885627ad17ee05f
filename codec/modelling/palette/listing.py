"""The palette itself: which colours a tile has, and how both sides come to know them.

Colours are listed by their *place*, a number that has the bits of R, G and B in turn, the highest first, so that
colours near each other in the list are alike. It is sent as these places, each above the one before, bit by bit.
"""

import numpy as np

from codec.entropy.range_coder import ONE, code
from codec.modelling.adaptive import adapt, adaptive, probability
from runtime.kernels import kernel

MOST = 256  # colours of a palette
_COUNT_BITS = 8
MOST_DECISIONS = _COUNT_BITS + 24 * MOST
_SMALLEST = 16  # of 2^16


def colours_of(pixels: np.ndarray) -> np.ndarray:
    """The different colours of pixels, uint8 [C, H, W], in the order of the list, uint8 [n, C]."""
    flat = np.unique(pixels.reshape(len(pixels), -1), axis=1).T
    return np.ascontiguousarray(flat[np.argsort(places_of(flat))])


def places_of(colours: np.ndarray) -> np.ndarray:
    """Of colours, uint8 [n, C]: int64 [n]."""
    bits = np.unpackbits(colours[..., None], axis=2).transpose(0, 2, 1).reshape(len(colours), -1)
    return bits @ (1 << np.arange(bits.shape[1], dtype=np.int64)[::-1])


def colours_at(places: np.ndarray, channels: int) -> np.ndarray:
    """The colours of places, uint8 [n, C]."""
    bits = places[:, None] >> np.arange(8 * channels, dtype=np.int64)[::-1] & 1
    return np.packbits(bits.reshape(len(places), 8, channels).transpose(0, 2, 1), axis=2)[..., 0]
