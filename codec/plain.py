"""A distribution without a network: one logistic at the online prediction, as wide as the errors nearby.

It gives parameters as a network of one component does, so everything after it is the same.
"""

import numpy as np

from runtime.kernels import kernel
from runtime.predictor import Predictor, error_nearby, rows_of

from .tables import PLAIN_SCALE

COMPONENTS = 1
_SCALES = 4  # column of the first log-scale: after a logit and three shifts


class Plain:
    """`step` as a network's pass has it."""

    def __init__(self, predictor: Predictor):
        self._predictor = predictor

    def step(self, level: int) -> np.ndarray:
        """Parameters int32 [n, 10] of a level's positions."""
        p = self._predictor
        first, end = rows_of(level, p.height, p.width)
        parameters = np.zeros((end - first, 10 * COMPONENTS), np.int32)
        for k in range(3):
            _scales(level, first, end, p.fits[k].errors, parameters[:, _SCALES + k])
        return parameters


@kernel
def _scales(level, first, end, errors, out):
    for row in range(first, end):
        error = error_nearby(errors, row, level - 2 * row) >> 5
        out[row - first] = PLAIN_SCALE[min(error, len(PLAIN_SCALE) - 1)]
