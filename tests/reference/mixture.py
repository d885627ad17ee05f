"""Section 7: the mixture of logistics, and the decisions that say a value.

Python's integers of any length, so nothing can overflow; `//` and `>>` round down.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.reference.numbers import clip, passed

GROWTH = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
STEPS = (1, 1, 2, 4, 8)
TABLES = ("exponential", "inverse_scale", "deviation", "logistic")


def centre_and_class(mean: int, spread: int) -> tuple[int, int]:
    return clip((mean >> 6) + 1, 1, 255), passed((96, 192, 384, 768), spread)


@dataclass(frozen=True)
class Split:
    """The value is in [low, high): is it above the split? `upper`: decision 1 says yes; else it says no."""

    low: int
    split: int
    high: int
    upper: bool
    kind: int = 0
    step: int = 0
    side: int = 0


def decoded(mean: int, spread: int, decide: Callable[[Split], int]) -> int:
    """The value of a plane by its decisions."""
    u, z = centre_and_class(mean, spread)
    above = decide(Split(0, u, 256, True))
    low, high = 0, 256 - u if above else u

    def away(m: int, kind: int, step: int) -> int:
        """Whether the distance k in [low, high) is m at least."""
        ends = (u + low, u + m, u + high) if above else (u - high, u - m, u - low)
        return decide(Split(*ends, bool(above), kind, step, 1 + above))

    for j, growth in enumerate(GROWTH):
        threshold = min(STEPS[z] * growth, 256)
        if threshold >= high:
            break
        if not away(threshold, 1 + 16 * above + j, 1 + min(j, 7)):
            high = threshold
            break
        low = threshold
    while high - low > 1:
        n, m = high - low, (low + high) >> 1
        if away(m, 33 + 16 * above + min(n, 15), 9 if n == 2 else 10 if n <= 4 else 11):
            low = m
        else:
            high = m
    return u + low if above else u - 1 - low


def quotient(a: int, b: int) -> int:
    """a / b, towards zero; b > 0."""
    return a // b if a >= 0 else -(-a // b)


def between(logistic: list[int], position: int) -> int:
    entry, part = divmod(position, 256)
    return logistic[entry] + ((logistic[entry + 1] - logistic[entry]) * part >> 8)


def position_of(v: int, mean: int, inverse: int) -> int:
    return (((64 * v - 32 - mean) * inverse) >> 14) + (2048 << 8)


def component(logistic: list[int], mean: int, inverse: int, v: int) -> int:
    """C(v): distribution function of a logistic below v - 1/2, out of 2^22."""
    position = position_of(v, mean, inverse)
    if v == 0 or v < 256 and position < 0:
        return 0
    if v == 256 or position >> 8 >= 4096:
        return 1 << 22
    return between(logistic, position)


def integers(tables: dict) -> dict[str, list[int]]:
    """A model's tables as Python's integers."""
    return {name: [int(x) for x in tables[name]] for name in TABLES}


class Mixture:
    """The distribution of one position's values: `open`, then `learn` for plane 0, 1, 2."""

    def __init__(self, parameters, tables: dict[str, list[int]]):
        parameters = [int(p) for p in parameters]
        n = len(parameters) // 10
        parts = [parameters[n * i : n * (i + 1)] for i in range(10)]
        self.logits, self.shifts, self.scales, self.couplings = parts[0], parts[1:4], parts[4:7], parts[7:]
        self.tables, best = tables, max(self.logits)
        self.weights = self.normalised([self.tables["exponential"][min(best - logit, 1023)] for logit in self.logits])
        self.residuals = []

    @staticmethod
    def normalised(weights: list[int]) -> list[int]:
        return [(weight << 15) // sum(weights) for weight in weights]

    def open(self, base: int) -> None:
        """Means and scales of the next plane."""
        k = len(self.residuals)
        self.means, self.inverses, deviations = [], [], []
        for j in range(len(self.weights)):
            shift = self.shifts[k][j]
            for p, which in ((), ((0, 0),), ((0, 1), (1, 2)))[k]:
                shift += clip(self.couplings[which][j], -16384, 16384) * self.residuals[p] // 8192
            scale = clip(self.scales[k][j] + 128, 0, 320)
            self.means.append(base + clip(shift, -32767, 32767))
            self.inverses.append(self.tables["inverse_scale"][scale])
            deviations.append(self.tables["deviation"][scale])
        total = sum(self.weights)
        self.base, self.mean = base, quotient(sum(w * m for w, m in zip(self.weights, self.means)), total)
        self.spread = sum(w * d for w, d in zip(self.weights, deviations)) // total

    def component(self, j: int, v: int) -> int:
        return component(self.tables["logistic"], self.means[j], self.inverses[j], v)

    def mass(self, v: int) -> int:
        """F(v)."""
        return sum(w * self.component(j, v) for j, w in enumerate(self.weights)) + (v * sum(self.weights) << 2)

    def frequency(self, at: Split) -> int:
        """Of decision 1, by the mixture alone."""
        low, split, high = map(self.mass, (at.low, at.split, at.high))
        return clip(((high - split if at.upper else split - low) << 24) // (high - low), 16, 2**24 - 16)

    def decoded(self, decide: Callable[[int], int]) -> int:
        """The value of the open plane by the mixture alone."""
        return decoded(self.mean, self.spread, lambda at: decide(self.frequency(at)))

    def learn(self, x: int) -> None:
        """Ends the plane: weights times how well each component explained the value."""
        self.residuals.append(64 * x - self.base)
        if len(self.residuals) < 3:
            explained = [self.component(j, x + 1) - self.component(j, x) + 1 for j in range(len(self.weights))]
            self.weights = self.normalised([w * more for w, more in zip(self.weights, explained)])


def odds(y: int, logistic: list[int]) -> int:
    """The frequency of a binary pixel's 255 (section 10.1)."""
    entry, part = divmod((clip(y, -16383, 16383) + 16384) * 32, 256)
    a, after = 4 * logistic[entry], 4 * logistic[entry + 1]
    return clip(a + ((after - a) * part >> 8), 16, 2**24 - 16)
