"""Samples of chroma from what their upsampling left: a linear system with two or four equations for each sample.

Solved by conjugate gradients in floating point; whether the samples are right is seen when their blocks are.
"""

import numpy as np

_ROUNDS = 12


def spread(samples: np.ndarray, times: tuple[int, int], shape: tuple[int, int]) -> np.ndarray:
    """libjpeg's smooth upsampling without rounding, float64: two along an axis are three quarters of a sample and one
    of its neighbour. times: across and down; shape: rows and columns of the result."""
    for axis, doubled in ((0, times[1] == 2), (1, times[0] == 2)):
        if doubled:
            before, behind = _neighbours(samples, axis)
            both = np.stack([0.75 * samples + 0.25 * before, 0.75 * samples + 0.25 * behind], axis + 1)
            samples = both.reshape([2 * n if at == axis else n for at, n in enumerate(samples.shape)])
    return samples[: shape[0], : shape[1]]


def gathered(values: np.ndarray, times: tuple[int, int], shape: tuple[int, int]) -> np.ndarray:
    """The transpose of `spread`: from pixels to samples of this shape."""
    whole = np.zeros((shape[0] * times[1], shape[1] * times[0]))
    whole[: values.shape[0], : values.shape[1]] = values
    for axis, doubled in ((1, times[0] == 2), (0, times[1] == 2)):
        if doubled:
            pairs = np.moveaxis(whole, axis, 0)
            first, second = pairs[0::2], pairs[1::2]
            found = 0.75 * (first + second)
            found[:-1] += 0.25 * first[1:]
            found[0] += 0.25 * first[0]
            found[1:] += 0.25 * second[:-1]
            found[-1] += 0.25 * second[-1]
            whole = np.moveaxis(found, 0, axis)
    return whole


def solved(values: np.ndarray, known: np.ndarray, start: np.ndarray, times: tuple[int, int]) -> np.ndarray:
    """The samples whose upsampling is nearest to the known values, float64, beginning with `start`."""
    if times == (1, 1):
        return np.where(known, values, start)
    samples = start.astype(np.float64)
    left = np.where(known, values - spread(samples, times, values.shape), 0)
    slope = gathered(left, times, samples.shape)
    way, size = slope, (slope * slope).sum()
    for _ in range(_ROUNDS):
        if size < 1e-6:
            break
        moved = np.where(known, spread(way, times, values.shape), 0)
        step = size / max((moved * moved).sum(), 1e-12)
        samples, left = samples + step * way, left - step * moved
        slope = gathered(left, times, samples.shape)
        before, size = size, (slope * slope).sum()
        way = slope + size / before * way
    return samples


def means(values: np.ndarray, known: np.ndarray, times: tuple[int, int], shape: tuple[int, int]) -> np.ndarray:
    """Samples to begin with: the means of the known values of each, 128 where none is known."""
    total, count = np.zeros(shape), np.zeros(shape)
    for row in range(times[1]):
        for column in range(times[0]):
            part = np.where(known, values, 0)[row :: times[1], column :: times[0]]
            total[: part.shape[0], : part.shape[1]] += part
            count[: part.shape[0], : part.shape[1]] += known[row :: times[1], column :: times[0]]
    return np.where(count > 0, total / np.maximum(count, 1), 128)


def _neighbours(samples: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    last = samples.shape[axis] - 1
    places = np.arange(last + 1)
    return np.take(samples, np.maximum(places - 1, 0), axis), np.take(samples, np.minimum(places + 1, last), axis)
