"""Files that are kept whole: a JPEG by its coefficients, anything else packed as it is."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from codec.errors import DamagedFile, ImageTooLarge, UnsupportedImage
from codec.format.kept import JPEG, STORED, KeptFile
from codec.format.packed import pack, unpack
from codec.format.picture import MAX_PIXELS
from codec.jpeg.coder import block_report, decode, encode
from codec.jpeg.file import Jpeg, empty, outline, put_together, take_apart
from codec.jpeg.likely import likely_segments
from codec.jpeg.segments import ArithmeticJpeg, Frame, OddJpeg
from runtime.progress import Progress

_LENGTH = 4  # bytes of the length of what is packed
_BYTES_OF_PIXEL = 8  # a file may have for each of --max-pixels


@dataclass(frozen=True)
class Keeping:
    """A file to be kept: how, and why not by its coefficients if it is stored."""

    kept: KeptFile
    reason: str | None = None


def keep(data: bytes, max_pixels: int = MAX_PIXELS, progress: Progress | None = None) -> Keeping:
    """What holds these bytes. Raises UnsupportedImage for arithmetic coding, and ImageTooLarge."""
    try:
        jpeg = take_apart(data, lambda frame: _check_size(frame, max_pixels))
    except ArithmeticJpeg as error:
        raise UnsupportedImage(f"{error}, which is not supported: convert it with jpegtran") from error
    except OddJpeg as error:
        return _stored(data, str(error))
    if len(set(jpeg.pads)) > 1:
        return _stored(data, "its scans end in different ways")
    coded = encode(jpeg.coefficients, jpeg.frame, jpeg.steps, block_report(jpeg.frame, progress))
    around = pack(jpeg.around, likely_segments())
    payload = len(around).to_bytes(_LENGTH, "little") + bytes([jpeg.pads[0]]) + around + coded
    return Keeping(KeptFile(JPEG, len(data), zlib.crc32(data), payload))


def _stored(data: bytes, reason: str) -> Keeping:
    return Keeping(KeptFile(STORED, len(data), zlib.crc32(data), pack(data)), reason)


def restore(kept: KeptFile, max_pixels: int = MAX_PIXELS, progress: Progress | None = None) -> bytes:
    """The bytes of a file that was kept. Raises DamagedFile and, before so much is allocated, ImageTooLarge."""
    if kept.size > _BYTES_OF_PIXEL * max_pixels:
        raise ImageTooLarge(f"it claims {kept.size} bytes: allow more with --max-pixels if you trust it")
    if kept.form == STORED:
        data = unpack(kept.payload, kept.size)
    else:
        try:
            data = _restore_jpeg(kept, max_pixels, progress)
        except OddJpeg as error:
            raise DamagedFile(f"the JPEG in it is none ({error}): get the file again") from error
    if len(data) != kept.size or zlib.crc32(data) != kept.crc:
        raise DamagedFile("it does not decode to the bytes that were coded: get the file again")
    return data


def _restore_jpeg(kept: KeptFile, max_pixels: int, progress: Progress | None) -> bytes:
    around, pad, coded = _parts(kept)
    told = outline(around)
    _check_size(told.frame, max_pixels)
    coefficients = empty(told.frame, 8 * kept.size)
    decode(coded, told.frame, told.steps, coefficients, block_report(told.frame, progress))
    return put_together(Jpeg(told.frame, told.steps, coefficients, around, (pad,) * len(told.scans)))


def _check_size(frame: Frame, max_pixels: int) -> None:
    if frame.width * frame.height > max_pixels:
        size = f"{frame.width} x {frame.height}"
        raise ImageTooLarge(f"{size} pixels are more than {max_pixels} in all: allow more with --max-pixels")


def _parts(kept: KeptFile) -> tuple[bytes, int, bytes]:
    """What is around the scans, the bit that fills their last bytes, and the coefficients' payload."""
    start = _LENGTH + 1
    end = start + int.from_bytes(kept.payload[:_LENGTH], "little")
    if len(kept.payload) < start or end > len(kept.payload) or kept.payload[_LENGTH] > 1:
        raise DamagedFile("the parts of a JPEG do not fit its payload: get the file again")
    return unpack(kept.payload[start:end], kept.size, likely_segments()), kept.payload[_LENGTH], kept.payload[end:]


def around_of(kept: KeptFile) -> bytes | None:
    """All bytes of a JPEG that was kept by its coefficients but the scans': its headers, and what came with it. None
    for other files. Raises DamagedFile."""
    return None if kept.form == STORED else _parts(kept)[0]


def frame_of(kept: KeptFile) -> Frame | None:
    """The frame of a JPEG that was kept by its coefficients, None for other files. Raises DamagedFile."""
    if kept.form == STORED:
        return None
    try:
        return outline(_parts(kept)[0]).frame
    except OddJpeg as error:
        raise DamagedFile(f"the JPEG in it is none ({error}): get the file again") from error
