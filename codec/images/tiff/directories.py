"""Image file directories (IFDs): tables of tags, in TIFF and BigTIFF, of both byte orders.

Positions are those in the file. Nothing here reads more than the file holds: tables and values are held against its
size before memory is taken for them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from codec.errors import UnreadableImage
from codec.images.tiff import tags
from codec.images.tiff.holes import FileWithHoles

_POINTERS = ((tags.SUB_IFDS, True), (tags.EXIF, False), (tags.GPS, False), (tags.INTEROPERABILITY, False))


@dataclass(frozen=True)
class Form:
    """order: "<" for Intel's bytes, ">" for Motorola's. big: whether it is a BigTIFF, with 64 bits for positions."""

    order: str
    big: bool

    @property
    def header_bytes(self) -> int:
        return 16 if self.big else 8

    @property
    def offset(self) -> struct.Struct:
        """A position in the file; a value of at most as many bytes stands in its place."""
        return struct.Struct(self.order + ("Q" if self.big else "I"))

    @property
    def entry(self) -> struct.Struct:
        """Tag, type and count; the value or its position follows."""
        return struct.Struct(self.order + ("HHQ" if self.big else "HHI"))

    @property
    def entries(self) -> struct.Struct:
        """How many entries a directory has."""
        return struct.Struct(self.order + ("Q" if self.big else "H"))


@dataclass(frozen=True)
class Entry:
    """A tag: at is where its entry begins, value_at where its value does, of `size` bytes (0: of unknown type)."""

    tag: int
    type: int
    count: int
    at: int
    value_at: int
    size: int


@dataclass(frozen=True)
class Directory:
    """A table of tags at a position, of `size` bytes with the position of the next directory (0: none)."""

    at: int
    size: int
    entries: tuple[Entry, ...]
    next: int

    def entry(self, tag: int) -> Entry | None:
        """The first entry of this tag."""
        return next((entry for entry in self.entries if entry.tag == tag), None)


@dataclass(frozen=True)
class Found:
    """A directory and what it is called: "page 2", "picture 1 in SubIFDs", "EXIF"."""

    name: str
    directory: Directory


def is_header(start: bytes) -> bool:
    return start[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def read_header(file: FileWithHoles) -> tuple[Form, int]:
    """The file's form and where its first directory is. Raises UnreadableImage."""
    start = file.read(0, 8)
    if not is_header(start):
        raise UnreadableImage(f"begins with {start[:4].hex()}, which no TIFF does: get the file again")
    order = "<" if start[:1] == b"I" else ">"
    form = Form(order, 43 in struct.unpack(order + "H", start[2:4]))
    if not form.big:
        return form, form.offset.unpack(start[4:])[0]
    offset_bytes, zero = struct.unpack(order + "HH", start[4:])
    if (offset_bytes, zero) != (8, 0):
        raise UnreadableImage(f"is a BigTIFF with positions of {offset_bytes} bytes, not 8: get the file again")
    return form, form.offset.unpack(file.read(8, 8))[0]


def read_directory(file: FileWithHoles, form: Form, at: int) -> Directory:
    """The directory at this position. Raises UnreadableImage."""
    if at < form.header_bytes:
        raise UnreadableImage(f"has a directory at byte {at}, in its own header: get the file again")
    (count,) = form.entries.unpack(file.read(at, form.entries.size))
    start, each = at + form.entries.size, form.entry.size + form.offset.size
    table = file.read(start, count * each + form.offset.size)
    entries = []
    for place in range(0, count * each, each):
        tag, kind, number = form.entry.unpack_from(table, place)
        size = tags.TYPE_BYTES.get(kind, 0) * number
        value_at = start + place + form.entry.size
        if size > form.offset.size:
            (value_at,) = form.offset.unpack_from(table, place + form.entry.size)
        entries.append(Entry(tag, kind, number, start + place, value_at, size))
    (following,) = form.offset.unpack_from(table, count * each)
    return Directory(at, form.entries.size + len(table), tuple(entries), following)


def numbers(file: FileWithHoles, form: Form, entry: Entry) -> np.ndarray:
    """The values of a tag of whole numbers from 0 on, [N] uint64. Raises UnreadableImage."""
    if entry.type not in tags.UNSIGNED:
        raise UnreadableImage(f"has tag {entry.tag} of type {entry.type}, which is no whole number: get the file again")
    stored = file.read(entry.value_at, entry.size)
    return np.frombuffer(stored, f"{form.order}u{tags.UNSIGNED[entry.type]}").astype(np.uint64)


class _Reading:
    """Directories as they are read: none twice, and not more of them than there is file for."""

    def __init__(self, file: FileWithHoles, form: Form) -> None:
        self.file, self.form = file, form
        self._seen: set[int] = set()
        self._room = file.size

    def next(self, at: int) -> Directory:
        """The directory there. Raises UnreadableImage."""
        if at in self._seen:
            raise UnreadableImage(f"has directories in a circle, at byte {at}: get the file again")
        self._seen.add(at)
        directory = read_directory(self.file, self.form, at)
        self._room -= directory.size
        if self._room < 0:
            raise UnreadableImage(f"has directories over each other, at byte {at}: get the file again")
        return directory


def all_directories(file: FileWithHoles, form: Form, first: int) -> list[Found]:
    """Every directory of the file, pages first. Raises UnreadableImage, also for directories that come back."""
    reading = _Reading(file, form)
    found: list[Found] = []
    at = first
    while at:
        found.append(Found(f"page {len(found) + 1}", reading.next(at)))
        at = found[-1].directory.next
    for owner in found:  # which grows by what it points to
        for tag, is_picture in _POINTERS:
            entry = owner.directory.entry(tag)
            if entry is not None:
                found += _pointed_at(reading, entry, is_picture)
    return found


def _pointed_at(reading: _Reading, entry: Entry, is_picture: bool) -> list[Found]:
    """The directories that a tag points to; what cannot be read of those without pictures is no directory."""
    found = []
    try:
        for number, at in enumerate(numbers(reading.file, reading.form, entry).tolist(), 1):
            name = f"picture {number} in SubIFDs" if is_picture else tags.NAMES.get(entry.tag, f"tag {entry.tag}")
            found.append(Found(name, reading.next(at)))
    except UnreadableImage:
        if is_picture:
            raise
    return found
