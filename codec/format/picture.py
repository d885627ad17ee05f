"""The chunk of a picture, and the payloads behind it: size, kind, groups of planes, and the index of their tiles.

A picture's channels are coded in groups: its colours or its grey together, each further channel (black, alpha) on its
own. A group has a tile for each box of the picture. Nothing that a header asks for is allocated before the claimed size
has been held against a bound and the file's own length.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from codec.errors import DamagedFile, ImageTooLarge
from codec.format import tiles as tiling
from codec.format.method import MADE, METHODS, NEEDS_JPEG, NEEDS_MODEL, AnyMethod
from codec.format.numbers import Reader, blob, varint
from codec.format.tiles import Box

if TYPE_CHECKING:
    import numpy as np

MAX_PIXELS = 2**28  # default bound on width x height
MODEL_ID_BYTES = 6  # of the model's SHA-256: enough to tell models apart, and small files stay small
TILES = tuple(tiling.TILE >> shift for shift in range(8))  # sides of a tile that a file can say
MOST_SIDE = 2**32 - 1
DIGEST_BYTES = 8  # of the SHA-256 of all samples
AS_THEY_ARE, RANKS, COLOURS = range(3)  # forms of a group
_FORM_BITS = 2
_MODEL, _MOST_COLOURS = 64, 2**16
_TILE_BYTES = 6  # of the index, at least


@dataclass(frozen=True)
class Kind:
    """A kind of picture: its number in the file, how many channels are coded together, and how many more there are."""

    code: int
    colours: int
    extra: int = 0

    @property
    def channels(self) -> int:
        return self.colours + self.extra

    @property
    def groups(self) -> list[slice]:
        """The channels of each group."""
        alone = [slice(channel, channel + 1) for channel in range(self.colours, self.channels)]
        return [slice(0, self.colours), *alone]


KINDS = {
    "grey": Kind(0, 1),
    "grey+alpha": Kind(1, 1, 1),
    "rgb": Kind(2, 3),
    "rgb+alpha": Kind(3, 3, 1),
    "cmyk": Kind(4, 3, 1),
    "cmyk+alpha": Kind(5, 3, 2),
    "palette": Kind(6, 1),
    "palette+alpha": Kind(7, 1, 1),
}
_NAMES = tuple(KINDS)


@dataclass(frozen=True)
class Header:
    """What a decoder must know before the first payload.

    kind: a key of KINDS. depth: bits of a sample, 1 to 16. model_id: `short_id` of the model's identity, None where no
    tile needs a model. variant: which of the 8 flips and transpositions of the order every tile uses. tile: longest
    side of a tile, one of TILES. palette: R, G, B of each colour, for the kinds with one. Raises ValueError outside
    these ranges.
    """

    width: int
    height: int
    kind: str
    depth: int = 8
    model_id: bytes | None = None
    variant: int = 0
    tile: int = tiling.TILE
    palette: bytes | None = None

    def __post_init__(self) -> None:
        bounds = ("width", 1, MOST_SIDE), ("height", 1, MOST_SIDE), ("variant", 0, 7), ("depth", 1, 16)
        for name, low, high in bounds:
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} is {value}, outside {low} to {high}")
        if self.tile not in TILES:
            raise ValueError(f"tile is {self.tile}, not one of {', '.join(map(str, TILES))}")
        if self.kind not in KINDS:
            raise ValueError(f"kind is {self.kind!r}, not one of {', '.join(KINDS)}")
        if self.model_id is not None and len(self.model_id) != MODEL_ID_BYTES:
            raise ValueError(f"model_id has {len(self.model_id)} bytes instead of {MODEL_ID_BYTES}: use short_id")
        if (self.palette is not None) != self.kind.startswith("palette") or len(self.palette or b"") % 3:
            raise ValueError(f"kind {self.kind} does not go with that palette")

    @property
    def colours(self) -> np.ndarray | None:
        """Those of the palette, [number, 3] of RGB."""
        import numpy as np

        return None if self.palette is None else np.frombuffer(self.palette, np.uint8).reshape(-1, 3)

    @property
    def boxes(self) -> list[Box]:
        """The tiles of a group in the order of their payloads."""
        return tiling.layout(self.height, self.width, self.tile)

    @property
    def tile_count(self) -> int:
        return tiling.count(self.height, self.width, self.tile)


@dataclass(frozen=True)
class Tile:
    """One tile's payload, `crc_of` the samples it decodes to, and the code of its method.

    The payload is None where it is not there: of a file that has been cut off.
    """

    payload: bytes | memoryview | None
    crc: int
    code: int = 0

    def __post_init__(self) -> None:
        if self.code not in METHODS:
            raise ValueError(f"code is {self.code}, not one of {', '.join(map(str, sorted(METHODS)))}")

    @property
    def method(self) -> AnyMethod:
        return METHODS[self.code]


@dataclass(frozen=True)
class Group:
    """Tiles of planes that are coded together. form: how these come of the samples; used: what RANKS needs for it,
    packed."""

    tiles: tuple[Tile, ...]
    form: int = AS_THEY_ARE
    used: bytes = b""


@dataclass(frozen=True)
class Picture:
    """A header and its groups. digest: `digest_of` all samples, None for a picture of a single tile in all. Raises
    ValueError where they do not fit together."""

    header: Header
    groups: tuple[Group, ...]
    digest: bytes | None = None

    def __post_init__(self) -> None:
        counts, wanted = [len(group.tiles) for group in self.groups], len(KINDS[self.header.kind].groups)
        if counts != [self.header.tile_count] * wanted:
            raise ValueError(f"{counts} tiles for {wanted} groups of {self.header.tile_count} each")
        if (None if self.digest is None else len(self.digest)) != (DIGEST_BYTES if sum(counts) > 1 else None):
            raise ValueError(f"{self.digest!r} is no digest of {sum(counts)} tiles")

    @property
    def tiles(self) -> list[Tile]:
        """Those of all groups, in the order of their payloads."""
        return [tile for group in self.groups for tile in group.tiles]

    @property
    def needs_model(self) -> bool:
        return any(tile.method in NEEDS_MODEL for tile in self.tiles)


def short_id(model_id: str) -> bytes:
    """The beginning of a model's identity, given in hexadecimal, that a header holds."""
    return bytes.fromhex(model_id)[:MODEL_ID_BYTES]


