"""Which colours occur at all: a photograph that was once a JPEG, a video frame or a scan in another colour space holds
only a sparse lattice of RGB triples, and so does a picture with a palette.

Three chained experts correct the network's probabilities q of the values v near the expected one by how often v came
compared with how often it was expected: q' = q (N + rate) / (E + rate), given first nothing (red) or the red value,
then the green value, then both. N counts, E adds up each expert's own input q. Probabilities here are integers out of
2^22, counts in steps of 2^-10; every window of a position holds at most WINDOW values.
"""

import numpy as np

from runtime.kernels import kernel

STAGES = 3
WINDOW = 28
PROBABILITY_BITS = 22
_COUNT_BITS = 10
_RATES = (2 << _COUNT_BITS, 2 << _COUNT_BITS, 31)  # 2, 2, 0.03: how soon an expert believes its counts
_SHIFT = PROBABILITY_BITS - _COUNT_BITS
_SPLIT = 20  # bits of E in an entry
_MOST = (1 << _SPLIT) - 1


class Lattice:
    """Counts of one tile. single: uint32 [2, 3, 256, 256] (given nothing or red; given green); pairs: [65536, 256]
    (blue given both). An entry is 2^20 N + E, E in steps of 2^-10; it is halved when either has no room."""

    def __init__(self) -> None:
        self.single = np.zeros((2, 3, 256, 256), np.uint32)
        self.pairs = np.zeros((65536, 256), np.uint32)
        self.arrays = (self.single, self.pairs)


@kernel
def divided(a, b):
    """a // b for 0 <= a < 2^53 and 0 < b < 2^53: one correctly rounded division, which many processors do faster."""
    return np.int64(np.float64(a) / np.float64(b))


@kernel
def correct(row, channel, red, green, low, high, windows, curves, single, pairs):
    """Fills the three experts of a position. windows int64 [n, 4, WINDOW]: [row, 0] holds q for values low .. high - 1,
    each next one the corrected q; curves int64 [n, 4, WINDOW + 1]: [row, 1:] gets their running sums."""
    start, size, red, green = np.uint64(low), np.uint64(high - low), np.uint64(red), np.uint64(green)
    mass = 0
    for i in range(size):
        mass += windows[row, 0, i]
    for stage in range(STAGES):
        total = 0
        if stage < 2:
            given, rate = red if stage == 0 else green, _RATES[0]
            for i in range(size):
                q = _rated(windows[row, stage, i], single[stage, channel, given, start + i], rate)
                windows[row, stage + 1, i] = q
                total += q
        elif channel == 2:
            pair = red * np.uint64(256) + green
            for i in range(size):
                q = _rated(windows[row, stage, i], pairs[pair, start + i], _RATES[2])
                windows[row, stage + 1, i] = q
                total += q
        else:
            for i in range(size):
                windows[row, stage + 1, i] = windows[row, stage, i]
                curves[row, stage + 1, i] = curves[row, stage, i]
            curves[row, stage + 1, size] = curves[row, stage, size]
            break
        scale, below = divided(mass << 20, max(total, 1)), 0
        curves[row, stage + 1, 0] = 0
        for i in range(size):
            q = ((windows[row, stage + 1, i] * scale) >> 20) + 1
            windows[row, stage + 1, i] = q
            below += q
            curves[row, stage + 1, i + np.uint64(1)] = below


@kernel
def _rated(q, entry, rate):
    """q (N + rate) // (E + rate), at most 2^10 q; q is below 2^22, the product below 2^45."""
    came, expected = (np.int64(entry) >> _SPLIT) << _COUNT_BITS, np.int64(entry) & _MOST
    return divided(q * min(came + rate, (expected + rate) << 10), expected + rate)


@kernel
def count(row, channel, red, green, low, high, value, windows, single, pairs):
    """Takes over a coded value: what was expected of every value in the window, and what came."""
    start, size = np.uint64(low), np.uint64(high - low)
    red, green, v, pair = np.uint64(red), np.uint64(green), np.uint64(value), np.uint64(red * 256 + green)
    for i in range(size):
        single[0, channel, red, start + i] = _added(single[0, channel, red, start + i], 0, windows[row, 0, i])
        single[1, channel, green, start + i] = _added(single[1, channel, green, start + i], 0, windows[row, 1, i])
    single[0, channel, red, v] = _added(single[0, channel, red, v], 1, 0)
    single[1, channel, green, v] = _added(single[1, channel, green, v], 1, 0)
    if channel == 2:
        for i in range(size):
            pairs[pair, start + i] = _added(pairs[pair, start + i], 0, windows[row, 2, i])
        pairs[pair, v] = _added(pairs[pair, v], 1, 0)


@kernel
def _added(entry, came, q):
    """An entry after `came` more values and q more expected."""
    came, expected = (np.int64(entry) >> _SPLIT) + came, (np.int64(entry) & _MOST) + (q >> _SHIFT)
    full = int(expected > _MOST or came >> (32 - _SPLIT) > 0)
    return np.uint32((came >> full << _SPLIT) + (expected >> full))
