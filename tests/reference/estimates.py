"""Section 9.7: adaptive probabilities, and the tables of secondary estimation."""

from __future__ import annotations

from tests.reference.numbers import clip, squash


class Chance:
    """An adaptive probability p, out of 2^22."""

    def __init__(self):
        self.p, self.visits = 1 << 21, 0

    def learn(self, d: int) -> None:
        self.p += (((d << 22) - d - self.p) * (131072 // (2 * self.visits + 3))) >> 16
        self.visits = min(self.visits + 1, 250)


class Knots:
    """What came of a mixer's logits y in a context: probabilities out of 2^24 at every 128th of them."""

    def __init__(self):
        self.knots = [squash(clip(128 * (j - 16), -2047, 2047)) << 8 for j in range(33)]

    def estimate(self, y: int) -> int:
        j, e = divmod(y + 2048, 128)
        self.nearer = j + (e >= 64)
        return (self.knots[j] * (128 - e) + self.knots[j + 1] * e) >> 7

    def learn(self, d: int) -> None:
        """Of the decision that was estimated last."""
        self.knots[self.nearer] += ((d << 24) - self.knots[self.nearer]) >> 6
