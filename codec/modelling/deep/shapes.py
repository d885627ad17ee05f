"""How errors are distributed in units of what is expected of them: histograms that start alike and learn.

An expert is a prediction with an expected error; its histogram keeps (value - prediction) / expected error in bins of
a tenth, as cumulative counts between which it is interpolated. So one histogram serves dark and light. As in
codec/modelling/histograms.py, each tells the mixer two things of a decision.
"""

from typing import NamedTuple

import numpy as np

from codec.modelling.histograms import log2
from codec.modelling.logistic import HISTOGRAMS
from codec.modelling.mixer import INPUT_BITS
from runtime.kernels import inlined
from runtime.least_squares import UNIT
from runtime.vectors import LANES, add, bits_of, halve

BINS = 128
_ENTRIES = BINS + 16
_PER_ERROR = 10  # bins in an expected error
_PART_BITS = 8  # of a bin's place
_START = HISTOGRAMS[0, 7]  # that of such bins
_CAME = 64  # what a value counts
_MOST = 400 * _CAME  # counts at which all halve
_DOUBT = np.int32(6554)  # both parts of a decision count 0.4 values more
_MIDDLE, _LAST = np.float32(BINS << (_PART_BITS - 1)), np.float32((BINS << _PART_BITS) - 1)
_FAR = np.float32(1 << 22)
_BLOCKS = _ENTRIES // LANES
_WIDTHS, _PHASES = 6, 4  # a value is spread over 2, 4 .. 64 bins, from a quarter of a bin on
_RAMP = 2 * _ENTRIES  # of each width and phase: what it adds to the counts, from BINS - its first bin on
_RAMPS = np.concatenate(
    [
        np.clip(((np.arange(_RAMP) - BINS) * _PHASES - phase) * (_CAME // 2 // _PHASES) >> width, 0, _CAME)
        for width in range(_WIDTHS)
        for phase in range(_PHASES)
    ]
).astype(np.uint16)
_SCALE = np.float32(_PER_ERROR << _PART_BITS)
_PER_VALUE = 127 + 3  # exponent of a scale by which a value is as wide as two bins
_ZERO = np.float32(0)
_LOGIT = 3407  # 0.3 ln 2, times 2^14
_LOGITS = np.int32(9830)  # limit of the logits: 8 times 0.3


class Shapes(NamedTuple):
    """State of a tile, and of the value at hand; R experts."""

    counts: np.ndarray  # uint16 [C, R, _ENTRIES]
    predictions: np.ndarray  # int32 [R]
    scales: np.ndarray  # float32 [R]: parts of a bin in 1/64 of a value
    below: np.ndarray  # int32 [3, R]: counts below the low end, the split and the high end of a decision
    places: np.ndarray  # int32 [3, R]: bins from the prediction to these, far out, too


def shapes(planes: int, experts: int) -> Shapes:
    """Ones that have seen nothing."""
    start = np.pad(_START, (0, _ENTRIES - len(_START)), "edge").astype(np.uint16)
    return Shapes(
        np.tile(start, (planes, experts, 1)),
        np.zeros(experts, np.int32),
        np.zeros(experts, np.float32),
        np.zeros((3, experts), np.int32),
        np.zeros((3, experts), np.int32),
    )


@inlined
def open_shapes(k, top, shapes):
    """Starts the decisions about a value of plane k below `top`, whose predictions and scales are set."""
    locate(0, k, 0, shapes)
    locate(top, k, 2, shapes)


@inlined
def scale_of(expected):
    """The scale for an expected error."""
    return _SCALE / np.float32(expected)


@inlined
def locate(value, k, end, shapes):
    """What every expert has counted below a value, which is an end of a decision."""
    at, total = np.int32(UNIT * value - UNIT // 2), len(shapes.scales)
    predictions, scales, below, places = shapes.predictions, shapes.scales, shapes.below[end], shapes.places[end]
    for e in range(total):
        away = min(max(np.float32(at - predictions[e]) * scales[e], -_FAR), _FAR)
        below[e] = np.int32(min(max(away + _MIDDLE, _ZERO), _LAST))
        places[e] = np.int32(away) >> np.int32(_PART_BITS)
    counts, row = shapes.counts.reshape(-1), k * total * _ENTRIES
    for e in range(total):
        bin, part = row + (below[e] >> np.int32(_PART_BITS)), below[e] & np.int32((1 << _PART_BITS) - 1)
        low = np.int32(counts[bin])
        below[e] = (low << np.int32(_PART_BITS)) + (np.int32(counts[bin + 1]) - low) * part
        row += _ENTRIES


@inlined
def tell_shapes(away, shapes, out):
    """The inputs for a decision, int16: logits [R], then shares [R]. away: whether its part above is that of 1."""
    total, low, split, high = len(shapes.scales), shapes.below[0], shapes.below[1], shapes.below[2]
    sign, one, logits, shares = np.int32(1 if away else -1), np.float32(2 << INPUT_BITS), out[:total], out[total:]
    first, middle, last = shapes.places[0], shapes.places[1], shapes.places[2]
    for e in range(total):
        a = split[e] - low[e] + (middle[e] - first[e]) + _DOUBT
        b = high[e] - split[e] + (last[e] - middle[e]) + _DOUBT
        logit = ((log2(b) - log2(a)) * np.int32(_LOGIT)) >> np.int32(14)
        logits[e] = min(max(logit, -_LOGITS), _LOGITS) * sign
        shares[e] = np.int32(np.float32(b - a) * one / np.float32(a + b)) * sign


@inlined
def narrow_shapes(up, shapes):
    """Takes over a decision: the split becomes the low end if it went up, else the high end."""
    end = 0 if up else 2
    for e in range(len(shapes.scales)):
        shapes.below[end, e] = shapes.below[1, e]
        shapes.places[end, e] = shapes.places[1, e]


@inlined
def count_shapes(value, k, shapes):
    """Counts a value in all histograms, spread over about the width that it has, or that of two bins."""
    at, total = np.int32(UNIT * value), len(shapes.scales)
    places, widths = shapes.places[0], shapes.places[1]
    for e in range(total):
        away = np.float32(at - shapes.predictions[e]) * shapes.scales[e] + _MIDDLE
        exponent = (bits_of(shapes.scales[e]) >> np.int32(23)) - np.int32(_PER_VALUE)
        widths[e] = min(max(exponent, np.int32(0)), np.int32(_WIDTHS - 1))
        half = np.int32(1 << _PART_BITS) << widths[e]
        place = np.int32(min(max(away, _ZERO), _LAST)) - half
        places[e] = min(max(place, np.int32(0)), np.int32(BINS << _PART_BITS) - half - half)
    counts = shapes.counts.reshape(-1)
    for e in range(total):
        row, place = (k * total + e) * _ENTRIES, np.int64(places[e])
        bin, phase = place >> _PART_BITS, (place >> (_PART_BITS - 2)) & (_PHASES - 1)
        block, ramp = bin // LANES, (np.int64(widths[e]) * _PHASES + phase) * _RAMP + BINS - bin
        add(counts, row + block * LANES, _RAMPS, ramp + block * LANES, _BLOCKS - block)
        if counts[row + BINS] > _MOST:
            halve(counts, row, _BLOCKS)
