"""The .lmc container: header, index of tiles, payloads and checksum, as docs/format.md specifies them to the byte.

Every byte of a file is covered: magic and version by their values, and all of them by the CRC-32 that ends the file,
which is checked before anything else is read. A reader allocates nothing that the header asks for before the claimed
size has been held against `max_pixels` and the file's own length. Integers are little-endian; a varint is LEB128 in
its shortest form, of a number below 2^32.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from codec.errors import DamagedFile, ImageTooLarge, KeepsAFile, NotAnLmcFile, UnknownVersion
from codec.format import tiles as tiling
from codec.format.method import MADE, METHODS, InOrder, Method
from codec.format.tiles import Box

if TYPE_CHECKING:
    import numpy as np

MAGIC = b"\x89LM"
VERSION = 0
MAX_PIXELS = 2**28  # default bound on width x height
MODEL_ID_BYTES = 6  # of the model's SHA-256: enough to tell models apart, and small files stay small
NO_MODEL = bytes(MODEL_ID_BYTES)  # of a file that none is needed for
TILES = tuple(tiling.TILE >> shift for shift in range(8))  # sides of a tile that a file can say

_START = struct.Struct(f"<{len(MAGIC)}sB")  # magic, version
_HEADER = struct.Struct(f"<B{MODEL_ID_BYTES}s")  # mode + 4 variant + 32 shift, model id; then two varints
_TILE = struct.Struct("<BI")  # method, CRC-32 of the pixels; then a varint
_CRC = struct.Struct("<I")
_SMALLEST = _START.size + 2 + 2 * _CRC.size  # of a file that keeps no byte
_CHUNK = 1 << 16  # bytes read at a time for the checksum


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
_OTHER = 3  # where a picture has the number of its mode: another kind of file, which stands where it has its variant
STORED, JPEG, _MADE = range(3)  # forms of a file that is kept whole; a picture behind the JPEG that made it


@dataclass(frozen=True)
class Header:
    """What a decoder must know before the first payload.

    mode: a key of MODES. model_id: `short_id` of the model's identity. variant: which of the 8 flips and
    transpositions of the order every tile uses. tile: longest side of a tile, one of TILES. Raises ValueError outside
    these ranges.
    """

    width: int
    height: int
    mode: str
    model_id: bytes
    variant: int = 0
    tile: int = tiling.TILE

    def __post_init__(self) -> None:
        for name, low, high in (("width", 1, 2**32 - 1), ("height", 1, 2**32 - 1), ("variant", 0, 7)):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} is {value}, outside {low} to {high}")
        if self.tile not in TILES:
            raise ValueError(f"tile is {self.tile}, not one of {', '.join(map(str, TILES))}")
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
    """A whole file: tiles in the order of header.boxes, the coded alpha plane if the mode has one, and what is kept of
    a JPEG that made the picture or most of it."""

    header: Header
    tiles: tuple[Tile, ...]
    alpha: bytes | None
    source: bytes | None = None

    @property
    def methods(self) -> list[Method | InOrder]:
        """How the tiles are coded."""
        return [METHODS[tile.method] for tile in self.tiles]


@dataclass(frozen=True)
class KeptFile:
    """A file that is kept whole: as packed bytes (form STORED) or by the coefficients of a JPEG. size and crc: how many
    bytes it has, and their CRC-32."""

    form: int
    size: int
    crc: int
    payload: bytes


@dataclass(frozen=True)
class _Index:
    """What stands before payloads: method and CRC-32 of the pixels of each tile, and the length of each payload."""

    tiles: list[tuple[int, int]]
    lengths: list[int]


def short_id(model_id: str) -> bytes:
    """What a file keeps of a model's identity, which is 64 hexadecimal digits (Manifest.model_id)."""
    return bytes.fromhex(model_id)[:MODEL_ID_BYTES]


def pixels_crc(pixels: np.ndarray) -> int:
    """CRC-32 of a tile's grey or colour pixels, [h, w, colours] uint8, in row-major order."""
    return zlib.crc32(pixels.tobytes())


def pack(header: Header, tiles: Sequence[Tile], alpha: bytes | None = None, source: bytes | None = None) -> bytes:
    """The bytes of a file. Raises ValueError when tiles or alpha do not fit the header."""
    if len(tiles) != header.tile_count:
        raise ValueError(f"{len(tiles)} payloads for an image of {header.tile_count} tiles")
    if (alpha is not None) != MODES[header.mode].has_alpha:
        raise ValueError(f"alpha is {'missing' if alpha is None else 'given'} for an image of mode {header.mode}")
    kind = MODES[header.mode].code + 4 * header.variant + 32 * TILES.index(header.tile)
    before = b"" if source is None else bytes([_OTHER + 4 * _MADE]) + _varint(len(source)) + source
    head = _START.pack(MAGIC, VERSION) + before + _HEADER.pack(kind, header.model_id)
    data = head + _varint(header.width) + _varint(header.height) + pack_tiles(tiles, alpha)
    return data + _CRC.pack(zlib.crc32(data))


