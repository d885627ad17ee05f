"""What a TIFF says besides its samples: its other tags, directories, pages and bytes that nothing refers to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codec.errors import UnreadableImage
from codec.images.samples import Item
from codec.images.tiff import tags
from codec.images.tiff.directories import Directory, Entry, Form, Found, all_directories, numbers, read_header
from codec.images.tiff.holes import FileWithHoles
from codec.images.tiff.page import Page

_DATA = (
    (tags.STRIP_OFFSETS, tags.STRIP_COUNTS),
    (tags.TILE_OFFSETS, tags.TILE_COUNTS),
    (tags.JPEG_AT, tags.JPEG_LENGTH),
)


@dataclass(frozen=True)
class _Stretch:
    """Bytes of the file that a directory has: at, size, and the tag whose value they are (None: of the table, data)."""

    at: int
    size: int
    tag: int | None = None


def items(file: FileWithHoles) -> list[Item]:
    """The metadata of a file whose first page's samples are its holes, each with its bytes in the file."""
    form, first = read_header(file)
    directories = all_directories(file, form, first)
    apart = {named.name for named in directories}
    known = [(0, form.header_bytes)]
    stretches_of = _all_stretches(file, form, directories)  # bounds what is read from here on
    found = [
        Item(tags.NAMES.get(entry.tag, f"tag {entry.tag}"), _value(file, entry))
        for entry in directories[0].directory.entries
        if entry.tag not in tags.NEEDED and tags.NAMES.get(entry.tag) not in apart
    ]
    for number, (name, stretches) in enumerate(stretches_of):
        known += [(stretch.at, stretch.size) for stretch in stretches]
        if number:
            found.append(Item(name, b"".join(_read(file, stretch.at, stretch.size) for stretch in stretches)))
    others = _unknown(file, known)
    return [*found, Item("other bytes", others)] if others else found


def check_apart(file: FileWithHoles, page: Page) -> None:
    """Refuse a file in which something else uses the bytes of the first page's samples, or of what places them.

    Raises UnreadableImage.
    """
    form, first = read_header(file)
    directories = all_directories(file, form, first)
    placing = [entry for entry in (page.offsets, page.counts) if entry is not None]
    for number, (name, stretches) in enumerate(_all_stretches(file, form, directories)):
        for stretch in stretches:
            if file.touches(stretch.at, stretch.size):
                raise UnreadableImage(f"has samples where its {name} is, at byte {stretch.at}: get it again")
            if not number and stretch.tag is None:
                continue  # the table, which has the values that are short enough
            others = [entry for entry in placing if number or entry.tag != stretch.tag]
            end = stretch.at + stretch.size
            if any(entry.value_at < end and stretch.at < entry.value_at + entry.size for entry in others):
                raise UnreadableImage(f"has tags over each other at byte {stretch.at}: get the file again")


def minimal(file: FileWithHoles, form: Form, directory: Directory) -> bytes:
    """A TIFF of the same form with only the tags that samples need, and zeros where blocks are placed."""
    sound = [entry for entry in directory.entries if entry.tag in tags.NEEDED and _is_sound(file, entry)]
    kept = {entry.tag: entry for entry in reversed(sound)}  # the first of each tag is the one that is read
    zeros = (tags.STRIP_OFFSETS, tags.STRIP_COUNTS, tags.TILE_OFFSETS, tags.TILE_COUNTS)
    each, start = form.entry.size + form.offset.size, form.header_bytes
    values_at = start + form.entries.size + len(kept) * each + form.offset.size
    table, values = bytearray(form.entries.pack(len(kept))), bytearray()
    for tag in sorted(kept):
        entry = kept[tag]
        value = bytes(entry.size) if tag in zeros else _value(file, entry)
        table += form.entry.pack(tag, entry.type, entry.count)
        if entry.size > form.offset.size:
            table += form.offset.pack(values_at + len(values))
            values += value + bytes(len(value) % 2)
        else:
            table += value.ljust(form.offset.size, b"\0")
    header = file.read(0, start - form.offset.size) + form.offset.pack(start)
    return bytes(header + table + form.offset.pack(0) + values)


def _all_stretches(file: FileWithHoles, form: Form, directories: list[Found]) -> list[tuple[str, list[_Stretch]]]:
    """The name and the bytes of each directory, data but for the first. Raises UnreadableImage for too many of them."""
    found, room = [], 2 * file.size
    for number, named in enumerate(directories):
        stretches = _stretches(file, form, named.directory, with_data=number > 0)
        room -= sum(stretch.size for stretch in stretches)
        if room < 0:
            raise UnreadableImage(f"has tags over each other in its {named.name}: get the file again")
        found.append((named.name, stretches))
    return found


def _stretches(file: FileWithHoles, form: Form, directory: Directory, *, with_data: bool) -> list[_Stretch]:
    """The bytes of a directory: its table, values that are in the file, and its picture's data."""
    found = [_Stretch(directory.at, directory.size)]
    for entry in directory.entries:
        if entry.size > form.offset.size and entry.value_at + entry.size <= file.size:
            found.append(_Stretch(entry.value_at, entry.size, entry.tag))
    if with_data:
        for at_tag, size_tag in _DATA:
            found += _data(file, form, directory.entry(at_tag), directory.entry(size_tag))
    return found


def _data(file: FileWithHoles, form: Form, offsets: Entry | None, counts: Entry | None) -> list[_Stretch]:
    """The strips, tiles or JPEG of another picture, as far as they can be found."""
    if offsets is None or counts is None:
        return []
    try:
        pairs = zip(numbers(file, form, offsets).tolist(), numbers(file, form, counts).tolist())
    except UnreadableImage:
        return []
    return [_Stretch(at, size) for at, size in pairs if size and at + size <= file.size]


def _value(file: FileWithHoles, entry: Entry) -> bytes:
    """The bytes of a tag's value; of one whose type is not known or that is not in the file, its entry's."""
    if _is_sound(file, entry):
        return file.read(entry.value_at, entry.size)
    return file.read(entry.at, 12)


def _is_sound(file: FileWithHoles, entry: Entry) -> bool:
    return 0 < entry.size <= file.size - entry.value_at and not file.touches(entry.value_at, entry.size)


def _read(file: FileWithHoles, at: int, size: int) -> bytes:
    """Bytes of a file; none where a hole is."""
    return b"" if file.touches(at, size) or at + size > file.size else file.read(at, size)


def _unknown(file: FileWithHoles, known: list[tuple[int, int]]) -> bytes:
    """The kept bytes that are in none of these stretches, without zeros: they are where holes have been, too."""
    free = np.ones(len(file.kept), np.uint8)
    for at, size in known:
        if at + size <= file.size and not file.touches(at, size):
            start = file.index(at)
            free[start : start + size] = 0
    kept = np.frombuffer(file.kept, np.uint8)
    return kept[(free == 1) & (kept != 0)].tobytes()
