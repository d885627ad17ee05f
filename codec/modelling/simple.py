"""Simple predictions: linear forms of a few neighbours, many of them, and what each has missed by nearby.

All predictions of a value are one product of a matrix and a vector of taps (predictors.py has the list). The first
KNOWN come from elsewhere: they are the blend's members. Taps and predictions are in quarters of a grey level.
"""

from typing import NamedTuple

import numpy as np

from codec.modelling import predictors
from codec.modelling.blend import MEMBERS
from codec.modelling.reconstruction import NONE
from runtime.kernels import inlined
from runtime.least_squares import LAST, LEFT, RIGHT, RING, TOP, draw_in
from runtime.vectors import LANES, product

KNOWN = MEMBERS
UNIT = 4  # of predictions, in a grey level
_MIDDLE = 128 * UNIT  # planes are relative to it, and within +- it: then no sum leaves int16
_LEAST, _MOST = -200 * UNIT, 456 * UNIT  # of a prediction
_FIRST_ERROR = 32  # assumed where none is known yet
_LARGEST = 255
_FOUND = 256  # an error times this, plus the predictor's number, finds the least
_RED_BLEND, _RED_NETWORK, _GREEN_BLEND = 3, 4, 5  # planes of predictions, behind those of pixels
_ROLES = ((0, _RED_BLEND, _RED_NETWORK), (1, 0, _GREEN_BLEND), (2, 1, 0))  # what is coded, A and B


class Simple(NamedTuple):
    """State of a tile, and of the value at hand; Q predictors."""

    coefficients: np.ndarray  # int16 [T, Q], in quarters; Q filled up to LANES
    offsets: np.ndarray  # int64 [3, T]: where a plane's taps lie, from the position on
    held: np.ndarray  # int64: predictors whose predictions are held within four neighbours
    planes: np.ndarray  # int16 [6, H, W], padded
    taps: np.ndarray  # int16 [T]
    sums: np.ndarray  # int16 [Q]: sixteenths; filled up, too
    predictions: np.ndarray  # int32 [Q]
    near: np.ndarray  # int32 [Q]: 2 W + 2 N + NE + NW + WW + NN of the errors, 1/64 of a grey level of their mean
    errors: np.ndarray  # uint8 [3, H + 2, RING, Q]: absolute, in eighths, at [r + 2, c & LAST]
    best: np.ndarray  # uint8 [3, H + 2, RING]: which predictor missed least, the first of several
    made: np.ndarray  # uint8 [C, H, W]: a reconstruction, which two predictors go by; or NONE


def simple(height: int, width: int, count: int, made: np.ndarray = NONE) -> Simple:
    """The first `count` predictors, the blend's members among them, which have seen nothing; a reconstruction's in
    place of the last two."""
    chosen = predictors.names()[: count - KNOWN]
    forms = [predictors.form(name) for name in chosen]
    taps = sorted({tap for form in forms for tap in form})
    room = count + -count % LANES
    coefficients = np.zeros((len(taps), room), np.int16)
    for q, form in enumerate(forms, KNOWN):
        for tap, factor in form.items():
            coefficients[taps.index(tap), q] = round(factor * predictors.UNIT)
    planes = np.zeros((6, TOP + height, LEFT + width + RIGHT), np.int16)
    offsets = np.zeros((3, len(taps)), np.int64)
    for t, tap in enumerate(taps):
        role, dr, dc = predictors.offset(tap)
        for k in range(3):
            offsets[k, t] = _ROLES[k][role] * planes[0].size + dr * planes.shape[2] + dc
    return Simple(
        coefficients,
        offsets,
        np.array([q for q, name in enumerate(chosen, KNOWN) if name[0] == "["], np.int64),
        planes,
        np.zeros(len(taps), np.int16),
        np.zeros(room, np.int16),
        np.zeros(count, np.int32),
        np.zeros(count, np.int32),
        np.full((3, height + 2, RING, count), _FIRST_ERROR, np.uint8),
        np.zeros((3, height + 2, RING), np.uint8),
        made,
    )


