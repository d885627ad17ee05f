"""Section 8.4: residual histograms, as counts below the bins."""

from __future__ import annotations

import numpy as np

from tests.reference.numbers import Table, clip, f32, first_counts, reached

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


def log2(x: int) -> int:
    """About 4096 log2 of a whole number."""
    e = x.bit_length() - 1
    f = ((x << 12) >> e) - 4096
    return 4096 * e + f + (((f * (4096 - f) >> 12) * (1780 - (630 * f >> 12))) >> 12)


class Histogram:
    def __init__(self, by_cost: bool, kind: int):
        self.counts = np.array(first_counts(by_cost, kind))
        self.shift = (kind > 9) + (kind > 11) if by_cost else (kind > 7) + (kind > 9)

    def bin(self, v: int, prediction: int) -> int:
        """Where v - 1/2 stands."""
        return clip(((4 * v - 2 - prediction) >> self.shift) + 64, 0, 128)

    def below(self, v: int, prediction: int) -> int:
        return int(self.counts[self.bin(v, prediction)])

    def learn(self, x: int, prediction: int) -> None:
        at = min(self.bin(x, prediction), 128 - (4 >> self.shift))
        self.counts = self.counts + np.clip((np.arange(129) - at) * ((CAME // 4) << self.shift), 0, CAME)
        if self.counts[128] > MOST:
            self.counts = self.counts >> 1


class Histograms:
    """Of the predictors, the first `twice` of them a second time by costs."""

    def __init__(self, twice: int):
        self.twice = twice
        self.all = Table(lambda context: Histogram(*context[2:]))  # (k, q, by cost, class)

    def open(self, k: int, predictions: list[int], near: list[int], cost: int) -> None:
        """cost: class of what values nearby have cost."""
        self.contexts = [(k, q, False, error_class(e)) for q, e in enumerate(near)]
        self.contexts += [(k, q, True, cost) for q in range(self.twice)]
        self.used = [(self.all[context], predictions[context[1]]) for context in self.contexts]

    def inputs(self, low: int, split: int, high: int, upper: bool) -> list[int]:
        """Logits of all, then shares of all."""
        logits, shares, sign = [], [], 1 if upper else -1
        for histogram, prediction in self.used:
            ends = [histogram.below(v, prediction) for v in (low, split, high)]
            a = 32 * (ends[1] - ends[0]) + split - low + DOUBT
            b = 32 * (ends[2] - ends[1]) + high - split + DOUBT
            logits.append(sign * clip(((log2(b) - log2(a)) * LOGIT) >> 14, -LARGEST, LARGEST))
            shares.append(sign * int(f32(4096 * (b - a)) / f32(a + b)))
        return logits + shares

    def learn(self, x: int) -> None:
        for histogram, prediction in self.used:
            histogram.learn(x, prediction)
