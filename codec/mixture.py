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
_END = 2 * rules.LOGISTIC_RANGE * rules.LOGISTIC_UNIT
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

    def weigh(self, parameters: np.ndarray) -> None:
        """Starts a level: component weights from the logits. parameters int32 [n, 10 K]."""
        self._parameters = parameters
        _weigh(parameters, self._components, self._tables[0])

    def open(self, channel: int, bases: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First decisions of a channel: views of frequencies and symbols int32 [n]. values: int [n], the true values
        when encoding (symbols then hold the answers), anything when decoding."""
        n = _open(
            channel,
            self._parameters,
            bases,
            values,
            self._components,
            self._residuals,
            *self._tables[1:],
            self._nodes,
            self._mass,
            self._active,
            self._frequencies,
            self._symbols,
        )
        return self._frequencies[:n], self._symbols[:n]

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
def _component_cdf(component, value, logistic):
    """Distribution function of a component below `value` - 1/2, 0 .. 2^22."""
    distance = value * rules.MEAN_UNIT - rules.MEAN_UNIT // 2 - component[MEAN]
    position = ((distance * component[INVERSE]) >> _POSITION) + _ZERO
    if position < 0:
        return 0
    entry = position >> rules.POSITION_BITS
    if entry >= _END:
        return 1 << rules.CDF_BITS
    low = logistic[entry]
    return low + (((logistic[entry + 1] - low) * (position & _FRACTION)) >> rules.POSITION_BITS)


@kernel
def _cdf(components, value, logistic):
    """F(value); with weights that sum to at most 2^15 it stays below 2^38."""
    total, weights = 0, 0
    for j in range(len(components)):
        weights += components[j, WEIGHT]
        if value == 256:
            total += components[j, WEIGHT] << rules.CDF_BITS
        elif value > 0:
            total += components[j, WEIGHT] * _component_cdf(components[j], value, logistic)
    return total + ((weights * value) << _UNIFORM)


@kernel
def _frequency(node, mass):
    """Probability of decision 1 out of 2^24."""
    part = mass[2] - mass[1] if node[SIDE] != 0 else mass[1] - mass[0]
    frequency = (part << PRECISION) // (mass[2] - mass[0])
    return min(max(frequency, _SMALLEST), ONE - _SMALLEST)


@kernel
def _open(
    channel,
    parameters,
    bases,
    values,
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
            component = components[row, j]
            component[MEAN] = bases[row] + min(max(shift, -_MEANS), _MEANS)
            component[INVERSE] = inverse_scale[scale]
            mean += component[WEIGHT] * component[MEAN]
            spread += component[WEIGHT] * deviation[scale]
            weights += component[WEIGHT]
        node = nodes[row]
        open_node(node, mean // weights, spread // weights)
        mass[row, 0] = 0
        mass[row, 1] = _cdf(components[row], node[SPLIT], logistic)
        mass[row, 2] = _cdf(components[row], 256, logistic)
        active[row] = row
        frequencies[row] = _frequency(node, mass[row])
        symbols[row] = answer(node, values[row])
    return len(parameters)


@kernel
def _coupled(coefficient, residual):
    limit = 2 * rules.COUPLING_UNIT
    return (min(max(np.int64(coefficient), -limit), limit) * residual) // rules.COUPLING_UNIT


@kernel
def _decide(count, values, components, logistic, nodes, mass, active, frequencies, symbols, bits):
    left = 0
    for i in range(count):
        row, decision = active[i], symbols[i]
        node, part = nodes[row], mass[row]
        bits[row] -= np.log2((frequencies[i] if decision else ONE - frequencies[i]) / ONE)
        low = node[LOW]
        more = follow(node, decision)
        if node[LOW] != low:
            part[0] = part[1]
        else:
            part[2] = part[1]
        if more:
            part[1] = _cdf(components[row], node[SPLIT], logistic)
            active[left] = row
            frequencies[left] = _frequency(node, part)
            symbols[left] = answer(node, values[row])
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
            component = components[row, j]
            below = _component_cdf(component, value, logistic) if value > 0 else 0
            above = _component_cdf(component, value + 1, logistic) if value < 255 else 1 << rules.CDF_BITS
            component[WEIGHT] *= above - below + 1
            total += component[WEIGHT]
        for j in range(components.shape[1]):
            components[row, j, WEIGHT] = (components[row, j, WEIGHT] << rules.WEIGHT_BITS) // total
