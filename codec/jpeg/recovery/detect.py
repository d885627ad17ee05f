"""Whether a picture can have been a JPEG, and where its blocks lie, from a few windows of it: some milliseconds."""

from __future__ import annotations

import numpy as np

from codec.jpeg.recovery.blocks import FORWARD
from codec.jpeg.recovery.colours import ranges

_CENTRES, _WINDOWS, _LEAST_WINDOWS = 2000, 64, 4
_COLOURED = 32  # of the 64 pixels of a window
_LEAST_CLEAN = 0.2  # share of windows without an impossible pixel, from which a picture can have been a JPEG
_SPAN = 15  # samples that hold a whole block wherever the grid is
_NOTHING = 0.9  # what coefficients that were zero stay below


def comes_from_ycc(picture: np.ndarray) -> bool:
    """Whether some windows of coloured pixels hold nothing but triples that YCbCr of eight bits makes.

    Most of a picture, uint8 [H, W, 3], may be foreign to it.
    """
    windows = _windows(picture, _places(picture.shape, 8, _CENTRES), 8)
    windows = windows[_coloured(windows[:, 4, 4])][: 2 * _WINDOWS]
    telling = _coloured(windows).sum((1, 2)) >= _COLOURED
    windows = windows[telling & (windows != windows[:, :1, :1]).any((1, 2, 3))][:_WINDOWS]
    if len(windows) < _LEAST_WINDOWS:
        return False
    _, _, alien = ranges(windows.reshape(-1, 8, 3))
    return bool((~alien.reshape(-1, 64).any(1)).mean() >= _LEAST_CLEAN)


def grid(samples: np.ndarray, known: np.ndarray, most: int) -> tuple[tuple[int, int], float]:
    """How far into a block the first row and column are, each below 8, and how clearly: by how many standard deviations
    more coefficients are next to nothing there than at the second best place.

    samples: [H, W], those that are known being exact and not held within 0 .. 255. most: windows that are looked at.
    """
    places = _places(samples.shape, _SPAN, 4 * most)
    places = places[:, _windows(known, places, _SPAN).all((1, 2))]
    windows = _windows(samples, places, _SPAN)
    busy = np.flatnonzero(windows.max((1, 2)) - windows.min((1, 2)) > 2)[:most]
    if len(busy) < _LEAST_WINDOWS:
        return (0, 0), 0.0
    blocks = np.lib.stride_tricks.sliding_window_view(windows[busy], (8, 8), (1, 2)).reshape(-1, 64)
    frequencies = blocks.astype(np.float32) @ FORWARD[1:].T.astype(np.float32)
    nothing = (abs(frequencies) < _NOTHING).mean(1).reshape(-1, 8, 8)
    rows, columns = places[:, busy]
    shares = np.zeros((8, 8))
    for row in range(8):
        for column in range(8):
            np.add.at(shares, (-(rows + row) % 8, -(columns + column) % 8), nothing[:, row, column])
    row, column = divmod(int(shares.argmax()), 8)
    others = np.delete(np.delete(shares, row, 0), column, 1)
    second, best = np.sort(shares, None)[-2:]
    return (row, column), float((best - second) / (others.std() + 1e-9))


def _coloured(pixels: np.ndarray) -> np.ndarray:
    """Which pixels are neither grey, which YCbCr always makes, nor held within 0 .. 255."""
    least, most = pixels.min(-1), pixels.max(-1)
    return (least != most) & (least > 0) & (most < 255)


def _windows(picture: np.ndarray, places: np.ndarray, size: int) -> np.ndarray:
    """Squares of a picture: [count, size, size, ...]."""
    rows, columns = places[..., None, None]
    return picture[rows + np.arange(size)[:, None], columns + np.arange(size)]


def _places(shape: tuple[int, ...], size: int, count: int) -> np.ndarray:
    """First rows and columns of squares within a picture, the same ones each time: [2, count], or none."""
    rng, room = np.random.default_rng(0), (shape[0] - size + 1, shape[1] - size + 1)
    if min(room) < 1:
        return np.zeros((2, 0), np.int64)
    return np.stack([rng.integers(0, room[0], count), rng.integers(0, room[1], count)])
