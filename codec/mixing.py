"""Learning the picture at hand: the network's distribution and its rivals, mixed per decision.

Each expert gives the probability of a decision; their logits ("stretched" probabilities, integers with 8 fractional
bits) are summed with weights that are learned while the picture is coded, one weight vector per context, and the
sums of several context sets are mixed once more. All positions of a level get their probabilities from one state, the
coder runs, then the state learns from all of them in order. Integers throughout; both sides do the same.
"""

import numpy as np

from runtime import rules
from runtime.kernels import kernel
from runtime.predictor import FIRST_ERROR, RING, Predictor, rows_of

from .binarisation import HIGH, LADDER_CLASS, LOW, RUNG, SIDE, SPLIT, answer, follow
from .coder import ONE
from .errors import WrongModel
from .lattice import STAGES, WINDOW, Lattice, correct, count, divided
from .mixture import INVERSE, MEAN, WEIGHT, Mixture, cdf, curve
from .neighbours import nearby
from .stack import MEMBERS, Stack
from .tables import COST, ERROR_CLASS, RATE, SQUASH, STRETCH

LIGHT, FULL = 1 + STAGES, 1 + STAGES + MEMBERS  # experts: the network, the lattice's corrections of it, the rivals
ALONE = {"network": 0, "lattice": STAGES, "stack": LIGHT}  # experts whose own code lengths are kept
_KEPT = tuple(ALONE.values())
_CONSTANT = 77  # 0.3, the last input
_KINDS, _STEPS, _CLASSES = 65, 12, 5
_CONTEXTS = (_KINDS, _STEPS * 24)  # two sets of contexts: how many each has per (plane, class of the ladder)
SETS = len(_CONTEXTS)
_STARTS = tuple(3 * _CLASSES * sum(_CONTEXTS[:s]) for s in range(SETS + 1))
FINALS = 3 * _CLASSES * _STEPS
START_NAMES = {LIGHT: "mixing.light", FULL: "mixing.full"}  # tensors of a model that brings learned weights
SCALES = "mixing.full.scales"  # int16 [3, MEMBERS, 24, 8], 1/64 grey level: mean errors of the rivals to start with
START_SHIFT = 5  # they are int16 in steps of 2^-11
PLAIN = (39321, 6553, 6553, 13107)  # weights of a model that brings none, out of 2^16; the rivals' are 0
_LIMIT = 2047  # stretched probabilities stay within +-8
_WEIGHT_LIMIT = 1 << 20  # weights stay within +-16; a sum of products stays below 2^36
_FINAL_RATE = 131  # 0.002 / 256 in 2^-24
_UNIT_SHIFT = 15  # mixture masses (2^37) to experts' masses (2^22)
_CROSS = np.array([26, 64, 128, 256, 512, 896, 1600], np.int64)  # of eight classes of the other planes' errors
_NARROW, _WIDE = 30147, 2621  # 0.92 and 0.08: weights of a rival's two logistics, the second three times as wide
_SHARPNESS = 863288426  # 1.608 * 2^29: inverse scale of the narrow one per mean absolute error
_LEAST = 16  # what an absolute error counts at least, 1/64 grey level
_MANY = 800  # errors after which a scale forgets half


