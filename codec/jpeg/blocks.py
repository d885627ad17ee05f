"""The walk through a plane's blocks: quantised coefficients as binary decisions, mixed from contexts.

A block has four parts: the 49 coefficients that vary both ways, in zigzag order until as many of them as are not zero
have come; the seven of the first row and those of the first column, likewise, foretold by continuity with the blocks
above and at the left; and the DC, foretold by the samples of all of these. A coefficient is whether it is zero, how
many bits its magnitude has, its sign, and its bits. All learns right after each decision. (Parts and their order are
those of Lepton, Horn et al., 2017.)
"""

from typing import NamedTuple

import numpy as np

from codec.entropy.range_coder import ONE, code, refuse
from codec.jpeg.continuity import (
    Continuity,
    begin,
    continuity,
    foretold_at_edge,
    foretold_inside,
    in_samples,
    reciprocals,
    take_out,
    transform,
)
from codec.jpeg.lines import CONTEXTS, SLOTS, Lines, find_lines, learn, lines, recall
from codec.jpeg.segments import ZIGZAG, Frame
from codec.modelling.logistic import LIMIT
from codec.modelling.mixer import Mixer, adjust, equal, mix, mixer, squash
from codec.modelling.secondary import Secondary, correct, estimate, secondary
from runtime.kernels import inlined, kernel
from runtime.least_squares import Size, rows_of

MOST_DECISIONS = 12 + 64 * 40  # of a block, and some more
_MIDDLE, _ROW, _COLUMN, _DC = range(4)  # parts of a block
_NUMBER = 4  # added to a part: how many of its coefficients are not zero
_KINDS = _NUMBER + 3
_COUNTS, _PLACES = (49, 7, 7, 1), (6, 3, 3)  # coefficients of a part, and bits of how many are not zero
_ORDER = np.zeros((4, 49), np.int64)
_ORDER[_MIDDLE] = [k for k in ZIGZAG if k >= 8 and k % 8]
_ORDER[_ROW, :7], _ORDER[_COLUMN, :7] = np.arange(1, 8), 8 * np.arange(1, 8)

