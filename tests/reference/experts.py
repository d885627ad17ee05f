"""Section 8: decisions that are mixed from seven experts, which learn the tile."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.reference.blend import Blend
from tests.reference.least_squares import Canvas
from tests.reference.mixer import Mixer, falling
from tests.reference.mixture import Mixture, Split, between, centre_and_class, decoded, position_of
from tests.reference.numbers import Table, clip, error_class, f32, passed, squash, stretch
from tests.reference.ratio_tables import Counts, Window

NARROW, WIDE = 30147, 2621  # weights of a rival's components
SHARPNESS = 863288426
CROSS = (26, 64, 128, 256, 512, 896, 1600)
PLAIN = [39321, 6553, 19660, 0, 0, 0, 0, 0]
CONSTANT = 77
SECOND_LAYER = [21845] * 3
RATE, SECOND_RATE = falling(65536, 262), 20  # of learning


def vector_number(vector: tuple) -> int:
    """Where a model keeps the weights that a vector starts with."""
    which, k, *rest = vector
    if which == 0:
        z, kind = rest
        return (5 * k + z) * 65 + kind
    if which == 1:
        z, step, error = rest
        return 975 + ((5 * k + z) * 12 + step) * 24 + error
    step, side, cross = rest
    return 975 + 4320 + ((12 * k + step) * 3 + side) * 8 + cross


def place_number(place: tuple) -> int:
    k, z, step = place
    return (5 * k + z) * 12 + step


class Experts:
    """What a tile has taught so far."""

    def __init__(self, canvas: Canvas, planes: int, tables: dict):
        self.canvas, self.tables = canvas, tables
        self.blend, self.counts = Blend(canvas, planes), Counts()
        self.mixer = Mixer(self.first_weights, self.first_final, RATE, SECOND_RATE)
        self.scales = Table(self.first_scale)  # (total, count) of (k, q, class, cross)

    def first_weights(self, vector: tuple) -> list[int]:
        if "mixing.weights" not in self.tables:
            return PLAIN
        return [32 * int(w) for w in self.tables["mixing.weights"][vector_number(vector)]]

    def first_final(self, place: tuple) -> list[int]:
        if "mixing.final" not in self.tables:
            return SECOND_LAYER
        return [32 * int(f) for f in self.tables["mixing.final"][place_number(place)]]

    def first_scale(self, context: tuple) -> tuple[int, int]:
        e, y = int(self.tables["mixing.scales"][context]) if "mixing.scales" in self.tables else 0, context[2]
        return 4 * max(16, e if e > 0 else (11 if y % 2 else 8) << (y // 2)), 4

    def cross(self, k: int, r: int, c: int) -> int:
        """The class of the mixture's errors in the other planes: here in those known already, else left and above."""

        def d(plane: int, dr: int, dc: int) -> int:
            return abs(self.blend.errors[4].get((plane, r + dr, c + dc), 256))

        if k == 0:
            return passed(CROSS, (d(1, 0, -1) + d(1, -1, 0) + d(2, 0, -1) + d(2, -1, 0)) >> 2)
        return passed(CROSS, d(0, 0, 0) if k == 1 else d(1, 0, 0) + (d(0, 0, 0) >> 1))

    def expect(self, mixture: Mixture, k: int, r: int, c: int) -> None:
        """Predictions and rivals of a plane that is opened."""
        self.at, self.mixture = (k, r, c), mixture
        self.prediction = self.blend.predict(k, r, c, mixture.base, mixture.mean)
        self.seen = error_class(self.blend.near(4, k, r, c)), self.cross(k, r, c)
        self.used = [(k, q, error_class(self.blend.near(q, k, r, c)), self.seen[1]) for q in range(4)]
        self.rivals = []
        for m, context in zip(self.prediction.members, self.used):
            total, count = self.scales[context]
            self.rivals.append((m, SHARPNESS * count // total))

    def decoded(self, before: list[int], decide: Callable[[int], int]) -> int:
        """The value of the plane that was expected; before: of the planes before."""
        k = self.at[0]
        self.z = centre_and_class(self.mixture.mean, self.mixture.spread)[1]
        self.window = Window(self.counts, self.mixture, k, before)
        x = decoded(self.mixture.mean, self.mixture.spread, lambda at: self.decision(at, decide))
        self.window.learn(x)
        return x

    def decision(self, at: Split, decide: Callable[[int], int]) -> int:
        k, z, (error, cross) = self.at[0], self.z, self.seen
        vectors = [(0, k, z, at.kind), (1, k, z, at.step, error), (2, k, at.step, at.side, cross)]
        y = self.mixer.mix([*self.inputs(at), CONSTANT], vectors, (k, z, at.step))
        answer = decide(256 * squash(y))
        self.mixer.learn(answer)
        return answer

    def inputs(self, at: Split) -> Iterator[int]:
        """What each expert thinks of decision 1."""
        for low, split, high in zip(*map(self.masses, (at.low, at.split, at.high))):
            part = abs(high - split) if at.upper else abs(split - low)
            share = int(f32(part) * f32(65536) / f32(max(high - low, 1)))
            yield stretch(clip(share, 16, 65520) >> 4)

    def masses(self, v: int) -> list[int]:
        """P(v) of each expert."""
        return self.window.masses(v) + [self.rival(mean, inverse, v) for mean, inverse in self.rivals]

    def rival(self, mean: int, inverse: int, v: int) -> int:
        """Two logistics at the same prediction, one three times as wide."""
        if v in (0, 256):
            return v * (2**14 + 4)
        narrow, wide = (
            between(self.mixture.tables["logistic"], clip(position_of(v, mean, i), 0, 2**20 - 1))
            for i in (inverse, inverse // 3)
        )
        return ((NARROW * narrow + WIDE * wide) >> 15) + 4 * v

    def learn(self) -> None:
        """The value of the plane that was expected is known."""
        x, members = self.canvas.x[self.at], self.prediction.members
        for m, context in zip(members, self.used):
            total, count = self.scales[context]
            total, count = total + max(abs(64 * x - m), 16), count + 1
            self.scales[context] = (total >> 1, count >> 1) if count > 800 else (total, count)
        self.blend.learn(*self.at, self.prediction)
