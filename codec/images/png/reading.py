"""A PNG taken apart, and the way sought to make its very bytes again."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from codec.errors import UnreadableImage
from codec.images.png import chunks, deflate, filters, kept, scanlines
from codec.images.png.pieces import found_split
from codec.images.png.writing import put_together
from codec.images.samples import CHANNELS, Parts, Samples

_EXACT_COST = 128  # bytes that the way to the very bytes may take when packed, and this share of the file:
_EXACT_SHARE = 100
_TRIED = 2**22  # bytes of files made on trial before it is given up, and as many times the file:
_TRIES = 2


def recognises(data: bytes) -> bool:
    """Whether data begins as a PNG does."""
    return data[: len(chunks.SIGNATURE)] == chunks.SIGNATURE


def take_apart(data: bytes, max_pixels: int) -> Parts:
    """Samples and rest of a file that `recognises` knows.

    Raises UnreadableImage for what is damaged or against the standard, UnsupportedImage for an animation, and
    ImageTooLarge for more than max_pixels.
    """
    header = chunks.header(data, max_pixels)
    listed, image, palette, end = _read_chunks(data, header.kind)
    layout = scanlines.layout(header.height, header.width, CHANNELS[header.kind], header.depth, header.interlaced)
    if layout.size > image.size * deflate.MOST_RATIO:
        sizes = f"{image.size} bytes of image data cannot make {header.width} x {header.height} pixels"
        raise UnreadableImage(f"{sizes}: get the picture again")
    dtype = np.uint8 if header.depth <= 8 else np.uint16
    values = np.empty((header.height, header.width, layout.channels), dtype)
    inflated = deflate.Inflated(image)
    choice, padding = scanlines.read(inflated.take, layout, values)
    inflated.end()
    samples = Samples(values, header.depth, header.kind, palette)
    rest = kept.Rest(header.interlaced, None, padding, listed, data[end:])
    coded = _exact_rest(data, samples, rest, _exact(image, bytes(inflated.start), layout.size, choice))
    return Parts(samples, rest.coded if coded is None else coded, coded is not None)


def _read_chunks(data: bytes, kind: str) -> tuple[list[kept.Content], chunks.ImageData, np.ndarray | None, int]:
    """All chunks but IHDR and IEND, all IDAT as one; image data; the palette, if kind has one; where the file ends."""
    order, image, listed, palette = chunks.Order(kind), chunks.ImageData(data), [], None
    for chunk in chunks.walk(data):
        order.check(chunk)
        end = chunk.start + chunk.length
        if chunk.type == b"IDAT":
            if not image.sizes:
                listed.append(kept.IMAGE)
            image.add(chunk.start, chunk.length)
        elif chunk.type not in (b"IHDR", b"IEND"):
            listed.append((chunk.type, data[chunk.start : end]))
        if chunk.type == b"PLTE" and kind == "palette":
            palette = np.frombuffer(listed[-1][1], np.uint8).reshape(-1, 3)
    return listed, image, palette, end + 4


def _exact_rest(data: bytes, samples: Samples, rest: kept.Rest, found: Iterator[kept.Exact]) -> bytes | None:
    """The rest of the first way that makes data again; None if there is none among those that can be tried."""
    tried = 0
    for exact in found:
        if len(zlib.compress(exact.coded, 9)) > _EXACT_COST + len(data) // _EXACT_SHARE:
            continue
        coded = replace(rest, exact=exact).coded
        same, made = _compared(put_together(samples, coded), data)
        if same:
            return coded
        tried += made
        if tried > _TRIED + _TRIES * len(data):
            break
    return None


def _exact(image: chunks.ImageData, start: bytes, size: int, choice: scanlines.Choice) -> Iterator[kept.Exact]:
    """Ways to make the image's bytes that are worth a trial; start is the beginning of size bytes of scanlines."""
    split = found_split(image.sizes)
    stored = deflate.stored(image, size)
    if stored is not None:
        yield kept.Exact(stored, split, choice)
    filtered = choice.way != filters.NONE
    for packing in deflate.likely(image, start, size, filtered):
        yield kept.Exact(packing, split, choice)


def _compared(pieces: Iterator[bytes], data: bytes) -> tuple[bool, int]:
    """Whether pieces make data, and how many bytes were made to know it."""
    made = 0
    for piece in pieces:
        start, made = made, made + len(piece)
        if data[start:made] != piece:
            return False, made
    return made == len(data), made
