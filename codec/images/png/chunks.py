"""PNG's chunks: a file read to its end, its lengths, order and CRCs checked; chunks written. W3C PNG, 5 and 11."""

from __future__ import annotations

import struct
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from codec.errors import ImageTooLarge, UnreadableImage, UnsupportedImage

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MOST = 2**31 - 1  # bytes in a chunk, and samples across or down

DEPTHS = {
    "grey": (1, 2, 4, 8, 16),
    "rgb": (8, 16),
    "palette": (1, 2, 4, 8),
    "grey+alpha": (8, 16),
    "rgb+alpha": (8, 16),
}
TYPES = {"grey": 0, "rgb": 2, "palette": 3, "grey+alpha": 4, "rgb+alpha": 6}  # of colour
_KINDS = {number: kind for kind, number in TYPES.items()}

_ANIMATION = (b"acTL", b"fcTL", b"fdAT")
_PIECE = 2**20  # bytes looked at together


@dataclass(frozen=True)
class Header:
    width: int
    height: int
    kind: str
    depth: int
    interlaced: bool


@dataclass(frozen=True)
class Chunk:
    type: bytes
    start: int
    length: int

    @property
    def name(self) -> str:
        return self.type.decode("ascii")


class ImageData:
    """The bytes in all IDAT chunks of a file, one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._starts, self._ends = array("Q"), array("Q")  # in the file, and in what they make together
        self.sizes = array("Q")

    @property
    def size(self) -> int:
        return self._ends[-1] if self._ends else 0

    def add(self, start: int, length: int) -> None:
        self._ends.append(self.size + length)
        self._starts.append(start)
        self.sizes.append(length)

    def pieces(self, most: int) -> Iterator[bytes]:
        """All of them in pieces of so many at most, none of which is empty."""
        for start, size in zip(self._starts, self.sizes):
            for at in range(start, start + size, most):
                yield self._data[at : min(at + most, start + size)]

    def take(self, at: int, length: int) -> bytes:
        """Up to so many bytes from there on."""
        parts, index = [], bisect_right(self._ends, at)
        while length > 0 and index < len(self.sizes):
            skipped = at - (self._ends[index] - self.sizes[index])
            taken = min(length, self.sizes[index] - skipped)
            parts.append(self._data[self._starts[index] + skipped : self._starts[index] + skipped + taken])
            at, length, index = at + taken, length - taken, index + 1
        return b"".join(parts)


def header(data: bytes, max_pixels: int) -> Header:
    """Of a file that starts with the signature. Raises UnreadableImage and ImageTooLarge."""
    if data[12:16] != b"IHDR" or data[8:12] != b"\0\0\0\x0d" or len(data) < 33:
        raise UnreadableImage(f"the first chunk is {bytes(data[12:16])!r}, not a whole IHDR: get the picture again")
    width, height, depth, colour, compression, filtering, interlace = struct.unpack_from(">IIBBBBB", data, 16)
    kind = _KINDS.get(colour)
    if kind is None or depth not in DEPTHS[kind]:
        raise UnreadableImage(f"colour type {colour} of {depth} bits does not exist in PNG: get the picture again")
    if compression or filtering or interlace > 1:
        methods = f"compression {compression}, filter {filtering} and interlace {interlace}"
        raise UnreadableImage(f"methods of {methods} do not exist in PNG: get the picture again")
    if not (0 < width <= MOST and 0 < height <= MOST):
        raise UnreadableImage(f"{width} x {height} pixels cannot be in a PNG: get the picture again")
    if width * height > max_pixels:
        raise ImageTooLarge(
            f"{width} x {height} pixels are more than {max_pixels} in all: allow more with --max-pixels"
        )
    return Header(width, height, kind, depth, bool(interlace))


def walk(data: bytes) -> Iterator[Chunk]:
    """The chunks of a file from the first to IEND. Raises UnreadableImage for one that is cut off or fails its CRC."""
    at = len(SIGNATURE)
    while True:
        head = data[at : at + 8]
        if len(head) < 8:
            raise UnreadableImage(f"the file ends at byte {len(data)} without IEND: get the picture again")
        length, kind = int.from_bytes(head[:4], "big"), bytes(head[4:])
        if not kind.isalpha() or length > MOST:
            raise UnreadableImage(f"a chunk {kind!r} of {length} bytes at byte {at} cannot be: get the picture again")
        if at + 12 + length > len(data):
            raise UnreadableImage(f"{kind.decode()} at byte {at} is cut off: get the picture again")
        end = at + 8 + length
        if _crc(data, at + 4, end) != int.from_bytes(data[end : end + 4], "big"):
            raise UnreadableImage(f"{kind.decode()} at byte {at} is not as its CRC says: get the picture again")
        yield Chunk(kind, at + 8, length)
        if kind == b"IEND":
            return
        at = end + 4


def _crc(data: bytes, start: int, end: int) -> int:
    crc = 0
    for at in range(start, end, _PIECE):
        crc = zlib.crc32(data[at : min(at + _PIECE, end)], crc)
    return crc


class Order:
    """Looks at the chunks as they come. Raises UnreadableImage for one that may not be where it is, or at all."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._seen: set[bytes] = set()
        self._last = b""

    def check(self, chunk: Chunk) -> None:
        if chunk.type in _ANIMATION:
            raise UnsupportedImage(
                f"{chunk.name} makes it an animation (APNG): extract a frame, or keep the file as it is"
            )
        wrong = self._wrong(chunk)
        if wrong:
            raise UnreadableImage(f"{wrong}: get the picture again")
        self._seen.add(chunk.type)
        self._last = chunk.type

    def _wrong(self, chunk: Chunk) -> str | None:
        if chunk.type == b"IDAT":
            if b"IDAT" in self._seen and self._last != b"IDAT":
                return f"{self._last.decode()} is between two IDAT chunks"
            return "PLTE is missing" if self._kind == "palette" and b"PLTE" not in self._seen else None
        if chunk.type == b"IEND":
            if b"IDAT" not in self._seen:
                return "IDAT is missing"
            return f"IEND has {chunk.length} bytes, not 0" if chunk.length else None
        if chunk.type[0] & 0x20:  # a small letter: who does not know it may go on
            return None
        if chunk.type not in (b"IHDR", b"PLTE"):
            return f"{chunk.name} is a critical chunk that is not known"
        if chunk.type in self._seen:
            return f"{chunk.name} is there twice"
        if chunk.type == b"IHDR":
            return None
        if b"IDAT" in self._seen or self._kind.startswith("grey"):
            return f"PLTE is {'after IDAT' if b'IDAT' in self._seen else f'in a picture of kind {self._kind}'}"
        return None if chunk.length in range(3, 769, 3) else f"PLTE has {chunk.length} bytes, not 3 to 768"


def written(kind: bytes, content: bytes) -> bytes:
    """A whole chunk."""
    head = len(content).to_bytes(4, "big") + kind
    return head + content + zlib.crc32(content, zlib.crc32(kind)).to_bytes(4, "big")


def header_chunk(of: Header) -> bytes:
    methods = of.width, of.height, of.depth, TYPES[of.kind], 0, 0, of.interlaced
    return written(b"IHDR", struct.pack(">IIBBBBB", *methods))
