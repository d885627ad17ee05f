"""The index of a position's colour in the palette: a walk down a binary tree, whose nodes halve what is left.

A decision's probability is mixed from adaptive ones, each in a context of its own, and from the share that the upper
half has of the masses expected; it is refined by what came of such sums (secondary.py). All learns right after it.
"""

from typing import NamedTuple

import numpy as np

from codec.entropy.range_coder import ONE, code
from codec.modelling.adaptive import Adaptive, adapt, adaptive, probability
from codec.modelling.exact_colours.contexts import hashed
from codec.modelling.exact_colours.memory import NEAR
from codec.modelling.logistic import ERROR_CLASSES, LIMIT
from codec.modelling.mixer import INPUT_BITS, Mixer, adjust, equal, mix, mixer, squash, stretch
from codec.modelling.palette.expected import Expected, expect, expected
from codec.modelling.palette.listing import MOST
from codec.modelling.secondary import Secondary, correct, estimate, secondary
from runtime.kernels import inlined

_DEPTH = 8  # decisions of a position at most
_TOP, _SIDE = 3, 3  # rows and columns outside the tile that neighbours reach
_NEAR = NEAR[:12]  # neighbours that contexts look at
_BESIDE, _AROUND = 4, 6  # of these, whose sides of a node are a context
_BESIDES, _AROUNDS = 3**_BESIDE, 3**_AROUND

# Where a decision's adaptive probabilities lie: by hashed contexts, by the sides on which neighbours lie, by the share.
_HASHED, _SLOT_BITS = 12, 18
_CONTEXTS = _HASHED + 2
_SHARES = 64
_AROUND_AT = _HASHED << _SLOT_BITS
_SHARES_AT = _AROUND_AT + _AROUNDS * _DEPTH
_PROBABILITIES = _SHARES_AT + MOST * _SHARES

