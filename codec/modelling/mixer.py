"""The mixer: logistic mixing of many predictions into one, as in Mahoney's PAQ, in integers.

Inputs are stretched probabilities, or what else says something about a decision, with 12 fractional bits. Several
weight sets look at them: each selects one of its weight vectors by a context of its own and gives a dot product; a
second layer of weights adds these up. Every vector learns from its own error, right after each decision, at a rate that
falls with its visits.
"""

from typing import NamedTuple

import numpy as np

from codec.modelling.logistic import LIMIT, SQUASH, STRETCH
from runtime.kernels import inlined, prefetch
from runtime.vectors import LANES, dot, nudge

UNIT_BITS = 14  # a weight of 2^14 counts an input once
WEIGHT_LIMIT = (1 << 15) - 1  # weights stay within +-2
INPUT_BITS = 12  # fractional bits of an input
_TO_LOGIT = INPUT_BITS + UNIT_BITS - 8 - 8  # of a dot product, which has lost 8 bits, to 8 fractional bits
_FINAL_BITS, _FINAL_LIMIT = 16, 1 << 20  # a weight of the second layer of 2^16 counts a set once; within +-16
_ROUND, _SHIFT = 1 << 23, 24
_LINE = 32  # weights in a line of the processor's cache
_TO_STEP = 16 + 16 - 17 - UNIT_BITS + INPUT_BITS  # of error times rate, each out of 2^16, to what a vector learns by


class Mixer(NamedTuple):
    """A mixer's state, and what the decision at hand selected."""

    weights: np.ndarray  # int16 [vectors, N]
    visits: np.ndarray  # int32 [vectors]
    final: np.ndarray  # int32 [places, sets]
    rates: np.ndarray  # int32 [R], out of 2^16, by visits; the last ones' is the lowest
    final_rate: int  # the second layer's, out of 2^16
    inputs: np.ndarray  # int16 [N]
    selected: np.ndarray  # int64 [sets]: the vectors
    outputs: np.ndarray  # int64 [sets]: what each set makes of the inputs


def mixer(weights: np.ndarray, final: np.ndarray, rates: np.ndarray, final_rate: int) -> Mixer:
    """A mixer that starts with these weights; they are copied, for it learns. There are zeros up to a whole vector of
    inputs."""
    vectors, inputs = weights.shape
    sets = final.shape[1]
    return Mixer(
        np.pad(weights, ((0, 0), (0, -inputs % LANES))).astype(np.int16),
        np.zeros(vectors, np.int32),
        final.astype(np.int32),
        rates.astype(np.int32),
        final_rate,
        np.zeros(inputs + -inputs % LANES, np.int16),
        np.zeros(sets, np.int64),
        np.zeros(sets, np.int64),
    )


def equal(places: int, sets: int) -> np.ndarray:
    """Second-layer weights that take the mean of the sets."""
    return np.full((places, sets), (1 << _FINAL_BITS) // sets, np.int32)


@inlined
def stretch(probability):
    """The logit of a probability out of 2^16, as an input."""
    return STRETCH[probability >> 4] << (INPUT_BITS - 8)


@inlined
def squash(logit):
    """The probability out of 2^16 of a logit within +-LIMIT."""
    return SQUASH[logit + LIMIT]


@inlined
def fetch(mixer):
    """Asks for the memory of the selected vectors."""
    inputs = len(mixer.inputs)
    for s in range(len(mixer.selected)):
        first = mixer.selected[s] * inputs
        for i in range(0, inputs, _LINE):
            prefetch(mixer.weights, first + i)


@inlined
def mix(mixer, place, moved=0):
    """The logit of the inputs, mixed by the selected vectors and the second layer's weights of this place."""
    total = 0
    for s in range(len(mixer.selected)):
        output = (dot(mixer.weights, mixer.selected[s], mixer.inputs) + (1 << (_TO_LOGIT - 1))) >> _TO_LOGIT
        output = min(max(output, -LIMIT), LIMIT)
        mixer.outputs[s] = output
        total += mixer.final[place, s] * output
    return min(max(((total + (1 << (_FINAL_BITS - 1))) >> _FINAL_BITS) + moved, -LIMIT), LIMIT)


@inlined
def adjust(mixer, place, mixed, symbol, moved=0):
    """Learns from a decision whose probability of 1 was `mixed` out of 2^16."""
    wanted = symbol << 16
    error = (wanted - mixed) * mixer.final_rate
    for s in range(len(mixer.selected)):
        vector, output = mixer.selected[s], mixer.outputs[s]
        final = mixer.final[place, s] + ((error * output + _ROUND) >> _SHIFT)
        mixer.final[place, s] = min(max(final, -_FINAL_LIMIT), _FINAL_LIMIT)
        visits = mixer.visits[vector]
        step = (
            np.int64(wanted - squash(min(max(output + moved, -LIMIT), LIMIT)))
            * mixer.rates[min(visits, len(mixer.rates) - 1)]
        )
        mixer.visits[vector] = visits + 1
        nudge(mixer.weights, vector, mixer.inputs, step >> _TO_STEP)
