"""The alpha plane, coded apart from the colours: as differences through LZMA2, or as grey tiles, whichever is smaller.

A payload's first byte says which. Planes of one value, the usual case, take about a hundred bytes. The decoder's output
is bounded by the plane's size and its memory by LZMA's fixed dictionary, or what a grey tile takes.
"""

import lzma

import numpy as np

from codec.errors import DamagedFile
from codec.format.container import Tile, pack_tiles, unpack_tiles

WORTH_TILES = 256  # bytes of LZMA from which on tiles are tried
_LZMA, _TILES = b"\x00", b"\x01"
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 2**20}]


def encode(plane: np.ndarray) -> bytes:
    """Code a plane, [H, W] uint8."""
    left = np.roll(plane, 1, axis=1)
    left[:, 0] = np.concatenate([[0], plane[:-1, 0]])  # the first column follows the pixel above
    return _LZMA + lzma.compress((plane - left).tobytes(), format=lzma.FORMAT_RAW, filters=_FILTERS)


def pack(tiles: list[Tile]) -> bytes:
    """A payload of grey tiles, in the order of the colours' tiles."""
    return _TILES + pack_tiles(tiles)


def unpack(payload: bytes, count: int) -> tuple[Tile, ...] | None:
    """The tiles of a payload that holds `count` of them, None if it is not of this kind. Raises DamagedFile."""
    if payload[:1] != _TILES:
        return None
    return unpack_tiles(payload[1:], count)


def decode(payload: bytes, height: int, width: int) -> np.ndarray:
    """The plane of `encode`, [height, width] uint8. Raises DamagedFile unless it holds exactly that many values."""
    if payload[:1] != _LZMA:
        raise DamagedFile("the alpha plane is coded in a way that does not exist: get the file again")
    payload, size = payload[1:], height * width
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
