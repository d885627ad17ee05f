"""Exact colours again, slowly: docs/format.md, the section of this name, one position and one number at a time.

Python's integers of any length, so nothing can overflow; `//` and `>>` round down. State is kept by what it belongs to,
in dictionaries, and not where the compiled code keeps it; only what the format says to hash is hashed.
"""
from codec import tables
from tests.codec.reference_mixture import limited

SQUASH, STRETCH = tables.SQUASH.tolist(), tables.STRETCH.tolist()
ONE = 1 << 24
NEAR = [(0, -1), (-1, 0), (-1, -1), (-1, 1), (0, -2), (-2, 0), (-2, 1), (-2, -1), (-1, -2), (-2, 2), (0, -3), (-2, -2),
        (-2, 3), (-3, 0), (-3, 1), (-1, -3), (-3, -1), (-3, 2), (0, -4), (-3, 3), (-3, -2), (-2, -3), (-3, 4), (-4, 0),
        (-4, 1), (-1, -4), (-4, 2), (-4, -1)]
ORDERS, PATTERNS = (2, 4, 6, 10, 16, 28), (8, 14, 22)
SEED, SLOTS, SHAPES, PLACES = 0x1E3779B1, 1 << 15, 1 << 16, 1 << 16
MINE, OTHERS = (1, 2, 3, 4, 6, 9, 16, 32, 64, 128, 255), (1, 2, 3, 4, 7, 13, 31)
BREAKS = (1, 2, 3, 5, 9, 17, 33)
UNLIKELY = ONE >> 7
KNOTS = [SQUASH[limited(128 * j - 2048, -2047, 2047) + 2047] << 8 for j in range(33)]
GATE, NONE = "gate", None


def mixed_in(h: int, v: int) -> int:
    h = ((h ^ v) * 0x2C1B3C6D) % 2**32
    return h ^ (h >> 15)


def reached(thresholds, n: int) -> int:
    return sum(n >= threshold for threshold in thresholds)


