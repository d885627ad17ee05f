"""All strips or tiles of a page: read into an array of samples, and made of it again.

Both go through bands of rows of about a megabyte, so that beside the samples little memory is taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from codec.errors import UnreadableImage, UnsupportedImage
from codec.images.tiff import compressions, tags
from codec.images.tiff.compressions import Packing
from codec.images.tiff.holes import Buffer
from codec.images.tiff.padding import Filling, Padding, Seen
from codec.images.tiff.page import Page
from codec.images.tiff.rows import dtype, pack, unpack

_BAND = 1 << 20  # bytes of rows at a time
_TRIED = 16  # blocks, to find out how they were compressed
_CACHED = 1 << 26  # bytes of compressed blocks that are kept from when their sizes are found until they are written


@dataclass(frozen=True, eq=False)
class Read:
    """values: [H, W, C], as Samples has them. sizes: [blocks] int64, how many bytes of each block were read."""

    values: np.ndarray
    sizes: np.ndarray
    padding: Padding


def check_places(data_size: int, page: Page, offsets: np.ndarray, counts: np.ndarray) -> None:
    """Refuse blocks that are not in the file, or too short for their samples: offsets and counts are [blocks] uint64.

    Raises UnreadableImage; UnsupportedImage for blocks that are left out.
    """
    empty = int(((offsets == 0) | (counts == 0)).sum())
    if empty:
        raise UnsupportedImage(f"a sparse file, {empty} of whose blocks are not there, is not read: write it in full")
    beyond = (offsets > data_size) | (counts > data_size) | (offsets + counts > data_size)
    if beyond.any():
        block = int(beyond.argmax())
        where = f"{counts[block]} bytes from {offsets[block]} on"
        raise UnreadableImage(f"has a strip or tile of {where}, but is {data_size} bytes long: get the file again")
    if page.row_bytes * page.block_height > 1 << 48:
        raise UnreadableImage(f"has strips or tiles of {page.block_height} rows: get the file again")
    compressions.check_size(page.compression, int(counts.sum()), page.total_bytes)


def read_blocks(data: Buffer, page: Page, offsets: np.ndarray, counts: np.ndarray) -> Read:
    """The samples of all blocks. Raises UnreadableImage or UnsupportedImage."""
    check_places(len(data), page, offsets, counts)
    values = np.empty((page.height, page.width, page.channels), dtype(page))
    sizes, seen = np.zeros(page.blocks, np.int64), Seen(page)
    band = max(1, _BAND // page.row_bytes)
    for block, (at, count) in enumerate(zip(offsets.tolist(), counts.tolist())):
        box = page.box(block)
        compressions.check_size(page.compression, count, box.rows * page.row_bytes)
        decoder = compressions.decoder(page.compression, data[at : at + count])
        for start in range(0, box.rows, band):
            rows = min(band, box.rows - start)
            stored = np.frombuffer(decoder.read(rows * page.row_bytes), np.uint8).reshape(rows, page.row_bytes)
            samples, ends = unpack(stored, page)
            shown = max(0, min(rows, box.height - start))
            place = values[box.y + start : box.y + start + shown, box.x : box.x + box.width, box.channels]
            place[...] = samples[:shown, : box.width]
            seen.add(samples, ends, values, box, start)
        sizes[block] = decoder.finish()
    return Read(values, sizes, seen.padding())


class Written:
    """The blocks of a page that are made of values, a packing and a padding. Raises DamagedFile where these do not fit.

    sizes: [blocks] int64, the bytes of each block.
    """

    def __init__(self, values: np.ndarray, page: Page, packing: Packing, padding: Padding) -> None:
        self._values, self._page, self._packing = values, page, packing
        self._filling = Filling(padding, page)
        self._cache: dict[int, bytes] = {}

    def sizes(self) -> np.ndarray:
        """Compresses every block once, and keeps the first of them for when they are asked for."""
        if not self._packing.numbers:
            rows = [self._page.box(block).rows for block in range(self._page.blocks)]
            return np.array(rows, np.int64) * self._page.row_bytes
        sizes, room = np.zeros(self._page.blocks, np.int64), _CACHED
        for block in range(self._page.blocks):
            pieces: list[bytes] = []
            for piece in self.pieces(block):
                sizes[block] += len(piece)
                if sizes[block] <= room:
                    pieces.append(piece)
            if sizes[block] <= room:
                self._cache[block] = b"".join(pieces)
                room -= int(sizes[block])
        return sizes

    def pieces(self, block: int) -> Iterator[bytes]:
        """The bytes of a block."""
        if block in self._cache:
            yield self._cache.pop(block)
            return
        page, box = self._page, self._page.box(block)
        encoder, band = compressions.encoder(self._packing), max(1, _BAND // page.row_bytes)
        for start in range(0, box.rows, band):
            stop = min(start + band, box.rows)
            rows = self._filling.rows(self._values, block, box, start, stop)
            yield encoder.feed(pack(rows, self._filling.ends(block, start, stop), page))
        yield encoder.finish()


def packings_of(data: Buffer, page: Page, read: Read, offsets: np.ndarray) -> list[Packing]:
    """How the blocks may have been compressed, by trying on the longest and on some others; the likeliest way first."""
    some = np.linspace(0, page.blocks - 1, min(page.blocks, _TRIED)).astype(int).tolist()
    blocks = dict.fromkeys([int(read.sizes.argmax()), *some])
    first = int(offsets[next(iter(blocks))])
    size = page.row_bytes * page.block_height
    found = compressions.likely(page.compression, bytes(data[first : first + 2]), size)
    for block in blocks:
        at = int(offsets[block])
        stored = data[at : at + int(read.sizes[block])]
        found = [way for way in found if same(Written(read.values, page, way, read.padding).pieces(block), stored)]
        if not found or page.compression == tags.NONE:
            break
    return found


def same(pieces: Iterator[bytes], data: Buffer) -> bool:
    """Whether these pieces are the data; no more of them are taken than until they are not."""
    at = 0
    for piece in pieces:
        if bytes(data[at : at + len(piece)]) != piece:  # views are compared slowly
            return False
        at += len(piece)
    return at == len(data)
