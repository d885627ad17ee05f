"""Section 15: a number or a coefficient as decisions, and all that learns from them."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np

from tests.reference.estimates import Knots
from tests.reference.mixer import Mixer, falling
from tests.reference.numbers import Table, clip, squash, stretch

CONTEXTS, LINES, SLOTS = 8, 1 << 15, 16
WEIGHT, CONSTANT, SECOND_LAYER = 4500, 1229, 1 << 15
RATE, SECOND_RATE = falling(131072, 131), 131
BITS = 6, 3, 3  # of the numbers of parts 0 to 2
LONGEST = 17  # bits of a magnitude
MULTIPLIER = 0x9E3779B1


def line(key: int, salt: int) -> int:
    y = (key * MULTIPLIER) % 2**32 ^ salt
    return ((y ^ (y >> 15)) * MULTIPLIER) % 2**32 >> 17


def salt_of_number(j: int, node: int) -> int:
    return 8 * (j + 1) + 64 * node


class Decisions:
    """q, n: of all slots. decide(frequency) -> decision: who is asked, set for each picture."""

    decide: Callable[[int], int]

    def __init__(self):
        self.q, self.n = [1 << 21] * (CONTEXTS * LINES * SLOTS), [0] * (CONTEXTS * LINES * SLOTS)
        starts = (lambda vector: [WEIGHT] * 8 + [0] * 8), (lambda place: [SECOND_LAYER] * 2)
        self.mixer = Mixer(*starts, RATE, SECOND_RATE)
        self.knots = Table(lambda about: Knots())

    def of_next(self) -> Decisions:
        """Those of the next picture: all goes on but the vectors' visits."""
        other = type(self)()
        other.q, other.n, other.knots = self.q.copy(), self.n.copy(), copy.deepcopy(self.knots)
        other.mixer.weights.update(self.mixer.weights)
        other.mixer.final.update(self.mixer.final)
        return other

    def find(self, keys: list[int], salt: int) -> None:
        """The first slots of the keys' lines."""
        self.lines = [SLOTS * (LINES * j + line(key, salt)) for j, key in enumerate(keys)]

    def ask(self, slot: int, k: int, stage: int) -> int:
        """A decision, and what is learned from it. p, kind and t are those of what is coded."""
        places = [first + slot for first in self.lines]
        inputs = [16 * stretch(self.q[at] >> 10) for at in places] + [CONSTANT] + [0] * 7
        vectors = [("place", min(self.p, 2), k, stage), ("class", self.kind, self.t, slot)]
        y = self.mixer.mix(np.array(inputs), vectors, (self.kind, slot))
        knots = self.knots[self.kind, k, stage]
        u, p = knots.estimate(y), squash(y)
        decision = self.decide(clip(u if abs(y) == 2047 else ((p << 8) + u) >> 1, 64, 2**24 - 64))
        self.mixer.learn(decision)
        knots.learn(decision)
        for at in places:
            self.learn(at, decision)
        return decision

    def learn(self, at: int, d: int) -> None:
        q, n = self.q[at], self.n[at]
        q += (((d << 22) - d - q) * (131072 // (2 * n + 3))) >> 16
        self.q[at], self.n[at] = clip(q, 2**10, 2**22 - 2**10), min(n + 1, 200)

    def number(self, p: int, j: int, keys: list[int], t: int) -> int:
        """How many coefficients of part j are not zero."""
        self.p, self.kind, self.t, node = p, 4 + j, t, 1
        for bit in reversed(range(BITS[j])):
            if bit in (BITS[j] - 1, 1):
                self.find(keys, salt_of_number(j, node))
            node = 2 * node + self.ask(node % 16, bit, 0)
        return min(node - (1 << BITS[j]), 7 if j else 49)

    def coefficient(self, p: int, j: int, k: int, keys: list[int], t: int) -> int:
        """One of part j, less what is foretold."""
        self.p, self.kind, self.t = p, j, t
        self.find(keys, j + 1)
        if not self.ask(0, k, 0):
            return 0
        length, size = 1, 1
        while length < LONGEST and self.ask(min(length, 7), k, 1):
            length += 1
        negative = self.ask(8, k, 2)
        for d in range(length - 1):
            size = 2 * size + self.ask(8 + min(length - 1 + d, 7), k, 3)
        return -size if negative else size
