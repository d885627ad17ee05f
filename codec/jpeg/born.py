"""Pictures that a JPEG's decoder made, kept by that JPEG's coefficients and by what they do not make."""

from __future__ import annotations

import struct
import zlib

import numpy as np

from codec.errors import DamagedFile, ImageTooLarge
from codec.format.container import DECODED, Kept
from codec.format.packed import pack, unpack
from codec.jpeg.coder import decode, encode, of_frame
from codec.jpeg.file import empty
from codec.jpeg.pixels import pixels
from codec.jpeg.recovery.recover import SAMPLINGS, Recovered, frame_of, recover, steps_of
from codec.jpeg.segments import Frame
from runtime.progress import Progress

_HEAD = struct.Struct("<IIBBBI")  # width, height, offset, sampling, quality, length of the coefficients' payload
_LEAST_EXACT = 0.97  # share of pixels that have to be made: the others cost more than the walk through pixels


def keep_pixels(picture: np.ndarray, progress: Progress | None = None) -> Kept | None:
    """What holds an RGB picture, uint8 [H, W, 3], None where no JPEG is found that makes nearly all of it."""
    found = recover(picture)
    if found is None or found.exact.mean() < _LEAST_EXACT:
        return None
    coded = encode(found.coefficients, found.frame, found.steps, of_frame(found.frame, progress))
    height, width, _ = picture.shape
    offset, sampling = found.offset[0] + 8 * found.offset[1], SAMPLINGS.index(found.frame.sampling)
    head = _HEAD.pack(width, height, offset, sampling, found.quality, len(coded))
    rest = b"" if found.exact.all() else pack((picture - _made(found, picture.shape)).tobytes())
    return Kept(DECODED, picture.size, zlib.crc32(picture.tobytes()), head + coded + rest)


def _made(found: Recovered, shape: tuple[int, ...]) -> np.ndarray:
    row, column = found.offset
    return pixels(found.frame, found.steps, found.coefficients)[row : row + shape[0], column : column + shape[1]]


def shape_of(kept: Kept) -> tuple[int, int]:
    """Height and width of the picture. Raises DamagedFile."""
    if len(kept.payload) < _HEAD.size:
        raise DamagedFile("a picture's header is cut off: get the file again")
    width, height, *_ = _HEAD.unpack_from(kept.payload)
    if not width * height or width * height * 3 != kept.size:
        raise DamagedFile(f"{width} x {height} pixels do not fit {kept.size} bytes: get the file again")
    return height, width


def description(kept: Kept) -> str:
    """What the JPEG was, in words."""
    *_, sampling, quality, _ = _HEAD.unpack_from(kept.payload)
    across, down = SAMPLINGS[min(sampling, len(SAMPLINGS) - 1)]
    name = {(1, 1): "4:4:4", (2, 1): "4:2:2", (2, 2): "4:2:0", (1, 2): "4:4:0"}[across, down]
    return f"was a JPEG, quality {quality}, {name}"


def pixels_of(kept: Kept, max_pixels: int, progress: Progress | None = None) -> np.ndarray:
    """The picture, uint8 [H, W, 3]. Raises DamagedFile and, before so much is allocated, ImageTooLarge."""
    height, width = shape_of(kept)
    if height * width > max_pixels:
        raise ImageTooLarge(
            f"{width} x {height} pixels are more than {max_pixels} in all: allow more with --max-pixels"
        )
    _, _, offset, sampling, quality, length = _HEAD.unpack_from(kept.payload)
    coded, rest = kept.payload[_HEAD.size :][:length], kept.payload[_HEAD.size + length :]
    if offset >= 64 or sampling >= len(SAMPLINGS) or not 1 <= quality <= 100 or len(coded) < length:
        raise DamagedFile("a picture's header has a wrong value: get the file again")
    column, row = divmod(offset, 8)
    found = _decoded(frame_of(width + column, height + row, SAMPLINGS[sampling]), quality, coded, progress)
    picture = np.ascontiguousarray(found[row:, column:])
    if rest:
        left = np.frombuffer(unpack(rest, kept.size).ljust(kept.size, b"\0"), np.uint8)
        picture = picture + left.reshape(picture.shape)
    if zlib.crc32(picture.tobytes()) != kept.crc:
        raise DamagedFile("it does not decode to the pixels that were coded: get the file again")
    return picture


def _decoded(frame: Frame, quality: int, coded: bytes, progress: Progress | None) -> np.ndarray:
    steps, coefficients = steps_of(quality), empty(frame, float("inf"))
    decode(coded, frame, steps, coefficients, of_frame(frame, progress))
    return pixels(frame, steps, coefficients)
