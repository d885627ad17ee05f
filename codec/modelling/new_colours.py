"""Colours that no neighbourhood foretold, value by value: eight decisions each, from the highest bit to the lowest.

Logistics around a few simple predictions, as wide as their errors have been, and adaptive probabilities by the values
and neighbours before say how likely each bit is; the mixer mixes them. A colour that was seen before is cheap, because
its values have come after each other.
"""

from typing import NamedTuple

import numpy as np

from codec.entropy.range_coder import code, spend_on
from codec.modelling.adaptive import Adaptive, adapt, adaptive, probability
from codec.modelling.exact_colours.contexts import hashed
from codec.modelling.exact_colours.memory import NOWHERE, place_of
from codec.modelling.logistic import LIMIT, SQUASH
from codec.modelling.mixer import Mixer, adjust, equal, mix, mixer, squash, stretch
from runtime.kernels import inlined

DECISIONS = 24  # of a colour
_PREDICTIONS = 7
_CONTEXTS = 5
_INPUTS = _PREDICTIONS + _CONTEXTS + 1
_LEAST_SLOTS, _MOST_SLOTS, _LINE = 1 << 10, 1 << 18, 16  # of a context, of four decisions
_CONSTANT = 1229
_RATES = np.maximum(262, 163840 // (np.arange(1024) + 50)).astype(np.int32)
_FINAL_RATE = 131
_WIDTHS = 16
_LEAST, _MOST = 8, 64 << 4  # mean errors, in sixteenths


class NewColours(NamedTuple):
    """State of a tile, and of the value at hand."""

    tree: Adaptive  # of values alone, by plane and the bits before
    probabilities: Adaptive
    mixer: Mixer
    errors: np.ndarray  # int64 [3, _PREDICTIONS]: fading means, in sixteenths
    predicted: np.ndarray  # int64 [_PREDICTIONS]
    hashes: np.ndarray  # int64 [_CONTEXTS]
    bases: np.ndarray  # int64 [_CONTEXTS]: where the probabilities of four decisions lie
    slopes: np.ndarray  # int64 [_PREDICTIONS]: of the logistics
    below: np.ndarray  # int64 [_PREDICTIONS]: their distribution functions at the ends of what is possible
    middle: np.ndarray
    above: np.ndarray
    last: np.ndarray  # int64 [1]: the colour coded last


def new_colours(positions: int) -> NewColours:
    """What starts a tile of so many positions."""
    slots = min(max(1 << (64 * positions - 1).bit_length(), _LEAST_SLOTS), _MOST_SLOTS)
    weights = np.full((3 * (8 + _WIDTHS + 16), _INPUTS + 1), 4096, np.int16)
    weights[:, _INPUTS] = 0
    return NewColours(
        adaptive(3 << 8),
        adaptive(_CONTEXTS * slots),
        mixer(weights, equal(3, 3), _RATES, _FINAL_RATE),
        np.full((3, _PREDICTIONS), 30 << 4, np.int64),
        np.zeros(_PREDICTIONS, np.int64),
        np.zeros(_CONTEXTS, np.int64),
        np.zeros(_CONTEXTS, np.int64),
        np.zeros(_PREDICTIONS, np.int64),
        np.zeros(_PREDICTIONS, np.int64),
        np.zeros(_PREDICTIONS, np.int64),
        np.zeros(_PREDICTIONS, np.int64),
        np.zeros(1, np.int64),
    )


@inlined
def code_colour(row, c, truth, state, new, coding):
    """Codes a position's colour; returns it. state: the memory of exact colours."""
    here = place_of(state, row, c)
    above, colour = here - state.stride, np.int64(0)
    west, north = np.int64(state.pixels[here - 1]), np.int64(state.pixels[above])
    west = west if west != NOWHERE else north
    west = west if west != NOWHERE else np.int64(0)
    north = north if north != NOWHERE else west
    corner, east = np.int64(state.pixels[above - 1]), np.int64(state.pixels[above + 1])
    corner = corner if corner != NOWHERE else north
    east = east if east != NOWHERE else north
    around = west, north, corner, east
    for k in range(state.channels):
        shift = 8 * (state.channels - 1 - k)
        _foresee(k, shift, colour, around, new)
        spend_on(coding, (row * len(state.column_runs) + c) * state.channels + k)
        value = _code_value(k, truth >> shift & 255, new, coding)
        for i in range(_PREDICTIONS):
            error = new.errors[k, i]
            new.errors[k, i] = error + (((abs(value - new.predicted[i]) << 4) - error) >> 2)
        colour = colour << 8 | value
    new.last[0] = colour
    return colour


@inlined
def _foresee(k, shift, before, around, new):
    """Predictions of plane k, and its contexts. before: the planes before; around: colours at W, N, NW and NE."""
    west, north, corner, east = around
    w, n, nw, ne = west >> shift & 255, north >> shift & 255, corner >> shift & 255, east >> shift & 255
    last = new.last[0] >> shift & 255
    if k == 0:
        new.predicted[0] = _clip(_median(w, n, w + n - nw))
        new.predicted[1] = w
        new.predicted[2] = n
        new.predicted[3] = (w + n + ne + nw) >> 2
        new.predicted[4] = ne
        new.predicted[5] = last
        new.predicted[6] = _clip(w + ne - n)
    else:
        up, x = shift + 8, before & 255
        pw, pn, pnw = west >> up & 255, north >> up & 255, corner >> up & 255
        new.predicted[0] = _clip(x + _median(w - pw, n - pn, w - pw + n - pn - nw + pnw))
        new.predicted[1] = x
        new.predicted[2] = _between(x, pw, pn, w, n)
        before_last = new.last[0] >> up & 255
        new.predicted[3] = _clip(x + last - before_last)
        new.predicted[4] = _between(x, pw, east >> up & 255, w, ne)
        new.predicted[5] = _between(x, pn, before_last, n, last)
        new.predicted[6] = _between(x, pw, before_last, w, last)
    known = hashed(np.int64(k), before)
    new.hashes[0] = hashed(np.int64(k), before & 255)
    new.hashes[1] = known
    new.hashes[2] = hashed(known, west)
    new.hashes[3] = hashed(known, north)
    new.hashes[4] = hashed(np.int64(k), w)


@inlined
def _clip(value):
    return min(max(value, np.int64(0)), np.int64(255))


@inlined
def _median(a, b, c):
    return max(min(a, b), min(max(a, b), c))


@inlined
def _between(x, low, high, first, last):
    """Where the line from (low, first) to (high, last) is at x; x's distance from low where there is none."""
    if low == high:
        return _clip(x + first - low)
    return _clip(first + (x - low) * (last - first) // (high - low))


@inlined
def _code_value(k, truth, new, coding):
    """Codes a value of plane k; returns it."""
    low, node, mixer = np.int64(0), np.int64(1), new.mixer
    slots = len(new.probabilities.visits) // _CONTEXTS
    width = np.int64(0)
    while (1 << width) * 8 < new.errors[k, 0] and width < _WIDTHS - 1:
        width += 1
    for i in range(_PREDICTIONS):
        new.slopes[i] = (1 << 26) // min(max(new.errors[k, i], _LEAST), _MOST)
        new.below[i] = _below(np.int64(0), new.predicted[i], new.slopes[i])
        new.above[i] = _below(np.int64(256), new.predicted[i], new.slopes[i])
    for depth in range(8):
        middle = low + (np.int64(128) >> depth)
        for i in range(_PREDICTIONS):
            new.middle[i] = _below(middle, new.predicted[i], new.slopes[i])
            upper, both = new.above[i] - new.middle[i] + 1, new.above[i] - new.below[i] + 2
            mixer.inputs[i] = stretch(min(max((upper << 16) // both, np.int64(16)), np.int64(65520)))
        if depth & 3 == 0:
            for j in range(_CONTEXTS):
                new.bases[j] = j * slots + (hashed(new.hashes[j], node) & (slots - _LINE))
            inner = np.int64(1)
        for j in range(_CONTEXTS):
            mixer.inputs[_PREDICTIONS + j] = stretch(probability(new.probabilities, new.bases[j] + inner))
        mixer.inputs[_INPUTS - 1] = stretch(probability(new.tree, k << 8 | node))
        mixer.inputs[_INPUTS] = _CONSTANT
        visits, place = new.probabilities.visits, k * (8 + _WIDTHS + 16)
        mixer.selected[0] = place + depth
        mixer.selected[1] = place + 8 + width
        seen = min(visits[new.bases[0] + inner], 3) * 4 + min(visits[new.bases[2] + inner], 3)
        mixer.selected[2] = place + 8 + _WIDTHS + seen
        logit = mix(mixer, k)
        mixed = np.int64(squash(logit))
        bit = code(coding, mixed << 8, truth >> (7 - depth) & 1)
        adjust(mixer, k, mixed, bit)
        for j in range(_CONTEXTS):
            adapt(new.probabilities, new.bases[j] + inner, bit)
        adapt(new.tree, k << 8 | node, bit)
        node, inner = 2 * node + bit, 2 * inner + bit
        if bit:
            low = middle
        for i in range(_PREDICTIONS):
            if bit:
                new.below[i] = new.middle[i]
            else:
                new.above[i] = new.middle[i]
    return low


@inlined
def _below(value, mean, slope):
    """A logistic's distribution function half below a value, out of 2^16. slope: 2^26 by its width."""
    logit = ((2 * (value - mean) - 1) * slope) >> 15
    return np.int64(SQUASH[min(max(logit, np.int64(-LIMIT)), np.int64(LIMIT)) + LIMIT])
