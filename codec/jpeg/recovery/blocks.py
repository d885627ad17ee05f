"""Quantised coefficients of blocks of samples, of which some are known and others within a range."""

import numpy as np

from codec.jpeg.continuity import BASIS
from codec.jpeg.pixels import inverse
from runtime.kernels import inlined, kernel

_BASIS = BASIS / 8192  # [frequency, sample]
FORWARD = np.einsum("uy,vx->uvyx", _BASIS, _BASIS).reshape(64, 64)
_ROUNDS, _SEARCHES = 40, 60
_TURNS, _DOUBTED = 8, 12


def in_blocks(samples: np.ndarray) -> np.ndarray:
    """Samples, [8 m, 8 n], as blocks, [m n, 64]."""
    rows, columns = samples.shape[0] // 8, samples.shape[1] // 8
    return samples.reshape(rows, 8, columns, 8).swapaxes(1, 2).reshape(-1, 64)


def transformed(blocks: np.ndarray) -> np.ndarray:
    """The cosine transform of blocks of samples less 128, float64 [n, 64]."""
    squares = blocks.reshape(-1, 8, 8) - 128.0
    return np.einsum("uy,nyx,vx->nuv", _BASIS, squares, _BASIS, optimize=True).reshape(-1, 64)


def rounded(frequencies: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """The nearest multiples of steps, int16."""
    return np.rint(frequencies / steps).astype(np.int16)


@kernel
def decoded(coefficients, steps, out, work) -> None:
    """Samples of blocks, exactly, held within 0 .. 255: to out, int16 [n, 64]."""
    for number in range(len(coefficients)):
        inverse(coefficients[number], steps, work)
        for i in range(64):
            out[number, i] = min(max(work[i], 0), 255)


@kernel
def settle(coefficients, low, high, steps, wrong, forward, state) -> None:
    """Moves coefficients of blocks until their samples lie within their ranges; wrong[n] says how many do not.

    low, high: int16 [n, 64]. forward: float64 [64, 64], the transform; state: float64 [3, 64] and int64 [3, 64].
    """
    for number in range(len(coefficients)):
        block, least, most = coefficients[number], low[number], high[number]
        wrong[number] = _project(block, least, most, steps, forward, state)
        if wrong[number]:
            wrong[number] = _search(block, least, most, steps, forward, state)


@inlined
def _misses(block, low, high, steps, work):
    """How many samples are outside of their ranges."""
    inverse(block, steps, work)
    count = np.int64(0)
    for i in range(64):
        value = min(max(work[i], 0), 255)
        count += value < low[i] or value > high[i]
    return count


@inlined
def _project(block, low, high, steps, forward, state):
    """By turns the samples are brought into their ranges and the coefficients to multiples of their steps."""
    floats, integers = state
    work, best = integers[0], integers[1]
    least = _misses(block, low, high, steps, work)
    for k in range(64):
        best[k] = block[k]
    for turn in range(_ROUNDS):
        if least == 0:
            return least
        same = True
        for i in range(64):
            floats[0, i] = min(max(work[i], low[i]), high[i]) - 128.0
        for k in range(64):
            total = 0.0
            for i in range(64):
                total += forward[k, i] * floats[0, i]
            kept = block[k] * steps[k]
            value = np.int64(np.rint((kept + (total - kept) * (1.0 + 0.6 * (turn % 4))) / steps[k]))
            same &= value == block[k]
            block[k] = value
        misses = _misses(block, low, high, steps, work)
        if misses < least:
            least = misses
            for k in range(64):
                best[k] = block[k]
        if same and turn % 4 == 3:
            break
    for k in range(64):
        block[k] = best[k]
    return least


@inlined
def _search(block, low, high, steps, forward, state):
    """Single coefficients are moved by one, the best first, none of them again soon."""
    floats, integers = state
    samples, work, best, waits = floats[1], integers[0], integers[1], integers[2]
    for i in range(64):
        samples[i] = 128.0
        waits[i] = 0
        best[i] = block[i]
    for k in range(64):
        for i in range(64):
            samples[i] += block[k] * steps[k] * forward[k, i]
    least = _misses(block, low, high, steps, work)
    for turn in range(1, _SEARCHES):
        chosen, change, smallest = -1, 0, 1e30
        for k in range(64):
            if waits[k] > turn:
                continue
            for sign in range(-1, 2, 2):
                error = 0.0
                for i in range(64):
                    error += _outside(samples[i] + sign * steps[k] * forward[k, i], low[i], high[i])
                    if error >= smallest:
                        break
                if error < smallest:
                    chosen, change, smallest = k, sign, error
        if chosen < 0:
            break
        block[chosen] += change
        waits[chosen] = turn + 5
        for i in range(64):
            samples[i] += change * steps[chosen] * forward[chosen, i]
        misses = _misses(block, low, high, steps, work)
        if misses < least:
            least = misses
            for k in range(64):
                best[k] = block[k]
            if least == 0:
                break
    for k in range(64):
        block[k] = best[k]
    return least


@inlined
def _outside(value, low, high):
    """The square of how far a sample is from what would be rounded into its range."""
    away = max(low - 0.5 - value if low > 0 else 0.0, value - high - 0.5 if high < 255 else 0.0, 0.0)
    return away * away


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
        least = _error(samples, row, column, low, high, times)
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
                error = _error(samples, row, column, low, high, times)
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
def _error(samples, row, column, low, high, times):
    """The sum of squares of how far pixels that a block takes part in are out of their ranges."""
    across, down = times
    first, last = max(row * down - (down > 1), 0), min((row + 8) * down + (down > 1), low.shape[0])
    left, right = max(column * across - (across > 1), 0), min((column + 8) * across + (across > 1), low.shape[1])
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
