"""The mixture's distribution at the values near a decision, computed once for all that correct it there."""

from typing import NamedTuple

import numpy as np

from codec.modelling.mixture import cdf, curve
from runtime.kernels import inlined

WINDOW = 16  # values: a vector of the processor's; 24 or 32 of them where values spread widely gain 0.01 %
_UNIT_SHIFT = 15  # of a mixture's masses, 2^37 in all, to those of a window, 2^22


class Window(NamedTuple):
    """The values low .. low + WINDOW round a value's first split."""

    low: np.ndarray  # int64 [1]
    sums: np.ndarray  # int32 [WINDOW + 1]: F(low + i) out of about 2^22
    curve: np.ndarray  # int64 [WINDOW + 1]: the same as it comes, out of 2^37


def window() -> Window:
    """One that is not open yet."""
    return Window(np.zeros(1, np.int64), np.zeros(WINDOW + 1, np.int32), np.zeros(WINDOW + 1, np.int64))


@inlined
def open_window(split, mixture, logistic, window):
    """Fills the window round a value's first split."""
    low = min(max(split - WINDOW // 2, 0), 256 - WINDOW)
    window.low[0] = low
    curve(mixture, low, WINDOW, logistic, window.curve)
    for i in range(WINDOW + 1):
        window.sums[i] = window.curve[i] >> _UNIT_SHIFT


@inlined
def mass_below(value, mixture, logistic):
    """F(value) of a mixture out of about 2^22, inside a window or outside."""
    return cdf(mixture, value, logistic) >> _UNIT_SHIFT
