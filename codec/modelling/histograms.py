"""Residual histograms: what many predictors of a value have missed by before, each in a context of its own.

A histogram belongs to a predictor, a plane and a class: that of the predictor's own errors nearby and, for the first
predictors a second time, that of what the values nearby have cost. It keeps value - prediction in bins of a quarter, a
half or a whole grey level as cumulative counts, so that two of them give the count between two values. Each tells the
mixer two things of a decision: the logit of the share of its part away from the centre, and that share less one half
(the mechanism is paq8px's).
"""

from typing import NamedTuple

import numpy as np

from codec.modelling.logistic import HISTOGRAMS
from codec.modelling.mixer import INPUT_BITS
from codec.modelling.simple import UNIT
from runtime.kernels import inlined
from runtime.vectors import LANES, add, bits_of, halve

CLASSES = 16  # of a predictor's errors, or of costs
BINS = 128
_HALF = BINS // 2
_ENTRIES = BINS + 16  # of a histogram: counts below bins 0 .. BINS, padding
_CAME = 64  # what a value counts
_MOST = 400 * _CAME  # counts at which all halve
_FLOOR_BITS = 5  # a grey level counts 2^-5 more
_DOUBT = 820  # and both parts of a decision 0.4 values, in steps of 2^-5 / _CAME
_NONE = 2 * (127 + 4) - 1  # of near errors: class 0 is below 16 / 64 grey level, then two classes an octave
_FINE, _MEDIUM = 7, 9  # the last classes whose bins are a quarter and a half
_COSTS = np.array([19, 32, 45, 58, 70, 83, 96, 109, 122, 134, 150, 166, 186, 208])  # 1/32 bit
COST_CLASS = np.searchsorted(_COSTS, np.arange(1024), side="right").astype(np.uint8)
_SHIFTS = np.array([0] * 10 + [1] * 2 + [2] * 4, np.int32)  # log2 of a bin in quarters, of a class of costs
_BLOCKS = _ENTRIES // LANES
_RAMP = 2 * _ENTRIES  # of each shift: what a value that falls into bin b adds to the counts, from BINS - b on
_RAMPS = np.concatenate(
    [np.clip((np.arange(_RAMP) - BINS) * ((_CAME >> 2) << shift), 0, _CAME) for shift in range(3)]
).astype(np.uint16)
_LOGIT = 1703  # 0.15 ln 2, times 2^14
_LOGITS = np.int32(4915)  # limit of the logits: 8 times 0.15


class Histograms(NamedTuple):
    """State of a tile, and of the value at hand; R histograms: Q predictors, the first of them twice."""

    counts: np.ndarray  # uint16 [3 * R * CLASSES * _ENTRIES]
    predictions: np.ndarray  # int32 [R]
    rows: np.ndarray  # int32 [R]: where the histograms stand
    shifts: np.ndarray  # int32 [R]
    places: np.ndarray  # int32 [R]
    below: np.ndarray  # int32 [3, R]: counts below the low end, the split and the high end of a decision


def histograms(predictors: int, twice: int) -> Histograms:
    """Ones that have seen nothing but what is typical of their class."""
    total = predictors + twice
    first = np.concatenate([np.repeat(HISTOGRAMS[:1], predictors, 0), np.repeat(HISTOGRAMS[1:], twice, 0)])
    return Histograms(
        np.tile(np.pad(first, ((0, 0), (0, 0), (0, _ENTRIES - first.shape[2])), "edge").reshape(-1), 3),
        np.zeros(total, np.int32),
        np.zeros(total, np.int32),
        np.zeros(total, np.int32),
        np.zeros(total, np.int32),
        np.zeros((3, total), np.int32),
    )


