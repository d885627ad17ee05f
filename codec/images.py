"""Pictures in and out: files that Pillow reads to uint8 arrays, and arrays to lossless files.

What is coded are the pixels as Pillow decodes them, so a JPEG is kept as it looks, not as its file was.
Pictures whose decoding would lose something (16 bits, palettes, transparent colours, frames) are refused,
never converted. Metadata is not kept yet: ICC profile, EXIF and with it the orientation are dropped;
`Image.dropped` names them.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from PIL import ImageFile, UnidentifiedImageError

from codec import files
from codec.errors import ImageTooLarge, UnreadableImage, UnsupportedImage, UnsupportedOutput
from codec.format.container import MAX_PIXELS, MODES

# Formats whose loss of depth on opening `_lossy_decoding` knows; none of them runs another program.
_INPUTS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "PPM", "GIF", "TGA", "QOI")


@dataclass(frozen=True, eq=False)
class Image:
    """A picture: pixels [H, W, C] uint8, C = 1, 3 or 4 for mode "L", "RGB" or "RGBA".

    dropped names what the file said besides the pixels ("ICC profile", "EXIF"), which is not kept.
    """

    pixels: np.ndarray
    mode: str
    dropped: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"mode is {self.mode!r}, not one of {', '.join(MODES)}")
        shape, channels = self.pixels.shape, MODES[self.mode].channels
        if self.pixels.dtype != np.uint8 or len(shape) != 3 or shape[2] != channels or not self.pixels.size:
            found = f"{list(shape)} {self.pixels.dtype}"
            raise ValueError(f"mode {self.mode} needs [H, W, {channels}] uint8, not {found}")

    @property
    def height(self) -> int:
        return self.pixels.shape[0]

    @property
    def width(self) -> int:
        return self.pixels.shape[1]

    @property
    def description(self) -> str:
        return f"{self.width} x {self.height} {self.mode}"

    def difference(self, other: Image) -> str | None:
        """How other differs from this picture, in words; None when mode and every pixel are the same."""
        if (self.mode, self.pixels.shape) != (other.mode, other.pixels.shape):
            return f"{self.description} is not {other.description}"
        wrong = (self.pixels != other.pixels).any(axis=2)
        if not wrong.any():
            return None
        row, col = np.unravel_index(wrong.argmax(), wrong.shape)
        return f"{wrong.sum()} of {wrong.size} pixels differ, the first in row {row}, column {col}"


@dataclass(frozen=True)
class Format:
    """A lossless format to write: Pillow's name and options for it, and the modes it gives back unchanged."""

    name: str
    options: tuple[tuple[str, object], ...]
    modes: tuple[str, ...]


_TIFF = Format("TIFF", (("compression", "tiff_deflate"),), ("L", "RGB", "RGBA"))
FORMATS = {
    ".png": Format("PNG", (), ("L", "RGB", "RGBA")),
    ".webp": Format("WEBP", (("lossless", True),), ("RGB",)),  # reads back grey as RGB, and RGBA when opaque
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".bmp": Format("BMP", (), ("L", "RGB")),
    ".pgm": Format("PPM", (), ("L",)),
    ".ppm": Format("PPM", (), ("RGB",)),
}


def read(path: Path, max_pixels: int = MAX_PIXELS) -> Image:
    """Read a picture of mode L, RGB or RGBA with 8 bits per channel.

    Raises UnreadableImage, UnsupportedImage (the message names the mode) or ImageTooLarge, the last two
    before any pixel is decoded. Pillow's settings, which are the process's, stay as they are: a new Pillow refuses
    more than twice its MAX_IMAGE_PIXELS of a TIFF or WebP.
    """
    try:
        with open(path, "rb") as stream, _opened(stream) as picture:
            _check(picture, max_pixels)
            picture.load()
            dropped = [("ICC profile", "icc_profile"), ("EXIF", "exif")]
            pixels = np.array(picture).reshape(picture.height, picture.width, -1)
            return Image(pixels, picture.mode, tuple(name for name, key in dropped if picture.info.get(key)))
    except (UnsupportedImage, ImageTooLarge, MemoryError):
        raise
    except Pillow.DecompressionBombError as error:
        raise ImageTooLarge(f"more pixels than PIL.Image.MAX_IMAGE_PIXELS allows ({error})") from error
    except UnidentifiedImageError as error:
        raise UnreadableImage(f"no picture in a format that is read ({', '.join(_INPUTS)})") from error
    except OSError as error:
        raise UnreadableImage(f"cannot be read ({error.strerror or error})") from error
    except Exception as error:  # on damaged files Pillow's parsers raise whatever they trip over
        raise UnreadableImage(f"a damaged picture ({error or type(error).__name__}): get it again") from error


