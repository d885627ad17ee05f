"""TGA: types 1, 2, 3 and, in packets, 9, 10, 11; values are the top row first and left to right, whatever the origin.

Pixels of 15 or 16 bits are five bits each of red, green and blue and one of alpha, which is no channel where the header
says that there is none and all of them are 0. The fourth byte of 32 bits is alpha whatever the header says.

The rest: the bytes type, bits per pixel; the varints width, height; the header's changes (see `pieces.changes`) from
one of that type, bits and size that has descriptor 8 for 32 bits and all else 0; the image id and the colour map, as
long as the header says; a byte for what follows the pixels: 0 nothing, 1 the footer of a file without areas, 2 a
varint, its place in the file, and a blob, 3 a byte, the kind of alpha: an extension area that says only that, and its
footer. Then, for packets, a byte, the rule, and its exceptions (see `packets.written`). A rule is one of five pairs of
start and stop, (2, 2), (2, 3), (3, 3), (1, 1) and never, and 5 more for packets that cross rows, 10 for at most 127.
A file in packets that no rule with few exceptions gives is exact only if it has areas; others are put together plain.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from PIL import TgaImagePlugin

from codec.errors import CodecError, DamagedFile, UnreadableImage
from codec.format.numbers import Reader, blob, varint
from codec.images import opinions, packets, tga_header, tga_pixels
from codec.images.packets import Exceptions, Rule
from codec.images.pieces import changed, changes, check_length, check_size, is_same
from codec.images.samples import Item, Parts, Samples
from codec.images.tga_header import GREY, LENGTH, MAPPED, PLAIN_FOOTER, Header

_NEVER = 1 << 30
RULES = tuple(
    Rule(start, stop, most, keeps_rows)
    for most in (128, 127)
    for keeps_rows in (True, False)
    for start, stop in ((2, 2), (2, 3), (3, 3), (1, 1), (_NEVER, _NEVER))
)
_NOTHING, _FOOTER, _BYTES, _KIND_OF_ALPHA = range(4)
_NO_ALPHA, _ALPHA = 0, 3  # what an area says of it, if it is no unusual one
_ATTRIBUTES = 15  # of the descriptor: how many bits of alpha there are


@dataclass(frozen=True)
class Rest:
    """A rest's fields. tail: what follows the pixels, or the kind of alpha of an area that is made anew."""

    header: Header
    image_id: bytes
    colour_map: bytes
    tail: bytes | int
    tail_at: int
    rule: int = 0
    exceptions: Exceptions = ()


