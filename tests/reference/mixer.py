"""Section 8.7: the mixer of probabilities, with state by context.

Vectors are NumPy's, of 64 bits, so nothing can overflow; `>>` rounds down.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.reference.numbers import Table, clip, squash


def falling(start: int, least: int) -> Callable[[int], int]:
    """The rate of a vector that has been learned from so often."""
    return lambda visits: max(least, start // (min(visits, 1023) + 50))


class Mixer:
    """first(vector): the weights that a vector of the first layer starts with; second(place): of the second layer.
    rate(visits), second_rate: how fast they learn."""

    def __init__(self, first: Callable, second: Callable, rate: Callable[[int], int], second_rate: int):
        self.weights, self.final = Table(lambda vector: np.array(first(vector), np.int64)), Table(second)
        self.rate, self.second_rate, self.visits = rate, second_rate, Table(lambda vector: 0)

    def mix(self, inputs: list[int], vectors: list, place, moved: int = 0) -> int:
        """The logit y, moved by so much; keeps all that `learn` needs."""
        self.inputs, self.vectors, self.place, self.moved = np.array(inputs, np.int64), vectors, place, moved
        self.outputs = [self.output(self.weights[vector] * self.inputs) for vector in vectors]
        total = sum(f * y for f, y in zip(self.final[place], self.outputs))
        self.logit = clip(((total + 2**15) >> 16) + moved, -2047, 2047)
        return self.logit

    @staticmethod
    def output(products: np.ndarray) -> int:
        """Of a set: two products each lose 8 bits together."""
        total = int(((products[0::2] + products[1::2]) >> 8).sum())
        return clip((total + 2**9) >> 10, -2047, 2047)

    def learn(self, decision: int) -> None:
        """From the decision that was mixed last."""
        d, final = decision << 16, self.final[self.place]
        error = (d - squash(self.logit)) * self.second_rate
        moved = [f + ((error * y + 2**23) >> 24) for f, y in zip(final, self.outputs)]
        self.final[self.place] = [clip(f, -(2**20), 2**20) for f in moved]
        for vector, y in zip(self.vectors, self.outputs):
            step = ((d - squash(clip(y + self.moved, -2047, 2047))) * self.rate(self.visits[vector])) >> 13
            self.visits[vector] += 1
            changes = (((self.inputs * step) >> 16) + 1) >> 1
            self.weights[vector] = np.minimum(np.maximum(self.weights[vector] + changes, -(2**15)), 2**15 - 1)