def format_of(path: Path, mode: str) -> Format:
    """The format a name asks for. Raises UnsupportedOutput when it is lossy or does not keep the mode."""
    known = FORMATS.get(path.suffix.lower())
    if known is None:
        raise UnsupportedOutput(f"{path.name} names no lossless format: end it with {', '.join(FORMATS)}")
    if mode not in known.modes:
        raise UnsupportedOutput(f"{path.suffix} does not keep the mode {mode}: end {path.name} with .png")
    return known


def write(path: Path, image: Image, *, force: bool = False) -> None:
    """Write a picture losslessly in the format that the name's suffix asks for, all of it or nothing.

    Raises UnsupportedOutput, OutputExists or UnwritableOutput.
    """
    chosen = format_of(path, image.mode)
    pixels = image.pixels[:, :, 0] if image.mode == "L" else image.pixels
    stream = io.BytesIO()
    try:
        Pillow.fromarray(np.ascontiguousarray(pixels)).save(stream, chosen.name, **dict(chosen.options))
    except (OSError, ValueError) as error:
        raise UnsupportedOutput(f"{path.suffix} cannot hold {image.description} ({error}): use .png") from error
    files.write_atomically(path, stream.getvalue(), force=force)


def _opened(stream: io.BufferedReader) -> ImageFile.ImageFile:
    """As Pillow.open does it, but for its bound on pixels: that is one for the whole process, and ours is `_check`."""
    prefix = stream.read(16)
    for name in _INPUTS:
        if name not in Pillow.OPEN:
            Pillow.init()
        factory, accept = Pillow.OPEN[name]
        try:
            accepted = not accept or accept(prefix)
            if accepted and not isinstance(accepted, str):  # a text: that format's library is missing
                stream.seek(0)
                return factory(stream, "")
        except (SyntaxError, IndexError, TypeError, struct.error):  # how a plugin says that it is none of its
            continue
    raise UnidentifiedImageError


def _check(picture: ImageFile.ImageFile, max_pixels: int) -> None:
    """Refuse what is too large or would lose something, from the file's header alone."""
    if picture.width * picture.height > max_pixels:
        raise ImageTooLarge(
            f"{picture.width} x {picture.height} pixels are more than {max_pixels} in all: allow more with --max-pixels"
        )
    can = f"only 8-bit {', '.join(MODES)} can be coded, convert it first"
    if picture.mode not in MODES:
        raise UnsupportedImage(f"mode {picture.mode} is not supported: {can}")
    frames = getattr(picture, "n_frames", 1)
    if frames > 1:
        raise UnsupportedImage(f"mode {picture.mode} in {frames} frames is not supported: extract one")
    if "transparency" in picture.info:
        raise UnsupportedImage(f"mode {picture.mode} with a transparent colour (tRNS) is not supported: use RGBA")
    reason = _lossy_decoding(picture)
    if reason:
        raise UnsupportedImage(f"{reason} are not supported: {can}")


def _lossy_decoding(picture: ImageFile.ImageFile) -> str | None:
    """What Pillow would drop in silence: it opens deeper pictures, or more channels, as 8-bit RGB."""
    for tile in picture.tile:
        args = tile[3] if isinstance(tile[3], tuple) else (tile[3],)
        layout = args[0] if args and isinstance(args[0], str) else ""  # Pillow's name for what the file holds
        if ";16" in layout and not layout.startswith("BGR"):  # BGR;16 is 5 + 6 + 5 bits
            return f"16 bits per channel (mode {picture.mode}, stored as {layout})"
        if picture.format == "PPM" and len(args) > 1 and isinstance(args[1], int) and args[1] > 255:
            return f"values up to {args[1]} (mode {picture.mode})"
        if picture.format == "TIFF" and ("X" in layout or "a" in layout):
            return f"extra channels or premultiplied alpha (mode {picture.mode}, stored as {layout})"
    return None
