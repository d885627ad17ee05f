"""What a value may be: least squares, their blend, and simple forms of a few neighbours.

Members of a forecast are predictions in 1/64: 0 the blend corrected by a fit of its own, 1 the blend, 2 to 4 least
squares of three windows, then FORMS forms from each of three bases: of the plane itself; of how far it stands from the
plane before (in the first plane: from the corrected blend); of how far from plane 0 or another prediction. Their
absolute errors are kept in rings as in blend.py.
"""

from typing import NamedTuple

import numpy as np

from runtime import least_squares
from runtime.kernels import inlined
from runtime.least_squares import (
    ALL,
    FIRST_ERROR,
    LANES,
    LAST,
    LEFT,
    RING,
    TOP,
    UNIT,
    Canvas,
    Fits,
    Predictor,
    Settings,
)

_GREY = Settings(((24, 0, 0),), 0.94, 0.85, (4.0, 4.0, 4.0))
_COLOUR = Settings(((16, 4, 4), (12, 8, 4), (12, 8, 7)), 0.94, 0.85, (4.0, 4.0, 4.0))
_FAST_GREY = Settings(((6, 0, 0),), 0.86, 0.75, (4.0, 4.0, 4.0))
_FAST = Settings(((4, 1, 1), (4, 3, 1), (4, 3, 2)), 0.86, 0.75, (4.0, 4.0, 4.0))
_SLOW_GREY = Settings(((24, 0, 0),), 0.998, 0.97, (4.0, 4.0, 4.0))
_SLOW = Settings(((20, 7, 7), (18, 8, 7), (18, 8, 8)), 0.998, 0.97, (4.0, 4.0, 4.0))
_INTERVAL, _SLOW_INTERVAL = 2, 8  # of the fast ones 1
_FITTED = 3  # least squares
_FIRST_FIT, _FIRST_FORM, FORMS = 2, 5, 5
MEMBERS = _FIRST_FORM + 3 * FORMS
_NEIGHBOURS = 6  # features of the correction that are errors of the blend around
_FEATURES = _FITTED + _NEIGHBOURS
_DECAY, _ROW_DECAY, _RIDGE = 0.96, 0.9, 4.0
_FLOOR = np.float32(0.05)  # of a squared error in a prediction's weight
_SCALE = np.float32(1 / UNIT)
_ZERO, _HALF, _ONE = np.float32(0), np.float32(0.5), np.float32(1)
SIGNED = 2  # members whose signed errors are kept, too: the two blends


class Forecast(NamedTuple):
    """State of a tile, and the predictions at the position at hand; C planes."""

    own: Predictor
    fast: Predictor
    slow: Predictor
    fits: Fits  # the blend's correction
    errors: np.ndarray  # int32 [C, H + 2, RING, MEMBERS]: absolute, [r + 2, c & LAST]
    signed: np.ndarray  # int32 [C, H + 2, RING, SIGNED]
    members: np.ndarray  # int64 [MEMBERS]
    near: np.ndarray  # int64 [MEMBERS]: eight times their mean absolute errors nearby
    origins: np.ndarray  # float32 [2]: what targets are relative to, of the pixels' predictors and of the fit


def forecast(canvas: Canvas) -> Forecast:
    """One that has seen nothing."""
    height, planes = canvas.size.height, len(canvas.pixels)
    grey = planes == 1
    return Forecast(
        least_squares.predictor(canvas, _GREY if grey else _COLOUR, _INTERVAL, True),
        least_squares.predictor(canvas, _FAST_GREY if grey else _FAST, 1, True),
        least_squares.predictor(canvas, _SLOW_GREY if grey else _SLOW, _SLOW_INTERVAL, True),
        least_squares.fits(height, [_FEATURES] * planes, _DECAY, _ROW_DECAY, [_RIDGE] * planes, _INTERVAL, True),
        np.full((planes, height + 2, RING, MEMBERS), FIRST_ERROR, np.int32),
        np.zeros((planes, height + 2, RING, SIGNED), np.int32),
        np.zeros(MEMBERS, np.int64),
        np.zeros(MEMBERS, np.int64),
        np.zeros(2, np.float32),
    )


