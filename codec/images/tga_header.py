"""What a TGA file says before its pixels and after them: the header, the colour map, the areas of TGA 2."""

from __future__ import annotations

import struct
from dataclasses import astuple, dataclass

import numpy as np

from codec.errors import UnreadableImage, UnsupportedImage
from codec.images.masks import Field

LENGTH = 18  # bytes of the header
SIGNATURE = b"TRUEVISION-XFILE.\0"
PLAIN_FOOTER = bytes(8) + SIGNATURE  # of a file without areas
EXTENSION = 495  # bytes of an extension area
KIND_OF_ALPHA = 494  # where in it stands what the alpha means
MAPPED, COLOUR, GREY, RUNS = 1, 2, 3, 8  # types of pictures; RUNS is added for those in packets
_MAP_BYTES = {15: 2, 16: 2, 24: 3, 32: 4}
_PIXEL_BYTES = {(MAPPED, 8): 1, (COLOUR, 15): 2, (COLOUR, 16): 2, (COLOUR, 24): 3, (COLOUR, 32): 4, (GREY, 8): 1}
_PIXEL_BYTES[GREY, 16] = 2  # grey, and alpha after it
_STRUCT = struct.Struct("<BBBHHBHHHHBB")
WORD = (Field(10, 5), Field(5, 5), Field(0, 5), Field(15, 1))  # red, green, blue and alpha of 16 bits


@dataclass(frozen=True)
class Header:
    """The header's fields, in its order."""

    id_length: int
    has_map: int
    type: int
    map_first: int
    map_count: int
    map_bits: int
    left: int
    bottom: int
    width: int
    height: int
    bits: int
    descriptor: int

    @property
    def form(self) -> int:
        """MAPPED, COLOUR or GREY."""
        return self.type & ~RUNS

    @property
    def in_packets(self) -> bool:
        return bool(self.type & RUNS)

    @property
    def pixel_bytes(self) -> int:
        return _PIXEL_BYTES[self.form, self.bits]

    @property
    def is_word(self) -> bool:
        """Whether the channels of a pixel share two bytes."""
        return self.form == COLOUR and self.pixel_bytes == 2

    @property
    def map_length(self) -> int:
        """Bytes of the colour map."""
        return self.map_count * _MAP_BYTES[self.map_bits] if self.has_map else 0

    @property
    def length(self) -> int:
        """Bytes before the pixels."""
        return LENGTH + self.id_length + self.map_length

    def pack(self) -> bytes:
        """The header's bytes."""
        return _STRUCT.pack(*astuple(self))


def parse(data: bytes) -> Header:
    """The header of data. Raises UnreadableImage and UnsupportedImage."""
    if len(data) < LENGTH:
        raise UnreadableImage(f"a TGA file of {len(data)} bytes, fewer than its header has: get the file again")
    header = Header(*_STRUCT.unpack(data[:LENGTH]))
    if header.type in (0, 32, 33):
        raise UnsupportedImage(f"a TGA file of type {header.type} is not read: save it as type 1, 2, 3, 9, 10 or 11")
    if (
        header.form not in (MAPPED, COLOUR, GREY)
        or header.has_map > 1
        or (header.form == MAPPED and not header.has_map)
    ):
        raise UnreadableImage(f"a TGA header of type {header.type} and colour map {header.has_map}: get the file again")
    if header.form == MAPPED and not header.map_count:
        raise UnreadableImage("a colour map without colours: get the file again")
    if header.has_map and header.map_bits not in _MAP_BYTES:
        raise UnsupportedImage(f"a colour map of {header.map_bits} bits a colour is not read: save it with others")
    if (header.form, header.bits) not in _PIXEL_BYTES:
        raise UnsupportedImage(f"type {header.type} with {header.bits} bits a pixel is not read: save it with others")
    if header.descriptor >> 6:
        raise UnsupportedImage("interleaved rows of a TGA file are not read: save it without")
    return header


def palette(header: Header, colour_map: bytes) -> np.ndarray:
    """The colours of a map as they are shown, [N, 3] uint8; those before the first that it gives are black."""
    width = _MAP_BYTES[header.map_bits]
    entries = np.frombuffer(colour_map, np.uint8).reshape(-1, width)
    if width == 2:
        words = entries.reshape(-1).view("<u2")
        fives = np.stack([words >> field.shift & 31 for field in WORD[:3]], axis=1)
        colours = (fives << 3 | fives >> 2).astype(np.uint8)
    else:
        colours = entries[:, 2::-1]
    return np.concatenate([np.zeros((header.map_first, 3), np.uint8), colours])


def has_areas(tail: bytes) -> bool:
    """Whether the bytes after the pixels end as those of a TGA 2 file, which gives places in it."""
    return tail[-len(SIGNATURE) :] == SIGNATURE


def extension(tail: bytes, tail_at: int) -> bytes:
    """The extension area in the bytes that stand after the pixels, from tail_at on; nothing if there is none."""
    if not has_areas(tail) or len(tail) < len(PLAIN_FOOTER):
        return b""
    place = int.from_bytes(tail[-26:-22], "little")
    at = place - tail_at
    return tail[at : at + EXTENSION] if place and 0 <= at and at + EXTENSION <= len(tail) - len(PLAIN_FOOTER) else b""


def bare_extension(kind_of_alpha: int, tail_at: int) -> bytes:
    """An extension area that says nothing but what the alpha means, and the footer that points to it."""
    area = EXTENSION.to_bytes(2, "little") + bytes(KIND_OF_ALPHA - 2) + bytes([kind_of_alpha])
    return area + tail_at.to_bytes(4, "little") + bytes(4) + SIGNATURE
