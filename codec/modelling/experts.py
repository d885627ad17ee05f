"""What learns a photograph while it is coded: the network's distribution and its rivals, mixed decision by decision.

Experts give the probability of a decision: the network's mixture, the ratio tables' two corrections of it, and
a pair of logistics at each prediction of the blend, as wide as its errors were in such a place (the two-logistic shape
is TMW's idea, Meyer and Tischer 1997). The mixer puts them together; its weight sets look at the kind of decision and
at the errors nearby.
"""

from typing import NamedTuple

import numpy as np

from codec.entropy.binarisation import BELOW, CLASSES, HALVING, UNDECIDED, decision_for, moves_up, next_node
from codec.entropy.range_coder import ONE, TRACED, code, trace
from codec.errors import WrongModel
from codec.modelling import ratio_tables as ratios
from codec.modelling.blend import MEMBERS, Blend, combine, keep_error, nearby, settle
from codec.modelling.blend import blend as new_blend
from codec.modelling.logistic import ERROR_CLASS, ERROR_CLASSES
from codec.modelling.mixer import Mixer, adjust, equal, mix, mixer, squash, stretch
from codec.modelling.mixture import END, TO_POSITION, ZERO, between, divided
from codec.modelling import residuals as histograms
from codec.modelling.ratio_tables import STAGES, RatioTables
from codec.modelling.residuals import COST_CLASS, Residuals
from runtime import rules
from runtime.kernels import inlined
from runtime.least_squares import FIRST_ERROR, LAST, LEFT, RING, TOP, Canvas

