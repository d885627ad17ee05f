"""Lattices of colours: a picture that was once in YCbCr of eight bits, as JPEG's and video's are, holds at most one in
four of all RGB triples.

The encoder says which conversion a picture came through. Then the mixture's masses of blue's values near the expected
one are weighed by whether the triple that they would make is possible; by how much that moves the logit of a decision,
what is mixed is moved. A triple off the lattice, as an edit leaves, costs some bits; where a neighbour is off it,
nothing is weighed. (This project's.)
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from codec.modelling.window import WINDOW, mass_below
from runtime.kernels import inlined, kernel
from runtime.least_squares import LEFT, TOP

BLUE = 2
_POSSIBLE_BITS = 8  # a possible value weighs 2^8 of an impossible one
_OUTSIDE_BITS = 6  # and one outside the window, of which a fourth is possible, 2^6
_FLOOR = 4  # added to each mass out of 2^22


class Conversion(NamedTuple):
    """R, G, B = (luma (Y - black) + cb Cb + cr Cr + rounding) >> 16, held within 0 .. 255; Cb and Cr less 128."""

    luma: int
    black: int
    red_cr: int
    green_cb: int
    green_cr: int
    blue_cb: int
    rounding: int


CONVERSIONS = (  # numbers of lattices are from 1 on
    Conversion(65536, 0, 91881, -22554, -46802, 116130, 32768),  # JFIF as libjpeg computes it
    Conversion(65536, 0, 91881, -22554, -46802, 116130, 0),  # the same rounded down, as plain programs do
    Conversion(76309, 16, 104597, -25675, -53279, 132201, 32768),  # video by ITU-R BT.601
    Conversion(76309, 16, 117489, -13975, -34925, 138438, 32768),  # and by BT.709
)


class Lattice(NamedTuple):
    """State of a tile, and of the value at hand."""

    possible: np.ndarray  # bool [256, 256, 256] by R, G, B; or [0, 0, 0] for no lattice
    weighs: np.ndarray  # bool [1]: whether the value at hand is weighed
    weighed: np.ndarray  # int64 [WINDOW + 1]: F(low + i) of the window, masses weighed


def lattice(number: int) -> Lattice:
    """That of a conversion, 0 for none."""
    possible = _possible(number) if number else np.zeros((0, 0, 0), np.bool_)
    return Lattice(possible, np.zeros(1, np.bool_), np.zeros(WINDOW + 1, np.int64))


@lru_cache(maxsize=2)
def _possible(number: int) -> np.ndarray:
    found = np.zeros((256, 256, 256), np.bool_)
    _convert(CONVERSIONS[number - 1], found)
    return found


@kernel
def _convert(conversion, out):
    for y in range(256):
        grey = conversion.luma * (y - conversion.black) + conversion.rounding
        for cb in range(-128, 128):
            blue = _held((grey + conversion.blue_cb * cb) >> 16)
            for cr in range(-128, 128):
                green = _held((grey + conversion.green_cb * cb + conversion.green_cr * cr) >> 16)
                out[_held((grey + conversion.red_cr * cr) >> 16), green, blue] = True


@inlined
def _held(value):
    return min(max(value, 0), 255)


@inlined
def look_for_lattice(k, row, c, pixels, lattice):
    """Finds whether a value is weighed: blue, if the tile has a lattice and what is at W and N is on it."""
    y, x = row + TOP, c + LEFT
    weighs = k == BLUE and len(lattice.possible) > 0
    lattice.weighs[0] = weighs and _is_on(lattice, pixels, y, x - 1) and _is_on(lattice, pixels, y - 1, x)


@inlined
def _is_on(lattice, pixels, y, x):
    return lattice.possible[pixels[0, y, x], pixels[1, y, x], pixels[2, y, x]]


@inlined
def weigh_window(lattice, red, green, window):
    """Weighs the masses in an open window."""
    low, sums, possible = window.low[0], window.sums, lattice.possible[red, green]
    total = np.int64(sums[0]) << _OUTSIDE_BITS
    lattice.weighed[0] = total
    for i in range(WINDOW):
        mass = np.int64(sums[i + 1] - sums[i]) + _FLOOR
        total += mass << _POSSIBLE_BITS if possible[low + i] else mass
        lattice.weighed[i + 1] = total


@inlined
def weighed_below(lattice, value, window, mixture, logistic):
    """What is weighed below a value."""
    i = value - window.low[0]
    if 0 <= i <= WINDOW:
        return lattice.weighed[i]
    plain = mass_below(value, mixture, logistic)
    if i < 0:
        return plain << _OUTSIDE_BITS
    return lattice.weighed[WINDOW] + ((plain - window.sums[WINDOW]) << _OUTSIDE_BITS)
