"""Adaptive probabilities: each moves towards what comes, first fast, then slowly, as in the field's counters."""

from typing import NamedTuple

import numpy as np

from runtime.kernels import inlined

_COUNTED = 250  # the rate falls as 1 / (visits + 1.5) until then
_RECIPROCAL = np.array([131072 // (2 * visits + 3) for visits in range(_COUNTED + 1)])


class Adaptive(NamedTuple):
    """Probabilities of 1, int32 out of 2^22, and how often each has learned."""

    probabilities: np.ndarray
    visits: np.ndarray


def adaptive(count: int) -> Adaptive:
    """So many of them, at one half."""
    return Adaptive(np.full(count, 1 << 21, np.int32), np.zeros(count, np.uint8))


@inlined
def probability(adaptive, at):
    """One of them out of 2^16."""
    return adaptive.probabilities[at] >> 6


@inlined
def adapt(adaptive, at, symbol):
    """Moves one towards what came."""
    visits = adaptive.visits[at]
    step = (((symbol << 22) - symbol - adaptive.probabilities[at]) * _RECIPROCAL[visits]) >> 16
    adaptive.probabilities[at] += step
    adaptive.visits[at] = min(visits + 1, _COUNTED)
