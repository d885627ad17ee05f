"""Is it this colour? The decisions about a position's candidates, and the walk through them.

Adaptive probabilities in many contexts are mixed and refined by what came of such sums (secondary.py). Everything
learns right after its decision.
"""

from typing import NamedTuple

import numpy as np

from codec.entropy.range_coder import ONE, code
from codec.modelling.adaptive import Adaptive, adapt, adaptive, probability
from codec.modelling.exact_colours import candidates, contexts, match, memory
from codec.modelling.exact_colours.candidates import MOST, Candidates
from codec.modelling.exact_colours.contexts import PATTERNS, PLAIN, Contexts, classes
from codec.modelling.exact_colours.memory import CONTEXTS, LONGEST_COUNT, NOWHERE, RECENT, WAYS, Memory
from codec.modelling.logistic import LIMIT
from codec.modelling.mixer import Mixer, adjust, equal, mix, mixer, squash, stretch
from codec.modelling.secondary import Secondary, correct, estimate, secondary
from runtime.kernels import inlined

MOST_DECISIONS = MOST + 1 + RECENT  # about one position
_UNLIKELY = ONE >> 7  # a candidate below it is not asked for once the picture has had many colours
_SMALLEST = 16  # of 2^24

_MINE = classes((1, 2, 3, 4, 6, 9, 16, 32, 64, 128, 255), LONGEST_COUNT + 1)
_OTHERS = classes((1, 2, 3, 4, 7, 13, 31), WAYS * LONGEST_COUNT + 1)
_STATES = 192  # of a colour in a context: count, whether it was the last, counts of others
_PHASES = 4  # the first candidate, the second, a later one, one of the palette
_PALETTE = 3
_AT_PALETTE = 4  # the phase of the decision that opens it

# Where a decision's adaptive probabilities lie: by context; by which neighbours have the colour, alone, with breaks and
# with runs; by the match; by the patterns. The palette's own come in between.
_INPUTS = CONTEXTS + 4 + PATTERNS
_PATTERN_SLOTS = 1 << 16
_OPENINGS = CONTEXTS * _PHASES * _STATES
_MASKS = _OPENINGS + CONTEXTS * 32
_GRIDS = _MASKS + _PHASES * 64
_RUNS = _GRIDS + _PHASES * 64 * 64
_MATCHES = _RUNS + 2 * 16 * 256
_NUMBERS = _MATCHES + _PHASES * 2 * 256
_AROUND = _NUMBERS + 32 + 16
_PATTERNED = _AROUND + 81
_PROBABILITIES = _PATTERNED + PATTERNS * _PATTERN_SLOTS

