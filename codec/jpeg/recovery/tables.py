"""Steps of quantisation from frequencies that are their multiples but for noise.

Each step from 1 to 255 has for each frequency a likelihood: by how much more probable the values are than if they were
not quantised. Which of the plausible tables it is shows when coefficients are rounded by them and decoded.
"""

from __future__ import annotations

import numpy as np

from codec.jpeg.likely import standard_steps
from runtime.kernels import kernel

_MOST_VALUES = 150  # of a frequency
_ODD = 0.05  # share of values that fit nothing
_EQUAL = 1.0  # nats by which tables explain about the same
_PRICE = 12.0  # nats, and half of one for each value, that a step has to explain more than that of an expected table
_DEVIATION = 2.0  # nats that a step loses by twice or half of what is expected

Table = tuple[np.ndarray, int]  # steps, int64 [64], and their quality, 0 where they are not libjpeg's


def standard_tables(chroma: bool) -> list[Table]:
    """libjpeg's of each quality."""
    return [(standard_steps(quality, chroma), quality) for quality in range(1, 101)]


def plausible(frequencies: np.ndarray, noise: np.ndarray, expected: list[Table]) -> list[Table]:
    """Tables that explain frequencies, float64 [n, 64], with standard deviations of noise, [64]: the best that is
    expected, of about equal ones the first; the same but for steps that explain clearly more; one of its own."""
    scores, counts, places = np.zeros((64, 256)), np.zeros(64, np.int64), np.arange(64)
    _score(np.ascontiguousarray(frequencies.T), noise, scores, counts)
    sums = np.array([scores[places, steps].sum() for steps, _ in expected])
    table = expected[int(np.flatnonzero(sums >= sums.max() - _EQUAL)[0])]
    found = scores[:, 1:].argmax(1) + 1
    better = scores[places, found] > scores[places, table[0]] + _PRICE + counts / 2
    if not better.any():
        return [table]
    away = np.log2(np.arange(1, 256) / _around(found, scores[places, found])[:, None])
    own = (scores[:, 1:] - _DEVIATION * away**2).argmax(1) + 1
    return [table, (np.where(better, found, table[0]), 0), (own, 0)]


def _around(steps: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """For each frequency the geometric mean of steps of its neighbours, and of its own, that explain something."""
    places = np.stack(divmod(np.arange(64), 8))
    distances = abs(places[:, :, None] - places[:, None]).sum(0)
    weights = np.exp(-2.0 * distances) * (gains > _PRICE)
    return np.exp((weights * np.log(steps)).sum(1) / np.maximum(weights.sum(1), 1e-30))


@kernel
def _score(values, noise, scores, counts) -> None:
    """Log likelihood ratios of steps: values, float64 [64, n], to scores, float64 [64, 256], and how many values."""
    for k in range(64):
        sigma, least = noise[k], 1 + 4 * noise[k]
        for i in range(values.shape[1]):
            value = abs(values[k, i])
            if value < least:
                continue
            if counts[k] == _MOST_VALUES:
                break
            counts[k] += 1
            for step in range(1, 256):
                away = abs(value - step * np.rint(value / step)) / sigma
                other = step / sigma - away
                density = np.exp(-0.5 * away * away) + np.exp(-0.5 * other * other) if away < 5 else 0.0
                scores[k, step] += np.log((1 - _ODD) * step * density * 0.3989 / sigma + _ODD)
