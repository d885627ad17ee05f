"""BMP: pictures of Windows and OS/2; values are the top row first, whatever the file's order.

1, 2, 4 and 8 bits are a palette's indices, grey where the palette is the full ramp from black to white. Words of 16 and
32 bits are red, green, blue, each of the bits that it has there, and alpha: what the mask for it says or, without one,
all bits that no channel has, unless they are 0 in all pixels.

The rest: the varints info header's length, bits, width, height; the changes (see `pieces.changes`) of file and info
header from `bmp_header.usual`; for 8 bits and fewer a byte, 0 for the ramp and 1 for a palette of other colours, then
blue, green, red of each, 2 the same and then a byte for each colour, which is 0 else; two blobs, what stands between
that and the pixels, and what follows the pixels. Then, for plain pixels, a blob of the bits that fill up rows, empty if
all are 0: for each row of the file the bytes from the one on that holds the end of its last pixel or follows it. For
packets: a varint, their bytes, with the ending; a byte, the rule's number; a byte, the ending's number and 4 if single
pixels are followed by 0 (see `bmp_packets.Packing`), and exceptions (see `packets.written`).
A file in packets that no rule with few exceptions gives is put together plain.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from PIL import BmpImagePlugin

from codec.errors import DamagedFile, UnreadableImage, UnsupportedImage
from codec.images import bmp_header, bmp_packets, bmp_rest, opinions
from codec.images.bmp_header import Header
from codec.images.bmp_packets import Packing
from codec.images.bmp_rest import Rest
from codec.images.masks import Field, field_of, join, pack_bits, split, unpack_bits
from codec.images.packets import find_rule
from codec.images.pieces import bands, check_length, check_size, is_same
from codec.images.samples import Item, Parts, Samples


def recognises(data: bytes) -> bool:
    """Whether data begins as a BMP file."""
    return data[:2] == b"BM" and 12 <= int.from_bytes(data[14:18], "little") <= 256


def take_apart(data: bytes, max_pixels: int) -> Parts:
    """The samples of a BMP file and the rest. Raises UnreadableImage, UnsupportedImage or ImageTooLarge."""
    header = bmp_header.parse(data)
    check_size(header.width, header.height, max_pixels)
    check_length(data, 0, header.offset)
    head = data[: header.offset]
    if header.in_packets:
        return _take_packets_apart(data, header, head)
    end = header.offset + header.row_bytes * header.height
    check_length(data, 0, end)
    samples, padding = _read_plain(data, header, head)
    written = bmp_rest.write(Rest(head, data[end:], padding))
    return Parts(samples, written, is_same(put_together(samples, written), data))


def put_together(samples: Samples, rest: bytes) -> Iterator[bytes]:
    """The file's bytes, some at a time. Raises DamagedFile where samples and rest do not fit."""
    found, header = bmp_rest.parse(rest)
    try:
        kind, depth, channels = _form(header, found.head, samples.kind == "rgb+alpha")
    except UnsupportedImage as error:
        raise DamagedFile(f"what was kept of a bitmap is none ({error})") from error
    shape = (header.height, header.width, channels)
    if (samples.kind, samples.depth, samples.values.shape) != (kind, depth, shape):
        raise DamagedFile("what was kept of a bitmap does not fit the picture: get the file again")
    first, _ = _filling(header)
    if len(found.padding) not in (0, header.height * (header.row_bytes - first)):
        raise DamagedFile(f"{len(found.padding)} bytes do not fill up the rows of a bitmap: get the file again")
    return _pieces(samples.values, found, header)


def metadata(rest: bytes) -> list[Item]:
    """The colour profile, the density, and bytes of the file that its picture does not need."""
    return bmp_rest.metadata(*bmp_rest.parse(rest))


def stripped(rest: bytes) -> bytes:
    """The rest without its metadata."""
    return bmp_rest.write(bmp_rest.stripped(*bmp_rest.parse(rest)))


def second_opinion(data: bytes) -> Samples | None:
    """Pillow's samples of indices and of eight bits a channel, but for words whose alpha is not announced."""
    header = bmp_header.parse(data)
    read = opinions.pillow(BmpImagePlugin.BmpImageFile, data)
    if read is None or bmp_header.spare(header) or any(field.bits != 8 for field in header.fields):
        return None
    mode, values = read
    head = data[: header.offset]
    kind, depth, _ = _form(header, head, len(header.fields) == 4)
    modes = {"grey": ("1", "L", "P"), "palette": ("P", "L", "1"), "rgb": ("RGB",), "rgb+alpha": ("RGBA",)}
    if mode not in modes[kind]:
        return None
    return Samples(values.astype(np.uint8), depth, kind, _palette(header, head) if kind == "palette" else None)


def _form(header: Header, head: bytes, with_alpha: bool) -> tuple[str, int, int]:
    """Kind, depth and channels of the samples. with_alpha: whether bits that no channel has are taken for alpha."""
    if header.bits <= 8:
        return "grey" if bmp_rest.is_ramp(header, head) else "palette", header.bits, 1
    if header.bits == 24:
        return "rgb", 8, 3
    fields = _fields(header, with_alpha)
    return "rgb+alpha" if len(fields) == 4 else "rgb", max(field.bits for field in fields), len(fields)


