"""Files whose format loses something of the picture: which they are, how large, and the pixels that they decode to.

What is decoded is one picture's pixels at 8 bits, its ICC profile, EXIF and XMP; what else such a file says, such as
thumbnails, gain maps, depth maps or a second picture behind a JPEG, is not read. Nothing here makes these files again.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image as Pillow
from PIL import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.WebPImagePlugin import WebPImageFile

from codec.errors import CodecError, ImageTooLarge, UnreadableImage, UnsupportedImage
from codec.images import heif_boxes, webp_chunks
from codec.images.samples import Samples
from codec.jpeg.file import take_apart
from codec.jpeg.segments import ArithmeticJpeg, OddJpeg

Metadata = dict[str, bytes | None]

WEBP, ANIMATED_WEBP, AVIF = "a lossy WebP", "an animated lossy WebP", "an AVIF"
HEIC, HEIF, JPEG_2000, JPEG_XL = "a HEIC", "a HEIF", "a JPEG 2000", "a JPEG XL"

_SIGNATURES = {
    b"\0\0\0\x0cjP  \r\n\x87\n": JPEG_2000,
    b"\xff\x4f\xff\x51": JPEG_2000,
    b"\0\0\0\x0cJXL \r\n\x87\n": JPEG_XL,
    b"\xff\x0a": JPEG_XL,
}
_BRANDS = {  # those of a HEIF file that only says so come last
    AVIF: {b"avif", b"avis"},
    HEIC: {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"},
    HEIF: {b"mif1", b"mif2", b"msf1", b"avci", b"avcs", b"jpeg", b"jpgs", b"vvic", b"evbi"},
}
_SEQUENCES = (b"avis", b"msf1", b"hevc", b"hevx", b"hevm", b"hevs", b"avcs", b"jpgs")  # major brands
_SIZ = b"\xff\x4f\xff\x51"  # the beginning of a JPEG 2000 code stream, up to the marker of its sizes
_HEAD = 1 << 16  # bytes in which that is looked for
_KINDS = {"L": "grey", "RGB": "rgb", "RGBA": "rgb+alpha"}
_EXIF = b"Exif\0\0"  # what some formats have before EXIF
_AGAIN = "get the file again"


def kind_of(data: bytes) -> str | None:
    """What a file is if it is in one of these formats, by its first bytes; None for others, among them JPEG.

    AVIF, HEIC, JPEG 2000 and JPEG XL can also be coded without loss, which is not told apart.
    """
    if webp_chunks.is_webp(data):
        lossy, animated = webp_chunks.lossy_and_animated(data)
        return (ANIMATED_WEBP if animated else WEBP) if lossy else None
    for signature, kind in _SIGNATURES.items():
        if data[: len(signature)] == signature:
            return kind
    brands = heif_boxes.brands(data)
    first = next((kind for kind, names in _BRANDS.items() if brands[:1] and brands[0] in names), None)
    if first in (AVIF, HEIC):
        return first
    return next((kind for kind, names in _BRANDS.items() if names & set(brands)), None)


def size(data: bytes) -> tuple[int, int] | None:
    """Width and height of what `decoded` would give, from the header alone; None where that does not say them, as for
    JPEG XL, or is damaged."""
    kind = kind_of(data)
    if kind in (WEBP, ANIMATED_WEBP):
        return webp_chunks.canvas(bytes(data[12:30])) or webp_chunks.size_of(bytes(data[20:30]))
    if kind == JPEG_2000:
        return _jpeg_2000_size(bytes(data[:_HEAD]))
    if kind in (AVIF, HEIC, HEIF):
        try:
            told = heif_boxes.properties(data)
        except UnreadableImage:
            return None
        return told.size if kind == AVIF else told.shown
    return None


def decoded(data: bytes, max_pixels: int) -> tuple[Samples, Metadata]:
    """The pixels of a lossy WebP, an AVIF, a HEIC (if pillow_heif is installed) or a JPEG, and "icc", "exif" and "xmp".

    The samples are grey, rgb or rgb+alpha at 8 bits. EXIF begins with its TIFF header, without "Exif". Its orientation
    is what is still to be done to the samples: of WebP and JPEG it is the file's; an AVIF's samples are as coded, and
    how they are to be turned and mirrored is put into the EXIF by Pillow; a HEIC's samples are turned and mirrored by
    libheif, and the EXIF is made to say that they stand upright.

    Raises UnsupportedImage for animations, several pictures, more than 8 bits, CMYK, cropped AVIF (clap), JPEG 2000
    and JPEG XL; UnreadableImage for what is damaged, also where libjpeg would only warn; ImageTooLarge.
    """
    kind = kind_of(data)
    if data[:3] == b"\xff\xd8\xff":
        return _jpeg(data, max_pixels)
    if kind == WEBP:
        _check_size(size(data), max_pixels)
        return _read(WebPImageFile, data, WEBP, max_pixels)
    if kind == AVIF:
        return _avif(data, max_pixels)
    if kind in (HEIC, HEIF):
        return _heif(data, kind, max_pixels)
    if kind:
        raise UnsupportedImage(f"{kind} is not supported: convert it to PNG")
    raise UnreadableImage("no picture in a lossy format that is read: WebP, AVIF, HEIC, JPEG")


def _jpeg_2000_size(head: bytes) -> tuple[int, int] | None:
    at = head.find(_SIZ)
    if at < 0 or len(head) < at + 24:
        return None
    right, bottom, left, top = (int.from_bytes(head[at + i : at + i + 4], "big") for i in range(8, 24, 4))
    return (right - left, bottom - top) if right > left and bottom > top else None


def _check_size(found: tuple[int, int] | None, max_pixels: int) -> None:
    if found and found[0] * found[1] > max_pixels:
        shown = f"{found[0]} x {found[1]}"
        raise ImageTooLarge(f"{shown} pixels are more than {max_pixels} in all: allow more with --max-pixels")


def _read(
    plugin: Callable[[io.BytesIO], ImageFile.ImageFile], data: bytes, kind: str, max_pixels: int
) -> tuple[Samples, Metadata]:
    """What a plugin of Pillow reads; not by Pillow.open, whose bound on pixels is one for the whole process."""
    try:
        with plugin(io.BytesIO(data)) as picture:
            _check_size(picture.size, max_pixels)
            if getattr(picture, "n_frames", 1) > 1:
                raise UnsupportedImage(f"{kind} of several pictures, such as an animation, is not supported")
            if picture.mode not in _KINDS:
                raise UnsupportedImage(f"{kind} of mode {picture.mode} is not supported: convert it to RGB")
            picture.load()
            values = np.array(picture).reshape(picture.height, picture.width, -1)
            samples = Samples(values, 8, _KINDS[picture.mode])
            return samples, _metadata(picture.info)
    except (CodecError, MemoryError):
        raise
    except Pillow.DecompressionBombError as error:
        raise ImageTooLarge(f"more pixels than PIL.Image.MAX_IMAGE_PIXELS allows ({error})") from error
    except Exception as error:  # Pillow's parsers raise whatever they trip over
        raise UnreadableImage(f"{kind} that is damaged ({error or type(error).__name__}): {_AGAIN}") from error


def _metadata(info: dict) -> Metadata:
    exif = info.get("exif") or None
    return {
        "icc": info.get("icc_profile") or None,
        "exif": exif.removeprefix(_EXIF) if exif else None,
        "xmp": info.get("xmp") or None,
    }


def _avif(data: bytes, max_pixels: int) -> tuple[Samples, Metadata]:
    try:
        from PIL.AvifImagePlugin import SUPPORTED, AvifImageFile
    except ImportError:
        SUPPORTED = False
    if not SUPPORTED:
        raise UnsupportedImage("an AVIF is not read by this Pillow: install pillow>=11.3, or convert it to PNG")
    told = _told(data, AVIF, max_pixels)
    if b"clap" in told.own:
        raise UnsupportedImage("an AVIF that is shown cropped (clap) is not supported: convert it to PNG")
    samples, metadata = _read(AvifImageFile, data, AVIF, max_pixels)
    values = samples.values
    if told.grey and samples.kind == "rgb" and (values == values[..., :1]).all():
        samples = Samples(np.ascontiguousarray(values[..., :1]), 8, "grey")
    return samples, metadata


def _told(data: bytes, kind: str, max_pixels: int) -> heif_boxes.Properties:
    """The properties of a file, which are checked."""
    if heif_boxes.brands(data)[0] in _SEQUENCES:
        raise UnsupportedImage(f"{kind} of several pictures, such as an animation, is not supported")
    told = heif_boxes.properties(data)
    _check_size(told.size, max_pixels)
    if told.depth > 8:
        raise UnsupportedImage(f"{kind} of {told.depth} bits is not supported: convert it to PNG")
    return told


def _heif(data: bytes, kind: str, max_pixels: int) -> tuple[Samples, Metadata]:
    try:
        from pillow_heif import HeifImageFile
    except ImportError as error:
        raise UnsupportedImage(f"{kind} needs the package pillow_heif: install it, or convert it to PNG") from error
    _told(data, kind, max_pixels)
    return _read(HeifImageFile, data, kind, max_pixels)


def _jpeg(data: bytes, max_pixels: int) -> tuple[Samples, Metadata]:
    try:  # libjpeg makes up what is missing or undefined, and goes on
        take_apart(bytes(data), lambda frame: _check_size((frame.width, frame.height), max_pixels))
    except ArithmeticJpeg as error:
        raise UnsupportedImage(f"{error}, which is not supported: convert it with jpegtran") from error
    except OddJpeg as error:
        raise UnreadableImage(f"a JPEG that is damaged or of a kind that is not read ({error}): {_AGAIN}") from error
    return _read(JpegImageFile, data, "a JPEG", max_pixels)
