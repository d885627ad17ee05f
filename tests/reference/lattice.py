"""Section 8.8: colours that a picture from YCbCr can have, and what that moves."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from tests.reference.mixture import Mixture, centre_and_class
from tests.reference.numbers import clip

WINDOW = 16  # values
CONVERSIONS = {  # factor of Y, what is taken from it; R's of Cr, G's of Cb and Cr, B's of Cb; rounding
    1: (65536, 0, 91881, -22554, -46802, 116130, 32768),
    2: (65536, 0, 91881, -22554, -46802, 116130, 0),
    3: (76309, 16, 104597, -25675, -53279, 132201, 32768),
    4: (76309, 16, 117489, -13975, -34925, 138438, 32768),
}


@lru_cache(maxsize=1)
def possible(number: int) -> np.ndarray:
    """Whether a triple can occur, bool [256, 256, 256] by R, G, B."""
    luma, black, red, green_b, green_r, blue, rounding = CONVERSIONS[number]
    y, cb, cr = np.ogrid[:256, -128:128, -128:128]
    grey = luma * (y - black) + rounding
    made = [(grey + more) >> 16 for more in (red * cr + 0 * cb, green_b * cb + green_r * cr, blue * cb + 0 * cr)]
    found = np.zeros((256, 256, 256), bool)
    found[tuple(np.broadcast_arrays(*(value.clip(0, 255) for value in made)))] = True
    return found


class Weighed:
    """The masses of blue's values, weighed by whether they are possible after these."""

    def __init__(self, mixture: Mixture, number: int, red: int, green: int):
        self.mixture, row = mixture, possible(number)[red, green].tolist()
        u, _ = centre_and_class(mixture.mean, mixture.spread)
        self.low = clip(u - WINDOW // 2, 0, 256 - WINDOW)
        ends = [mixture.mass(v) >> 15 for v in range(self.low, self.low + WINDOW + 1)]
        self.start, self.end, self.below = ends[0], ends[-1], [64 * ends[0]]
        for v, (a, b) in enumerate(zip(ends, ends[1:]), self.low):
            self.below.append(self.below[-1] + (b - a + 4) * (256 if row[v] else 1))

    def mass(self, v: int) -> int:
        """L(v)."""
        plain = self.mixture.mass(v) >> 15
        if v < self.low:
            return 64 * plain
        if v > self.low + WINDOW:
            return self.below[-1] + 64 * (plain - self.end)
        return self.below[v - self.low]
