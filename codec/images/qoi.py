"""QOI: red, green, blue and alpha of eight bits; alpha is a channel where the header says so or not all of it is 255.

The rest: the varints width, height; the bytes channels and colour space of the header; a blob, what follows the mark of
the end. Chunks are those of the reference encoder; a file with others is not exact.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import QoiImagePlugin

from codec.errors import DamagedFile, UnreadableImage
from codec.format.numbers import Reader, blob, varint
from codec.images import opinions, qoi_chunks
from codec.images.pieces import check_length, check_size, is_same
from codec.images.samples import Item, Parts, Samples

_HEADER = struct.Struct(">4sIIBB")
_END = bytes(7) + b"\1"
_CHANNELS = (3, 4)
_KINDS = {3: "rgb", 4: "rgb+alpha"}
_CHANNELS_AT = 12  # in the header
_MOST_SIDE = (1 << 32) - 1
_MOST_ASKED = 1 << 20  # pixels


@dataclass(frozen=True)
class Rest:
    """A rest's fields: the header's, and what follows the end."""

    width: int
    height: int
    channels: int
    colour_space: int
    tail: bytes = b""


def recognises(data: bytes) -> bool:
    """Whether data begins as a QOI file."""
    return data[:4] == b"qoif"


def take_apart(data: bytes, max_pixels: int) -> Parts:
    """The samples of a QOI file and the rest. Raises UnreadableImage or ImageTooLarge."""
    header = _parse_header(data)
    check_size(header.width, header.height, max_pixels)
    if header.width * header.height > qoi_chunks.MOST_RUN * len(data):
        raise UnreadableImage(f"{len(data)} bytes hold no {header.width} x {header.height} pixels: get the file again")
    values, end = _values(data, header, header.channels)
    if data[end : end + len(_END)] != _END:
        raise UnreadableImage(f"no mark of the end at byte {end}: get the file again")
    samples = Samples(values, 8, _KINDS[values.shape[2]])
    written = _write(Rest(header.width, header.height, header.channels, header.colour_space, data[end + len(_END) :]))
    return Parts(samples, written, is_same(put_together(samples, written), data))


def put_together(samples: Samples, rest: bytes) -> Iterator[bytes]:
    """The file's bytes, some at a time. Raises DamagedFile where samples and rest do not fit."""
    found = _parse(rest)
    kinds = (_KINDS[found.channels], _KINDS[4])
    if samples.kind not in kinds or samples.depth != 8 or samples.values.shape[:2] != (found.height, found.width):
        raise DamagedFile("what was kept of a QOI file does not fit the picture: get the file again")
    return _pieces(samples.values, found)


def metadata(rest: bytes) -> list[Item]:
    """What follows the end."""
    found = _parse(rest)
    return [Item("trailing bytes", found.tail)] if found.tail else []


def stripped(rest: bytes) -> bytes:
    """The rest without what follows the end."""
    found = _parse(rest)
    return _write(Rest(found.width, found.height, found.channels, found.colour_space))


def second_opinion(data: bytes) -> Samples | None:
    """Pillow's samples of a small file, since it takes many seconds for a large one."""
    header = _parse_header(data)
    if header.width * header.height > _MOST_ASKED:
        return None
    # Pillow would drop alpha that the header does not announce.
    read = opinions.pillow(QoiImagePlugin.QoiImageFile, data[:_CHANNELS_AT] + b"\4" + data[_CHANNELS_AT + 1 :])
    if read is None or read[0] != "RGBA":
        return None
    channels = 3 if header.channels == 3 and (read[1][:, :, 3] == 255).all() else 4
    return Samples(read[1][:, :, :channels], 8, _KINDS[channels])


def _parse_header(data: bytes) -> Rest:
    check_length(data, 0, _HEADER.size)
    magic, width, height, channels, colour_space = _HEADER.unpack(data[: _HEADER.size])
    if magic != b"qoif" or channels not in _CHANNELS:
        raise UnreadableImage(f"a QOI header of {channels} channels: get the file again")
    return Rest(width, height, channels, colour_space)


def _values(data: bytes, header: Rest, channels: int) -> tuple[np.ndarray, int]:
    """The values, of 4 channels if alpha is not 255 somewhere, and the place after their chunks."""
    values = np.empty((header.height, header.width, channels), np.uint8)
    flat, at, end = values.reshape(-1, channels), 0, _HEADER.size
    for pixels, after in qoi_chunks.decode(data, end, len(flat)):
        if channels == 3 and (pixels[:, 3] != 255).any():
            return _values(data, header, 4)
        flat[at : at + len(pixels)] = pixels[:, :channels]
        at, end = at + len(pixels), after
    return values, end


def _pieces(values: np.ndarray, rest: Rest) -> Iterator[bytes]:
    yield _HEADER.pack(b"qoif", rest.width, rest.height, rest.channels, rest.colour_space)
    width, channels = values.shape[1:]

    def pixels(first: int, last: int) -> np.ndarray:
        top = first // width
        some = values[top : -(-last // width)].reshape(-1, channels)[first - top * width : last - top * width]
        return some if channels == 4 else np.pad(some, ((0, 0), (0, 1)), constant_values=255)

    yield from qoi_chunks.encode(pixels, values.shape[0] * width)
    yield _END + rest.tail


def _write(rest: Rest) -> bytes:
    numbers = varint(rest.width) + varint(rest.height) + bytes([rest.channels, rest.colour_space])
    return numbers + blob(rest.tail)


def _parse(rest: bytes) -> Rest:
    """The fields of a rest. Raises DamagedFile."""
    reader = Reader(rest)
    found = Rest(reader.varint(), reader.varint(), reader.byte(), reader.byte(), reader.blob())
    reader.done()
    if found.channels not in _CHANNELS or max(found.width, found.height) > _MOST_SIDE:
        raise DamagedFile(f"a QOI file of {found.channels} channels does not exist: get the file again")
    return found
