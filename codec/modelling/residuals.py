"""Residual histograms: what many simple predictors of a value have missed by before, each in its own context.

A histogram belongs to a predictor, a plane and a class: that of the predictor's own errors nearby, or, for the first
few a second time, that of what the values nearby have cost. It keeps value - prediction in bins of a quarter, a half or
a whole grey level as cumulative counts, so that two places give the count between them. Each says two things of a
decision: the logit of the share of the part away from the centre, and that share less one half.
"""

from typing import NamedTuple

import numpy as np

from codec.modelling import predictors
from codec.modelling.mixer import INPUT_BITS
from codec.modelling.vectors import LANES
from runtime.kernels import inlined
from runtime.least_squares import LAST, RING

KNOWN = 5  # predictions that come from elsewhere: blend, own, fast, slow, the network's mean
CLASSES = 16
HALF = 64  # bins on each side
BINS = 2 * HALF
_ROW = BINS + 16  # entries of a histogram, the first 0; the rest is padding
_CAME = 64  # what a value counts
_LIMIT = 400 * _CAME  # counts at which all halve
_FLOOR_BITS = 5  # a grey level counts 2^-5 at least
_TOP, _LEFT, _RIGHT = 4, 6, 8
_MIDDLE = 128
_ERRORS = np.array([16, 26, 38, 51, 70, 96, 128, 173, 230, 320, 448, 640, 896, 1280, 1920])  # of classes, 1/64
_CLASS = np.searchsorted(_ERRORS, np.arange(8 * 255 + 1), side="right").astype(np.uint8)
_COSTS = np.array([19, 32, 45, 58, 70, 83, 96, 109, 122, 134, 150, 166, 186, 208]) # 1/32 bit
COST_CLASS = np.searchsorted(_COSTS, np.arange(1024), side="right").astype(np.uint8)
_SHIFTS = np.array([[0] * 8 + [1] * 3 + [2] * 5, [0] * 10 + [1] * 2 + [2] * 4], np.int32)
_FIRST = 32  # error assumed where none is known, 1/8 grey level


class Residuals(NamedTuple):
    """State of a tile, and of the value at hand. Q predictors, the first S with a second histogram."""

    coefficients: np.ndarray  # int16 [T, Q]
    offsets: np.ndarray  # int64 [3, T]: where a plane's taps lie
    clamped: np.ndarray  # int64: predictors held within four neighbours
    planes: np.ndarray  # int16 [6, H, W], padded: red, green, blue, blend's red, network's red, blend's green; 1/4 level
    taps: np.ndarray  # int16 [T]
    sums: np.ndarray  # int16 [Q]
    predictions: np.ndarray  # int32 [Q + S]: in quarters
    errors: np.ndarray  # uint8 [3, H + 2, RING, Q], absolute, in 1/8
    best: np.ndarray  # uint8 [3, H + 2, RING]: the predictor that was best
    near: np.ndarray  # int32 [Q]: 2 W + 2 N + NE + NW + WW + NN of these
    rows: np.ndarray  # int32 [Q + S]: where the histograms start
    shifts: np.ndarray  # int32 [Q + S]
    counts: np.ndarray  # uint16 [3 * (Q + S) * CLASSES * _ROW]
    places: np.ndarray  # int32 [Q + S]
    below: np.ndarray  # int32 [3, Q + S]: counts below low, split, high


def prior() -> np.ndarray:
    middles = np.concatenate([[.2], (np.array([.25,.4,.6,.8,1.1,1.5,2,2.7,3.6,5,7,10,14,20])+np.array([.4,.6,.8,1.1,1.5,2,2.7,3.6,5,7,10,14,20,30]))/2, [40]])
    costs = .35*2.0**(np.array([.4,.8,1.2,1.6,2,2.4,2.8,3.2,3.6,4,4.4,5,5.5,6,7, 7])-1)
    out = np.zeros((2, CLASSES, _ROW))
    for kind, scales in enumerate((middles, costs)):
        for i in range(CLASSES):
            unit = (1 << _SHIFTS[kind, i]) / 4
            s = max(scales[i], .15) / 1.386
            k = (np.arange(BINS + 1) - HALF) * unit
            f = .85 / (1 + np.exp(-np.clip(k / s, -60, 60))) + .15 / (1 + np.exp(-np.clip(k / s / 3, -60, 60)))
            out[kind, i, :BINS + 1] = 6 * _CAME * (f - f[0]) / (f[-1] - f[0])
            out[kind, i, BINS + 1:] = out[kind, i, BINS]
    return np.rint(out).astype(np.uint16)