_INPUTS = _CONTEXTS + 2
_WEIGHT, _CONSTANT = 1966, 1229  # 0.12 and 0.3
_BESIDES_AT = MOST  # weight vectors, and refinements, by node come first
_ERRORS_AT = _BESIDES_AT + _BESIDES * _DEPTH
_VECTORS = _ERRORS_AT + ERROR_CLASSES * _DEPTH
_RATES = np.maximum(262, 163840 // (np.arange(1024) + 50)).astype(np.int32)  # 0.05 / (1 + n / 50), 0.004 at least
_FINAL_RATE = 131  # 0.002
_SMALLEST = 16  # of 2^24


class Palette(NamedTuple):
    """State of a tile, and of the decision at hand."""

    colours: np.ndarray  # int64 [n]: as colour_of gives them, in the order of the list
    expected: Expected
    stride: int
    offsets: np.ndarray  # int64 [12]: the neighbours in `indices`
    indices: np.ndarray  # int32: of the known positions, padded; n outside
    near: np.ndarray  # int64 [12]: the neighbours' indices
    hashes: np.ndarray  # int64 [_HASHED]: of the position's contexts
    addresses: np.ndarray  # int64 [_CONTEXTS]: the decision's adaptive probabilities
    probabilities: Adaptive
    mixer: Mixer
    refined: Secondary


def palette(colours: np.ndarray, height: int, width: int) -> Palette:
    """What starts a tile of so many rows and columns. colours: uint8 [n, C]."""
    count, channels = colours.shape
    stride = width + 2 * _SIDE
    weights = np.full((_VECTORS, _INPUTS), _WEIGHT, np.int16)
    weights[:, -1] = 0
    return Palette(
        colours.astype(np.int64) @ (1 << 8 * np.arange(channels - 1, -1, -1, dtype=np.int64)),
        expected(colours),
        stride,
        np.array([dr * stride + dc for dr, dc in _NEAR], np.int64),
        np.full((_TOP + height + 1) * stride, count, np.int32),
        np.zeros(len(_NEAR), np.int64),
        np.zeros(_HASHED, np.int64),
        np.zeros(_CONTEXTS, np.int64),
        adaptive(_PROBABILITIES),
        mixer(weights, equal(_DEPTH, 3), _RATES, _FINAL_RATE),
        secondary(_ERRORS_AT),
    )


@inlined
def code_index(level, row, truth, tile, palette, coding):
    """Codes which colour a level's row has, and learns it; returns the colour. truth: the true one, when encoding."""
    likeliest, second, error = expect(level, row, tile.photo.canvas, tile.photo.predictor, palette.expected)
    here = _look(row, level - 2 * row, palette)
    _find_contexts(likeliest, second, palette)
    wanted = np.int64(0)
    if coding.encodes:
        while palette.colours[wanted] != truth:
            wanted += 1
    low, high, depth = np.int64(0), np.int64(len(palette.colours)), np.int64(0)
    while high - low > 1:
        middle = (low + high) >> 1
        beside = _address((low, middle, high, depth), error, palette)
        logit = mix(palette.mixer, depth)
        fine = estimate(palette.refined, middle, logit) + estimate(palette.refined, beside, logit)
        frequency = fine >> 1 if abs(logit) == LIMIT else ((np.int64(squash(logit)) << 9) + fine) >> 2
        upper = code(coding, min(max(frequency, _SMALLEST), ONE - _SMALLEST), np.int64(wanted >= middle))
        adjust(palette.mixer, depth, np.int64(squash(logit)), upper)
        correct(palette.refined, middle, logit, upper)
        correct(palette.refined, beside, logit, upper)
        for address in palette.addresses:
            adapt(palette.probabilities, address, upper)
        if upper == 1:
            low = middle
        else:
            high = middle
        depth += 1
    palette.indices[here] = low
    return palette.colours[low]


@inlined
def _look(row, c, palette):
    """Sets the neighbours' indices; returns where the position's own will stand."""
    here = (row + _TOP) * palette.stride + c + _SIDE
    for j in range(len(palette.near)):
        palette.near[j] = palette.indices[here + palette.offsets[j]]
    return here


@inlined
def _find_contexts(likeliest, second, palette):
    """Hashes the position's contexts: some neighbours, and which colours are likeliest by the predictor."""
    near, hashes = palette.near, palette.hashes
    w, n, nw, ne, ww, nn = near[0], near[1], near[2], near[3], near[4], near[5]
    hashes[0], hashes[1], hashes[2] = w, n, hashed(w, n)
    hashes[3], hashes[4] = hashed(hashes[2], nw), hashed(hashes[2], ne)
    hashes[5] = hashed(hashes[3], ne)
    hashes[6] = hashed(hashed(hashes[5], ww), nn)
    hashes[7] = hashes[6]
    for j in range(_AROUND, len(near)):
        hashes[7] = hashed(hashes[7], near[j])
    hashes[8], hashes[9] = likeliest, hashed(likeliest, second)
    hashes[10], hashes[11] = hashed(likeliest, w), hashed(likeliest, n)


@inlined
def _address(node, error, palette):
    """Sets the inputs of a node's decision and where its probabilities and weights lie; returns which refinement is
    that of the neighbours beside it. node: its first colour, that of its upper half, its end, and its depth."""
    low, middle, high, depth = node
    sides, beside = np.int64(0), np.int64(0)
    for j in range(_AROUND):
        index = palette.near[j]
        sides = 3 * sides + (1 + np.int64(index >= middle) if low <= index < high else 0)
        if j == _BESIDE - 1:
            beside = _BESIDES_AT + sides * _DEPTH + depth
    sums, inputs, addresses = palette.expected.sums, palette.mixer.inputs, palette.addresses
    part, whole = np.float32(sums[high] - sums[middle]), np.float32(sums[high] - sums[low])
    share = np.int64(stretch(min(max(np.int32(part * np.float32(1 << 16) / whole), 16), 65520)))
    for k in range(_HASHED):
        h = hashed(hashed(palette.hashes[k], k), middle)
        addresses[k] = (k << _SLOT_BITS) + (h & ((1 << _SLOT_BITS) - 1))
    addresses[_HASHED] = _AROUND_AT + sides * _DEPTH + depth
    addresses[_HASHED + 1] = _SHARES_AT + middle * _SHARES + (((share >> INPUT_BITS - 8) + LIMIT + 1) >> 6)
    for k in range(_CONTEXTS):
        inputs[k] = stretch(probability(palette.probabilities, addresses[k]))
    inputs[_CONTEXTS], inputs[_CONTEXTS + 1] = share, _CONSTANT
    selected = palette.mixer.selected
    selected[0], selected[1], selected[2] = middle, beside, _ERRORS_AT + error * _DEPTH + depth
    return beside
