"""The pixels that libjpeg makes of coefficients, exactly: its slow integer inverse transform, its smooth ("fancy")
upsampling of chroma, and its integer conversion from YCbCr.

What leaves the range of a sample is held within it, as in any picture that an encoder made; where coefficients are far
beyond, libjpeg's own variants differ from each other.
"""

from __future__ import annotations

import numpy as np

from codec.jpeg.segments import Component, Frame
from codec.modelling.lattice import CONVERSIONS
from runtime.kernels import inlined, kernel

_FIRST, _SECOND = 11, 18  # bits that the passes of the transform lose
_STRIP = 64  # rows of pixels that are made at a time
_NARROW = 2  # samples of a row up to which libjpeg repeats them


def pixels(frame: Frame, steps: tuple[np.ndarray, ...], coefficients: np.ndarray, smooth: bool = True) -> np.ndarray:
    """Grey or RGB pixels of a frame of one component or of Y, Cb and Cr: uint8 [H, W, C].

    coefficients: int16 [blocks, 64] of all components. smooth: whether chroma is interpolated, as libjpeg does unless
    it is told not to. Raises ValueError for another number of components.
    """
    if len(frame.components) not in (1, 3):
        raise ValueError(f"pixels of {len(frame.components)} components are not known")
    samples = planes(frame, steps, coefficients)
    if len(samples) == 1:
        return samples[0][..., None]
    found = np.empty((frame.height, frame.width, 3), np.uint8)
    for first in range(0, frame.height, _STRIP):
        rows = slice(first, min(first + _STRIP, frame.height))
        strip = [upsampled(plane, frame, place, smooth, rows) for place, plane in enumerate(samples)]
        found[rows] = converted(*strip)
    return found


def planes(frame: Frame, steps: tuple[np.ndarray, ...], coefficients: np.ndarray) -> list[np.ndarray]:
    """Samples of each component, uint8 [rows, columns], as many as the picture has."""
    found, first, (across, down) = [], 0, frame.sampling
    for component, step in zip(frame.components, steps):
        samples = samples_of(coefficients[first : first + component.blocks], component, step)
        height = -(-frame.height * component.vertical // down)
        width = -(-frame.width * component.horizontal // across)
        found.append(samples[:height, :width].astype(np.uint8))
        first += component.blocks
    return found


def samples_of(blocks: np.ndarray, component: Component, steps: np.ndarray) -> np.ndarray:
    """Samples of a component's blocks, int32 [8 rows, 8 stride] in 0 .. 255."""
    samples = np.empty((8 * component.rows, 8 * component.stride), np.int32)
    _transform(blocks, steps, samples, np.zeros(64, np.int64))
    return samples


def upsampled(
    samples: np.ndarray, frame: Frame, place: int, smooth: bool = True, rows: slice | None = None
) -> np.ndarray:
    """A component's samples for each pixel of the frame, or of some rows from an even one on: int32, interpolated or
    repeated."""
    component, (across, down) = frame.components[place], frame.sampling
    times = across // component.horizontal, down // component.vertical
    first, last = (rows.start, rows.stop) if rows else (0, frame.height)
    above = min(first // times[1], 1)  # rows that are interpolated with
    samples = samples[first // times[1] - above : -(-last // times[1]) + 1].astype(np.int32)
    wide = smooth and samples.shape[1] > _NARROW
    if times == (2, 1) and wide:
        whole = _doubled(samples, 1, 1, 2) >> 2
    elif times == (1, 2) and smooth:
        whole = _doubled(samples, 0, 1, 2) >> 2
    elif times == (2, 2) and wide:
        whole = _doubled(_doubled(samples, 0, 0, 0), 1, 8, 7) >> 4
    else:
        whole = samples.repeat(times[1], 0).repeat(times[0], 1)
    return whole[above * times[1] :][: last - first, : frame.width]


def _doubled(samples: np.ndarray, axis: int, first: int, second: int) -> np.ndarray:
    """Two for each sample along an axis: three times it and its neighbour before, then behind, and what is added to
    round."""
    last = samples.shape[axis] - 1
    before = np.take(samples, np.maximum(np.arange(last + 1) - 1, 0), axis)
    behind = np.take(samples, np.minimum(np.arange(last + 1) + 1, last), axis)
    both = np.stack([3 * samples + before + first, 3 * samples + behind + second], axis + 1)
    shape = list(samples.shape)
    shape[axis] *= 2
    return both.reshape(shape)


def converted(luma: np.ndarray, blue: np.ndarray, red: np.ndarray) -> np.ndarray:
    """RGB pixels of Y, Cb and Cr, uint8 [H, W, 3]."""
    c, cb, cr = CONVERSIONS[0], blue - 128, red - 128
    grey = c.luma * luma + c.rounding
    rgb = grey + c.red_cr * cr, grey + c.green_cb * cb + c.green_cr * cr, grey + c.blue_cb * cb
    return (np.stack(rgb, -1) >> 16).clip(0, 255).astype(np.uint8)


@kernel
def _transform(blocks, steps, samples, work):
    columns = samples.shape[1] // 8
    for number in range(len(blocks)):
        row, column = 8 * (number // columns), 8 * (number % columns)
        inverse(blocks[number], steps, work)
        for i in range(64):
            samples[row + (i >> 3), column + (i & 7)] = min(max(work[i], 0), 255)


@inlined
def inverse(block, steps, work):
    """A block's samples before they are held within 0 .. 255, to work, int64 [64]."""
    for k in range(64):
        work[k] = np.int64(block[k]) * steps[k]
    for column in range(8):
        _one_way(work, column, 8, _FIRST)
    for row in range(8):
        _one_way(work, 8 * row, 1, _SECOND)
    for i in range(64):
        work[i] += 128


@inlined
def _one_way(work, at, stride, lost):
    """The inverse transform of eight numbers. (Loeffler, Ligtenberg and Moschytz 1989, as in libjpeg's jidctint.c;
    constants out of 2^13.)"""
    a, b, c, d = work[at], work[at + stride], work[at + 2 * stride], work[at + 3 * stride]
    e, f, g, h = work[at + 4 * stride], work[at + 5 * stride], work[at + 6 * stride], work[at + 7 * stride]
    turned = (c + g) * 4433
    low, high = turned - g * 15137, turned + c * 6270
    plus, minus = (a + e) << 13, (a - e) << 13
    even_0, even_3, even_1, even_2 = plus + high, plus - high, minus + low, minus - low
    all_ = (h + d + f + b) * 9633
    hb, fd = (h + b) * -7373, (f + d) * -20995
    hd, fb = (h + d) * -16069 + all_, (f + b) * -3196 + all_
    odd_3, odd_2 = h * 2446 + hb + hd, f * 16819 + fd + fb
    odd_1, odd_0 = d * 25172 + fd + hd, b * 12299 + hb + fb
    half = 1 << (lost - 1)
    work[at], work[at + 7 * stride] = (even_0 + odd_0 + half) >> lost, (even_0 - odd_0 + half) >> lost
    work[at + stride], work[at + 6 * stride] = (even_1 + odd_1 + half) >> lost, (even_1 - odd_1 + half) >> lost
    work[at + 2 * stride], work[at + 5 * stride] = (even_2 + odd_2 + half) >> lost, (even_2 - odd_2 + half) >> lost
    work[at + 3 * stride], work[at + 4 * stride] = (even_3 + odd_3 + half) >> lost, (even_3 - odd_3 + half) >> lost
