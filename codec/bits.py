"""Binary pixels, 0 or 255: one decision each, its probability from the log-odds of 255 that a network gives."""

import numpy as np

from runtime import rules
from runtime.kernels import kernel

from .coder import ONE, PRECISION

LOG_ODDS_UNIT = 1024  # steps per nat
_STEP = (rules.LOGISTIC_UNIT << rules.POSITION_BITS) // LOG_ODDS_UNIT  # of a position in the logistic table
_RANGE = rules.LOGISTIC_RANGE * LOG_ODDS_UNIT - 1
_SMALLEST = 16  # of 2^24


class Bits:
    """The distributions of one level: `weigh`, `open`, `decide`, `learn`, as codec.mixture.Mixture has them."""

    def __init__(self, rows: int, tables: dict[str, np.ndarray]):
        self._logistic = tables["logistic"]
        self._frequencies, self._symbols = np.zeros(rows, np.int32), np.zeros(rows, np.int32)
        self.bits = np.zeros(rows)  # -log2 of the probabilities used in each row so far, summed over levels

    def weigh(self, parameters: np.ndarray) -> None:
        """Starts a level: log-odds int32 [n, 1]."""
        _frequencies_of(parameters[:, 0], self._logistic, self._frequencies)

    def open(
        self, channel: int, bases: np.ndarray, values: np.ndarray, fixed: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The only round: frequencies and symbols int32 [n]."""
        n = len(values)
        self._symbols[:n] = values > 127
        return self._frequencies[:n], self._symbols[:n]

    def decide(self, count: int, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Nothing is left after the first round."""
        ones, chance = self._symbols[:count] == 1, self._frequencies[:count] / ONE
        self.bits[:count] -= np.log2(np.where(ones, chance, 1 - chance))
        return self._frequencies[:0], self._symbols[:0]

    def learn(self, channel: int, bases: np.ndarray, out: np.ndarray) -> None:
        """The values 0 or 255 to out, uint8 [n]."""
        out[:] = self._symbols[: len(out)] * 255


@kernel
def _frequencies_of(log_odds, logistic, out):
    """P(255) out of 2^24: the table of 2^22 at the log-odds, between its entries by proportion."""
    for row in range(len(log_odds)):
        position = (min(max(np.int64(log_odds[row]), -_RANGE), _RANGE) + _RANGE + 1) * _STEP
        entry, part = position >> rules.POSITION_BITS, position & ((1 << rules.POSITION_BITS) - 1)
        low = logistic[entry] << (PRECISION - rules.CDF_BITS)
        high = logistic[entry + 1] << (PRECISION - rules.CDF_BITS)
        frequency = low + (((high - low) * part) >> rules.POSITION_BITS)
        out[row] = min(max(frequency, _SMALLEST), ONE - _SMALLEST)
