"""The rest of a BMP file: its bytes as the docstring of `bmp` lays them out, and what of it is metadata."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from codec.errors import CodecError, DamagedFile
from codec.format.numbers import Reader, blob, varint
from codec.images import bmp_header, bmp_packets, packets
from codec.images.bmp_header import FILE_HEADER, Header
from codec.images.bmp_packets import Packing
from codec.images.pieces import changed, changes
from codec.images.samples import Item

_RAMP, _COLOURS, _WITH_FOURTH = range(3)
_THEN_ZERO = 4
_MOST_SIDE = (1 << 31) - 1


@dataclass(frozen=True)
class Rest:
    """head: the file up to its pixels. tail: what follows them. padding: bits that fill up rows, if any is not 0.
    packing: of a file in packets, with the number of their bytes.
    """

    head: bytes
    tail: bytes
    padding: bytes = b""
    packing: Packing | None = None
    packed_bytes: int = 0

    def pixel_bytes(self, header: Header) -> int:
        """Bytes of the pixels in the file."""
        return self.packed_bytes if self.packing else header.row_bytes * header.height


def palette_of(header: Header, head: bytes) -> np.ndarray:
    """The palette as it is stored, [N, 3 or 4] uint8: blue, green, red and, where there is one, a byte more."""
    stored = np.frombuffer(head, np.uint8, header.colours * header.entry, header.palette_at)
    return stored.reshape(-1, header.entry)


def is_ramp(header: Header, head: bytes) -> bool:
    """Whether the palette is the full one of greys."""
    greys = bmp_header.ramp(header.bits)
    return header.colours == len(greys) and np.array_equal(palette_of(header, head)[:, :3], greys)


def write(rest: Rest) -> bytes:
    """The bytes of a rest."""
    header = bmp_header.parse(rest.head)
    fixed = FILE_HEADER + header.info_size
    numbers = (header.info_size, header.bits, header.width, header.height)
    usual = bmp_header.usual(*numbers)
    written = b"".join(varint(number) for number in numbers) + changes(usual, rest.head[:fixed])
    if header.bits <= 8:
        written += _written_palette(header, rest.head)
    written += blob(rest.head[header.after_palette :]) + blob(rest.tail)
    if rest.packing is None:
        return written + blob(rest.padding)
    flags = rest.packing.ending + _THEN_ZERO * rest.packing.then_zero
    written += varint(rest.packed_bytes) + bytes([rest.packing.rule, flags])
    return written + packets.written(rest.packing.exceptions)


def _written_palette(header: Header, head: bytes) -> bytes:
    stored = palette_of(header, head)
    fourth = stored[:, 3:].any()
    if is_ramp(header, head) and not fourth:
        return bytes([_RAMP])
    colours = bytes([_WITH_FOURTH if fourth else _COLOURS]) + stored[:, :3].tobytes()
    return colours + stored[:, 3:].tobytes() if fourth else colours


def parse(data: bytes) -> tuple[Rest, Header]:
    """The rest that bytes say, and the header in its head. Raises DamagedFile."""
    reader = Reader(data)
    info_size, bits, width, height = (reader.varint() for _ in range(4))
    if info_size not in bmp_header.INFO_SIZES or bits > 32 or max(width, height) > _MOST_SIDE:
        raise DamagedFile(f"a bitmap of {width} x {height} times {bits} bits does not exist: get the file again")
    fixed = changed(bmp_header.usual(info_size, bits, width, height), reader)
    try:
        head = fixed + (_parse_palette(reader, fixed) if bits <= 8 else b"") + reader.blob()
        header = bmp_header.parse(head)
    except DamagedFile:
        raise
    except CodecError as error:
        raise DamagedFile(f"what was kept of a bitmap is none ({error})") from error
    if (header.bits, header.offset) != (bits, len(head)):
        raise DamagedFile(f"{len(head)} bytes are no head of a bitmap: get the file again")
    tail = reader.blob()
    rest = _parse_packing(reader, head, tail, bits) if header.in_packets else Rest(head, tail, reader.blob())
    reader.done()
    return rest, header


def _parse_palette(reader: Reader, fixed: bytes) -> bytes:
    """The palette's bytes, of as many colours as the head has room for."""
    form = reader.byte()
    header = bmp_header.parse(fixed)
    if header.bits > 8:
        raise DamagedFile(f"a palette for {header.bits} bits does not exist: get the file again")
    if form == _RAMP:
        colours = bmp_header.ramp(header.bits).tobytes()
    elif form in (_COLOURS, _WITH_FOURTH):
        colours = reader.take(3 * header.colours)
    else:
        raise DamagedFile(f"a palette of form {form} does not exist: get the file again")
    if len(colours) != 3 * header.colours or (form == _WITH_FOURTH and header.entry == 3):
        raise DamagedFile("a palette does not fit its bitmap: get the file again")
    stored = np.zeros((header.colours, header.entry), np.uint8)
    stored[:, :3] = np.frombuffer(colours, np.uint8).reshape(-1, 3)
    if form == _WITH_FOURTH:
        stored[:, 3] = np.frombuffer(reader.take(header.colours), np.uint8)
    return stored.tobytes()


