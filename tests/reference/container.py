"""Sections 2 and 12: the container, and all that a reader must check of it, in its order."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

MOST_PIXELS = 1 << 28
GROUPS = ((1,), (1, 1), (3,), (3, 1), (3, 1), (3, 1, 1), (1,), (1, 1))  # planes of each, by kind
PALETTES = 6, 7  # kinds with one
AS_THEY_ARE, RANKS, COLOURS = range(3)  # forms of a group
CONSTANT, FLAT, DEEP = ALONE = range(33, 36)
LEARNED = [learning + tables for learning in (2, 4) for tables in (0, 8)]
METHODS = {network + colours + way for network in (0, 1) for colours in (0, 16) for way in (0, *LEARNED)}
ORDERS, MADE = range(64, 128), range(192, 206)
METHODS |= {32, *ALONE, *ORDERS} | {129 + 16 * lattice + way for lattice in range(4) for way in LEARNED}
METHODS |= {192} | {193 + way for way in LEARNED}
WITHOUT_MODEL = {*ALONE, 192}


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
class Group:
    """planes: how many channels it has. used: packed, of form RANKS. tiles: in the order of `places`."""

    planes: int
    form: int
    used: bytes
    tiles: list[Tile]


@dataclass(frozen=True)
class File:
    """model_id, palette, digest and jpeg: None where there are none."""

    width: int
    height: int
    kind: int
    depth: int
    variant: int
    tile: int
    model_id: bytes | None
    palette: list[tuple[int, int, int]] | None
    groups: list[Group]
    digest: bytes | None
    jpeg: bytes | None


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
            check(size <= 9, "a varint of more than 9 bytes")
        check(value < 1 << 63 and (byte > 0 or size == 1), "a varint that is too large or not the shortest")
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


def chunks(data: bytes) -> tuple[dict[bytes, bytes], bytes]:
    """Bodies by type, the last chunk's last, and the payloads."""
    check(data[:3] == b"\x89LM", "no .lmc file")
    check(data[3:4] == b"\1", "another version")
    rest, found, kind = Bytes(data[4:]), {}, b""
    while kind not in (b"P", b"K"):
        before = rest.data
        kind = rest.take(1)
        body = rest.take(rest.varint())
        check(zlib.crc32(before[: len(before) - len(rest.data)]) == rest.number(4), "damaged")
        if kind in (b"P", b"K", b"J", b"f"):
            check(kind not in found, "a chunk that comes twice")
            found[kind] = body
        else:
            check(b"a" <= kind <= b"z", "a chunk of a newer version")
    return found, rest.data


def read(data: bytes, most_pixels: int = MOST_PIXELS) -> File:
    """A file that holds a picture. What is said of the one that it was is passed over."""
    bodies, payloads = chunks(data)
    check(b"P" in bodies, "a file that is kept")
    jpeg, rest, payload = bodies.get(b"J"), Bytes(bodies[b"P"]), Bytes(payloads)
    first, second, forms = rest.number(1), rest.number(1), rest.number(1)
    check(first < 128 and second < 128, "bits that mean nothing")
    model_id = rest.take(6) if first & 64 else None
    width, height = rest.varint(), rest.varint()
    check(width * height <= most_pixels, "too many pixels")
    kind, variant, depth, tile = first & 7, first >> 3 & 7, (second & 15) + 1, 1024 >> (second >> 4)
    palette = None
    if kind in PALETTES:
        colours = rest.varint()
        check(colours <= 1 << 16, "too many colours")
        palette = [tuple(rest.take(3)) for _ in range(colours)]
    check(0 < width < 1 << 32 and 0 < height < 1 << 32, "a header with a wrong value")
    taken = [forms >> 2 * at & 3 for at in range(len(GROUPS[kind]))]
    check(forms < 4 ** len(taken) and COLOURS not in taken[1:] and 3 not in taken, "a form that there is not")
    check(taken[0] != COLOURS or palette is not None, "colours without a palette")
    used = [rest.take(rest.varint()) if form == RANKS else b"" for form in taken]
    count = -(-width // tile) * -(-height // tile)
    check(6 * count * len(taken) <= len(rest.data), "no room for an index")
    index = [(rest.number(1), rest.number(4), rest.varint()) for _ in range(count * len(taken))]
    digest = rest.take(8) if len(index) > 1 else None
    check(not rest.data, "bytes too many in the header")
    methods = [method for method, *_ in index]
    check(set(methods) <= METHODS, "an unknown method")
    check(all(length == 0 for method, _, length in index if method == 192), "a payload of what a JPEG makes")
    check(sum(length for *_, length in index) == len(payloads), "payloads of another length")
    check(model_id is not None or set(methods) <= WITHOUT_MODEL, "a picture without its model")
    check(not set(methods[count:]) & set(MADE), "a tile that is no colour, but a JPEG's")
    check(jpeg is not None or not set(methods) & set(MADE), "a tile without its JPEG")
    tiles = [Tile(method, crc, payload.take(length)) for method, crc, length in index]
    groups = [
        Group(planes, taken[at], used[at], tiles[at * count : (at + 1) * count])
        for at, planes in enumerate(GROUPS[kind])
    ]
    return File(width, height, kind, depth, variant, tile, model_id, palette, groups, digest, jpeg)
