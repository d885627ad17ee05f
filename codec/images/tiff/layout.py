"""Where strips and tiles stand in a file that is put together: where they stood, or anew.

As they stood: the tags that place blocks are kept as what they differ from the expected by, modulo 2**(bits of their
type). Expected of a count is the block's size, and of an offset the one before plus its count (0 for the first), so
that these tags are mostly zeros. Anew: blocks fill the holes in order, as far as they go, and are put behind the file
where they do not; the tags are written for it, bytes of holes that are left are zeros. A tag whose type is too short
for that is written anew behind the blocks, with the file's type for positions.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from codec.errors import DamagedFile, UnreadableImage
from codec.images.tiff import tags
from codec.images.tiff.blocks import Written
from codec.images.tiff.directories import Entry, Form, numbers
from codec.images.tiff.holes import FileWithHoles, merged, patched
from codec.images.tiff.page import Page

_PIECE = 1 << 20  # bytes that small pieces are joined to


def differences(
    file: FileWithHoles, form: Form, page: Page, offsets: np.ndarray, counts: np.ndarray, sizes: np.ndarray
) -> FileWithHoles:
    """The file with what its tags differ from the expected by: all arrays are [blocks] uint64, but sizes int64."""
    expected = np.concatenate([[np.uint64(0)], (offsets + counts)[:-1]])
    changes = [(page.offsets, offsets - expected)]
    if page.counts is not None:
        changes.append((page.counts, counts - sizes.astype(np.uint64)))
    return patched(file, [(entry.value_at, _stored(form, entry, values)) for entry, values in changes])


def zeroed(file: FileWithHoles, page: Page) -> FileWithHoles:
    """The file with zeros where its tags place blocks."""
    return patched(file, [(entry.value_at, bytes(entry.size)) for entry in (page.offsets, page.counts) if entry])


def as_it_stood(file: FileWithHoles, form: Form, page: Page, blocks: Written, sizes: np.ndarray) -> Iterator | None:
    """The file's pieces with blocks where they stood; None where their sizes are not those of the holes."""
    counts = sizes.astype(np.uint64)
    patches = []
    if page.counts is not None:
        counts = _masked(numbers(file, form, page.counts) + counts, page.counts)
        patches.append((page.counts.value_at, _stored(form, page.counts, counts)))
    steps = numbers(file, form, page.offsets)
    steps[1:] += counts[:-1]
    offsets = _masked(np.add.accumulate(steps), page.offsets)
    patches.append((page.offsets.value_at, _stored(form, page.offsets, offsets)))
    if (offsets > file.size).any():
        return None
    try:
        if merged(offsets.astype(np.int64), sizes) != file.holes:
            return None
    except UnreadableImage:  # two blocks overlap
        return None
    return _pieces(patched(file, patches), blocks, offsets.astype(np.int64), sizes)


def anew(file: FileWithHoles, form: Form, page: Page, blocks: Written, sizes: np.ndarray) -> Iterator[bytes]:
    """The file's pieces with blocks where there is room. Raises DamagedFile where the file gets too long for its form.

    Not all of its bytes are held in memory; blocks come one after the other.
    """
    offsets, end = _places(file, sizes.tolist())
    patches, behind = [], bytearray()
    for entry, values in ((page.offsets, offsets), (page.counts, sizes)):
        if entry is None:
            continue
        if int(values.max()) < 1 << 8 * tags.UNSIGNED[entry.type]:
            patches.append((entry.value_at, _stored(form, entry, values.astype(np.uint64))))
            continue
        if end + len(behind) + 8 * len(values) >= 1 << 8 * form.offset.size:
            raise DamagedFile(f"the file would be {end} bytes long, too many for a TIFF: write it as another format")
        longer = Entry(entry.tag, tags.LONG8 if form.big else tags.LONG, entry.count, entry.at, 0, 0)
        stored = _stored(form, longer, values.astype(np.uint64))
        value = stored.ljust(form.offset.size, b"\0")
        if len(stored) > form.offset.size:
            value = form.offset.pack(end + len(behind))
            behind += stored
        patches.append((entry.at, form.entry.pack(entry.tag, longer.type, entry.count) + value))
    return _pieces(patched(file, patches), blocks, offsets, sizes, bytes(behind), end)


def _places(file: FileWithHoles, sizes: list[int]) -> tuple[np.ndarray, int]:
    """Where to put blocks of these sizes, [blocks] int64, and where they end behind the file."""
    holes = iter(file.holes)
    at, room = next(holes, (0, 0))
    end = file.size + file.size % 2
    offsets = np.zeros(len(sizes), np.int64)
    for block, size in enumerate(sizes):
        while room < size and at:
            at, room = next(holes, (0, 0))
        if at:
            offsets[block], at, room = at, at + size, room - size
        else:
            offsets[block], end = end, end + size + size % 2
    return offsets, end


def _masked(values: np.ndarray, entry: Entry) -> np.ndarray:
    """values modulo 2**(bits of the entry's type)."""
    return values & np.uint64((1 << 8 * tags.UNSIGNED[entry.type]) - 1)


def _stored(form: Form, entry: Entry, values: np.ndarray) -> bytes:
    """uint64 values as the entry's type stores them, modulo 2**(its bits)."""
    return values.astype(f"{form.order}u{tags.UNSIGNED[entry.type]}").tobytes()


def _pieces(
    file: FileWithHoles, blocks: Written, offsets: np.ndarray, sizes: np.ndarray, behind: bytes = b"", end: int = 0
) -> Iterator[bytes]:
    """The file with its blocks in and behind it, zeros where nothing is, and `behind` from `end` on."""
    held = bytearray()
    for piece in _small_pieces(file, blocks, offsets, sizes, behind, end):
        held += piece
        if len(held) >= _PIECE:
            yield bytes(held)
            held.clear()
    yield bytes(held)


def _small_pieces(
    file: FileWithHoles, blocks: Written, offsets: np.ndarray, sizes: np.ndarray, behind: bytes, end: int
) -> Iterator[bytes]:
    kept = [(at, start, stop) for at, start, stop in file.pieces()]
    order = np.argsort(offsets, kind="stable").tolist()
    parts = [(at, stop - start, -1, start) for at, start, stop in kept]
    parts += [(int(offsets[block]), int(sizes[block]), block, 0) for block in order]
    at = 0
    for position, size, block, start in sorted(parts):
        yield from _zeros(position - at)
        at = position + size
        if block < 0:
            yield bytes(file.kept[start : start + size])
        else:
            yield from blocks.pieces(block)
    yield from _zeros(max(file.size, end if behind else 0) - at)
    yield behind


def _zeros(size: int) -> Iterator[bytes]:
    """This many zeros, in pieces."""
    for left in range(size, 0, -_PIECE):
        yield bytes(min(left, _PIECE))
