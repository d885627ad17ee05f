"""Lattice experts, rivals and mixing again, slowly: docs/format.md, the sections of these names, one number at a time.

Python's integers of any length, so nothing can overflow; `//` and `>>` round down, as the format says. Distributions,
centre and splits are those of reference_mixture.py, what the rivals predict is reference_stack.py's.
"""
from dataclasses import dataclass

import numpy as np

from codec import tables
from tests.codec.reference_mixture import GROWTH, STEPS, Position, component, limited, splits
from tests.codec.reference_stack import Stack, nearby

SQUASH, STRETCH = tables.SQUASH.tolist(), tables.STRETCH.tolist()
ERROR_CLASS, RATE = tables.ERROR_CLASS.tolist(), tables.RATE.tolist()
REACH = (6, 10, 12, 14, 14)                                 # half of the window, by class
LATTICE_RATES = (2048, 2048, 31)
LATTICE = 4                                                 # experts: the network and three corrections of it
RIVALS = 4
PLAIN = (39321, 6553, 6553, 13107)                          # weights where the model brings none


class Table(dict):
    """What belongs to a context: start(context) until it is first changed."""

    def __init__(self, start):
        super().__init__()
        self.start = start

    def __missing__(self, context):
        self[context] = self.start(context)
        return self[context]


def vector_index(vector: tuple) -> int:
    """Where a model keeps the weights that a vector starts with: of (0, k, z, kind) or (1, k, z, step, class)."""
    which, k, z, *rest = vector
    return (k * 5 + z) * 65 + rest[0] if which == 0 else 975 + ((k * 5 + z) * 12 + rest[0]) * 24 + rest[1]


class State:
    """What a tile has taught so far. It begins as the format says; a test may put other starts into its tables."""

    def __init__(self, full: bool = False, model: dict | None = None):
        """full: with the rivals. model: a model's tensors, in which it may bring the weights to start with."""
        self.full = full
        self.came = Table(lambda context: 0)                # N of (stage, given, given, v)
        self.expected = Table(lambda context: 0)            # E of the same in 2^-10
        self.error = {}                                     # (plane, r, c): 64 x - M
        learned = (model or {}).get("mixing.full.scales")
        # (total, count) of (plane, rival, error class, cross class)
        self.scale = Table(lambda context: first_scale(context, learned))
        self.stack = None                                   # code_tile makes it of the picture
        name, experts = ("mixing.full", LATTICE + RIVALS) if full else ("mixing.light", LATTICE)
        if name in (model or {}):
            weights, final = ((model[key].astype(int) * 32).tolist() for key in (name, f"{name}.final"))
            self.weights = Table(lambda vector: list(weights[vector_index(vector)]))
            self.final = Table(lambda context: list(final[(context[0] * 5 + context[1]) * 12 + context[2]]))
        else:                                               # w_0 of (0, k, z, kind), w_1 of (1, k, z, step, class)
            self.weights = Table(lambda vector: [*PLAIN, *[0] * (experts + 1 - len(PLAIN))])
            self.final = Table(lambda context: [32768, 32768])      # f of (k, z, step)
        self.visits = Table(lambda vector: 0)               # of the same as weights


