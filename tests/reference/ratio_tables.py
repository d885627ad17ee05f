"""Section 8.1: ratio tables, with counts by what they belong to.

Counts and masses are Python's integers; what the text has in float32 is NumPy's, each operation rounded by itself.
"""

from __future__ import annotations

from tests.reference.mixture import Mixture, centre_and_class
from tests.reference.numbers import Table, clip, f32

WINDOW = 16  # values
RATE, BLUES_RATE = 2048, 31
MOST_RATIO = 500


class Counts:
    """N and E of everything that a tile has shown; E in 2^-10."""

    def __init__(self):
        self.came = Table(lambda context: 0)  # N of (plane, what is given, v)
        self.expected = Table(lambda context: 0)

    def add(self, context: tuple, came: int, expected: int) -> None:
        """Both are halved when there is no room for one of them."""
        came, expected = self.came[context] + came, self.expected[context] + expected
        full = came >= 2**12 or expected >= 2**20
        self.came[context], self.expected[context] = (came >> 1, expected >> 1) if full else (came, expected)


def contexts(k: int, before: list[int], v: int) -> list[tuple]:
    """Where N and E of value v are found, for the stages of plane k; before: the planes known already."""
    if k == 0:
        return [("red", v)]
    if k == 1:
        return [("green", v), ("green", before[0], v)]
    return [("blue", before[1], v), ("blue", before[0], before[1], v)]


def rates(k: int) -> list[int]:
    """Of the stages of plane k."""
    return [[RATE], [RATE, RATE], [RATE, BLUES_RATE]][k]


def corrected(q: list[int], history: list[tuple[int, int]], rate: int, mass: int) -> list[int]:
    """q (N + rate) / (E + rate), brought back to its mass; history: (N, E) of each."""
    t = [
        int(f32(x) * min(f32(1024 * came + rate) / f32(expected + rate), f32(MOST_RATIO)))
        for x, (came, expected) in zip(q, history)
    ]
    a = f32(mass) / f32(max(sum(t), 1))
    return [int(f32(x) * a) for x in t]


class Window:
    """The values near the expected one, opened for a plane: q[s][i] of value low + i after stage s."""

    def __init__(self, counts: Counts, mixture: Mixture, k: int, before: list[int]):
        self.counts, self.mixture, self.k, self.before = counts, mixture, k, before
        u, _ = centre_and_class(mixture.mean, mixture.spread)
        self.low = clip(u - WINDOW // 2, 0, 256 - WINDOW)
        self.start, *ends = (mixture.mass(v) >> 15 for v in range(self.low, self.low + WINDOW + 1))
        self.q = [[above - below for below, above in zip([self.start, *ends], ends)]]
        for stage, rate in enumerate(rates(k)):
            history = [self.history(self.low + i, stage) for i in range(WINDOW)]
            self.q.append(corrected(self.q[-1], history, rate, ends[-1] - self.start))
        if k == 0:
            self.q.append(self.q[-1])

    def history(self, v: int, stage: int) -> tuple[int, int]:
        context = contexts(self.k, self.before, v)[stage]
        return self.counts.came[context], self.counts.expected[context]

    def masses(self, v: int) -> list[int]:
        """P(v) of the mixture and of each stage."""
        i = v - self.low
        if 0 < i < len(self.q[0]):
            return [self.start + sum(q[:i]) for q in self.q]
        return [self.mixture.mass(v) >> 15] * len(self.q)

    def learn(self, value: int) -> None:
        for stage in range(len(rates(self.k))):
            for i, q in enumerate(self.q[stage]):
                self.counts.add(contexts(self.k, self.before, self.low + i)[stage], 0, q >> 12)
            self.counts.add(contexts(self.k, self.before, value)[stage], 1, 0)