EXPERTS = 1 + STAGES + MEMBERS
NAMES = ("network", "first table", "second table", "blend", "own", "fast", "slow")
INPUTS = TRACED  # of the mixer: the experts, a constant, zeros up to a whole vector
_CONSTANT = 1229  # 0.3
COUNT, SECOND, USED = 48 - 5, 24, 13
_KINDS, _STEPS = 65, 12  # of decisions, finely and coarsely
_CROSS = np.array([26, 64, 128, 256, 512, 896, 1600], np.int64)  # of eight classes of the other planes' errors
_CROSSES = len(_CROSS) + 1
_PLACES = 3 * CLASSES * _STEPS
_SIDES = 3  # of a decision: undecided, below, above
SETS = (3 * CLASSES * _KINDS, _PLACES * ERROR_CLASSES, 3 * _STEPS * _SIDES * _CROSSES, 3*16, 3*81, 3*128, 3*4, 3*128, 3*64, 3*49, 3*64, 3*32, 3*81)
_KINDS_OF_SETS = ((3 * CLASSES, _KINDS), (_PLACES,), (3 * _STEPS * _SIDES,)) + ((3,),) * 10
COST = np.round(-32 * np.log2((np.arange(4096) + .5) / 4096)).astype(np.int32)
_FOURS = np.array([0, 1, 1, 2, 2, 2, 2, 2, 2, 3, 3, 3])
_STARTS = tuple(sum(SETS[:s]) for s in range(len(SETS)))
_RATES = np.maximum(262, 65536 // (np.arange(1024) + 50)).astype(np.int32)  # 0.02 / (1 + n / 50), 0.004 at least
_FINAL_RATE = 20  # 0.0003
_NARROW, _WIDE = 30147, 2621  # 0.92 and 0.08: weights of a rival's two logistics, the second three times as wide
_SHARPNESS = 863288426  # 1.608 * 2^29: inverse scale of the narrow one per mean absolute error
_ONE = np.float32(1 << 16)
_LEAST = 16  # what an absolute error counts at least, 1/64 grey level
_MANY = 800  # errors after which a scale forgets half
WEIGHTS, FINAL, SCALES = "mixing.weights", "mixing.final", "mixing.scales"  # tensors of a model
START_SHIFT = 5  # its weights are int16 in steps of 2^-11
_PLAIN = (39321, 6553, 19660)  # weights of a model that brings none, out of 2^16; the rivals' are 0


class Experts(NamedTuple):
    """State of a tile, and of the value at hand."""

    blend: Blend
    ratios: RatioTables
    mixer: Mixer
    scales: np.ndarray  # int64 [3, MEMBERS, 24, 8, 2]: absolute errors in 1/64 grey level by context, sum and number
    ring: np.ndarray  # int32 [3, H + 2, RING]: errors of the network's mean
    rivals: np.ndarray  # int64 [MEMBERS, 3]: mean and inverse scales of the two logistics of each
    contexts: np.ndarray  # int64 [MEMBERS, 2]: which scale each has
    masses: np.ndarray  # int32 [3, EXPERTS]: F(low), F(split), F(high) out of about 2^22
    residuals: Residuals
    costs: np.ndarray  # int32 [3, H + 2, RING]: of values, 1/32 bit
    seen: np.ndarray  # int64 [2 + sets]: contexts of the value at hand


def experts(canvas: Canvas, tables: dict[str, np.ndarray]) -> Experts:
    """What starts a tile. Raises WrongModel."""
    weights, final = start(tables)
    return Experts(
        new_blend(canvas),
        ratios.ratio_tables(),
        mixer(weights, final, _RATES, _FINAL_RATE),
        first_scales(tables),
        np.full((3, canvas.size.height + 2, RING), FIRST_ERROR, np.int32),
        np.zeros((MEMBERS, 3), np.int64),
        np.zeros((MEMBERS, 2), np.int64),
        np.zeros((3, EXPERTS), np.int32),
        histograms.residuals(*canvas.size, COUNT, SECOND),
        np.full((3, canvas.size.height + 2, RING), 160, np.int32),
        np.zeros(len(SETS), np.int64),
    )


def start(tables: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The mixer's weights int32 [vectors, INPUTS] and final weights before anything is learned: the model's, or plain
    ones if it brings none. Raises WrongModel."""
    inputs = EXPERTS + 1 + 2 * (5 + COUNT + SECOND)
    weights = np.zeros((sum(SETS[:USED]), inputs), np.int32)
    if WEIGHTS not in tables:
        weights[:, : len(_PLAIN)] = np.array(_PLAIN) >> 2
        return weights, equal(_PLACES, USED)
    learned, final = tables[WEIGHTS], tables[FINAL]
    if learned.shape != weights.shape or final.shape != (_PLACES, USED):
        raise WrongModel(f"the model's {WEIGHTS} have shape {learned.shape}: it belongs to another version")
    return learned.astype(np.int32), final.astype(np.int32) << START_SHIFT


def first_scales(tables: dict[str, np.ndarray]) -> np.ndarray:
    """Experts.scales as if four errors had been seen in every context.

    Their means are the model's where it brings some, above 0. Raises WrongModel.
    """
    scales = np.full((3, MEMBERS, ERROR_CLASSES, _CROSSES, 2), 4, np.int64)
    means = np.zeros(scales.shape[:-1], np.int64)
    means[:] = np.array([max(_LEAST, (11 if u % 2 else 8) << (u // 2)) for u in range(ERROR_CLASSES)])[:, None]
    learned = tables.get(SCALES)
    if learned is not None:
        if learned.shape != means.shape or learned.min() < 0:
            raise WrongModel(f"the model's {SCALES} do not fit: it belongs to another version of this program")
        means = np.where(learned > 0, np.maximum(learned, _LEAST), means)
    scales[..., 0] *= means
    return scales


def kinds_mean(total: np.ndarray, visits: np.ndarray) -> np.ndarray:
    """For every weight vector the mean over those of its set and kind of decision.

    total: float64 [vectors, N], vectors times visits [vectors]. Kinds never visited get the mean of all.
    """
    mean = np.empty_like(total)
    for first, size, kinds in zip(_STARTS, SETS, _KINDS_OF_SETS, strict=True):
        part = slice(first, first + size)
        sums, counts = total[part].reshape(*kinds, -1, total.shape[1]), visits[part].reshape(*kinds, -1)
        overall = total[part].sum(0) / max(counts.sum(), 1)
        of_kind = (sums.sum(-2, keepdims=True) + overall) / (counts.sum(-1)[..., None, None] + 1)
        mean[part] = np.broadcast_to(of_kind, sums.shape).reshape(size, -1)
    return mean


@inlined
def expect(level, k, row, means, canvas, experts):
    """Predicts plane k at a level's row by all members and sets their distributions; returns what contexts see.

    means: the model's predictor's and the network's prediction, in 1/64 grey level. Returned are the classes of the
    errors nearby: of the network's in this plane, and in the planes before.
    """
    combine(level, k, row, means, canvas, experts.blend)
    c, ring = level - 2 * row, experts.ring
    own = ERROR_CLASS[min(nearby(ring[k], row, c) >> 2, len(ERROR_CLASS) - 1)]
    if k == 0:
        others = abs(ring[1, row + 2, (c - 1) & LAST]) + abs(ring[1, row + 1, c & LAST])
        others += abs(ring[2, row + 2, (c - 1) & LAST]) + abs(ring[2, row + 1, c & LAST])
        others >>= 2
    else:
        others = abs(ring[k - 1, row + 2, c & LAST])
        if k == 2:
            others += abs(ring[0, row + 2, c & LAST]) >> 1
    cross = 0
    for limit in _CROSS:
        cross += others > limit
    for q in range(MEMBERS):
        error = ERROR_CLASS[min(experts.blend.near[q] >> 2, len(ERROR_CLASS) - 1)]
        experts.contexts[q, 0], experts.contexts[q, 1] = error, cross
        total, seen = experts.scales[k, q, error, cross, 0], experts.scales[k, q, error, cross, 1]
        inverse, rival = divided(_SHARPNESS * seen, total), experts.rivals[q]
        rival[0], rival[1], rival[2] = experts.blend.members[q], inverse, inverse // 3
    cost = COST_CLASS[min(nearby(experts.costs[k], row, c), 1023)]
    histograms.look(k, row, c, canvas.size.width, experts.blend.members, np.int32(cost), experts.residuals)
    _contexts(k, row, c, cost, canvas, experts)
    return own, cross


@inlined
def _class(value, limits):
    found = 0
    for limit in limits:
        found += value > limit
    return found


_SIGNED = np.array([-320, -128, -48, -16, 16, 48, 128, 320])
_SEVEN = np.array([-160, -48, -12, 12, 48, 160])
_DIFFERENT = np.array([-192, -96, -40, -12, 12, 40, 96, 192])
_EDGES = np.array([3, 6, 10, 16, 26, 42, 80])


@inlined
def _contexts(k, row, c, cost, canvas, experts):
    seen, rings, members = experts.seen, experts.blend.rings, experts.blend.members
    w, n, here = (c - 1) & LAST, c & LAST, c & LAST
    if k == 0:
        first = (rings[1, 0, row + 1, n] + rings[1, 0, row + 2, w]) >> 1
        second = (rings[2, 0, row + 1, n] + rings[2, 0, row + 2, w]) >> 1
    elif k == 1:
        first = rings[0, 0, row + 2, here]
        second = (rings[2, 0, row + 1, n] + rings[2, 0, row + 2, w]) >> 1
    else:
        first, second = rings[1, 0, row + 2, here], rings[0, 0, row + 2, here]
    best = experts.residuals.best
    y, x, p = row + TOP, c + LEFT, canvas.pixels[k]
    W, N, NW, NE = np.int64(p[y, x - 1]), np.int64(p[y - 1, x]), np.int64(p[y - 1, x - 1]), np.int64(p[y - 1, x + 1])
    WW, NN, NNE, NNW, NWW = np.int64(p[y, x - 2]), np.int64(p[y - 2, x]), np.int64(p[y - 2, x + 1]), np.int64(p[y - 2, x - 1]), np.int64(p[y - 1, x - 2])
    seen[3] = k * 16 + cost
    seen[4] = k * 81 + _class(first, _SIGNED) * 9 + _class(second, _SIGNED)
    seen[5] = k * 128 + histograms.nearest(experts.residuals)
    seen[6] = k * 4
    seen[7] = k * 128 + np.int64(best[0, row + 2, w] if k == 0 else best[k - 1, row + 2, here])
    high, next = W, N
    if k > 0:
        high, next = np.int64(canvas.pixels[k - 1, y, x]), W if k == 1 else np.int64(canvas.pixels[0, y, x])
    seen[8] = k * 64 + (high >> 5) * 8 + (next >> 5)
    seen[9] = k * 49 + _class(rings[k, 0, row + 2, w], _SEVEN) * 7 + _class(rings[k, 0, row + 1, n], _SEVEN)
    seen[10] = k * 64 + np.int64(N > NW) + 2 * np.int64(N > NE) + 4 * np.int64(W > N) + 8 * np.int64(W > NW) + 16 * np.int64(N > NN) + 32 * np.int64(W > WW)
    v, h = abs(N - NN) + abs(W - NW) + abs(NE - NNE), abs(W - WW) + abs(N - NW) + abs(NE - N)
    d, u = abs(W - NWW) + abs(N - NNW) + abs(NE - NN), abs(W - N) + abs(N - NNE) + abs(NW - NN)
    least, which = v, 0
    if h < least:
        least, which = h, 1
    if d < least:
        least, which = d, 2
    if u < least:
        least, which = u, 3
    seen[11] = k * 32 + which * 8 + _class(least, _EDGES)
    seen[12] = k * 81 + _class(members[0] - members[4], _DIFFERENT) * 9 + _class(members[1] - members[3], _DIFFERENT)


@inlined
def mixed_value(node, given, seen, value, walk):
    """Codes a value whose first decision is `node`. given: channel, red, green; seen: what `expect` returned; walk: the
    coding, the network's mixture, its logistic table and the experts. Returns the value."""
    coding, mixture, logistic, experts = walk
    masses, mixer = experts.masses, experts.mixer
    ratios.open_window(experts.ratios, node, given, mixture, logistic)
    for e in range(EXPERTS):
        masses[0, e] = 0
    _set_masses(256, mixture, logistic, experts, masses[2])
    mixer.inputs[EXPERTS] = _CONSTANT
    histograms.locate(0, experts.residuals, experts.residuals.below[0])
    histograms.locate(256, experts.residuals, experts.residuals.below[2])
    cost = 0
    while node.high - node.low > 1:
        _set_masses(node.split, mixture, logistic, experts, masses[1])
        away = 0 if node.side == BELOW else 2  # which part is that of decision 1
        for e in range(EXPERTS):
            part, whole = abs(masses[away, e] - masses[1, e]), max(masses[2, e] - masses[0, e], 1)
            share = np.int32(np.float32(part) * _ONE / np.float32(whole))
            mixer.inputs[e] = stretch(min(max(share, 16), 65520))
        histograms.locate(node.split, experts.residuals, experts.residuals.below[1])
        histograms.inputs(node, 1 if away == 2 else -1, experts.residuals, mixer.inputs[EXPERTS + 1 :])
        place = _select(node, given[0], seen, mixer, experts)
        probability = squash(mix(mixer, place))
        trace(coding, mixer.inputs)
        decision = code(coding, np.int64(probability) * (ONE >> 16), decision_for(node, value))
        adjust(mixer, place, probability, decision)
        side = 0 if moves_up(node, decision) else 2
        cost += COST[(probability if decision else (1 << 16) - probability) >> 4]
        histograms.narrow(side == 0, experts.residuals)
        for e in range(EXPERTS):
            masses[side, e] = masses[1, e]
        node = next_node(node, decision)
    ratios.count(experts.ratios, given, node.low)
    experts.seen[0] = cost
    return node.low


@inlined
def _set_masses(value, mixture, logistic, experts, out):
    """F(value) of every expert."""
    ratios.masses(experts.ratios, value, mixture, logistic, out)
    if value == 256:
        for q in range(MEMBERS):
            out[1 + STAGES + q] = (1 << rules.CDF_BITS) + 4 * value
        return
    at = value * rules.MEAN_UNIT - rules.MEAN_UNIT // 2
    for q in range(MEMBERS):
        distance = at - experts.rivals[q, 0]
        narrow = ((distance * experts.rivals[q, 1]) >> TO_POSITION) + ZERO
        wide = ((distance * experts.rivals[q, 2]) >> TO_POSITION) + ZERO
        mass = _NARROW * between(min(max(narrow, 0), END - 1), logistic)
        mass += _WIDE * between(min(max(wide, 0), END - 1), logistic)
        out[1 + STAGES + q] = (mass >> rules.WEIGHT_BITS) + 4 * value


@inlined
def _select(node, channel, seen, mixer, experts):
    """Selects the weight vectors of a decision; returns its place in the second layer."""
    own, cross = seen
    kind, step, side = 0, 0, 1 + node.side
    if node.side != UNDECIDED:
        width = node.high - node.low
        if node.rung != HALVING:
            kind, step = 1 + 16 * node.side + node.rung, 1 + min(node.rung, 7)
        else:
            kind, step = 33 + 16 * node.side + min(width, 15), 9 + (width > 2) + (width > 4)
    where = channel * CLASSES + node.deviation
    place = where * _STEPS + step
    mixer.selected[0] = where * _KINDS + kind
    mixer.selected[1] = _STARTS[1] + place * ERROR_CLASSES + own
    mixer.selected[2] = _STARTS[2] + ((channel * _STEPS + step) * _SIDES + side) * _CROSSES + cross
    for s in range(3, len(mixer.selected)):
        mixer.selected[s] = _STARTS[s] + experts.seen[s]
    if len(mixer.selected) > 6:
        mixer.selected[6] += _FOURS[step]
    return place


@inlined
def take_in(level, k, row, value, width, experts):
    """Learns from the true value of what `expect` predicted last."""
    c = level - 2 * row
    for q in range(MEMBERS):
        scale = experts.scales[k, q, experts.contexts[q, 0], experts.contexts[q, 1]]
        scale[0] += max(abs(value * rules.MEAN_UNIT - experts.blend.members[q]), _LEAST)
        scale[1] += 1
        if scale[1] > _MANY:
            scale[0] >>= 1
            scale[1] >>= 1
    keep_error(experts.ring[k], row, c, width, value * rules.MEAN_UNIT - experts.blend.members[4])
    settle(level, k, row, value, width, experts.blend)
    keep_error(experts.costs[k], row, c, width, experts.seen[0])
    histograms.count(k, row, c, width, value, experts.residuals)