class Mixing(Mixture):
    """A Mixture whose decisions are mixed with what the tile has taught so far; same calls, levels in order from 0."""

    def __init__(self, predictor: Predictor, rows: int, components: int, tables: dict[str, np.ndarray], full: bool):
        """full: with the rivals, and more contexts. predictor: the tile's own, whose state the rivals read."""
        super().__init__(rows, components, tables)
        height, experts = predictor.height, FULL if full else LIGHT
        self._height, self._width, self._level = height, predictor.width, -1
        self._stack = Stack(predictor) if full else None
        self._lattice = Lattice().arrays
        self._errors = np.full((3, height + 2, RING), FIRST_ERROR, np.int32)  # value - network's mean
        self._values = np.zeros((2, rows), np.int64)
        self._means = np.zeros(rows, np.int64)
        self._others = np.zeros((MEMBERS * rows if self._stack else 1, 2, 3), np.int64)  # the rivals' logistics
        self.scales = first_scales(tables) if full else None
        self._scale = np.zeros((MEMBERS, rows), np.int64)  # which of them
        self._bounds = np.zeros((rows, 2), np.int64)  # the lattice experts' window
        self._windows = np.zeros((rows, STAGES + 1, WINDOW), np.int64)
        self._curves = np.zeros((rows, STAGES + 1, WINDOW + 1), np.int64)  # F of the window's values, out of 2^22
        self._masses = np.zeros((rows, 3, experts), np.int64)  # F(low), F(split), F(high) of every expert
        self._inputs = np.zeros((rows, experts + 1), np.int32)
        self._classes = np.zeros((rows, 2), np.int64)  # of the errors nearby: in this plane, in the others
        self._chosen = np.zeros((rows, 2 * SETS + 1), np.int64)  # vectors of a decision, what sets make of it
        self._alone = np.zeros((rows, experts), np.int64)  # bits of single experts, in 2^-16
        self.weights, self.final = start(experts, tables)

    def weigh(self, parameters: np.ndarray) -> None:
        super().weigh(parameters)
        self._level += 1
        self._first, _ = rows_of(self._level, self._height, self._width)

    def solve(self, level: int, channel: int) -> None:
        """Refits a channel's stack for `level`, from the levels before."""
        if self._stack:
            self._stack.solve(level, channel)

    def _open(self, channel: int, bases: np.ndarray, values: np.ndarray, fixed: np.ndarray) -> int:
        left, n = super()._open(channel, bases, values, fixed), len(bases)
        spot, self._channel, self._fixed = (self._level, self._first), channel, fixed
        _look(channel, n, *spot, self._components, self._errors, self._means, self._classes)
        if self._stack:
            members, errors = self._stack.predict(self._level, channel, self._means[:n])
            state = self._classes, self.scales[channel], self._scale, self._others
            _rivals(n, *spot, members, errors, *state)
        opened = self._active, self._nodes, self._masses
        _prepare(left, channel, self._values, self._bounds, self._windows, *self._lattice, *self._experts(), *opened)
        _estimate(left, channel, *self._decisions())
        return left

    def alone(self) -> dict[str, float]:
        """Bits that some experts would have spent on the decisions so far, each by itself."""
        bits = self._alone.sum(0) / 65536
        return {name: float(bits[e]) for name, e in ALONE.items() if e < len(bits)}

    def decide(self, count: int, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        n = _turn(
            count,
            values,
            self._channel,
            self._symbols,
            self.bits,
            self._alone,
            self._bounds,
            *self._experts(),
            *self._decisions(),
        )
        return self._frequencies[:n], self._symbols[:n]

    def learn(self, channel: int, bases: np.ndarray, out: np.ndarray) -> None:
        super().learn(channel, bases, out)
        if channel < 2:
            self._values[channel, : len(out)] = out
        spot = self._level, self._first
        _remember(
            channel,
            *spot,
            self._width,
            out,
            self._fixed,
            self._values,
            self._errors[channel],
            self._means,
            self._bounds,
            self._windows,
            *self._lattice,
        )
        if self._stack:
            _rescale(self._first, out, self._stack.members, self._scale, self.scales[channel])
            self._stack.put(self._level, channel, out)

    def _experts(self) -> tuple[np.ndarray, ...]:
        """What gives an expert's mass."""
        return self._components, self._others, self._tables[3], self._curves

    def _decisions(self) -> tuple[np.ndarray, ...]:
        """What gives a decision's probability."""
        return (
            self._active,
            self._nodes,
            self._masses,
            self._classes,
            self._inputs,
            self._chosen,
            self.weights,
            self.final,
            self._frequencies,
        )


def start(experts: int, tables: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Weights int32 [vectors, experts + 2], a constant's and the number of visits last, and final weights int32
    [FINALS, SETS], before anything is learned: the model's, or plain ones if it brings none. Raises WrongModel."""
    name = START_NAMES[experts]
    weights = np.zeros((_STARTS[SETS], experts + 2), np.int32)
    if name not in tables:
        weights[:, : len(PLAIN)] = PLAIN
        return weights, np.full((FINALS, SETS), 65536 // SETS, np.int32)
    learned, final = tables[name], tables[f"{name}.final"]
    if learned.shape != (len(weights), experts + 1) or final.shape != (FINALS, SETS):
        raise WrongModel(f"the model's {name} has shape {learned.shape}: it belongs to another version of this program")
    weights[:, :-1] = learned.astype(np.int32) << START_SHIFT
    return weights, final.astype(np.int32) << START_SHIFT


def kinds_mean(total: np.ndarray, visits: np.ndarray) -> np.ndarray:
    """For every vector the mean over the contexts that share its plane, class and kind of decision (or step).

    total: float64 [vectors, m], vectors times visits [vectors]. Kinds never visited get the mean of all.
    """
    mean = np.empty_like(total)
    for s in range(SETS):
        part = slice(_STARTS[s], _STARTS[s + 1])
        shape = (3 * _CLASSES, _KINDS, 1) if s == 0 else (3 * _CLASSES, _STEPS, _CONTEXTS[s] // _STEPS)
        sums, counts = total[part].reshape(*shape, -1), visits[part].reshape(shape)
        overall = total[part].sum(0) / max(counts.sum(), 1)
        kinds = (sums.sum(2) + overall) / (counts.sum(2)[..., None] + 1)
        mean[part] = np.broadcast_to(kinds[:, :, None], sums.shape).reshape(total[part].shape)
    return mean


def as_start(weights: np.ndarray, final: np.ndarray, experts: int) -> dict[str, np.ndarray]:
    """Tensors for a model from weights float64 [vectors, experts + 1] and final float64 [FINALS, SETS], out of 2^16."""
    name, unit = START_NAMES[experts], 1 << START_SHIFT
    kinds = {name: weights, f"{name}.final": final}
    return {key: np.clip(np.rint(array / unit), -32767, 32767).astype(np.int16) for key, array in kinds.items()}


def first_scales(tables: dict[str, np.ndarray]) -> np.ndarray:
    """[3, MEMBERS, 24, 8, 2]: sums of absolute errors in 1/64 grey level and counts, as if four had been seen.

    Their means are the model's where it brings some, above 0. Raises WrongModel.
    """
    scales = np.full((3, MEMBERS, 24, 8, 2), 4, np.int64)
    means = np.zeros(scales.shape[:-1], np.int64)
    means[:] = np.array([max(_LEAST, (11 if u % 2 else 8) << (u // 2)) for u in range(24)])[:, None]
    learned = tables.get(SCALES)
    if learned is not None:
        if learned.shape != means.shape or learned.min() < 0:
            raise WrongModel(f"the model's {SCALES} do not fit: it belongs to another version of this program")
        means = np.where(learned > 0, np.maximum(learned, _LEAST), means)
    scales[..., 0] *= means
    return scales


@kernel
def _look(channel, n, level, first, components, errors, means, classes):
    """The network's means, and the contexts that the neighbours' errors give."""
    for i in range(n):
        row, mean, weights = first + i, 0, 0
        for j in range(components.shape[1]):
            mean += components[i, j, WEIGHT] * components[i, j, MEAN]
            weights += components[i, j, WEIGHT]
        means[i] = mean // weights
        c, own = level - 2 * row, errors[channel]
        classes[i, 0] = ERROR_CLASS[min(nearby(own, row, c) >> 2, len(ERROR_CLASS) - 1)]
        if channel == 0:
            cross = abs(errors[1, row + 2, (c - 1) % RING]) + abs(errors[1, row + 1, c % RING])
            cross += abs(errors[2, row + 2, (c - 1) % RING]) + abs(errors[2, row + 1, c % RING])
            cross >>= 2
        else:
            cross = abs(errors[channel - 1, row + 2, c % RING])
            if channel == 2:
                cross += abs(errors[0, row + 2, c % RING]) >> 1
        classes[i, 1] = 0
        for limit in _CROSS:
            classes[i, 1] += cross > limit


@kernel
def _rivals(n, level, first, members, errors, classes, scales, scale, others):
    """The rivals' distributions: two logistics at a prediction, as wide as its errors were in this context."""
    for i in range(n):
        row, cross = first + i, classes[i, 1]
        for q in range(MEMBERS):
            error = ERROR_CLASS[min(nearby(errors[q], row, level - 2 * row) >> 2, len(ERROR_CLASS) - 1)]
            scale[q, i] = 8 * error + cross
            total, seen = scales[q, error, cross, 0], scales[q, error, cross, 1]
            inverse, at = _SHARPNESS * seen // total, i * MEMBERS + q
            others[at, 0, WEIGHT], others[at, 0, MEAN], others[at, 0, INVERSE] = _NARROW, members[q, row], inverse
            others[at, 1, WEIGHT], others[at, 1, MEAN], others[at, 1, INVERSE] = _WIDE, members[q, row], inverse // 3


@kernel
def _rescale(first, values, members, scale, scales):
    for i in range(len(values)):
        for q in range(MEMBERS):
            error, cross = scale[q, i] // 8, scale[q, i] % 8
            missed = abs(np.int64(values[i]) * rules.MEAN_UNIT - members[q, first + i])
            scales[q, error, cross, 0] += max(missed, _LEAST)
            scales[q, error, cross, 1] += 1
            if scales[q, error, cross, 1] > _MANY:
                scales[q, error, cross, 0] >>= 1
                scales[q, error, cross, 1] >>= 1


@kernel
def _prepare(
    n, channel, values, bounds, windows, single, pairs, components, others, logistic, curves, active, nodes, masses
):
    """Opens a channel of n active rows: window, lattice experts, masses of the first decision."""
    for i in range(n):
        row = active[i]
        reach = (6, 10, 12, 14, 14)[nodes[row, LADDER_CLASS]]
        low, high = max(0, nodes[row, SPLIT] - reach), min(256, nodes[row, SPLIT] + reach)
        bounds[row, 0], bounds[row, 1] = low, high
        curve(components, row, low, high - low, logistic, curves)
        curves[row, 0, 0] >>= _UNIT_SHIFT
        for v in range(high - low):
            curves[row, 0, v + 1] >>= _UNIT_SHIFT
            windows[row, 0, v] = curves[row, 0, v + 1] - curves[row, 0, v]
        red, green = values[0, row] if channel > 0 else 0, values[1, row] if channel == 2 else 0
        correct(row, channel, red, green, low, high, windows, curves, single, pairs)
        masses[row, 0] = 0
        _set_masses(masses, row, 1, nodes[row, SPLIT], bounds, components, others, logistic, curves)
        _set_masses(masses, row, 2, 256, bounds, components, others, logistic, curves)


@kernel
def _set_masses(masses, row, column, value, bounds, components, others, logistic, curves):
    """F(value) of every expert, out of about 2^22; outside the window the lattice experts follow the network."""
    size, i = bounds[row, 1] - bounds[row, 0], value - bounds[row, 0]
    if 0 < i < size:
        low, whole = curves[row, 0, 0], curves[row, 0, size] - curves[row, 0, 0]
        masses[row, column, 0] = curves[row, 0, i]
        for stage in range(1, STAGES + 1):
            masses[row, column, stage] = low + divided(whole * curves[row, stage, i], curves[row, stage, size])
    else:
        network = cdf(components, row, value, logistic) >> _UNIT_SHIFT
        for stage in range(STAGES + 1):
            masses[row, column, stage] = network
    for expert in range(LIGHT, masses.shape[2]):
        masses[row, column, expert] = cdf(others, row * MEMBERS + expert - LIGHT, value, logistic) >> _UNIT_SHIFT


@kernel
def _context(nodes, row):
    """Kind of a decision (65: sign, rung and side, width of what is halved and side) and its coarser step (12)."""
    side, rung = nodes[row, SIDE], nodes[row, RUNG]
    if side < 0:
        return 0, 0
    if rung < 16:
        return 1 + 16 * side + rung, 1 + min(rung, 7)
    width = nodes[row, HIGH] - nodes[row, LOW]
    return 33 + 16 * side + min(width, 15), 9 + (width > 2) + (width > 4)


@kernel
def _estimate(n, channel, active, nodes, masses, classes, inputs, chosen, weights, final, frequencies):
    """Probability of every open decision from the experts' masses and the weights of its contexts."""
    experts = masses.shape[2]
    for i in range(n):
        row = active[i]
        away = 2 if nodes[row, SIDE] != 0 else 0  # which part is that of decision 1
        for e in range(experts):
            part = abs(masses[row, away, e] - masses[row, 1, e])
            p = min(max(divided(part << 16, max(masses[row, 2, e] - masses[row, 0, e], 1)), 16), 65520)
            inputs[row, e] = STRETCH[p >> 4]
        inputs[row, experts] = _CONSTANT
        kind, step = _context(nodes, row)
        where = channel * _CLASSES + nodes[row, LADDER_CLASS]
        place = where * _STEPS + step
        chosen[row, 0] = where * _KINDS + kind
        chosen[row, 1] = _STARTS[1] + place * 24 + classes[row, 0]
        chosen[row, 2 * SETS] = place
        total = 0
        for s in range(SETS):
            vector, dot = chosen[row, s], 0
            for e in range(experts + 1):
                dot += np.int64(weights[vector, e]) * inputs[row, e]
            part = min(max((dot + 32768) >> 16, -_LIMIT), _LIMIT)
            chosen[row, SETS + s] = part
            total += final[place, s] * part
        frequencies[i] = SQUASH[min(max((total + 32768) >> 16, -_LIMIT), _LIMIT) + _LIMIT] * (ONE >> 16)


@kernel
def _update(row, symbol, frequency, inputs, chosen, weights, final):
    """Learns from one coded decision."""
    wanted, place, experts = symbol << 16, chosen[row, 2 * SETS], weights.shape[1] - 2
    error = (wanted - (frequency >> 8)) * _FINAL_RATE
    for s in range(SETS):
        weight = final[place, s] + ((error * chosen[row, SETS + s] + (1 << 23)) >> 24)
        final[place, s] = min(max(weight, -_WEIGHT_LIMIT), _WEIGHT_LIMIT)
    for s in range(SETS):
        vector = chosen[row, s]
        visits = weights[vector, experts + 1]
        error = (wanted - SQUASH[chosen[row, SETS + s] + _LIMIT]) * RATE[min(visits, len(RATE) - 1)]
        for e in range(experts + 1):
            weight = weights[vector, e] + ((np.int64(error) * inputs[row, e] + (1 << 23)) >> 24)
            weights[vector, e] = min(max(weight, -_WEIGHT_LIMIT), _WEIGHT_LIMIT)
        weights[vector, experts + 1] = visits + 1


@kernel
def _turn(
    n,
    values,
    channel,
    symbols,
    bits,
    alone,
    bounds,
    components,
    others,
    logistic,
    curves,
    active,
    nodes,
    masses,
    classes,
    inputs,
    chosen,
    weights,
    final,
    frequencies,
):
    """Learns from n coded decisions and follows them; the rows that need another one move to the front of `active`."""
    left = 0
    for i in range(n):
        row, decision, frequency = active[i], np.int64(symbols[i]), np.int64(frequencies[i])
        bits[row] -= np.log2((frequency if decision else ONE - frequency) / ONE)
        for e in _KEPT:
            if e < masses.shape[2]:
                p = SQUASH[inputs[row, e] + _LIMIT]
                alone[row, e] += COST[(p if decision else 65535 - p) >> 4]
        _update(row, decision, frequency, inputs, chosen, weights, final)
        low = nodes[row, LOW]
        more = follow(nodes, row, decision)
        column = 0 if nodes[row, LOW] != low else 2
        for e in range(masses.shape[2]):
            masses[row, column, e] = masses[row, 1, e]
        if more:
            _set_masses(masses, row, 1, nodes[row, SPLIT], bounds, components, others, logistic, curves)
            active[left] = row
            symbols[left] = answer(nodes, row, values[row])
            left += 1
    _estimate(left, channel, active, nodes, masses, classes, inputs, chosen, weights, final, frequencies)
    return left


@kernel
def _remember(
    channel,
    level,
    first,
    width,
    out,
    fixed,
    values,
    errors,
    means,
    bounds,
    windows,
    single,
    pairs,
):
    """Ends a channel: errors of the network's mean, and the lattice's counts."""
    for row in range(len(out)):
        c = level - 2 * (first + row)
        value = np.int64(out[row])
        for x in range(c, c + (2 if c == width - 1 else 1)):
            errors[first + row + 2, x % RING] = value * rules.MEAN_UNIT - means[row]
        if fixed[row] >= 0:
            continue
        red, green = values[0, row] if channel > 0 else 0, values[1, row] if channel == 2 else 0
        count(row, channel, red, green, bounds[row, 0], bounds[row, 1], value, windows, single, pairs)
