"""Flat tiles (docs/format.md, 16): rows, stretches, exact colours and the values of new ones, one position at a time.

Numbers in brackets are the parts of that section. State is kept by what it belongs to, in dictionaries.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.reference import colours, flat_start
from tests.reference.colours import CONSTANT, OUTSIDE, RATE, SECOND_RATE, mixed_in, reached
from tests.reference.estimates import Chance
from tests.reference.mixer import Mixer
from tests.reference.numbers import Table, clip, squash, stretch

SHORTEST, LONGEST_COPY, FURTHEST, SURE = 12, 256, 512, 15
ROW, FLAT, COPY = range(3)


class Mixed:
    """Decisions that a mixer mixes of adaptive probabilities and other inputs."""

    def __init__(self, name: str, inputs: int, vector: Callable[[tuple], int], place: Callable):
        """vector, place: where the weights of a vector and of a place begin in the file."""
        length = inputs + 1 + (inputs + 1) % 2  # the constant, and one up to a pair
        self.mixer = Mixer(
            lambda about: flat_start.weights(name, vector(about), length),
            lambda about: flat_start.final(name, place(about)),
            RATE,
            SECOND_RATE,
        )

    def decided(self, given: list[int], chances: list[Chance], vectors: list, place: int, decide: Callable) -> int:
        """given: inputs that are no probabilities; they come first."""
        inputs = [*given, *(16 * stretch(chance.p >> 10) for chance in chances), CONSTANT]
        inputs += [0] * (len(inputs) % 2)
        found = decide(256 * squash(self.mixer.mix(inputs, vectors, place)))
        for each in (self.mixer, *chances):
            each.learn(found)
        return found


class Stretches:
    """[3] Whether what is expected of a stretch comes, and up to where if not."""

    def __init__(self, state: colours.State):
        self.state, self.past = state, [0, 0, 0]
        self.chances = Table(lambda about: flat_start.chance("stretches", flat_start.stretch_chance(about)))
        self.mixed = Mixed("stretches", 4, flat_start.stretch_vector, flat_start.KINDS.index)

    def asked(self, kind: tuple, length: int, reach: int | None, other: int, r: int, decide: Callable) -> int:
        size = (length - 1).bit_length()
        foretold = 0 if reach is None else 1 if reach >= length else 2
        breaks = min(self.state.row_breaks[r], 3)
        about = [
            (kind, 0, size, foretold),
            (kind, 1, size, other, foretold),
            (kind, 2, size, breaks),
            (kind, 3, min(size, 15), breaks, other, foretold),
        ]
        vectors = [(kind, "size", size), (kind, "other", foretold, other)]
        return self.mixed.decided([], [self.chances[key] for key in about], vectors, kind, decide)

    def length(self, what: int, r: int, c: int, length: int, reach: int | None, decide: Callable) -> int:
        """How many of the positions from (r, c) on are as expected."""
        whole = self.asked((what, True), length, reach, self.past[what] & 15, r, decide)
        self.past[what] = self.past[what] << 1 | whole
        if whole:
            return length
        low, left = 0, length
        while left > 1:
            first = (left + 1) // 2
            columns = 0
            if left <= 16:
                breaks = [min(n, 255) for n in self.state.column_breaks[c + low : c + low + left]]
                x, y = max(breaks[:first]), max(breaks[first:])
                columns = 1 + (x > y) + 2 * (y > x) + 4 * (x > 2 * y) + 8 * (y > 2 * x)
            # a foretold break that lies behind is one that did not come: nothing is foretold any more
            near = None if reach is None or reach < low else reach - low
            if self.asked((what, False), first, near, columns, r, decide):
                low, left = low + first, left - first
            else:
                left = first
        return low


class Values:
    """[5] The values of a colour that no neighbourhood foretold."""

    def __init__(self, channels: int, slots: int):
        self.channels, self.slots = channels, slots
        self.tree = Table(lambda about: flat_start.chance("values", 256 * about[0] + about[1]))
        self.chances = Table(lambda about: Chance())
        self.mixed = Mixed("values", 13, flat_start.value_vector, int)
        self.errors = flat_start.numbers()["errors"].tolist()
        self.last = 0

    def decoded(self, around: tuple[int, int, int, int], decide: Callable) -> int:
        """around: colours at W, N, NW and NE, as [5.1] has them."""
        colour = 0
        for k in range(self.channels):
            shift = 8 * (self.channels - 1 - k)
            predicted, hashes = self.foreseen(k, shift, colour, around)
            value = self.value(k, predicted, hashes, decide)
            for i, mean in enumerate(predicted):
                self.errors[k][i] += (16 * abs(value - mean) - self.errors[k][i]) >> 2
            colour = colour << 8 | value
        self.last = colour
        return colour

    def foreseen(self, k: int, shift: int, before: int, around: tuple) -> tuple[list[int], list[int]]:
        w, n, nw, ne = (colour >> shift & 255 for colour in around)
        last = self.last >> shift & 255
        if k == 0:
            means = [sorted((w, n, w + n - nw))[1], w, n, (w + n + ne + nw) >> 2, ne, last, w + ne - n]
        else:
            x = before & 255
            pw, pn, pnw, pne = (colour >> shift + 8 & 255 for colour in around)
            plast = self.last >> shift + 8 & 255
            means = [
                x + sorted((w - pw, n - pn, w - pw + n - pn - nw + pnw))[1],
                x,
                between(x, pw, pn, w, n),
                x + last - plast,
                between(x, pw, pne, w, ne),
                between(x, pn, plast, n, last),
                between(x, pw, plast, w, last),
            ]
        known = mixed_in(k, before)
        hashes = [mixed_in(k, before & 255), known, mixed_in(known, around[0]), mixed_in(known, around[1])]
        hashes.append(mixed_in(k, w))
        return [clip(mean, 0, 255) for mean in means], hashes

    def value(self, k: int, means: list[int], hashes: list[int], decide: Callable) -> int:
        slopes = [2**26 // clip(error, 8, 1024) for error in self.errors[k]]
        width = min(reached([8 * 2**i + 1 for i in range(15)], self.errors[k][0]), 15)
        low, high, node, inner = 0, 256, 1, 1
        for depth in range(8):
            middle = (low + high) // 2
            given = []
            for mean, slope in zip(means, slopes):
                a, b, d = (below(v, mean, slope) for v in (low, middle, high))
                given.append(16 * stretch(clip((d - b + 1) * 65536 // (d - a + 2), 16, 65520) >> 4))
            if depth % 4 == 0:
                lines = [mixed_in(h, node) % self.slots // 16 for h in hashes]
                inner = 1
            chances = [self.chances[j, line, inner] for j, line in enumerate(lines)]
            seen = tuple(min(chances[j].visits, 3) for j in (0, 2))
            chances.append(self.tree[k, node])
            vectors = [(k, "depth", depth), (k, "width", width), (k, "seen", seen)]
            bit = self.mixed.decided(given, chances, vectors, k, decide)
            node, inner = 2 * node + bit, 2 * inner + bit
            low, high = (middle, high) if bit else (low, middle)
        return low


def between(x: int, low: int, high: int, first: int, last: int) -> int:
    return x + first - low if low == high else first + (x - low) * (last - first) // (high - low)


def below(value: int, mean: int, slope: int) -> int:
    return squash(clip((2 * (value - mean) - 1) * slope >> 15, -2047, 2047))


class FlatTile:
    """A tile of some planes; `decoded` fills it."""

    def __init__(self, channels: int, height: int, width: int):
        self.shape = channels, height, width
        self.state = colours.State(height, width)
        self.stretches = Stretches(self.state)
        self.state.chances = Table(lambda about: flat_start.chance("colours", flat_start.colour_chance(about)))
        self.state.mixer = Mixed("colours", 15, flat_start.colour_vector, int).mixer
        self.rows, self.past_rows = Table(lambda past: flat_start.chance("rows", past)), 0
        slots = clip(1 << (64 * height * width - 1).bit_length(), 2**10, 2**18)
        self.values = Values(channels, slots)

    def decoded(self, decide: Callable[[int], int]) -> np.ndarray:
        """uint8 [C, H, W]; decide(frequency) gives one decision after the other."""
        channels, height, width = self.shape
        for r in range(height):
            if r and self.same_row(decide):
                for c in range(width):
                    self.pass_over(r, c, self.state.colours[r - 1, c])
            else:
                self.row(r, decide)
        found = [[self.state.colours[r, c] for c in range(width)] for r in range(height)]
        planes = [
            [[colour >> 8 * (channels - 1 - k) & 255 for colour in row] for row in found] for k in range(channels)
        ]
        return np.array(planes, np.uint8)

    def same_row(self, decide: Callable) -> int:
        chance = self.rows[self.past_rows]
        same = decide(clip(4 * chance.p, 256, 2**24 - 256))
        chance.learn(same)
        self.past_rows = (2 * self.past_rows + same) % 256
        return same

    def row(self, r: int, decide: Callable) -> None:
        c = 0
        while c < self.shape[2]:
            what, expected, source = self.stretch(r, c)
            refused = None
            if expected:
                reach = self.foretold(r, c, expected) if what == FLAT else None
                count = self.stretches.length(what, r, c, len(expected), reach, decide)
                for i in range(count):
                    self.pass_over(r, c + i, expected[i], source and (source[0], source[1] + i))
                c += count
                if count == len(expected):
                    continue
                refused = expected[count]
            self.position(r, c, refused, decide)
            c += 1

    def stretch(self, r: int, c: int) -> tuple[int, list[int], tuple[int, int] | None]:
        """What is expected, the colours, and where they are copied from; no colours if none are."""
        colour, width = self.state.colour, self.shape[2]
        if not r:
            return self.copy(r, c)
        above = colour(r - 1, c)
        around = [(r, c - 1), (r - 1, c - 1), (r - 1, c + 1), (r - 2, c), (r, c - 2)]
        if all(colour(*at) in (above, OUTSIDE) for at in around):
            end = c
            while end < width and above == colour(r - 1, end) and colour(r - 1, end + 1) in (above, OUTSIDE):
                end += 1
            if end - c >= SHORTEST:
                return FLAT, [above] * (end - c), None
        return self.copy(r, c)

    def copy(self, r: int, c: int) -> tuple[int, list[int], tuple[int, int] | None]:
        colour, source = self.state.colour, self.state.copied_from.get((r, c - 1))
        if source is None or self.state.streaks[r, c - 1] < SURE:
            return COPY, [], None
        row, col = source[0], source[1] + 1
        expected = []
        while len(expected) < LONGEST_COPY and c + len(expected) < self.shape[2]:
            i = len(expected)
            alike = [colour(row - 1, col + i + j) == colour(r - 1, c + i + j) for j in (0, 1)]
            if (row, col + i) not in self.state.colours or not alike[1] or (i == 0 and not alike[0]):
                break
            expected.append(colour(row, col + i))
        return (COPY, expected, (row, col)) if len(expected) >= SHORTEST else (COPY, [], None)

    def foretold(self, r: int, c: int, expected: list[int]) -> int | None:
        """How many of a stretch the match at W says as well."""
        source = self.state.copied_from.get((r, c - 1))
        at = source and (source[0], source[1] + 1)
        if at not in self.state.colours:
            return None
        count = 0
        while count < min(len(expected), FURTHEST) and self.state.colour(at[0], at[1] + count) == expected[0]:
            count += 1
        return len(expected) if count == FURTHEST else count

    def position(self, r: int, c: int, refused: int | None, decide: Callable) -> None:
        asked = colours.Position(self.state, r, c, refused)
        found = asked.ask(self.state, decide)
        if found is None:
            west, north, corner, east = (
                self.state.colour(*at) for at in ((r, c - 1), (r - 1, c), (r - 1, c - 1), (r - 1, c + 1))
            )
            west = west if west != OUTSIDE else north if north != OUTSIDE else 0
            north = north if north != OUTSIDE else west
            corner, east = (colour if colour != OUTSIDE else north for colour in (corner, east))
            found = self.values.decoded((west, north, corner, east), decide)
        asked.take_over(self.state, found)

    def pass_over(self, r: int, c: int, colour: int, source: tuple[int, int] | None = None) -> None:
        """[4] Takes in a colour that nothing was asked about."""
        state, streak = self.state, SURE
        if source is None:
            row, col = state.copied_from.get((r, c - 1)) or (-9, -9)
            source, streak = (row, col + 1), min(state.streaks.get((r, c - 1), 0) + 1, 15)
            if state.colours.get(source) != colour:
                source, streak = (r - 1, c), 0
        state.copied_from[r, c], state.streaks[r, c], state.outcomes[r, c] = source, streak, 0
        state.colours[r, c] = colour
        colours.count(state, r, c, colour, state.colour(r, c - 1), state.colour(r - 1, c))
