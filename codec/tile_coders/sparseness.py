"""Whether only some of the colours occur that could: what ratio tables know best, and lattices of colours by rule.

A picture that was converted from another colour space with eight bits has a lattice of colours, one whose contrast was
stretched has gaps between its values. Among a photograph's colours, neighbours in one channel are more likely to occur
the nearer they are; on a lattice those at a distance of 1 are less likely than those at 2. For the usual conversions
the colours that can occur are known beforehand. All of this is the encoder's choice: a decoder reads it from the file
(docs/experiments/adaptation.md).
"""

import numpy as np

from codec.modelling.lattice import CONVERSIONS, Conversion

_LATTICE = 0.9  # colours at a distance of 1 that occur, per those at 2
_GAPS = 0.1  # share of pixels by which a channel's histogram is above or below the mean of its neighbours
_SAMPLED = 5  # every fifth pixel's neighbours are looked for
_EDGE = 4  # values next to 0 and 255 are left out: clipping makes them common

_LOOKED_AT, _FEWEST = 4096, 64  # pixels whose conversion is sought
_SHARE = 0.9  # of them on a lattice, from which on it pays


def lattice_of(tile: np.ndarray) -> int:
    """The number of the conversion that a tile, uint8 [C, H, W], came through, from 1 on; 0 for none. Takes some 15 ms,
    whatever its size."""
    if len(tile) < 3:
        return 0
    pixels = tile.reshape(3, -1)[:, :: max(tile[0].size // _LOOKED_AT, 1)].T.astype(np.int64)
    pixels = pixels[((pixels > 0) & (pixels < 255)).all(1)]  # clipped ones may have come from anywhere,
    pixels = pixels[(pixels != pixels[:, :1]).any(1)]  # grey ones are on most lattices
    if len(pixels) < _FEWEST:
        return 0
    shares = [_share_made(pixels, conversion) for conversion in CONVERSIONS]
    return int(np.argmax(shares)) + 1 if max(shares) >= _SHARE else 0


def _share_made(pixels: np.ndarray, c: Conversion) -> float:
    """Of pixels, int64 [N, 3], how many the conversion makes of some Y, Cb, Cr: of one next to its exact inverse."""
    matrix = np.array([[c.luma, 0, c.red_cr], [c.luma, c.green_cb, c.green_cr], [c.luma, c.blue_cb, 0]])
    exact = np.linalg.solve(matrix, ((pixels << 16) + (1 << 15) - c.rounding).T.astype(np.float64))
    steps = np.array(np.meshgrid(*[[-1, 0, 1]] * 3)).reshape(3, 27, 1)
    tried = np.rint(exact).astype(np.int64)[:, None] + steps
    made = ((matrix @ tried.reshape(3, -1) + c.rounding) >> 16).reshape(tried.shape)
    return float((made == pixels.T[:, None]).all(0).any(0).mean())


def sparse(tile: np.ndarray) -> bool:
    """Of a tile, uint8 [C, H, W]; takes some 10 ms for 768 x 512 pixels of three channels."""
    chance = (256 / tile[0].size) ** 0.5  # about what few pixels spread over 256 values come to
    return any(_gaps(plane) > _GAPS + chance for plane in tile) or (len(tile) == 3 and _lattice(tile))


def _gaps(plane: np.ndarray) -> float:
    counts = np.bincount(plane.reshape(-1), minlength=256).astype(np.float64)
    apart = np.abs(counts[2:-2] - (counts[1:-3] + counts[3:-1]) / 2)
    return float(apart.sum() / counts.sum())


def _lattice(tile: np.ndarray) -> bool:
    colours = tile.reshape(3, -1).astype(np.int32)
    keys = colours[0] << 16 | colours[1] << 8 | colours[2]
    there = np.zeros(1 << 24, bool)
    there[keys] = True
    for values, step in zip(colours, (1 << 16, 1 << 8, 1)):
        inner = keys[::_SAMPLED][(values[::_SAMPLED] > _EDGE) & (values[::_SAMPLED] < 255 - _EDGE)]
        at_one, at_two = (np.count_nonzero([there[inner + d * step], there[inner - d * step]]) for d in (1, 2))
        if at_one < _LATTICE * at_two:
            return True
    return False
