"""A JPEG found again in its pixels: where its blocks lie, their steps, its chroma's sampling, its coefficients.

Every stage may fail, and nothing depends on its being right: at the end all is decoded exactly and compared.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codec.jpeg.likely import standard_steps
from codec.jpeg.pixels import pixels as decoded_pixels
from codec.jpeg.pixels import samples_of, upsampled
from codec.jpeg.recovery.blocks import FORWARD, decoded, in_blocks, rounded, settle, settle_spread, transformed
from codec.jpeg.recovery.chroma import means, solved
from codec.jpeg.recovery.colours import luma_given_chroma, ranges
from codec.jpeg.segments import Frame, frame

SAMPLINGS = ((1, 1), (2, 2), (2, 1), (1, 2))  # of luma, across and down
_PROBES = 2000
_MOST_ALIEN = 0.2  # share of pixels that no YCbCr makes, up to which a picture can have been a JPEG
_SOME = 300  # blocks that tables are tried on
_LEAST_SHARE = 0.05  # of these that have to be reproduced
_ROUNDS = 6


@dataclass(frozen=True)
class Recovered:
    """A JPEG that makes nearly these pixels.

    frame: of the whole JPEG; quality: that of libjpeg's tables, which give the steps; offset: its rows and columns
    before the picture's first. exact: bool [H, W], which pixels it makes.
    """

    frame: Frame
    steps: tuple[np.ndarray, ...]
    quality: int
    coefficients: np.ndarray
    offset: tuple[int, int]
    exact: np.ndarray


def recover(picture: np.ndarray) -> Recovered | None:
    """What made an RGB picture, uint8 [H, W, 3], None if nothing is found."""
    if not _comes_from_ycc(picture):
        return None
    low, high, _ = ranges(picture)
    offset = _grid(low[0], high[0])
    low, high = (_placed(part, offset, fill) for part, fill in ((low, 0), (high, 255)))
    quality = _quality(low[0], high[0], False)
    if not quality:
        return None
    found = [_chroma(low, high, sampling, quality) for sampling in SAMPLINGS]
    best = max(found, key=lambda part: part.share)
    return _finish(picture, low, high, offset, quality, best)


def _comes_from_ycc(picture: np.ndarray) -> bool:
    """Whether most of some pixels can have come from YCbCr of eight bits, by a few at random places."""
    rng = np.random.default_rng(0)
    flat = picture.reshape(-1, 3)
    some = flat[rng.integers(0, len(flat), _PROBES)]
    _, _, alien = ranges(some[None])
    coloured = (some.min(1) != some.max(1)) & (some.min(1) > 0) & (some.max(1) < 255)
    return coloured.sum() > 20 and alien[0][coloured].mean() < _MOST_ALIEN


def _grid(low: np.ndarray, high: np.ndarray) -> tuple[int, int]:
    """How far into a block the first row and column are: where most coefficients are next to nothing."""
    best = (-1.0, (0, 0))
    for row in range(8):
        for column in range(8):
            parts = (part[row : row + (part.shape[0] - row) // 8 * 8, column:] for part in (low, high))
            least, most = (in_blocks(part[:, : part.shape[1] // 8 * 8]) for part in parts)
            clean = np.flatnonzero((least == most).all(1) & (least.min(1) < least.max(1)))
            if len(clean) < 4:
                continue
            chosen = clean[:: max(len(clean) // _SOME, 1)]
            share = (abs(transformed(least[chosen])) < 0.9).mean()
            best = max(best, (share, (-row % 8, -column % 8)))
    return best[1]


def _placed(part: np.ndarray, offset: tuple[int, int], fill: int) -> np.ndarray:
    """Ranges in whole blocks: what lies outside of the picture may be anything."""
    height, width = part.shape[1] + offset[0], part.shape[2] + offset[1]
    padding = (0, 0), (offset[0], -height % 16), (offset[1], -width % 16)
    return np.pad(part, padding, constant_values=fill)


def _quality(low: np.ndarray, high: np.ndarray, chroma: bool) -> int:
    """The quality of the standard tables that makes most blocks exactly, the lowest of those, 0 for none."""
    least, most = in_blocks(low), in_blocks(high)
    clean = np.flatnonzero((least == most).all(1))
    if len(clean) == 0:
        return 0
    busy = (abs(transformed(least[clean])) > 1).sum(1)
    chosen = clean[np.argsort(-busy, kind="stable")[: len(clean) // 2 + 1]]
    chosen = chosen[:: max(len(chosen) // _SOME, 1)]
    samples = least[chosen]
    frequencies, shares = transformed(samples), np.zeros(101)
    for quality in range(1, 101):
        steps = standard_steps(quality, chroma)
        shares[quality] = (_decoded(rounded(frequencies, steps), steps) == samples).all(1).mean()
    if shares.max() < _LEAST_SHARE:
        return 0
    return int(np.flatnonzero(shares >= 0.9 * shares.max())[0])


def _decoded(coefficients: np.ndarray, steps: np.ndarray) -> np.ndarray:
    out = np.empty(coefficients.shape, np.int16)
    decoded(coefficients, steps, out, np.zeros(64, np.int64))
    return out


@dataclass(frozen=True)
class _Chroma:
    """Coefficients of Cb and Cr, and the share of pixels whose ranges their upsampled samples are within."""

    sampling: tuple[int, int]
    coefficients: list[np.ndarray]
    samples: list[np.ndarray]  # upsampled
    share: float


def _chroma(low: np.ndarray, high: np.ndarray, sampling: tuple[int, int], quality: int) -> _Chroma:
    height, width = low.shape[1:]
    of = frame_of(width, height, sampling)
    steps, parts, whole, right = standard_steps(quality, True), [], [], []
    for plane in (1, 2):
        coefficients, samples = _chroma_plane(low[plane], high[plane], of, plane, steps)
        parts.append(coefficients)
        whole.append(samples)
        inside = (samples >= low[plane]) & (samples <= high[plane])
        known = low[plane] == high[plane]
        right.append(inside[known].mean() if known.any() else 0)
    return _Chroma(sampling, parts, whole, float(np.mean(right)))


def steps_of(quality: int) -> tuple[np.ndarray, ...]:
    """libjpeg's steps of Y, Cb and Cr."""
    luma, chroma = standard_steps(quality, False), standard_steps(quality, True)
    return luma, chroma, chroma


