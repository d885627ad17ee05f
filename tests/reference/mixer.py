"""Section 8.4: the mixer of probabilities, with state by context."""

from __future__ import annotations

from collections.abc import Callable

from tests.reference.numbers import Table, clip, squash


def falling(start: int, least: int) -> Callable[[int], int]:
    """The rate of a vector that has been learned from so often."""
    return lambda visits: max(least, start // (min(visits, 1023) + 50))


class Mixer:
    """first(vector): the weights that a vector of the first layer starts with; second(place): of the second layer.
    rate(visits), second_rate: how fast they learn."""

    def __init__(self, first: Callable, second: Callable, rate: Callable[[int], int], second_rate: int):
        self.weights, self.final, self.rate, self.second_rate = Table(first), Table(second), rate, second_rate
        self.visits = Table(lambda vector: 0)

    def mix(self, inputs: list[int], vectors: list, place) -> int:
        """The logit y; keeps all that `learn` needs."""
        self.inputs, self.vectors, self.place = inputs, vectors, place
        dots = [sum(w * x for w, x in zip(self.weights[vector], inputs)) for vector in vectors]
        self.outputs = [clip((dot + 2**15) >> 16, -2047, 2047) for dot in dots]
        total = sum(f * y for f, y in zip(self.final[place], self.outputs))
        self.logit = clip((total + 2**15) >> 16, -2047, 2047)
        return self.logit

    def learn(self, decision: int) -> None:
        """From the decision that was mixed last."""

        def moved(weight: int, step: int) -> int:
            return clip(weight + ((step + 2**23) >> 24), -(2**20), 2**20)

        d, final = decision << 16, self.final[self.place]
        error = (d - squash(self.logit)) * self.second_rate
        self.final[self.place] = [moved(f, error * y) for f, y in zip(final, self.outputs)]
        for vector, y in zip(self.vectors, self.outputs):
            step = (d - squash(y)) * self.rate(self.visits[vector])
            self.visits[vector] += 1
            self.weights[vector] = [moved(w, step * x) for w, x in zip(self.weights[vector], self.inputs)]
