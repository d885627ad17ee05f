"""Layers of exact integers: what the quantised networks are made of, and the proof that their sums stay below 2^24.

Layer: value = (sum of activation * weight + bias) * 2^-shift, per output channel, where the sum is an integer below
2^24 in size, so float32 and int32 arithmetic give the same. Activations are 0 .. 255. Weights are in [-63, 63], or
wide: high * 2^6 + low of two such.
"""

from dataclasses import dataclass

import numpy as np

from export.errors import QuantisationError
from export.exact.rounding import compensated

WEIGHT_LIMIT = 63  # 255 * 63 * 2 < 2^15: no 16-bit pair sum of older processors saturates
PART_BITS = 6
WIDE_LIMIT = (WEIGHT_LIMIT << PART_BITS) + (1 << PART_BITS - 1) - 1  # the low part is in [-32, 31]
ACTIVATION_LIMIT = 255
BOUND = 1 << 24  # float32 holds every integer up to here


@dataclass(frozen=True)
class IntegerLayer:
    """weight int8 (wide: int16) [inputs, outputs]; bias int64 [outputs] in steps of 2^-shift; shift int64 [outputs]."""

    name: str
    weight: np.ndarray
    bias: np.ndarray
    shift: np.ndarray

    def bound(self) -> np.ndarray:
        """The largest |sum + bias| that any input can give, per output channel, int64 [outputs]."""
        return np.abs(self.weight.astype(np.int64)).sum(0) * ACTIVATION_LIMIT + np.abs(self.bias)

    def check(self) -> None:
        """Raises QuantisationError if a sum may reach the bound."""
        if self.bound().max() >= BOUND:
            raise QuantisationError(
                f"layer {self.name}: a sum may reach {self.bound().max()}, over 2^24; make it narrower"
            )

    def parts(self) -> list[np.ndarray]:
        """int8 matrices within 63, as few as it takes, highest first: weight = (first * 2^6 + second) * 2^6 + ..."""
        rest, parts = self.weight.astype(np.int64), []
        while np.abs(rest).max() > WEIGHT_LIMIT:
            carried = (rest + (1 << PART_BITS - 1)) >> PART_BITS
            parts.append(rest - (carried << PART_BITS))
            rest = carried
        return [part.astype(np.int8) for part in (rest, *reversed(parts))]


def fitted(
    name: str,
    matrix: np.ndarray,
    bias: np.ndarray,
    limit: int = WEIGHT_LIMIT,
    zero: int | np.ndarray = 0,
    moments: np.ndarray | None = None,
    least: int = WEIGHT_LIMIT,
) -> IntegerLayer:
    """Each output channel with the finest power of two that keeps its weights and its bias within their limits.

    Weights are coarsened for their sum's bound, though not beyond what a limit of `least` allows. `zero` and `moments`
    as in `rounded`.
    """
    fits_bias = np.floor(np.log2(BOUND / 2 / np.maximum(np.abs(bias), 2.0**-30))).astype(np.int64)
    shift, coarsest = (np.minimum(finest_shift(matrix, most), fits_bias) for most in (limit, least))
    for each in (None, moments):  # plainly first: it is quick and gives nearly the same bounds
        layer = rounded(name, matrix, bias, zero, limit, shift, each)
        while (over := (layer.bound() >= BOUND) & (shift > coarsest)).any():
            shift = shift - over
            layer = rounded(name, matrix, bias, zero, limit, shift, each)
    return layer


def finest_shift(matrix: np.ndarray, limit: int) -> np.ndarray:
    """The finest shift of each output channel whose rounded weights stay within the limit, int64 [outputs]."""
    largest = np.maximum(np.abs(matrix).max(0), 2.0**-30)
    return np.floor(np.log2((limit + 0.5) / largest)).astype(np.int64)


def rounded(
    name: str,
    matrix: np.ndarray,
    bias: np.ndarray,
    zero: int | np.ndarray,
    limit: int,
    shift: np.ndarray,
    moments: np.ndarray | None = None,
) -> IntegerLayer:
    """Rounds weights and bias to steps of 2^-shift; the bias also takes back what inputs coded as `zero` add.

    `moments` of the inputs less their zeros, as rounding.py has them, if errors are to cancel.
    """
    weight, whole = matrix * 2.0**shift, bias * 2.0**shift
    if moments is not None:
        weight, whole = compensated(weight, whole, moments, limit)
    weight = np.clip(np.round(weight), -limit, limit).astype(np.int8 if limit == WEIGHT_LIMIT else np.int16)
    whole = np.round(whole).astype(np.int64) - (weight.astype(np.int64) * np.reshape(zero, (-1, 1))).sum(0)
    return IntegerLayer(name, weight, whole, shift)