def pack_kept(kept: KeptFile) -> bytes:
    """The bytes of a file that keeps another."""
    head = _START.pack(MAGIC, VERSION) + bytes([_OTHER + 4 * kept.form]) + _varint(kept.size) + _CRC.pack(kept.crc)
    return head + kept.payload + _CRC.pack(zlib.crc32(head + kept.payload))


def pack_tiles(tiles: Sequence[Tile], after: bytes | None = None) -> bytes:
    """Index and payloads of tiles, and the payload `after` them if there is one.

    The index leaves out the length of the last payload: it is the rest.
    """
    lengths = [_varint(len(tile.payload)) for tile in tiles]
    if after is None:
        lengths[-1] = b""
    index = [_TILE.pack(tile.method, tile.pixels_crc) + length for tile, length in zip(tiles, lengths, strict=True)]
    return b"".join([*index, *(tile.payload for tile in tiles), after or b""])


def unpack(data: bytes, max_pixels: int = MAX_PIXELS) -> Parsed:
    """What a file of these bytes holds, every one of them checked. Raises what `read` does."""
    return read(io.BytesIO(data), max_pixels)


def read(stream: BinaryIO, max_pixels: int = MAX_PIXELS) -> Parsed:
    """What a seekable binary file holds, of which nothing is kept before all of it has been checked chunk by chunk.

    Raises NotAnLmcFile, UnknownVersion, KeepsAFile, ImageTooLarge or DamagedFile.
    """
    header, source, index = _read_head(stream, max_pixels)
    tiles, alpha = _read_payloads(stream, index)
    return Parsed(header, tiles, alpha, source)


def keeps_a_file(stream: BinaryIO) -> bool:
    """Whether a seekable binary file keeps another whole, by its start alone; leaves the position anywhere."""
    stream.seek(0)
    start, kind = stream.read(_START.size), stream.read(1)
    return start == _START.pack(MAGIC, VERSION) and kind != b"" and _keeps_a_file(kind[0])


def read_kept(stream: BinaryIO) -> KeptFile:
    """The file that one for which `keeps_a_file` is true keeps, every byte checked. Raises as `read` does."""
    end = _check(stream)
    form = _take(stream, 1)[0] // 4
    if form not in (STORED, JPEG):
        raise DamagedFile(f"a file is kept in form {form}, which does not exist: get the file again")
    size = _read_varint(stream)
    (crc,) = _CRC.unpack(_take(stream, _CRC.size))
    return KeptFile(form, size, crc, stream.read(end - stream.tell()))


def unpack_tiles(data: bytes, count: int) -> tuple[Tile, ...]:
    """What `pack_tiles` made of that many tiles with nothing after them. Raises DamagedFile."""
    stream = io.BytesIO(data)
    tiles, _ = _read_payloads(stream, _read_index(stream, count, count, len(data)))
    if any(METHODS[tile.method].reconstruction for tile in tiles):
        raise DamagedFile("a tile of alpha is that of a JPEG: get the file again")
    return tiles


def describe(stream: BinaryIO, max_pixels: int | None = None) -> tuple[Header, list[Method | InOrder], bytes | None]:
    """The header of a seekable binary file, how its tiles are coded, in the order of their payloads, and its source.

    All of the file is read and checked; leaves the position anywhere. Raises as `unpack` does; max_pixels None sets no
    bound, since nothing of the image's size is allocated.
    """
    header, source, index = _read_head(stream, max_pixels)
    return header, [METHODS[method] for method, _ in index.tiles], source


def _keeps_a_file(kind: int) -> bool:
    return kind % 4 == _OTHER and kind // 4 != _MADE


