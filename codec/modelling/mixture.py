"""The network's distribution: a mixture of discretised logistics (PixelCNN++), from integer parameters to integers.

F(v) = sum over components of weight * logistic((v - 1/2 - mean) / scale) + a small uniform part, F(0) = 0, F(256) all.
After a channel is known the weights are multiplied by how well each component explained it, so the conditionals
multiply to the joint mixture. A *mixture* here is int64 [K, 3]: weight, mean and inverse scale of each component, in
the units of runtime/rules.py.
"""

from typing import NamedTuple

import numpy as np

from codec.entropy.range_coder import ONE, PRECISION
from runtime import rules
from runtime.kernels import inlined

_LOGITS = 16 * rules.LOGIT_UNIT - 1  # largest logit difference in the table
_UNIFORM = rules.CDF_BITS - 20  # log2 of a value's uniform mass per unit of weight: 2^-20 of the whole
TO_POSITION = rules.INVERSE_BITS - rules.POSITION_BITS + 6  # 1/64 grey level * inverse scale -> table positions
_FRACTION = (1 << rules.POSITION_BITS) - 1
END = 2 * rules.LOGISTIC_RANGE * rules.LOGISTIC_UNIT << rules.POSITION_BITS
ZERO = (rules.LOGISTIC_RANGE * rules.LOGISTIC_UNIT) << rules.POSITION_BITS
_SMALLEST = 16  # of 2^24; F's uniform part keeps probabilities above it
_LOWEST = rules.LOWEST_LOG_SCALE * rules.SCALE_UNIT
_COUPLING_BITS = rules.COUPLING_UNIT.bit_length() - 1
_MEANS = (1 << 15) - 1  # limit of a mean's shift, 1/64 grey level
_LOG_ODDS = (rules.LOGISTIC_UNIT << rules.POSITION_BITS) // rules.LOG_ODDS_UNIT  # of a position in the logistic table
_ODDS_RANGE = rules.LOGISTIC_RANGE * rules.LOG_ODDS_UNIT - 1
WEIGHT, MEAN, INVERSE = range(3)  # columns of a mixture
PARAMETERS = 10  # of a component: logit, three shifts, three log-scales, three couplings


class Tables(NamedTuple):
    """A model's tables, as runtime/tables.py checks them; int32 takes half the room in the processor's cache."""

    exponential: np.ndarray
    inverse_scale: np.ndarray
    deviation: np.ndarray
    logistic: np.ndarray


def tables_of(tables: dict[str, np.ndarray]) -> Tables:
    """Those of a loaded model."""
    return Tables(*(tables[name].astype(np.int32) for name in Tables._fields))


@inlined
def divided(a, b):
    """a / b rounded towards zero, for |a| and b below 2^53: one division of float64, faster than one of integers."""
    return np.int64(np.float64(a) / np.float64(b))


@inlined
def weigh(parameters, exponential, mixture):
    """Sets the weights of a position's mixture from its parameters, int32 [10 K]."""
    count, total = len(mixture), 0
    best = parameters[0]
    for j in range(1, count):
        best = max(best, parameters[j])
    for j in range(count):
        weight = np.int64(exponential[min(best - parameters[j], _LOGITS)])
        mixture[j, WEIGHT] = weight
        total += weight
    for j in range(count):
        mixture[j, WEIGHT] = divided(mixture[j, WEIGHT] << rules.WEIGHT_BITS, total)


@inlined
def place(channel, parameters, base, residuals, tables, mixture):
    """Sets means and scales of a channel; returns its mean, and the mean absolute error expected, in 1/64 grey level.

    residuals: int64 [2], of the channels before, value - base.
    """
    count, mean, spread, weights = len(mixture), 0, 0, 0
    shifts, scales, couplings = count * (1 + channel), count * (4 + channel), count * 7
    for j in range(count):
        shift = np.int64(parameters[shifts + j])
        if channel == 1:
            shift += _coupled(parameters[couplings + j], residuals[0])
        elif channel == 2:
            shift += _coupled(parameters[couplings + count + j], residuals[0])
            shift += _coupled(parameters[couplings + 2 * count + j], residuals[1])
        scale = min(max(parameters[scales + j] - _LOWEST, 0), rules.SCALES - 1)
        weight, centre = mixture[j, WEIGHT], base + min(max(shift, -_MEANS), _MEANS)
        mixture[j, MEAN], mixture[j, INVERSE] = centre, np.int64(tables.inverse_scale[scale])
        mean += weight * centre
        spread += weight * np.int64(tables.deviation[scale])
        weights += weight
    return divided(mean, weights), divided(spread, weights)


