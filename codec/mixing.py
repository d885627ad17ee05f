"""Learning the picture at hand: the network's distribution and the lattice experts, mixed per decision.

Each expert gives the probability of a decision; their logits ("stretched" probabilities, integers with 8 fractional
bits) are summed with weights that are learned while the picture is coded, one weight vector per context, and the
sums of two context sets are mixed once more. All positions of a level get their probabilities from one state, the
coder runs, then the state learns from all of them in order. Integers throughout; both sides do the same.
"""

import numpy as np

from runtime.kernels import kernel
from runtime.predictor import rows_of

from .binarisation import HIGH, LADDER_CLASS, LOW, RUNG, SIDE, SPLIT, answer, follow
from .coder import ONE
from .lattice import STAGES, WINDOW, Lattice, correct, count
from .mixture import Mixture, _cdf
from .tables import ERROR_CLASS, RATE, SQUASH, STRETCH

EXPERTS = 1 + STAGES  # the network and the corrected distributions
_INPUTS = EXPERTS + 1  # and a constant
_CONSTANT = 77  # 0.3
_START = np.array([0.6, 0.1, 0.1, 0.2, 0.0]) * 65536  # weights before anything is learned
_KINDS, _STEPS, _ERRORS = 65, 12, 24
_SETS = 2  # contexts: (plane, class, kind of decision) and (plane, class, step, error nearby)
_LIMIT = 2047  # stretched probabilities stay within +-8
_WEIGHT_LIMIT = 1 << 20  # weights stay within +-16; a sum of products stays below 2^35
_FINAL_RATE = 131  # 0.002 / 256 in 2^-24
_FIRST_ERROR = 256  # absolute error of the network's mean where none is known, 1/64 grey level
_UNIT_SHIFT = 13  # mixture masses (2^37) to lattice masses (2^24)


