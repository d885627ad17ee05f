"""Errors at the known neighbours of a position, kept for the last RING columns of every row.

A ring is int32 [H + 2, RING]: the error at row r and column c stands in [r + 2, c % RING]. What lies left of a row or
above the picture keeps its first value; right of a row stands its last (whoever writes a row's last error writes it
twice). Along the wavefront row r - 1 is two columns ahead, r - 2 four, so nothing needed has been overwritten.
"""

from runtime.kernels import kernel
from runtime.predictor import RING


@kernel
def nearby(ring, row, c):
    """(2 W + 2 N + NE + NW + WW + NN) // 8 of the absolute errors around a position."""
    own, above = ring[row + 2], ring[row + 1]
    total = 2 * abs(own[(c - 1) % RING]) + 2 * abs(above[c % RING])
    total += abs(above[(c + 1) % RING]) + abs(above[(c - 1) % RING])
    return (total + abs(own[(c - 2) % RING]) + abs(ring[row, c % RING])) >> 3
