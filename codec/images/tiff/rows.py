"""Rows of a block, as samples and as the bytes of its file before compression.

Samples of 8 and 16 bits take whole bytes, the latter in the file's byte order; those of other depths are packed, the
highest bit first, and each row ends with a whole byte, whose last bits (its end) mean nothing. Prediction stores a
sample as its difference, modulo 2**depth, from the one of its channel on the left. Signed samples have their sign bit
turned over, so that they lie from 0 to 2**depth - 1 in order of size.
"""

from __future__ import annotations

import numpy as np

from codec.images.tiff.page import Page


def sign_bit(page: Page) -> int:
    """What the bits of the page's samples are changed by (exclusive or) when they are read and written."""
    return 1 << page.depth - 1 if page.signed else 0


def end_bits(page: Page) -> int:
    """Bits after the last sample of a row."""
    return page.row_bytes * 8 - page.block_width * page.block_channels * page.depth


def dtype(page: Page) -> type[np.unsignedinteger]:
    """The type that samples have in memory."""
    return np.uint8 if page.depth <= 8 else np.uint16


def unpack(stored: np.ndarray, page: Page) -> tuple[np.ndarray, np.ndarray]:
    """Samples [rows, block width, block channels] of [rows, row bytes] uint8, and the rows' ends [rows] uint8."""
    shape = (len(stored), page.block_width, page.block_channels)
    ends = stored[:, -1] & ((1 << end_bits(page)) - 1)
    if page.depth == 8:
        samples = stored.reshape(shape)
    elif page.depth == 16:
        samples = stored.view(page.order + "u2").astype(np.uint16).reshape(shape)
    else:
        samples = _unpacked(stored, page).reshape(shape)
    if page.predicted:
        samples = np.add.accumulate(samples, axis=1, dtype=samples.dtype)
    return (samples ^ samples.dtype.type(sign_bit(page)) if page.signed else samples), ends


def pack(samples: np.ndarray, ends: np.ndarray | None, page: Page) -> np.ndarray:
    """The bytes [rows, row bytes] uint8 that samples and ends (None: zeros) are stored as: `unpack` undone."""
    if page.signed:
        samples = samples ^ samples.dtype.type(sign_bit(page))
    if page.predicted:
        differences = samples.copy()
        differences[:, 1:] -= samples[:, :-1]
        samples = differences
    rows = len(samples)
    if page.depth == 8:
        return samples.reshape(rows, -1)
    if page.depth == 16:
        return samples.astype(page.order + "u2").reshape(rows, -1).view(np.uint8)
    stored = _packed(samples.reshape(rows, -1), page)
    if ends is not None:
        stored[:, -1] |= ends
    return stored


def _unpacked(stored: np.ndarray, page: Page) -> np.ndarray:
    count = page.block_width * page.block_channels
    bits = np.unpackbits(stored, axis=1, count=count * page.depth)
    if page.depth == 1:
        return bits
    places = bits.reshape(len(stored), count, page.depth)
    samples = places[..., 0].astype(dtype(page))
    for place in range(1, page.depth):
        samples <<= 1
        samples |= places[..., place]
    return samples


def _packed(samples: np.ndarray, page: Page) -> np.ndarray:
    shifts = range(page.depth - 1, -1, -1)
    places = np.empty((*samples.shape, page.depth), np.uint8)
    for place, shift in enumerate(shifts):
        places[..., place] = samples >> samples.dtype.type(shift) & samples.dtype.type(1)
    return np.packbits(places.reshape(len(samples), -1), axis=1)
