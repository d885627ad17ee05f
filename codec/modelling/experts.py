"""What learns a photograph while it is coded: what is said of each decision, and how it is mixed.

The network's mixture gives a probability, the ratio tables correct it, histograms of many predictors' errors and
contexts of exact values give others. The mixer puts them together, decision by decision; its weights start as the
model's, learned from photographs beforehand.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from codec.entropy.binarisation import BELOW, decision_for, moves_up, next_node
from codec.entropy.range_coder import ONE, code, trace
from codec.errors import WrongModel
from codec.modelling.blend import Blend, combine, keep_error, nearby, settle
from codec.modelling.blend import blend as new_blend
from codec.modelling.hashed import Hashed, hashed, open_contexts, recall, remember_decision, slot_for
from codec.modelling.histograms import (
    COST_CLASS,
    Histograms,
    count_value,
    histograms,
    locate,
    narrow,
    open_histograms,
    tell,
)
from codec.modelling.lattice import Lattice, lattice, look_for_lattice, weigh_window, weighed_below
from codec.modelling.logistic import COST
from codec.modelling.mixer import Mixer, adjust, equal, fetch, mix, mixer, squash, stretch
from codec.modelling.ratio_tables import STAGES, RatioTables, correct_window, corrected_below, count, ratio_tables
from codec.modelling.reconstruction import NONE
from codec.modelling.selectors import ALL, FIRST, PLACES, Selectors, look_around, select, selectors, vectors
from codec.modelling.simple import Simple, foretell, settle_simple, simple
from codec.modelling.window import Window, mass_below, open_window, window
from runtime.kernels import inlined
from runtime.least_squares import RING, Canvas

NAMES = ("network", "first table", "second table")
_LATTICE = 1 + STAGES  # column of masses behind those
_CONSTANT, _FIRST_INPUTS = 3, 4  # behind these the constant, then the histograms' inputs and the contexts'
_THREE_TENTHS = 1229  # the constant
_RATES = np.maximum(197, 65536 // (np.arange(1024) + 50)).astype(np.int32)  # 0.02 / (1 + n / 50), 0.003 at least
_FINAL_RATE = 20  # 0.0003
_ONE = np.float32(1 << 16)
_PLAIN = 12000  # weight of the network where a model brings none
_FIRST_COST = 160  # of a value assumed where none is known yet, 1/32 bit
WEIGHT_SHIFT, FINAL_SHIFT = 7, 5  # a model's weights are in steps of 2^-7, those of the second layer of 2^-11


@dataclass(frozen=True)
class Recipe:
    """How much a tile's learning looks at."""

    name: str  # of the model's tensors
    predictors: int
    twice: int  # of these with a second histogram
    contexts: int
    sets: tuple[str, ...]

    @property
    def inputs(self) -> int:
        """Of the mixer, but for what fills a vector."""
        return _FIRST_INPUTS + 2 * (self.predictors + self.twice + self.contexts)

    @property
    def weights(self) -> str:
        """The tensor of the mixer's first weights, int8 [vectors, inputs]."""
        return f"mixing.{self.name}.weights"

    @property
    def final(self) -> str:
        """The tensor of the second layer's, int16 [PLACES, sets]."""
        return f"mixing.{self.name}.final"


QUICK = Recipe("quick", 12, 0, 1, FIRST)
FULL = Recipe("full", 96, 24, 4, ALL)
RECIPES = (QUICK, FULL)


class Experts(NamedTuple):
    """State of a tile, and of the value at hand."""

    blend: Blend
    window: Window
    tables: bool  # whether the ratio tables are asked
    ratios: RatioTables
    lattice: Lattice
    simple: Simple
    histograms: Histograms
    hashed: Hashed
    selectors: Selectors
    mixer: Mixer
    masses: np.ndarray  # int32 [3, 2 + STAGES]: F(low), F(split), F(high) out of about 2^22; of the lattice of 2^30
    costs: np.ndarray  # int32 [3, H + 2, RING]: what values have cost, 1/32 bit
    spent: np.ndarray  # int64 [1]: on the value at hand


def experts(
    canvas: Canvas,
    model: dict[str, np.ndarray],
    recipe: Recipe,
    tables: bool,
    number: int = 0,
    made: np.ndarray = NONE,
) -> Experts:
    """What starts a tile. model: its tensors; number: of the lattice, 0 for none; made: a reconstruction, uint8
    [C, H, W]. Raises WrongModel."""
    height, width = canvas.size
    weights, final = start(model, recipe)
    return Experts(
        new_blend(canvas),
        window(),
        tables,
        ratio_tables(tables),
        lattice(number),
        simple(height, width, recipe.predictors, made),
        histograms(recipe.predictors, recipe.twice),
        hashed(recipe.contexts),
        selectors(recipe.sets),
        mixer(weights, final, _RATES, _FINAL_RATE),
        np.zeros((3, 2 + STAGES), np.int32),
        np.full((3, height + 2, RING), _FIRST_COST, np.int32),
        np.zeros(1, np.int64),
    )


