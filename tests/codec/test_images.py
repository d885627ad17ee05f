"""Pictures of every kind that Pillow opens: coded as they are or refused by name, never changed."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageFile, PngImagePlugin, TiffImagePlugin

from codec import images
from codec.commands.running import read_picture
from codec.errors import (
    ImageTooLarge,
    OutputExists,
    UnreadableImage,
    UnsupportedImage,
    UnsupportedOutput,
    UnwritableOutput,
)
from codec.images import Image

CHANNELS = {"L": 1, "RGB": 3, "RGBA": 4}


def noise(mode, height=5, width=7):
    shape = (height, width, CHANNELS[mode])
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def png(width, height, depth, colour, rows=b"", chunks=()):
    """A PNG made by hand, since Pillow does not write every kind it reads."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


@pytest.mark.parametrize("suffix", sorted(images.FORMATS))
@pytest.mark.parametrize("mode", sorted(CHANNELS))
def test_what_is_written_is_read_back(tmp_path, suffix, mode):
    path = tmp_path / f"a{suffix.upper()}"
    image = Image(noise(mode), mode)
    if mode not in images.FORMATS[suffix].modes:
        with pytest.raises(UnsupportedOutput, match=f"does not keep the mode {mode}"):
            images.write(path, image)
        return
    images.write(path, image)
    again = images.read(path)
    assert image.difference(again) is None
    assert again.dropped == ()


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1)])
def test_thin_pictures(tmp_path, shape):
    for mode in CHANNELS:
        image = Image(noise(mode, *shape), mode)
        images.write(tmp_path / f"{mode}.png", image)
        assert image.difference(images.read(tmp_path / f"{mode}.png")) is None


def test_the_colours_under_full_transparency_are_kept(tmp_path):
    pixels = noise("RGBA")
    pixels[:, :, 3] = 0
    for suffix in (".png", ".tif"):
        images.write(tmp_path / f"a{suffix}", Image(pixels, "RGBA"))
        np.testing.assert_array_equal(images.read(tmp_path / f"a{suffix}").pixels, pixels)


def test_a_jpeg_s_decoded_pixels_are_taken(tmp_path):
    Pillow.fromarray(noise("RGB", 16, 16)).save(tmp_path / "a.jpg")
    decoded = np.asarray(Pillow.open(tmp_path / "a.jpg"))
    np.testing.assert_array_equal(images.read(tmp_path / "a.jpg").pixels, decoded)


@pytest.mark.parametrize("mode", ["1", "LA", "P", "CMYK", "I", "F", "I;16", "LAB", "YCbCr"])
def test_other_modes_are_refused_by_name(tmp_path, mode):
    path = tmp_path / ("a.png" if mode in ("1", "LA", "P", "I;16") else "a.tif")
    Pillow.new(mode, (4, 3)).save(path)
    with Pillow.open(path) as picture:
        opened = picture.mode
    assert opened not in CHANNELS
    with pytest.raises(UnsupportedImage, match=f"mode {opened} is not supported: only 8-bit L, RGB, RGBA"):
        images.read(path)


@pytest.mark.parametrize(("colour", "mode", "channels"), [(2, "RGB", 3), (6, "RGBA", 4), (4, "RGBA", 2)])
def test_16_bit_colour_is_refused_though_pillow_opens_it_as_8_bit(tmp_path, colour, mode, channels):
    path = tmp_path / "a.png"
    path.write_bytes(png(2, 1, 16, colour, b"\0" + bytes(range(4 * channels))))
    assert Pillow.open(path).mode == mode
    with pytest.raises(UnsupportedImage, match=rf"16 bits per channel \(mode {mode}"):
        images.read(path)


def test_16_bit_ppm_is_refused(tmp_path):
    for name, data in (("raw.ppm", b"P6 1 1 65535 " + bytes(6)), ("plain.ppm", b"P3 1 1 1023 1 2 3")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UnsupportedImage, match=r"values up to (65535|1023) \(mode RGB\)"):
            images.read(tmp_path / name)