def first_scale(context: tuple, learned=None) -> tuple[int, int]:
    """As if an error had been seen four times: the model's, or 2^(u / 2) times 8, the middle of error class u."""
    u = context[2]
    mean = (11 if u % 2 else 8) << (u // 2)
    if learned is not None and learned[context] > 0:
        mean = int(learned[context])
    return 4 * max(16, mean), 4


@dataclass
class Decision:
    """One decision on a value's way: what the experts say, which vectors it belongs to, and the truth."""

    inputs: list[int]
    vectors: list[tuple]                                    # contexts of w_0 and w_1
    final: tuple                                            # context of f
    truth: int


def lattice_contexts(k: int, before: list[int], v: int) -> list[tuple]:
    """Where N and E of value v are found, for stages 0, 1, 2."""
    red = before[0] if k > 0 else 0
    green = before[1] if k == 2 else 0
    return [(0, k, red, v), (1, k, green, v), (2, red, green, v)]


def corrected(q: dict[int, int], rates: dict[int, tuple[int, int]], mass: int) -> dict[int, int]:
    """q (N + rate) / (E + rate), brought back to its mass; rates: (N + rate, E + rate) of the values it is for."""
    t = dict(q)
    for v, (came, expected) in rates.items():
        t[v] = q[v] * min(came, expected << 10) // expected
    a = (mass << 20) // max(sum(t.values()), 1)
    return {v: ((t[v] * a) >> 20) + 1 for v in t}


def add(state: State, context: tuple, came: int, expected: int) -> None:
    """N and E of a context grow; both are halved when there is no room for one of them."""
    came, expected = state.came[context] + came, state.expected[context] + expected
    full = came >= 2**12 or expected >= 2**20
    state.came[context], state.expected[context] = (came >> 1, expected >> 1) if full else (came, expected)


class Plane:
    """One plane of one position, opened: the experts' distribution functions P[0..3][v], v = 0 .. 256, and q[0..3][v].

    before: the position's values of the planes already known.
    """

    def __init__(self, state: State, position: Position, k: int, before: list[int], r: int, c: int, width: int):
        self.k, self.before, self.position, self.place = k, before, position, (r, c)
        self.z = sum(position.deviation > limit for limit in (96, 192, 384, 768))
        self.centre = limited((position.mean >> 6) + 1, 1, 255)
        self.low, self.high = max(0, self.centre - REACH[self.z]), min(256, self.centre + REACH[self.z])
        network = [position.mass(v) >> 15 for v in range(257)]
        self.P = [network]
        self.q = [{v: network[v + 1] - network[v] for v in range(self.low, self.high)}]
        mass = sum(self.q[0].values())
        for stage in range(3):
            self.q.append(self.corrected(state, stage, mass))
            self.P.append(self.distribution(network, self.q[-1]))
        self.error_class = error_class(nearby(state.error, k, r, c, width))
        self.scales = []

    def open_rivals(self, state: State, base: int, width: int) -> None:
        """Their predictions and distributions."""
        cross, logistic = cross_class(state, self.k, *self.place), self.position.tables["logistic"]
        self.prediction = state.stack.predict(self.k, *self.place, base, self.position.mean)
        for q in range(RIVALS):
            errors = error_class(nearby(state.stack.errors, (self.k, q), *self.place, width))
            self.scales.append((self.k, q, errors, cross))
            total, count = state.scale[self.scales[-1]]
            inverse, mean, P = 863288426 * count // total, self.prediction.members[q], []
            for v in range(257):
                narrow, wide = (component(logistic, mean, i, v) for i in (inverse, inverse // 3))
                P.append((30147 * narrow + 2621 * wide + (v * 32768 << 2)) >> 15)
            self.P.append(P)

    def corrected(self, state: State, stage: int, mass: int) -> dict[int, int]:
        """q of the next stage."""
        if stage == 2 and self.k < 2:
            return dict(self.q[stage])
        rates = {}
        for v in self.q[stage]:
            context = lattice_contexts(self.k, self.before, v)[stage]
            rate = LATTICE_RATES[stage]
            rates[v] = 1024 * state.came[context] + rate, state.expected[context] + rate
        return corrected(self.q[stage], rates, mass)

    def distribution(self, network: list[int], q: dict[int, int]) -> list[int]:
        """The network's outside the window, q's share of the window's mass inside."""
        P, below, window = list(network), 0, network[self.high] - network[self.low]
        for v in range(self.low + 1, self.high):
            below += q[v - 1]
            P[v] = network[self.low] + window * below // sum(q.values())
        return P

    def decisions(self, value: int):
        """Every decision on the way to a value."""
        k, z, way = self.k, self.z, list(splits(value, self.position.mean, self.position.deviation))
        for (low, split, high, upper, truth), (kind, step) in zip(way, self.kinds(value, way)):
            inputs = []
            for P in self.P:
                part = P[high] - P[split] if upper else P[split] - P[low]
                p = limited((part << 16) // max(P[high] - P[low], 1), 16, 65520)
                inputs.append(STRETCH[p >> 4])
            vectors = [(0, k, z, kind), (1, k, z, step, self.error_class)]
            yield Decision(inputs + [77], vectors, (k, z, step), truth)

    def kinds(self, value: int, way: list[tuple]):
        """(kind, step) of every decision on this way to a value."""
        yield 0, 0
        side = int(value >= self.centre)
        size = 256 - self.centre if side else self.centre
        climbing = True
        for j, (low, _, high, _, truth) in enumerate(way[1:]):
            climbing = climbing and STEPS[self.z] * GROWTH[j] < size
            if climbing:
                yield 1 + 16 * side + j, 1 + min(j, 7)
                climbing = truth == 1
            else:
                n = high - low
                yield 33 + 16 * side + min(n, 15), 9 if n == 2 else 10 if n <= 4 else 11

    def learn(self, state: State, value: int) -> None:
        for stage in range(3 if self.k == 2 else 2):
            for v in range(self.low, self.high):
                add(state, lattice_contexts(self.k, self.before, v)[stage], 0, self.q[stage][v] >> 12)
            add(state, lattice_contexts(self.k, self.before, value)[stage], 1, 0)


    def learn_scales(self, state: State, value: int) -> None:
        for q, context in enumerate(self.scales):
            total, count = state.scale[context]
            total, count = total + max(abs(64 * value - self.prediction.members[q]), 16), count + 1
            state.scale[context] = (total >> 1, count >> 1) if count > 800 else (total, count)


def error_class(nearby: int) -> int:
    return ERROR_CLASS[min(nearby >> 2, 2047)]


def cross_class(state: State, k: int, r: int, c: int) -> int:
    """Of the network's errors in the other planes: here in those already known, else to the left and above."""
    def e(plane, dr, dc):
        return abs(state.error.get((plane, r + dr, c + dc), 256))

    if k == 0:
        error = (e(1, 0, -1) + e(1, -1, 0) + e(2, 0, -1) + e(2, -1, 0)) >> 2
    else:
        error = e(0, 0, 0) if k == 1 else e(1, 0, 0) + (e(0, 0, 0) >> 1)
    return sum(error > limit for limit in (26, 64, 128, 256, 512, 896, 1600))


def estimate(state: State, decision: Decision) -> tuple[list[int], int]:
    """y_0 and y_1, and the probability of 1 out of 2^16."""
    y = [limited((sum(w * x for w, x in zip(state.weights[vector], decision.inputs)) + 2**15) >> 16, -2047, 2047)
         for vector in decision.vectors]
    total = sum(f * part for f, part in zip(state.final[decision.final], y))
    return y, SQUASH[limited((total + 2**15) >> 16, -2047, 2047) + 2047]


def learn(state: State, decision: Decision, y: list[int], p: int) -> None:
    def moved(weight, step):
        return limited(weight + ((step + 2**23) >> 24), -(2**20), 2**20)

    d, f = decision.truth << 16, state.final[decision.final]
    for i in range(2):
        f[i] = moved(f[i], (d - p) * 131 * y[i])
    for part, vector in zip(y, decision.vectors):
        error = (d - SQUASH[part + 2047]) * RATE[min(state.visits[vector], 1023)]
        state.visits[vector] += 1
        state.weights[vector] = [moved(w, error * x) for w, x in zip(state.weights[vector], decision.inputs)]


def code_round(state: State, decisions: list[Decision]) -> tuple[list[int], list[int]]:
    """(frequencies of 1 out of 2^24, decisions) of a round: first all probabilities, then the learning, in order."""
    estimates = [estimate(state, decision) for decision in decisions]
    for decision, (y, p) in zip(decisions, estimates):
        learn(state, decision, y, p)
    return [256 * p for _, p in estimates], [decision.truth for decision in decisions]


def code_tile(parameters, bases, values, mixture_tables: dict, state: State | None = None, fixed=None,
              look=lambda plane: None):
    """The rounds of every level and plane: a list of (frequencies, decisions) for each.

    parameters int32 [H, W, 10 K]; bases int [3, H, W]; values uint8 [C, H, W], C = 1 or 3; fixed bool [C, H, W]: values
    known already, which take no decisions. `look` sees every Plane.
    """
    state = state or State()
    planes, height, width = values.shape
    if state.full:
        state.stack = Stack(values if planes == 3 else np.repeat(values, 3, 0), planes)
    x, bases, found = values.tolist(), bases.tolist(), []
    fixed = np.zeros(values.shape, bool) if fixed is None else fixed
    for t in range(width + 2 * (height - 1)):
        places = [(r, t - 2 * r) for r in range(height) if 0 <= t - 2 * r < width]
        positions = [Position(parameters[place], mixture_tables) for place in places]
        if state.full:
            state.stack.solve(t)
        for k in range(planes):
            opened, ways = [], []
            for (r, c), position in zip(places, positions):
                position.open(bases[k][r][c])
                plane = Plane(state, position, k, [x[p][r][c] for p in range(k)], r, c, width)
                if state.full:
                    plane.open_rivals(state, bases[k][r][c], width)
                look(plane)
                opened.append(plane)
                ways.append([] if fixed[k, r, c] else list(plane.decisions(x[k][r][c])))
            longest = max(map(len, ways), default=0)
            found.append([code_round(state, [way[i] for way in ways if i < len(way)]) for i in range(longest)])
            for (r, c), position, plane in zip(places, positions, opened):
                value = x[k][r][c]
                if not fixed[k, r, c]:
                    plane.learn(state, value)
                plane.learn_scales(state, value)
                if state.full:
                    state.stack.put(k, r, c, value, plane.prediction)
                state.error[k, r, c] = 64 * value - position.mean
                position.learn(value, bases[k][r][c])
    return found
