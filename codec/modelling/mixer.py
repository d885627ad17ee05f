"""The mixer: logistic mixing of many predictions into one, as in Mahoney's PAQ, in integers.

Inputs are stretched probabilities (logits with 8 fractional bits). Several weight sets look at them: each selects one
of its weight vectors by a context of its own and gives a dot product; a second layer of weights adds these up. Every
vector learns from its own error, right after each decision, at a rate that falls with its visits. Sums of products stay
below 2^36, so 64 bits hold them whatever a file says.
"""

from typing import NamedTuple

import numpy as np

from codec.modelling.logistic import LIMIT, SQUASH, STRETCH
from runtime.kernels import inlined

UNIT_BITS = 16  # a weight of 2^16 counts an input once
WEIGHT_LIMIT = 1 << 20  # weights stay within +-16
_ROUND, _SHIFT = 1 << 23, 24
_HALF = 1 << (UNIT_BITS - 1)


class Mixer(NamedTuple):
    """A mixer's state, and what the decision at hand selected."""

    weights: np.ndarray  # int32 [vectors, N]
    visits: np.ndarray  # int32 [vectors]
    final: np.ndarray  # int32 [places, sets]
    rates: np.ndarray  # int32 [R], out of 2^16, by visits; the last ones' is the lowest
    final_rate: int  # the second layer's, out of 2^16
    inputs: np.ndarray  # int16 [N]
    selected: np.ndarray  # int64 [sets]: the vectors
    outputs: np.ndarray  # int64 [sets]: what each set makes of the inputs


def mixer(weights: np.ndarray, final: np.ndarray, rates: np.ndarray, final_rate: int) -> Mixer:
    """A mixer that starts with these weights; they are copied, for it learns."""
    vectors, inputs = weights.shape
    sets = final.shape[1]
    return Mixer(
        weights.astype(np.int32),
        np.zeros(vectors, np.int32),
        final.astype(np.int32),
        rates.astype(np.int32),
        final_rate,
        np.zeros(inputs, np.int16),
        np.zeros(sets, np.int64),
        np.zeros(sets, np.int64),
    )


def equal(places: int, sets: int) -> np.ndarray:
    """Second-layer weights that take the mean of the sets."""
    return np.full((places, sets), (1 << UNIT_BITS) // sets, np.int32)


@inlined
def stretch(probability):
    """The logit of a probability out of 2^16."""
    return STRETCH[probability >> 4]


@inlined
def squash(logit):
    """The probability out of 2^16 of a logit within +-LIMIT."""
    return SQUASH[logit + LIMIT]


@inlined
def mix(mixer, place):
    """The logit of the inputs, mixed by the selected vectors and the second layer's weights of this place."""
    total = 0
    for s in range(len(mixer.selected)):
        weights, dot = mixer.weights[mixer.selected[s]], np.int64(0)
        for i in range(len(mixer.inputs)):
            dot += np.int64(weights[i]) * np.int64(mixer.inputs[i])
        output = min(max((dot + _HALF) >> UNIT_BITS, -LIMIT), LIMIT)
        mixer.outputs[s] = output
        total += mixer.final[place, s] * output
    return min(max((total + _HALF) >> UNIT_BITS, -LIMIT), LIMIT)


@inlined
def adjust(mixer, place, mixed, symbol):
    """Learns from a decision whose probability of 1 was `mixed` out of 2^16."""
    wanted = symbol << 16
    error = (wanted - mixed) * mixer.final_rate
    for s in range(len(mixer.selected)):
        vector, output = mixer.selected[s], mixer.outputs[s]
        final = mixer.final[place, s] + ((error * output + _ROUND) >> _SHIFT)
        mixer.final[place, s] = min(max(final, -WEIGHT_LIMIT), WEIGHT_LIMIT)
        visits = mixer.visits[vector]
        step = np.int64(wanted - squash(output)) * mixer.rates[min(visits, len(mixer.rates) - 1)]
        mixer.visits[vector] = visits + 1
        weights = mixer.weights[vector]
        for i in range(len(mixer.inputs)):
            weight = weights[i] + ((step * np.int64(mixer.inputs[i]) + _ROUND) >> _SHIFT)
            weights[i] = min(max(weight, -WEIGHT_LIMIT), WEIGHT_LIMIT)
