"""Which of the palette's colours? The decisions about one position, and what they learn."""

from typing import NamedTuple

import numpy as np

from codec.entropy.range_coder import ONE, code
from codec.modelling.adaptive import Adaptive, adapt, adaptive, probability
from codec.modelling.exact_colours.contexts import hashed
from codec.modelling.exact_colours.memory import NEAR
from codec.modelling.logistic import ERROR_CLASSES, LIMIT
from codec.modelling.mixer import Mixer, adjust, equal, mix, mixer, squash, stretch
from codec.modelling.palette.expected import Expected, expect, expected, learn_scales
from codec.modelling.palette.listing import MOST
from codec.modelling.secondary import Secondary, correct, estimate, secondary
from runtime.kernels import inlined

DEPTH = 8  # decisions of a position at most
_AROUND = 12  # neighbours that contexts look at
_HASHED = 12  # contexts of indices
_CONTEXTS = _HASHED + 2
_INPUTS = _CONTEXTS + 2
_SLOT_BITS = 18
_SIDES = 3**6
_AT_SIDES = _HASHED << _SLOT_BITS
_AT_CHANCES = _AT_SIDES + DEPTH * _SIDES
_PROBABILITIES = _AT_CHANCES + MOST * 64
_NEAR_SIDES = 3**4
_VECTORS = (MOST, DEPTH * _NEAR_SIDES, DEPTH * ERROR_CLASSES)
_WEIGHT, _CONSTANT = 10923, 77
_RATES = np.maximum(262, 163840 // (np.arange(1024) + 50)).astype(np.int32)  # 0.05 / (1 + n / 50), 0.004 at least
_FINAL_RATE = 131  # 0.002
_TOP, _SIDE = 3, 3
_SMALLEST = 16


class Palette(NamedTuple):
    colours: np.ndarray  # int64 [n]
    stride: int
    offsets: np.ndarray
    indices: np.ndarray  # int32, padded
    expected: Expected
    probabilities: Adaptive
    mixer: Mixer
    refined: Secondary
    around: np.ndarray  # int64 [_AROUND]
    hashes: np.ndarray  # int64 [_HASHED]
    addresses: np.ndarray  # int64 [_CONTEXTS]


def palette(colours: np.ndarray, height: int, width: int) -> Palette:
    """What starts a tile. colours: uint8 [n, C]."""
    n, stride = len(colours), width + 2 * _SIDE
    weights = np.full((sum(_VECTORS), _INPUTS), _WEIGHT, np.int32)
    weights[:, -1] = 0
    packed = colours.astype(np.int64) @ (1 << 8 * np.arange(colours.shape[1], dtype=np.int64)[::-1])
    return Palette(
        packed,
        stride,
        np.array([dr * stride + dc for dr, dc in NEAR[:_AROUND]], np.int64),
        np.full((_TOP + height + 1) * stride, n, np.int32),
        expected(colours),
        adaptive(_PROBABILITIES),
        mixer(weights, equal(DEPTH, len(_VECTORS)), _RATES, _FINAL_RATE),
        secondary(MOST + DEPTH * _NEAR_SIDES),
        np.zeros(_AROUND, np.int64),
        np.zeros(_HASHED, np.int64),
        np.zeros(_CONTEXTS, np.int64),
    )


@inlined
def _look(row, c, best, second, p):
    here = (row + _TOP) * p.stride + c + _SIDE
    for j in range(_AROUND):
        p.around[j] = p.indices[here + p.offsets[j]]
    a, h = p.around, p.hashes
    seed = np.int64(0x1E3779B1)
    h[0] = a[0]
    h[1] = a[1]
    h[2] = hashed(a[0], a[1])
    h[3] = hashed(h[2], a[2])
    h[4] = hashed(h[2], a[3])
    h[5] = hashed(h[3], a[3])
    x = h[5]
    for j in range(4, _AROUND):
        x = hashed(x, a[j])
        if j == 5:
            h[6] = x
    h[7] = x
    h[8] = best
    h[9] = hashed(best, a[0])
    h[10] = hashed(best, a[1])
    h[11] = hashed(best, second)
    for k in range(_HASHED):
        h[k] = hashed(hashed(seed, h[k]), k)
    return here


@inlined
def code_index(level, row, truth, tile, p, coding):
    """Codes the colour; returns it."""
    c = level - 2 * row
    own = tile.photo.predictor
    best, second = expect(level, row, tile.photo.canvas, own, p.expected)
    here = _look(row, c, np.int64(best), np.int64(second), p)
    error = p.expected.classes[0]
    wanted = np.int64(0)
    if coding.encodes:
        while p.colours[wanted] != truth:
            wanted += 1
    low, high, depth = np.int64(0), np.int64(len(p.colours)), 0
    while high - low > 1:
        mid = (low + high) >> 1
        sides, near_sides = 0, 0
        for j in range(6):
            v = p.around[j]
            side = 1 + np.int64(v >= mid) if low <= v < high else 0
            sides = sides * 3 + side
            if j == 3:
                near_sides = sides
        for k in range(_HASHED):
            p.addresses[k] = (k << _SLOT_BITS) + (hashed(p.hashes[k], mid) & ((1 << _SLOT_BITS) - 1))
        inputs, sums = p.mixer.inputs, p.expected.sums
        part, whole = sums[high] - sums[mid], sums[high] - sums[low]
        share = np.int32(np.float32(part) * np.float32(65536) / np.float32(whole))
        chance = np.int64(stretch(min(max(share, 16), 65520)))
        p.addresses[_HASHED] = _AT_SIDES + depth * _SIDES + sides
        p.addresses[_HASHED + 1] = _AT_CHANCES + mid * 64 + ((chance + 2048) >> 6)
        for k in range(_CONTEXTS):
            inputs[k] = stretch(probability(p.probabilities, p.addresses[k]))
        inputs[_CONTEXTS] = chance
        inputs[_CONTEXTS + 1] = _CONSTANT
        p.mixer.selected[0] = mid
        p.mixer.selected[1] = MOST + near_sides * DEPTH + depth
        p.mixer.selected[2] = MOST + _NEAR_SIDES * DEPTH + error * DEPTH + depth
        logit = mix(p.mixer, depth)
        a1, a2 = mid, MOST + near_sides * DEPTH + depth
        fine = estimate(p.refined, a1, logit) + estimate(p.refined, a2, logit)
        frequency = fine >> 1 if abs(logit) == LIMIT else ((np.int64(squash(logit)) << 9) + fine) >> 2
        frequency = min(max(frequency, _SMALLEST), ONE - _SMALLEST)
        bit = code(coding, frequency, np.int64(wanted >= mid))
        adjust(p.mixer, depth, np.int64(squash(logit)), bit)
        correct(p.refined, a1, logit, bit)
        correct(p.refined, a2, logit, bit)
        for k in range(_CONTEXTS):
            adapt(p.probabilities, p.addresses[k], bit)
        if bit == 1:
            low = mid
        else:
            high = mid
        depth += 1
    p.indices[here] = low
    return p.colours[low]