def _fields(header: Header, with_alpha: bool) -> tuple[Field, ...]:
    """The fields of a word's channels, the alpha made of what is left where that is asked for."""
    spare = bmp_header.spare(header)
    if len(header.fields) == 4 or not with_alpha or not spare:
        return header.fields
    try:
        return (*header.fields, field_of(spare))
    except UnreadableImage as error:
        raise UnsupportedImage(f"bits that no channel has ({spare:#x}) are not read: save the picture anew") from error


def _palette(header: Header, head: bytes) -> np.ndarray:
    return bmp_rest.palette_of(header, head)[:, 2::-1].copy()


def _filling(header: Header) -> tuple[int, int]:
    """The first byte of a row that has bits after its last pixel, and the mask of those in it."""
    bits = header.width * header.bits
    return bits // 8, 0xFF >> bits % 8


def _rows(data: bytes, header: Header) -> Iterator[tuple[slice, np.ndarray]]:
    """The rows of the file with their padding, [N, row_bytes] uint8, and which they are."""
    stored = np.frombuffer(data, np.uint8, header.row_bytes * header.height, header.offset)
    for band in bands(header.height, header.row_bytes):
        yield band, stored[band.start * header.row_bytes : band.stop * header.row_bytes].reshape(-1, header.row_bytes)


def _words(rows: np.ndarray, header: Header) -> np.ndarray:
    """The words of 16 or 32 bits in rows, [N, W]."""
    used = rows[:, : header.width * header.bits // 8]
    return np.ascontiguousarray(used).view(f"<u{header.bits // 8}")


def _read_plain(data: bytes, header: Header, head: bytes) -> tuple[Samples, bytes]:
    """The samples and the bits that fill up rows, empty if they are 0."""
    spare = bmp_header.spare(header) if len(header.fields) == 3 else 0
    with_alpha = spare != 0 and any((_words(rows, header) & spare).any() for _, rows in _rows(data, header))
    kind, depth, channels = _form(header, head, with_alpha)
    values = np.empty((header.height, header.width, channels), np.uint8 if depth <= 8 else np.uint16)
    stored = values if header.top_first else values[::-1]
    first, mask = _filling(header)
    paddings = []
    for band, rows in _rows(data, header):
        if header.bits <= 8:
            stored[band, :, 0] = unpack_bits(rows, header.bits, header.width)
        elif header.bits == 24:
            stored[band] = rows[:, : header.width * 3].reshape(-1, header.width, 3)[:, :, ::-1]
        else:
            split(_words(rows, header), _fields(header, with_alpha), stored[band])
        padding = rows[:, first:].copy()
        padding[:, :1] &= mask
        paddings.append(padding)
    padding = np.concatenate(paddings)
    palette = _palette(header, head) if kind == "palette" else None
    return Samples(values, depth, kind, palette), padding.tobytes() if padding.any() else b""


def _take_packets_apart(data: bytes, header: Header, head: bytes) -> Parts:
    """Parts of a file in packets."""
    size = header.height, header.width
    if size[0] * size[1] > 255 * (len(data) - header.offset):  # a packet of two bytes has 255 at most
        raise UnreadableImage(f"{len(data)} bytes hold no {size[1]} x {size[0]} pixels: get the file again")
    values = np.empty((*size, 1), np.uint8)
    stream = bmp_packets.read(data, header.offset, values, header.bits)
    kind, depth, _ = _form(header, head, False)
    samples = Samples(values, depth, kind, _palette(header, head) if kind == "palette" else None)
    rest, packed_bytes = Rest(head, data[stream.end :]), stream.end - header.offset
    again = bmp_packets.Stream(data, header.offset, size, header.bits)
    most = (len(data) // 100 + 100) // 3
    found = find_rule(
        (some for some, _ in again.packets()), bmp_packets.words_of(values), size, bmp_packets.rules(header.bits), most
    )
    for then_zero in (False, True) if found else ():
        rule, exceptions = found or (0, ())
        packing = Packing(rule, exceptions, stream.ending, then_zero)
        written = bmp_rest.write(replace(rest, packing=packing, packed_bytes=packed_bytes))
        if is_same(put_together(samples, written), data):
            return Parts(samples, written, True)
    return Parts(samples, bmp_rest.write(bmp_rest.made_plain(rest, header, packed_bytes)), False)


def _pieces(values: np.ndarray, rest: Rest, header: Header) -> Iterator[bytes]:
    yield rest.head
    if rest.packing:
        yield from bmp_packets.pieces(values, header.bits, rest.packing)
    else:
        yield from _plain_pieces(values, rest, header)
    yield rest.tail


def _plain_pieces(values: np.ndarray, rest: Rest, header: Header) -> Iterator[bytes]:
    """The bytes of rows that are in no packets."""
    stored = values if header.top_first else values[::-1]
    first, mask = _filling(header)
    padding = np.frombuffer(rest.padding, np.uint8).reshape(-1, header.row_bytes - first) if rest.padding else None
    fields = _fields(header, values.shape[2] == 4) if header.fields else ()
    for band in bands(header.height, header.row_bytes):
        some = stored[band]
        rows = np.zeros((len(some), header.row_bytes), np.uint8)
        if header.bits <= 8:
            packed = pack_bits(some[:, :, 0], header.bits)
        elif header.bits == 24:
            packed = some[:, :, ::-1].reshape(len(some), -1)
        else:
            packed = join(some, fields, f"<u{header.bits // 8}").view(np.uint8)
        rows[:, : packed.shape[1]] = packed
        if padding is not None:
            rows[:, first:] |= padding[band] & np.array([mask] + [255] * (padding.shape[1] - 1), np.uint8)
        yield rows.tobytes()