@inlined
def _coupled(coefficient, residual):
    limit = 2 * rules.COUPLING_UNIT
    return (min(max(np.int64(coefficient), -limit), limit) * residual) >> _COUPLING_BITS


@inlined
def explain(value, logistic, mixture):
    """Brings the weights to the posterior, once a channel's value is known."""
    total = 0
    for j in range(len(mixture)):
        below = _component_cdf(mixture, j, value, logistic) if value > 0 else 0
        above = _component_cdf(mixture, j, value + 1, logistic) if value < 255 else 1 << rules.CDF_BITS
        mixture[j, WEIGHT] *= above - below + 1
        total += mixture[j, WEIGHT]
    for j in range(len(mixture)):
        mixture[j, WEIGHT] = divided(mixture[j, WEIGHT] << rules.WEIGHT_BITS, total)


@inlined
def between(position, logistic):
    """The logistic table at a position inside it, 0 .. 2^22."""
    entry = position >> rules.POSITION_BITS
    low, high = np.int64(logistic[entry]), np.int64(logistic[entry + 1])
    return low + (((high - low) * (position & _FRACTION)) >> rules.POSITION_BITS)


@inlined
def _component_cdf(mixture, j, value, logistic):
    """Distribution function of a component below `value` - 1/2, 0 .. 2^22."""
    distance = value * rules.MEAN_UNIT - rules.MEAN_UNIT // 2 - mixture[j, MEAN]
    position = ((distance * mixture[j, INVERSE]) >> TO_POSITION) + ZERO
    if position < 0:
        return 0
    return between(position, logistic) if position < END else 1 << rules.CDF_BITS


@inlined
def cdf(mixture, value, logistic):
    """F(value) of a mixture; with weights that sum to at most 2^15 it stays below 2^38."""
    total, weights = 0, 0
    for j in range(len(mixture)):
        weights += mixture[j, WEIGHT]
    if value == 256:
        total = weights << rules.CDF_BITS
    elif value > 0:
        for j in range(len(mixture)):
            total += mixture[j, WEIGHT] * _component_cdf(mixture, j, value, logistic)
    return total + ((weights * value) << _UNIFORM)


@inlined
def curve(mixture, low, size, logistic, out):
    """out[i] = cdf(low + i) for 0 <= i <= size, all at once; low + size <= 256."""
    weights = 0
    for i in range(size + 1):
        out[i] = 0
    for j in range(len(mixture)):
        weight, step = mixture[j, WEIGHT], mixture[j, INVERSE] * rules.MEAN_UNIT
        weights += weight
        distance = low * rules.MEAN_UNIT - rules.MEAN_UNIT // 2 - mixture[j, MEAN]
        product, i = distance * mixture[j, INVERSE], 0
        while i <= size and (product >> TO_POSITION) + ZERO < 0:
            product += step
            i += 1
        while i <= size and (product >> TO_POSITION) + ZERO < END:
            out[i] += weight * between((product >> TO_POSITION) + ZERO, logistic)
            product += step
            i += 1
        while i <= size:
            out[i] += weight << rules.CDF_BITS
            i += 1
    if low == 0:
        out[0] = 0
    if low + size == 256:
        out[size] = weights << rules.CDF_BITS
    for i in range(size + 1):
        out[i] += (weights * (low + i)) << _UNIFORM


@inlined
def share(part, whole):
    """part / whole as a frequency out of 2^24, for masses below 2^38."""
    return min(max((part << PRECISION) // whole, _SMALLEST), ONE - _SMALLEST)


@inlined
def odds(log_odds, logistic):
    """The frequency out of 2^24 for log-odds in steps of 1 / LOG_ODDS_UNIT, of a binary pixel."""
    position = (min(max(np.int64(log_odds), -_ODDS_RANGE), _ODDS_RANGE) + _ODDS_RANGE + 1) * _LOG_ODDS
    entry, part = position >> rules.POSITION_BITS, position & _FRACTION
    low = np.int64(logistic[entry]) << (PRECISION - rules.CDF_BITS)
    high = np.int64(logistic[entry + 1]) << (PRECISION - rules.CDF_BITS)
    return min(max(low + (((high - low) * part) >> rules.POSITION_BITS), _SMALLEST), ONE - _SMALLEST)