_SETS = 3
_RANKS, _AGREEMENTS, _SURROUNDINGS = 161, 225, 81 * 5
_WEIGHT, _CONSTANT = 3277, 1229  # 0.2 and 0.3
_RATES = np.maximum(262, 163840 // (np.arange(1024) + 50)).astype(np.int32)  # 0.05 / (1 + n / 50), 0.004 at least
_FINAL_RATE = 131  # 0.002
_REFINED = 5 * _STATES  # contexts in each of the two refinements


class ExactColours(NamedTuple):
    """State of a tile, and of the position at hand."""

    memory: Memory
    contexts: Contexts
    candidates: Candidates
    probabilities: Adaptive
    mixer: Mixer
    refined: Secondary
    addresses: np.ndarray  # int64 [_INPUTS]: the decision's adaptive probabilities
    refinements: np.ndarray  # int64 [2]: its contexts in `refined`


def exact_colours(channels: int, height: int, width: int, in_rows: bool = False) -> ExactColours:
    """What starts a tile whose positions come level by level, or row by row."""
    weights = np.full((_RANKS + _AGREEMENTS + _SURROUNDINGS, _INPUTS + 1), _WEIGHT, np.int16)
    weights[:, _INPUTS] = 0
    return ExactColours(
        memory.memory(channels, height, width, in_rows),
        contexts.contexts(),
        candidates.candidates(),
        adaptive(_PROBABILITIES),
        mixer(weights, equal(_PHASES + 1, _SETS), _RATES, _FINAL_RATE),
        secondary(2 * _REFINED),
        np.zeros(_INPUTS, np.int64),
        np.zeros(2, np.int64),
    )


@inlined
def ask(row, c, truth, colours, coding, refused=NOWHERE):
    """Codes whether a position has one of its candidates' colours; returns the colour, or -1 if it has none of them.

    Takes nothing over: `take_over` does, once the colour is known. refused: a colour that it is known not to have.
    """
    state, seen, listing = colours.memory, colours.contexts, colours.candidates
    here = memory.place_of(state, row, c)
    around = contexts.look(state, row, c, here)
    longest = contexts.find_contexts(state, here, around, seen)
    labels = contexts.find_patterns(state, here, seen)
    matched = match.find_match(state, row, c, here, longest)
    if refused != NOWHERE:
        contexts.strike_out(seen, refused)
    listed = candidates.gather(listing, matched, seen, around, refused)
    for j in range(listed if listed > 1 else 0):  # a single one is the best
        score = 0
        for k in range(CONTEXTS):
            score += stretch(probability(colours.probabilities, _state(seen, k, 0, listing.colours[j])))
        listing.scores[j] = score
    found, tried = _ask_candidates((around, matched, labels, listed, refused), truth, colours, coding)
    state.places[longest] = here
    outcome = 2 if found < 0 else np.int64(tried > 0)
    memory.note(state, row, c, matched, found >= 0 and found == matched.colour, outcome)
    return found


@inlined
def _ask_candidates(position, truth, colours, coding):
    """The colour that was found, or -1, and how many candidates it took. position: what stands around, the match, how
    many labels and how many candidates there are, and what was refused before."""
    listing, listed, few = colours.candidates, position[3], colours.memory.recent[RECENT - 1] == NOWHERE
    for tried in range(listed):
        candidates.bring_best(listing, tried, listed)
        colour = listing.colours[tried]
        _address_colour(position, tried, min(tried, 2), colour, colours)
        logit, place = _mixed(min(tried, 2), colours)
        frequency = _refined(logit, colours)
        if few or frequency >= _UNLIKELY:
            if _answered(frequency, logit, place, np.int64(colour == truth), colours, coding):
                return colour, tried
        contexts.strike_out(colours.contexts, colour)
    if not few:
        return np.int64(-1), listed
    end = candidates.list_palette(listing, listed, colours.memory.recent, position[4])
    if end == listed:
        return np.int64(-1), listed
    _address_opening(position, end, colours)
    logit, place = _mixed(_AT_PALETTE, colours)
    there = np.int64(candidates.find(listing, listed, end, truth) < end)
    if not _answered(_refined(logit, colours), logit, place, there, colours, coding):
        return np.int64(-1), listed
    for tried in range(listed, end - 1):
        colour = listing.colours[tried]
        _address_colour(position, tried, _PALETTE, colour, colours)
        logit, place = _mixed(_PALETTE, colours)
        if _answered(_refined(logit, colours), logit, place, np.int64(colour == truth), colours, coding):
            return colour, tried
        contexts.strike_out(colours.contexts, colour)
    return listing.colours[end - 1], end - 1  # the last needs no question


@inlined
def _state(seen, k, phase, colour):
    """Where the probability of a colour lies by what context k remembers: its count, whether it was last, others."""
    mine, others, last = 0, 0, 0
    for i in range(WAYS):
        entry = seen.seen[k, i]
        if entry > 0 and (entry & 0xFFFFFF) == colour:
            mine, last = entry >> 24, np.int64(i == 0)
        else:
            others += entry >> 24
    return ((k * _PHASES + phase) * 24 + _MINE[mine] * 2 + last) * 8 + _OTHERS[others]


@inlined
def _address_colour(position, tried, phase, colour, colours):
    """Where the inputs, weights and refinements of the question for a colour lie."""
    around, matched, labels, listed, _ = position
    seen, addresses = colours.contexts, colours.addresses
    supported, alone = 0, 0
    for k in range(CONTEXTS):
        at = _state(seen, k, phase, colour)
        addresses[k] = at
        if k < PLAIN and at % _STATES >= 16:
            supported, alone = k + 1, np.int64(at % 8 == 0)
    mask = np.int64(colour == around.w) + 2 * np.int64(colour == around.n) + 4 * np.int64(colour == around.nw)
    mask += 8 * np.int64(colour == around.ne) + 16 * np.int64(colour == around.ww) + 32 * np.int64(colour == around.nn)
    near, copied = mask & 15, np.int64(colour == matched.colour)
    runs = min(around.run_w, 15) * 16 + min(around.run_n, 15)
    likeness = min(matched.length, 30) // 2 * 16 + min(matched.streak, 15)
    addresses[CONTEXTS] = _MASKS + phase * 64 + mask
    addresses[CONTEXTS + 1] = _GRIDS + (phase * 64 + mask) * 64 + around.breaks
    addresses[CONTEXTS + 2] = _RUNS + (np.int64(tried > 0) * 16 + near) * 256 + runs
    addresses[CONTEXTS + 3] = _MATCHES + (phase * 2 + copied) * 256 + likeness
    label = contexts.label_of(seen, labels, colour)
    if label == labels:
        label = 15
    for m in range(PATTERNS):
        h = contexts.hashed(seen.patterns[m], phase * 16 + label)
        addresses[CONTEXTS + 4 + m] = _PATTERNED + m * _PATTERN_SLOTS + (h & (_PATTERN_SLOTS - 1))
    selected, alike = colours.mixer.selected, np.int64(matched.length >= 16)
    selected[0] = 128 + min(tried - listed, 31) if phase == _PALETTE else min(tried, 7) * 16 + near
    selected[1] = _RANKS + (supported * 4 + phase) * 8 + alone * 4 + copied * 2 + alike
    selected[2] = _RANKS + _AGREEMENTS + around.outcomes * 5 + phase
    colours.refinements[0] = phase * _STATES + addresses[1] % _STATES
    colours.refinements[1] = _REFINED + phase * _STATES + around.breaks + 64 * np.int64(matched.length == match.REACH)


@inlined
def _address_opening(position, end, colours):
    """The same for the question whether the palette is opened."""
    around, _, _, listed, _ = position
    for k in range(CONTEXTS):
        total, ways = 0, 0
        for i in range(WAYS):
            entry = colours.contexts.seen[k, i]
            total += entry >> 24
            ways += entry > 0
        colours.addresses[k] = _OPENINGS + k * 32 + _OTHERS[total] * 4 + ways
    colours.addresses[CONTEXTS] = _NUMBERS + min(end - listed, 31)
    colours.addresses[CONTEXTS + 1] = _NUMBERS + 32 + listed
    for j in range(CONTEXTS + 2, _INPUTS):
        colours.addresses[j] = _AROUND + around.outcomes
    colours.mixer.selected[0] = _RANKS - 1
    colours.mixer.selected[1] = _RANKS + _AGREEMENTS - 1
    colours.mixer.selected[2] = _RANKS + _AGREEMENTS + around.outcomes * 5 + _AT_PALETTE
    colours.refinements[0] = _AT_PALETTE * _STATES + around.outcomes
    colours.refinements[1] = _REFINED + _AT_PALETTE * _STATES


@inlined
def _mixed(phase, colours):
    """The mixed logit of what was addressed, and its place in the mixer."""
    mixer = colours.mixer
    for j in range(_INPUTS):
        mixer.inputs[j] = stretch(probability(colours.probabilities, colours.addresses[j]))
    mixer.inputs[_INPUTS] = _CONSTANT
    return mix(mixer, phase), phase


@inlined
def _refined(logit, colours):
    """Probability of yes out of 2^24: a quarter the mixer's, three quarters the refinements' mean."""
    fine = estimate(colours.refined, colours.refinements[0], logit)
    fine += estimate(colours.refined, colours.refinements[1], logit)
    frequency = fine >> 1 if abs(logit) == LIMIT else ((np.int64(squash(logit)) << 9) + 3 * fine) >> 3
    return min(max(frequency, _SMALLEST), ONE - _SMALLEST)


@inlined
def _answered(frequency, logit, place, truth, colours, coding):
    """Codes the answer to what was addressed, and learns from it."""
    yes = code(coding, frequency, truth)
    adjust(colours.mixer, place, np.int64(squash(logit)), yes)
    for m in range(2):
        correct(colours.refined, colours.refinements[m], logit, yes)
    for j in range(_INPUTS):
        adapt(colours.probabilities, colours.addresses[j], yes)
    return yes == 1


@inlined
def take_over(row, c, colour, colours):
    """Learns the colour of the position that was asked for last."""
    state, seen = colours.memory, colours.contexts
    here = memory.place_of(state, row, c)
    beside = np.int64(state.pixels[here - 1]), np.int64(state.pixels[here - state.stride])
    state.pixels[here] = colour
    for k in range(CONTEXTS):
        memory.remember(state.buckets[seen.buckets[k]], seen.checks[k], colour)
    memory.extend(state, row, c, colour, beside)