_LONGEST = 17  # bits of a magnitude: of a DC less what is foretold
_MOST_FORETOLD = 1 << 15
_ZERO, _SIGN = 0, 8  # slots: then its length, the sign, then its bits
_LONG = 7
_PLANES, _CLASSES, _STAGES = 3, 24, 4
_BY_PLACE, _BY_CLASS = _PLANES * 64 * _STAGES, _KINDS * _CLASSES * SLOTS  # vectors of the two weight sets
_WEIGHT, _CONSTANT = 4500, 1229  # 0.15 and 0.3
_RATES = np.maximum(131, 131072 // (np.arange(1024) + 50)).astype(np.int32)  # 0.04 / (1 + n / 50), 0.002 at least
_FINAL_RATE = 131  # 0.002
_SMALLEST = 64  # of 2^24
_CLASS = np.array([n if n < 4 else 2 * n.bit_length() - 2 + (n >> (n.bit_length() - 2) & 1) for n in range(1 << 12)])


class Plane(NamedTuple):
    """A component: where its blocks lie among all, its steps, and the plane that is known already, if there is one."""

    number: int
    size: Size  # in blocks
    first: int
    steps: np.ndarray  # int64 [64]
    reciprocals: np.ndarray  # int64 [4, 64]
    known: int  # first block of the other plane, -1 for none
    stride: int  # of the other plane
    across: int  # 8 times the other's blocks for each of these
    down: int


class Blocks(NamedTuple):
    """State of a file, and of the block at hand. The last block is outside of every plane, all zeros."""

    coefficients: np.ndarray  # int16 [blocks + 1, 64]
    truth: np.ndarray  # int64 [64]: the block's, when encoding
    numbers: np.ndarray  # int64 [blocks + 1, 3]: coefficients of each part that are not zero
    borders: np.ndarray  # int64 [blocks + 1, 4, 8]: last rows, then columns, of samples, in 1/8, the last one first
    near: np.ndarray  # int64 [5]: blocks at W, N, NW, NE and in the other plane
    found: np.ndarray  # int64 [3]: class of what is expected, the part's sum of magnitudes and number of not zeros
    continuity: Continuity
    lines: Lines
    mixer: Mixer
    refined: Secondary


def blocks(coefficients: np.ndarray) -> Blocks:
    """What starts a file of so many coefficients, int16 [blocks + 1, 64]."""
    count = len(coefficients)
    weights = np.full((_BY_PLACE + _BY_CLASS, CONTEXTS + 1), _WEIGHT, np.int16)
    weights[:, -1] = 0
    return Blocks(
        coefficients,
        np.zeros(64, np.int64),
        np.zeros((count, 3), np.int64),
        np.zeros((count, 4, 8), np.int64),
        np.zeros(5, np.int64),
        np.zeros(3, np.int64),
        continuity(),
        lines(),
        mixer(weights, equal(_KINDS * SLOTS, 2), _RATES, _FINAL_RATE),
        secondary(_KINDS * 64 * _STAGES),
    )


def planes(frame: Frame, steps: tuple[np.ndarray, ...]) -> list[Plane]:
    """The components of a frame: the first is told of nothing, the second and the last of the first, the third of the
    second."""
    firsts, found = np.cumsum([0, *(c.blocks for c in frame.components)]), []
    for number, component in enumerate(frame.components):
        other = (-1, 0, 1, 0)[number]
        known, stride, across, down = -1, 0, 0, 0
        if other >= 0:
            theirs = frame.components[other]
            known, stride = int(firsts[other]), theirs.stride
            across, down = 8 * theirs.stride // component.stride, 8 * theirs.rows // component.rows
        size = Size(component.rows, component.stride)
        values = steps[number], reciprocals(steps[number])
        found.append(Plane(number, size, int(firsts[number]), *values, known, stride, across, down))
    return found


@kernel
def code_level(level, plane, blocks, coding):
    """Codes the blocks of a level of a plane."""
    first, end = rows_of(level, plane.size)
    for row in range(first, end):
        _code_block(row, level - 2 * row, plane, blocks, coding)


@inlined
def _code_block(row, column, plane, blocks, coding):
    here = _look_around(row, column, plane, blocks)
    block, truth, near, found = blocks.coefficients[here], blocks.truth, blocks.near, blocks.found
    if coding.encodes:
        for k in range(64):
            truth[k], block[k] = block[k], 0
    begin(blocks.coefficients[near[1]], blocks.coefficients[near[0]], plane.steps, blocks.continuity)
    for part in range(4):
        left, found[1] = np.int64(1), 0
        if part == _DC:
            base = _expect_dc(here, row, column, plane, blocks)
        else:
            left, base = _code_number(here, part, plane, blocks, coding), np.int64(0)
            found[2] = left
        for i in range(_COUNTS[part]):
            if left == 0:
                break
            k = _ORDER[part, i]
            if part == _MIDDLE:
                _expect_inside(k, left, 49 - i, plane, block, blocks)
            elif part != _DC:
                _expect_at_edge(part, i + 1, k, left, plane, block, blocks)
            find_lines(blocks.lines, part + 1)
            value = _code_value(truth[k] - base, part, k, plane, blocks, coding) + base
            block[k] = value
            if block[k] != value:  # it does not fit
                refuse(coding)
            if part != _DC:
                left -= value != 0
                found[1] += abs(value)
            if part == _MIDDLE and value:
                take_out(k, in_samples(value, plane.steps[k]), blocks.continuity)
    _keep_borders(here, plane, block, blocks)


@inlined
def _look_around(row, column, plane, blocks):
    """Finds the blocks that are near; returns the number of the one at hand."""
    here, near, outside = plane.first + row * plane.size.width + column, blocks.near, len(blocks.coefficients) - 1
    near[0] = here - 1 if column > 0 else outside
    near[1] = here - plane.size.width if row > 0 else outside
    near[2] = near[1] - 1 if row > 0 and column > 0 else outside
    near[3] = near[1] + 1 if row > 0 and column + 1 < plane.size.width else outside
    near[4] = outside
    if plane.known >= 0:
        near[4] = plane.known + (row * plane.down >> 3) * plane.stride + (column * plane.across >> 3)
    return here


# Decisions


@inlined
def _decide(slot, symbol, kind, k, stage, plane, blocks, coding):
    """Codes a decision and learns how it went. stage: 0 for whether it is zero, 1 of its length, 2 sign, 3 bits."""
    m = blocks.mixer
    recall(blocks.lines, slot, m.inputs)
    m.inputs[CONTEXTS] = _CONSTANT
    m.selected[0] = (min(plane.number, _PLANES - 1) * 64 + k) * _STAGES + stage
    m.selected[1] = _BY_PLACE + (kind * _CLASSES + blocks.found[0]) * SLOTS + slot
    place, fine = kind * SLOTS + slot, (kind * 64 + k) * _STAGES + stage
    logit = mix(m, place)
    mixed, refined = np.int64(squash(logit)), estimate(blocks.refined, fine, logit)
    frequency = refined if abs(logit) == LIMIT else ((mixed << 8) + refined) >> 1
    decision = code(coding, min(max(frequency, _SMALLEST), ONE - _SMALLEST), symbol)
    adjust(m, place, mixed, decision)
    correct(blocks.refined, fine, logit, decision)
    learn(blocks.lines, slot, decision)
    return decision


@inlined
def _code_value(value, part, k, plane, blocks, coding):
    """Codes a coefficient whose lines are found. value: the true one, when encoding."""
    size, negative = abs(value), np.int64(value < 0)
    length, found, depth, slot, stage = np.int64(0), np.int64(1), np.int64(0), np.int64(_ZERO), np.int64(0)
    while True:
        if stage == 3:
            symbol = (size >> (length - 2 - depth)) & 1
        else:
            symbol = negative if stage == 2 else np.int64(size >> length > 0)
        decision = _decide(slot, symbol, part, k, stage, plane, blocks, coding)
        if stage < 2:
            if decision == 0 and length == 0:
                return np.int64(0)
            length += decision
            stage, slot = np.int64(1), min(length, _LONG)
            if decision == 0 or length == _LONGEST:
                stage, slot = np.int64(2), np.int64(_SIGN)
            continue
        if stage == 2:
            negative = decision
        else:
            found, depth = 2 * found + decision, depth + 1
        if depth >= length - 1:
            return -found if negative else found
        stage, slot = np.int64(3), _SIGN + min(length - 1 + depth, 7)


@inlined
def _code_number(here, part, plane, blocks, coding):
    """Codes how many coefficients of a part are not zero."""
    wanted, node = np.int64(0), np.int64(1)
    if coding.encodes:
        for i in range(_COUNTS[part]):
            wanted += blocks.truth[_ORDER[part, i]] != 0
    _expect_number(here, part, plane, blocks)
    for bit in range(_PLACES[part] - 1, -1, -1):
        if bit == _PLACES[part] - 1 or bit == 1:
            find_lines(blocks.lines, (part + 1) * 8 + (node << 6))
        symbol = (wanted >> bit) & 1
        node = 2 * node + _decide(node & 15, symbol, _NUMBER + part, bit, 0, plane, blocks, coding)
    found = min(node - (1 << _PLACES[part]), _COUNTS[part])
    blocks.numbers[here, part] = found
    return found


# Contexts


@inlined
def _class(value):
    """A magnitude by about its logarithm, 24 classes."""
    return _CLASS[min(value, len(_CLASS) - 1)]


@inlined
def _within(value, most):
    """0 .. 2 most."""
    return min(max(np.int64(value), -most), most) + most


@inlined
def _expect_number(here, part, plane, blocks):
    near, numbers, keys = blocks.near, blocks.numbers, blocks.lines.keys
    c = min(plane.number, 3)
    w, n, o = numbers[near[0], part], numbers[near[1], part], numbers[near[4], part]
    nw, ne = numbers[near[2], part], numbers[near[3], part]
    for j in range(CONTEXTS):
        keys[j] = c
    if part == _MIDDLE:
        known = (near[0] != len(numbers) - 1) + (near[1] != len(numbers) - 1)
        mean = (w + n) >> (known == 2)
        keys[0] = (mean << 2) + c
        keys[1] = (((_class(w) << 5) + _class(n)) << 2) + c
        keys[2] = (((((_class(ne) << 5) + _class(nw)) << 6) + mean) << 2) + c
        keys[3] = (o << 2) + c
        keys[4] = (((o << 6) + mean) << 2) + c
        edges = (numbers[near[0], _ROW] * 8 + numbers[near[0], _COLUMN]) * 8 + numbers[near[1], _ROW]
        keys[5] = ((edges * 8 + numbers[near[1], _COLUMN]) << 2) + c
        change = abs(blocks.coefficients[near[0], 0] - np.int64(blocks.coefficients[near[1], 0]))
        keys[6] = (((mean << 5) + _class(change)) << 2) + c
        keys[7] = (((w << 6) + n) << 2) + c
        blocks.found[0] = _class(o)
        return
    inside, row = numbers[here, _MIDDLE], numbers[here, _ROW] if part == _COLUMN else np.int64(0)
    along, across = (1, 8) if part == _ROW else (8, 1)
    block, reach = blocks.coefficients[here], np.int64(0)
    for i in range(1, 8):
        for j in range(1, 8):
            if block[i * along + j * across] != 0:
                reach = i
    keys[0] = (inside << 2) + c
    keys[1] = (((w << 3) + n) << 2) + c
    keys[2] = (((o << 3) + reach) << 2) + c
    keys[3] = ((((min(inside, 15) << 3) + reach) * 16 + w + n) << 2) + c
    keys[4] = (((row << 6) + inside) << 2) + c
    keys[5] = (((((row << 3) + reach) << 3) + (n if part == _ROW else w)) << 2) + c
    keys[6] = (((w + n) * 8 + o) << 2) + c
    keys[7] = ((((((row << 3) + w) << 3) + n) * 8 + reach) << 2) + c
    blocks.found[0] = inside >> 2


@inlined
def _expect_inside(k, left, behind, plane, block, blocks):
    """Contexts of a coefficient that varies both ways. left: how many of them are not zero yet, of those behind."""
    near, all_, keys, found = blocks.near, blocks.coefficients, blocks.lines.keys, blocks.found
    u, v, kc = k >> 3, k & 7, k * 4 + min(plane.number, 3)
    west, north, other = np.int64(all_[near[0], k]), np.int64(all_[near[1], k]), np.int64(all_[near[4], k])
    w, n, o = abs(west), abs(north), abs(other)
    around = 2 * (w + n) + abs(np.int64(all_[near[2], k])) + abs(np.int64(all_[near[3], k]))
    up, back, corner = np.int64(0), np.int64(0), np.int64(0)
    inside = np.int64(0)
    if u > 1:
        up = np.int64(block[k - 8])
        inside += 2 * abs(up) + (abs(np.int64(block[k - 7])) if v < 7 else 0)
    if v > 1:
        back = np.int64(block[k - 1])
        inside += 2 * abs(back) + (abs(np.int64(block[k + 7])) if u < 7 else 0)
    if u > 1 and v > 1:
        corner = np.int64(block[k - 9])
        inside += abs(corner)
    inside += abs(np.int64(block[k - 16])) if u > 2 else 0
    inside += abs(np.int64(block[k - 2])) if v > 2 else 0
    by_upper, by_left = foretold_inside(k, plane.reciprocals, blocks.continuity)
    classed = _class(around)
    expected = _class((2 * around + inside + o) * 2)
    keys[0] = (left << 8) + kc
    keys[1] = (((_within(other, 3) << 5) + _class(o)) << 8) + kc
    keys[2] = (((expected << 6) + min(behind, left + 8)) << 1) + (plane.number > 0)
    keys[3] = (((_within(by_upper, 20) << 3) + min(classed, 7)) << 8) + kc
    keys[4] = (((_within(by_left, 20) << 3) + min(classed, 7)) << 8) + kc
    keys[5] = (((_class(found[1]) << 6) + found[2]) << 8) + kc
    keys[6] = (expected << 8) + kc
    keys[7] = (((_within(by_upper + by_left, 30) << 5) + expected) << 1) + (plane.number > 0)
    found[0] = min(left, _CLASSES - 1)


@inlined
def _expect_at_edge(part, at, k, left, plane, block, blocks):
    """Contexts of a coefficient of the first row or column, which goes on from the block above or at the left."""
    near, all_, keys, found = blocks.near, blocks.coefficients, blocks.lines.keys, blocks.found
    kc, side = k * 4 + min(plane.number, 3), part - _ROW
    along, across = (1, 8) if side == 0 else (8, 1)
    flat, sloped = foretold_at_edge(side, at, k, plane.reciprocals, blocks.continuity)
    beside, beyond = np.int64(all_[near[1 - side], k]), np.int64(all_[near[side], k])
    other = np.int64(all_[near[4], k])
    around, o = 2 * (abs(beside) + abs(beyond)), abs(other)
    inside = abs(np.int64(block[k + across])) + abs(np.int64(block[k + 2 * across]))
    inside += abs(np.int64(block[k - along + across])) if at > 1 else 0
    mean = (flat + sloped) >> 1
    size = _class(abs(mean))
    expected = _class(around + 2 * inside + abs(mean))
    keys[0] = (left << 8) + kc
    keys[1] = (_within(flat >> 1, 100) << 8) + kc
    keys[2] = (((_within(other, 3) << 5) + _class(o)) << 8) + kc
    keys[3] = (((expected << 3) + left) << 1) + (plane.number > 0)
    keys[4] = (((_within(mean, 60) << 5) + expected) << 1) + (plane.number > 0)
    keys[5] = (((_class(found[1]) << 6) + found[2]) << 8) + kc
    keys[6] = (((_within(flat >> 2, 15) << 5) + _within(sloped >> 2, 15)) << 8) + kc
    keys[7] = (((_within(sloped >> 2, 15) << 3) + _within(other, 3)) << 8) + kc
    found[0] = size


@inlined
def _expect_dc(here, row, column, plane, blocks):
    """Contexts of the DC; returns what it is by continuing the samples above and at the left."""
    near, keys, found, samples = blocks.near, blocks.lines.keys, blocks.found, blocks.continuity.samples
    block, borders = blocks.coefficients[here], blocks.borders
    transform(block, plane.steps, blocks.continuity)
    upper, lefts, least, most = np.int64(0), np.int64(0), np.int64(1 << 30), np.int64(-(1 << 30))
    for i in range(8):
        if row > 0:
            theirs = 3 * borders[near[1], 0, i] - borders[near[1], 1, i]
            shift = (theirs - 3 * samples[0, i] + samples[1, i]) >> 1
            upper, least, most = upper + shift, min(least, shift), max(most, shift)
        if column > 0:
            theirs = 3 * borders[near[0], 2, i] - borders[near[0], 3, i]
            shift = (theirs - 3 * samples[i, 0] + samples[i, 1]) >> 1
            lefts, least, most = lefts + shift, min(least, shift), max(most, shift)
    step = max(plane.steps[0], 1)  # by which a DC of 1 moves all samples, in 1/8
    known = (row > 0) + (column > 0)
    quarters, spread, differ = np.int64(0), np.int64(100), np.int64(50)
    if known:
        quarters, spread = (upper + lefts) // (2 * known * step), (most - least) // step
    if known == 2:
        differ = abs(upper - lefts) // (8 * step)
    foretold = min(max((quarters + 2) >> 2, -_MOST_FORETOLD), _MOST_FORETOLD)
    fine = (quarters + 2) & 3
    c, s, d = min(plane.number, 3), _class(spread), _class(differ)
    west = np.int64(blocks.coefficients[near[0], 0]) - foretold
    north = np.int64(blocks.coefficients[near[1], 0]) - foretold
    activity = np.int64(0)
    for k in range(1, 64):
        activity += abs(np.int64(block[k]))
    for j in range(CONTEXTS):
        keys[j] = c
    keys[0] = (s << 2) + c
    keys[1] = (((d << 5) + s) << 2) + c
    keys[2] = (((_within(north, 12) << 5) + _within(west, 12)) << 2) + c
    keys[3] = (((_class(activity) << 5) + s) << 2) + c
    keys[4] = (_within(west, 40) << 2) + c
    keys[5] = (_within(north, 40) << 2) + c
    keys[6] = (((fine << 5) + s) << 2) + c
    keys[7] = (((_class(blocks.numbers[here, _MIDDLE]) << 5) + d) << 2) + c
    found[0] = d
    return foretold


@inlined
def _keep_borders(here, plane, block, blocks):
    """Keeps the block's last rows and columns of samples."""
    borders, samples = blocks.borders[here], blocks.continuity.samples
    shift = in_samples(block[0], plane.steps[0])
    for i in range(8):
        borders[0, i], borders[1, i] = samples[7, i] + shift, samples[6, i] + shift
        borders[2, i], borders[3, i] = samples[i, 7] + shift, samples[i, 6] + shift
