"""What a block's coefficients are if the picture goes on smoothly across its upper and its left edge.

Where two blocks meet, the samples of a row that crosses the edge are about the same on both sides. Since the cosine
transform is separable, this holds for each frequency along the edge by itself: with w_i what the i-th frequency across
the edge contributes at it, sum over i of w_i (+-theirs_i - mine_i) is about zero, theirs with the sign of their other
end. One coefficient of the sum that is not known yet is foretold so from the others. With samples continued by their
slope in place of their value, w is another. (Lakhani, 2013; Horn et al., Lepton, 2017; paq8px.)
"""

from typing import NamedTuple

import numpy as np

from runtime.kernels import inlined

UNIT = 4  # an edge's coefficient is foretold in quarters of a step
_COSINES = np.cos(np.outer(np.arange(8), 2 * np.arange(8) + 1) * np.pi / 16) * 0.5
_COSINES[0] *= np.sqrt(0.5)
_BITS = 13
BASIS = np.rint(_COSINES * (1 << _BITS)).astype(np.int64)  # [frequency, sample]
FLAT = BASIS[:, 0].copy()
_SLOPED = np.rint((1.5 * _COSINES[:, 0] - 0.5 * _COSINES[:, 1]) * (1 << _BITS)).astype(np.int64)
_RECIPROCAL_BITS = 40
_MOST = 1 << 16


class Continuity(NamedTuple):
    """Of the block at hand; [0] across its upper edge, by column, [1] across its left, by row."""

    flat: np.ndarray  # int64 [2, 8]: sums over i > 0, of the middle's coefficients that are known
    sloped: np.ndarray
    ends: np.ndarray  # int64 [2, 8]: what the neighbour's coefficients of i = 0 add, in samples
    samples: np.ndarray  # int64 [8, 8]: of the block without its DC, in 1/8
    half: np.ndarray  # int64 [8, 8]: transformed one way


def continuity() -> Continuity:
    return Continuity(*np.zeros((3, 2, 8), np.int64), *np.zeros((2, 8, 8), np.int64))


def reciprocals(steps: np.ndarray) -> np.ndarray:
    """For steps, int64 [64] in rows of eight: of each coefficient 2^40 by what a step contributes at the upper and at
    the left edge, int64 [2, 64], and [2] of an edge's, sloped."""
    weights = np.stack([np.repeat(FLAT, 8), np.tile(FLAT, 8), np.full(64, FLAT[0]), np.full(64, _SLOPED[0])])
    return (1 << _RECIPROCAL_BITS) // (weights * np.maximum(steps, 1))


@inlined
def by_reciprocal(total, reciprocal):
    """A sum divided, rounded to the nearest."""
    return (((total >> 8) * (reciprocal >> 8)) + (1 << (_RECIPROCAL_BITS - 17))) >> (_RECIPROCAL_BITS - 16)


@inlined
def in_samples(coefficient, step):
    """A coefficient times its step, held within what sums have room for."""
    return min(max(np.int64(coefficient) * step, -_MOST), _MOST)


@inlined
def begin(above, left, steps, continuity):
    """Sums before anything of a block is known."""
    for at in range(1, 8):
        for side in range(2):
            flat, sloped = np.int64(0), np.int64(0)
            for i in range(1, 8):
                k = 8 * i + at if side == 0 else 8 * at + i
                theirs = in_samples(above[k] if side == 0 else left[k], steps[k])
                theirs = theirs if i & 1 == 0 else -theirs
                flat += FLAT[i] * theirs
                sloped += _SLOPED[i] * theirs
            k = at if side == 0 else 8 * at
            continuity.flat[side, at], continuity.sloped[side, at] = flat, sloped
            continuity.ends[side, at] = in_samples(above[k] if side == 0 else left[k], steps[k])


@inlined
def take_out(k, samples, continuity):
    """Takes what a coefficient of the middle has turned out to be out of the sums. samples: it times its step."""
    u, v = k >> 3, k & 7
    continuity.flat[0, v] -= FLAT[u] * samples
    continuity.flat[1, u] -= FLAT[v] * samples
    continuity.sloped[0, v] -= _SLOPED[u] * samples
    continuity.sloped[1, u] -= _SLOPED[v] * samples


@inlined
def foretold_inside(k, reciprocals, continuity):
    """A coefficient of the middle by the upper and by the left edge, in steps, as if those after it were zeros."""
    u, v = k >> 3, k & 7
    by_upper = by_reciprocal(continuity.flat[0, v], reciprocals[0, k])
    return by_upper, by_reciprocal(continuity.flat[1, u], reciprocals[1, k])


@inlined
def foretold_at_edge(side, at, k, reciprocals, continuity):
    """A coefficient of the first row (side 0) or column by value and by slope, in 1 / UNIT steps."""
    end = continuity.ends[side, at]
    flat = UNIT * (continuity.flat[side, at] + FLAT[0] * end)
    sloped = UNIT * (continuity.sloped[side, at] + _SLOPED[0] * end)
    return by_reciprocal(flat, reciprocals[2, k]), by_reciprocal(sloped, reciprocals[3, k])


@inlined
def transform(block, steps, continuity):
    """The samples of a block without its DC, in 1/8."""
    samples, half = continuity.samples, continuity.half
    for v in range(8):
        for y in range(8):
            total = np.int64(0)
            for u in range(8):
                k = 8 * u + v
                if k:
                    total += BASIS[u, y] * in_samples(block[k], steps[k])
            half[y, v] = total >> 6
    for y in range(8):
        for x in range(8):
            total = np.int64(0)
            for v in range(8):
                total += BASIS[v, x] * half[y, v]
            samples[y, x] = total >> (2 * _BITS - 9)
