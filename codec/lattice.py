"""Which colours occur at all: a photograph that was once a JPEG, a video frame or a scan in another colour space holds
only a sparse lattice of RGB triples, and so does a picture with a palette.

Three chained experts correct the network's probabilities q of the values v near the expected one by how often v came
compared with how often it was expected: q' = q (N + rate) / (E + rate), given first nothing (red) or the red value,
then the green value, then both. N counts, E adds up each expert's own input q. Probabilities here are integers out of
2^24, counts in steps of 2^-10; every window of a position holds at most WINDOW values.
"""

import numpy as np

from runtime.kernels import kernel

STAGES = 3
WINDOW = 28
PROBABILITY_BITS = 24
_COUNT_BITS = 10
_RATES = (2 << _COUNT_BITS, 2 << _COUNT_BITS, 31)  # 2, 2, 0.03: how soon an expert believes its counts
_SHIFT = PROBABILITY_BITS - _COUNT_BITS


class Lattice:
    """Counts of one tile. counts, expected: int32 [2, 3, 256, 256] (given nothing or red; given green) and
    [65536, 256] (blue given both). A count stays below 2^30 while a tile has at most 2^20 pixels."""

    def __init__(self) -> None:
        self.counts, self.expected = np.zeros((2, 2, 3, 256, 256), np.int32)
        self.pair_counts, self.pair_expected = np.zeros((2, 65536, 256), np.int32)
        self.arrays = (self.counts, self.expected, self.pair_counts, self.pair_expected)


@kernel
def _rated(q, counted, expected, rate):
    """q (counted + rate) / (expected + rate), at most 2^10 q: below 2^35 for q below 2^25."""
    whole = np.int64(expected) + rate
    return q * min(np.int64(counted) + rate, whole << 10) // whole


@kernel
def correct(channel, red, green, low, high, window, cumulative, counts, expected, pair_counts, pair_expected):
    """Fills the three experts of a position. window int64 [4, WINDOW]: row 0 holds q for values low .. high - 1, each
    next row the corrected one; cumulative int64 [3, WINDOW + 1]: its running sums. Sums stay those of row 0."""
    size = high - low
    mass = 0
    for i in range(size):
        mass += window[0, i]
    for stage in range(STAGES):
        total = 0
        for i in range(size):
            q = window[stage, i]
            if stage == 0:
                q = _rated(q, counts[0, channel, red, low + i], expected[0, channel, red, low + i], _RATES[0])
            elif stage == 1:
                q = _rated(q, counts[1, channel, green, low + i], expected[1, channel, green, low + i], _RATES[1])
            elif channel == 2:
                pair = red * 256 + green
                q = _rated(q, pair_counts[pair, low + i], pair_expected[pair, low + i], _RATES[2])
            window[stage + 1, i] = q
            total += q
        scale = (mass << 20) // max(total, 1)
        cumulative[stage, 0] = 0
        for i in range(size):
            q = ((window[stage + 1, i] * scale) >> 20) + 1
            window[stage + 1, i] = q
            cumulative[stage, i + 1] = cumulative[stage, i] + q


@kernel
def count(channel, red, green, low, high, value, window, counts, expected, pair_counts, pair_expected):
    """Takes over a coded value: what was expected of every value in the window, and what came."""
    one = 1 << _COUNT_BITS
    for i in range(high - low):
        v = low + i
        expected[0, channel, red, v] += window[0, i] >> _SHIFT
        expected[1, channel, green, v] += window[1, i] >> _SHIFT
        if channel == 2:
            pair_expected[red * 256 + green, v] += window[2, i] >> _SHIFT
    counts[0, channel, red, value] += one
    counts[1, channel, green, value] += one
    if channel == 2:
        pair_counts[red * 256 + green, value] += one