@inlined
def refit_forecast(level, k, canvas, forecast, rows=ALL):
    """Fits all of plane k to the levels before, and foresees what it can of the predictions at this one."""
    for member in (forecast.own, forecast.fast, forecast.slow):
        least_squares.refit(level, canvas.size, k, member.fits, rows)
        least_squares.foresee(level, k, canvas, member, rows)
    least_squares.refit(level, canvas.size, k, forecast.fits, rows)


@inlined
def predict_members(level, k, row, canvas, forecast):
    """Predicts plane k at a level's row: sets members, near and origins."""
    c, members = level - 2 * row, forecast.members
    _look_around(forecast.errors[k], row, c, forecast.near)
    members[2], origin = least_squares.predict(level, k, row, canvas, forecast.own)
    members[3], origin = least_squares.predict(level, k, row, canvas, forecast.fast)
    members[4], origin = least_squares.predict(level, k, row, canvas, forecast.slow)
    forecast.origins[0] = origin
    _blend(level, k, row, canvas, forecast)
    _predict_forms(k, row, c, canvas, forecast)


@inlined
def _look_around(errors, row, c, near):
    own, above = errors[row + 2], errors[row + 1]
    w, ww, nn = own[(c - 1) & LAST], own[(c - 2) & LAST], errors[row, c & LAST]
    n, ne, nw = above[c & LAST], above[(c + 1) & LAST], above[(c - 1) & LAST]
    for q in range(MEMBERS):
        near[q] = 2 * (w[q] + n[q]) + ne[q] + nw[q] + ww[q] + nn[q]


@inlined
def _blend(level, k, row, canvas, forecast):
    """The least squares weighed by their errors nearby, and that corrected by what is known of its errors."""
    c, members, near, fits = level - 2 * row, forecast.members, forecast.near, forecast.fits
    block, lane = row // LANES, row % LANES
    f = fits.features[k, block, least_squares.slot_of(level, k, fits), :, lane]
    total, mean = _ZERO, _ZERO
    for i in range(_FITTED):
        error = np.float32(near[_FIRST_FIT + i]) * np.float32(0.125 / UNIT)
        g = error * error + _FLOOR
        g = _ONE / (g * g)
        total += g
        mean += g * np.float32(members[_FIRST_FIT + i])
    mean = mean / total * _SCALE
    for i in range(_FITTED):
        f[i] = np.float32(members[_FIRST_FIT + i]) * _SCALE - mean
    own, above = forecast.signed[k, row + 2], forecast.signed[k, row + 1]
    f[_FITTED] = np.float32(own[(c - 1) & LAST, 1]) * _SCALE
    f[_FITTED + 1] = np.float32(above[c & LAST, 1]) * _SCALE
    f[_FITTED + 2] = np.float32(above[(c + 1) & LAST, 1]) * _SCALE
    f[_FITTED + 3] = np.float32(above[(c - 1) & LAST, 1]) * _SCALE
    for i in range(2):
        f[_FITTED + 4 + i] = np.float32(elsewhere(forecast.signed, k, i, (row, c), 1)) * _SCALE
    forecast.origins[1] = value = mean
    members[1] = least_squares.in_units(value, canvas.white)
    for i in range(_FEATURES):
        value += fits.weights[k, block, i, lane] * f[i]
    members[0] = least_squares.in_units(value, canvas.white)


@inlined
def elsewhere(rings, k, i, place, member):
    """What rings have of a member in another plane, (k + 1 + i) mod 3, where it is known: here or at W; in grey of its
    own plane at NE and NW. place: row and column."""
    row, c = place
    if len(rings) == 1:
        return rings[0, row + 1, (c + 1 - 2 * i) & LAST, member]
    other = (k + 1 + i) % 3
    return rings[other, row + 2, (c if other < k else c - 1) & LAST, member]