def tiff(bits, channels, extra=()):
    """A TIFF of one pixel made by hand, little-endian, uncompressed, RGB with extra samples."""
    size = bits // 8 * channels
    entries = [(256, 4, [1]), (257, 4, [1]), (258, 3, [bits] * channels), (259, 3, [1]), (262, 3, [2])]
    entries += [(273, 4, [8]), (277, 3, [channels]), (278, 4, [1]), (279, 4, [size])]
    entries += [(338, 3, list(extra))] if extra else []
    start = 8 + size + size % 2
    after = start + 2 + 12 * len(entries) + 4
    directory, values = struct.pack("<H", len(entries)), b""
    for tag, kind, numbers in entries:
        data = struct.pack(f"<{len(numbers)}{'HI'[kind - 3]}", *numbers)
        if len(data) > 4:
            data, values = struct.pack("<I", after + len(values)), values + data
        directory += struct.pack("<HHI", tag, kind, len(numbers)) + data.ljust(4, b"\0")
    pixel = bytes(range(1, size + 1)).ljust(size + size % 2, b"\0")
    return b"II*\0" + struct.pack("<I", start) + pixel + directory + bytes(4) + values


def test_tiffs_that_pillow_would_cut_down_are_refused(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(8, 3))
    assert images.read(path).pixels.tolist() == [[[1, 2, 3]]]
    path.write_bytes(tiff(8, 4, extra=[2]))
    assert images.read(path).pixels.tolist() == [[[1, 2, 3, 4]]]
    path.write_bytes(tiff(16, 3))
    with pytest.raises(UnsupportedImage, match="16 bits per channel"):
        images.read(path)
    for extra in (0, 1):  # unnamed, premultiplied
        path.write_bytes(tiff(8, 4, extra=[extra]))
        with pytest.raises(UnsupportedImage, match="extra channels or premultiplied alpha"):
            images.read(path)


def test_a_transparent_colour_is_refused(tmp_path):
    for colour, mode, value in ((0, "L", bytes(2)), (2, "RGB", bytes(6))):
        path = tmp_path / f"{mode}.png"
        path.write_bytes(png(1, 1, 8, colour, bytes(4), chunks=[(b"tRNS", value)]))
        with pytest.raises(UnsupportedImage, match=f"mode {mode} with a transparent colour"):
            images.read(path)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
def test_several_frames_are_refused(tmp_path, suffix):
    first, second = (Pillow.fromarray(np.full((3, 4, 3), value, np.uint8)) for value in (0, 255))
    first.save(tmp_path / f"a{suffix}", save_all=True, append_images=[second])
    with pytest.raises(UnsupportedImage, match="mode RGBA? in 2 frames"):
        images.read(tmp_path / f"a{suffix}")


def test_size_is_checked_before_pixels_are_decoded(tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(png(2**31 - 1, 2**31 - 1, 8, 2))
    with pytest.raises(ImageTooLarge, match="2147483647 x 2147483647"):
        images.read(path)
    images.write(tmp_path / "a.png", Image(noise("L", 5, 7), "L"))
    assert images.read(tmp_path / "a.png", max_pixels=35).width == 7
    with pytest.raises(ImageTooLarge, match="7 x 5 pixels are more than 34"):
        images.read(tmp_path / "a.png", max_pixels=34)


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "ppm", "tga"])
def test_the_process_s_settings_are_left_alone(tmp_path, monkeypatch, suffix):
    """While a picture is read, too: other threads may be reading, and setting them."""
    path, seen = tmp_path / f"a.{suffix}", []
    Pillow.fromarray(noise("RGB")).save(path)
    load = ImageFile.ImageFile.load

    def looking(picture):
        seen.append((Pillow.MAX_IMAGE_PIXELS, list(warnings.filters)))
        return load(picture)

    monkeypatch.setattr(ImageFile.ImageFile, "load", looking)
    monkeypatch.setattr(Pillow, "MAX_IMAGE_PIXELS", 10)
    before = list(warnings.filters)
    assert images.read(path).height == 5
    assert seen and all(each == (10, before) for each in [*seen, (Pillow.MAX_IMAGE_PIXELS, warnings.filters)])


def test_the_program_lifts_pillow_s_own_bound(tmp_path, monkeypatch):
    """Pillow looks at it once more when it decodes a TIFF: a library leaves that to its host, the program does not."""
    path, refuse = tmp_path / "a.tif", Pillow._decompression_bomb_check
    images.write(path, Image(noise("RGB"), "RGB"))
    monkeypatch.setattr(Pillow, "MAX_IMAGE_PIXELS", 10)
    monkeypatch.setattr(TiffImagePlugin.TiffImageFile, "load_prepare", lambda picture: refuse(picture.size))
    with pytest.raises(ImageTooLarge, match="more pixels than PIL.Image.MAX_IMAGE_PIXELS allows.*35 pixels"):
        images.read(path)
    monkeypatch.undo()
    monkeypatch.setattr(Pillow, "MAX_IMAGE_PIXELS", 10)
    assert read_picture(path, max_pixels=35).height == 5
    with pytest.raises(ImageTooLarge, match="--max-pixels"):
        read_picture(path, max_pixels=34)