class State:
    """What a tile has taught so far."""

    def __init__(self, height: int, width: int):
        self.height, self.width = height, width
        self.colours = {}                       # (r, c): colour
        self.copied_from, self.streaks = {}, {}  # (r, c): where its copy was, how many copies in a row were right
        self.outcomes = {}                      # (r, c): 0 first candidate, 1 another, 2 escaped
        self.buckets = {}                       # (context, slot): (check, [[colour, count], ...]), latest first
        self.places = {}                        # hash of the longest context: (r, c)
        self.row_runs, self.column_runs = [0] * height, [0] * width
        self.row_breaks, self.column_breaks = [0] * height, [0] * width
        self.recent = []
        self.chances = {}                       # what an input is about: [probability out of 2^22, visits]
        self.weights, self.visits = {}, {}      # context of a vector
        self.final = {phase: [65536 // 3] * 3 for phase in range(5)}
        self.knots = {}                         # context of a refinement: 33 probabilities out of 2^24

    def colour(self, r: int, c: int):
        return self.colours.get((r, c), 1 << 24)


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
        for i in self.inputs:                   # the gate has some of its inputs several times
            p, visits = state.chances[i]
            p += (((yes << 22) - yes - p) * (131072 // (2 * visits + 3))) >> 16
            state.chances[i] = [p, min(visits + 1, 250)]


class Position:
    """A position whose colour is asked for."""

    def __init__(self, state: State, r: int, c: int):
        self.r, self.c = r, c
        self.near = [state.colour(r + dr, c + dc) for dr, dc in NEAR]
        self.breaks = (reached(BREAKS, state.column_breaks[c]), reached(BREAKS, state.row_breaks[r]))
        self.runs = state.row_runs[r], state.column_runs[c]
        beside = ((r, c - 1), (r - 1, c), (r - 1, c - 1), (r - 1, c + 1))
        self.around = tuple(state.outcomes.get(at, 0) for at in beside)
        self.find_contexts(state)
        self.find_patterns()
        self.find_copy(state)
        self.seen = [[list(entry) for entry in self.bucket(state, k)] for k in range(8)]
        self.candidates = self.gathered()
        self.scores = {colour: sum(STRETCH[state.chances.get((k, 0, *self.known(k, colour)), [1 << 21])[0] >> 10]
                                   for k in range(8)) for colour in self.candidates}
        self.left = list(self.candidates)
        self.tried, self.gate, self.result = 0, False, NONE

    def find_contexts(self, state: State) -> None:
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
        for j, colour in enumerate(self.near[:PATTERNS[-1]]):
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
        self.source, self.length, self.streak = NONE, 0, 0
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
        return [colour for colour in dict.fromkeys(colours) if colour not in (NONE, 1 << 24)][:8]

    def known(self, k: int, colour: int) -> tuple:
        """What context k remembers of a colour: classes of its count and the others', whether it was the latest."""
        mine = sum(entry[1] for entry in self.seen[k] if entry and entry[0] == colour)
        others = sum(entry[1] for entry in self.seen[k] if entry and entry[0] != colour)
        latest = bool(self.seen[k] and self.seen[k][0] and self.seen[k][0][0] == colour)
        return reached(MINE, mine), latest, reached(OTHERS, others)

    def ask(self, state: State, few: bool):
        """The next question, or none."""
        while True:
            if not self.gate and not self.left:
                self.list = [colour for colour in state.recent if colour not in self.candidates]
                if not few or not self.list:
                    return NONE
                self.question = self.gate_question(state)
            else:
                colour = self.left[0] if self.gate else max(self.left, key=self.scores.get)
                self.question = self.colour_question(state, colour)
            if few or self.question.frequency >= UNLIKELY:
                return self.question
            self.refuse(self.question.about)

    def colour_question(self, state: State, colour: int) -> Question:
        phase = 3 if self.gate else min(self.tried, 2)
        states = [self.known(k, colour) for k in range(8)]
        equal = tuple(colour == other for other in self.near[:6])
        copied = colour == self.copy
        label = self.labels.index(colour) if colour in self.labels else 15
        inputs = [(k, phase, *states[k]) for k in range(8)] + [
            ("mask", phase, equal), ("grid", phase, equal, self.breaks),
            ("runs", self.tried > 0, equal[:4], min(self.runs[0], 15), min(self.runs[1], 15)),
            ("copy", phase, copied, min(self.length, 30) // 2, self.streak)]
        inputs += [("pattern", m, mixed_in(h, 16 * phase + label) % SHAPES) for m, h in enumerate(self.patterns)]
        supported = max((k + 1 for k in range(6) if states[k][0]), default=0)
        alone = supported > 0 and states[supported - 1][2] == 0
        rank = ("list", min(self.tried - len(self.candidates), 31)) if self.gate else (min(self.tried, 7), equal[:4])
        vectors = [(0, rank), (1, phase, supported, alone, copied, self.length >= 16), (2, phase, self.around)]
        refinements = [(0, phase, states[1]), (1, phase, self.breaks, self.length == 28)]
        return Question(state, colour, inputs, vectors, phase, refinements)

    def gate_question(self, state: State) -> Question:
        inputs = []
        for k in range(8):
            entries = [entry for entry in self.seen[k] if entry]
            inputs.append(("gate", k, reached(OTHERS, sum(count for _, count in entries)), len(entries)))
        inputs += [("number", min(len(self.list), 31)), ("candidates", len(self.candidates))]
        inputs += [("around", self.around)] * 5
        vectors = [(0, GATE), (1, GATE), (2, GATE, self.around)]
        return Question(state, GATE, inputs, vectors, 4, [(0, GATE, self.around), (1, GATE)])

    def refuse(self, colour: int) -> None:
        self.tried += 1
        self.left.remove(colour)
        for entries in self.seen:
            entries[:] = [NONE if entry and entry[0] == colour else entry for entry in entries]

    def truth(self, colour: int) -> int:
        return int(colour in self.list if self.question.about == GATE else colour == self.question.about)

    def take(self, yes: int) -> bool:
        """Takes over an answer; True while there may be another question."""
        if self.question.about == GATE:
            self.gate, self.left = True, list(self.list)
            if not yes:
                return False
        elif yes:
            self.result = self.question.about
            return False
        else:
            self.refuse(self.question.about)
        if self.gate and len(self.left) == 1:
            self.result = self.left[0]
            return False
        return True

    def learn(self, state: State, colour: int) -> None:
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
        state.streaks[r, c] = min(self.streak + 1, 15) if colour == self.copy else 0
        state.outcomes[r, c] = 2 if self.result is NONE else int(self.tried > 0)
        state.places[self.place] = r, c
        if colour != west:
            state.recent = ([colour] + [other for other in state.recent if other != colour])[:32]


def code_tile(values, answer=NONE, state: State | None = None):
    """(rounds, values): for every level a list of rounds, each a list of (frequency, symbol); and the colours, [r][c].

    values [r][c]: colours. answer(frequencies) -> symbols decodes: then only what escaped is taken from `values`.
    """
    height, width = len(values), len(values[0])
    state, levels = state or State(height, width), []
    for t in range(width + 2 * (height - 1)):
        places = [(r, t - 2 * r) for r in range(height) if 0 <= t - 2 * r < width]
        few, rounds = len(state.recent) < 32, []
        positions = [Position(state, r, c) for r, c in places]
        open_ones = positions
        while asked := [(p, q) for p in open_ones if (q := p.ask(state, few))]:
            truths = [p.truth(values[p.r][p.c]) for p, _ in asked]
            symbols = answer([q.frequency for _, q in asked]) if answer else truths
            rounds.append([(q.frequency, symbol) for (_, q), symbol in zip(asked, symbols)])
            for (_, question), symbol in zip(asked, symbols):
                question.learn(state, symbol)
            open_ones = [p for (p, _), symbol in zip(asked, symbols) if p.take(symbol)]
        for p in positions:
            p.learn(state, values[p.r][p.c] if p.result is NONE else p.result)
        levels.append(rounds)
    return levels, [[state.colours[r, c] for c in range(width)] for r in range(height)]
