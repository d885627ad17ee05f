"""What a photo network reads: codes of the known past and of the current position, level by level along the wavefront.

A PhotoTile is the state of one tile: the online predictor, and the known planes uint8 [H, W, 7] with a margin that
stands for the outside (zero codes, inside mark 0). Both sides of the coder fill it with the same pixels alike.
"""

import numpy as np

from . import rules
from .kernels import kernel
from .predictor import LEFT, TOP, Predictor, Settings, rows_of

_NEIGHBOURS = np.array(rules.NEIGHBOURS, np.int64)
_CODE_BITS, _CODE_RANGE, _UNIT, _INSIDE, _KNOWN = (
    rules.CODE_BITS,
    rules.CODE_RANGE,
    rules.MEAN_UNIT,
    rules.CODE_INSIDE,
    rules.KNOWN,
)


def wavefront(height: int, width: int) -> np.ndarray:
    """The rank map c + 2 r, int32 [H, W]."""
    return np.add.outer(2 * np.arange(height, dtype=np.int32), np.arange(width, dtype=np.int32))


class PhotoTile:
    """Predictor and network inputs of a tile. Per level: predictor.solve and predict, inputs, and finish at the end."""

    def __init__(
        self, height: int, width: int, codes: np.ndarray, offsets: tuple[tuple[int, int], ...], settings: Settings
    ):
        self.height, self.width, self.codes = height, width, codes
        self.predictor = Predictor(height, width, settings)
        self._margin = max(max(abs(dr), abs(dc)) for dr, dc in offsets)
        self._known = np.zeros((height + 2 * self._margin, width + 2 * self._margin, rules.KNOWN), np.uint8)
        self._known[..., :-1] = rules.CODE_ZERO
        stride = self._known.shape[1]
        self._offsets = np.array([(dr * stride + dc) * rules.KNOWN for dr, dc in offsets], np.int64)
        self.features = len(offsets) * rules.KNOWN + len(rules.NEIGHBOURS) + 1

    def inputs(self, level: int) -> np.ndarray:
        """The network's inputs at `level`, uint8 [n, features]; needs the level's red predictions."""
        first, end = rows_of(level, self.height, self.width)
        out = np.empty((end - first, self.features), np.uint8)
        _gather(
            level,
            first,
            end,
            self._known.reshape(-1),
            self._known.shape[1],
            self._margin,
            self._offsets,
            self.predictor.planes[0],
            self.predictor.bases[0],
            self.codes,
            out,
        )
        return out

    def finish(self, level: int) -> None:
        """Takes over the level's pixels, which `predictor.put` has entered for all three planes."""
        first, end = rows_of(level, self.height, self.width)
        _record(level, first, end, self._known, self._margin, self.predictor.planes, self.predictor.bases, self.codes)


@kernel
def _code(residual, codes):
    return codes[min(max((residual >> _CODE_BITS) + _CODE_RANGE, 0), 2 * _CODE_RANGE - 1)]


@kernel
def _gather(level, first, end, known, stride, margin, offsets, red, bases, codes, out):
    for row in range(first, end):
        c = level - 2 * row
        here = ((row + margin) * stride + c + margin) * _KNOWN
        line = out[row - first]
        at = 0
        for i in range(len(offsets)):
            tap = here + offsets[i]
            for plane in range(_KNOWN):
                line[at + plane] = known[tap + plane]
            at += _KNOWN
        base = bases[row]
        for i in range(len(_NEIGHBOURS)):
            near = np.int32(red[row + TOP + _NEIGHBOURS[i, 0], c + LEFT + _NEIGHBOURS[i, 1]])
            line[at + i] = _code(near * _UNIT - base, codes)
        line[at + len(_NEIGHBOURS)] = base // _UNIT


@kernel
def _record(level, first, end, known, margin, planes, bases, codes):
    for row in range(first, end):
        c = level - 2 * row
        for k in range(3):
            x = planes[k, row + TOP, c + LEFT]
            known[row + margin, c + margin, k] = x
            known[row + margin, c + margin, 3 + k] = _code(np.int32(x) * _UNIT - bases[k, row], codes)
        known[row + margin, c + margin, 6] = _INSIDE
