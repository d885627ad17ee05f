from typing import NamedTuple

import numpy as np

from codec.modelling.blend import keep_error, nearby
from codec.modelling.logistic import ERROR_CLASS, ERROR_CLASSES
from runtime import least_squares
from runtime.kernels import inlined
from runtime.lanes import LANES
from runtime.least_squares import FIRST_ERROR, LEFT, RING, TOP, LAST

DENSITIES = 4
_ONE, _HALF, _QUARTER = np.float32(1), np.float32(0.5), np.float32(0.25)
_UNIT = np.float32(64)
_SCALE = np.float32(1 / 64)
_MEMBERS = 3  # own, fast, slow
_FLOOR = np.float32(0.05)


class Expected(NamedTuple):
    planes: np.ndarray  # float32 [3, N]: the palette
    linear: np.ndarray  # float32 [DENSITIES, 3, 3]: of each: constant, coefficients of the planes before
    errors: np.ndarray  # float32 [3]
    masses: np.ndarray  # float32 [N]
    sums: np.ndarray  # int32 [DENSITIES, N + 1]
    rings: np.ndarray  # int32 [DENSITIES, 3, H+2, RING]
    scales: np.ndarray  # int64 [DENSITIES, 3, 24, 2]
    classes: np.ndarray  # int64 [DENSITIES, 3]


def expected(colours: np.ndarray, height: int) -> Expected:
    n = len(colours)
    planes = np.stack([colours >> 16, colours >> 8 & 255, colours & 255]).astype(np.float32)
    scales = np.full((DENSITIES, 3, ERROR_CLASSES, 2), 4, np.int64)
    scales[..., 0] *= np.array([max(16, (11 if u % 2 else 8) << (u // 2)) for u in range(ERROR_CLASSES)])
    return Expected(
        planes, np.zeros((DENSITIES, 3, 3), np.float32), np.zeros(3, np.float32),
        np.zeros(n, np.float32), np.zeros((DENSITIES, n + 1), np.int32),
        np.full((DENSITIES, 3, height + 2, RING), FIRST_ERROR, np.int32),
        scales, np.zeros((DENSITIES, 3), np.int64),
    )


@inlined
def _member(d, level, k, row, canvas, predictor, e):
    """constant and coefficients of a predictor's linear form"""
    block, lane, fits = row // LANES, row % LANES, predictor.fits
    w, n, out, refs = fits.weights[k, block], fits.counts[k], e.linear[d, k], canvas.references
    value = predictor.partial[k, row]
    if k == 1:
        a = w[n - 1, lane] + _ONE
        value -= a * refs[0, row]
        out[1] = a
    elif k == 2:
        a, b = w[n - 1, lane] + _HALF, w[n - 2, lane] + _HALF
        value -= a * refs[0, row]
        value -= b * refs[1, row]
        out[1], out[2] = a, b
    out[0] = value


@inlined
def expect(level, row, tile, learned, e):
    canvas, c = tile.photo.canvas, level - 2 * row
    for k in range(3):
        _member(1, level, k, row, canvas, tile.photo.predictor, e)
        _member(2, level, k, row, canvas, learned.blend.fast, e)
        _member(3, level, k, row, canvas, learned.blend.slow, e)
    for k in range(3):
        total, out = np.float32(0), e.linear[0, k]
        out[0], out[1], out[2] = np.float32(0), np.float32(0), np.float32(0)
        for d in range(1, 4):
            error = np.float32(nearby(e.rings[d, k], row, c)) * _SCALE
            g = error * error + _FLOOR
            g = _ONE / (g * g)
            total += g
            for i in range(3):
                out[i] += g * e.linear[d, k, i]
        for i in range(3):
            out[i] = out[i] / total
    n = e.planes.shape[1]
    best, second, worst = 0, 0, 0
    for d in range(DENSITIES):
        for k in range(3):
            u = np.int64(ERROR_CLASS[min(nearby(e.rings[d, k], row, c) >> 2, len(ERROR_CLASS) - 1)])
            e.classes[d, k] = u
            e.errors[k] = _UNIT * np.float32(e.scales[d, k, u, 1]) / np.float32(e.scales[d, k, u, 0])
        m = e.masses
        l, r, g, b = e.linear[d], e.planes[0], e.planes[1], e.planes[2]
        r0, g0, g1, b0, b1, b2 = l[0, 0], l[1, 0], l[1, 1], l[2, 0], l[2, 1], l[2, 2]
        s0, s1, s2 = e.errors[0], e.errors[1], e.errors[2]
        least = np.float32(1e30)
        for i in range(n):
            x = (r[i] - r0) * s0
            y = (g[i] - g0 - g1 * r[i]) * s1
            z = (b[i] - b0 - b1 * r[i] - b2 * g[i]) * s2
            q = _ONE + (x * x + y * y + z * z) * np.float32(0.25)
            m[i] = q
            least = min(least, q)
        total, sums = np.int32(0), e.sums[d]
        for i in range(n):
            t = least / m[i]
            t = t * t
            t = t * t * np.float32(1 << 22)
            sums[i + 1] = np.int32(t) + np.int32(1)
        if d == 0:
            most, more = np.int32(-1), np.int32(-1)
            for i in range(n):
                v = sums[i + 1]
                if v > most:
                    second, more = best, most
                    best, most = i, v
                elif v > more:
                    second, more = i, v
        for i in range(n):
            total += sums[i + 1]
            sums[i + 1] = total
    return np.int64(best), np.int64(second), e.classes[0, 1]


@inlined
def learn(level, row, colour, tile, e):
    c, width = level - 2 * row, tile.photo.canvas.size.width
    r, g, b = np.float32(colour >> 16), np.float32(colour >> 8 & 255), np.float32(colour & 255)
    for d in range(DENSITIES):
        l = e.linear[d]
        e.errors[0] = r - l[0, 0]
        e.errors[1] = g - l[1, 0] - l[1, 1] * r
        e.errors[2] = b - l[2, 0] - l[2, 1] * r - l[2, 2] * g
        for k in range(3):
            v = min(max(e.errors[k], np.float32(-255)), np.float32(255))
            error = np.int32(v * _UNIT)
            keep_error(e.rings[d, k], row, c, width, error)
            scale = e.scales[d, k, e.classes[d, k]]
            scale[0] += max(abs(error), 16)
            scale[1] += 1
            if scale[1] > 800:
                scale[0] >>= 1
                scale[1] >>= 1
