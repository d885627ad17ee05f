"""Section 8.4: residual histograms, as counts below the bins."""

from __future__ import annotations

import numpy as np

from tests.reference.numbers import Table, first_counts, reached

COSTS = (19, 32, 45, 58, 70, 83, 96, 109, 122, 134, 150, 166, 186, 208)  # 1/32 bit
CAME = 64  # what a value counts
MOST = 400 * CAME
DOUBT = 820
LOGIT, LARGEST = 1703, 4915


def cost_class(cost: int) -> int:
    return reached(COSTS, cost)


def error_class(near: int) -> int:
    """Two classes an octave from a quarter of a grey level on. near: 64 times the mean error in grey levels."""
    octave = near.bit_length() - 5
    return 0 if octave < 0 else min(1 + 2 * octave + (near >> (octave + 3) & 1), 15)


def log2(x: np.ndarray) -> np.ndarray:
    """About 4096 log2 of whole numbers."""
    e = np.frexp(x)[1].astype(np.int64) - 1
    f = ((x << 12) >> e) - 4096
    return 4096 * e + f + (((f * (4096 - f) >> 12) * (1780 - (630 * f >> 12))) >> 12)


def bounded(x: np.ndarray, low: int, high: int) -> np.ndarray:
    return np.minimum(np.maximum(x, low), high)


class Histogram:
    def __init__(self, by_cost: bool, kind: int):
        self.counts = np.array(first_counts(by_cost, kind))
        self.shift = (kind > 9) + (kind > 11) if by_cost else (kind > 7) + (kind > 9)


class Histograms:
    """Of the predictors, the first `twice` of them a second time by costs."""

    def __init__(self, twice: int):
        self.twice = twice
        self.all = Table(lambda context: Histogram(*context[2:]))  # (k, q, by cost, class)

    def open(self, k: int, predictions: list[int], near: list[int], cost: int) -> None:
        """cost: class of what values nearby have cost."""
        contexts = [(k, q, False, error_class(e)) for q, e in enumerate(near)]
        contexts += [(k, q, True, cost) for q in range(self.twice)]
        self.take([self.all[context] for context in contexts], [predictions[q] for _, q, *_ in contexts])

    def take(self, histograms: list[Histogram], predictions: list[int]) -> None:
        """Of the value at hand: one for each row of what follows."""
        self.used, self.rows = histograms, np.arange(len(histograms))
        self.counts = np.array([histogram.counts for histogram in histograms])
        self.shifts = np.array([histogram.shift for histogram in histograms], np.int64)
        self.predictions = np.array(predictions, np.int64)

    def bins(self, v: int) -> np.ndarray:
        """Where v - 1/2 stands in each."""
        return bounded(((4 * v - 2 - self.predictions) >> self.shifts) + 64, 0, 128)

    def inputs(self, low: int, split: int, high: int, upper: bool) -> list[int]:
        """Logits of all, then shares of all."""
        below_low, below_split, below_high = (self.counts[self.rows, self.bins(v)] for v in (low, split, high))
        a = 32 * (below_split - below_low) + split - low + DOUBT
        b = 32 * (below_high - below_split) + high - split + DOUBT
        logits = bounded(((log2(b) - log2(a)) * LOGIT) >> 14, -LARGEST, LARGEST)
        shares = ((4096 * (b - a)).astype(np.float32) / (a + b).astype(np.float32)).astype(np.int64)
        return [value if upper else -value for value in [*logits.tolist(), *shares.tolist()]]

    def learn(self, x: int) -> None:
        at = np.minimum(self.bins(x), 128 - (4 >> self.shifts))
        more = (np.arange(129) - at[:, None]) * ((CAME // 4) << self.shifts)[:, None]
        self.counts = self.counts + bounded(more, 0, CAME)
        self.counts = np.where(self.counts[:, -1:] > MOST, self.counts >> 1, self.counts)
        for histogram, counts in zip(self.used, self.counts):
            histogram.counts = counts
