"""What is said of the file that was compressed: its name's ending, times and permissions, and what it held besides its
samples.

A reader that wants the samples alone may pass over it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from codec.errors import DamagedFile
from codec.format.numbers import Reader, blob, varint
from codec.format.packed import pack, unpack

FORMATS = ("png", "tiff", "bmp", "pnm", "tga", "qoi", "gif", "webp")  # by number, from 1 on; 0 is none
_EXACT, _MODIFIED, _PERMISSIONS, _SUFFIX = 1, 2, 4, 8
_BEFORE_1970, _STRIPPED = 16, 32
_NANOSECONDS = 10**9
_MOST_REST = 2**32  # bytes
_SUFFIXES = re.compile(r"\.[^./\\\0]{1,250}")
_MOST_PERMISSIONS = 0o777


@dataclass(frozen=True)
class SourceFile:
    """format: one of FORMATS, None where only the outside of a file is said. rest: what its format's module takes to
    make a file of the samples again; exact: size and CRC-32 of the file where that is the very same. suffix: of its
    name, with the dot or empty, None where it is the usual one. modified: when, in nanoseconds since 1970, of 64 bits
    with a sign. permissions: of POSIX, 0 to 0o777. stripped: whether what came with the samples was left out."""

    format: str | None = None
    rest: bytes = b""
    exact: tuple[int, int] | None = None
    suffix: str | None = None
    modified: int | None = None
    permissions: int | None = None
    stripped: bool = False


def pack_source(source: SourceFile, likely: bytes = b"") -> bytes:
    """The body of its chunk. likely: bytes that the rest may repeat."""
    number = 0 if source.format is None else FORMATS.index(source.format) + 1
    flags, found = _STRIPPED * source.stripped, []
    if source.exact is not None:
        flags |= _EXACT
        found += [varint(source.exact[0]), source.exact[1].to_bytes(4, "little")]
    if source.modified is not None:
        flags |= _MODIFIED | _BEFORE_1970 * (source.modified < 0)
        found += [varint(part) for part in divmod(abs(source.modified), _NANOSECONDS)]
    if source.permissions is not None:
        flags |= _PERMISSIONS
        found.append(varint(source.permissions))
    if source.suffix is not None:
        flags |= _SUFFIX
        found.append(blob(source.suffix.encode()))
    rest = b"" if source.format is None else varint(len(source.rest)) + pack(source.rest, likely)
    return b"".join([bytes([number, flags]), *found, rest])


def read_source(body: bytes, likely: bytes = b"", most: int = _MOST_REST) -> SourceFile:
    """The source of a chunk's body, of whose rest at most so many bytes are unpacked. Raises DamagedFile."""
    reader = Reader(body)
    number, flags = reader.byte(), reader.byte()
    stripped = bool(flags & _STRIPPED)
    if number > len(FORMATS) or flags >= 2 * _STRIPPED or (flags & _BEFORE_1970 and not flags & _MODIFIED):
        raise DamagedFile(
            "the file came in a format that this program does not know: get a newer one, or the samples alone with "
            "decompress --salvage"
        )
    exact = (reader.varint(), reader.number(4)) if flags & _EXACT else None
    modified = None
    if flags & _MODIFIED:
        seconds, rest = reader.varint(), reader.varint()
        if rest >= _NANOSECONDS or seconds * _NANOSECONDS + rest >= 1 << 63:
            raise DamagedFile(f"{seconds} s and {rest} ns are no time of a file: get the file again")
        modified = (seconds * _NANOSECONDS + rest) * (-1 if flags & _BEFORE_1970 else 1)
    permissions = reader.varint() if flags & _PERMISSIONS else None
    if permissions is not None and permissions > _MOST_PERMISSIONS:  # no program runs as somebody else
        raise DamagedFile(f"permissions {permissions:o} are none of a file's: get the file again")
    try:
        suffix = str(reader.blob(), "utf-8") if flags & _SUFFIX else None
    except UnicodeDecodeError as error:
        raise DamagedFile("the name's ending is no text: get the file again") from error
    if suffix and not _SUFFIXES.fullmatch(suffix):
        raise DamagedFile(f"{suffix!r} is no ending of a name: get the file again")
    if number == 0:
        reader.done()
        return SourceFile(None, b"", exact, suffix, modified, permissions, stripped)
    size = reader.varint()
    if size > most:
        raise DamagedFile(f"{size} bytes are said of a file besides its samples: get the file again")
    packed = reader.take(reader.left)
    rest_bytes = unpack(packed, size, likely)
    if len(rest_bytes) != size:
        raise DamagedFile("what is said of a file does not unpack to its size: get the file again")
    return SourceFile(FORMATS[number - 1], rest_bytes, exact, suffix, modified, permissions, stripped)
