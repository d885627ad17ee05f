"""The rest of a PNG as bytes, as `codec.images.png` says: how its image data was packed, its chunks, what follows.

A type of chunk that is known, or a whole chunk that many files have, is one byte.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from codec.errors import DamagedFile
from codec.format.numbers import Reader, blob
from codec.images.png.deflate import Head, Stored, Zlib
from codec.images.png.pieces import Split, read_split
from codec.images.png.scanlines import LISTED, Choice

Content = tuple[bytes, bytes]  # a chunk's type and what is in it

IMAGE: Content = (b"IDAT", b"")  # where the image data is, among the chunks

_TYPES = (
    *(b"PLTE", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"sBIT", b"cICP", b"bKGD", b"hIST", b"pHYs", b"sPLT"),
    *(b"tIME", b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"oFFs", b"vpAg", b"caNv", b"orNT", b"mDCV", b"cLLI"),
)
_SRGB_COLOURS = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)  # cHRM of sRGB: white, red, green, blue
_WHOLE: tuple[Content, ...] = (
    *((b"sRGB", bytes([intent])) for intent in range(4)),
    (b"gAMA", (45455).to_bytes(4, "big")),
    (b"cHRM", b"".join(number.to_bytes(4, "big") for number in _SRGB_COLOURS)),
    *((b"sBIT", b"\x08" * channels) for channels in (1, 2, 3, 4)),
    *((b"pHYs", metre.to_bytes(4, "big") * 2 + b"\1") for metre in (2834, 2835, 3779, 3780, 11811)),  # 72, 96, 300 dpi
    *((b"bKGD", level.to_bytes(2, "big") * 3) for level in (0, 255)),
    (b"tRNS", b"\0"),
    (b"tEXt", b"Software\0Adobe ImageReady"),
    (b"tEXt", b"Software\0www.inkscape.org"),
)
_END, _IMAGE, _FIRST_TYPE = 0, 1, 2  # codes of chunks: types follow, then whole chunks, then:
_FIRST_WHOLE, _OTHER = _FIRST_TYPE + len(_TYPES), 255
_TYPE_CODES = {kind: _FIRST_TYPE + index for index, kind in enumerate(_TYPES)}
_WHOLE_CODES = {chunk: _FIRST_WHOLE + index for index, chunk in enumerate(_WHOLE)}

_ORDINARY, _ZLIB, _STORED = range(3)  # the lowest two bits of the first byte, and above them:
_INTERLACED, _PADDED = 4, 8
_STRATEGIES, _LEVELS = 5, 10


@dataclass(frozen=True)
class Exact:
    """What makes the very bytes of the image data: how it was packed, cut into chunks, and its filters chosen."""

    packing: Zlib | Stored
    split: Split
    choice: Choice

    @property
    def coded(self) -> bytes:
        return _packing_coded(self.packing) + self.split.coded + _choice_coded(self.choice)


@dataclass(frozen=True)
class Rest:
    """exact: None for image data that is packed as is usual. padding: of each row, see scanlines.read.

    chunks: all but IHDR and IEND, IMAGE standing for all IDAT. after: what follows IEND.
    """

    interlaced: bool = False
    exact: Exact | None = None
    padding: bytes = b""
    chunks: list[Content] = field(default_factory=lambda: [IMAGE])
    after: bytes = b""

    @property
    def coded(self) -> bytes:
        packing = _ORDINARY if self.exact is None else _ZLIB if isinstance(self.exact.packing, Zlib) else _STORED
        first = packing | _INTERLACED * self.interlaced | _PADDED * bool(self.padding)
        exact = b"" if self.exact is None else self.exact.coded
        padding = blob(self.padding) if self.padding else b""
        return b"".join([bytes([first]), exact, padding, *map(_chunk_coded, self.chunks), bytes([_END]), self.after])


def _packing_coded(packing: Zlib | Stored) -> bytes:
    head = packing.head.window << 3 | packing.head.effort << 6
    if isinstance(packing, Stored):
        return bytes([head]) + packing.split.coded
    numbers = (packing.memory - 8) * _STRATEGIES + packing.strategy
    return bytes([numbers * _LEVELS + packing.level, head | packing.window - 8])


def _choice_coded(choice: Choice) -> bytes:
    return bytes([choice.way]) + (blob(choice.listed) if choice.way == LISTED else b"")


def _chunk_coded(chunk: Content) -> bytes:
    if chunk == IMAGE:
        return bytes([_IMAGE])
    if chunk in _WHOLE_CODES:
        return bytes([_WHOLE_CODES[chunk]])
    kind, content = chunk
    return (bytes([_TYPE_CODES[kind]]) if kind in _TYPE_CODES else bytes([_OTHER]) + kind) + blob(content)


def read(data: bytes) -> Rest:
    """Raises DamagedFile where the bytes are no rest."""
    rest = Reader(data)
    first = rest.byte()
    packing = first & 3
    if packing > _STORED or first >= 2 * _PADDED:
        raise DamagedFile(f"the rest of a PNG begins with {first}, which says nothing: get the file again")
    exact = None
    if packing != _ORDINARY:
        exact = Exact(
            _read_zlib(rest) if packing == _ZLIB else _read_stored(rest), read_split(rest), _read_choice(rest)
        )
    padding = rest.blob() if first & _PADDED else b""
    chunks = []
    while (code := rest.byte()) != _END:
        chunks.append(_read_chunk(rest, code))
    if chunks.count(IMAGE) != 1:
        raise DamagedFile(f"the rest of a PNG has its image data {chunks.count(IMAGE)} times: get the file again")
    return Rest(bool(first & _INTERLACED), exact, padding, chunks, rest.take(rest.left))


def _head(coded: int) -> Head:
    return Head(coded >> 3 & 7, coded >> 6)


def _read_zlib(rest: Reader) -> Zlib:
    numbers, head = rest.byte(), rest.byte()
    settings, level = divmod(numbers, _LEVELS)
    memory, strategy = divmod(settings, _STRATEGIES)
    window = 8 + (head & 7)
    if memory > 1 or level == 0 or window == 8:
        raise DamagedFile(f"zlib has no parameters as {numbers} and {head} say: get the file again")
    return Zlib(_head(head), level, strategy, 8 + memory, window)


def _read_stored(rest: Reader) -> Stored:
    return Stored(_head(rest.byte()), read_split(rest))


def _read_choice(rest: Reader) -> Choice:
    way = rest.byte()
    return Choice(way, rest.blob() if way == LISTED else b"")


def _read_chunk(rest: Reader, code: int) -> Content:
    if code == _IMAGE:
        return IMAGE
    if code < _FIRST_WHOLE:
        return _TYPES[code - _FIRST_TYPE], rest.blob()
    if code < _FIRST_WHOLE + len(_WHOLE):
        return _WHOLE[code - _FIRST_WHOLE]
    if code != _OTHER:
        raise DamagedFile(f"a chunk has been kept as {code}, which says nothing: get the file again")
    return rest.take(4), rest.blob()
