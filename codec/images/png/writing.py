"""A PNG of samples and a rest, in pieces."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator

from codec.errors import DamagedFile
from codec.images.png import chunks, kept, scanlines
from codec.images.png.deflate import Head, Zlib
from codec.images.png.pieces import Pieces, Split, gathered
from codec.images.samples import Samples

_ORDINARY_IDAT = 2**20  # bytes in a chunk of image data, unless the rest says so
_LARGE = 2**24  # bytes of scanlines from which on the highest level takes too long
_BUFFER = 2**24  # bytes of a chunk that are held until its length is known; if there are more, all are made twice
_PIECE = 2**20  # bytes


def put_together(samples: Samples, rest: bytes) -> Iterator[bytes]:
    """The file's bytes in pieces of about a megabyte. Raises DamagedFile where the rest is not one of such samples."""
    return _put_together(samples, kept.read(rest))


def _put_together(samples: Samples, rest: kept.Rest) -> Iterator[bytes]:
    height, width, channels = samples.values.shape
    if samples.depth not in chunks.DEPTHS.get(samples.kind, ()) or max(height, width) > chunks.MOST:
        found = f"{width} x {height} samples of kind {samples.kind} and {samples.depth} bits"
        raise DamagedFile(f"PNG has no {found}: get the file again")
    if samples.kind == "palette" and not any(kind == b"PLTE" for kind, _ in rest.chunks):
        raise DamagedFile("the rest of a PNG with a palette has no palette: get the file again")
    header = chunks.Header(width, height, samples.kind, samples.depth, rest.interlaced)
    layout = scanlines.layout(height, width, channels, samples.depth, rest.interlaced)
    exact = rest.exact or _ordinary(samples, layout.size)

    def stream() -> Iterator[bytes]:
        lines = scanlines.write(samples.values, layout, exact.choice, rest.padding)
        return exact.packing.pack(lines) if isinstance(exact.packing, Zlib) else exact.packing.pack(lines, layout.size)

    return gathered(_file(header, rest, _image_chunks(stream, stream(), exact.split)))


def _ordinary(samples: Samples, size: int) -> kept.Exact:
    """How image data is packed of which nothing else is known; size is that of all scanlines."""
    choice = scanlines.ordinary(samples.kind, samples.depth)
    strategy = zlib.Z_FILTERED if choice.way else zlib.Z_DEFAULT_STRATEGY
    packing = Zlib(Head(7, 3), 9, strategy, 9, 15) if size < _LARGE else Zlib(Head(7, 2), 6, strategy, 9, 15)
    return kept.Exact(packing, Split(_ORDINARY_IDAT), choice)


def _file(header: chunks.Header, rest: kept.Rest, image: Iterator[bytes]) -> Iterator[bytes]:
    yield chunks.SIGNATURE
    yield chunks.header_chunk(header)
    for chunk in rest.chunks:
        if chunk == kept.IMAGE:
            yield from image
        else:
            yield chunks.written(*chunk)
    yield chunks.written(b"IEND", b"")
    yield rest.after


def _image_chunks(again: Callable[[], Iterator[bytes]], stream: Iterator[bytes], split: Split) -> Iterator[bytes]:
    """IDAT chunks of a stream of bytes, which `again` makes once more."""
    source, done, size = Pieces(stream), 0, None
    listed = len(split.listed) if split.listed is not None else 0
    for index, length in enumerate(split.lengths_at_most(chunks.MOST, _ORDINARY_IDAT)):
        if index >= listed and source.ended:
            return
        start = source.take(min(length, _BUFFER))
        if length > _BUFFER and not source.ended:
            size = size or sum(map(len, again()))
            length = min(length, size - done)
            yield from _long_chunk(length, start, source)
        else:
            length = len(start)
            yield chunks.written(b"IDAT", start)
        done += length


def _long_chunk(length: int, start: bytes, source: Pieces) -> Iterator[bytes]:
    """An IDAT chunk of so many bytes, of which the first are known."""
    yield length.to_bytes(4, "big") + b"IDAT"
    crc, piece, left = zlib.crc32(b"IDAT"), start, length - len(start)
    while piece:
        crc = zlib.crc32(piece, crc)
        yield piece
        piece = source.take(min(_PIECE, left))
        left -= len(piece)
    yield crc.to_bytes(4, "big")