class Mixing(Mixture):
    """A Mixture whose decisions are mixed with what the tile has taught so far; same calls, levels in order from 0."""

    def __init__(self, height: int, width: int, rows: int, components: int, tables: dict[str, np.ndarray]):
        super().__init__(rows, components, tables)
        self._height, self._width, self._level = height, width, -1
        self._lattice = Lattice().arrays
        self._errors = np.full((3, height + 2, width + 4), _FIRST_ERROR, np.int32)
        self._values = np.zeros((2, rows), np.int64)
        self._means = np.zeros(rows, np.int64)
        self._bounds = np.zeros((rows, 2), np.int64)  # the lattice experts' window
        self._network = np.zeros((rows, WINDOW + 1), np.int64)  # F of the window's values by the network, out of 2^24
        self._windows = np.zeros((rows, STAGES + 1, WINDOW), np.int64)
        self._sums = np.zeros((rows, STAGES, WINDOW + 1), np.int64)
        self._masses = np.zeros((rows, EXPERTS, 3), np.int64)  # F(low), F(split), F(high) of every expert
        self._inputs = np.zeros((rows, _INPUTS), np.int32)
        self._error_classes = np.zeros(rows, np.int64)
        self._chosen = np.zeros((rows, _SETS + 1), np.int64)  # weight vectors of the decision at hand
        self._partial = np.zeros((rows, _SETS), np.int64)  # what each set makes of it
        self._weights = (
            np.tile(_START.astype(np.int32), (3 * 5 * _KINDS, 1)),
            np.tile(_START.astype(np.int32), (3 * 5 * _STEPS * _ERRORS, 1)),
        )
        self._visits = (np.zeros(len(self._weights[0]), np.int32), np.zeros(len(self._weights[1]), np.int32))
        self._final = np.full((3 * 5 * _STEPS, _SETS), 65536 // _SETS, np.int32)

    def weigh(self, parameters: np.ndarray) -> None:
        super().weigh(parameters)
        self._level += 1
        self._first, _ = rows_of(self._level, self._height, self._width)

    def open(self, channel: int, bases: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        super().open(channel, bases, values)
        n, self._channel = len(bases), channel
        _prepare(
            n,
            channel,
            self._level,
            self._first,
            self._components,
            self._tables[3],
            self._nodes,
            self._values,
            self._errors[channel],
            self._means,
            self._bounds,
            self._network,
            self._windows,
            self._sums,
            self._masses,
            self._error_classes,
            *self._lattice,
        )
        _estimate(channel, n, *self._mixing())
        return self._frequencies[:n], self._symbols[:n]

    def decide(self, count: int, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        _update(
            count,
            self._active,
            self._symbols,
            self._frequencies,
            self._inputs,
            self._chosen,
            self._partial,
            *self._weights,
            *self._visits,
            self._final,
            RATE,
            SQUASH,
            self.bits,
        )
        n = _advance(
            count,
            values,
            self._components,
            self._tables[3],
            self._nodes,
            self._bounds,
            self._network,
            self._sums,
            self._masses,
            self._active,
            self._symbols,
        )
        _estimate(self._channel, n, *self._mixing())
        return self._frequencies[:n], self._symbols[:n]

    def learn(self, channel: int, bases: np.ndarray, out: np.ndarray) -> None:
        super().learn(channel, bases, out)
        if channel < 2:
            self._values[channel, : len(out)] = out
        _remember(
            channel,
            self._level,
            self._first,
            out,
            self._values,
            self._errors[channel],
            self._means,
            self._bounds,
            self._windows,
            *self._lattice,
        )

    def _mixing(self) -> tuple[np.ndarray, ...]:
        return (
            self._active,
            self._nodes,
            self._masses,
            self._error_classes,
            self._inputs,
            self._chosen,
            self._partial,
            *self._weights,
            self._final,
            self._frequencies,
            STRETCH,
            SQUASH,
        )


@kernel
def _prepare(
    n,
    channel,
    level,
    first,
    components,
    logistic,
    nodes,
    values,
    errors,
    means,
    bounds,
    network,
    windows,
    sums,
    masses,
    classes,
    counts,
    expected,
    pair_counts,
    pair_expected,
):
    """Opens a channel of n rows: error class, window, lattice experts, masses of the first decision."""
    for row in range(n):
        component, node = components[row], nodes[row]
        mean, weights = 0, 0
        for j in range(len(component)):
            mean += component[j, 0] * component[j, 1]
            weights += component[j, 0]
        means[row] = mean // weights
        y, x = first + row + 2, level - 2 * (first + row) + 2
        nearby = (
            2 * errors[y, x - 1]
            + 2 * errors[y - 1, x]
            + errors[y - 1, x + 1]
            + errors[y - 1, x - 1]
            + errors[y, x - 2]
            + errors[y - 2, x]
        ) >> 3
        classes[row] = ERROR_CLASS[min(nearby >> 2, len(ERROR_CLASS) - 1)]
        reach = (6, 10, 12, 14, 14)[node[LADDER_CLASS]]
        low, high = max(0, node[SPLIT] - reach), min(256, node[SPLIT] + reach)
        bounds[row, 0], bounds[row, 1] = low, high
        line = network[row]
        line[0] = _cdf(component, low, logistic) >> _UNIT_SHIFT
        for i in range(high - low):
            line[i + 1] = _cdf(component, low + i + 1, logistic) >> _UNIT_SHIFT
            windows[row, 0, i] = line[i + 1] - line[i]
        red, green = values[0, row] if channel > 0 else 0, values[1, row] if channel == 2 else 0
        correct(channel, red, green, low, high, windows[row], sums[row], counts, expected, pair_counts, pair_expected)
        masses[row, :, 0] = 0
        _set_masses(masses[row], 1, node[SPLIT], component, logistic, bounds[row], line, sums[row])
        _set_masses(masses[row], 2, 256, component, logistic, bounds[row], line, sums[row])


@kernel
def _set_masses(mass, column, value, component, logistic, bound, network, cumulative):
    """F(value) of every expert, out of about 2^24; outside the window the lattice experts follow the network."""
    size = bound[1] - bound[0]
    i = value - bound[0]
    if 0 < i < size:
        mass[0, column] = network[i]
        for stage in range(STAGES):
            part = (network[size] - network[0]) * cumulative[stage, i] // cumulative[stage, size]
            mass[1 + stage, column] = network[0] + part
    else:
        mass[:, column] = _cdf(component, value, logistic) >> _UNIT_SHIFT


@kernel
def _estimate(
    channel,
    n,
    active,
    nodes,
    masses,
    classes,
    inputs,
    chosen,
    partial,
    weights_0,
    weights_1,
    final,
    frequencies,
    stretch,
    squash,
):
    """Probability of every open decision from the experts' masses and the weights of its contexts."""
    for i in range(n):
        row = active[i]
        node, line = nodes[row], inputs[row]
        for expert in range(EXPERTS):
            low, split, high = masses[row, expert]
            part = high - split if node[SIDE] != 0 else split - low
            p = min(max((part << 16) // max(high - low, 1), 16), 65520)
            line[expert] = stretch[p >> 4]
        line[EXPERTS] = _CONSTANT
        kind, step = _context(node)
        where = channel * 5 + node[LADDER_CLASS]
        chosen[row, 0] = where * _KINDS + kind
        chosen[row, 1] = (where * _STEPS + step) * _ERRORS + classes[row]
        chosen[row, 2] = where * _STEPS + step
        total = 0
        for s in range(_SETS):
            vector = weights_0[chosen[row, 0]] if s == 0 else weights_1[chosen[row, 1]]
            dot = 0
            for e in range(_INPUTS):
                dot += np.int64(vector[e]) * line[e]
            partial[row, s] = min(max((dot + 32768) >> 16, -_LIMIT), _LIMIT)
            total += final[chosen[row, 2], s] * partial[row, s]
        p = squash[min(max((total + 32768) >> 16, -_LIMIT), _LIMIT) + _LIMIT]
        frequencies[i] = min(max(p, 16), 65520) * (ONE >> 16)


@kernel
def _context(node):
    """Kind of a decision (65: sign, rung and side, width of what is halved and side) and its coarser step (12)."""
    if node[SIDE] < 0:
        return 0, 0
    if node[RUNG] < 16:
        return 1 + 16 * node[SIDE] + node[RUNG], 1 + min(node[RUNG], 7)
    width = node[HIGH] - node[LOW]
    return 33 + 16 * node[SIDE] + min(width, 15), 9 + (width > 2) + (width > 4)


@kernel
def _update(
    n,
    active,
    symbols,
    frequencies,
    inputs,
    chosen,
    partial,
    weights_0,
    weights_1,
    visits_0,
    visits_1,
    final,
    rate,
    squash,
    bits,
):
    """Learns from n coded decisions, in order."""
    for i in range(n):
        row, wanted = active[i], symbols[i] << 16
        frequency = frequencies[i]
        bits[row] -= np.log2((frequency if symbols[i] else ONE - frequency) / ONE)
        error = (wanted - (frequency >> 8)) * _FINAL_RATE
        for s in range(_SETS):
            weight = final[chosen[row, 2], s] + ((error * partial[row, s] + (1 << 23)) >> 24)
            final[chosen[row, 2], s] = min(max(weight, -_WEIGHT_LIMIT), _WEIGHT_LIMIT)
        for s in range(_SETS):
            at = chosen[row, s]
            vector = weights_0[at] if s == 0 else weights_1[at]
            visits = visits_0 if s == 0 else visits_1
            error = (wanted - squash[partial[row, s] + _LIMIT]) * rate[min(visits[at], len(rate) - 1)]
            visits[at] += 1
            for e in range(_INPUTS):
                weight = vector[e] + ((error * inputs[row, e] + (1 << 23)) >> 24)
                vector[e] = min(max(weight, -_WEIGHT_LIMIT), _WEIGHT_LIMIT)


@kernel
def _advance(n, values, components, logistic, nodes, bounds, network, sums, masses, active, symbols):
    """Follows n coded decisions; the rows that need another one move to the front of `active`."""
    left = 0
    for i in range(n):
        row, decision = active[i], symbols[i]
        node, mass = nodes[row], masses[row]
        low = node[LOW]
        more = follow(node, decision)
        column = 0 if node[LOW] != low else 2
        for expert in range(EXPERTS):
            mass[expert, column] = mass[expert, 1]
        if more:
            _set_masses(mass, 1, node[SPLIT], components[row], logistic, bounds[row], network[row], sums[row])
            active[left] = row
            symbols[left] = answer(node, values[row])
            left += 1
    return left


@kernel
def _remember(
    channel, level, first, out, values, errors, means, bounds, windows, counts, expected, pair_counts, pair_expected
):
    """Ends a channel: errors of the network's mean, and the lattice's counts."""
    for row in range(len(out)):
        y, x = first + row + 2, level - 2 * (first + row) + 2
        value = np.int64(out[row])
        errors[y, x] = abs(value * 64 - means[row])
        if x == errors.shape[1] - 3:
            errors[y, x + 1] = errors[y, x]
        red, green = values[0, row] if channel > 0 else 0, values[1, row] if channel == 2 else 0
        count(
            channel,
            red,
            green,
            bounds[row, 0],
            bounds[row, 1],
            value,
            windows[row],
            counts,
            expected,
            pair_counts,
            pair_expected,
        )
