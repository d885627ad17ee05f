"""Single samples and coefficients moved by one until the pixels that are interpolated from them lie within ranges."""

import numpy as np

from codec.jpeg.pixels import inverse
from runtime.kernels import inlined, kernel

_TURNS, _DOUBTED = 8, 12


@kernel
def repair(samples, low, high, times, sweeps) -> None:
    """Moves single samples by one while pixels of their upsampling come nearer to their ranges.

    samples: int32 [rows, columns]; low, high: int16, of pixels; times: pixels for each sample, across and down.
    """
    for _ in range(sweeps):
        changed = False
        for row in range(samples.shape[0]):
            for column in range(samples.shape[1]):
                least = _error(samples, row, column, 1, low, high, times)
                for sign in range(-1, 2, 2):
                    if least == 0:
                        break
                    samples[row, column] += sign
                    error = _error(samples, row, column, 1, low, high, times)
                    if error < least:
                        least, changed = error, True
                    else:
                        samples[row, column] -= sign
        if not changed:
            break


@kernel
def settle_spread(bad, coefficients, frequencies, samples, low, high, steps, times, work, order) -> None:
    """Moves single coefficients of bad blocks of chroma, those whose rounding is least sure first, while the upsampled
    samples come nearer to the pixels' ranges.

    bad: numbers of blocks. frequencies: float64 [n, 64], as they were before rounding. samples: int32, the plane that
    the coefficients make, which is kept so. low, high: int16, of pixels. times: how many pixels for each sample, across
    and down. work: int64 [64]; order: int64 [64].
    """
    columns = samples.shape[1] // 8
    for number in bad:
        block, row, column = coefficients[number], 8 * (number // columns), 8 * (number % columns)
        least = _error(samples, row, column, 8, low, high, times)
        for _ in range(_TURNS):
            if least == 0:
                break
            _least_sure(block, frequencies[number], steps, order)
            chosen, change, found = -1, 0, least
            for i in range(_DOUBTED):
                k = order[i]
                sign = 1 if frequencies[number, k] > block[k] * steps[k] else -1
                block[k] += sign
                _put(block, steps, samples, row, column, work)
                error = _error(samples, row, column, 8, low, high, times)
                if error < found:
                    chosen, change, found = k, sign, error
                block[k] -= sign
            if chosen >= 0:
                block[chosen] += change
                least = found
            _put(block, steps, samples, row, column, work)
            if chosen < 0:
                break


@inlined
def _least_sure(block, frequencies, steps, order):
    """Places of the coefficients whose frequencies lie nearest to the next multiple: the first _DOUBTED of `order`."""
    for i in range(_DOUBTED):
        chosen, nearest = -1, 1e30
        for k in range(64):
            away = abs(frequencies[k] / steps[k] - block[k])
            doubt = (1.0 - away) * steps[k]
            taken = False
            for j in range(i):
                taken |= order[j] == k
            if not taken and doubt < nearest:
                chosen, nearest = k, doubt
        order[i] = chosen


@inlined
def _put(block, steps, samples, row, column, work):
    inverse(block, steps, work)
    for i in range(64):
        samples[row + (i >> 3), column + (i & 7)] = min(max(work[i], 0), 255)


@inlined
def _error(samples, row, column, size, low, high, times):
    """The sum of squares of how far pixels that a square of samples takes part in are out of their ranges."""
    across, down = times
    first, last = max(row * down - (down > 1), 0), min((row + size) * down + (down > 1), low.shape[0])
    left, right = max(column * across - (across > 1), 0), min((column + size) * across + (across > 1), low.shape[1])
    total = np.int64(0)
    for y in range(first, last):
        for x in range(left, right):
            value = _pixel(samples, y, x, across, down)
            away = max(low[y, x] - value, value - high[y, x], 0)
            total += away * away
    return total


@inlined
def _pixel(samples, y, x, across, down):
    """A pixel of libjpeg's smooth upsampling."""
    i, j = y // down, x // across
    other_i = min(max(i + (1 if y & 1 else -1), 0), samples.shape[0] - 1) if down > 1 else i
    other_j = min(max(j + (1 if x & 1 else -1), 0), samples.shape[1] - 1) if across > 1 else j
    here, beside = np.int64(samples[i, j]), np.int64(samples[i, other_j])
    if down == 1:
        return (3 * here + beside + (2 if x & 1 else 1)) >> 2 if across > 1 else here
    here = 3 * here + samples[other_i, j]
    if across == 1:
        return (here + (2 if y & 1 else 1)) >> 2
    return (3 * here + 3 * beside + samples[other_i, other_j] + (7 if x & 1 else 8)) >> 4
