"""Tiles that need no model: of one value, of exact colours alone, of samples of more than 8 bits."""

from __future__ import annotations

import numpy as np

from codec.entropy.range_coder import ONE, Coder, code, spend_on
from codec.format.method import AnyMethod, Independent
from codec.tile_coders import SHALLOW, How
from codec.tile_coders.deep import code_deep
from codec.tile_coders.flat import code_flat
from codec.tile_coders.orientation import REPEATING, repetition
from runtime.kernels import kernel

_SMALL = 64 * 64  # pixels up to which exact colours alone are always tried


class IndependentCoder:
    """The coder of the methods of Independent. Planes are uint8 up to 8 bits, else uint16, [C, H, W]."""

    def candidates(self, planes: np.ndarray, depth: int) -> list[AnyMethod]:
        """The methods worth trying on a tile: one alone if no other can be smaller."""
        if all((plane == plane[0, 0]).all() for plane in planes):
            return [Independent.CONSTANT]
        if depth > SHALLOW:
            return [Independent.DEEP]
        if planes[0].size <= _SMALL or repetition(planes) >= REPEATING:
            return [Independent.FLAT]
        return []

    def code(self, coder: Coder, planes: np.ndarray, method: AnyMethod, how: How) -> None:
        """Runs a tile through a coder, as TileCoder.code does. DEEP is for uint16, FLAT for uint8."""
        if method == Independent.CONSTANT:
            _code_constant(coder, planes, how)
        elif method == Independent.FLAT:
            code_flat(coder, planes, how.report)
        else:
            code_deep(coder, planes, how.depth, how.threads, how.report)


def _code_constant(coder: Coder, planes: np.ndarray, how: How) -> None:
    values = planes[:, 0, 0].astype(np.int64)
    coder.reserve(len(planes) * how.depth)
    _code_values(values, how.depth, coder.coding)
    coder.check()
    planes[:] = values[:, None, None]
    how.report(planes[0].size)


@kernel
def _code_values(values, depth, coding):
    """Codes values bit by bit, the highest first, each as likely as not."""
    for k in range(len(values)):
        spend_on(coding, k)
        value = np.int64(0)
        for at in range(depth - 1, -1, -1):
            value = value << 1 | code(coding, np.int64(ONE >> 1), values[k] >> at & 1)
        values[k] = value
