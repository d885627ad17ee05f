"""The palette itself: the colours of a tile in an order of their own, and how a decoder comes to know them.

A colour's *place* has the bits of its planes in turn, the highest of R, G and B first (Morton's order): colours that
are near each other in the list are alike, so its halves, quarters and so on are parts of the colour space. The list is
sent as the places, each above the one before, bit by bit.
"""

import numpy as np

from codec.entropy.range_coder import ONE, Coder, code, spend_on
from codec.errors import DamagedFile
from codec.modelling.adaptive import adapt, adaptive, probability
from runtime.kernels import kernel

MOST = 256  # colours of a palette
_MOST_GREYS = 128  # of a grey tile for which one is tried: a photograph has more
_PIXELS = 8  # at least for each colour
_GLANCE = 4096  # pixels of which a photograph in colour has more than MOST
_COUNT_BITS = 8
_LONGEST = 24  # bits of a place
_MOST_DECISIONS = _COUNT_BITS + _LONGEST * MOST
_LEAST = 16  # of 2^16


def has_palette(pixels: np.ndarray) -> bool:
    """Whether a palette may pay for pixels, uint8 [C, H, W]: few colours, and each for some pixels."""
    numbers = np.zeros(pixels[0].size, np.int32)
    for plane in pixels:
        numbers = numbers << 8 | plane.reshape(-1)
    most = min(MOST if len(pixels) == 3 else _MOST_GREYS, len(numbers) // _PIXELS)
    return len(np.unique(numbers[:_GLANCE])) <= most and len(np.unique(numbers)) <= most


def code_palette(pixels: np.ndarray, coder: Coder) -> np.ndarray:
    """Codes the palette of a tile, uint8 [C, H, W]; returns its colours in the order of the list, uint8 [n, C].

    Raises DamagedFile for a list that is not in its order.
    """
    channels, places, count = len(pixels), np.zeros(MOST, np.int64), 1
    if coder.coding.encodes:
        known = np.unique(_places(pixels.reshape(channels, -1).T))
        count = len(known)
        places[:count] = known
    coder.reserve(_MOST_DECISIONS)
    count = _code_places(places, count, (8 * channels, pixels.size), adaptive(8 * _LONGEST), coder.coding)
    coder.check()
    places = places[:count]
    if (np.diff(places) <= 0).any():
        raise DamagedFile("a tile's palette is not in its order: get the file again")
    return _colours(places, channels)


def _places(colours: np.ndarray) -> np.ndarray:
    """Of colours, uint8 [n, C]: int64 [n]."""
    places = np.zeros(len(colours), np.int64)
    for bit in range(7, -1, -1):
        for k in range(colours.shape[1]):
            places = places << 1 | (colours[:, k] >> bit & 1)
    return places


def _colours(places: np.ndarray, channels: int) -> np.ndarray:
    """Of places, int64 [n]: uint8 [n, C]."""
    colours = np.zeros((len(places), channels), np.uint8)
    for at in range(8 * channels):
        colours[:, at % channels] |= ((places >> (8 * channels - 1 - at) & 1) << (7 - at // channels)).astype(np.uint8)
    return colours


@kernel
def _code_places(places, count, about, chances, coding):
    """Codes how many places there are and each of them; returns how many.

    about: bits of a place, and what the decisions are spent on. chances: Adaptive, of places' bits.
    """
    bits, owner = about
    spend_on(coding, owner)
    found = np.int64(0)
    for at in range(_COUNT_BITS - 1, -1, -1):
        found = found << 1 | code(coding, np.int64(ONE >> 1), np.int64((count - 1) >> at & 1))
    least = np.int64(0)  # that the place can be
    for i in range(found + 1):
        place, bound = np.int64(0), np.int64(1)  # whether the place is as small as it can be so far
        for at in range(bits - 1, -1, -1):
            if bound & least >> at & 1:
                place = place << 1 | 1  # needs no decision
                continue
            chance = (at * 2 + bound) * 4 + (place & 3)
            frequency = np.int64(min(max(probability(chances, chance), _LEAST), (1 << 16) - _LEAST)) << 8
            bit = code(coding, frequency, places[i] >> at & 1)
            adapt(chances, chance, bit)
            place = place << 1 | bit
            bound &= 1 - bit
        places[i] = place
        least = place + 1
    return found + 1