def start(model: dict[str, np.ndarray], recipe: Recipe) -> tuple[np.ndarray, np.ndarray]:
    """The mixer's weights int16 [vectors, inputs] and final weights int32 before anything is learned: the model's, or
    plain ones if it brings none. Raises WrongModel."""
    shape, sets = (sum(vectors(recipe.sets)), recipe.inputs), len(recipe.sets)
    if recipe.weights not in model:
        weights = np.zeros(shape, np.int16)
        weights[:, 0] = _PLAIN
        return weights, equal(PLACES, sets)
    learned, final = model[recipe.weights], model[recipe.final]
    if learned.shape != shape or final.shape != (PLACES, sets):
        raise WrongModel(f"the model's {recipe.weights} have shape {learned.shape}: it belongs to another version")
    return learned.astype(np.int16) << WEIGHT_SHIFT, final.astype(np.int32) << FINAL_SHIFT


@inlined
def expect(level, k, row, expected, canvas, experts):
    """Predicts plane k at a level's row and finds all that decisions about it are mixed from and by.

    expected: the model's predictor's and the network's prediction, the network's mean absolute error, all in 1/64 grey
    level, and the class and the centre of the value's decisions.
    """
    base, mean, spread, deviation, centre = expected
    c, width = level - 2 * row, canvas.size.width
    combine(level, k, row, (base, mean), canvas, experts.blend)
    cost = np.int32(COST_CLASS[min(nearby(experts.costs[k], row, c), len(COST_CLASS) - 1)])
    members = experts.blend.members
    foretell(k, row, c, width, members, experts.simple)
    open_histograms(k, experts.simple, cost, experts.histograms)
    open_contexts(k, row, c, centre, members, canvas.pixels, experts.hashed)
    look_for_lattice(k, row, c, canvas.pixels, experts.lattice)
    found = deviation, spread, cost
    look_around(k, row, c, found, canvas, experts.blend, experts.simple, experts.selectors)
    experts.spent[0] = 0


@inlined
def mixed_value(node, given, value, walk):
    """Codes a value whose first decision is `node`. given: channel, red, green; walk: the coding, the network's
    mixture, its logistic table and the experts. Returns the value."""
    coding, mixture, logistic, experts = walk
    masses, mixer, behind = experts.masses, experts.mixer, _FIRST_INPUTS + 2 * len(experts.histograms.rows)
    asked = 1 + (STAGES if experts.tables else 0)
    weighs = experts.lattice.weighs[0]
    if experts.tables or weighs:
        open_window(node.split, mixture, logistic, experts.window)
    if experts.tables:
        correct_window(experts.ratios, given, experts.window)
    if weighs:
        weigh_window(experts.lattice, given[1], given[2], experts.window)
    for e in range(1 + _LATTICE):
        masses[0, e] = 0
    _set_masses(256, mixture, logistic, experts, masses[2])
    mixer.inputs[_CONSTANT] = _THREE_TENTHS
    while node.high - node.low > 1:
        place = select(node, experts.selectors, mixer.selected)
        fetch(mixer)
        _set_masses(node.split, mixture, logistic, experts, masses[1])
        away = 0 if node.side == BELOW else 2  # which part is that of decision 1
        for e in range(asked):
            mixer.inputs[e] = _logit(masses, e, away)
        moved = np.int64(_logit(masses, _LATTICE, away) - mixer.inputs[0]) >> 4 if weighs else np.int64(0)
        locate(node.split, experts.histograms, experts.histograms.below[1])
        tell(node, away == 2, experts.histograms, mixer.inputs[_FIRST_INPUTS:behind])
        slot = slot_for(node)
        recall(slot, experts.hashed, mixer.inputs[behind:])
        probability = np.int64(squash(mix(mixer, place, moved)))
        trace(coding, mixer.inputs)
        decision = code(coding, probability * (ONE >> 16), decision_for(node, value))
        adjust(mixer, place, probability, decision, moved)
        remember_decision(slot, decision, experts.hashed)
        experts.spent[0] += COST[(probability if decision else (1 << 16) - probability) >> 4]
        up = moves_up(node, decision)
        for e in range(1 + _LATTICE):
            masses[0 if up else 2, e] = masses[1, e]
        narrow(up, experts.histograms)
        node = next_node(node, decision)
    if experts.tables:
        count(experts.ratios, given, node.low, experts.window)
    return node.low


@inlined
def _logit(masses, e, away):
    """The logit of decision 1, whose part ends at `away`."""
    part, whole = abs(masses[away, e] - masses[1, e]), max(masses[2, e] - masses[0, e], 1)
    share = np.int32(np.float32(part) * _ONE / np.float32(whole))
    return stretch(min(max(share, 16), 65520))


@inlined
def _set_masses(value, mixture, logistic, experts, out):
    """F(value) of the network and, where they are asked, of the ratio tables and of the lattice."""
    if experts.tables:
        corrected_below(experts.ratios, value, experts.window, mixture, logistic, out)
    else:
        out[0] = mass_below(value, mixture, logistic)
    if experts.lattice.weighs[0]:
        out[_LATTICE] = weighed_below(experts.lattice, value, experts.window, mixture, logistic)


@inlined
def take_in(level, k, row, value, width, experts):
    """Learns from the true value of what `expect` predicted last."""
    c = level - 2 * row
    count_value(value, experts.histograms)
    keep_error(experts.costs[k], row, c, width, np.int32(experts.spent[0]))
    settle_simple(k, row, c, width, value, experts.simple)
    settle(level, k, row, value, width, experts.blend)