def frame_of(width: int, height: int, sampling: tuple[int, int]) -> Frame:
    """Of Y, Cb and Cr, and a size in pixels."""
    return frame(width, height, [(1, *sampling, 0), (2, 1, 1, 1), (3, 1, 1, 1)])


def _chroma_plane(
    low: np.ndarray, high: np.ndarray, of: Frame, place: int, steps: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of a plane of chroma, and its samples for each pixel."""
    component, times = of.components[place], of.sampling
    shape = 8 * component.rows, 8 * component.stride
    known, wanted = low == high, ((low + high) / 2)
    samples = solved(wanted, known, means(wanted, known, times, shape), times)
    frequencies, bad = transformed(in_blocks(samples)), None
    coefficients = rounded(frequencies, steps)
    for _ in range(_ROUNDS):
        whole = _upsampled(coefficients, of, place, steps)
        wrong = (whole < low) | (whole > high)
        blocks = _blocks_of(wrong, times)
        if not blocks.any() or (bad is not None and blocks.sum() >= bad):
            break
        bad = blocks.sum()
        wanted = np.clip(whole, low, high).astype(np.float64)
        start = samples_of(coefficients, component, steps)
        samples = solved(wanted, np.ones_like(known), start, times)
        coefficients[blocks] = rounded(transformed(in_blocks(samples)), steps)[blocks]
    for _ in range(2):
        whole = _upsampled(coefficients, of, place, steps)
        odd = np.flatnonzero(_blocks_of((whole < low) | (whole > high), times))
        made = samples_of(coefficients, component, steps)
        work = np.zeros(64, np.int64), np.zeros(64, np.int64)
        settle_spread(odd, coefficients, frequencies, made, low, high, steps, times, *work)
    return coefficients, _upsampled(coefficients, of, place, steps)


def _blocks_of(wrong: np.ndarray, times: tuple[int, int]) -> np.ndarray:
    """Which blocks of a component have a wrong pixel."""
    rows, columns = wrong.shape[0] // (8 * times[1]), wrong.shape[1] // (8 * times[0])
    return wrong.reshape(rows, 8 * times[1], columns, 8 * times[0]).any((1, 3)).ravel()


def _upsampled(coefficients: np.ndarray, of: Frame, place: int, steps: np.ndarray) -> np.ndarray:
    component = of.components[place]
    return upsampled(samples_of(coefficients, component, steps), of, place)


def _finish(
    picture: np.ndarray, low: np.ndarray, high: np.ndarray, offset: tuple[int, int], quality: int, chroma: _Chroma
) -> Recovered:
    """Luma by the chroma that was found, and all of it compared."""
    height, width = picture.shape[:2]
    rows, columns = slice(offset[0], offset[0] + height), slice(offset[1], offset[1] + width)
    least, most = luma_given_chroma(picture, *(part[rows, columns] for part in chroma.samples))
    made = least <= most  # where this chroma can be right
    low, high = low[0].copy(), high[0].copy()
    low[rows, columns] = np.where(made, least, low[rows, columns])
    high[rows, columns] = np.where(made, most, high[rows, columns])
    luma = _settled(in_blocks(low), in_blocks(high), steps_of(quality)[0])
    of = frame_of(offset[1] + width, offset[0] + height, chroma.sampling)
    kept = [_cropped(luma, low.shape, of, 0)]
    kept += [_cropped(part, low.shape, of, place) for place, part in enumerate(chroma.coefficients, 1)]
    coefficients, tables = np.concatenate(kept), steps_of(quality)
    found = decoded_pixels(of, tables, coefficients)[rows, columns]
    return Recovered(of, tables, quality, coefficients, offset, (found == picture).all(2))


def _settled(low: np.ndarray, high: np.ndarray, steps: np.ndarray) -> np.ndarray:
    middle = np.where(low == 0, np.minimum(high, low + 2), np.where(high == 255, low, (low + high) / 2))
    coefficients, wrong = rounded(transformed(middle), steps), np.zeros(len(low), np.int64)
    state = np.zeros((3, 64)), np.zeros((3, 64), np.int64)
    settle(coefficients, low, high, steps, wrong, FORWARD, state)
    return coefficients


def _cropped(coefficients: np.ndarray, shape: tuple[int, int], of: Frame, place: int) -> np.ndarray:
    """The blocks of a component that a frame has, of those of a picture of whole MCUs."""
    component, (across, down) = of.components[place], of.sampling
    rows, columns = (
        shape[0] * component.vertical // (8 * down),
        shape[1] * component.horizontal // (8 * across),
    )
    grid = coefficients.reshape(rows, columns, 64)
    return grid[: component.rows, : component.stride].reshape(-1, 64)
