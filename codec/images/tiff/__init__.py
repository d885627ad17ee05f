"""TIFF and BigTIFF: the first page's samples, and the file without them.

Read are grey (also with white as 0: samples stay as they are stored), RGB, palettes, CMYK and L*a*b* (kind "rgb", its
numbers as stored), with one extra channel at most, of 1 to 16 bits, with or without a sign (the sign bit is turned
over, so that samples lie from 0 on in order of size), in strips or tiles, together or in planes, without compression
or by LZW, deflate or PackBits. Orientation is left to its tag. Further pages, pictures in SubIFDs, EXIF and private
tags stay in the rest as bytes, at their positions in the file, and `metadata` names them.

The rest, whose integers are varints where nothing else is said:

    a byte       1 if blocks go where they stood (else they are laid out anew) + 2 if row ends follow
                 + 4 x the rule of the padding (0 zeros, 1 edges, 2 as kept here)
    compression  as the tag numbers it: 1, 5 (LZW), 8 or 32946 (deflate), 32773 (PackBits); then what its encoder did:
                 LZW: watches (0, 1), most (300 to 4096), closes (0, 1)
                 deflate: zlib's level, memory level, strategy and window bits
                 PackBits: rule (0 to 2), 1 if packets end with each row
    a blob       if the rule is 2: samples of padding;     a blob     if row ends follow: these
    holes        their number; of each the bytes of the file between the hole before (or the start) and it, its length
    to the end   the bytes of the file outside the holes, but tags that place blocks as their differences (or zeros)

compressions.py, lzw.py and packbits.py say what the encoders' numbers mean, padding.py the rules and orders of padding,
layout.py the differences and where blocks are put anew. Where zlib does not make the blocks that it made once, they are
laid out anew: the file is another one then, but of the same samples and tags.
"""

from __future__ import annotations

import lzma
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from codec.errors import DamagedFile, ImageTooLarge, UnreadableImage, UnsupportedImage
from codec.images.samples import Item, Parts, Samples
from codec.images.tiff import compressions, layout, opinion, tags
from codec.images.tiff import metadata as said
from codec.images.tiff.blocks import Read, Written, packings_of, read_blocks, same
from codec.images.tiff.directories import Form, is_header, numbers, read_directory, read_header
from codec.images.tiff.holes import Buffer, FileWithHoles, cut, merged
from codec.images.tiff.kept import MANY_PIXELS, Kept, first_page, longest_holes, read_kept
from codec.images.tiff.padding import Padding
from codec.images.tiff.page import Page, read_page

_TRIED = 3  # ways of compression, by which all blocks are made
_SMALL = 100  # bytes that padding may take in a rest, and a hundredth of the file


_PECULIAR = {0: "0 is white", **dict.fromkeys((8, 9, 10), "they are CIE L*a*b*")}  # by photometric


def recognises(data: Buffer) -> bool:
    """Whether the data begins as a TIFF or BigTIFF does."""
    return is_header(bytes(data[:4]))


def take_apart(data: Buffer, max_pixels: int) -> Parts:
    """The first page's samples, and the rest. Raises UnreadableImage, UnsupportedImage or ImageTooLarge."""
    view = memoryview(data)
    whole = FileWithHoles(view)
    form, first = read_header(whole)
    page = read_page(whole, form, read_directory(whole, form, first), max_pixels)
    offsets = numbers(whole, form, page.offsets)
    counts = _counts(whole, form, page)
    read = read_blocks(view, page, offsets, counts)
    holes = merged(offsets.astype(np.int64), read.sizes)
    if sum(size for _, size in holes) > longest_holes(page):
        raise UnsupportedImage("compressed strips that are twice as long as their samples are not read: write it anew")
    file = cut(view, holes)
    said.check_apart(file, page)
    samples = Samples(read.values, page.depth, page.kind, page.palette)
    packings = packings_of(view, page, read, offsets) if _is_small(read.padding, len(view)) else []
    stood = layout.differences(file, form, page, offsets, counts, read.sizes)
    for packing in packings[:_TRIED]:
        rest = Kept(stood, packing, read.padding, True).to_bytes()
        if same(put_together(samples, rest), view):
            return Parts(samples, rest, True)
    return Parts(samples, _anew(file, form, page, read), False)


