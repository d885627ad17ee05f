"""How chroma was sampled and where its blocks lie, from a few windows of the picture.

Halved chroma is known by its upsampling: samples can be found of which the pixels are the interpolation but for
rounding. Where its blocks begin, every eighth or every other eighth pixel, is known by their coefficients.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from codec.jpeg.recovery.blocks import in_blocks, transformed
from codec.jpeg.recovery.interpolation import filled, means, solved, spread, unbiased

_WINDOW, _WINDOWS = 128, 3
_PLAIN = 0.01  # the mean square that repeated samples miss pixels by, at most
_SMOOTH = {(2, 2): 0.084, (2, 1): 0.071, (1, 2): 0.071}  # interpolated ones: what rounding leaves, and a third more
_CLEAR = 1.05  # by how much more coefficients are next to nothing where blocks begin


class Sampling(NamedTuple):
    """times: pixels for each sample, across and down; smooth: interpolated; phase: rows and columns, 0 or 8, that the
    picture's blocks of luma begin behind those of chroma."""

    times: tuple[int, int]
    smooth: bool
    phase: tuple[int, int]


def candidates(low: np.ndarray, high: np.ndarray) -> list[Sampling]:
    """What can be, the fewest samples and the likelier phase first; whole chroma, which always can, at the end.

    low, high: ranges of Y, Cb and Cr, int16 [3, H, W]; blocks of luma begin at the first pixel.
    """
    windows, found = _busiest(low, high), []
    for times, most in _SMOOTH.items():
        for smooth in (False, True):
            fits = [_fit(*window, times, smooth) for window in windows]
            if np.mean([misfit for misfit, _ in fits]) < (most if smooth else _PLAIN):
                phases = _phases([plane for _, planes in fits for plane in planes], times)
                found += [Sampling(times, smooth, phase) for phase in phases]
    return [*found, Sampling((1, 1), True, (0, 0))]


def _busiest(low: np.ndarray, high: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Values of Cb and Cr, [2, h, w], and which are known, bool [2, h, w], of windows whose chroma varies most."""
    known = low[1:] == high[1:]
    moved = abs(np.diff(low[1:], axis=2)).clip(0, 8) * (known[:, :, 1:] & known[:, :, :-1])
    busy = moved.sum(0)
    places = [(r, c) for r in range(0, low.shape[1], _WINDOW) for c in range(0, low.shape[2], _WINDOW)]
    activity = [busy[r : r + _WINDOW, c : c + _WINDOW].sum() for r, c in places]
    found = []
    for number in np.argsort(activity)[::-1][:_WINDOWS]:
        r, c = places[number]
        part = np.s_[:, r : r + _WINDOW, c : c + _WINDOW]
        inner = np.zeros_like(known[part])
        inner[:, 2:-2, 2:-2] = known[part][:, 2:-2, 2:-2]
        found.append((low[1:][part], inner))
    return found


def _fit(values: np.ndarray, known: np.ndarray, times: tuple[int, int], smooth: bool) -> tuple[float, list[np.ndarray]]:
    """The mean square, of one at most, by which interpolated samples miss the known values, and the samples."""
    planes, misfits = [], []
    for value, there in zip(values, known):
        value = filled(value, there)
        samples = solved(value, there, means(value, times), times, smooth)
        wanted = unbiased(value, times) if smooth else value
        judged = there if smooth else spread(means(there.astype(np.float64), times), times, there.shape, False) == 1
        left = (spread(samples, times, value.shape, smooth) - wanted)[judged]
        misfits.append(np.minimum(left**2, 1).mean() if len(left) else 1.0)
        planes.append(samples)
    return float(np.mean(misfits)), planes


def _phases(planes: list[np.ndarray], times: tuple[int, int]) -> list[tuple[int, int]]:
    """Where blocks can begin, the likelier first; one if it is clear."""
    shares = {}
    for row in (0, 8)[: times[1]]:
        for column in (0, 8)[: times[0]]:
            starts = [plane[row // 2 :, column // 2 :] for plane in planes]
            blocks = [in_blocks(part[: part.shape[0] // 8 * 8, : part.shape[1] // 8 * 8]) for part in starts]
            all_ = np.concatenate(blocks)
            shares[row, column] = (abs(transformed(all_)) < 1).mean() if len(all_) else 0.0
    first, *others = sorted(shares, key=shares.__getitem__, reverse=True)
    clear = shares[first] > _CLEAR * shares[others[0]]
    return [first] if clear else [first, others[0]]
