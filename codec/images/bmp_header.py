"""What a BMP file says before its pixels: the file header, the info header, masks and palette.

`parse` needs headers and masks alone and reads no byte from the palette on, so it gives the same for a whole file and
for its head.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from codec.errors import UnreadableImage, UnsupportedImage
from codec.images.masks import Field, fields_of, spare_bits
from codec.images.pieces import check_length

FILE_HEADER = 14  # bytes; the info header follows
CORE, OS2_SHORT, INFO, OS2, V4, V5 = 12, 16, 40, 64, 108, 124  # lengths of info headers
INFO_SIZES = (CORE, OS2_SHORT, INFO, 52, 56, OS2, V4, V5)
PLAIN, RLE8, RLE4, BITFIELDS, ALPHA_BITFIELDS = 0, 1, 2, 3, 6
# Places in the file.
FILE_SIZE, RESERVED, OFFSET, HEIGHT, BITS, COMPRESSION, PIXEL_SIZE, DENSITY = 2, 6, 10, 22, 28, 30, 34, 38
MASKS, COLOUR_SPACE, PROFILE, RESERVED_LAST = 54, 70, 126, 134
EMBEDDED, LINKED, SRGB = b"DEBM", b"KNIL", b"BGRs"  # colour spaces, whose four letters are stored backwards
_NAMES = {4: "a JPEG in a BMP file", 5: "a PNG in a BMP file", 11: "CMYK", 12: "CMYK in RLE8", 13: "CMYK in RLE4"}
_OS2_NAMES = {3: "Huffman coding", 4: "RLE24"}
_FIVES = (0x7C00, 0x3E0, 0x1F)
_BYTES = (0xFF0000, 0xFF00, 0xFF)


@dataclass(frozen=True)
class Header:
    """What the samples' layout follows from. offset: of the pixels. entry: bytes of a palette's colour, of which there
    are `colours`, from palette_at on. fields: of words of 16 and 32 bits, red, green, blue and, if announced, alpha.
    """

    info_size: int
    width: int
    height: int
    top_first: bool
    bits: int
    compression: int
    offset: int
    palette_at: int
    colours: int
    fields: tuple[Field, ...]

    @property
    def entry(self) -> int:
        return 3 if self.info_size == CORE else 4

    @property
    def row_bytes(self) -> int:
        """Bytes of a row with its padding, which comes to whole words of 32 bits."""
        return (self.width * self.bits + 31) // 32 * 4

    @property
    def after_palette(self) -> int:
        """The place after the palette, or after the info header where there is none."""
        return self.palette_at + self.colours * self.entry if self.bits <= 8 else FILE_HEADER + self.info_size

    @property
    def in_packets(self) -> bool:
        return self.compression in (RLE8, RLE4)


def parse(data: bytes) -> Header:
    """The header of a file. Raises UnreadableImage and UnsupportedImage."""
    check_length(data, 0, FILE_HEADER + 4)
    offset, info_size = struct.unpack("<II", data[OFFSET : OFFSET + 8])
    if data[:2] != b"BM" or info_size not in INFO_SIZES:
        raise UnsupportedImage(f"a bitmap with an info header of {info_size} bytes is not read: save it with one of 40")
    check_length(data, 0, FILE_HEADER + info_size)
    if info_size == CORE:
        width, height, _, bits = struct.unpack("<HHHH", data[18:26])
    else:
        width, height, _, bits = struct.unpack("<iiHH", data[18:30])
    wide = info_size >= INFO
    compression, used = (_u32(data, COMPRESSION), _u32(data, 46)) if wide else (PLAIN, 0)
    _check_form(info_size, bits, compression, height)
    masks_at_end = {BITFIELDS: 12, ALPHA_BITFIELDS: 16}.get(compression, 0) if info_size == INFO else 0
    head = FILE_HEADER + info_size + masks_at_end
    check_length(data, 0, head)
    if offset < head:
        raise UnreadableImage(f"pixels at byte {offset}, inside the header of {head}: get the file again")
    entry, most = 3 if info_size == CORE else 4, min(used or 1 << bits, 1 << bits) if bits <= 8 else 0
    if offset == head:  # some programs do not count the palette
        offset += most * entry
    colours = min(most, (offset - head) // entry)
    fields = _fields(data, info_size, bits, compression)
    return Header(info_size, width, abs(height), height < 0, bits, compression, offset, head, colours, fields)


def _u32(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")


def _check_form(info_size: int, bits: int, compression: int, height: int) -> None:
    """Raises UnsupportedImage or UnreadableImage for pixels that are not read."""
    names = _OS2_NAMES if info_size == OS2 else _NAMES
    if compression in names:
        raise UnsupportedImage(f"{names[compression]} is not read: save the picture as a plain BMP file")
    needed = {PLAIN: (1, 2, 4, 8, 16, 24, 32), RLE8: (8,), RLE4: (4,), BITFIELDS: (16, 32), ALPHA_BITFIELDS: (16, 32)}
    if compression == PLAIN and bits == 64:
        raise UnsupportedImage("a bitmap of 64 bits a pixel is not read: save it with 32 or fewer")
    if bits not in needed.get(compression, ()):
        raise UnreadableImage(f"a bitmap of {bits} bits with compression {compression}: get the file again")
    if height < 0 and compression in (RLE8, RLE4):
        raise UnreadableImage("a bitmap in packets whose top row is first: get the file again")


def _fields(data: bytes, info_size: int, bits: int, compression: int) -> tuple[Field, ...]:
    if bits not in (16, 32):
        return ()
    if compression == PLAIN:
        return fields_of(_FIVES if bits == 16 else _BYTES, bits)
    alpha_at = MASKS + 12
    has_alpha = compression == ALPHA_BITFIELDS or info_size >= 56
    masks = tuple(_u32(data, at) for at in (MASKS, MASKS + 4, MASKS + 8))
    alpha = _u32(data, alpha_at) if has_alpha else 0
    return fields_of((*masks, alpha) if alpha else masks, bits)


def spare(header: Header) -> int:
    """The mask of the bits of a word that no channel has."""
    return spare_bits(header.fields, header.bits) if header.fields else 0


def ramp(bits: int) -> np.ndarray:
    """The palette of greys from black to white, [2**bits, 3] uint8."""
    greys = np.arange(1 << bits) * (255 // ((1 << bits) - 1))
    return np.repeat(greys[:, None], 3, axis=1).astype(np.uint8)


def usual(info_size: int, bits: int, width: int, height: int) -> bytes:
    """File and info header of a plain file, bottom row first, with a full palette where there are 8 bits or fewer, and
    with nothing between that and the pixels; what is not needed is 0.
    """
    entry = 3 if info_size == CORE else 4
    offset = FILE_HEADER + info_size + (entry << bits if bits <= 8 else 0)
    pixels = (width * bits + 31) // 32 * 4 * height
    first = b"BM" + struct.pack("<III", (offset + pixels) & 0xFFFFFFFF, 0, offset)
    if info_size == CORE:
        return first + struct.pack("<IHHHH", info_size, width & 0xFFFF, height & 0xFFFF, 1, bits)
    info = struct.pack("<IIIHHII", info_size, width, height, 1, bits, 0, pixels & 0xFFFFFFFF)
    return first + info[:info_size] + bytes(max(0, info_size - len(info)))
