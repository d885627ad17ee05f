"""The .lmc container: header, index of tiles and payloads, as docs/format.md specifies them to the byte.

Every byte of a file is covered: magic and version by their values, header and index by a CRC-32, each payload
by its own, and the sum of the lengths must be the file's size. A reader allocates nothing that the header
asks for before the claimed size has been held against `max_pixels` and the file's own length. Integers are
little-endian.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from codec import tiles as tiling
from codec.errors import DamagedFile, ImageTooLarge, NotAnLmcFile, UnknownVersion
from codec.method import MAX_EFFORT, METHODS, Method
from codec.tiles import Box

if TYPE_CHECKING:
    import numpy as np

MAGIC = b"\x89LMC"
VERSION = 0
MAX_PIXELS = 2**28  # default bound on width x height
EFFORT = 5  # what compress uses unless told otherwise
MODEL_ID_BYTES = 16  # of the model's SHA-256: 128 bits name it as surely, and small files stay small

_HEADER = struct.Struct(f"<4sBBBBIIH{MODEL_ID_BYTES}s")
_TILE = struct.Struct("<BIII")  # method, payload length, CRC-32 of the payload, CRC-32 of the pixels
_ALPHA = struct.Struct("<II")  # payload length, CRC-32 of the payload
_CRC = struct.Struct("<I")


@dataclass(frozen=True)
class Mode:
    """A kind of picture: its number in the file, its channels, and how many of these the model codes."""

    code: int
    channels: int
    colours: int

    @property
    def has_alpha(self) -> bool:
        return self.channels > self.colours


MODES = {
    "L": Mode(code=0, channels=1, colours=1),
    "RGB": Mode(code=1, channels=3, colours=3),
    "RGBA": Mode(code=2, channels=4, colours=3),
}
_MODE_OF_CODE = {mode.code: name for name, mode in MODES.items()}


@dataclass(frozen=True)
class Header:
    """What a decoder must know before the first payload.

    mode: a key of MODES. model_id: `short_id` of the model's identity. variant: which of the 8 flips and
    transpositions of the order every tile uses. tile: longest side of a tile. effort: 0..9. Raises ValueError
    outside these ranges.
    """

    width: int
    height: int
    mode: str
    model_id: bytes
    variant: int = 0
    tile: int = tiling.TILE
    effort: int = 1

    def __post_init__(self) -> None:
        for name, low, high in (
            ("width", 1, 2**32 - 1),
            ("height", 1, 2**32 - 1),
            ("tile", 1, tiling.TILE),
            ("variant", 0, 7),
            ("effort", 0, MAX_EFFORT),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} is {value}, outside {low} to {high}")
        if self.mode not in MODES:
            raise ValueError(f"mode is {self.mode!r}, not one of {', '.join(MODES)}")
        if len(self.model_id) != MODEL_ID_BYTES:
            raise ValueError(f"model_id has {len(self.model_id)} bytes instead of {MODEL_ID_BYTES}: use short_id")

    @property
    def boxes(self) -> list[Box]:
        """The tiles in the order of their payloads."""
        return tiling.layout(self.height, self.width, self.tile)

    @property
    def tile_count(self) -> int:
        return tiling.count(self.height, self.width, self.tile)


@dataclass(frozen=True)
class Tile:
    """One tile's payload, `pixels_crc` of the pixels it decodes to, and the code of its Method."""

    payload: bytes
    pixels_crc: int
    method: int = 0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"method is {self.method}, not one of {', '.join(map(str, sorted(METHODS)))}")


@dataclass(frozen=True)
class Parsed:
    """A whole file: tiles in the order of header.boxes, and the coded alpha plane if the mode has one."""

    header: Header
    tiles: tuple[Tile, ...]
    alpha: bytes | None


@dataclass(frozen=True)
class _Index:
    """The header and what the index says of each payload: (method, length, CRC of the payload, CRC of the pixels)."""

    header: Header
    tiles: list[tuple[int, int, int, int]]
    alpha: tuple[int, int] | None


def short_id(model_id: str) -> bytes:
    """What a file keeps of a model's identity, which is 64 hexadecimal digits (Manifest.model_id)."""
    return bytes.fromhex(model_id)[:MODEL_ID_BYTES]


def pixels_crc(pixels: np.ndarray) -> int:
    """CRC-32 of a tile's grey or colour pixels, [h, w, colours] uint8, in row-major order."""
    return zlib.crc32(pixels.tobytes())


