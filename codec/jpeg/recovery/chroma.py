"""Chroma: how it was sampled and quantised, its coefficients and its samples."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from codec.jpeg.likely import standard_steps
from codec.jpeg.recovery.blocks import in_blocks, rounded
from codec.jpeg.recovery.planes import ROUNDING, busiest, cost, price
from codec.jpeg.recovery.sampling import Sampling, candidates
from codec.jpeg.recovery.tables import Table, plausible, standard_tables
from codec.jpeg.recovery.upsampled import Upsampled, coefficients_of, frequencies_of, known_samples
from codec.jpeg.segments import frame

_ENOUGH = 0.9  # share of pixels that rounding makes right, from which no other sampling is tried
_NEARLY = 2.0  # times the bits of the shortest guess, up to which others may turn out to be shorter
_FINER = -0.5  # mean logarithm of chroma's steps by luma's, below which they explain too much


@dataclass(frozen=True)
class Chroma:
    """Cb and Cr: coefficients, samples for each pixel, and about how many bits it takes to tell the coefficients and
    what they do not make."""

    sampling: Sampling
    steps: np.ndarray
    quality: int
    coefficients: list[np.ndarray]
    samples: list[np.ndarray]
    cost: float


@dataclass(frozen=True)
class _Guess:
    """A sampling and a table, by coefficients that are only rounded: the share of known pixels that they make, and bits
    likewise."""

    sampling: Sampling
    table: Table
    planes: list[Upsampled]
    frequencies: list[np.ndarray]
    share: float
    cost: float


def chroma_of(low: np.ndarray, high: np.ndarray, luma: Table) -> Chroma:
    """Chroma by ranges of Y, Cb and Cr, int16 [3, H, W], of a picture in whole MCUs, and luma's table."""
    guesses = _guesses(low, high, luma)
    most = _NEARLY * min(guess.cost for guess in guesses)
    return min((_finished(guess, luma[1]) for guess in guesses if guess.cost <= most), key=lambda found: found.cost)


def chroma_by(low: np.ndarray, high: np.ndarray, sampling: Sampling, table: Table) -> Chroma:
    """The same by a sampling and a table."""
    planes = _planes(low, high, sampling)
    return _solved(sampling, table, planes, [frequencies_of(plane) for plane in planes])


def _finished(guess: _Guess, likely: int) -> Chroma:
    found = _solved(guess.sampling, guess.table, guess.planes, guess.frequencies)
    return replace(found, cost=found.cost + price(guess.table, likely))


def _solved(sampling: Sampling, table: Table, planes: list[Upsampled], frequencies: list[np.ndarray]) -> Chroma:
    found = [coefficients_of(plane, part, table[0]) for plane, part in zip(planes, frequencies)]
    samples = [plane.upsampled(part, table[0]) for plane, part in zip(planes, found)]
    bits = sum(cost(part, plane.right(made)) for plane, part, made in zip(planes, found, samples))
    return Chroma(sampling, *table, found, samples, bits)


def _guesses(low: np.ndarray, high: np.ndarray, luma: Table) -> list[_Guess]:
    """By sampling, up to the one that makes most pixels by steps about as long as luma's."""
    tried: list[_Guess] = []
    for _, samplings in groupby(candidates(low, high), lambda sampling: sampling.times):
        tried += [_guess(low, high, sampling, luma) for sampling in samplings]
        best = min(tried, key=lambda guess: guess.cost)
        if best.share > _ENOUGH and np.log(best.table[0] / luma[0]).mean() > _FINER:
            break
    return tried


def _planes(low: np.ndarray, high: np.ndarray, sampling: Sampling) -> list[Upsampled]:
    """Cb and Cr in whole blocks."""
    (row, column), (_, height, width) = sampling.phase, low.shape
    padding = (0, 0), (row, row), (column, column)
    low, high = np.pad(low, padding), np.pad(high, padding, constant_values=255)
    of = frame(width + 2 * column, height + 2 * row, [(1, *sampling.times, 0), (2, 1, 1, 1)])
    return [Upsampled(low[place], high[place], of, sampling.smooth) for place in (1, 2)]


def _guess(low: np.ndarray, high: np.ndarray, sampling: Sampling, luma: Table) -> _Guess:
    planes = _planes(low, high, sampling)
    frequencies = [frequencies_of(plane) for plane in planes]
    known = [in_blocks(known_samples(plane)).all(1) for plane in planes]
    both = np.concatenate([part[there] for part, there in zip(frequencies, known)])
    tables = plausible(both[busiest(both)], _noise(sampling), _expected(luma)) + _of_same_quality(luma)
    guesses = []
    for table in tables:
        found = [rounded(part, table[0]) for part in frequencies]
        right = [plane.right(plane.upsampled(part, table[0])) for plane, part in zip(planes, found)]
        total = sum(cost(*part) for part in zip(found, right)) + price(table, luma[1])
        share = float(np.concatenate([*right, [False]]).mean())
        guesses.append(_Guess(sampling, table, planes, frequencies, share, total))
    return min(guesses, key=lambda guess: guess.cost)


def _of_same_quality(luma: Table) -> list[Table]:
    return [(standard_steps(luma[1], True), luma[1])] if luma[1] else []


def _expected(luma: Table) -> list[Table]:
    """Tables of chroma: of luma's quality, of another, luma's own, luma's of another quality."""
    of_luma = [(luma[0], 0), *((steps, 0) for steps, _ in standard_tables(False))]
    return [*_of_same_quality(luma), *standard_tables(True), *of_luma]


def _noise(sampling: Sampling) -> np.ndarray:
    """Standard deviations of frequencies of solved samples: from their rounding and, where they were interpolated, from
    that of the pixels, which the solution weakens or strengthens."""
    if sampling.times == (1, 1) or not sampling.smooth:
        return np.full(64, ROUNDING)
    kept = 8 / (10 + 6 * np.cos(np.arange(8) * np.pi / 8))
    across, down = (kept if times == 2 else np.ones(8) for times in sampling.times)
    return ROUNDING * np.sqrt(1 + 2 * np.outer(down, across)).ravel()
