"""Section 9: exact colours, one position and one number at a time.

State is kept by what it belongs to, in dictionaries; only what the text says to hash is hashed.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.reference.estimates import Chance, Knots
from tests.reference.mixer import Mixer, falling
from tests.reference.numbers import Table, clip, reached, squash, stretch

OUTSIDE = 1 << 24
NEAR = (
    *((0, -1), (-1, 0), (-1, -1), (-1, 1), (0, -2), (-2, 0), (-2, 1), (-2, -1), (-1, -2), (-2, 2)),
    *((0, -3), (-2, -2), (-2, 3), (-3, 0), (-3, 1), (-1, -3), (-3, -1), (-3, 2), (0, -4), (-3, 3)),
    *((-3, -2), (-2, -3), (-3, 4), (-4, 0), (-4, 1), (-1, -4), (-4, 2), (-4, -1)),
)
ORDERS, PATTERNS = (2, 4, 6, 10, 16, 28), (8, 14, 22)
SEED, SLOTS, SHAPES, PLACES = 0x1E3779B1, 1 << 15, 1 << 16, 1 << 16
MINE, OTHERS = (1, 2, 3, 4, 6, 9, 16, 32, 64, 128, 255), (1, 2, 3, 4, 7, 13, 31)
BREAKS = (1, 2, 3, 5, 9, 17, 33)
CONSTANT, WEIGHT, SECOND_LAYER = 1229, 3277, 21845
RATE, SECOND_RATE = falling(163840, 262), 131  # of learning
UNLIKELY = 1 << 17  # frequency below which a candidate is passed over
OPENING = "opening"


def mixed_in(h: int, v: int) -> int:
    """hash(h, v)."""
    h = ((h ^ v) * 0x2C1B3C6D) % 2**32
    return h ^ (h >> 15)


class State:
    """What a tile has taught so far."""

    def __init__(self, height: int, width: int):
        self.colours = {}  # (r, c): colour
        self.copied_from, self.streaks = {}, {}  # (r, c): where its copy was, how many copies in a row were right
        self.outcomes = {}  # (r, c): 0 first candidate, 1 another, 2 escaped
        self.buckets = {}  # (context, slot): (check, [[colour, count], ...]), latest first
        self.places = {}  # hash of the longest context: (r, c)
        self.row_runs, self.column_runs = [0] * height, [0] * width
        self.row_breaks, self.column_breaks = [0] * height, [0] * width
        self.recent = []
        self.chances = Table(lambda about: Chance())  # by what an input is about
        starts = (lambda vector: [WEIGHT] * 15 + [0]), (lambda phase: [SECOND_LAYER] * 3)
        self.mixer = Mixer(*starts, RATE, SECOND_RATE)
        self.knots = Table(lambda context: Knots())

    def colour(self, r: int, c: int) -> int:
        return self.colours.get((r, c), OUTSIDE)


class Question:
    """What is asked of a position, for a colour or the opening of the palette, and all that makes its frequency."""

    def __init__(self, state: State, inputs: list, vectors: list, phase: int, refinements: list):
        self.mixer, self.chances = state.mixer, [state.chances[about] for about in inputs]
        self.knots = [state.knots[context] for context in refinements]
        inputs = [*(16 * stretch(chance.p >> 10) for chance in self.chances), CONSTANT]
        y = self.mixer.mix(inputs, vectors, phase)
        fine = sum(knots.estimate(y) for knots in self.knots)
        frequency = fine >> 1 if abs(y) == 2047 else ((squash(y) << 9) + 3 * fine) >> 3
        self.frequency = clip(frequency, 16, 2**24 - 16)

    def answered(self, decide: Callable[[int], int]) -> int:
        """Asks, and learns from the answer."""
        yes = decide(self.frequency)
        for each in (self.mixer, *self.knots, *self.chances):  # an opening has one of its inputs several times
            each.learn(yes)
        return yes


class Position:
    """A position whose colour is asked for. refused: a colour that it is known not to have."""

    def __init__(self, state: State, r: int, c: int, refused: int | None = None):
        self.r, self.c, self.few = r, c, len(state.recent) < 32
        self.near = [state.colour(r + dr, c + dc) for dr, dc in NEAR]
        self.breaks = (reached(BREAKS, state.column_breaks[c]), reached(BREAKS, state.row_breaks[r]))
        self.runs = state.row_runs[r], state.column_runs[c]
        beside = ((r, c - 1), (r - 1, c), (r - 1, c - 1), (r - 1, c + 1))
        self.around = tuple(state.outcomes.get(at, 0) for at in beside)
        self.find_contexts()
        self.find_patterns()
        self.find_copy(state)
        self.seen = [[list(entry) for entry in self.bucket(state, k)] for k in range(8)]
        self.strike(refused)
        self.candidates = [colour for colour in self.gathered() if colour != refused][:8]
        self.scores = {colour: self.score(state, colour) for colour in self.candidates}
        self.palette = [colour for colour in state.recent if colour not in (refused, *self.candidates)]
        self.tried, self.found = 0, None

    def find_contexts(self) -> None:
        hashes, h = [], SEED
        for j, colour in enumerate(self.near):
            h = mixed_in(h, colour)
            if j + 1 in ORDERS:
                hashes.append(h)
        self.place = h % PLACES
        hashes.append(mixed_in(mixed_in(hashes[1], self.runs[0]), self.runs[1]))
        hashes.append(mixed_in(hashes[1], 8 * self.breaks[0] + self.breaks[1]))
        self.contexts = [(k, h % SLOTS, h // SLOTS) for k, h in enumerate(hashes)]

    def find_patterns(self) -> None:
        self.labels, self.patterns, h = [], [], SEED
        for j, colour in enumerate(self.near[: PATTERNS[-1]]):
            if colour not in self.labels and len(self.labels) < 8:
                self.labels.append(colour)
            h = mixed_in(h, self.labels.index(colour) if colour in self.labels else 8)
            if j + 1 in PATTERNS:
                self.patterns.append(h)

    def find_copy(self, state: State) -> None:
        r, c = self.r, self.c
        sources = []
        for at, (down, right) in (((r, c - 1), (0, 1)), ((r - 1, c), (1, 0))):
            if state.copied_from.get(at):
                row, column = state.copied_from[at]
                sources.append(((row + down, column + right), state.streaks[at]))
        if self.place in state.places:
            sources.append((state.places[self.place], 0))
        self.source, self.length, self.streak = None, 0, 0
        for (row, column), streak in sources:
            if (row, column) not in state.colours:
                continue
            alike = [state.colour(row + dr, column + dc) == colour for (dr, dc), colour in zip(NEAR, self.near)]
            length = (alike + [False]).index(False)
            if (length, streak) > (self.length, self.streak):
                self.source, self.length, self.streak = (row, column), length, streak
        self.copy = state.colours.get(self.source)

    def bucket(self, state: State, k: int) -> list:
        _, slot, check = self.contexts[k]
        found, entries = state.buckets.get((k, slot), (0, []))
        return entries if found == check else []

    def gathered(self) -> list[int]:
        colours = [self.copy] + [entry[0] for k in range(7, -1, -1) for entry in self.seen[k] if entry] + self.near[:4]
        return [colour for colour in dict.fromkeys(colours) if colour not in (None, OUTSIDE)]

    def known(self, k: int, colour: int) -> tuple:
        """What context k remembers of a colour: classes of its count and the others', whether it was the latest."""
        mine = sum(entry[1] for entry in self.seen[k] if entry and entry[0] == colour)
        others = sum(entry[1] for entry in self.seen[k] if entry and entry[0] != colour)
        latest = bool(self.seen[k] and self.seen[k][0] and self.seen[k][0][0] == colour)
        return reached(MINE, mine), latest, reached(OTHERS, others)

    def score(self, state: State, colour: int) -> int:
        chances = [state.chances[(k, 0, *self.known(k, colour))] for k in range(8)]
        return sum(stretch(chance.p >> 10) for chance in chances)

    def ask(self, state: State, decide: Callable[[int], int]) -> int | None:
        """The colour, or None where the position escapes."""
        self.found = self.asked_for(state, decide)
        return self.found

    def asked_for(self, state: State, decide: Callable[[int], int]) -> int | None:
        left = list(self.candidates)
        while left:
            colour = max(left, key=self.scores.get)
            question = self.colour_question(state, colour, min(self.tried, 2))
            if (self.few or question.frequency >= UNLIKELY) and question.answered(decide):
                return colour
            left.remove(colour)
            self.refuse(colour)
        if not self.few or not self.palette or not self.opening(state).answered(decide):
            return None
        for colour in self.palette[:-1]:
            if self.colour_question(state, colour, 3).answered(decide):
                return colour
            self.refuse(colour)
        return self.palette[-1]

    def colour_question(self, state: State, colour: int, phase: int) -> Question:
        states = [self.known(k, colour) for k in range(8)]
        equal = tuple(colour == other for other in self.near[:6])
        copied = colour == self.copy
        label = self.labels.index(colour) if colour in self.labels else 15
        inputs = [(k, phase, *states[k]) for k in range(8)] + [
            ("mask", phase, equal),
            ("grid", phase, equal, self.breaks),
            ("runs", self.tried > 0, equal[:4], min(self.runs[0], 15), min(self.runs[1], 15)),
            ("copy", phase, copied, min(self.length, 30) // 2, self.streak),
        ]
        inputs += [("pattern", m, mixed_in(h, 16 * phase + label) % SHAPES) for m, h in enumerate(self.patterns)]
        supported = max((k + 1 for k in range(6) if states[k][0]), default=0)
        alone = supported > 0 and states[supported - 1][2] == 0
        in_palette = "palette", min(self.tried - len(self.candidates), 31)
        rank = in_palette if phase == 3 else (min(self.tried, 7), equal[:4])
        vectors = [(0, rank), (1, phase, supported, alone, copied, self.length >= 16), (2, phase, self.around)]
        refinements = [(0, phase, states[1]), (1, phase, self.breaks, self.length == 28)]
        return Question(state, inputs, vectors, phase, refinements)

    def opening(self, state: State) -> Question:
        inputs = []
        for k in range(8):
            entries = [entry for entry in self.seen[k] if entry]
            inputs.append((OPENING, k, reached(OTHERS, sum(count for _, count in entries)), len(entries)))
        inputs += [("number", min(len(self.palette), 31)), ("candidates", len(self.candidates))]
        inputs += [("around", self.around)] * 5
        vectors = [(0, OPENING), (1, OPENING), (2, OPENING, self.around)]
        return Question(state, inputs, vectors, 4, [(0, OPENING, self.around), (1, OPENING)])

    def refuse(self, colour: int) -> None:
        self.tried += 1
        self.strike(colour)

    def strike(self, colour: int | None) -> None:
        for entries in self.seen:
            entries[:] = [None if entry and entry[0] == colour else entry for entry in entries]

    def take_over(self, state: State, colour: int) -> None:
        r, c = self.r, self.c
        west, north = self.near[:2]
        state.colours[r, c] = colour
        for k, slot, check in self.contexts:
            entries = self.bucket(state, k)
            times = sum(n for other, n in entries if other == colour)
            rest = [[other, (n + 2) // 2 if n > 2 else n] for other, n in entries if other != colour]
            state.buckets[k, slot] = check, ([[colour, min(times + 1, 255)]] + rest)[:3]
        count(state, r, c, colour, west, north)
        state.copied_from[r, c] = self.source
        state.streaks[r, c] = min(self.streak + 1, 15) if self.found is not None and self.found == self.copy else 0
        state.outcomes[r, c] = 2 if self.found is None else int(self.tried > 0)
        state.places[self.place] = r, c


def count(state: State, r: int, c: int, colour: int, west: int, north: int) -> None:
    """[9.2] Runs, breaks and the palette after a position's colour."""
    state.row_runs[r] = min(state.row_runs[r] + 1, 63) if colour == west else 1
    state.column_runs[c] = min(state.column_runs[c] + 1, 63) if colour == north else 1
    state.row_breaks[r] += r > 0 and colour != north
    state.column_breaks[c] += c > 0 and colour != west
    if colour != west:
        state.recent = ([colour] + [other for other in state.recent if other != colour])[:32]
