"""Mixture and decisions again, slowly: codec/modelling/mixture.py and codec/entropy/binarisation.py.

Python's integers of any length, so nothing can overflow; `//` and `>>` round down.
"""

GROWTH = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
STEPS = (1, 1, 2, 4, 8)


def limited(value, low, high):
    return min(max(value, low), high)


def quotient(a: int, b: int) -> int:
    """a / b, towards zero; b > 0."""
    return a // b if a >= 0 else -(-a // b)


def splits(value: int, mean: int, deviation: int):
    """Yields (low, split, high, is the upper part decision 1?, decision) on the way to a value."""
    centre = limited((mean >> 6) + 1, 1, 255)
    step = STEPS[sum(deviation > limit for limit in (96, 192, 384, 768))]
    above = value >= centre
    yield 0, centre, 256, True, int(above)
    k, low, high = (value - centre, 0, 256 - centre) if above else (centre - 1 - value, 0, centre)
    climbing, rungs = True, iter(GROWTH)
    while high - low > 1:
        threshold = min(step * next(rungs), 256) if climbing else high
        if threshold >= high:
            climbing, threshold = False, (low + high) >> 1
        decision = int(k >= threshold)
        if above:
            yield centre + low, centre + threshold, centre + high, True, decision
        else:
            yield centre - high, centre - threshold, centre - low, False, decision
        low, high = (threshold, high) if decision else (low, threshold)
        climbing = climbing and decision == 1


def component(logistic: list[int], mean: int, inverse: int, v: int) -> int:
    """Distribution function of a logistic below v - 1/2, out of 2^22."""
    if v in (0, 256):
        return (v // 256) << 22
    position = (((64 * v - 32 - mean) * inverse) >> 14) + (2048 << 8)
    entry = position >> 8
    if position < 0:
        return 0
    if entry >= 4096:
        return 1 << 22
    return logistic[entry] + (((logistic[entry + 1] - logistic[entry]) * (position & 255)) >> 8)


class Position:
    """The distribution of one position's three values; `decide` must be called for plane 0, 1, 2."""

    def __init__(self, parameters, tables: dict):
        parameters = [int(p) for p in parameters]
        n = len(parameters) // 10
        self.logits, self.shifts, self.scales, self.couplings = (
            parameters[:n],
            [parameters[n * (1 + k) : n * (2 + k)] for k in range(3)],
            [parameters[n * (4 + k) : n * (5 + k)] for k in range(3)],
            [parameters[n * (7 + i) : n * (8 + i)] for i in range(3)],
        )
        self.tables = {
            name: [int(x) for x in tables[name]] for name in ("exponential", "inverse_scale", "deviation", "logistic")
        }
        best = max(self.logits)
        self.weights = self.normalised([self.tables["exponential"][min(best - logit, 1023)] for logit in self.logits])
        self.residuals = []

    @staticmethod
    def normalised(weights):
        return [(weight << 15) // sum(weights) for weight in weights]

    def open(self, base: int) -> None:
        """Means and scales of the next plane."""
        k = len(self.residuals)
        self.means, self.inverses, deviations = [], [], []
        for j in range(len(self.weights)):
            shift = self.shifts[k][j]
            for p, which in ((), ((0, 0),), ((0, 1), (1, 2)))[k]:
                shift += limited(self.couplings[which][j], -(1 << 14), 1 << 14) * self.residuals[p] // (1 << 13)
            scale = limited(self.scales[k][j] + 128, 0, 320)
            self.means.append(base + limited(shift, -32767, 32767))
            self.inverses.append(self.tables["inverse_scale"][scale])
            deviations.append(self.tables["deviation"][scale])
        total = sum(self.weights)
        self.mean = quotient(sum(w * m for w, m in zip(self.weights, self.means)), total)
        self.deviation = sum(w * d for w, d in zip(self.weights, deviations)) // total

    def component(self, j: int, v: int) -> int:
        """Distribution function of component j below v - 1/2, out of 2^22."""
        return component(self.tables["logistic"], self.means[j], self.inverses[j], v)

    def mass(self, v: int) -> int:
        """F(v)."""
        return sum(w * self.component(j, v) for j, w in enumerate(self.weights)) + (v * sum(self.weights) << 2)

    def frequency(self, low: int, split: int, high: int, upper: bool) -> int:
        """Of decision 1, out of 2^24."""
        part = self.mass(high) - self.mass(split) if upper else self.mass(split) - self.mass(low)
        return limited((part << 24) // (self.mass(high) - self.mass(low)), 16, 2**24 - 16)

    def decisions(self, value: int) -> list[tuple[int, int]]:
        """(frequency of 1, decision) on the way to a value of the open plane."""
        return [(self.frequency(*where), decision) for *where, decision in splits(value, self.mean, self.deviation)]

    def learn(self, value: int, base: int) -> None:
        """Ends the plane: weights times how well each component explained the value."""
        self.residuals.append(64 * value - base)
        if len(self.residuals) < 3:
            self.weights = self.normalised(
                [w * (self.component(j, value + 1) - self.component(j, value) + 1) for j, w in enumerate(self.weights)]
            )


def odds(log_odds: int, logistic: list[int]) -> int:
    """The frequency of a binary pixel's 255, out of 2^24."""
    x = limited(log_odds, -16383, 16383)
    entry, part = divmod((x + 16384) * 32, 256)
    low, high = 4 * logistic[entry], 4 * logistic[entry + 1]
    return limited(low + (high - low) * part // 256, 16, 2**24 - 16)
