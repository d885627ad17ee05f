"""Which Y, Cb and Cr a pixel can have come from.

The conversion of eight bits is nearly one to one: an RGB triple none of whose values is 0 or 255 comes from one triple
at most. One that was held within 0 .. 255 comes from a range of them.
"""

import numpy as np

from codec.modelling.lattice import CONVERSIONS
from runtime.kernels import inlined, kernel

_C, _DIFFERENCES = CONVERSIONS[0], np.arange(-128, 128)
_RED = (_C.red_cr * _DIFFERENCES + _C.rounding) >> 16  # what Cr adds to red
_BLUE = (_C.blue_cb * _DIFFERENCES + _C.rounding) >> 16
_GREEN = _C.green_cr * _DIFFERENCES, _C.green_cb * _DIFFERENCES + _C.rounding  # by Cr and by Cb, out of 2^16
_MOST = 512


def _inverse(values: np.ndarray) -> np.ndarray:
    """By a value + _MOST the place where it stands, -1 for none."""
    found = np.full(2 * _MOST, -1)
    found[values + _MOST] = np.arange(256)
    return found


def _first_from(values: np.ndarray) -> np.ndarray:
    """By a value + _MOST the first place where the value or more stands."""
    return np.searchsorted(values, np.arange(-_MOST, _MOST))


_RED_AT, _BLUE_AT, _RED_FROM, _BLUE_FROM = _inverse(_RED), _inverse(_BLUE), _first_from(_RED), _first_from(_BLUE)
_GREEN_CR, _GREEN_CB = _GREEN


def ranges(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The least and the greatest Y, Cb and Cr of each pixel, int16 [3, H, W] each, and bool [H, W]: which pixels come
    from none at all; their ranges are whole. pixels: uint8 [H, W, 3]."""
    height, width, _ = pixels.shape
    low, high = np.zeros((3, height, width), np.int16), np.full((3, height, width), 255, np.int16)
    alien = np.zeros((height, width), np.bool_)
    _fill_ranges(pixels, low, high, alien)
    return low, high, alien


@kernel
def _fill_ranges(pixels, low, high, alien):
    for row in range(pixels.shape[0]):
        for column in range(pixels.shape[1]):
            red, green, blue = (
                np.int64(pixels[row, column, 0]),
                np.int64(pixels[row, column, 1]),
                np.int64(pixels[row, column, 2]),
            )
            held = min(red, green, blue) == 0 or max(red, green, blue) == 255
            grey = (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16
            first, end = (np.int64(0), np.int64(256)) if held else (max(grey - 2, 0), min(grey + 3, 256))
            found = False
            for y in range(first, end):
                a, b = _of(red, y, _RED_AT, _RED_FROM)
                c, d = _of(blue, y, _BLUE_AT, _BLUE_FROM)
                if a > b or c > d or not _green_is_possible(green, y, a, b, c, d):
                    continue
                a, b, c, d = _narrowed(green, y, a, b, c, d)
                if not found:
                    low[0, row, column], low[1, row, column], low[2, row, column] = y, c, a
                    high[1, row, column], high[2, row, column] = d, b
                high[0, row, column] = y
                low[1, row, column], high[1, row, column] = min(low[1, row, column], c), max(high[1, row, column], d)
                low[2, row, column], high[2, row, column] = min(low[2, row, column], a), max(high[2, row, column], b)
                found = True
            alien[row, column] = not found


@inlined
def _of(value, y, places, firsts):
    """The least and the greatest Cr that make a red of a Y, or Cb a blue, by their tables; none if the least is
    greater."""
    if value == 0:
        return np.int64(0), np.int64(firsts[1 - y + _MOST]) - 1
    if value == 255:
        return np.int64(firsts[255 - y + _MOST]), np.int64(255)
    at = np.int64(places[value - y + _MOST])
    return (at, at) if at >= 0 else (np.int64(1), np.int64(0))


@inlined
def _green_is_possible(green, y, cr_low, cr_high, cb_low, cb_high):
    """Whether some of the Cr and Cb can make it; green falls with both."""
    most = y + ((_GREEN_CR[cr_low] + _GREEN_CB[cb_low]) >> 16)
    least = y + ((_GREEN_CR[cr_high] + _GREEN_CB[cb_high]) >> 16)
    return min(max(least, 0), 255) <= green <= min(max(most, 0), 255)


@inlined
def _narrowed(green, y, cr_low, cr_high, cb_low, cb_high):
    """The ranges of Cr and Cb without what no Cb or Cr of the other's range makes this green with."""
    a, b = _between(green - y, green, _GREEN_CR, cr_low, cr_high, _GREEN_CB[cb_low], _GREEN_CB[cb_high])
    c, d = _between(green - y, green, _GREEN_CB, cb_low, cb_high, _GREEN_CR[cr_low], _GREEN_CR[cr_high])
    return a, b, c, d


@inlined
def _between(left, green, added, low, high, most, least):
    """The first and the last place from low to high whose sum with the least reaches down to what is left for green,
    and with the most up to it; what is added falls."""
    first, end = low, high
    while first < end and green < 255:
        middle = (first + end) >> 1
        if (added[middle] + least) >> 16 <= left:
            end = middle
        else:
            first = middle + 1
    start, last = low, high
    while start < last and green > 0:
        middle = (start + last + 1) >> 1
        if (added[middle] + most) >> 16 >= left:
            start = middle
        else:
            last = middle - 1
    return first if green < 255 else low, last if green > 0 else high


def luma_given_chroma(
    pixels: np.ndarray, blue_difference: np.ndarray, red_difference: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The least and the greatest Y of each pixel whose Cb and Cr are known, int16 [H, W]; where none makes the pixel
    the least is greater."""
    reds, blues = _RED[red_difference], _BLUE[blue_difference]
    greens = (_GREEN_CR[red_difference] + _GREEN_CB[blue_difference]) >> 16
    low, high = np.zeros(pixels.shape[:2], np.int64), np.full(pixels.shape[:2], 255)
    for channel, added in enumerate((reds, greens, blues)):
        value = pixels[..., channel].astype(np.int64)
        low = np.maximum(low, np.where(value > 0, value - added, 0))
        high = np.minimum(high, np.where(value < 255, value - added, 255))
    return low.astype(np.int16), high.astype(np.int16)
