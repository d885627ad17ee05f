"""The pixels of a TGA file: from bytes to values in the order they are shown in, and back, plain and in packets."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from codec.errors import UnreadableImage
from codec.images import packets
from codec.images.masks import join, split
from codec.images.packets import Exceptions, Packets, Rule, Words
from codec.images.pieces import bands, check_length, spread
from codec.images.tga_header import WORD, Header

_TOP_FIRST, _RIGHT_FIRST = 0x20, 0x10  # of the descriptor
_TOGETHER = 1 << 17  # pixels whose packets are read together
_WORDS = {1: "u1", 2: "<u2", 3: "<u4", 4: "<u4"}


def channels(header: Header) -> int:
    """How many channels the values have as they are read."""
    return len(WORD) if header.is_word else header.pixel_bytes


def as_stored(values: np.ndarray, header: Header) -> np.ndarray:
    """A view of values, [H, W, C], in the file's order of rows and pixels, or the other way round."""
    rows = values if header.descriptor & _TOP_FIRST else values[::-1]
    return rows[:, ::-1] if header.descriptor & _RIGHT_FIRST else rows


def read_plain(data: bytes, header: Header, values: np.ndarray) -> int:
    """Fill values, [H, W, C], from pixels that are in no packets; gives the place after them. Raises UnreadableImage
    for a file that is too short.
    """
    height, width = values.shape[:2]
    row_bytes = width * header.pixel_bytes
    check_length(data, header.length, height * row_bytes)
    stored = np.frombuffer(data, np.uint8, height * row_bytes, header.length)
    rows = as_stored(values, header)
    for band in bands(height, row_bytes):
        taken = stored[band.start * row_bytes : band.stop * row_bytes]
        _to_values(taken.reshape(-1, width, header.pixel_bytes), header, rows[band])
    return header.length + height * row_bytes


def read_packets(data: bytes, header: Header, values: np.ndarray) -> int:
    """As `read_plain`, for pixels in packets."""
    height, width = values.shape[:2]
    rows, size = as_stored(values, header), header.pixel_bytes
    stream = np.frombuffer(data, np.uint8)
    pending, row, end = np.empty((0, size), np.uint8), 0, header.length
    for some, places in parse_packets(data, header):
        owner, within = spread(some.count)
        source = places[owner] + 1 + np.where(some.alike[owner], 0, within * size)
        pending = np.concatenate([pending, stream[source[:, None] + np.arange(size)]])
        whole = len(pending) // width
        _to_values(pending[: whole * width].reshape(whole, width, size), header, rows[row : row + whole])
        pending, row = pending[whole * width :], row + whole
        end = int(places[-1]) + 1 + size * (1 if some.alike[-1] else int(some.count[-1]))
    return end


def parse_packets(data: bytes, header: Header) -> Iterator[tuple[Packets, np.ndarray]]:
    """The packets of a file, some at a time, and where each begins in it, [N] int64. Raises UnreadableImage."""
    size, total = header.pixel_bytes, header.width * header.height
    steps = [1 + size * (code + 1) for code in range(128)] + [1 + size] * 128
    at, place, end = 0, header.length, len(data)
    while at < total:
        first, places = at, []
        until = min(at + _TOGETHER, total)
        while at < until:
            if place >= end:
                raise UnreadableImage(f"the file ends after {end} bytes, before its last pixel: get it again")
            code = data[place]
            places.append(place)
            place += steps[code]
            at += (code & 127) + 1
        if at > total or place > end:
            raise UnreadableImage(
                f"the packet before byte {place} goes past the picture's or the file's end: get it again"
            )
        found = np.array(places)
        headers = np.frombuffer(data, np.uint8)[found]
        counts = (headers & 127).astype(np.int64) + 1
        yield Packets(first + np.cumsum(counts) - counts, counts, headers > 127), found


def words_of(values: np.ndarray, header: Header) -> Words:
    """Pixels as words, by their places in the file's order."""
    rows, width = as_stored(values, header), header.width

    def words(first: int, last: int) -> np.ndarray:
        top = first // width
        stored = _to_stored(rows[top : -(-last // width)], header).reshape(-1, header.pixel_bytes)
        stored = stored[first - top * width : last - top * width]
        if header.pixel_bytes == 3:
            stored = np.pad(stored, ((0, 0), (0, 1)))
        return np.ascontiguousarray(stored).view(_WORDS[header.pixel_bytes])[:, 0]

    return words


def plain_pieces(values: np.ndarray, header: Header) -> Iterator[bytes]:
    """The bytes of pixels that are in no packets."""
    rows = as_stored(values, header)
    for band in bands(len(rows), header.width * header.pixel_bytes):
        yield _to_stored(rows[band], header).tobytes()


def packet_pieces(values: np.ndarray, header: Header, rule: Rule, exceptions: Exceptions) -> Iterator[bytes]:
    """The bytes of pixels in packets. Raises DamagedFile where the exceptions do not fit."""
    words, size = words_of(values, header), header.pixel_bytes
    for some in packets.divide(words, (header.height, header.width), rule, exceptions):
        base = int(some.first[0])
        pixels = words(base, int(some.first[-1] + some.count[-1]))
        stored = pixels.view(np.uint8).reshape(pixels.size, -1)[:, :size]
        written = np.where(some.alike, 1, some.count)
        ends = np.cumsum(1 + size * written)
        starts = ends - 1 - size * written
        piece = np.empty(int(ends[-1]), np.uint8)
        piece[starts] = some.alike * 128 + some.count - 1
        owner, within = spread(written)
        places = starts[owner] + 1 + within * size
        piece[places[:, None] + np.arange(size)] = stored[some.first[owner] - base + within]
        yield piece.tobytes()


def _to_values(stored: np.ndarray, header: Header, values: np.ndarray) -> None:
    """From bytes of pixels, [N, W, B], to values, [N, W, C]."""
    if header.is_word:
        split(np.ascontiguousarray(stored).view("<u2")[:, :, 0], WORD, values)
    elif header.pixel_bytes > 2:
        values[:, :, :3], values[:, :, 3:] = stored[:, :, 2::-1], stored[:, :, 3:]
    else:
        values[:] = stored


def _to_stored(values: np.ndarray, header: Header) -> np.ndarray:
    """The inverse, [N, W, B] uint8."""
    if header.is_word:
        return join(values, WORD[: values.shape[2]], "<u2").view(np.uint8).reshape(*values.shape[:2], 2)
    if header.pixel_bytes > 2:
        return np.concatenate([values[:, :, 2::-1], values[:, :, 3:]], axis=2)
    return values
