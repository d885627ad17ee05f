"""A file's chunks: what is said before the payloads.

    magic, version, chunk, chunk, ..., the last chunk, payloads

A chunk is a byte of type, its length as a varint, its body, and the CRC-32 of all three. The last one is a picture's or
a kept file's; payloads follow it up to the end of the file. A reader that does not know a type passes over the chunk if
the type is a lower-case letter, and refuses the file if it is a capital.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from codec.errors import DamagedFile, NotAnLmcFile, UnknownVersion
from codec.format.numbers import Reader, varint

MAGIC = b"\x89LM"
VERSION = 1
PICTURE, KEPT, JPEG, FILE = b"P", b"K", b"J", b"f"  # types
_LAST = (PICTURE, KEPT)
_KNOWN = (*_LAST, JPEG, FILE)
_CRC = 4  # bytes


@dataclass(frozen=True)
class Chunks:
    """Bodies by type, the type of the last chunk, types that were passed over, because they are unknown or damaged,
    whether one of these is damaged, and where payloads begin."""

    bodies: dict[bytes, bytes]
    last: bytes
    passed_over: tuple[str, ...]
    damaged: bool
    end: int


def pack_chunks(bodies: dict[bytes, bytes]) -> bytes:
    """Magic, version and chunks, in this order."""
    found = [MAGIC, bytes([VERSION])]
    for kind, body in bodies.items():
        chunk = kind + varint(len(body)) + body
        found += [chunk, zlib.crc32(chunk).to_bytes(_CRC, "little")]
    return b"".join(found)


def read_chunks(data: bytes | memoryview, *, whole: bool = True) -> Chunks:
    """The chunks of a file; whole False passes over damaged ones that need not be understood. Raises NotAnLmcFile,
    UnknownVersion or DamagedFile."""
    start = bytes(data[: len(MAGIC) + 1])
    if start[: len(MAGIC)] != MAGIC:
        raise NotAnLmcFile(f"the file starts with {start[: len(MAGIC)]!r}, not as a compressed image (.lmc) does")
    if len(start) > len(MAGIC) and start[-1] != VERSION:
        raise UnknownVersion(f"the file has format version {start[-1]}; this program reads version {VERSION}")
    reader, bodies, passed_over, damaged = Reader(data), dict[bytes, bytes](), list[str](), False
    reader.take(len(start))
    while True:
        at = reader.at
        kind, body = reader.take(1), reader.blob()
        intact = zlib.crc32(data[at : reader.at]) == reader.number(_CRC)
        if not intact and (whole or not kind.islower()):
            raise DamagedFile(
                f"the checksum of the chunk of type {kind!r} is not that of its bytes: get the file again"
            )
        if kind in bodies:
            raise DamagedFile(f"there are two chunks of type {kind!r}: get the file again")
        if kind in _KNOWN and intact:
            bodies[kind] = body
        elif kind.islower():
            passed_over.append(kind.decode())
            damaged = damaged or not intact
        else:
            raise UnknownVersion(f"the file has a chunk of type {kind!r}, which a newer version of this program reads")
        if kind in _LAST:
            return Chunks(bodies, kind, tuple(passed_over), damaged, reader.at)
