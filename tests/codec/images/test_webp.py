"""Lossless WebP: against the pixels that the files were made of."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from codec.errors import CodecError, DamagedFile, ImageTooLarge, UnreadableImage, UnsupportedImage, UnsupportedOutput
from codec.images import webp
from codec.images.samples import Samples

MOST = 10**6


def pixels(height, width, channels, seed=0):
    rng = np.random.default_rng(seed)
    smooth = np.add.outer(np.arange(height) * 3, np.arange(width) * 2)[..., None] + 40 * np.arange(channels)
    found = (smooth + rng.integers(0, 9, (height, width, channels))).astype(np.uint8)
    if channels == 4:
        found[: height // 2, :, 3] = 0
    return found


RGB, RGBA = pixels(19, 23, 3), pixels(14, 17, 4)
OPAQUE = np.dstack([RGB, np.full(RGB.shape[:2], 255, np.uint8)])


def written(values, **options):
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, "WEBP", **dict(lossless=True, exact=True) | options)
    return stream.getvalue()


def chunk(name, content):
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def riff(*chunks):
    content = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(content)) + content


def code_of(data):
    """The content of VP8L in a file that has no other chunk."""
    assert data[12:16] == b"VP8L"
    return data[20 : 20 + struct.unpack("<I", data[16:20])[0]]


def vp8x(flags, width, height):
    return chunk(
        b"VP8X", bytes([flags, 0, 0, 0]) + struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    )


def with_alpha_bit(code):
    return code[:4] + bytes([code[4] | 0x10]) + code[5:]


ICC, EXIF, XMP = chunk(b"ICCP", b"profile"), chunk(b"EXIF", b"MM\0\x2a\0\0\0\x08"), chunk(b"XMP ", b"<x:xmpmeta/>")
UNKNOWN, ALPH = chunk(b"ODD ", b"\x01\x02\x03"), chunk(b"ALPH", b"\0\x05")
CODE = code_of(written(RGB))
VP8L = chunk(b"VP8L", CODE)
HEAD = vp8x(0x2C, 23, 19)

FILES = {
    "Pillow": (RGB, written(RGB)),
    "cwebp": (RGB, written(RGB, quality=75)),
    "best": (RGB, written(RGB, quality=100, method=6)),
    "alpha": (RGBA, written(RGBA)),
    "opaque alpha": (OPAQUE, riff(chunk(b"VP8L", with_alpha_bit(CODE)))),
    "few colours": (RGB // 128 * 255, written(RGB // 128 * 255)),
    "one pixel": (RGB[:1, :1], written(RGB[:1, :1])),
    "one row": (RGB[:1], written(RGB[:1])),
    "Pillow's chunks": (RGB, written(RGB, icc_profile=b"icc", exif=b"Exif\0\0MM", xmp=b"<x/>")),
    "alpha's chunks": (RGBA, written(RGBA, icc_profile=b"icc")),
    "chunks": (RGB, riff(HEAD, ICC, UNKNOWN, VP8L, UNKNOWN, EXIF, XMP)),
    "other flags": (RGB, riff(vp8x(0, 23, 19), ICC, VP8L, EXIF)),
    "ALPH": (RGB, riff(HEAD, ALPH, VP8L)),
    "without VP8X": (RGB, riff(UNKNOWN, VP8L, XMP)),
    "trailing": (RGB, riff(VP8L) + b"more"),
}


def whole(parts):
    return b"".join(webp.put_together(parts.samples, parts.rest))


@pytest.mark.parametrize("name", FILES)
def test_samples_and_all_around_them(name):
    values, data = FILES[name]
    parts = webp.take_apart(data, MOST)
    assert parts.samples.kind == ("rgb+alpha" if values.shape[2] == 4 else "rgb")
    assert np.array_equal(parts.samples.values, values)
    again = webp.take_apart(whole(parts), MOST)
    assert not parts.exact and again.rest == parts.rest
    assert again.samples.same(parts.samples) and np.array_equal(again.samples.values, values)
    assert webp.second_opinion(data) is None


@pytest.mark.parametrize("name", FILES)
def test_stripped(name):
    values, data = FILES[name]
    parts = webp.take_apart(data, MOST)
    bare = webp.stripped(parts.rest)
    assert webp.metadata(bare) == [] and webp.stripped(bare) == bare
    file = b"".join(webp.put_together(parts.samples, bare))
    assert webp.take_apart(file, MOST).samples.same(parts.samples)
    with Image.open(io.BytesIO(file)) as opened:
        assert np.array_equal(np.array(opened), values)
        assert not {"icc_profile", "exif", "xmp"} & set(opened.info)


def test_metadata():
    data = riff(HEAD, ICC, UNKNOWN, VP8L, EXIF, XMP) + b"!"
    items = [(item.name, item.data) for item in webp.metadata(webp.take_apart(data, MOST).rest)]
    assert items == [
        ("ICC profile", b"profile"),
        ("chunk 'ODD '", b"\x01\x02\x03"),
        ("EXIF", b"MM\0\x2a\0\0\0\x08"),
        ("XMP", b"<x:xmpmeta/>"),
        ("bytes behind the end", b"!"),
    ]


def test_zeros_behind_the_code_are_packing():
    parts = webp.take_apart(riff(chunk(b"VP8L", CODE + bytes(20))), MOST)
    assert webp.metadata(parts.rest) == []
    assert np.array_equal(webp.take_apart(whole(parts), MOST).samples.values, RGB)


def test_last_padding_is_missing():
    code = next(code for size in range(1, 20) if len(code := code_of(written(RGB[:size]))) % 2)
    data = bytearray(riff(chunk(b"VP8L", code))[:-1])
    data[4:8] = struct.pack("<I", len(data) - 8)
    parts = webp.take_apart(bytes(data), MOST)
    assert len(whole(parts)) % 2 == 0 and np.array_equal(
        webp.take_apart(whole(parts), MOST).samples.values, parts.samples.values
    )


def test_a_plain_file_has_no_rest():
    assert webp.take_apart(written(RGB), MOST).rest == b""


def test_recognises_the_lossless_alone():
    frames = dict(save_all=True, append_images=[Image.fromarray(RGB[::-1].copy())])
    assert webp.recognises(written(RGB)) and webp.recognises(FILES["chunks"][1]) and webp.recognises(written(RGB)[:14])
    assert webp.recognises(written(RGB, **frames))
    assert not webp.recognises(written(RGB, lossless=False))
    assert not webp.recognises(written(RGBA, lossless=False))
    assert not webp.recognises(written(RGB, lossless=False, **frames))
    assert not webp.recognises(b"RIFF\0\0\0\0WAVE") and not webp.recognises(b"")


ODD = code_of(written(RGB[: next(n for n in range(1, 20) if len(code_of(written(RGB[:n]))) % 2)]))
NOT_OPAQUE = code_of(written(RGBA))
NOT_OPAQUE = NOT_OPAQUE[:4] + bytes([NOT_OPAQUE[4] & 0xEF]) + NOT_OPAQUE[5:]
ANIMATION = written(RGB, save_all=True, append_images=[Image.fromarray(RGB[::-1].copy())])


@pytest.mark.parametrize(
    ("data", "error", "match"),
    [
        (ANIMATION, UnsupportedImage, "animated"),
        (written(RGB, lossless=False), UnsupportedImage, "lossy"),
        (riff(VP8L, VP8L), UnsupportedImage, "several"),
        (riff(chunk(b"VP8L", NOT_OPAQUE)), UnsupportedImage, "alpha that its header denies"),
        (riff(vp8x(0, 24, 19), VP8L), UnreadableImage, "23 x 19 on another canvas"),
        (riff(HEAD, EXIF), UnreadableImage, "no picture"),
        (riff(VP8L)[:-2], UnreadableImage, "bytes of"),
        (riff(VP8L + b"EXIF\xff\0\0\0"), UnreadableImage, "cut off"),
        (riff(chunk(b"VP8L", CODE[:-9])), UnreadableImage, "damaged"),
        (riff(chunk(b"VP8L", b"\x2e" + CODE[1:])), UnreadableImage, "header"),
        (riff(chunk(b"VP8L", CODE[:4] + b"\x20" + CODE[5:])), UnreadableImage, "header"),
        (riff(chunk(b"VP8L", ODD)[:-1] + b"\x01"), UnreadableImage, "padding is 1"),
        (riff(chunk(b"VP8L", CODE + b"behind" + bytes(20) + b"!")), UnsupportedImage, "behind the code"),
        (riff(chunk(b"VP8L", CODE + b"!" * 30)), UnsupportedImage, "behind the code"),
        (b"", UnreadableImage, "header"),
    ],
)
def test_refused(data, error, match):
    with pytest.raises(error, match=match):
        webp.take_apart(data, MOST)


def test_too_large():
    with pytest.raises(ImageTooLarge, match="23 x 19"):
        webp.take_apart(written(RGB), 400)
    huge = b"\x2f" + struct.pack("<I", 0x0FFFFFFF) + CODE[5:]
    with pytest.raises(ImageTooLarge, match="16384 x 16384"):
        webp.take_apart(riff(chunk(b"VP8L", huge)), 10**8)


def check_accepted(data):
    try:
        parts = webp.take_apart(data, MOST)
    except CodecError:
        return False
    again = webp.take_apart(whole(parts), MOST)
    assert again.samples.same(parts.samples) and webp.metadata(again.rest) == webp.metadata(parts.rest)
    return True


def test_truncated():
    data = FILES["chunks"][1]
    assert not any(check_accepted(data[:end]) for end in range(len(data)))


@pytest.mark.parametrize("name", ["chunks", "alpha", "few colours", "one row"])
def test_mutated(name):
    data = FILES[name][1]
    rng, accepted = np.random.default_rng(7), 0
    for _ in range(100):
        changed = bytearray(data)
        for _ in range(rng.integers(1, 3)):
            changed[rng.integers(len(data))] = rng.integers(256)
        accepted += check_accepted(bytes(changed))
    assert accepted


@pytest.mark.parametrize("name", ["chunks", "alpha's chunks", "trailing"])
def test_hostile_rests(name):
    parts = webp.take_apart(FILES[name][1], MOST)
    rng = np.random.default_rng(8)
    for number in range(100):
        rest = bytearray(parts.rest)
        for _ in range(rng.integers(1, 4)):
            rest[rng.integers(len(rest))] = rng.integers(256)
        rest = bytes(rest[: rng.integers(len(rest) + 1)] if number % 3 == 0 else rest)
        for use in (webp.metadata, webp.stripped, lambda rest: list(webp.put_together(parts.samples, rest))):
            try:
                use(rest)
            except (DamagedFile, UnsupportedOutput):
                pass


@pytest.mark.parametrize(
    "samples",
    [
        Samples(RGB[..., :1].copy(), 8, "grey"),
        Samples(RGB.astype(np.uint16), 16, "rgb"),
        Samples(RGB[:5], 8, "rgb"),
        Samples(np.zeros((1, 16384, 3), np.uint8), 8, "rgb"),
    ],
)
def test_samples_that_do_not_fit_the_rest(samples):
    rest = webp.take_apart(FILES["chunks"][1], MOST).rest
    with pytest.raises(DamagedFile):
        list(webp.put_together(samples, rest))
