"""What is said of each decision about a value, and how it is mixed; a value coded, and learned.

Experts are the members of the forecast, each with an error as large as it missed by nearby, and the corrected blend
with each of the expected errors; beside them stand adaptive probabilities. The mixer is the photo coder's.
"""

from typing import NamedTuple

import numpy as np

from codec.entropy.binarisation import BELOW
from codec.entropy.range_coder import ONE, code
from codec.modelling.adaptive import adapt, probability
from codec.modelling.deep.contexts import (
    ADAPTIVE,
    PLACES,
    SETS,
    SIZES,
    Contexts,
    contexts,
    find_contexts,
    select,
    vectors,
)
from codec.modelling.deep.errors import EXPECTED, LEAST, Errors, errors, expect_errors, refit_errors, settle_errors
from codec.modelling.deep.forecast import (
    MEMBERS,
    Forecast,
    forecast,
    predict_members,
    refit_forecast,
    settle_members,
)
from codec.modelling.deep.ladder import KINDS, first_node, is_fine, kind_of, next_node
from codec.modelling.deep.shapes import (
    Shapes,
    count_shapes,
    locate,
    narrow_shapes,
    open_shapes,
    scale_of,
    shapes,
    tell_shapes,
)
from codec.modelling.mixer import Mixer, adjust, equal, fetch, mix, mixer, squash, stretch
from codec.modelling.secondary import Secondary, correct, estimate, secondary
from runtime.kernels import inlined
from runtime.least_squares import ALL, Canvas

_EXPERTS = EXPECTED + MEMBERS
_FIRST_ADAPTIVE = 2 * _EXPERTS
_CONSTANT = _FIRST_ADAPTIVE + 2 * len(ADAPTIVE)
_INPUTS = _CONSTANT + 1
_THREE_TENTHS = 1229  # the constant
_RATES = np.maximum(262, 65536 * 3 // (np.arange(1024) + 100)).astype(np.int32)  # 0.03 / (1 + n / 100), 0.004 at least
_FINAL_RATE = 200  # 0.003
_TRUST = 6000  # weight of each expert of the corrected blend
_SIZE = 1  # the set whose contexts secondary estimation has
_LEAST_FREQUENCY = 256


class Deep(NamedTuple):
    """State of a tile."""

    depth: int
    forecast: Forecast
    errors: Errors
    shapes: Shapes
    contexts: Contexts
    mixer: Mixer
    secondary: Secondary


def deep(canvas: Canvas, depth: int) -> Deep:
    """One that has seen nothing; values are below 2^depth."""
    planes = len(canvas.pixels)
    weights = np.zeros((int(vectors(planes).sum()), _INPUTS), np.int16)
    weights[:, :EXPECTED] = _TRUST
    return Deep(
        depth,
        forecast(canvas),
        errors(canvas),
        shapes(planes, _EXPERTS),
        contexts(planes),
        mixer(weights, equal(PLACES, len(SETS)), _RATES, _FINAL_RATE),
        secondary(planes * SIZES * KINDS),
    )


@inlined
def refit_deep(level, k, canvas, deep, rows=ALL):
    """Fits all of plane k to the levels before."""
    refit_forecast(level, k, canvas, deep.forecast, rows)
    refit_errors(level, k, canvas, deep.errors, rows)


@inlined
def code_value(level, k, row, value, canvas, walk):
    """Codes plane k at a level's row, and learns it. value: the true one, when encoding. walk: the coding and the
    state. Returns the value."""
    coding, deep = walk
    c, width = level - 2 * row, canvas.size.width
    forecast, errors = deep.forecast, deep.errors
    predict_members(level, k, row, canvas, forecast)
    expect_errors(level, k, row, forecast, errors)
    find_contexts(k, row, c, deep.depth, canvas, (forecast, errors, deep.contexts))
    _set_experts(forecast, errors, deep.shapes)
    found = _decide(k, value, coding, deep)
    count_shapes(found, k, deep.shapes)
    settle_members(level, k, row, found, width, forecast)
    settle_errors(level, k, row, width, forecast, errors)
    return found


@inlined
def _set_experts(forecast, errors, shapes):
    for e in range(EXPECTED):
        shapes.predictions[e] = forecast.members[0]
        shapes.scales[e] = scale_of(errors.expected[e])
    for q in range(MEMBERS):
        shapes.predictions[EXPECTED + q] = forecast.members[q]
        shapes.scales[EXPECTED + q] = scale_of(max(forecast.near[q] >> 3, LEAST))


@inlined
def _decide(k, value, coding, deep):
    """The value by its decisions."""
    error, top = deep.errors.expected[0], 1 << deep.depth
    open_shapes(k, top, deep.shapes)
    deep.mixer.inputs[_CONSTANT] = _THREE_TENTHS
    node = first_node(deep.forecast.members[0], top)
    while node.high - node.low > 1:
        up = node.side != BELOW  # which part is that of decision 1
        wanted = np.int64((value >= node.split) == up)
        if is_fine(node, error):
            part = node.high - node.split if up else node.split - node.low
            decision = code(coding, ONE * part // (node.high - node.low), wanted)
        else:
            decision = _mixed_decision(k, node, wanted, coding, deep)
        node = next_node(node, decision, error)
    return node.low


@inlined
def _mixed_decision(k, node, wanted, coding, deep):
    """Codes a decision by all that is said of it, and learns it."""
    mixer, shapes, contexts, up = deep.mixer, deep.shapes, deep.contexts, node.side != BELOW
    kind, step = kind_of(node)
    select(kind, step, contexts, mixer.selected)
    fetch(mixer)
    locate(node.split, k, 1, shapes)
    tell_shapes(up, shapes, mixer.inputs[:_FIRST_ADAPTIVE])
    for a in range(len(contexts.asked)):
        p = np.int64(probability(contexts.tables, contexts.asked[a]))
        mixer.inputs[_FIRST_ADAPTIVE + 2 * a] = stretch(p) >> 1
        mixer.inputs[_FIRST_ADAPTIVE + 2 * a + 1] = (p - (1 << 15)) >> 2
    logit = mix(mixer, kind)
    p, estimated = np.int64(squash(logit)), contexts.found[_SIZE] * KINDS + kind
    frequency = (p * (ONE >> 16) + estimate(deep.secondary, estimated, logit)) >> 1
    decision = code(coding, min(max(frequency, _LEAST_FREQUENCY), ONE - _LEAST_FREQUENCY), wanted)
    adjust(mixer, kind, p, decision)
    correct(deep.secondary, estimated, logit, decision)
    for a in range(len(contexts.asked)):
        adapt(contexts.tables, contexts.asked[a], decision)
    narrow_shapes((decision == 1) == up, shapes)
    return decision
