"""What is kept of a TIFF besides its samples, as bytes: the layout is in the docstring of the package."""

from __future__ import annotations

from dataclasses import dataclass

from codec.errors import DamagedFile
from codec.format.numbers import Reader, blob, varint
from codec.images.tiff import tags
from codec.images.tiff.compressions import Packing, read_packing
from codec.images.tiff.directories import Directory, Form, read_directory, read_header
from codec.images.tiff.holes import FileWithHoles
from codec.images.tiff.padding import EDGES, KEPT, ZEROS, Padding
from codec.images.tiff.page import Page, read_page

_STOOD, _ENDS, _FLAGS = 1, 2, 16  # bits of the first byte; the padding's rule is times 4 in it

MANY_PIXELS = 1 << 62  # a page is held against the samples, not against a bound


@dataclass(frozen=True)
class Kept:
    """file: the file but for its first page's blocks. stood: whether these go where they stood, as its tags say."""

    file: FileWithHoles
    packing: Packing
    padding: Padding
    stood: bool

    def to_bytes(self) -> bytes:
        first = self.stood * _STOOD + bool(self.padding.ends) * _ENDS + 4 * self.padding.rule
        parts = [bytes([first]), varint(self.packing.compression), self.packing.to_bytes()]
        if self.padding.rule == KEPT:
            parts.append(blob(self.padding.samples))
        if self.padding.ends:
            parts.append(blob(self.padding.ends))
        parts.append(varint(len(self.file.holes)))
        before = 0
        for at, size in self.file.holes:
            parts += [varint(at - before), varint(size)]
            before = at + size
        return b"".join([*parts, bytes(self.file.kept)])


def read_kept(rest: bytes) -> Kept:
    """What `to_bytes` wrote. Raises DamagedFile."""
    reader = Reader(rest)
    first, compression = reader.byte(), reader.varint()
    rule = first // 4
    known = (tags.NONE, tags.LZW, tags.DEFLATE, tags.OLD_DEFLATE, tags.PACKBITS)
    if first >= _FLAGS or rule not in (ZEROS, EDGES, KEPT) or compression not in known:
        raise DamagedFile(f"what was kept of a TIFF begins with {first} and {compression}: get the file again")
    packing = read_packing(reader, compression)
    samples = reader.blob() if rule == KEPT else b""
    ends = reader.blob() if first & _ENDS else b""
    holes, at = [], 0
    for number in range(reader.varint()):
        gap, size = reader.varint(), reader.varint()
        if not size or (number and not gap) or at + gap + size >= 1 << 62:
            raise DamagedFile(f"a hole of {size} bytes in what was kept of a TIFF: get the file again")
        holes.append((at + gap, size))
        at += gap + size
    file = FileWithHoles(reader.take(reader.left), tuple(holes))
    if at > file.size:
        raise DamagedFile(f"a hole up to byte {at} of {file.size} in what was kept of a TIFF: get the file again")
    return Kept(file, packing, Padding(rule, samples, ends), bool(first & _STOOD))


def first_page(file: FileWithHoles) -> tuple[Form, Directory, Page]:
    """The first page of what was kept. Raises UnreadableImage or UnsupportedImage."""
    form, at = read_header(file)
    directory = read_directory(file, form, at)
    return form, directory, read_page(file, form, directory, MANY_PIXELS)


def longest_holes(page: Page) -> int:
    """Bytes that all holes may have: no sane compression doubles samples."""
    return 2 * page.total_bytes + (1 << 20)
