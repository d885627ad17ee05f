"""The .lmc container, as docs/format.md specifies it to the byte: chunks, then payloads.

A file holds a picture, perhaps after the JPEG that made it, or keeps another file whole; before either stands what is
said of the file that was compressed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO

from codec.errors import DamagedFile
from codec.format import chunks
from codec.format.chunks import FILE, JPEG, KEPT, PICTURE, pack_chunks, read_chunks
from codec.format.kept import KeptFile, pack_kept, read_kept
from codec.format.method import NEEDS_JPEG
from codec.format.picture import KINDS, MAX_PIXELS, Picture, pack_picture, read_picture
from codec.format.source import SourceFile, pack_source, read_source

MAGIC, VERSION = chunks.MAGIC, chunks.VERSION
_ANY_REST, _REST_OF_SAMPLE = 2**26, 16  # bytes
_FIRST = 2**14  # bytes that are read to find the header


@dataclass(frozen=True)
class Contents:
    """What a file holds: a picture or a kept file, coefficients of a JPEG that made the picture or most of it, what is
    said of the file it was, types of chunks that were passed over, and whether one of these was damaged."""

    held: Picture | KeptFile
    jpeg: bytes | None = None
    source: SourceFile | None = None
    passed_over: tuple[str, ...] = ()
    damaged: bool = False

    @property
    def picture(self) -> Picture | None:
        return self.held if isinstance(self.held, Picture) else None

    @property
    def kept(self) -> KeptFile | None:
        return self.held if isinstance(self.held, KeptFile) else None


def pack(contents: Contents) -> bytes:
    """The bytes of a file."""
    held, bodies = contents.held, dict[bytes, bytes]()
    if contents.source is not None:
        bodies[FILE] = pack_source(contents.source, _likely(held))
    if contents.jpeg is not None:
        bodies[JPEG] = contents.jpeg
    if isinstance(held, KeptFile):
        return pack_chunks({**bodies, KEPT: pack_kept(held)}) + held.payload
    payloads = [tile.payload or b"" for tile in held.tiles]
    return b"".join([pack_chunks({**bodies, PICTURE: pack_picture(held)}), *payloads])


def read(data: bytes | memoryview, max_pixels: int | None = MAX_PIXELS, *, whole: bool = True) -> Contents:
    """What a file holds, all checked but the payloads, whose samples have checksums. data: `bytes`, or a memoryview of
    what has their interface, which is not copied.

    max_pixels None sets no bound: nothing of the picture's size is allocated, but for what is said of a file, which is
    held against MAX_PIXELS then. whole False allows a picture whose last payloads are missing, and passes over what is
    said of a file where that is damaged. Raises NotAnLmcFile, UnknownVersion, ImageTooLarge or DamagedFile.
    """
    found = read_chunks(data, whole=whole)
    payloads = memoryview(data)[found.end :]
    held: Picture | KeptFile
    if found.last == KEPT:
        held = read_kept(found.bodies[KEPT], payloads)
    else:
        held = read_picture(found.bodies[PICTURE], payloads, max_pixels, whole=whole)
    jpeg = found.bodies.get(JPEG)
    if isinstance(held, KeptFile) and jpeg is not None:
        raise DamagedFile("a JPEG stands before a file that is kept: get the file again")
    if isinstance(held, Picture) and jpeg is None and any(tile.method in NEEDS_JPEG for tile in held.tiles):
        raise DamagedFile("a tile needs a JPEG that the file has not: get the file again")
    most = most_rest(held, MAX_PIXELS if max_pixels is None else max_pixels)
    source, passed_over, damaged = None, found.passed_over, found.damaged
    try:
        source = read_source(found.bodies[FILE], _likely(held), most) if FILE in found.bodies else None
    except DamagedFile:
        if whole:
            raise
        passed_over, damaged = (*passed_over, FILE.decode()), True
    return Contents(held, jpeg, source, passed_over, damaged)


def read_beginning(stream: IO[bytes]) -> Contents:
    """What the beginning of a file says, of which no more is read than is needed: all of one that is kept whole.
    Payloads that were not read are None. Raises as `read` does."""
    data = stream.read(_FIRST)
    while True:
        try:
            return read(data, None, whole=False)
        except DamagedFile:
            more = stream.read(max(len(data), _FIRST))
            if not more:
                raise
            data += more


def most_rest(held: Picture | KeptFile, max_pixels: int = MAX_PIXELS) -> int:
    """How many bytes may be said of a file besides its samples: a bound on what a small file unpacks to."""
    if isinstance(held, KeptFile):
        return 0
    header = held.header
    samples = min(header.width * header.height, max_pixels) * KINDS[header.kind].channels
    return _ANY_REST + _REST_OF_SAMPLE * samples


def _likely(held: Picture | KeptFile) -> bytes:
    """What a rest may repeat: a palette."""
    return (held.header.palette or b"") if isinstance(held, Picture) else b""
