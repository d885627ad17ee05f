"""Sections 2 and 12: the container, and all that a reader must check of it, in its order."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

MOST_PIXELS = 1 << 28
CHANNELS = (1, 3, 4)  # by mode: grey, RGB, RGBA
LEARNED = [learning + tables for learning in (2, 4) for tables in (0, 8)]
METHODS = {network + colours + way for network in (0, 1) for colours in (0, 16) for way in (0, *LEARNED)}
ORDERS, MADE = range(64, 128), range(192, 206)
METHODS |= {32, *ORDERS} | {129 + 16 * lattice + way for lattice in range(4) for way in LEARNED}
METHODS |= {192} | {193 + way for way in LEARNED}


class Refused(ValueError):
    """A file that no encoder has written."""


def check(holds: bool, what: str) -> None:
    if not holds:
        raise Refused(what)


@dataclass(frozen=True)
class Tile:
    method: int
    crc: int
    payload: bytes


@dataclass(frozen=True)
class File:
    """tiles: in the order of `places`. alpha: its payload, None unless the mode is RGBA."""

    width: int
    height: int
    mode: int
    variant: int
    tile: int
    model_id: bytes
    tiles: list[Tile]
    alpha: bytes | None
    source: bytes | None


class Bytes:
    """What is left to read."""

    def __init__(self, data: bytes):
        self.data = data

    def take(self, count: int) -> bytes:
        check(count <= len(self.data), "it ends too early")
        taken, self.data = self.data[:count], self.data[count:]
        return taken

    def number(self, count: int) -> int:
        return int.from_bytes(self.take(count), "little")

    def varint(self) -> int:
        value, byte, size = 0, 128, 0
        while byte >= 128:
            byte = self.number(1)
            value += (byte & 127) << 7 * size
            size += 1
            check(size <= 5, "a varint of more than 5 bytes")
        check(value < 1 << 32 and (byte > 0 or size == 1), "a varint that is too large or not the shortest")
        return value


def parts(length: int, tile: int) -> list[tuple[int, int]]:
    """(start, length) of what a side is cut into."""
    p = -(-length // tile)
    q, r = divmod(length, p)
    lengths = [q + (i < r) for i in range(p)]
    return [(sum(lengths[:i]), lengths[i]) for i in range(p)]


def places(height: int, width: int, tile: int) -> list[tuple[int, int, int, int]]:
    """(first row, first column, height, width) of each tile."""
    return [(row, col, h, w) for row, h in parts(height, tile) for col, w in parts(width, tile)]


def tiles(rest: Bytes, count: int, lengths: int) -> list[Tile]:
    """An index of so many tiles, and their payloads; the last of these is all that is left unless it has a length."""
    check(5 * count <= len(rest.data), "no room for an index")
    index = [(rest.number(1), rest.number(4), rest.varint() if i < lengths else None) for i in range(count)]
    check(all(method in METHODS for method, *_ in index), "an unknown method")
    return [Tile(method, crc, rest.take(len(rest.data) if n is None else n)) for method, crc, n in index]


def read(data: bytes, most_pixels: int = MOST_PIXELS) -> File:
    check(data[:3] == b"\x89LM", "no .lmc file")
    check(data[3:4] == b"\0", "another version")
    check(len(data) >= 22 and zlib.crc32(data[:-4]) == int.from_bytes(data[-4:], "little"), "damaged")
    rest, source = Bytes(data[4:-4]), None
    if rest.data[0] == 11:
        rest.take(1)
        source = rest.take(rest.varint())
    about, model_id, width, height = rest.number(1), rest.take(6), rest.varint(), rest.varint()
    check(width * height <= most_pixels, "too many pixels")
    mode, variant, shift = about & 3, about >> 2 & 7, about >> 5
    check(width > 0 and height > 0 and mode < 3, "a header with a wrong value")
    tile, has_alpha = 1024 >> shift, mode == 2
    count = -(-width // tile) * -(-height // tile)
    found = tiles(rest, count, count if has_alpha else count - 1)
    methods = {tile.method for tile in found}
    check(source is not None or not methods & set(MADE), "a tile without its JPEG")
    check(model_id != bytes(6) or (methods == {192} and not has_alpha), "a picture without its model")
    return File(width, height, mode, variant, tile, model_id, found, rest.data if has_alpha else None, source)