def put_together(samples: Samples, rest: bytes) -> Iterator[bytes]:
    """The file of these samples, in pieces. Raises DamagedFile where the rest does not fit them."""
    try:
        kept = read_kept(rest)
        form, _, page = first_page(kept.file)
        shape = (page.height, page.width, page.channels)
        if (samples.values.shape, samples.depth, samples.kind) != (shape, page.depth, page.kind):
            found = f"{page.kind} of {page.depth} bits, {page.width} x {page.height}"
            raise DamagedFile(f"what was kept of a TIFF is for other samples, {found}: get the file again")
        if kept.packing.compression != page.compression:
            raise DamagedFile(f"compression {kept.packing.compression} is not that of the tags: get the file again")
        if sum(size for _, size in kept.file.holes) > longest_holes(page):
            raise DamagedFile("what was kept of a TIFF has holes too long for its samples: get the file again")
        blocks = Written(samples.values, page, kept.packing, kept.padding)
        sizes = blocks.sizes()
        pieces = layout.as_it_stood(kept.file, form, page, blocks, sizes) if kept.stood else None
        return pieces if pieces is not None else layout.anew(kept.file, form, page, blocks, sizes)
    except (UnreadableImage, UnsupportedImage, ImageTooLarge) as error:
        raise DamagedFile(f"what was kept of a TIFF {error}") from error


def metadata(rest: bytes) -> list[Item]:
    """The tags that samples do not need, other directories and pages, and bytes that nothing refers to."""
    try:
        return said.items(read_kept(rest).file)
    except (UnreadableImage, UnsupportedImage) as error:
        raise DamagedFile(f"what was kept of a TIFF {error}") from error


def peculiarity(rest: bytes) -> str | None:
    """What makes samples mean something else than those of a PNG of the same kind. Raises DamagedFile."""
    kept = read_kept(rest)
    try:
        form, directory, page = first_page(kept.file)
        values = [numbers(kept.file, form, entry) for entry in directory.entries if entry.tag == tags.PHOTOMETRIC]
    except (UnreadableImage, UnsupportedImage) as error:
        raise DamagedFile(f"what was kept of a TIFF {error}") from error
    return "they have a sign" if page.signed else _PECULIAR.get(int(values[0][0]) if values else 1)


def stripped(rest: bytes) -> bytes:
    """A rest with only the tags that samples need, and no other page; compression and blocks stay as they are."""
    kept = read_kept(rest)
    try:
        form, directory, _ = first_page(kept.file)
        alone = FileWithHoles(said.minimal(kept.file, form, directory))
        return replace(kept, file=alone, stood=False).to_bytes()
    except (UnreadableImage, UnsupportedImage) as error:
        raise DamagedFile(f"what was kept of a TIFF {error}") from error


def second_opinion(data: Buffer) -> Samples | None:
    """The first page by tifffile, if it is installed, or by Pillow, where that keeps the samples; else None."""
    data = bytes(data)
    whole = FileWithHoles(data)
    form, first = read_header(whole)
    page = read_page(whole, form, read_directory(whole, form, first), MANY_PIXELS)
    found = opinion.by_tifffile(data, page)
    return found if found is not None else opinion.by_pillow(data, page)


def _counts(whole: FileWithHoles, form: Form, page: Page) -> np.ndarray:
    """Bytes of each block, [blocks] uint64: without a tag, those that its rows need."""
    if page.counts is not None:
        return numbers(whole, form, page.counts)
    rows = [page.box(block).rows for block in range(page.blocks)]
    return np.array(rows, np.uint64) * np.uint64(page.row_bytes)


def _is_small(padding: Padding, size: int) -> bool:
    """Whether padding can be kept at next to no cost in a file of so many bytes."""
    kept = padding.samples + padding.ends
    return not kept or len(lzma.compress(kept, preset=1)) <= _SMALL + size // 100


def _anew(file: FileWithHoles, form: Form, page: Page, read: Read) -> bytes:
    """The rest for a file that is laid out anew."""
    padding = read.padding if not read.padding.samples else Padding(ends=read.padding.ends)
    if not _is_small(padding, file.size):
        padding = Padding(rule=padding.rule)
    return Kept(layout.zeroed(file, page), compressions.own(page.compression), padding, False).to_bytes()
