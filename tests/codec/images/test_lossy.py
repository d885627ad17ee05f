"""Lossy files: recognised by names, decoded where they are whole and of 8 bits, and refused by name otherwise."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, features

from codec.errors import CodecError, ImageTooLarge, UnreadableImage, UnsupportedImage
from codec.images import lossy

MOST = 10**6
AVIF = pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
NOTHING = {"icc": None, "exif": None, "xmp": None}


def pixels(height=48, width=64):
    across, down = np.meshgrid(np.arange(width), np.arange(height))
    noise = np.random.default_rng(1).integers(0, 40, (height, width))
    return np.stack([3 * across, 4 * down + noise, 128 + 40 * np.sin(across / 5)], -1).clip(0, 255).astype(np.uint8)


RGB = Image.fromarray(pixels())
RGBA = RGB.copy()
RGBA.putalpha(Image.linear_gradient("L").resize(RGB.size))
GREY = RGB.convert("L")
MORE = dict(save_all=True, append_images=[RGB.rotate(180)])


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112], tags[0x010F] = orientation, "maker"
    return tags


def written(picture, name, **options):
    stream = io.BytesIO()
    picture.save(stream, name, **options)
    return stream.getvalue()


def ftyp(*brands):
    body = brands[0] + bytes(4) + b"".join(brands[1:])
    return struct.pack(">I", 8 + len(body)) + b"ftyp" + body


def avif(picture=RGB, **options):
    return written(picture, "AVIF", **options) if features.check("avif") else ftyp(b"avif")


JXL_BOX, JP2_BOX = b"\0\0\0\x0cJXL \r\n\x87\n", b"\0\0\0\x0cjP  \r\n\x87\n"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (written(RGB, "WEBP"), "a lossy WebP"),
        (written(RGBA, "WEBP", exif=exif(3)), "a lossy WebP"),
        (written(RGB, "WEBP", **MORE), "an animated lossy WebP"),
        (written(RGB, "WEBP", lossless=True), None),
        (written(RGBA, "WEBP", lossless=True, **MORE), None),
        (ftyp(b"avif", b"mif1"), "an AVIF"),
        (ftyp(b"avis", b"msf1"), "an AVIF"),
        (ftyp(b"mif1", b"miaf", b"avif"), "an AVIF"),
        (ftyp(b"heic", b"mif1"), "a HEIC"),
        (ftyp(b"heix"), "a HEIC"),
        (ftyp(b"mif1", b"heic"), "a HEIC"),
        (ftyp(b"heic", b"avif"), "a HEIC"),
        (ftyp(b"mif1", b"miaf"), "a HEIF"),
        (ftyp(b"isom", b"mp41"), None),
        (JP2_BOX + ftyp(b"jp2 "), "a JPEG 2000"),
        (b"\xff\x4f\xff\x51\0\x2f", "a JPEG 2000"),
        (JXL_BOX + ftyp(b"jxl "), "a JPEG XL"),
        (b"\xff\x0a\xfa\x1f", "a JPEG XL"),
        (written(RGB, "JPEG"), None),
        (written(RGB, "PNG"), None),
        (written(RGB, "TIFF"), None),
        (b"", None),
    ],
)
def test_kinds(data, kind):
    assert lossy.kind_of(data) == kind


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (written(RGB, "WEBP"), (64, 48)),
        (written(RGBA, "WEBP"), (64, 48)),
        (written(RGB, "WEBP", **MORE), (64, 48)),
        pytest.param(avif(), (64, 48), marks=AVIF),
        (JXL_BOX, None),
        (ftyp(b"heic"), None),
        (b"\xff\x4f\xff\x51\0\x2f\0\0" + struct.pack(">4I", 70, 50, 6, 2), (64, 48)),
        (b"\xff\x4f\xff\x51\0\x2f\0\0" + struct.pack(">4I", 70, 50, 71, 2), None),
        (b"", None),
    ],
)
def test_sizes(data, size):
    assert lossy.size(data) == size


@pytest.mark.parametrize(
    ("data", "picture", "kind"),
    [
        (written(RGB, "WEBP", quality=95), RGB, "rgb"),
        (written(RGBA, "WEBP", quality=95), RGBA, "rgb+alpha"),
        pytest.param(avif(quality=95), RGB, "rgb", marks=AVIF),
        pytest.param(avif(RGBA, quality=95), RGBA, "rgb+alpha", marks=AVIF),
        pytest.param(avif(GREY, quality=95), GREY, "grey", marks=AVIF),
        (written(RGB, "JPEG", quality=95, subsampling=0), RGB, "rgb"),
        (written(RGB, "JPEG", quality=95, subsampling=0, progressive=True, restart_marker_rows=1), RGB, "rgb"),
        (written(GREY, "JPEG", quality=95), GREY, "grey"),
    ],
)
def test_decoded(data, picture, kind):
    samples, metadata = lossy.decoded(data, MOST)
    true = np.array(picture).reshape(48, 64, -1).astype(int)
    assert (samples.kind, samples.depth, samples.values.shape) == (kind, 8, true.shape)
    assert np.abs(samples.values - true).mean() < 6
    assert metadata == NOTHING


@pytest.mark.parametrize("name", ["WEBP", "JPEG", pytest.param("AVIF", marks=AVIF)])
def test_metadata(name):
    profile, xmp = bytes(range(200)), b"<x:xmpmeta/>"
    tags = exif(1)
    del tags[0x0112]
    data = written(RGB, name, icc_profile=profile, exif=tags, xmp=xmp)
    _, metadata = lossy.decoded(data, MOST)
    assert metadata["icc"] == profile and metadata["xmp"] == xmp
    assert metadata["exif"] is not None and metadata["exif"][:2] in (b"II", b"MM") and b"maker" in metadata["exif"]


@pytest.mark.parametrize("name", ["WEBP", "JPEG", pytest.param("AVIF", marks=AVIF)])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_said_and_not_done(name, orientation):
    samples, metadata = lossy.decoded(written(RGB, name, exif=exif(orientation), quality=95), MOST)
    tags = Image.Exif()
    tags.load(metadata["exif"])
    assert tags.get(0x0112, 1) == orientation
    assert np.abs(samples.values - np.array(RGB).astype(int)).mean() < 15


@pytest.mark.parametrize("orientation", [1, 6])
def test_heic(orientation):
    pillow_heif = pytest.importorskip("pillow_heif")
    stream = io.BytesIO()
    pillow_heif.from_pillow(RGB).save(stream, exif=exif(orientation).tobytes(), quality=95)
    data = stream.getvalue()
    samples, metadata = lossy.decoded(data, MOST)
    assert lossy.kind_of(data) == "a HEIC" and lossy.size(data) == (samples.width, samples.height)
    tags = Image.Exif()
    tags.load(metadata["exif"])
    upright = RGB.rotate(-90, expand=True) if tags.get(0x0112, 1) == 1 and samples.width == 48 else RGB
    assert np.abs(samples.values - np.array(upright).astype(int)).mean() < 15


def test_heic_without_its_package():
    try:
        import pillow_heif  # noqa: F401
    except ImportError:
        with pytest.raises(UnsupportedImage, match="pillow_heif"):
            lossy.decoded(ftyp(b"heic", b"mif1"), MOST)


@AVIF
def test_deeper_avif_is_refused():
    data = bytearray(avif())
    data[data.index(b"av1C") + 6] |= 0x40
    with pytest.raises(UnsupportedImage, match="an AVIF of 10 bits"):
        lossy.decoded(bytes(data), MOST)
    data = bytearray(avif())
    data[data.index(b"pixi") + 10] = 12
    with pytest.raises(UnsupportedImage, match="an AVIF of 12 bits"):
        lossy.decoded(bytes(data), MOST)


@AVIF
def test_cropped_avif_is_refused():
    data = avif(exif=exif(6))  # turned by a property irot, of a box as others
    assert data.count(b"pixi") == 1
    with pytest.raises(UnsupportedImage, match="clap"):
        lossy.decoded(data.replace(b"pixi", b"clap"), MOST)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (written(RGB, "WEBP", **MORE), "an animated lossy WebP"),
        pytest.param(avif(**MORE), "an AVIF of several pictures", marks=AVIF),
        (written(RGB.convert("CMYK"), "JPEG"), "a JPEG of mode CMYK"),
        (JP2_BOX, "a JPEG 2000"),
        (JXL_BOX, "a JPEG XL"),
        (b"\xff\x0a\xfa\x1f", "a JPEG XL"),
    ],
)
def test_refused_by_name(data, match):
    with pytest.raises(UnsupportedImage, match=match):
        lossy.decoded(data, MOST)


def test_arithmetic_jpeg_is_refused_by_name():
    data = written(RGB, "JPEG").replace(b"\xff\xc0\0\x11", b"\xff\xc9\0\x11")
    with pytest.raises(UnsupportedImage, match="arithmetically"):
        lossy.decoded(data, MOST)


@pytest.mark.parametrize("data", [written(RGB, "PNG"), b"", written(RGB, "WEBP", lossless=True)])
def test_others_are_not_read(data):
    with pytest.raises(UnreadableImage, match="no picture in a lossy format"):
        lossy.decoded(data, MOST)


@pytest.mark.parametrize(
    "data", [written(RGB, "WEBP"), written(RGBA, "WEBP"), pytest.param(avif(), marks=AVIF), written(RGB, "JPEG")]
)
def test_too_large(data):
    assert lossy.decoded(data, 64 * 48)
    with pytest.raises(ImageTooLarge, match="64 x 48"):
        lossy.decoded(data, 64 * 48 - 1)


NOISE = Image.fromarray(np.random.default_rng(2).integers(0, 256, (80, 96, 3), dtype=np.uint8))


@pytest.mark.parametrize(
    "change",
    [
        lambda data, at: data[:at],
        lambda data, at: data[:at] + b"\xff\xd9",
        lambda data, at: data[:-2],
        lambda data, at: data[:at] + bytes(400) + data[at + 400 :],
        lambda data, at: data[:at] + data[at + 300 :],
        lambda data, at: data[:at] + b"\xff\xd9" + data[at:],
        lambda data, at: data[:-2] + b"\x12\x34\xff\xd9",
    ],
)
@pytest.mark.parametrize("options", [{}, dict(progressive=True), dict(restart_marker_blocks=3), dict(subsampling=0)])
def test_jpegs_with_holes_are_refused(options, change):
    """Pillow reads most of these without a word."""
    data = written(NOISE, "JPEG", quality=90, **options)
    scan = data.rindex(b"\xff\xda") + 14
    at = (scan + len(data)) // 2
    assert lossy.decoded(data, MOST)
    with pytest.raises(UnreadableImage, match="a JPEG that is damaged"):
        lossy.decoded(change(data, at), MOST)


def samples_of(name):
    if name == "AVIF":
        return avif(exif=exif(6))
    return written(RGB, name, exif=exif(6), icc_profile=b"icc")


@pytest.mark.parametrize("name", ["WEBP", "JPEG", pytest.param("AVIF", marks=AVIF)])
def test_truncated(name):
    data = samples_of(name)
    for end in [*range(0, min(len(data), 400), 3), *range(400, len(data), 29), len(data) - 1]:
        lossy.size(data[:end])
        with pytest.raises(CodecError):
            lossy.decoded(data[:end], MOST)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of damaged EXIF
@pytest.mark.parametrize("name", ["WEBP", "JPEG", pytest.param("AVIF", marks=AVIF)])
def test_mutated(name):
    data, rng, read = samples_of(name), np.random.default_rng(5), 0
    for _ in range(150):
        changed = bytearray(data)
        for _ in range(rng.integers(1, 4)):
            changed[rng.integers(min(len(data), 500)) if rng.random() < 0.7 else rng.integers(len(data))] = (
                rng.integers(256)
            )
        lossy.kind_of(bytes(changed)), lossy.size(bytes(changed))
        try:
            samples, _ = lossy.decoded(bytes(changed), MOST)
            read += samples.values.size > 0
        except CodecError:
            pass
    assert read
