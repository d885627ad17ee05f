"""A JPEG found again in its pixels: where its blocks lie, their steps, its chroma's sampling, its coefficients.

Every stage may fail, and nothing depends on its being right: at the end all is decoded exactly and compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from codec.jpeg.origin import frame_of
from codec.jpeg.pixels import pixels
from codec.jpeg.recovery.blocks import around
from codec.jpeg.recovery.chroma import Chroma, chroma_by, chroma_of
from codec.jpeg.recovery.colours import luma_given_chroma, ranges
from codec.jpeg.recovery.detect import comes_from_ycc, grid
from codec.jpeg.recovery.planes import coefficients_within, luma_table
from codec.jpeg.recovery.sampling import Sampling
from codec.jpeg.recovery.tables import Table
from codec.jpeg.segments import Frame

_WINDOWS_OF_COLOUR, _WINDOWS_OF_GREY = 400, 96  # that the grid is sought in
_CLEAR = 1.4  # standard deviations by which a JPEG's grid stands out
_FINE = 1.4  # mean logarithm of steps that explain nearly anything, so that the grid has to be clear
_NEAR = 2  # pixels around an impossible one that are not trusted either
_LITTLE = 0.05  # share of pixels that have to be made for all bands of a picture to be solved
_MCU = 16
_MOST, _LEAST_ROWS = 1 << 19, 2 * _MCU  # pixels that are worked on at once, and rows of them


@dataclass(frozen=True, eq=False)
class Recovered:
    """A JPEG that makes some of a picture's pixels, mostly nearly all.

    picture: as it was given. frame: of the whole JPEG, of one component for grey pixels. quality: that of libjpeg's
    tables if the steps of all components are such, else 0. offset: its rows and columns before the picture's first,
    below 16. smooth: whether chroma is interpolated or repeated.
    """

    picture: np.ndarray
    frame: Frame
    steps: tuple[np.ndarray, ...]
    quality: int
    coefficients: np.ndarray
    offset: tuple[int, int]
    smooth: bool = True

    @cached_property
    def made(self) -> np.ndarray:
        """The pixels that it makes in the picture's place, uint8 [H, W, components]."""
        row, column = self.offset
        return pixels(self.frame, self.steps, self.coefficients, self.smooth)[row:, column:]

    @cached_property
    def exact(self) -> np.ndarray:
        """Which of the picture's pixels these are, bool [H, W]."""
        return (self.made == self.picture).all(2)