def recognises(data: bytes) -> bool:
    """Whether data is likely to be a TGA file. It has no first bytes of its own, so all others must be asked before."""
    try:
        header = tga_header.parse(data[:LENGTH])
    except CodecError:
        return False
    pixels = header.width * header.height
    packets_at_least = -(-pixels // 128)
    least = packets_at_least * (1 + header.pixel_bytes) if header.in_packets else pixels * header.pixel_bytes
    sensible = (header.form == MAPPED or not header.has_map) and header.descriptor & _ATTRIBUTES <= 8
    return sensible and pixels > 0 and header.length + least <= len(data)


def take_apart(data: bytes, max_pixels: int) -> Parts:
    """The samples of a TGA file and the rest. Raises UnreadableImage, UnsupportedImage or ImageTooLarge."""
    header = tga_header.parse(data[:LENGTH])
    check_size(header.width, header.height, max_pixels)
    check_length(data, 0, header.length)
    if header.width * header.height > 128 * (len(data) - header.length):  # a packet of two bytes has 128 at most
        raise UnreadableImage(f"{len(data)} bytes hold no {header.width} x {header.height} pixels: get the file again")
    values = np.empty((header.height, header.width, tga_pixels.channels(header)), np.uint8)
    read = tga_pixels.read_packets if header.in_packets else tga_pixels.read_plain
    end = read(data, header, values)
    image_id, colour_map = data[LENGTH : LENGTH + header.id_length], data[LENGTH + header.id_length : header.length]
    samples = _samples(header, colour_map, values)
    rest = Rest(header, image_id, colour_map, data[end:], end)
    written = _write(_with_rule(rest, samples.values, data) if header.in_packets else rest)
    return Parts(samples, written, is_same(put_together(samples, written), data))


def put_together(samples: Samples, rest: bytes) -> Iterator[bytes]:
    """The file's bytes, some at a time. Raises DamagedFile where samples and rest do not fit."""
    found = _parse(rest)
    header = found.header
    without_alpha = header.is_word and samples.kind == "rgb"
    kind, depth = _kind(header, without_alpha)
    shape = (header.height, header.width, tga_pixels.channels(header) - without_alpha)
    if (samples.kind, samples.depth, samples.values.shape) != (kind, depth, shape):
        raise DamagedFile("what was kept of a TGA file does not fit the picture: get the file again")
    return _pieces(samples.values, found)


def metadata(rest: bytes) -> list[Item]:
    """The image id, the areas of TGA 2 and whatever else follows the pixels."""
    found = _parse(rest)
    items = [Item("image id", found.image_id)] if found.image_id else []
    if isinstance(found.tail, bytes) and found.tail not in (b"", PLAIN_FOOTER):
        items.append(Item("TGA 2 areas" if tga_header.has_areas(found.tail) else "trailing bytes", found.tail))
    return items


def stripped(rest: bytes) -> bytes:
    """The rest without image id, origin and areas, but for an area that says that the alpha is no usual one."""
    found = _parse(rest)
    tail: bytes | int = found.tail
    if isinstance(tail, bytes):
        area = tga_header.extension(tail, found.tail_at)
        tail = area[-1] if area and area[-1] not in (_NO_ALPHA, _ALPHA) else b""
    header = replace(found.header, id_length=0, left=0, bottom=0)
    return _write(replace(found, header=header, image_id=b"", tail=tail, tail_at=0))


def second_opinion(data: bytes) -> Samples | None:
    """Pillow's samples, but for five bits, which it scales, alpha that the file says is none or no usual one, which it
    drops, and maps that do not start with their first colour.
    """
    header = tga_header.parse(data[:LENGTH])
    read = opinions.pillow(TgaImagePlugin.TgaImageFile, data)
    area = tga_header.extension(data, 0)
    means_alpha = header.descriptor & _ATTRIBUTES and (not area or area[-1] == _ALPHA)
    drops_alpha = header.pixel_bytes == 4 and not means_alpha
    if read is None or header.is_word or drops_alpha or header.map_first:
        return None
    mode, values = read
    kind, _ = _kind(header, False)
    if mode != {"grey": "L", "grey+alpha": "LA", "palette": "P", "rgb": "RGB", "rgb+alpha": "RGBA"}[kind]:
        return None
    return _samples(header, data[LENGTH + header.id_length : header.length], values)


def _kind(header: Header, without_alpha: bool) -> tuple[str, int]:
    """Kind and depth of the samples. without_alpha: whether the bit for it in 16 is 0 and means nothing."""
    if header.is_word:
        return "rgb" if without_alpha else "rgb+alpha", 5
    if header.form == MAPPED:
        return "palette", 8
    if header.form == GREY:
        return "grey" if header.pixel_bytes == 1 else "grey+alpha", 8
    return "rgb" if header.pixel_bytes == 3 else "rgb+alpha", 8


def _samples(header: Header, colour_map: bytes, values: np.ndarray) -> Samples:
    without_alpha = header.is_word and not header.descriptor & _ATTRIBUTES and not values[:, :, 3].any()
    kind, depth = _kind(header, without_alpha)
    if without_alpha:
        values = _without_fourth(values)
    return Samples(values, depth, kind, tga_header.palette(header, colour_map) if kind == "palette" else None)


def _without_fourth(values: np.ndarray) -> np.ndarray:
    """The first three channels of values, [H, W, 4], moved together in the same memory."""
    height, width, _ = values.shape
    flat, row = values.reshape(-1), width * 3
    for top in range(height):
        flat[top * row : (top + 1) * row] = values[top, :, :3].reshape(-1)
    return flat[: height * row].reshape(height, width, 3)


def _with_rule(rest: Rest, values: np.ndarray, data: bytes) -> Rest:
    """The rest of a file in packets with the rule that gives them; that of a plain file where there is none."""
    header = rest.header
    areas = isinstance(rest.tail, bytes) and tga_header.has_areas(rest.tail)
    most = header.width * header.height if areas else (len(data) // 100 + 100) // 3
    found = packets.find_rule(
        (some for some, _ in tga_pixels.parse_packets(data, header)),
        tga_pixels.words_of(values, header),
        (header.height, header.width),
        RULES,
        most,
    )
    if found is None:
        return replace(rest, header=replace(header, type=header.form))
    return replace(rest, rule=found[0], exceptions=found[1])


def _pieces(values: np.ndarray, rest: Rest) -> Iterator[bytes]:
    header = rest.header
    yield header.pack() + rest.image_id + rest.colour_map
    if header.in_packets:
        pixels = tga_pixels.packet_pieces(values, header, RULES[rest.rule], rest.exceptions)
    else:
        pixels = tga_pixels.plain_pieces(values, header)
    at = header.length
    for piece in pixels:
        at += len(piece)
        yield piece
    yield rest.tail if isinstance(rest.tail, bytes) else tga_header.bare_extension(rest.tail, at)


def _usual(type_: int, bits: int, width: int, height: int) -> bytes:
    return Header(0, 0, type_, 0, 0, 0, 0, 0, width, height, bits, 8 if bits == 32 else 0).pack()


def _write(rest: Rest) -> bytes:
    header = rest.header
    first = bytes([header.type, header.bits]) + varint(header.width) + varint(header.height)
    first += changes(_usual(header.type, header.bits, header.width, header.height), header.pack())
    if isinstance(rest.tail, int):
        tail = bytes([_KIND_OF_ALPHA, rest.tail])
    elif rest.tail in (b"", PLAIN_FOOTER):
        tail = bytes([_FOOTER if rest.tail else _NOTHING])
    else:
        tail = bytes([_BYTES]) + varint(rest.tail_at) + blob(rest.tail)
    rule = bytes([rest.rule]) + packets.written(rest.exceptions) if header.in_packets else b""
    return first + rest.image_id + rest.colour_map + tail + rule


def _parse(rest: bytes) -> Rest:
    """The fields of a rest. Raises DamagedFile."""
    reader = Reader(rest)
    type_, bits, width, height = reader.byte(), reader.byte(), reader.varint(), reader.varint()
    if max(width, height) > 0xFFFF:
        raise DamagedFile(f"a TGA file of {width} x {height} pixels does not exist: get the file again")
    try:
        header = tga_header.parse(changed(_usual(type_, bits, width, height), reader))
    except CodecError as error:
        raise DamagedFile(f"what was kept of a TGA file is none ({error})") from error
    image_id, colour_map = reader.take(header.id_length), reader.take(header.map_length)
    tail, tail_at = _parse_tail(reader)
    rule, exceptions = (reader.byte(), packets.read(reader)) if header.in_packets else (0, ())
    reader.done()
    if rule >= len(RULES):
        raise DamagedFile(f"a rule for packets, number {rule}, does not exist: get the file again")
    return Rest(header, image_id, colour_map, tail, tail_at, rule, exceptions)


def _parse_tail(reader: Reader) -> tuple[bytes | int, int]:
    """What follows the pixels, and its place in the file where that is kept."""
    form = reader.byte()
    if form == _BYTES:
        at = reader.varint()
        return reader.blob(), at
    if form == _KIND_OF_ALPHA:
        return reader.byte(), 0
    if form not in (_NOTHING, _FOOTER):
        raise DamagedFile(f"the end of a TGA file, of form {form}, does not exist: get the file again")
    return PLAIN_FOOTER if form == _FOOTER else b"", 0