def test_metadata_that_is_not_kept_is_named(tmp_path):
    picture = Pillow.fromarray(noise("RGB"))
    exif = Pillow.Exif()
    exif[274] = 6  # orientation
    for suffix in ("png", "jpg", "webp"):
        picture.save(tmp_path / f"a.{suffix}", icc_profile=b"profile" * 30, exif=exif)
        image = images.read(tmp_path / f"a.{suffix}")
        assert image.dropped == ("ICC profile", "EXIF")
        assert (image.height, image.width) == (5, 7)  # not turned
    comment = PngImagePlugin.PngInfo()
    comment.add_text("Comment", "text")
    picture.save(tmp_path / "b.png", pnginfo=comment)
    assert images.read(tmp_path / "b.png").dropped == ()


def test_files_that_are_no_pictures(tmp_path):
    (tmp_path / "text.png").write_text("Dear sir or madam")
    (tmp_path / "empty.png").write_bytes(b"")
    for name, words in (
        ("text.png", "no picture in a format that is read"),
        ("empty.png", "no picture"),
        ("missing.png", "No such file"),
        (".", "Is a directory"),
    ):
        with pytest.raises(UnreadableImage, match=words):
            images.read(tmp_path / name)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "PPM", "GIF"])
def test_damaged_pictures_raise_nothing_but_codec_errors(tmp_path, name):
    stream = io.BytesIO()
    Pillow.fromarray(noise("RGB", 12, 12)).save(stream, name)
    whole = stream.getvalue()
    path = tmp_path / "a"
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(150):
        data = bytearray(whole[: rng.integers(len(whole))] if rng.integers(2) else whole)
        for position in rng.integers(0, len(data) or 1, 3):
            data[position : position + 1] = rng.bytes(1)
        path.write_bytes(data)
        try:
            images.read(path, max_pixels=10**6)
        except (UnreadableImage, UnsupportedImage, ImageTooLarge):
            refused += 1
    assert refused > 40


@pytest.mark.parametrize("name", ["a.jpg", "a.jxl", "a", "a.lmc"])
def test_lossy_and_unknown_outputs_are_refused(tmp_path, name):
    with pytest.raises(UnsupportedOutput, match="names no lossless format: end it with .png"):
        images.write(tmp_path / name, Image(noise("RGB"), "RGB"))
    assert list(tmp_path.iterdir()) == []


def test_a_format_s_own_limits_are_named(tmp_path):
    with pytest.raises(UnsupportedOutput, match="webp cannot hold 16384 x 1 RGB.*use .png"):
        images.write(tmp_path / "a.webp", Image(np.zeros((1, 16384, 3), np.uint8), "RGB"))
    assert list(tmp_path.iterdir()) == []


def test_outputs_are_guarded(tmp_path):
    image = Image(noise("RGB"), "RGB")
    (tmp_path / "a.png").write_bytes(b"old")
    with pytest.raises(OutputExists):
        images.write(tmp_path / "a.png", image)
    images.write(tmp_path / "a.png", image, force=True)
    assert image.difference(images.read(tmp_path / "a.png")) is None
    with pytest.raises(UnwritableOutput):
        images.write(tmp_path / "a.png" / "b.png", image)


def test_differences_are_told_in_words():
    image = Image(noise("RGB"), "RGB")
    other = image.pixels.copy()
    other[2, 3, 1] ^= 1
    other[4, 0, 0] ^= 255
    assert image.difference(image) is None
    found = image.difference(Image(other, "RGB"))
    assert found == "2 of 35 pixels differ, the first in row 2, column 3"
    assert image.difference(Image(noise("L"), "L")) == "7 x 5 RGB is not 7 x 5 L"
    assert image.difference(Image(noise("RGB", 7, 5), "RGB")) == "7 x 5 RGB is not 5 x 7 RGB"


@pytest.mark.parametrize(
    ("pixels", "mode"),
    [
        (np.zeros((2, 2, 3), np.uint8), "L"),
        (np.zeros((2, 2), np.uint8), "L"),
        (np.zeros((2, 2, 3), np.uint16), "RGB"),
        (np.zeros((0, 2, 3), np.uint8), "RGB"),
        (np.zeros((2, 2, 4), np.uint8), "CMYK"),
    ],
)
def test_an_image_s_array_must_fit_its_mode(pixels, mode):
    with pytest.raises(ValueError, match="mode"):
        Image(pixels, mode)
