"""The chunks of a WebP: what is in the RIFF, read without decoding anything.

A chunk is a name of four bytes, the length of its content (little-endian, four bytes), the content, and a zero where
that length is odd. (RFC 9649.)
"""

from __future__ import annotations

from collections.abc import Iterator

from codec.errors import UnreadableImage

VP8L = b"VP8L"
_FRAME = 16  # bytes of an ANMF chunk before its own chunks
_LOSSLESS, _LOSSY = 0x2F, b"\x9d\x01\x2a"  # how VP8L begins, and what VP8's key frame has from its fourth byte on


def is_webp(data: bytes) -> bool:
    """Whether this begins as any WebP does."""
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP"


def riff_end(data: bytes) -> int:
    """The place behind the RIFF. Raises UnreadableImage."""
    end = 8 + int.from_bytes(data[4:8], "little")
    if not 12 <= end <= len(data):
        raise UnreadableImage(f"a damaged WebP, it has {len(data)} bytes of {end}: get the file again")
    return end


def chunks(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Each chunk's name and where its content begins and ends. Raises UnreadableImage for one that is cut off."""
    while at < end:
        start = at + 8
        stop = start + int.from_bytes(data[at + 4 : at + 8], "little")
        if stop > end or start > end:
            raise UnreadableImage("a damaged WebP, a chunk is cut off: get the file again")
        yield bytes(data[at : at + 4]), start, stop
        at = stop + stop % 2


def holds_lossy(data: bytes) -> bool:
    """Whether the picture of a WebP, or a frame of its animation, is lossy (VP8); of one that is cut off, as far as
    there is any."""
    return lossy_and_animated(data)[0]


def lossy_and_animated(data: bytes) -> tuple[bool, bool]:
    """Whether a WebP is lossy as `holds_lossy` says, and whether it is an animation."""
    animated = False
    at, end = 12, len(data)
    while at + 8 <= end:
        name, size = bytes(data[at : at + 4]), int.from_bytes(data[at + 4 : at + 8], "little")
        if name in (VP8L, b"VP8 "):
            return name != VP8L, animated
        if name == b"ANMF":
            animated, at = True, at + 8 + _FRAME  # into the frame
            inner = _first_picture(data, at, min(at - _FRAME + size, end))
            if inner == b"VP8 ":
                return True, True
            at += size + size % 2 - _FRAME
        else:
            at += 8 + size + size % 2
    return False, animated


def _first_picture(data: bytes, at: int, end: int) -> bytes | None:
    while at + 8 <= end:
        name, size = bytes(data[at : at + 4]), int.from_bytes(data[at + 4 : at + 8], "little")
        if name in (VP8L, b"VP8 "):
            return name
        at += 8 + size + size % 2
    return None


def canvas(data: bytes) -> tuple[int, int] | None:
    """Width and height of the canvas, from a file's chunks from the first on; None without a VP8X."""
    if data[:4] != b"VP8X" or len(data) < 18:
        return None
    return 1 + int.from_bytes(data[12:15], "little"), 1 + int.from_bytes(data[15:18], "little")


def size_of(code: bytes) -> tuple[int, int] | None:
    """Width and height by the header of VP8L's or VP8's content; None for neither."""
    if len(code) >= 5 and code[0] == _LOSSLESS and code[4] < 0x20:
        bits = int.from_bytes(code[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if len(code) >= 10 and code[3:6] == _LOSSY:
        return int.from_bytes(code[6:8], "little") & 0x3FFF, int.from_bytes(code[8:10], "little") & 0x3FFF
    return None