def _ramps() -> np.ndarray:
    """What is added from bin 0 on when a value falls into bin a: ramps[shift, BINS - a :]."""
    out = np.zeros((3, 2 * BINS + 32), np.int64)
    for shift in range(3):
        w = 4 >> shift
        out[shift] = np.clip((np.arange(2 * BINS + 32) - BINS) * (_CAME // w), 0, _CAME)
    return out.astype(np.uint16)

RAMPS = _ramps()
PRIOR = prior()


def residuals(height: int, width: int, count: int, second: int) -> Residuals:
    """Ones that have seen nothing. count: predictors of the list, so that KNOWN + count is a multiple of LANES."""
    chosen = predictors.names()[:count]
    forms = [predictors.form(name) for name in chosen]
    taps = sorted({tap for form in forms for tap in form})
    total = KNOWN + count
    coefficients = np.zeros((len(taps), total), np.int16)
    for q, form in enumerate(forms):
        for tap, factor in form.items():
            coefficients[taps.index(tap), KNOWN + q] = round(factor * predictors.UNIT)
    planes = np.zeros((6, _TOP + height, _LEFT + width + _RIGHT), np.int16)
    roles = ((0, 3, 4), (1, 0, 5), (2, 1, 0))
    offsets = np.zeros((3, len(taps)), np.int64)
    for k in range(3):
        for t, tap in enumerate(taps):
            role, dr, dc = predictors.offset(tap)
            offsets[k, t] = roles[k][role] * planes[0].size + dr * planes.shape[2] + dc
    clamped = np.array([KNOWN + q for q, name in enumerate(chosen) if name[0] == "["], np.int64)
    hists = total + second
    kinds = np.array([0] * total + [1] * second)
    return Residuals(
        coefficients, offsets, clamped, planes,
        np.zeros(len(taps), np.int16), np.zeros(total, np.int16), np.zeros(hists, np.int32),
        np.full((3, height + 2, RING, total), _FIRST, np.uint8),
        np.zeros((3, height + 2, RING), np.uint8),
        np.zeros(total, np.int32), np.zeros(hists, np.int32), np.zeros(hists, np.int32),
        np.tile(PRIOR[kinds].reshape(-1), 3),
        np.zeros(hists, np.int32), np.zeros((3, hists), np.int32),
    )


@inlined
def look(k, row, c, width, members, cost_class, residuals):
    """Predicts plane k at a position and finds the histograms."""
    planes = residuals.planes
    stride = planes.shape[2]
    here = (row + _TOP) * stride + c + _LEFT
    if k < 2:
        prediction = np.int16(((members[0] + 8) >> 4) - 4 * _MIDDLE)
        _draw(row, c, width, prediction, planes[3 if k == 0 else 5])
        if k == 0:
            _draw(row, c, width, np.int16(((members[4] + 8) >> 4) - 4 * _MIDDLE), planes[4])
    flat, taps, sums = planes.reshape(-1), residuals.taps, residuals.sums
    total = len(sums)
    for t in range(len(taps)):
        taps[t] = flat[here + residuals.offsets[k, t]]
    for q in range(total):
        sums[q] = 0
    for t in range(len(taps)):
        tap, factors = taps[t], residuals.coefficients[t]
        for q in range(total):
            sums[q] += np.int16(tap * factors[q])
    predictions = residuals.predictions
    for q in range(total):
        predictions[q] = min(max(((np.int32(sums[q]) + 2) >> 2) + 4 * _MIDDLE, -800), 1824)
    for i in range(5):
        predictions[i] = (members[i] + 8) >> 4
    own = planes[k]
    y, x = row + _TOP, c + _LEFT
    w, n, ne, nw = np.int32(own[y, x - 1]), np.int32(own[y - 1, x]), np.int32(own[y - 1, x + 1]), np.int32(own[y - 1, x - 1])
    least, most = min(min(w, n), min(ne, nw)) + 4 * _MIDDLE, max(max(w, n), max(ne, nw)) + 4 * _MIDDLE
    for i in range(len(residuals.clamped)):
        q = residuals.clamped[i]
        predictions[q] = min(max(predictions[q], least), most)
    near, errors = residuals.near, residuals.errors[k]
    e_w, e_ww = errors[row + 2, (c - 1) & LAST], errors[row + 2, (c - 2) & LAST]
    e_n, e_ne, e_nw = errors[row + 1, c & LAST], errors[row + 1, (c + 1) & LAST], errors[row + 1, (c - 1) & LAST]
    e_nn = errors[row, c & LAST]
    for q in range(total):
        near[q] = 2 * np.int32(e_w[q]) + 2 * np.int32(e_n[q]) + np.int32(e_ne[q]) + np.int32(e_nw[q]) + np.int32(e_ww[q]) + np.int32(e_nn[q])
    rows, shifts, hists = residuals.rows, residuals.shifts, len(residuals.rows)
    first = k * hists * CLASSES
    for q in range(total):
        kind = np.int32(_CLASS[near[q]])
        shifts[q] = _SHIFTS[0, kind]
        rows[q] = (first + q * CLASSES + kind) * _ROW
    for q in range(total, hists):
        predictions[q] = predictions[q - total]
        shifts[q] = _SHIFTS[1, cost_class]
        rows[q] = (first + q * CLASSES + cost_class) * _ROW


@inlined
def locate(value, residuals, out):
    """What every histogram has counted below `value` - 1/2."""
    at = np.int32(4 * value - 2)
    places, hists = residuals.places, len(residuals.places)
    for q in range(hists):
        bin = min(max(((at - residuals.predictions[q]) >> residuals.shifts[q]) + np.int32(HALF), np.int32(0)), np.int32(BINS))
        places[q] = residuals.rows[q] + bin
    for q in range(hists):
        out[q] = residuals.counts[places[q]]


@inlined
def _log2(x):
    """log2 of a whole number below 2^24 and above 0, times 4096, int32."""
    bits = np.float32(x).view(np.int32)
    part = (bits >> np.int32(11)) & np.int32(4095)
    bend = (part * (np.int32(4096) - part)) >> np.int32(12)
    return (bits >> np.int32(11)) + ((bend * (np.int32(1780) - ((part * np.int32(630)) >> np.int32(12)))) >> np.int32(12))


@inlined
def inputs(node, away, residuals, out):
    """Writes the inputs of a decision: logits [Q + S], then shares [Q + S]."""
    below, hists = residuals.below, len(residuals.rows)
    low, split, high = below[0], below[1], below[2]
    under, over = np.int32(node.split - node.low), np.int32(node.high - node.split)
    sign = np.int32(away)
    one = np.float32(1 << INPUT_BITS)
    logits, shares = out[:hists], out[hists : 2 * hists]
    for q in range(hists):
        a = ((split[q] - low[q]) << np.int32(_FLOOR_BITS)) + under
        b = ((high[q] - split[q]) << np.int32(_FLOOR_BITS)) + over
        logit = ((_log2(b) - _log2(a)) * np.int32(1703)) >> np.int32(14)
        logits[q] = np.int16(min(max(logit, np.int32(-4915)), np.int32(4915)) * sign)
        shares[q] = np.int16(np.int32(np.float32(b - a) * one / np.float32(a + b)) * sign)


@inlined
def narrow(up, residuals):
    """After a decision the split becomes the lower end or, if it went down, the upper one."""
    into, split = residuals.below[0 if up else 2], residuals.below[1]
    for q in range(len(split)):
        into[q] = split[q]


@inlined
def count(k, row, c, width, value, residuals):
    """Learns a value."""
    hists, total, at = len(residuals.rows), len(residuals.sums), np.int32(4 * value - 2)
    counts = residuals.counts
    for q in range(hists):
        shift = residuals.shifts[q]
        bin = min(max(((at - residuals.predictions[q]) >> shift) + np.int32(HALF), np.int32(0)), np.int32(BINS) - (np.int32(4) >> shift))
        row_q = np.int64(residuals.rows[q])
        entries, ramp = counts[row_q : row_q + BINS + 8], RAMPS[shift, BINS - bin : 2 * BINS + 8 - bin]
        for i in range(BINS + 8):
            entries[i] += ramp[i]
        if entries[BINS] > _LIMIT:
            for i in range(BINS + 8):
                entries[i] >>= np.uint16(1)
    _draw(row, c, width, np.int16(4 * (value - _MIDDLE)), residuals.planes[k])
    errors, wanted = residuals.errors[k, row + 2, c & LAST], np.int32(8 * value)
    for q in range(total):
        errors[q] = min(abs(wanted - 2 * residuals.predictions[q]), np.int32(255))
    best = np.int32(1 << 30)
    for q in range(total):
        best = min(best, (np.int32(errors[q]) << np.int32(8)) + np.int32(q))
    residuals.best[k, row + 2, c & LAST] = best & np.int32(255)
    if c == width - 1:
        more = residuals.errors[k, row + 2, (c + 1) & LAST]
        for q in range(total):
            more[q] = errors[q]


@inlined
def _draw(row, c, width, entry, plane):
    plane[row + _TOP, c + _LEFT] = entry
    if c == 0 and row + 1 < plane.shape[0] - _TOP:
        for x in range(_LEFT):
            plane[row + 1 + _TOP, x] = entry
    if c == width - 1:
        for x in range(_LEFT + width, _LEFT + width + _RIGHT):
            plane[row + _TOP, x] = entry


@inlined
def nearest(residuals):
    """The predictor with the least errors nearby."""
    best = np.int32(1 << 30)
    for q in range(len(residuals.near)):
        best = min(best, (residuals.near[q] << np.int32(8)) + np.int32(q))
    return best & np.int32(255)
