"""Section 9.9: palettes, one position and one number at a time; state is kept by what it belongs to."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.reference.colours import NEAR, RATE, SECOND_RATE, mixed_in
from tests.reference.container import check
from tests.reference.estimates import Chance, Knots
from tests.reference.least_squares import Predictor
from tests.reference.mixer import Mixer
from tests.reference.numbers import Table, clip, error_class, f32, squash, stretch

WEIGHT, CONSTANT, SECOND_LAYER = 1966, 1229, 21845
SLOTS = 1 << 18


def listed(channels: int, decide: Callable[[int], int]) -> list[int]:
    """The colours of the list, by number."""
    count, bits, chances = 0, 8 * channels, Table(lambda about: Chance())
    for _ in range(8):
        count = 2 * count + decide(1 << 23)
    places, least = [], 0
    for _ in range(count + 1):
        place, bound = 0, True
        for b in reversed(range(bits)):
            wanted = least >> b & 1
            if bound and wanted:
                place = 2 * place + 1
                continue
            chance = chances[b, bound, place & 3]
            bit = decide(clip(chance.p >> 6, 16, 65520) << 8)
            chance.learn(bit)
            place, bound = 2 * place + bit, bound and bit == 0
        places.append(place)
        least = place + 1
    check(places == sorted(set(places)), "a palette that is not in its order")
    return [colour(place, channels) for place in places]


def colour(place: int, channels: int) -> int:
    """The colour whose planes' bits a place has in turn."""
    planes = [0] * channels
    for at in range(8 * channels):
        planes[at % channels] = 2 * planes[at % channels] + (place >> (8 * channels - 1 - at) & 1)
    return sum(x << 8 * i for i, x in enumerate(reversed(planes)))


class Palette:
    """A tile's list, and what it has taught so far."""

    def __init__(self, channels: int, own: Predictor, decide: Callable[[int], int]):
        self.own, self.colours = own, listed(channels, decide)
        self.planes = [[found >> 8 * (channels - 1 - k) & 255 for k in range(channels)] for found in self.colours]
        self.planes = np.array([planes * (3 // channels) for planes in self.planes], np.float32)
        self.indices = {}  # (r, c)
        self.chances = Table(lambda about: Chance())
        self.mixer = Mixer(lambda vector: [WEIGHT] * 15 + [0], lambda place: [SECOND_LAYER] * 3, RATE, SECOND_RATE)
        self.knots = Table(lambda context: Knots())

    def index(self, r: int, c: int) -> int:
        return self.indices.get((r, c), len(self.colours))

    def masses(self, r: int, c: int) -> list[int]:
        """Of every colour, by the own predictor."""
        fits, canvas = self.own.fits, self.own.canvas
        known, weights = [self.known(k, r, c) for k in range(3)], [fit.weights[r] for fit in fits]
        reference = [canvas.reference(p, r, c) for p in range(3)]
        scales = [f32(512) / f32(fit.nearby(r, c) + 256) for fit in fits]
        red, green, blue = self.planes.T
        with np.errstate(all="ignore"):
            a = weights[1][-1] + f32(1)
            b, g = weights[2][-1] + f32(0.5), weights[2][-2] + f32(0.5)
            d_0 = (red - known[0]) * scales[0]
            d_1 = (green - (known[1] - a * reference[0]) - a * red) * scales[1]
            d_2 = (blue - (known[2] - b * reference[0] - g * reference[1]) - b * red - g * green) * scales[2]
            q = f32(1) + (d_0 * d_0 + d_1 * d_1 + d_2 * d_2) * f32(0.25)
            q = np.where(q < f32(1e12), q, f32(1e12))
        h = q.min() / q
        return [int(mass) + 1 for mass in h * h * f32(1 << 22)]

    def known(self, k: int, r: int, c: int) -> np.float32:
        """What the known features of plane k add up to."""
        canvas = self.own.canvas
        value = canvas.reference(k, r, c)
        with np.errstate(all="ignore"):
            for (p, dr, dc), w in zip(self.own.taps[k], self.own.fits[k].weights[r]):
                if (dr, dc) != (0, 0):
                    feature = f32(canvas.pixel(p, r + dr, c + dc)) - canvas.reference(p, r, c)
                    value = value + w * feature
        return value

    def decoded(self, r: int, c: int, decide: Callable[[int], int]) -> int:
        """The colour of a position, whose index is learned."""
        masses = self.masses(r, c)
        order = sorted(range(len(masses)), key=lambda i: -masses[i])
        nearby = sum(fit.nearby(r, c) for fit in self.own.fits) // 3
        near = [self.index(r + dr, c + dc) for dr, dc in NEAR[:12]]
        contexts = hashes(near, order[0], order[min(1, len(order) - 1)])
        low, high, depth = 0, len(masses), 0
        while high - low > 1:
            middle = (low + high) >> 1
            sides = tuple(0 if not low <= i < high else 1 if i < middle else 2 for i in near[:6])
            part, whole = f32(sum(masses[middle:high])), f32(sum(masses[low:high]))
            share = stretch(clip(int(part * f32(65536) / whole), 16, 65520) >> 4)
            about = [(k, mixed_in(mixed_in(h, k), middle) % SLOTS) for k, h in enumerate(contexts)]
            chances = [
                self.chances[a] for a in (*about, ("sides", depth, sides), ("share", middle, (share + 2048) >> 6))
            ]
            vectors = [(0, middle), (1, depth, sides[:4]), (2, depth, error_class(nearby >> 3))]
            inputs = [*(16 * stretch(chance.p >> 10) for chance in chances), 16 * share, CONSTANT]
            y = self.mixer.mix(inputs, vectors, depth)
            knots = [self.knots[vector] for vector in vectors[:2]]
            fine = sum(each.estimate(y) for each in knots)
            frequency = fine >> 1 if abs(y) == 2047 else ((squash(y) << 9) + fine) >> 2
            upper = decide(clip(frequency, 16, 2**24 - 16))
            for each in (self.mixer, *knots, *chances):
                each.learn(upper)
            low, high = (middle, high) if upper else (low, middle)
            depth += 1
        self.indices[r, c] = low
        return self.colours[low]


def hashes(near: list[int], likeliest: int, second: int) -> list[int]:
    """Of the twelve contexts."""
    w, n, nw, ne, ww, nn = near[:6]
    beside = mixed_in(w, n)
    with_nw = mixed_in(beside, nw)
    four = mixed_in(with_nw, ne)
    six = mixed_in(mixed_in(four, ww), nn)
    twelve = six
    for index in near[6:]:
        twelve = mixed_in(twelve, index)
    expected = [likeliest, *(mixed_in(likeliest, other) for other in (second, w, n))]
    return [w, n, beside, with_nw, mixed_in(beside, ne), four, six, twelve, *expected]