@inlined
def foretell(k, row, c, width, members, simple):
    """Predicts plane k at a position. members: the blend's, in 1/64 grey level."""
    planes, predictions, sums = simple.planes, simple.predictions, simple.sums
    if k == 0:
        network = min(max(_quarters(members[4]) - _MIDDLE, -_MIDDLE), _MIDDLE)  # a mean may lie far off
        draw_in(row, c, width, np.int32(network), planes[_RED_NETWORK])
    if k < 2:
        draw_in(row, c, width, _quarters(members[0]) - _MIDDLE, planes[_GREEN_BLEND if k else _RED_BLEND])
    flat, here = planes.reshape(-1), (row + TOP) * planes.shape[2] + c + LEFT
    for t in range(len(simple.taps)):
        simple.taps[t] = flat[here + simple.offsets[k, t]]
    product(sums, simple.coefficients, simple.taps)
    for q in range(len(predictions)):
        prediction = ((np.int32(sums[q]) + np.int32(2)) >> np.int32(2)) + np.int32(_MIDDLE)
        predictions[q] = min(max(prediction, np.int32(_LEAST)), np.int32(_MOST))
    for q in range(KNOWN):
        predictions[q] = _quarters(members[q])
    own, y, x = planes[k], row + TOP, c + LEFT
    w, n, nw, ne = own[y, x - 1], own[y - 1, x], own[y - 1, x - 1], own[y - 1, x + 1]
    least, most = min(min(w, n), min(nw, ne)) + _MIDDLE, max(max(w, n), max(nw, ne)) + _MIDDLE
    for q in simple.held:
        predictions[q] = min(max(predictions[q], least), most)
    if len(simple.made):
        _foretell_made(simple.made[k], row, c, own[y, x - 1], own[y - 1, x], predictions[-2:])
    _look_around(simple.errors[k], row, c, simple.near)


@inlined
def _foretell_made(made, row, c, w, n, out):
    """By a reconstruction: its value, and the same with the mean of what it missed by at W and N added."""
    out[1] = np.int32(UNIT * made[row, c])
    missed = np.int32(0)
    if c > 0:
        missed += w + _MIDDLE - UNIT * made[row, c - 1]
    if row > 0:
        missed += n + _MIDDLE - UNIT * made[row - 1, c]
    out[0] = out[1] + (missed >> np.int32(c > 0 and row > 0))


@inlined
def _quarters(prediction):
    return np.int32((prediction + 8) >> 4)


@inlined
def _look_around(errors, row, c, near):
    own, above = errors[row + 2], errors[row + 1]
    w, ww, nn = own[(c - 1) & LAST], own[(c - 2) & LAST], errors[row, c & LAST]
    n, ne, nw = above[c & LAST], above[(c + 1) & LAST], above[(c - 1) & LAST]
    for q in range(len(near)):
        twice = np.int32(w[q]) + np.int32(n[q])
        once = np.int32(ne[q]) + np.int32(nw[q]) + np.int32(ww[q]) + np.int32(nn[q])
        near[q] = twice + twice + once


@inlined
def nearest(simple):
    """Which predictor has missed least nearby, the first of several."""
    return _least(simple.near)


@inlined
def _least(errors):
    best = np.int32(1 << 30)
    for q in range(len(errors)):
        best = min(best, np.int32(errors[q]) * np.int32(_FOUND) + np.int32(q))
    return np.int64(best) % _FOUND


@inlined
def settle_simple(k, row, c, width, value, simple):
    """Enters the true value of what `foretell` predicted last."""
    draw_in(row, c, width, np.int32(UNIT * value - _MIDDLE), simple.planes[k])
    errors, wanted = simple.errors[k, row + 2, c & LAST], np.int32(2 * UNIT * value)
    for q in range(len(errors)):
        errors[q] = min(abs(wanted - 2 * simple.predictions[q]), np.int32(_LARGEST))
    simple.best[k, row + 2, c & LAST] = _least(errors)
    if c == width - 1:
        beyond = simple.errors[k, row + 2, (c + 1) & LAST]
        for q in range(len(errors)):
            beyond[q] = errors[q]
