"""Section 8.1: ratio tables, with counts by what they belong to.

Counts and masses are Python's integers; what the text has in float32 is NumPy's, each operation rounded by itself.
"""

from __future__ import annotations

from tests.reference.mixture import Mixture, centre_and_class
from tests.reference.numbers import Table, clip, f32

REACH = (8, 12, 12, 16, 16)  # half of the window, by class
RATES = (2048, 2048, 31)
MOST_RATIO = 500


class Counts:
    """N and E of everything that a tile has shown; E in 2^-10."""

    def __init__(self):
        self.came = Table(lambda context: 0)  # N of (stage, given, given, v)
        self.expected = Table(lambda context: 0)

    def add(self, context: tuple, came: int, expected: int) -> None:
        """Both are halved when there is no room for one of them."""
        came, expected = self.came[context] + came, self.expected[context] + expected
        full = came >= 2**12 or expected >= 2**20
        self.came[context], self.expected[context] = (came >> 1, expected >> 1) if full else (came, expected)


def contexts(k: int, before: list[int], v: int) -> list[tuple]:
    """Where N and E of value v are found, for the stages of plane k; before: the planes known already."""
    red = before[0] if k > 0 else 0
    green = before[1] if k == 2 else 0
    return [(0, k, red, v), (1, k, green, v), (2, red, green, v)][: 2 + (k == 2)]


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
        u, z = centre_and_class(mixture.mean, mixture.spread)
        size = 2 * REACH[z]
        self.low = clip(u - REACH[z], 0, 256 - size)
        self.start, *ends = (mixture.mass(v) >> 15 for v in range(self.low, self.low + size + 1))
        self.q = [[above - below for below, above in zip([self.start, *ends], ends)]]
        for stage, rate in enumerate(RATES[: 2 + (k == 2)]):
            history = [self.history(self.low + i, stage) for i in range(size)]
            self.q.append(corrected(self.q[-1], history, rate, ends[-1] - self.start))
        if k < 2:
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
        for stage in range(2 + (self.k == 2)):
            for i, q in enumerate(self.q[stage]):
                self.counts.add(contexts(self.k, self.before, self.low + i)[stage], 0, q >> 12)
            self.counts.add(contexts(self.k, self.before, value)[stage], 1, 0)