def recover(picture: np.ndarray) -> Recovered | None:
    """What made a grey or an RGB picture, uint8 [H, W, 1 or 3], None if nothing is found.

    A picture in RGB whose channels are equal is grey. Of a large picture some bands are searched, then all are solved
    one by one, as the best of these says.
    """
    height, width, channels = picture.shape
    if channels == 3 and not _is_grey(picture) and not comes_from_ycc(picture):
        return None
    rows = max(_MOST // width, _LEAST_ROWS)
    if height <= rows + rows // 2:
        return _searched(picture)
    firsts = [(height - rows) * third // 2 // _MCU * _MCU for third in range(3)]
    found = [(_searched(picture[first : first + rows]), first) for first in firsts]
    known = [(of_band, first) for of_band, first in found if of_band is not None and of_band.exact.mean() > _LITTLE]
    return _in_bands(picture, *max(known, key=lambda pair: pair[0].exact.mean()), rows) if known else None


def _searched(picture: np.ndarray) -> Recovered | None:
    """What made a picture, in one piece."""
    return _recover_grey(picture) if picture.shape[2] == 1 or _is_grey(picture) else _recover_colour(picture)


def _in_bands(picture: np.ndarray, known: Recovered, first: int, rows: int) -> Recovered:
    """A picture band by band, where what is known was found in the band that begins with the row `first`.

    Bands have some rows more, as chroma is interpolated with the next one's.
    """
    height, width, _ = picture.shape
    down = 8 * known.frame.sampling[1]
    row, column = (known.offset[0] - first) % down, known.offset[1]
    of = frame_of(column + width, row + height, known.frame.sampling, len(known.frame.components))
    parts: list[list[np.ndarray]] = [[] for _ in of.components]
    for begin in range(0, of.mcus[1], rows // down):
        end = min(begin + rows // down, of.mcus[1])
        start = max((begin - 1) * down - row, 0)
        band = _solved(picture[start : (end + 1) * down - row], known, ((row + start) % down, column))
        above = begin - (row + start) // down
        for place, blocks in enumerate(_by_component(band)):
            vertical = of.components[place].vertical
            parts[place].append(blocks[above * vertical : (above + end - begin) * vertical].reshape(-1, 64))
    coefficients = np.concatenate([part for of_component in parts for part in of_component])
    return Recovered(picture, of, known.steps, known.quality, coefficients, (row, column), known.smooth)


def _solved(band: np.ndarray, known: Recovered, offset: tuple[int, int]) -> Recovered:
    """A band by the tables and the sampling of another one. offset: its place in whole MCUs."""
    (row, below), (column, behind) = (divmod(part, 8)[::-1] for part in offset)
    place, phase = (row, column), (8 * below, 8 * behind)
    luma, chroma = (known.steps[0], known.quality), (known.steps[-1], known.quality)
    if len(known.steps) == 1:
        return _grey_by(band, place, luma)
    low, high = (_placed(part, place, fill) for part, fill in zip(_trusted(band), (0, 255)))
    sampling = Sampling(known.frame.sampling, known.smooth, phase)
    return _finish(band, low, high, place, luma, chroma_by(low, high, sampling, chroma))


def _by_component(found: Recovered) -> list[np.ndarray]:
    """Coefficients of each component, [rows, stride, 64]."""
    firsts = np.cumsum([component.blocks for component in found.frame.components])[:-1]
    parts = zip(np.split(found.coefficients, firsts), found.frame.components)
    return [part.reshape(component.rows, component.stride, 64) for part, component in parts]


def _is_grey(picture: np.ndarray) -> bool:
    some = picture[::31]
    return all((part[..., :1] == part).all() for part in (some, picture))


def _recover_grey(picture: np.ndarray) -> Recovered | None:
    grey = picture[..., 0].astype(np.int16)
    offset, clearness = grid(grey, (grey > 0) & (grey < 255), _WINDOWS_OF_GREY)
    if clearness < _CLEAR:
        return None
    table = luma_table(*(_placed(grey[None], offset, fill)[0] for fill in (0, 255)))
    return _grey_by(picture, offset, table) if table is not None else None


def _grey_by(picture: np.ndarray, offset: tuple[int, int], table: Table) -> Recovered:
    low, high = (_placed(picture[None, ..., 0].astype(np.int16), offset, fill)[0] for fill in (0, 255))
    height, width, _ = picture.shape
    of = frame_of(offset[1] + width, offset[0] + height, (1, 1), 1)
    coefficients = _cropped(coefficients_within(low, high, table[0]), low.shape, of, 0)
    return Recovered(picture, of, (table[0],), table[1], coefficients, offset)


def _recover_colour(picture: np.ndarray) -> Recovered | None:
    low, high = _trusted(picture)
    offset, clearness = grid(low[0], low[0] == high[0], _WINDOWS_OF_COLOUR)
    low, high = _placed(low, offset, 0), _placed(high, offset, 255)
    luma = luma_table(low[0], high[0])
    if luma is None or (clearness < _CLEAR and np.log(luma[0]).mean() < _FINE):
        return None
    return _finish(picture, low, high, offset, luma, chroma_of(low, high, luma))


def _trusted(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ranges of Y, Cb and Cr, int16 [3, H, W], whole ones around pixels that no JPEG makes."""
    low, high, alien = ranges(picture)
    doubtful = around(alien, _NEAR)
    low[:, doubtful], high[:, doubtful] = 0, 255
    return low, high


def _placed(part: np.ndarray, offset: tuple[int, int], fill: int) -> np.ndarray:
    """Ranges in whole MCUs: what lies outside of the picture may be anything."""
    height, width = part.shape[1] + offset[0], part.shape[2] + offset[1]
    padding = (0, 0), (offset[0], -height % _MCU), (offset[1], -width % _MCU)
    return np.pad(part, padding, constant_values=fill)


def _finish(
    picture: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    offset: tuple[int, int],
    table: Table,
    chroma: Chroma,
) -> Recovered:
    """Luma by the chroma that was found, and all of it compared. low, high: ranges from the first block of luma on."""
    height, width = picture.shape[:2]
    phase, (luma_steps, quality) = chroma.sampling.phase, table
    low, high = (_placed(part[:1], phase, fill)[0] for part, fill in ((low, 0), (high, 255)))
    offset = offset[0] + phase[0], offset[1] + phase[1]
    inside = slice(offset[0], offset[0] + height), slice(offset[1], offset[1] + width)
    least, most = luma_given_chroma(picture, *(part[inside] for part in chroma.samples))
    made = least <= most  # where this chroma can be right
    low[inside] = np.where(made, least, low[inside])
    high[inside] = np.where(made, most, high[inside])
    of = frame_of(offset[1] + width, offset[0] + height, chroma.sampling.times)
    parts = enumerate([coefficients_within(low, high, luma_steps), *chroma.coefficients])
    coefficients = np.concatenate([_cropped(part, low.shape, of, place) for place, part in parts])
    steps, quality = (luma_steps, chroma.steps, chroma.steps), quality if quality == chroma.quality else 0
    return Recovered(picture, of, steps, quality, coefficients, offset, chroma.sampling.smooth)


def _cropped(coefficients: np.ndarray, shape: tuple[int, int], of: Frame, place: int) -> np.ndarray:
    """The blocks of a component that a frame has, of those of a picture of whole MCUs."""
    component, (across, down) = of.components[place], of.sampling
    rows, columns = (
        shape[0] * component.vertical // (8 * down),
        shape[1] * component.horizontal // (8 * across),
    )
    grid = coefficients.reshape(rows, columns, 64)
    return grid[: component.rows, : component.stride].reshape(-1, 64)
