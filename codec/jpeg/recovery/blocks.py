"""Quantised coefficients of blocks of samples, of which some are known and others within a range."""

import numpy as np

from codec.jpeg.continuity import BASIS
from codec.jpeg.pixels import inverse
from runtime.kernels import inlined, kernel

_BASIS = BASIS / 8192  # [frequency, sample]
FORWARD = np.einsum("uy,vx->uvyx", _BASIS, _BASIS).reshape(64, 64)
_ROUNDS, _SEARCHES = 40, 60


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


def around(marked: np.ndarray, distance: int) -> np.ndarray:
    """Which pixels are marked or are at most so many rows and columns from a marked one."""
    for axis in (0, 1):
        pads = [(0, 0), (0, 0)]
        pads[axis] = distance, distance
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(marked, pads), 2 * distance + 1, axis)
        marked = np.asarray(windows.any(-1))
    return marked


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
            least_value = low[i] if low[i] > 0 else work[i]
            most_value = high[i] if high[i] < 255 else work[i]
            floats[0, i] = min(max(work[i], least_value), most_value) - 128.0
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
