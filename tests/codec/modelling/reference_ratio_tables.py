"""Ratio tables again, slowly: codec/modelling/ratio_tables.py, with counts by what they belong to.

Counts and masses are Python's integers; what is float32 there is NumPy's here, each operation rounded by itself.
"""

from __future__ import annotations

import numpy as np

from codec.modelling import ratio_tables
from tests.codec.modelling.reference_mixer import Table
from tests.runtime.reference_least_squares import f32

WINDOW = ratio_tables.WINDOW  # values
RATE, BLUES_RATE = ratio_tables._RATE, ratio_tables._BLUES_RATE
MOST_RATIO = ratio_tables._MOST_RATIO


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


def entries_of(tables, context: tuple) -> np.ndarray:
    """What compiled code's tables hold of a context's plane and what is given, by value."""
    plane, *given, _ = context
    if len(given) == (plane == "blue"):
        return tables.first[2 + given[0] if given else ("red", "green").index(plane)]
    return tables.second[given[0] if plane == "green" else 256 + given[0] * 256 + given[1]]


def rates(k: int) -> list[np.float32]:
    return [[RATE], [RATE, RATE], [RATE, BLUES_RATE]][k]


def corrected(q: list[int], history: list[tuple[int, int]], rate: np.float32, mass: int) -> list[int]:
    """q (N + rate) / (E + rate), brought back to its mass; history: (N, E) of each."""
    t = [
        int(f32(x) * min((f32(came << 10) + rate) / (f32(expected) + rate), MOST_RATIO))
        for x, (came, expected) in zip(q, history)
    ]
    scale = f32(mass) / f32(max(sum(t), 1))
    return [int(f32(x) * scale) for x in t]


class Window:
    """The values near the expected one, opened for a plane: q[s][i] of value low + i after stage s, F(v, s)."""

    def __init__(self, counts: Counts, position, k: int, before: list[int], centre: int):
        self.counts, self.position, self.k, self.before = counts, position, k, before
        self.low = min(max(centre - WINDOW // 2, 0), 256 - WINDOW)
        self.start, *ends = (position.mass(v) >> 15 for v in range(self.low, self.low + WINDOW + 1))
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
        """F(v) by the network and by each stage."""
        i = v - self.low
        if 0 < i < len(self.q[0]):
            return [self.start + sum(q[:i]) for q in self.q]
        return [self.position.mass(v) >> 15] * len(self.q)

    def learn(self, value: int) -> None:
        for stage in range(len(rates(self.k))):
            for i, q in enumerate(self.q[stage]):
                self.counts.add(contexts(self.k, self.before, self.low + i)[stage], 0, q >> 12)
            self.counts.add(contexts(self.k, self.before, value)[stage], 1, 0)
