"""Samples of chroma from what their upsampling left: a linear system with two or four equations for each sample.

Solved by conjugate gradients in floating point; whether the samples are right is seen when their blocks are.
"""

import numpy as np

_ROUNDS = 12


def spread(samples: np.ndarray, times: tuple[int, int], shape: tuple[int, int], smooth: bool = True) -> np.ndarray:
    """libjpeg's smooth upsampling without rounding, or its plain one: two along an axis are three quarters of a sample
    and one of its neighbour, or the sample twice. times: across and down; shape: rows and columns of the result."""
    if not smooth:
        return samples.repeat(times[1], 0).repeat(times[0], 1)[: shape[0], : shape[1]]
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


def solved(
    values: np.ndarray, known: np.ndarray, start: np.ndarray, times: tuple[int, int], smooth: bool = True
) -> np.ndarray:
    """The samples whose upsampling is nearest to the known values, float64, beginning with `start`, which for plain
    upsampling has to be their means."""
    if times == (1, 1):
        return np.where(known, values, start)
    if not smooth:
        return start
    samples, values = start.astype(np.float64), unbiased(values, times)
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


def unbiased(values: np.ndarray, times: tuple[int, int]) -> np.ndarray:
    """Interpolated values without what libjpeg's rounding, one way and the other by turns, adds to them on average."""
    if times == (1, 1):
        return values
    added = 1 / 32 if times == (2, 2) else -1 / 8
    turns = np.where(np.arange(values.shape[int(times != (1, 2))]) % 2, -added, added)
    return values - (turns[:, None] if times == (1, 2) else turns)


def means(values: np.ndarray, times: tuple[int, int]) -> np.ndarray:
    """Samples to begin with: the means of each one's values."""
    rows, columns = values.shape[0] // times[1], values.shape[1] // times[0]
    return values.reshape(rows, times[1], columns, times[0]).mean((1, 3))


def filled(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Values that are not known by the means of known ones around them, and outside of all of these by the nearest, as
    encoders do; float64, 128 where there is none at all."""
    rows, columns = np.flatnonzero(known.any(1)), np.flatnonzero(known.any(0))
    if len(rows) == 0:
        return np.full(values.shape, 128.0)
    inside = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    outside = [(part.start, size - part.stop) for part, size in zip(inside, values.shape)]
    return np.pad(_filled_inside(values[inside], known[inside]), outside, "edge")


def _filled_inside(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    if known.all() or min(values.shape) < 2:
        return np.where(known, values, values[known].mean() if known.any() else 128.0)
    rows, columns = values.shape
    padding = (0, rows % 2), (0, columns % 2)
    count = means(np.pad(known.astype(np.float64), padding), (2, 2))
    total = means(np.pad(np.where(known, values, 0.0), padding), (2, 2))
    coarse = _filled_inside(total / np.maximum(count, 0.25), count > 0)
    return np.where(known, values, coarse.repeat(2, 0).repeat(2, 1)[:rows, :columns])


def _neighbours(samples: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    last = samples.shape[axis] - 1
    places = np.arange(last + 1)
    return np.take(samples, np.maximum(places - 1, 0), axis), np.take(samples, np.minimum(places + 1, last), axis)
