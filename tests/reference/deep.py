"""Tiles of 9 to 16 bits (docs/format.md, 17), value by value, with state in dictionaries by context.

What is float32 is NumPy's, one operation after the other. Predictions and errors are in 1/64.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tests.reference.estimates import Chance, Knots
from tests.reference.least_squares import Canvas, Fit, Predictor, Settings, in_units, rows_of
from tests.reference.mixer import Mixer
from tests.reference.numbers import Table, clip, f32, first_counts, passed, squash, stretch

RIDGE = (4, 4, 4)
COLOUR = (
    Settings(((16, 4, 4), (12, 8, 4), (12, 8, 7)), 0.94, 0.85, RIDGE, 2),
    Settings(((4, 1, 1), (4, 3, 1), (4, 3, 2)), 0.86, 0.75, RIDGE),
    Settings(((20, 7, 7), (18, 8, 7), (18, 8, 8)), 0.998, 0.97, RIDGE, 8),
)
GREY = (
    Settings(((24, 0, 0),), 0.94, 0.85, RIDGE, 2),
    Settings(((6, 0, 0),), 0.86, 0.75, RIDGE),
    Settings(((24, 0, 0),), 0.998, 0.97, RIDGE, 8),
)
MEMBERS, UNKNOWN = 20, 256
RISE = (8, 16, 24, 32, 48, 64, 80, 96, 128, 160, 192, 256, 384, 512, 1024, 4096)
SIGNED = (-20, -8, -3, 3, 8, 20)
APART = (-8, -4, -2, -1, 0, 1, 3, 7)
SPREAD = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64)
RATIO = (4, 5, 6, 7, 9, 11, 14, 20)
PARTS = ("kind", "step", "step", "step", "", "step", "", "step", "", "step", "step")  # of the sets
ADAPTIVE = (1, 2, 3, 4, 7)  # sets with adaptive probabilities


def squared(fit: Fit) -> Fit:
    fit.squared = True
    return fit


def floor_log2(x: int) -> int:
    return x.bit_length() - 1


class Histogram:
    """S(0) .. S(128) of one expert in one plane."""

    def __init__(self):
        self.counts = [first_counts(False, 7)[j] for j in range(129)]

    def below(self, place: int) -> int:
        bin, part = place >> 8, place & 255
        return (self.counts[bin] << 8) + (self.counts[bin + 1] - self.counts[bin]) * part

    def count(self, place: int, scale: np.float32) -> None:
        width = clip(math.frexp(float(scale))[1] - 4, 0, 5)  # the exponent of frexp is one more than the usual
        half = 256 << width
        first = clip(place - half, 0, 128 * 256 - 2 * half)
        bin, phase = first >> 8, (first >> 6) & 3
        self.counts = [s + clip(((i - bin) * 4 - phase) * 8 >> width, 0, 64) for i, s in enumerate(self.counts)]
        if self.counts[128] > 25600:
            self.counts = [s >> 1 for s in self.counts]


def log(n: int) -> int:
    """About 4096 log2(n)."""
    e = floor_log2(n)
    f = ((n << 12) >> e) - 4096
    return 4096 * e + f + ((((f * (4096 - f)) >> 12) * (1780 - ((630 * f) >> 12))) >> 12)


class Expert:
    """A prediction with an expected error, for one value."""

    def __init__(self, histogram: Histogram, prediction: int, error: int):
        self.histogram, self.prediction, self.scale = histogram, prediction, f32(2560) / f32(error)

    def away(self, at: int) -> np.float32:
        return f32(at - self.prediction) * self.scale

    def ends(self, v: int) -> tuple[int, int]:
        """What is counted below v, and how many bins v is away."""
        far = clip(self.away(64 * v - 32), f32(-(2**22)), f32(2**22))
        place = int(clip(far + f32(16384), f32(0), f32(32767)))
        return self.histogram.below(place), int(far) >> 8

    def inputs(self, low: int, split: int, high: int, up: bool) -> tuple[int, int]:
        ends = [self.ends(v) for v in (low, split, high)]
        a, b = (ends[i + 1][0] - ends[i][0] + ends[i + 1][1] - ends[i][1] + 6554 for i in (0, 1))
        logit = clip(((log(b) - log(a)) * 3407) >> 14, -9830, 9830)
        share = int(f32(b - a) * f32(8192) / f32(a + b))
        return (logit, share) if up else (-logit, -share)

    def learn(self, x: int) -> None:
        self.histogram.count(int(clip(self.away(64 * x) + f32(16384), f32(0), f32(32767))), self.scale)


class DeepTile:
    """A tile while it is decoded."""

    def __init__(self, shape: tuple[int, int, int], depth: int):
        (self.planes, self.height, self.width), self.depth = shape, depth
        self.canvas = Canvas(self.height, self.width, self.planes, 2**depth - 1)
        size, planes = (self.height, self.width), range(self.planes)
        self.predictors = [Predictor(self.canvas, way) for way in (GREY if self.planes == 1 else COLOUR)]
        for predictor in self.predictors:
            predictor.fits = [squared(fit) for fit in predictor.fits]
        self.correction = [squared(Fit(k, size, 9, 0.96, 0.9, 4, 2)) for k in planes]
        self.scatter = [squared(Fit(k, size, 12, 0.99, 0.95, 8, 4)) for k in planes]
        self.signed = {}  # (k, r, c): 64 x less each member
        self.wide = {}  # (k, r, c), 1/16 of the unit
        self.bright = Table(lambda place: [UNKNOWN << 8, 0])  # (k, class): mean, count
        self.histograms = Table(lambda place: Histogram())  # (k, expert)
        self.chances, self.knots = Table(lambda place: Chance()), Table(lambda place: Knots())
        start = [6000] * 4 + [0] * 55 + [0] * 5
        rate = lambda visits: max(262, 196608 // (min(visits, 1023) + 100))  # noqa: E731
        self.mixer = Mixer(lambda vector: start, lambda place: [65536 // 11] * 11, rate, 200)

    def decoded(self, decide: Callable[[int], int]) -> np.ndarray:
        """uint16 [C, H, W]; decide(frequency) gives one decision after the other."""
        for level in range(self.width + 2 * (self.height - 1)):
            for refitted in (*self.predictors, *self.correction, *self.scatter):
                refitted.refit(level)
            for r in rows_of(level, self.height, self.width):
                for k in range(self.planes):
                    self.value(k, r, level - 2 * r, decide)
        x = [self.canvas.x[place] for place in np.ndindex(self.planes, self.height, self.width)]
        return np.array(x, np.uint16).reshape(self.planes, self.height, self.width)

    def value(self, k: int, r: int, c: int, decide: Callable[[int], int]) -> None:
        self.k, self.r, self.c = k, r, c
        self.predict()
        self.expect()
        self.find_contexts()
        experts = [(self.members[0], error) for error in self.expected]
        experts += [(m, max(self.near[q] >> 3, 8)) for q, m in enumerate(self.members)]
        self.experts = [Expert(self.histograms[k, e], *known) for e, known in enumerate(experts)]
        x = self.decided(decide)
        self.canvas.x[k, r, c] = x
        for expert in self.experts:
            expert.learn(x)
        self.learn(x)

    # what is known around

    def error(self, q: int, dr: int, dc: int, k: int | None = None) -> int | None:
        """Signed, of a member; None where nothing is known."""
        return self.around(self.signed, dr, dc, k, q)

    def around(self, known: dict, dr: int, dc: int, k: int | None = None, q: int | None = None) -> int | None:
        c = min(self.c + dc, self.width - 1)
        found = known.get((self.k if k is None else k, self.r + dr, c))
        return found if found is None or q is None else found[q]

    def missed(self, q: int, dr: int, dc: int, k: int | None = None) -> int:
        """Absolute."""
        found = self.error(q, dr, dc, k)
        return UNKNOWN if found is None else abs(found)

    def elsewhere(self, i: int) -> tuple[int, int, int]:
        """dr, dc and plane of an error in another plane."""
        if self.planes == 1:
            return -1, 1 - 2 * i, 0
        other = (self.k + 1 + i) % 3
        return 0, 0 if other < self.k else -1, other

    # predictions

    def predict(self) -> None:
        k, r, c = self.k, self.r, self.c
        fitted = [predictor.predict(k, r, c) for predictor in self.predictors]
        self.near = [
            2 * (self.missed(q, 0, -1) + self.missed(q, -1, 0))
            + (self.missed(q, -1, 1) + self.missed(q, -1, -1) + self.missed(q, 0, -2) + self.missed(q, -2, 0))
            for q in range(MEMBERS)
        ]
        total, mean = f32(0), f32(0)
        for m, near in zip(fitted, self.near[2:5]):
            error = f32(near) * f32(1 / 512)
            g = error * error + f32(0.05)
            g = f32(1) / (g * g)
            total += g
            mean += g * f32(m)
        self.mean = mean / total * f32(1 / 64)
        places = [(0, -1, k), (-1, 0, k), (-1, 1, k), (-1, -1, k), self.elsewhere(0), self.elsewhere(1)]
        self.features = [f32(m) * f32(1 / 64) - self.mean for m in fitted]
        self.features += [f32(self.error(1, *place) or 0) * f32(1 / 64) for place in places]
        white = self.canvas.white
        corrected = self.correction[k].plus_products(self.mean, r, np.array(self.features, np.float32))
        self.members = [in_units(corrected, white), in_units(self.mean, white), *fitted]
        self.forms()

    def forms(self) -> None:
        """The other members: five forms from each of three bases."""
        k, r, c = self.k, self.r, self.c
        places = [(0, -1), (0, -2), (-1, 0), (-1, 1), (-1, -1)]
        own = [64 * self.canvas.pixel(k, r + dr, c + dc) for dr, dc in places]

        def of_plane(p: int) -> tuple[int, list[int]]:
            other = [64 * self.canvas.pixel(p, r + dr, c + dc) for dr, dc in places]
            return 64 * self.canvas.x[p, r, c], [a - b for a, b in zip(own, other)]

        def of_member(q: int) -> tuple[int, list[int]]:
            return self.members[q], [self.error(q, *place) or 0 for place in places]

        bases = [(0, own)]
        if k == 0:
            bases += [of_member(0), of_member(1)]
        elif k == 1:
            bases += [of_plane(0), of_member(0)]
        else:
            bases += [of_plane(1), of_plane(0)]
        for here, (w, ww, n, ne, nw) in bases:
            forms = [w, n, clip(w + n - nw, min(w, n), max(w, n))]
            forms += [((w + n) >> 1) + ((ne - nw) >> 2), (3 * w - ww + n + ne) >> 2]
            self.members += [clip(here + form, 0, 64 * self.canvas.white) for form in forms]

    # expected errors

    def expect(self) -> None:
        k, m = self.k, self.members
        self.bright_class = (
            k,
            min(((max(m[0], 64) << 3) >> floor_log2(max(m[0], 64))) - 8 + 8 * (floor_log2(max(m[0], 64)) - 6), 127),
            self.r & 1,
            self.c & 1,
        )
        sum_around = sum(
            UNKNOWN << 4 if found is None else found
            for found in (self.around(self.wide, 0, -1), self.around(self.wide, -1, 1))
        )
        self.wide_before, wide = sum_around >> 1, sum_around >> 5
        near, bright = self.near[0] >> 3, self.bright[self.bright_class][0] >> 8
        start = (near + wide + 1) >> 1
        told = [self.missed(0, dr, dc) for dr, dc in ((0, -1), (-1, 0), (-1, 1), (-1, -1), (0, -2), (-2, 0))]
        told += [wide, bright, self.missed(0, *self.elsewhere(0)), self.missed(0, *self.elsewhere(1))]
        told += [abs(m[2] - m[3]) + abs(m[2] - m[4]), abs(m[5] - m[6])]
        self.start, self.told = start, np.array([f32(e - start) * f32(1 / 64) for e in told], np.float32)
        value = f32(start) + self.scatter[k].plus_products(f32(0), self.r, self.told) * f32(64)
        fitted = start >> 2
        if value > f32(fitted):
            fitted = int(value) if value < f32(4 * start) else 4 * start
        self.expected = [clip(e, 8, 2**22) for e in (fitted, near, wide, bright)]

    # decisions

    def find_contexts(self) -> None:
        k, r, c, m, u = self.k, self.r, self.c, self.members, self.expected[0]

        def count(limits: tuple, v: int) -> int:
            """How many of the limits, times u, are below v."""
            return passed([limit * u for limit in limits], v)

        def signs(a: int, b: int) -> int:
            return 7 * count(SIGNED, 8 * a) + count(SIGNED, 8 * b)

        fits = [m[0], m[2], m[3], m[4]]
        w, n, nw, ne, nn, ww = (
            self.canvas.pixel(k, r + dr, c + dc) for dr, dc in ((0, -1), (-1, 0), (-1, -1), (-1, 1), (-2, 0), (0, -2))
        )
        compared = (n > nw, n > ne, w > n, w > nw, n > nn, w > ww)
        e = floor_log2(u)
        self.contexts = [
            0,
            2 * (e - 3) + (u >> (e - 1) & 1),
            signs(self.error(0, 0, -1) or 0, self.error(0, -1, 0) or 0),
            signs(self.error(0, *self.elsewhere(0)) or 0, self.error(0, *self.elsewhere(1)) or 0),
            9 * count(APART, 16 * (m[2] - m[0])) + count(APART, 16 * (m[4] - m[0])),
            count(SPREAD, 16 * (max(fits) - min(fits))),
            self.near.index(min(self.near)),
            9 * count(RATIO, 8 * self.expected[1]) + count(RATIO, 8 * self.expected[2]),
            sum(holds << i for i, holds in enumerate(compared)),
            m[0] >> (self.depth + 2),
            2 * (r & 1) + (c & 1),
        ]

    def decided(self, decide: Callable[[int], int]) -> int:
        """Section "Decisions"."""
        low, high, u = 0, 2**self.depth, self.expected[0]
        centre = clip((self.members[0] >> 6) + 1, 1, high - 1)
        if self.decision(low, centre, high, True, (0, 0), decide):
            low, above = centre, True
        else:
            high, above = centre, False
        rung, ladder, halvings = 0, True, 0
        while high - low > 1:
            nearest, farthest = (low - centre, high - centre) if above else (centre - high, centre - low)
            distance = farthest
            if ladder and rung < 16:
                distance = max((u * RISE[rung]) >> 10, nearest + 1)
            if distance >= farthest:
                ladder, distance = False, (nearest + farthest) >> 1
            split = centre + distance if above else centre - distance
            if ladder:
                kind = 1 + 2 * rung + above, 1 + min(rung, 7)
            else:
                stop, times = min(rung, 7), min(halvings, 2)
                kind = 33 + 2 * (3 * stop + times) + above, 9 + times
            if not ladder and high - low <= u >> 8:
                part = high - split if above else split - low
                away = decide(2**24 * part // (high - low))
            else:
                away = self.decision(low, split, high, above, kind, decide)
            if bool(away) == above:
                low = split
            else:
                high = split
            if ladder and away:
                rung += 1
            elif ladder:
                ladder = False
            else:
                halvings += 1
        return low

    def decision(self, low: int, split: int, high: int, up: bool, kinds: tuple, decide: Callable[[int], int]) -> int:
        """One that is mixed. up: whether decision 1 says that x is the split or more; kinds: kind and step."""
        (kind, step), k = kinds, self.k
        said = [expert.inputs(low, split, high, up) for expert in self.experts]
        inputs = [logit for logit, _ in said] + [share for _, share in said]
        chances = [self.chances[number, k, self.contexts[number], kind] for number in ADAPTIVE]
        for chance in chances:
            p = chance.p >> 6
            inputs += [(16 * stretch(p >> 4)) >> 1, (p - 2**15) >> 2]
        parts = {"": 0, "step": step, "kind": kind}
        vectors = [(s, k, context, parts[part]) for s, (context, part) in enumerate(zip(self.contexts, PARTS))]
        y = self.mixer.mix([*inputs, 1229] + [0] * 5, vectors, kind)
        knots = self.knots[k, self.contexts[1], kind]
        q = ((squash(y) << 8) + knots.estimate(y)) >> 1
        d = decide(clip(q, 256, 2**24 - 256))
        self.mixer.learn(d)
        for learner in (knots, *chances):
            learner.learn(d)
        return d

    # learning

    def learn(self, x: int) -> None:
        k, r, c = self.k, self.r, self.c
        for predictor in self.predictors:
            predictor.learn(k, r, c)
        self.correction[k].learn(r, c, x, self.members[0], self.features, self.mean)
        self.signed[k, r, c] = [64 * x - m for m in self.members]
        error = abs(self.signed[k, r, c][0])
        self.scatter[k].errors[r, c] = self.expected[0]
        self.scatter[k].samples[r] = np.array([*self.told, f32(error - self.start) * f32(1 / 64)], np.float32)
        self.wide[k, r, c] = self.wide_before + ((16 * error - self.wide_before) >> 2)
        mean, count = self.bright[self.bright_class]
        mean += (256 * error - mean) // (count + 1)
        self.bright[self.bright_class] = [mean, min(count + 1, 64)]