def pack(header: Header, tiles: list[Tile] | tuple[Tile, ...], alpha: bytes | None = None) -> bytes:
    """The bytes of a file. Raises ValueError when tiles or alpha do not fit the header."""
    if len(tiles) != header.tile_count:
        raise ValueError(f"{len(tiles)} payloads for an image of {header.tile_count} tiles")
    if (alpha is not None) != MODES[header.mode].has_alpha:
        raise ValueError(f"alpha is {'missing' if alpha is None else 'given'} for an image of mode {header.mode}")
    head = _HEADER.pack(
        MAGIC,
        VERSION,
        MODES[header.mode].code,
        header.variant,
        header.effort,
        header.width,
        header.height,
        header.tile,
        header.model_id,
    )
    head += b"".join(_TILE.pack(t.method, len(t.payload), zlib.crc32(t.payload), t.pixels_crc) for t in tiles)
    if alpha is not None:
        head += _ALPHA.pack(len(alpha), zlib.crc32(alpha))
    return b"".join([head, _CRC.pack(zlib.crc32(head)), *(t.payload for t in tiles), alpha or b""])


def unpack(data: bytes, max_pixels: int = MAX_PIXELS) -> Parsed:
    """Read a whole file and check every byte of it.

    Raises NotAnLmcFile, UnknownVersion, ImageTooLarge or DamagedFile.
    """
    stream = io.BytesIO(data)
    index = _read_index(stream, max_pixels)
    tiles = []
    for number, (method, length, payload_crc, crc) in enumerate(index.tiles, start=1):
        payload = _read_payload(stream, length, payload_crc, f"tile {number} of {len(index.tiles)}")
        tiles.append(Tile(payload, crc, method))
    alpha = None if index.alpha is None else _read_payload(stream, *index.alpha, "the alpha plane")
    return Parsed(index.header, tuple(tiles), alpha)


def peek(stream: BinaryIO, max_pixels: int | None = None) -> Header:
    """The header of a seekable binary file, checked but for the payloads; leaves the position anywhere.

    Raises as `unpack` does; max_pixels None sets no bound, since nothing of the image's size is allocated.
    """
    return _read_index(stream, max_pixels).header


def methods(stream: BinaryIO) -> list[Method]:
    """How the tiles of a seekable binary file are coded, in the order of their payloads. Raises as `peek` does."""
    return [METHODS[method] for method, *_ in _read_index(stream, None).tiles]


def _read_index(stream: BinaryIO, max_pixels: int | None) -> _Index:
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    head = stream.read(_HEADER.size)
    header = _read_header(head, max_pixels)
    has_alpha = MODES[header.mode].has_alpha

    index_size = header.tile_count * _TILE.size + has_alpha * _ALPHA.size
    if len(head) + index_size + _CRC.size > size:
        raise DamagedFile(f"the file ends after {size} bytes, within its index: get it again")
    index = stream.read(index_size)
    (crc,) = _CRC.unpack(stream.read(_CRC.size))
    if zlib.crc32(head + index) != crc:
        raise DamagedFile(f"the header's checksum is not {crc:08x} as stored: get the file again")

    tiles = list(_TILE.iter_unpack(index[: header.tile_count * _TILE.size]))
    for method, *_ in tiles:
        if method not in METHODS:
            raise DamagedFile(f"a tile is coded by method {method}, which does not exist: get the file again")
    alpha = _ALPHA.unpack(index[-_ALPHA.size :]) if has_alpha else None
    expected = len(head) + index_size + _CRC.size + sum(t[1] for t in tiles) + (alpha[0] if alpha else 0)
    if expected != size:
        what = "truncated" if size < expected else "followed by something else"
        raise DamagedFile(f"the file has {size} bytes instead of {expected}: it is {what}, get it again")
    return _Index(header, tiles, alpha)


def _read_header(head: bytes, max_pixels: int | None) -> Header:
    """The fixed part, checked for everything but its checksum, which covers the index too."""
    if head[: len(MAGIC)] != MAGIC:
        raise NotAnLmcFile(f"the file starts with {head[: len(MAGIC)]!r}, not as a compressed image (.lmc) does")
    if len(head) > len(MAGIC) and head[len(MAGIC)] != VERSION:
        raise UnknownVersion(f"the file has format version {head[len(MAGIC)]}; this program reads version {VERSION}")
    if len(head) < _HEADER.size:
        raise DamagedFile(f"the file ends after {len(head)} bytes, within its header: get it again")
    _, _, code, variant, effort, width, height, tile, model_id = _HEADER.unpack(head)
    if max_pixels is not None and width * height > max_pixels:
        raise ImageTooLarge(
            f"the file claims {width} x {height} pixels, more than {max_pixels} in all: "
            "allow more with --max-pixels if you trust it"
        )
    try:
        return Header(width, height, _MODE_OF_CODE.get(code, f"number {code}"), model_id, variant, tile, effort)
    except ValueError as error:
        raise DamagedFile(f"the header's {error}: get the file again") from error


def _read_payload(stream: BinaryIO, length: int, crc: int, what: str) -> bytes:
    payload = stream.read(length)
    if zlib.crc32(payload) != crc:
        raise DamagedFile(f"the checksum of {what} is not {crc:08x} as stored: get the file again")
    return payload