@inlined
def _predict_forms(k, row, c, canvas, forecast):
    """The simple forms from their three bases."""
    y, x, pixels, members = row + TOP, c + LEFT, canvas.pixels, forecast.members
    signed, own, most = forecast.signed[k], pixels[k], np.int64(canvas.white) * UNIT
    around = _at(own, y, x - 1), _at(own, y, x - 2), _at(own, y - 1, x), _at(own, y - 1, x + 1), _at(own, y - 1, x - 1)
    _put_forms(0, np.int64(0), around, members)
    if k == 0:
        _put_forms(1, members[0], _errors_around(signed, row, c, 0), members)
        _put_forms(2, members[1], _errors_around(signed, row, c, 1), members)
    else:
        _put_forms(1, _at(pixels[k - 1], y, x), _differences(around, pixels[k - 1], y, x), members)
        if k == 1:
            _put_forms(2, members[0], _errors_around(signed, row, c, 0), members)
        else:
            _put_forms(2, _at(pixels[0], y, x), _differences(around, pixels[0], y, x), members)
    for q in range(_FIRST_FORM, MEMBERS):
        members[q] = min(max(members[q], 0), most)


@inlined
def _put_forms(base, here, around, members):
    """The forms from one base: what is known here, and how far the neighbours are from the same there."""
    w, ww, n, ne, nw = around
    at = _FIRST_FORM + FORMS * base
    members[at] = here + w
    members[at + 1] = here + n
    members[at + 2] = here + min(max(w + n - nw, min(w, n)), max(w, n))
    members[at + 3] = here + ((w + n) >> 1) + ((ne - nw) >> 2)
    members[at + 4] = here + ((3 * w - ww + n + ne) >> 2)


@inlined
def _errors_around(signed, row, c, member):
    """A member's signed errors at W, WW, N, NE, NW."""
    own, above = signed[row + 2], signed[row + 1]
    w, ww, n = own[(c - 1) & LAST, member], own[(c - 2) & LAST, member], above[c & LAST, member]
    ne, nw = above[(c + 1) & LAST, member], above[(c - 1) & LAST, member]
    return np.int64(w), np.int64(ww), np.int64(n), np.int64(ne), np.int64(nw)


@inlined
def _differences(around, plane, y, x):
    """How far the neighbours are from those in another plane."""
    w, ww, n, ne, nw = around
    w, ww, n = w - _at(plane, y, x - 1), ww - _at(plane, y, x - 2), n - _at(plane, y - 1, x)
    return w, ww, n, ne - _at(plane, y - 1, x + 1), nw - _at(plane, y - 1, x - 1)


@inlined
def _at(plane, y, x):
    return np.int64(plane[y, x]) * UNIT


@inlined
def settle_members(level, k, row, value, width, forecast):
    """Enters the true value of what `predict_members` predicted last."""
    c, wanted, members = level - 2 * row, np.int64(value) * UNIT, forecast.members
    errors, signed = forecast.errors[k, row + 2], forecast.signed[k, row + 2]
    for q in range(MEMBERS):
        errors[c & LAST, q] = abs(wanted - members[q])
    for q in range(SIGNED):
        signed[c & LAST, q] = wanted - members[q]
    if c == width - 1:
        for q in range(MEMBERS):
            errors[(c + 1) & LAST, q] = errors[c & LAST, q]
        for q in range(SIGNED):
            signed[(c + 1) & LAST, q] = signed[c & LAST, q]
    least_squares.learn(level, k, row, value, (members[2], forecast.origins[0]), forecast.own.fits)
    least_squares.learn(level, k, row, value, (members[3], forecast.origins[0]), forecast.fast.fits)
    least_squares.learn(level, k, row, value, (members[4], forecast.origins[0]), forecast.slow.fits)
    least_squares.learn(level, k, row, value, (members[0], forecast.origins[1]), forecast.fits)
