"""From integer mixture parameters to the probability of each binary decision; all integers (runtime/rules.py).

F(v) = sum over components of weight * logistic((v - 1/2 - mean) / scale) + a small uniform part, F(0) = 0, F(256) all.
A decision that splits [low, high) at s has P(away from the centre) = mass of its part / mass of [low, high). After a
channel is known the weights are multiplied by how well each component explained it, so the conditionals multiply to
the joint mixture. Rows are the positions of a level, in the order of the schedule.
"""

import numpy as np

from runtime import rules
from runtime.kernels import kernel

from .binarisation import LOW, NODE, SIDE, SPLIT, answer, follow, open_node
from .coder import ONE, PRECISION

_LOGITS = 16 * rules.LOGIT_UNIT - 1  # largest logit difference in the table
_UNIFORM = rules.CDF_BITS - 20  # log2 of a value's uniform mass per unit of weight: 2^-20 of the whole
_POSITION = rules.INVERSE_BITS - rules.POSITION_BITS + 6  # 1/64 grey level * inverse scale -> table positions
_FRACTION = (1 << rules.POSITION_BITS) - 1
_END = 2 * rules.LOGISTIC_RANGE * rules.LOGISTIC_UNIT << rules.POSITION_BITS
_ZERO = (rules.LOGISTIC_RANGE * rules.LOGISTIC_UNIT) << rules.POSITION_BITS
_SMALLEST = 16  # of 2^24; F's uniform part keeps probabilities above it
_LOWEST = rules.LOWEST_LOG_SCALE * rules.SCALE_UNIT
_MEANS = (1 << 15) - 1  # limit of a mean's shift, 1/64 grey level
WEIGHT, MEAN, INVERSE = range(3)  # columns of a component
TABLES = ("exponential", "inverse_scale", "deviation", "logistic")


