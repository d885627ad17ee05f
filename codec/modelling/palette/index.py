from typing import NamedTuple

import numpy as np

from codec.entropy.range_coder import ONE, code
from codec.modelling.adaptive import Adaptive, adapt, adaptive, probability
from codec.modelling.exact_colours.contexts import hashed
from codec.modelling.logistic import ERROR_CLASS, ERROR_CLASSES, LIMIT
from codec.modelling.mixer import Mixer, adjust, equal, mix, mixer, squash, stretch
from codec.modelling.secondary import Secondary, correct, estimate, secondary
from codec.modelling.palette.expected import DENSITIES, Expected, expect, expected, learn
from runtime.kernels import inlined

MOST = 256
HASHED, SMALL = 14, 3
CONTEXTS = HASHED + SMALL
INPUTS = 24
_SLOT_BITS = 18
_SIDES6 = 729
_REL = HASHED << _SLOT_BITS
_CELL = _REL + 9 * _SIDES6
_CELL2 = _CELL + 256 * 64
_PROBABILITIES = _CELL2 + 64 * 64 * 9
_SETS = 3
_DEPTH = 9
_WEIGHT = 13107
_RATES = np.maximum(262, 163840 // (np.arange(1024) + 50)).astype(np.int32)
_FINAL_RATE = 131
_TOP, _SIDE = 2, 2


class Palette(NamedTuple):
    count: int
    stride: int
    colours: np.ndarray  # int64 [n]: in the tree's order
    indices: np.ndarray  # int32, padded
    expected: Expected
    probabilities: Adaptive
    mixer: Mixer
    refined: Secondary
    hashes: np.ndarray  # int64 [HASHED]
    addresses: np.ndarray  # int64 [CONTEXTS]
    near: np.ndarray  # int64 [8]


def ordered(colours: np.ndarray) -> np.ndarray:
    """kd order: halves along the widest plane."""
    if len(colours) < 2:
        return colours
    planes = np.stack([colours >> 16, colours >> 8 & 255, colours & 255])
    widths = planes.max(1) - planes.min(1)
    axis = int(np.argmax(widths * np.array([3, 4, 2])))
    by = colours[np.lexsort((colours, planes[axis]))]
    half = len(by) >> 1
    return np.concatenate([ordered(by[:half]), ordered(by[half:])])


def palette(colours: np.ndarray, height: int, width: int) -> Palette:
    n, stride = len(colours), width + 2 * _SIDE
    order = ordered(colours)
    weights = np.full((256 + 81 * _DEPTH + ERROR_CLASSES * _DEPTH, INPUTS), _WEIGHT, np.int32)
    weights[:, CONTEXTS + DENSITIES:] = 0
    return Palette(
        n, stride, order.astype(np.int64), np.full((_TOP + height + 1) * stride, n, np.int32),
        expected(order, height), adaptive(_PROBABILITIES),
        mixer(weights, equal(_DEPTH, _SETS), _RATES, _FINAL_RATE),
        secondary(256 * 2 + 9 * 81), np.zeros(HASHED, np.int64), np.zeros(CONTEXTS, np.int64), np.zeros(8, np.int64),
    )


@inlined
def place(row, c, p):
    return (row + _TOP) * p.stride + c + _SIDE


@inlined
def _mixin(p, k, a, b):
    return hashed(hashed(np.int64(0x1E3779B1 + k), a), b)


@inlined
def code_index(level, row, truth, tile, learned, p, coding):
    """Codes the colour; returns it."""
    c = level - 2 * row
    here = place(row, c, p)
    x, s = p.indices, p.stride
    w, n, nw, ne = np.int64(x[here - 1]), np.int64(x[here - s]), np.int64(x[here - s - 1]), np.int64(x[here - s + 1])
    ww, nn = np.int64(x[here - 2]), np.int64(x[here - 2 * s])
    near = p.near
    near[0], near[1], near[2], near[3], near[4], near[5] = w, n, nw, ne, ww, nn
    best, second, error = expect(level, row, tile, learned, p.expected)
    h = p.hashes
    h[0] = _mixin(p, 0, 0, 0)
    h[1] = _mixin(p, 1, w, 0)
    h[2] = _mixin(p, 2, n, 0)
    h[3] = _mixin(p, 3, w, n)
    h[4] = _mixin(p, 4, w * 512 + n, nw)
    h[5] = _mixin(p, 5, w * 512 + n, ne)
    h[6] = _mixin(p, 6, w * 512 + n, nw * 512 + ne)
    h[7] = hashed(_mixin(p, 7, w * 512 + n, nw * 512 + ne), ww * 512 + nn)
    h[8] = _mixin(p, 8, w, ww)
    h[9] = _mixin(p, 9, n, nn)
    h[10] = _mixin(p, 10, best, 0)
    h[11] = _mixin(p, 11, best, w)
    h[12] = _mixin(p, 12, best, n)
    h[13] = _mixin(p, 13, best, second)
    wanted = np.int64(0)
    if coding.encodes:
        while p.colours[wanted] != truth:
            wanted += 1
    low, high, depth = np.int64(0), np.int64(p.count), 0
    while high - low > 1:
        mid = (low + high) >> 1
        sides, sides4 = 0, 0
        for j in range(6):
            v = near[j]
            side = 0
            if low <= v < high:
                side = 1 + np.int64(v >= mid)
            sides = sides * 3 + side
            if j == 3:
                sides4 = sides
        for k in range(HASHED):
            p.addresses[k] = (k << _SLOT_BITS) + (hashed(h[k], mid) & ((1 << _SLOT_BITS) - 1))
        inputs = p.mixer.inputs
        for d in range(DENSITIES):
            sums = p.expected.sums[d]
            part, whole = sums[high] - sums[mid], sums[high] - sums[low]
            share = np.int32(np.float32(part) * np.float32(65536) / np.float32(whole))
            inputs[CONTEXTS + d] = stretch(min(max(share, 16), 65520))
        first, other = (np.int64(inputs[CONTEXTS]) + 2048) >> 6, (np.int64(inputs[CONTEXTS + 3]) + 2048) >> 6
        p.addresses[HASHED] = _REL + depth * _SIDES6 + sides
        p.addresses[HASHED + 1] = _CELL + mid * 64 + first
        p.addresses[HASHED + 2] = _CELL2 + (first * 64 + other) * 9 + depth
        for k in range(CONTEXTS):
            inputs[k] = stretch(probability(p.probabilities, p.addresses[k]))
        inputs[INPUTS - 1] = 77
        p.mixer.selected[0] = mid
        p.mixer.selected[1] = 256 + sides4 * _DEPTH + depth
        p.mixer.selected[2] = 256 + 81 * _DEPTH + error * _DEPTH + depth
        logit = mix(p.mixer, depth)
        a1, a2 = mid, 512 + sides4 * 9 + depth
        fine = estimate(p.refined, a1, logit) + estimate(p.refined, a2, logit)
        frequency = fine >> 1 if abs(logit) == LIMIT else ((np.int64(squash(logit)) << 9) + fine) >> 2
        frequency = min(max(frequency, 16), ONE - 16)
        bit = code(coding, frequency, np.int64(wanted >= mid))
        adjust(p.mixer, depth, np.int64(squash(logit)), bit)
        correct(p.refined, a1, logit, bit)
        correct(p.refined, a2, logit, bit)
        for k in range(CONTEXTS):
            adapt(p.probabilities, p.addresses[k], bit)
        if bit == 1:
            low = mid
        else:
            high = mid
        depth += 1
    p.indices[here] = low
    learn(level, row, p.colours[low], tile, p.expected)
    return p.colours[low]