def crc_of(samples: np.ndarray) -> int:
    """CRC-32 of samples, [h, w, C] row by row, those of more than 8 bits little-endian."""
    return zlib.crc32(_in_bytes(samples))


def digest_of(parts: Iterable[np.ndarray]) -> bytes:
    """The first bytes of the SHA-256 of samples, tile by tile in the order of the file."""
    found = hashlib.sha256()
    for samples in parts:
        found.update(_in_bytes(samples))
    return found.digest()[:DIGEST_BYTES]


def _in_bytes(samples: np.ndarray) -> bytes:
    return samples.astype(samples.dtype.newbyteorder("<"), copy=False).tobytes()


def pack_picture(picture: Picture) -> bytes:
    """The body of its chunk. Its tiles' payloads belong behind the chunk, in their order."""
    header, groups = picture.header, picture.groups
    first = KINDS[header.kind].code + 8 * header.variant + _MODEL * (header.model_id is not None)
    forms = sum(group.form << _FORM_BITS * at for at, group in enumerate(groups))
    found = [bytes([first, header.depth - 1 + 16 * TILES.index(header.tile), forms]), header.model_id or b""]
    found += [varint(header.width), varint(header.height)]
    if header.palette is not None:
        found += [varint(len(header.palette) // 3), header.palette]
    found += [blob(group.used) for group in groups if group.form == RANKS]
    for tile in picture.tiles:
        assert tile.payload is not None
        found.append(bytes([tile.code]) + tile.crc.to_bytes(4, "little") + varint(len(tile.payload)))
    return b"".join([*found, picture.digest or b""])


def read_picture(body: bytes, payloads: bytes | memoryview, max_pixels: int | None, *, whole: bool = True) -> Picture:
    """The picture of a chunk's body and what follows the chunk. max_pixels None sets no bound.

    whole False allows payloads that end too early: what is not there is None. Raises DamagedFile and ImageTooLarge.
    """
    reader = Reader(body)
    header, forms = _read_header(reader, max_pixels)
    kind = KINDS[header.kind]
    if forms >> _FORM_BITS * len(kind.groups):
        raise DamagedFile("the header has forms of groups that there are not: get the file again")
    taken = [forms >> _FORM_BITS * at & 3 for at in range(len(kind.groups))]
    if COLOURS in taken[1:] or (taken[0] == COLOURS and header.palette is None) or 3 in taken:
        raise DamagedFile("the header has a group in a form that it cannot have: get the file again")
    used = [reader.blob() if form == RANKS else b"" for form in taken]
    count = header.tile_count
    if count * len(kind.groups) * _TILE_BYTES > reader.left:
        raise DamagedFile(f"an index of {count} tiles does not fit into the header: get the file again")
    entries = [_read_entry(reader) for _ in range(count * len(kind.groups))]
    digest = reader.take(DIGEST_BYTES) if len(entries) > 1 else None
    reader.done()
    tiles = _with_payloads(entries, payloads, whole)
    groups = (Group(tuple(tiles[count * at : count * (at + 1)]), form, used[at]) for at, form in enumerate(taken))
    picture = Picture(header, tuple(groups), digest)
    if picture.needs_model and header.model_id is None:
        raise DamagedFile("the file names no model, but needs one: get it again")
    if any(tile.method in NEEDS_JPEG for group in picture.groups[1:] for tile in group.tiles):
        raise DamagedFile("a tile that is no colour is that of a JPEG: get the file again")
    return picture


def _read_header(reader: Reader, max_pixels: int | None) -> tuple[Header, int]:
    """The header, and the forms of the groups."""
    first, second, forms = reader.byte(), reader.byte(), reader.byte()
    if first > 127 or second > 127:
        raise DamagedFile("the header has bits that mean nothing: get the file again")
    model_id = reader.take(MODEL_ID_BYTES) if first & _MODEL else None
    width, height = reader.varint(), reader.varint()
    if max_pixels is not None and width * height > max_pixels:
        raise ImageTooLarge(
            f"the file claims {width} x {height} pixels, more than {max_pixels} in all: "
            "allow more with --max-pixels if you trust it"
        )
    name, palette = _NAMES[first & 7], None
    if name.startswith("palette"):
        colours = reader.varint()
        if colours > _MOST_COLOURS:
            raise DamagedFile(f"a palette of {colours} colours: get the file again")
        palette = reader.take(3 * colours)
    try:
        tile = TILES[second >> 4]
        return Header(width, height, name, (second & 15) + 1, model_id, first >> 3 & 7, tile, palette), forms
    except ValueError as error:
        raise DamagedFile(f"the header's {error}: get the file again") from error


def _read_entry(reader: Reader) -> tuple[int, int, int]:
    """Method's code, CRC and length of a tile."""
    code, crc, length = reader.byte(), reader.number(4), reader.varint()
    if code not in METHODS:
        raise DamagedFile(f"a tile is coded by method {code}, which does not exist: get the file again")
    if code == MADE.code and length:
        raise DamagedFile(f"a tile that a JPEG makes has {length} bytes of its own: get the file again")
    return code, crc, length


def _with_payloads(entries: list[tuple[int, int, int]], payloads: bytes | memoryview, whole: bool) -> list[Tile]:
    wanted = sum(length for _, _, length in entries)
    if whole and wanted != len(payloads):
        raise DamagedFile(
            f"{len(payloads)} bytes follow the header, which asks for {wanted}: "
            "the file is truncated or followed by something else, get it again"
        )
    tiles, start = [], 0
    for code, crc, length in entries:
        there = start + length <= len(payloads)
        tiles.append(Tile(payloads[start : start + length] if there else None, crc, code))
        start += length
    return tiles