class Mixture:
    """The distributions of one level of a tile: `weigh`, then for each channel `open`, `decide` till empty, `learn`."""

    def __init__(self, rows: int, components: int, tables: dict[str, np.ndarray]):
        self._tables = [tables[name] for name in TABLES]
        self._components = np.zeros((rows, components, 3), np.int64)
        self._nodes = np.zeros((rows, NODE), np.int64)
        self._mass = np.zeros((rows, 3), np.int64)  # F(low), F(split), F(high)
        self._active = np.zeros(rows, np.int64)
        self._frequencies, self._symbols = np.zeros(rows, np.int32), np.zeros(rows, np.int32)
        self._residuals = np.zeros((2, rows), np.int64)
        self.bits = np.zeros(rows)  # -log2 of the probabilities used in each row so far, summed over levels

    def alone(self) -> dict[str, float]:
        """Bits of what came before the last stage, by name: nothing did here."""
        return {}

    def weigh(self, parameters: np.ndarray) -> None:
        """Starts a level: component weights from the logits. parameters int32 [n, 10 K]."""
        self._parameters = parameters
        _weigh(parameters, self._components, self._tables[0])

    def solve(self, level: int, channel: int) -> None:
        """What can be prepared of a channel for `level` from the levels before: nothing here."""

    def open(
        self, channel: int, bases: np.ndarray, values: np.ndarray, fixed: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """First decisions of a channel: views of frequencies and symbols int32 [m]. values: int [n], the true values
        when encoding (symbols then hold the answers), anything when decoding. fixed: int16 [n], values that are known
        already and need no decisions, -1 for the others."""
        n = self._open(channel, bases, values, fixed)
        return self._frequencies[:n], self._symbols[:n]

    def _open(self, channel: int, bases: np.ndarray, values: np.ndarray, fixed: np.ndarray) -> int:
        return _open(
            channel,
            self._parameters,
            bases,
            values,
            fixed,
            self._components,
            self._residuals,
            *self._tables[1:],
            self._nodes,
            self._mass,
            self._active,
            self._frequencies,
            self._symbols,
        )

    def decide(self, count: int, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Follows `count` coded symbols and gives the next frequencies and symbols; empty when every value is known."""
        n = _decide(
            count,
            values,
            self._components,
            self._tables[3],
            self._nodes,
            self._mass,
            self._active,
            self._frequencies,
            self._symbols,
            self.bits,
        )
        return self._frequencies[:n], self._symbols[:n]

    def learn(self, channel: int, bases: np.ndarray, out: np.ndarray) -> None:
        """Ends a channel: its values go to out uint8 [n], and the weights to the posterior."""
        _learn(channel, bases, self._components, self._tables[3], self._nodes, self._residuals, out)


@kernel
def _weigh(parameters, components, exponential):
    count = components.shape[1]
    for row in range(len(parameters)):
        best = parameters[row, 0]
        for j in range(1, count):
            best = max(best, parameters[row, j])
        total = 0
        for j in range(count):
            weight = exponential[min(best - parameters[row, j], _LOGITS)]
            components[row, j, WEIGHT] = weight
            total += weight
        for j in range(count):
            components[row, j, WEIGHT] = (components[row, j, WEIGHT] << rules.WEIGHT_BITS) // total


@kernel
def _between(position, logistic):
    """The table at a position inside it."""
    entry = position >> rules.POSITION_BITS
    low = logistic[entry]
    return low + (((logistic[entry + 1] - low) * (position & _FRACTION)) >> rules.POSITION_BITS)


@kernel
def _component_cdf(components, row, j, value, logistic):
    """Distribution function of a component below `value` - 1/2, 0 .. 2^22."""
    distance = value * rules.MEAN_UNIT - rules.MEAN_UNIT // 2 - components[row, j, MEAN]
    position = ((distance * components[row, j, INVERSE]) >> _POSITION) + _ZERO
    if position < 0:
        return 0
    return _between(position, logistic) if position < _END else 1 << rules.CDF_BITS


@kernel
def cdf(components, row, value, logistic):
    """F(value) of a row's mixture; with weights that sum to at most 2^15 it stays below 2^38."""
    total, weights = 0, 0
    for j in range(components.shape[1]):
        weights += components[row, j, WEIGHT]
    if value == 256:
        total = weights << rules.CDF_BITS
    elif value > 0:
        for j in range(components.shape[1]):
            total += components[row, j, WEIGHT] * _component_cdf(components, row, j, value, logistic)
    return total + ((weights * value) << _UNIFORM)


@kernel
def curve(components, row, low, size, logistic, out):
    """out[row, 0, i] = cdf(low + i) for 0 <= i <= size, all at once; low + size <= 256."""
    weights = 0
    for i in range(size + 1):
        out[row, 0, i] = 0
    for j in range(components.shape[1]):
        weight, step = components[row, j, WEIGHT], components[row, j, INVERSE] * rules.MEAN_UNIT
        weights += weight
        distance = low * rules.MEAN_UNIT - rules.MEAN_UNIT // 2 - components[row, j, MEAN]
        product, i = distance * components[row, j, INVERSE], 0
        while i <= size and (product >> _POSITION) + _ZERO < 0:
            product += step
            i += 1
        while i <= size and (product >> _POSITION) + _ZERO < _END:
            out[row, 0, i] += weight * _between((product >> _POSITION) + _ZERO, logistic)
            product += step
            i += 1
        while i <= size:
            out[row, 0, i] += weight << rules.CDF_BITS
            i += 1
    if low == 0:
        out[row, 0, 0] = 0
    if low + size == 256:
        out[row, 0, size] = weights << rules.CDF_BITS
    for i in range(size + 1):
        out[row, 0, i] += (weights * (low + i)) << _UNIFORM


@kernel
def _frequency(nodes, mass, row):
    """Probability of decision 1 out of 2^24."""
    part = mass[row, 2] - mass[row, 1] if nodes[row, SIDE] != 0 else mass[row, 1] - mass[row, 0]
    frequency = (part << PRECISION) // (mass[row, 2] - mass[row, 0])
    return min(max(frequency, _SMALLEST), ONE - _SMALLEST)


@kernel
def _open(
    channel,
    parameters,
    bases,
    values,
    fixed,
    components,
    residuals,
    inverse_scale,
    deviation,
    logistic,
    nodes,
    mass,
    active,
    frequencies,
    symbols,
):
    count = components.shape[1]
    shifts, scales, couplings = count * (1 + channel), count * (4 + channel), count * 7
    left = 0
    for row in range(len(parameters)):
        mean, spread, weights = 0, 0, 0
        for j in range(count):
            shift = np.int64(parameters[row, shifts + j])
            if channel == 1:
                shift += _coupled(parameters[row, couplings + j], residuals[0, row])
            elif channel == 2:
                shift += _coupled(parameters[row, couplings + count + j], residuals[0, row])
                shift += _coupled(parameters[row, couplings + 2 * count + j], residuals[1, row])
            scale = min(max(parameters[row, scales + j] - _LOWEST, 0), rules.SCALES - 1)
            weight, centre = components[row, j, WEIGHT], bases[row] + min(max(shift, -_MEANS), _MEANS)
            components[row, j, MEAN], components[row, j, INVERSE] = centre, inverse_scale[scale]
            mean += weight * centre
            spread += weight * deviation[scale]
            weights += weight
        open_node(nodes, row, mean // weights, spread // weights)
        if fixed[row] >= 0:
            nodes[row, LOW] = fixed[row]
            continue
        mass[row, 0] = 0
        mass[row, 1] = cdf(components, row, nodes[row, SPLIT], logistic)
        mass[row, 2] = cdf(components, row, 256, logistic)
        active[left] = row
        frequencies[left] = _frequency(nodes, mass, row)
        symbols[left] = answer(nodes, row, values[row])
        left += 1
    return left


@kernel
def _coupled(coefficient, residual):
    limit = 2 * rules.COUPLING_UNIT
    return (min(max(np.int64(coefficient), -limit), limit) * residual) // rules.COUPLING_UNIT


@kernel
def _decide(count, values, components, logistic, nodes, mass, active, frequencies, symbols, bits):
    left = 0
    for i in range(count):
        row, decision = active[i], symbols[i]
        bits[row] -= np.log2((frequencies[i] if decision else ONE - frequencies[i]) / ONE)
        low = nodes[row, LOW]
        more = follow(nodes, row, decision)
        mass[row, 0 if nodes[row, LOW] != low else 2] = mass[row, 1]
        if more:
            mass[row, 1] = cdf(components, row, nodes[row, SPLIT], logistic)
            active[left] = row
            frequencies[left] = _frequency(nodes, mass, row)
            symbols[left] = answer(nodes, row, values[row])
            left += 1
    return left


@kernel
def _learn(channel, bases, components, logistic, nodes, residuals, out):
    for row in range(len(out)):
        value = nodes[row, LOW]
        out[row] = value
        if channel == 2:
            continue
        residuals[channel, row] = value * rules.MEAN_UNIT - bases[row]
        total = 0
        for j in range(components.shape[1]):
            below = _component_cdf(components, row, j, value, logistic) if value > 0 else 0
            above = _component_cdf(components, row, j, value + 1, logistic) if value < 255 else 1 << rules.CDF_BITS
            components[row, j, WEIGHT] *= above - below + 1
            total += components[row, j, WEIGHT]
        for j in range(components.shape[1]):
            components[row, j, WEIGHT] = (components[row, j, WEIGHT] << rules.WEIGHT_BITS) // total
