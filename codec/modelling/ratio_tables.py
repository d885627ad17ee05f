"""Ratio tables: which colours occur at all. A photograph that was once a JPEG, a video frame or a scan in another
colour space holds only a sparse lattice of RGB triples, one whose contrast was stretched only some values, and a
picture with a palette only its colours.

Two chained stages correct the network's probabilities q of the values v near the expected one by how often v came
compared with how often it was expected: q' = q (N + rate) / (E + rate). The first knows of the position nothing (red,
green) or its green value (blue), the second its red value (green) or both (blue); red has no second. N counts, E adds
up each stage's own input q. Probabilities here are integers out of 2^22, counts in steps of 2^-10; the window of a
position holds WINDOW values. (This project's.)
"""

from typing import NamedTuple

import numpy as np

from codec.modelling.window import WINDOW, mass_below
from runtime import rules
from runtime.kernels import inlined, prefetch

STAGES = 2
_COUNT_BITS = 10
_RATE, _BLUES_RATE = np.float32(2 << _COUNT_BITS), np.float32(31)  # 2; 0.03 where blue has its second stage
_MOST_RATIO = np.float32(500)  # keeps the sum of a window's q' below 2^31
_SHIFT = rules.CDF_BITS - _COUNT_BITS
_SPLIT = 20  # bits of E in an entry
_MOST = (1 << _SPLIT) - 1


class RatioTables(NamedTuple):
    """Counts of one tile. An entry is 2^20 N + E, E in steps of 2^-10; it is halved when either has no room."""

    first: np.ndarray  # uint32 [2 + 256, 256]: red, green, blue by green
    second: np.ndarray  # uint32 [256 + 65536, 256]: green by red, blue by both
    masses: np.ndarray  # int32 [1 + STAGES, WINDOW]: q of the window's values, the network's and after each stage
    sums: np.ndarray  # int32 [1 + STAGES, WINDOW + 1]: F(low + i) by the network and by each stage


def ratio_tables(used: bool) -> RatioTables:
    """Empty ones; without room for counts if they are not used."""
    return RatioTables(
        np.zeros((2 + 256 if used else 0, 256), np.uint32),
        np.zeros((256 + 65536 if used else 0, 256), np.uint32),
        np.zeros((1 + STAGES, WINDOW), np.int32),
        np.zeros((1 + STAGES, WINDOW + 1), np.int32),
    )


@inlined
def fetch(tables, red, green, value):
    """Asks for the memory that a window of blue near this value, clipped to 0 .. 255, will need: it is seldom near."""
    at = _row_of_second(2, red, green) * 256 + min(max(value, 0), 255) // 16 * 16
    prefetch(tables.second, at)
    prefetch(tables.second, at + (16 if value & 8 else -16))


@inlined
def correct_window(tables, given, window):
    """Corrects what is in an open window. given: the channel, the red and the green value, 0 if unknown."""
    channel, red, green = given
    low, high, masses, sums = window.low[0], window.low[0] + WINDOW, tables.masses, tables.sums
    for i in range(WINDOW + 1):
        sums[0, i] = window.sums[i]
    for i in range(WINDOW):
        masses[0, i] = sums[0, i + 1] - sums[0, i]
    _correct(tables, 1, tables.first[_row_of_first(channel, green), low:high], _RATE)
    if channel == 0:
        for i in range(WINDOW):
            masses[2, i], sums[2, i] = masses[1, i], sums[1, i]
    else:
        rate = _RATE if channel == 1 else _BLUES_RATE
        _correct(tables, 2, tables.second[_row_of_second(channel, red, green), low:high], rate)


@inlined
def _row_of_first(channel, green):
    return channel if channel < 2 else 2 + green


@inlined
def _row_of_second(channel, red, green):
    return red if channel == 1 else 256 + red * 256 + green


@inlined
def _correct(tables, stage, entries, rate):
    """One stage: its q from those of the stage before, scaled to their mass again, and their sums. In float32, each
    operation rounded; q' leaves rounded down."""
    before, after, sums, total = tables.masses[stage - 1], tables.masses[stage], tables.sums[stage], 0
    for i in range(WINDOW):
        came = np.float32((entries[i] >> np.uint32(_SPLIT)) << np.uint32(_COUNT_BITS)) + rate
        expected = np.float32(entries[i] & np.uint32(_MOST)) + rate
        after[i] = np.int32(np.float32(before[i]) * min(came / expected, _MOST_RATIO))
    for i in range(WINDOW):
        total += after[i]
    mass, below = tables.sums[0, WINDOW] - tables.sums[0, 0], np.int64(tables.sums[0, 0])
    scale = np.float32(mass) / np.float32(max(total, 1))
    for i in range(WINDOW):
        after[i] = np.int32(np.float32(after[i]) * scale)
    for i in range(WINDOW):
        sums[i] = below
        below += after[i]


@inlined
def corrected_below(tables, value, window, mixture, logistic, out):
    """F(value) out of about 2^22 by the network and by each stage, to out[0] .. out[STAGES]; outside the window the
    stages follow the network."""
    i = value - window.low[0]
    if 0 < i < WINDOW:
        for stage in range(STAGES + 1):
            out[stage] = tables.sums[stage, i]
    else:
        network = mass_below(value, mixture, logistic)
        for stage in range(STAGES + 1):
            out[stage] = network


@inlined
def count(tables, given, value, window):
    """Takes over a coded value: what was expected of every value in the window, and what came."""
    channel, red, green = given
    low, high = window.low[0], window.low[0] + WINDOW
    entries = tables.first[_row_of_first(channel, green)]
    _expect(entries[low:high], tables.masses[0])
    _came(entries, value)
    if channel > 0:
        entries = tables.second[_row_of_second(channel, red, green)]
        _expect(entries[low:high], tables.masses[1])
        _came(entries, value)


@inlined
def _expect(entries, masses):
    for i in range(WINDOW):
        expected = np.int32(entries[i] & np.uint32(_MOST)) + (masses[i] >> _SHIFT)
        full = np.int32(expected > _MOST)
        came = np.int32(entries[i] >> np.uint32(_SPLIT))
        entries[i] = np.uint32(((came >> full) << _SPLIT) + (expected >> full))


@inlined
def _came(entries, value):
    came, expected = np.int64(entries[value] >> np.uint32(_SPLIT)) + 1, np.int64(entries[value]) & _MOST
    full = np.int64(came >> (32 - _SPLIT) > 0)
    entries[value] = np.uint32(((came >> full) << _SPLIT) + (expected >> full))
