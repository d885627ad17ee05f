"""Secondary estimation: what came of a probability in a context before, as in Mahoney's PAQ (SSE, APM).

For each context 33 knots lie evenly over the logits -8 to 8; a probability is read between two of them, and the nearer
one learns.
"""

from typing import NamedTuple

import numpy as np

from codec.modelling.logistic import LIMIT, SQUASH
from runtime.kernels import inlined

_KNOTS, _SPACING = 33, 7  # and log2 of their distance
_RATE = 6  # a knot learns a 64th of its error


class Secondary(NamedTuple):
    """Probabilities of 1, int32 out of 2^24: [contexts, 33]."""

    knots: np.ndarray


def secondary(contexts: int) -> Secondary:
    """Estimates that change nothing."""
    logits = [min(max((knot - 16) << _SPACING, -LIMIT), LIMIT) for knot in range(_KNOTS)]
    return Secondary(np.tile((SQUASH[np.array(logits) + LIMIT] << 8).astype(np.int32), (contexts, 1)))


@inlined
def estimate(secondary, context, logit):
    """The probability out of 2^24 that a logit has had in a context."""
    place = logit + LIMIT + 1
    knot, share = place >> _SPACING, place & ((1 << _SPACING) - 1)
    low, high = np.int64(secondary.knots[context, knot]), np.int64(secondary.knots[context, knot + 1])
    return (low * ((1 << _SPACING) - share) + high * share) >> _SPACING


@inlined
def correct(secondary, context, logit, symbol):
    """Learns what came of a logit in a context."""
    knot = (logit + LIMIT + 1 + (1 << (_SPACING - 1))) >> _SPACING
    secondary.knots[context, knot] += ((symbol << 24) - secondary.knots[context, knot]) >> _RATE
