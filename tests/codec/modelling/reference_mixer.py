"""The mixer again, slowly: codec/modelling/mixer.py in Python's integers of any length, with state by context."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from codec.modelling.logistic import SQUASH as _SQUASH
from codec.modelling.logistic import STRETCH as _STRETCH
from tests.codec.modelling.reference_mixture import limited

SQUASH, STRETCH = _SQUASH.tolist(), _STRETCH.tolist()
UNIT, LIMIT = 1 << 16, 1 << 20  # of weights


class Table(dict):
    """What belongs to a context: start(context) until it is first changed."""

    def __init__(self, start: Callable[[Hashable], object]):
        super().__init__()
        self.start = start

    def __missing__(self, context: Hashable):
        self[context] = self.start(context)
        return self[context]


def stretch(p: int) -> int:
    """The logit of a probability out of 2^16."""
    return STRETCH[p // 16]


def squash(logit: int) -> int:
    return SQUASH[logit + 2047]


def rounded(product: int, unit: int) -> int:
    """product / unit, half upwards."""
    return (product + unit // 2) // unit


class Mixer:
    """first(vector): the weights that a vector of the first layer starts with; second(place): of the second layer."""

    def __init__(self, first: Callable, second: Callable, rates: list[int], final_rate: int):
        self.weights, self.final = Table(first), Table(second)
        self.rates, self.final_rate = rates, final_rate
        self.visits = Table(lambda vector: 0)

    def mix(self, inputs: list[int], vectors: list, place) -> int:
        """The logit; keeps all that `learn` needs."""
        self.inputs, self.vectors, self.place = inputs, vectors, place
        dots = [sum(w * x for w, x in zip(self.weights[vector], inputs)) for vector in vectors]
        self.outputs = [limited(rounded(dot, UNIT), -2047, 2047) for dot in dots]
        total = sum(f * y for f, y in zip(self.final[place], self.outputs))
        self.logit = limited(rounded(total, UNIT), -2047, 2047)
        return self.logit

    def learn(self, symbol: int) -> None:
        """From the decision that was mixed last."""

        def moved(weight: int, step: int) -> int:
            return limited(weight + rounded(step, 1 << 24), -LIMIT, LIMIT)

        wanted, final = symbol << 16, self.final[self.place]
        error = (wanted - squash(self.logit)) * self.final_rate
        self.final[self.place] = [moved(f, error * y) for f, y in zip(final, self.outputs)]
        for vector, y in zip(self.vectors, self.outputs):
            step = (wanted - squash(y)) * self.rates[min(self.visits[vector], len(self.rates) - 1)]
            self.visits[vector] += 1
            self.weights[vector] = [moved(w, step * x) for w, x in zip(self.weights[vector], self.inputs)]