def _varint(value: int) -> bytes:
    """7 bits a byte, the lowest first, all bytes but the last with their highest bit set."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def _read_varint(stream: BinaryIO) -> int:
    value = 0
    for shift in range(0, 35, 7):
        (byte,) = _take(stream, 1)
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
    if byte >= 0x80 or value >= 2**32 or (byte == 0 and shift):
        raise DamagedFile("a number of the header or the index is not written as it should be: get the file again")
    return value


def _take(stream: BinaryIO, count: int) -> bytes:
    taken = stream.read(count)
    if len(taken) < count:
        raise DamagedFile("the data end within the index: get the file again")
    return taken


def _read_head(stream: BinaryIO, max_pixels: int | None) -> tuple[Header, bytes | None, _Index]:
    """Header, source and index of a file, all of whose bytes are checked; leaves the position at the first payload."""
    end = _check(stream)
    source = _read_source(stream, end)
    header = _read_header(stream, max_pixels)
    payloads = header.tile_count + MODES[header.mode].has_alpha
    index = _read_index(stream, header.tile_count, payloads, end)
    methods = [METHODS[method] for method, _ in index.tiles]
    if source is None and any(method.reconstruction for method in methods):
        raise DamagedFile("a tile needs a JPEG that the file has not: get the file again")
    if header.model_id == NO_MODEL and (MODES[header.mode].has_alpha or set(methods) != {MADE}):
        raise DamagedFile("the file names no model, but needs one: get it again")
    return header, source, index


def _read_source(stream: BinaryIO, end: int) -> bytes | None:
    """What stands before the header of a picture that was a JPEG, else None."""
    start = stream.tell()
    if _take(stream, 1)[0] != _OTHER + 4 * _MADE:
        stream.seek(start)
        return None
    length = _read_varint(stream)
    if length > end - stream.tell():
        raise DamagedFile(f"a JPEG of {length} bytes does not fit into the data: get the file again")
    return _take(stream, length)


def _check(stream: BinaryIO) -> int:
    """Checks all bytes of a file and goes behind its version; returns where its last checksum begins."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    _check_start(stream.read(_START.size))
    _check_sum(stream, size)
    stream.seek(_START.size)
    return size - _CRC.size


def _check_start(start: bytes) -> None:
    magic, version = start[: len(MAGIC)], start[len(MAGIC) :]
    if magic != MAGIC:
        raise NotAnLmcFile(f"the file starts with {magic!r}, not as a compressed image (.lmc) does")
    if version and version[0] != VERSION:
        raise UnknownVersion(f"the file has format version {version[0]}; this program reads version {VERSION}")


def _check_sum(stream: BinaryIO, size: int) -> None:
    """Reads a file of that many bytes from its start, a chunk at a time."""
    if size < _SMALLEST:
        raise DamagedFile(f"the file ends after {size} bytes, within its header or index: get it again")
    stream.seek(0)
    crc, end = 0, size - _CRC.size
    for start in range(0, end, _CHUNK):
        crc = zlib.crc32(stream.read(min(_CHUNK, end - start)), crc)
    if stream.read(_CRC.size) != _CRC.pack(crc):
        raise DamagedFile(
            "the checksum at the file's end is not that of its bytes: "
            "it is altered, truncated or followed by something else, get it again"
        )


def _read_header(stream: BinaryIO, max_pixels: int | None) -> Header:
    """The header behind magic and version."""
    kind, model_id = _HEADER.unpack(_take(stream, _HEADER.size))
    if kind % 4 == _OTHER:
        if not _keeps_a_file(kind):
            raise DamagedFile("a JPEG stands where a picture's header belongs: get the file again")
        raise KeepsAFile("it keeps a file, not a picture's pixels: restore it with lmconv-codec decompress")
    width, height = _read_varint(stream), _read_varint(stream)
    if max_pixels is not None and width * height > max_pixels:
        raise ImageTooLarge(
            f"the file claims {width} x {height} pixels, more than {max_pixels} in all: "
            "allow more with --max-pixels if you trust it"
        )
    mode, variant, tile = _MODE_OF_CODE[kind % 4], kind // 4 % 8, TILES[kind // 32]
    try:
        return Header(width, height, mode, model_id, variant, tile)
    except ValueError as error:
        raise DamagedFile(f"the header's {error}: get the file again") from error


def _read_index(stream: BinaryIO, count: int, payloads: int, end: int) -> _Index:
    """The index of `count` tiles before so many payloads, the last of which ends at the position `end`."""
    if stream.tell() + count * _TILE.size > end:
        raise DamagedFile(f"an index of {count} tiles does not fit into the data: get the file again")
    tiles, lengths = [], []
    for number in range(count):
        method, crc = _TILE.unpack(_take(stream, _TILE.size))
        if method not in METHODS:
            raise DamagedFile(f"a tile is coded by method {method}, which does not exist: get the file again")
        tiles.append((method, crc))
        if number < payloads - 1:
            lengths.append(_read_varint(stream))
    left, wanted = end - stream.tell(), sum(lengths)
    if wanted > left:
        raise DamagedFile(f"the index asks for {wanted} bytes of {left} that follow it: get the file again")
    return _Index(tiles, [*lengths, left - wanted])


def _read_payloads(stream: BinaryIO, index: _Index) -> tuple[tuple[Tile, ...], bytes | None]:
    """The tiles, and the payload after them if there is one; the index has been held against the data's length."""
    payloads = [stream.read(length) for length in index.lengths]
    tiles = tuple(Tile(payload, crc, method) for payload, (method, crc) in zip(payloads, index.tiles, strict=False))
    return tiles, payloads[-1] if len(payloads) > len(tiles) else None