def _parse_packing(reader: Reader, head: bytes, tail: bytes, bits: int) -> Rest:
    packed_bytes, rule, flags = reader.varint(), reader.byte(), reader.byte()
    if rule >= len(bmp_packets.rules(bits)) or flags >= 2 * _THEN_ZERO:
        raise DamagedFile(f"a rule for packets, number {rule}, does not exist: get the file again")
    packing = Packing(rule, packets.read(reader), flags % _THEN_ZERO, flags >= _THEN_ZERO)
    return Rest(head, tail, packing=packing, packed_bytes=packed_bytes)


def made_plain(rest: Rest, header: Header, packed_bytes: int) -> Rest:
    """The rest of the same picture without packets, of which the file has so many bytes."""
    head, pixel_bytes = bytearray(rest.head), header.row_bytes * header.height
    struct.pack_into("<I", head, bmp_header.COMPRESSION, bmp_header.PLAIN)
    _set_sizes(head, header.offset, pixel_bytes, len(rest.tail))
    at, _ = _profile_place(head, header)
    if at >= header.offset + packed_bytes:
        struct.pack_into("<I", head, bmp_header.PROFILE, at - FILE_HEADER + pixel_bytes - packed_bytes)
    return Rest(bytes(head), rest.tail)


def _set_sizes(head: bytearray, offset: int, pixel_bytes: int, tail_bytes: int) -> None:
    struct.pack_into("<I", head, bmp_header.FILE_SIZE, (offset + pixel_bytes + tail_bytes) & 0xFFFFFFFF)
    struct.pack_into("<I", head, bmp_header.OFFSET, offset)
    if len(head) >= bmp_header.PIXEL_SIZE + 4 and _info_size(head) >= bmp_header.INFO:
        struct.pack_into("<I", head, bmp_header.PIXEL_SIZE, pixel_bytes & 0xFFFFFFFF)


def _info_size(head: bytes | bytearray) -> int:
    return int.from_bytes(head[FILE_HEADER : FILE_HEADER + 4], "little")


def _profile_place(head: bytes | bytearray, header: Header) -> tuple[int, int]:
    """Where in the file the colour profile begins and how many bytes it has; zeros if there is none."""
    space = bytes(head[bmp_header.COLOUR_SPACE : bmp_header.COLOUR_SPACE + 4])
    if header.info_size != bmp_header.V5 or space not in (bmp_header.EMBEDDED, bmp_header.LINKED):
        return 0, 0
    offset, size = struct.unpack_from("<II", head, bmp_header.PROFILE)
    return FILE_HEADER + offset, size


def metadata(rest: Rest, header: Header) -> list[Item]:
    """What the file says besides its picture: profile, density, places and bytes that nobody needs."""
    head, pixels_end = rest.head, header.offset + rest.pixel_bytes(header)
    at, size = _profile_place(head, header)
    regions = [("bytes before the pixels", head[_needed(header) :], _needed(header))]
    regions.append(("trailing bytes", rest.tail, pixels_end))
    items = []
    for name, data, start in regions:
        if size and start <= at and at + size <= start + len(data):
            linked = head[bmp_header.COLOUR_SPACE : bmp_header.COLOUR_SPACE + 4] == bmp_header.LINKED
            items.append(Item("name of an ICC profile" if linked else "ICC profile", data[at - start :][:size]))
            data = data[: at - start] + data[at - start + size :]
        if data:
            items.append(Item(name, data))
    fields = [("reserved bytes", bmp_header.RESERVED, 4)]
    if header.info_size >= bmp_header.INFO:
        fields.append(("density", bmp_header.DENSITY, 8))
    if header.info_size >= bmp_header.V4:
        fields.append(("calibrated colours", bmp_header.COLOUR_SPACE + 4, 48))
    return items + [Item(name, head[at : at + count]) for name, at, count in fields if any(head[at : at + count])]


def _needed(header: Header) -> int:
    """The bytes of the head that the samples need: headers, masks and palette."""
    return max(header.after_palette, header.palette_at)


def stripped(rest: Rest, header: Header) -> Rest:
    """The rest without its metadata; colours are as sRGB shows them."""
    head = bytearray(rest.head[: _needed(header)])
    head[bmp_header.RESERVED : bmp_header.RESERVED + 4] = bytes(4)
    _set_sizes(head, len(head), rest.pixel_bytes(header), 0)
    if header.info_size >= bmp_header.INFO:
        head[bmp_header.DENSITY : bmp_header.DENSITY + 8] = bytes(8)
    if header.info_size == bmp_header.OS2:
        head[bmp_header.MASKS : FILE_HEADER + header.info_size] = bytes(FILE_HEADER + header.info_size - 54)
    if header.info_size >= bmp_header.V4:
        head[bmp_header.COLOUR_SPACE : bmp_header.COLOUR_SPACE + 52] = bmp_header.SRGB + bytes(48)
    if header.info_size == bmp_header.V5:
        head[bmp_header.PROFILE : bmp_header.PROFILE + 12] = bytes(12)
    return Rest(bytes(head), b"", packing=rest.packing, packed_bytes=rest.packed_bytes)
