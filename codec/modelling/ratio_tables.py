"""Ratio tables: which colours occur at all. A photograph that was once a JPEG, a video frame or a scan in another
colour space holds only a sparse lattice of RGB triples, and so does a picture with a palette.

Three chained stages correct the network's probabilities q of the values v near the expected one by how often v came
compared with how often it was expected: q' = q (N + rate) / (E + rate), given first nothing (red) or the red value,
then the green value, then both. N counts, E adds up each stage's own input q. Probabilities here are integers out of
2^22, counts in steps of 2^-10; the window of a position holds at most WINDOW values. (This project's.)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from codec.modelling.mixture import cdf, curve
from runtime import rules
from runtime.kernels import inlined

STAGES = 3
UNIT_SHIFT = 15  # of a mixture's masses, 2^37 in all, to those of this stage, 2^22
_REACH = np.array([6, 10, 12, 14, 14], np.int64)  # of the window to either side, by class of the ladder
WINDOW = 28
_COUNT_BITS = 10
_RATES = (2 << _COUNT_BITS, 2 << _COUNT_BITS, 31)  # 2, 2, 0.03: how soon a stage believes its counts
_SHIFT = rules.CDF_BITS - _COUNT_BITS
_SPLIT = 20  # bits of E in an entry
_MOST = (1 << _SPLIT) - 1


class RatioTables(NamedTuple):
    """Counts of one tile. An entry is 2^20 N + E, E in steps of 2^-10; it is halved when either has no room."""

    single: np.ndarray  # uint32 [2, 3, 256, 256]: given nothing (red) or red; given green
    pairs: np.ndarray  # uint32 [65536, 256]: blue, given both
    bounds: np.ndarray  # int64 [2]: the values low .. high - 1 of the window at hand
    window: np.ndarray  # int64 [1 + STAGES, WINDOW]: q of each of them, the network's and after each stage
    sums: np.ndarray  # int64 [1 + STAGES, WINDOW + 1]: q of all values below; of the network from 0, else from low


def ratio_tables() -> RatioTables:
    """Empty ones."""
    return RatioTables(
        np.zeros((2, 3, 256, 256), np.uint32),
        np.zeros((65536, 256), np.uint32),
        np.zeros(2, np.int64),
        np.zeros((1 + STAGES, WINDOW), np.int64),
        np.zeros((1 + STAGES, WINDOW + 1), np.int64),
    )


@inlined
def divided(a, b):
    """a // b for 0 <= a < 2^53 and 0 < b < 2^53: one correctly rounded division, which many processors do faster."""
    return np.int64(np.float64(a) / np.float64(b))


@inlined
def open_window(tables, node, given, mixture, logistic):
    """Fills the window round a value's first split. given: the channel, the red and the green value, 0 if unknown."""
    channel, red, green = given
    reach = _REACH[node.deviation]
    low, high = max(0, node.split - reach), min(256, node.split + reach)
    tables.bounds[0], tables.bounds[1] = low, high
    window, sums, count = tables.window, tables.sums, high - low
    curve(mixture, low, count, logistic, sums[0])
    sums[0, 0] >>= UNIT_SHIFT
    for i in range(count):
        sums[0, i + 1] >>= UNIT_SHIFT
        window[0, i] = sums[0, i + 1] - sums[0, i]
    mass = sums[0, count] - sums[0, 0]
    _correct(tables, 1, mass, tables.single[0, channel, red, low:high], _RATES[0])
    _correct(tables, 2, mass, tables.single[1, channel, green, low:high], _RATES[1])
    if channel == 2:
        _correct(tables, 3, mass, tables.pairs[red * 256 + green, low:high], _RATES[2])
    else:
        for i in range(count):
            window[3, i], sums[3, i + 1] = window[2, i], sums[2, i + 1]
        sums[3, 0] = 0


@inlined
def _correct(tables, stage, mass, entries, rate):
    """One stage: its q from those of the stage before, scaled to their mass again, and their sums."""
    before, after, sums, total = tables.window[stage - 1], tables.window[stage], tables.sums[stage], 0
    count = len(entries)
    for i in range(count):
        came, expected = np.int64(entries[i] >> np.uint32(_SPLIT)) << _COUNT_BITS, np.int64(entries[i]) & _MOST
        # at most 2^10 q, which is below 2^22; the product stays below 2^45
        q = divided(before[i] * min(came + rate, (expected + rate) << 10), expected + rate)
        after[i] = q
        total += q
    scale, below = divided(mass << 20, max(total, 1)), 0
    sums[0] = 0
    for i in range(count):
        q = ((after[i] * scale) >> 20) + 1
        after[i] = q
        below += q
        sums[i + 1] = below


@inlined
def masses(tables, value, mixture, logistic, out):
    """F(value) out of about 2^22 by the network and by each stage, to out[0] .. out[STAGES]; outside the window the
    stages follow the network."""
    low, sums = tables.bounds[0], tables.sums
    count, i = tables.bounds[1] - low, value - low
    if 0 < i < count:
        out[0] = sums[0, i]
        whole = sums[0, count] - sums[0, 0]
        for stage in range(1, STAGES + 1):
            out[stage] = sums[0, 0] + divided(whole * sums[stage, i], sums[stage, count])
    else:
        network = cdf(mixture, value, logistic) >> UNIT_SHIFT
        for stage in range(STAGES + 1):
            out[stage] = network


@inlined
def count(tables, given, value):
    """Takes over a coded value: what was expected of every value in the window, and what came."""
    channel, red, green = given
    low, high = tables.bounds[0], tables.bounds[1]
    _expect(tables.single[0, channel, red, low:high], tables.window[0])
    _expect(tables.single[1, channel, green, low:high], tables.window[1])
    _came(tables.single[0, channel, red], value)
    _came(tables.single[1, channel, green], value)
    if channel == 2:
        _expect(tables.pairs[red * 256 + green, low:high], tables.window[2])
        _came(tables.pairs[red * 256 + green], value)


@inlined
def _expect(entries, window):
    for i in range(len(entries)):
        came, expected = np.int64(entries[i]) >> _SPLIT, (np.int64(entries[i]) & _MOST) + (window[i] >> _SHIFT)
        full = np.int64(expected > _MOST)
        entries[i] = np.uint32(((came >> full) << _SPLIT) + (expected >> full))


@inlined
def _came(entries, value):
    came, expected = np.int64(entries[value] >> np.uint32(_SPLIT)) + 1, np.int64(entries[value]) & _MOST
    full = np.int64(came >> (32 - _SPLIT) > 0)
    entries[value] = np.uint32(((came >> full) << _SPLIT) + (expected >> full))
