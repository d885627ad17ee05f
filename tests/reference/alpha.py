"""Section 11: the alpha plane's payload, where it is not one of tiles."""

from __future__ import annotations

import lzma

import numpy as np

from tests.reference.container import check


def decoded(stream: bytes, height: int, width: int) -> np.ndarray:
    """uint8 [H, W] of the payload behind its first byte."""
    decoder = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}])
    d = decoder.decompress(stream)
    check(decoder.eof and not decoder.unused_data and len(d) == height * width, "a wrong alpha plane")
    a = np.zeros((height, width), int)
    for r in range(height):
        for c in range(width):
            before = a[r, c - 1] if c > 0 else a[r - 1, 0] if r > 0 else 0
            a[r, c] = (before + d[r * width + c]) % 256
    return a.astype(np.uint8)
