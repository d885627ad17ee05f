"""Rows of samples of less than a byte: 1, 2 or 4 bits each, the first one in a byte's highest bits.

A row begins in a byte of its own; the bits after its last sample are its padding.
"""

from __future__ import annotations

import numpy as np


def row_bytes(width: int, bits: int) -> int:
    """How many bytes a row of width samples of so many bits has."""
    return -(-width * bits // 8)


def unpack_rows(rows: np.ndarray, width: int, bits: int) -> np.ndarray:
    """The samples [R, width] uint8 of packed rows [R, row_bytes(width, bits)] uint8; bits is 1, 2 or 4."""
    if bits == 1:
        return np.unpackbits(rows, axis=1, count=width)
    shifts = np.arange(8 - bits, -1, -bits, dtype=np.uint8)
    samples = rows[:, :, None] >> shifts & np.uint8((1 << bits) - 1)
    return samples.reshape(len(rows), -1)[:, :width]


def pack_rows(samples: np.ndarray, bits: int) -> np.ndarray:
    """Packed rows [R, row_bytes(W, bits)] uint8 of samples [R, W] uint8 below 2**bits; their padding is zero."""
    if bits == 1:
        return np.packbits(samples, axis=1)
    height, width = samples.shape
    filled = np.zeros((height, row_bytes(width, bits), 8 // bits), np.uint8)
    filled.reshape(height, -1)[:, :width] = samples
    shifts = np.arange(8 - bits, -1, -bits, dtype=np.uint8)
    return np.bitwise_or.reduce(filled << shifts, axis=2)


def padding_mask(width: int, bits: int) -> int:
    """The bits of a row's last byte that are padding."""
    return (1 << row_bytes(width, bits) * 8 - width * bits) - 1
