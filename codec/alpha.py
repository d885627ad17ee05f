"""The alpha plane, coded apart from the colours: differences to the left neighbour, then LZMA2.

Simple and lossless; planes of one value, the usual case, take about a hundred bytes. The decoder's output is
bounded by the plane's size and its memory by the fixed dictionary.
"""

from __future__ import annotations

import lzma

import numpy as np

from codec.errors import DamagedFile

_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 2**20}]


def encode(plane: np.ndarray) -> bytes:
    """Code a plane, [H, W] uint8."""
    left = np.roll(plane, 1, axis=1)
    left[:, 0] = np.concatenate([[0], plane[:-1, 0]])  # the first column follows the pixel above
    return lzma.compress((plane - left).tobytes(), format=lzma.FORMAT_RAW, filters=_FILTERS)


def decode(payload: bytes, height: int, width: int) -> np.ndarray:
    """The plane, [height, width] uint8. Raises DamagedFile unless payload holds exactly that many values."""
    size = height * width
    decoder = lzma.LZMADecompressor(format=lzma.FORMAT_RAW, filters=_FILTERS)
    try:
        values = decoder.decompress(payload, max_length=size)
        surplus = b"" if decoder.eof else decoder.decompress(b"", max_length=1)  # reads the end marker
    except (lzma.LZMAError, EOFError) as error:
        raise DamagedFile(f"the alpha plane does not decode ({error}): get the file again") from error
    if len(values) != size or surplus or not decoder.eof or decoder.unused_data:
        raise DamagedFile(f"the alpha plane does not hold {size} values: get the file again")
    differences = np.frombuffer(values, np.uint8).reshape(height, width).copy()
    differences[:, 0] = np.cumsum(differences[:, 0], dtype=np.uint8)
    return np.cumsum(differences, axis=1, dtype=np.uint8)
