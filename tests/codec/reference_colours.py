"""Exact colours again, slowly: docs/format.md, the section of this name, one position and one number at a time.

Python's integers of any length, so nothing can overflow; `//` and `>>` round down. State is kept by what it belongs to,
in dictionaries, and not where the compiled code keeps it; only what the format says to hash is hashed.
"""

from codec.modelling import logistic

SQUASH, STRETCH = logistic.SQUASH.tolist(), logistic.STRETCH.tolist()
ONE = 1 << 24
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
UNLIKELY = ONE >> 7
GATE = "gate"


def limited(x: int, low: int, high: int) -> int:
    return min(max(x, low), high)


KNOTS = [SQUASH[limited(128 * j - 2048, -2047, 2047) + 2047] << 8 for j in range(33)]


def mixed_in(h: int, v: int) -> int:
    h = ((h ^ v) * 0x2C1B3C6D) % 2**32
    return h ^ (h >> 15)


def reached(thresholds, n: int) -> int:
    return sum(n >= threshold for threshold in thresholds)


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
        self.chances = {}  # what an input is about: [probability out of 2^22, visits]
        self.weights, self.visits = {}, {}  # context of a vector
        self.final = {phase: [65536 // 3] * 3 for phase in range(5)}
        self.knots = {}  # context of a refinement: 33 probabilities out of 2^24

    def colour(self, r: int, c: int) -> int:
        return self.colours.get((r, c), OUTSIDE)


class Question:
    """What is asked of a position: for a colour or the gate, and all that takes part in the answer's probability."""

    def __init__(self, state: State, about, inputs: list, vectors: list, phase: int, refinements: list):
        self.about, self.inputs, self.vectors, self.phase, self.refinements = about, inputs, vectors, phase, refinements
        self.x = [STRETCH[state.chances.setdefault(i, [1 << 21, 0])[0] >> 10] for i in inputs] + [77]
        self.parts = []
        for vector in vectors:
            weights = state.weights.setdefault(vector, [13107] * len(inputs) + [0])
            dot = sum(w * x for w, x in zip(weights, self.x))
            self.parts.append(limited((dot + 2**15) >> 16, -2047, 2047))
        total = sum(f * part for f, part in zip(state.final[phase], self.parts))
        logit = limited((total + 2**15) >> 16, -2047, 2047)
        self.mixed = SQUASH[logit + 2047]
        knot, share = divmod(logit + 2048, 128)
        self.nearest, fine = knot + (share >= 64), 0
        for refinement in refinements:
            knots = state.knots.setdefault(refinement, list(KNOTS))
            fine += (knots[knot] * (128 - share) + knots[knot + 1] * share) >> 7
        frequency = fine >> 1 if abs(logit) == 2047 else (512 * self.mixed + 3 * fine) >> 3
        self.frequency = limited(frequency, 16, ONE - 16)

    def learn(self, state: State, yes: int) -> None:
        def moved(weight, step):
            return limited(weight + ((step + 2**23) >> 24), -(2**20), 2**20)

        error = ((yes << 16) - self.mixed) * 131
        state.final[self.phase] = [moved(f, error * part) for f, part in zip(state.final[self.phase], self.parts)]
        for vector, part in zip(self.vectors, self.parts):
            visits = state.visits.get(vector, 0)
            step = ((yes << 16) - SQUASH[part + 2047]) * max(262, 163840 // (min(visits, 1023) + 50))
            state.visits[vector] = visits + 1
            state.weights[vector] = [moved(w, step * x) for w, x in zip(state.weights[vector], self.x)]
        for refinement in self.refinements:
            knots = state.knots[refinement]
            knots[self.nearest] += ((yes << 24) - knots[self.nearest]) >> 6
        for i in self.inputs:  # the gate has some of its inputs several times
            p, visits = state.chances[i]
            p += (((yes << 22) - yes - p) * (131072 // (2 * visits + 3))) >> 16
            state.chances[i] = [p, min(visits + 1, 250)]


class Position:
    """A position whose colour is asked for."""

    def __init__(self, state: State, r: int, c: int):
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
        self.candidates = self.gathered()
        self.scores = {colour: self.score(state, colour) for colour in self.candidates}
        self.palette = [colour for colour in state.recent if colour not in self.candidates]
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
        colours = [self.copy] + [colour for k in range(7, -1, -1) for colour, _ in self.seen[k]] + self.near[:4]
        return [colour for colour in dict.fromkeys(colours) if colour not in (None, OUTSIDE)][:8]

    def known(self, k: int, colour: int) -> tuple:
        """What context k remembers of a colour: classes of its count and the others', whether it was the latest."""
        mine = sum(entry[1] for entry in self.seen[k] if entry and entry[0] == colour)
        others = sum(entry[1] for entry in self.seen[k] if entry and entry[0] != colour)
        latest = bool(self.seen[k] and self.seen[k][0] and self.seen[k][0][0] == colour)
        return reached(MINE, mine), latest, reached(OTHERS, others)

    def score(self, state: State, colour: int) -> int:
        chances = [state.chances.get((k, 0, *self.known(k, colour)), [1 << 21])[0] for k in range(8)]
        return sum(STRETCH[chance >> 10] for chance in chances)

    def ask(self, state: State, answer) -> list[tuple[int, int]]:
        """Asks until the colour is known or nothing is left to ask; answer(question) -> symbol. The decisions."""
        decisions = []

        def answered(question: Question) -> int:
            symbol = answer(self, question)
            decisions.append((question.frequency, symbol))
            question.learn(state, symbol)
            return symbol

        left = list(self.candidates)
        while left:
            colour = max(left, key=self.scores.get)
            question = self.colour_question(state, colour, min(self.tried, 2))
            if (self.few or question.frequency >= UNLIKELY) and answered(question):
                self.found = colour
                return decisions
            left.remove(colour)
            self.refuse(colour)
        if not self.few or not self.palette or not answered(self.gate_question(state)):
            return decisions
        for colour in self.palette[:-1]:
            if answered(self.colour_question(state, colour, 3)):
                self.found = colour
                return decisions
            self.refuse(colour)
        self.found = self.palette[-1]
        return decisions

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
        return Question(state, colour, inputs, vectors, phase, refinements)

    def gate_question(self, state: State) -> Question:
        inputs = []
        for k in range(8):
            entries = [entry for entry in self.seen[k] if entry]
            inputs.append(("gate", k, reached(OTHERS, sum(count for _, count in entries)), len(entries)))
        inputs += [("number", min(len(self.palette), 31)), ("candidates", len(self.candidates))]
        inputs += [("around", self.around)] * 5
        vectors = [(0, GATE), (1, GATE), (2, GATE, self.around)]
        return Question(state, GATE, inputs, vectors, 4, [(0, GATE, self.around), (1, GATE)])

    def refuse(self, colour: int) -> None:
        self.tried += 1
        for entries in self.seen:
            entries[:] = [None if entry and entry[0] == colour else entry for entry in entries]

    def take_over(self, state: State, colour: int) -> None:
        r, c = self.r, self.c
        west, north = self.near[:2]
        state.colours[r, c] = colour
        for k, slot, check in self.contexts:
            entries = self.bucket(state, k)
            count = sum(n for other, n in entries if other == colour)
            rest = [[other, (n + 2) // 2 if n > 2 else n] for other, n in entries if other != colour]
            state.buckets[k, slot] = check, ([[colour, min(count + 1, 255)]] + rest)[:3]
        state.row_runs[r] = min(state.row_runs[r] + 1, 63) if colour == west else 1
        state.column_runs[c] = min(state.column_runs[c] + 1, 63) if colour == north else 1
        state.row_breaks[r] += r > 0 and colour != north
        state.column_breaks[c] += c > 0 and colour != west
        state.copied_from[r, c] = self.source
        state.streaks[r, c] = min(self.streak + 1, 15) if self.found is not None and self.found == self.copy else 0
        state.outcomes[r, c] = 2 if self.found is None else int(self.tried > 0)
        state.places[self.place] = r, c
        if colour != west:
            state.recent = ([colour] + [other for other in state.recent if other != colour])[:32]


def code_tile(values: list[list[int]]) -> list[tuple[int, int, int]]:
    """The decisions (position, frequency, symbol) about colours [r][c], in their order; a position is r width + c."""
    height, width, found = len(values), len(values[0]), []

    def truth(position: Position, question: Question) -> int:
        colour = values[position.r][position.c]
        return int(colour in position.palette if question.about == GATE else colour == question.about)

    state = State(height, width)
    for level in range(width + 2 * (height - 1)):
        for r in range(height):
            c = level - 2 * r
            if 0 <= c < width:
                position = Position(state, r, c)
                found += [(r * width + c, *decision) for decision in position.ask(state, truth)]
                assert position.found in (None, values[r][c])
                position.take_over(state, values[r][c])
    return found