@inlined
def open_histograms(k, simple, cost, histograms):
    """Finds those of a value that is predicted. cost: the class of what the values nearby have cost."""
    total, count = len(histograms.rows), len(simple.predictions)
    predictions, near = histograms.predictions, simple.near
    rows, shifts, first = histograms.rows, histograms.shifts, np.int32(k * total * CLASSES * _ENTRIES)
    for q in range(count):
        octave = (bits_of(np.float32(near[q])) >> np.int32(22)) - np.int32(_NONE)
        kind = min(max(octave, np.int32(0)), np.int32(CLASSES - 1))
        predictions[q] = simple.predictions[q]
        rows[q] = first + (np.int32(CLASSES) * np.int32(q) + kind) * np.int32(_ENTRIES)
        shifts[q] = np.int32(kind > _FINE) + np.int32(kind > _MEDIUM)
    for q in range(count, total):
        predictions[q] = simple.predictions[q - count]
        rows[q] = first + (np.int32(CLASSES * q) + cost) * np.int32(_ENTRIES)
        shifts[q] = _SHIFTS[cost]
    locate(0, histograms, histograms.below[0])
    locate(256, histograms, histograms.below[2])


@inlined
def locate(value, histograms, out):
    """What every histogram has counted below a value."""
    at, places = np.int32(UNIT * value - UNIT // 2), histograms.places
    for q in range(len(places)):
        bin = ((at - histograms.predictions[q]) >> histograms.shifts[q]) + np.int32(_HALF)
        places[q] = histograms.rows[q] + min(max(bin, np.int32(0)), np.int32(BINS))
    for q in range(len(places)):
        out[q] = histograms.counts[places[q]]


@inlined
def tell(node, away, histograms, out):
    """The inputs for a decision, int16: logits [R], then shares [R]. away: whether its part above is that of 1."""
    total, low, split, high = len(histograms.rows), histograms.below[0], histograms.below[1], histograms.below[2]
    under, over = np.int32(node.split - node.low + _DOUBT), np.int32(node.high - node.split + _DOUBT)
    sign, one, logits, shares = np.int32(1 if away else -1), np.float32(1 << INPUT_BITS), out[:total], out[total:]
    for q in range(total):
        a = ((split[q] - low[q]) << np.int32(_FLOOR_BITS)) + under
        b = ((high[q] - split[q]) << np.int32(_FLOOR_BITS)) + over
        logit = ((log2(b) - log2(a)) * np.int32(_LOGIT)) >> np.int32(14)
        logits[q] = min(max(logit, -_LOGITS), _LOGITS) * sign
        shares[q] = np.int32(np.float32(b - a) * one / np.float32(a + b)) * sign


@inlined
def log2(x):
    """About 4096 log2 of a whole number from 1 to 2^24 - 1: the bits of its float32, and a cubic for its fraction."""
    bits = bits_of(np.float32(x)) >> np.int32(11)
    part = bits & np.int32(4095)
    slope = np.int32(1780) - ((part * np.int32(630)) >> np.int32(12))
    return bits + ((((part * (np.int32(4096) - part)) >> np.int32(12)) * slope) >> np.int32(12))


@inlined
def narrow(up, histograms):
    """Takes over a decision: the split becomes the low end if it went up, else the high end."""
    split, end = histograms.below[1], histograms.below[0 if up else 2]
    for q in range(len(split)):
        end[q] = split[q]


@inlined
def count_value(value, histograms):
    """Counts a value in all histograms that were open."""
    at, bins, shifts = np.int32(UNIT * value - UNIT // 2), histograms.places, histograms.shifts
    for q in range(len(bins)):
        bin = ((at - histograms.predictions[q]) >> shifts[q]) + np.int32(_HALF)
        bins[q] = min(max(bin, np.int32(0)), np.int32(BINS) - (np.int32(UNIT) >> shifts[q]))
    for q in range(len(bins)):
        row, bin = np.int64(histograms.rows[q]), np.int64(bins[q])
        block, ramp = bin // LANES, np.int64(shifts[q]) * _RAMP + BINS - bin
        add(histograms.counts, row + block * LANES, _RAMPS, ramp + block * LANES, _BLOCKS - block)
        if histograms.counts[row + BINS] > _MOST:
            halve(histograms.counts, row, _BLOCKS)
