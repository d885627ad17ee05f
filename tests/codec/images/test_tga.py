"""TGA: files built by hand from values that are known, packets of several encoders' rules, and Pillow's files."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from codec.errors import DamagedFile, ImageTooLarge, UnreadableImage, UnsupportedImage
from codec.images import tga, tga_header
from tests.codec.images.round_trips import (
    MOST,
    check_damage,
    check_hostile_rests,
    checked,
    file_of,
    items,
    noise,
)

TOP, RIGHT = 0x20, 0x10
SIGNATURE = b"TRUEVISION-XFILE.\0"
FOOTER = bytes(8) + SIGNATURE


def stored(values: np.ndarray, bits: int, descriptor: int) -> list[bytes]:
    """Pixels in the file's order, the plain way."""
    rows = values.tolist() if descriptor & TOP else values.tolist()[::-1]
    pixels = [pixel for row in rows for pixel in (row[::-1] if descriptor & RIGHT else row)]
    if bits == 16 and values.shape[2] > 2:
        words = [
            red << 10 | green << 5 | blue | (alpha[0] << 15 if alpha else 0) for red, green, blue, *alpha in pixels
        ]
        return [word.to_bytes(2, "little") for word in words]
    return [bytes([*pixel[2::-1], *pixel[3:]]) if len(pixel) > 2 else bytes(pixel) for pixel in pixels]


def pack(pixels: list[bytes], row: int, start: int, stop: int, most: int = 128) -> bytes:
    """Packets: of `start` pixels alike or more, and literals up to `stop` or more."""
    written = b""
    for begin in range(0, len(pixels), row):
        line = pixels[begin : begin + row]

        def alike(at: int, line: list[bytes] = line) -> int:
            return next((n for n in range(1, len(line) - at) if line[at + n] != line[at]), len(line) - at)

        at = 0
        while at < len(line):
            count = alike(at)
            if count >= start:
                count = min(count, most)
                written += bytes([127 + count]) + line[at]
            else:
                end = at + 1
                while end < len(line) and end - at < most and alike(end) < stop:
                    end += 1
                count = end - at
                written += bytes([count - 1]) + b"".join(line[at:end])
            at += count
    return written


def build(values, form, bits, descriptor=0, colours=b"", map_bits=24, first=0, image_id=b"", origin=(0, 0), body=None):
    """A file; body: its pixels, if they are in packets."""
    height, width = values.shape[:2]
    count = len(colours) // ((map_bits + 7) // 8)
    fields = (len(image_id), bool(colours), form, first, count, map_bits if colours else 0, *origin, width, height)
    body = b"".join(stored(values, bits, descriptor)) if body is None else body
    return struct.pack("<BBBHHBHHHHBB", *fields, bits, descriptor) + image_id + colours + body


VALUES = {
    ("grey", 8): noise(9, 14, 1),
    ("grey+alpha", 16): noise(9, 14, 2),
    ("palette", 8): noise(9, 14, 1, 15),
    ("rgb", 24): noise(9, 14, 3),
    ("rgb+alpha", 32): noise(9, 14, 4),
    ("rgb", 16): noise(9, 14, 3, 31),
    ("rgb+alpha", 16): np.dstack([noise(9, 14, 3, 31), noise(9, 14, 1, 1)]),
}
FORMS = {"grey": 3, "grey+alpha": 3, "palette": 1, "rgb": 2, "rgb+alpha": 2}
COLOURS = noise(16, 1, 3).tobytes()
RULES = [(2, 2, 128), (2, 3, 128), (3, 3, 128), (1, 1, 128), (200, 200, 128), (2, 2, 127)]


def depth_of(kind: str, bits: int) -> int:
    return 5 if bits == 16 and kind.startswith("rgb") else 8


@pytest.mark.parametrize("descriptor", [0, TOP, RIGHT, TOP | RIGHT])
@pytest.mark.parametrize(("kind", "bits"), VALUES)
def test_plain(kind, bits, descriptor):
    values = VALUES[kind, bits]
    colours = COLOURS if kind == "palette" else b""
    data = build(values, FORMS[kind], bits, descriptor | (8 if bits == 32 else 0), colours)
    parts = checked(tga, data, values, kind, depth_of(kind, bits))
    assert len(parts.rest) < 24 + len(colours)


@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("kind", "bits"), VALUES)
def test_packets(kind, bits, rule, across):
    values = np.tile(VALUES[kind, bits], (1, 20, 1))
    colours = COLOURS if kind == "palette" else b""
    pixels = stored(values, bits, TOP)
    body = pack(pixels, len(pixels) if across else values.shape[1], *rule)
    data = build(values, FORMS[kind] + 8, bits, TOP, colours, body=body)
    parts = checked(tga, data, values, kind, depth_of(kind, bits))
    assert len(parts.rest) < 24 + len(colours)


def test_packets_looked_at_in_steps(monkeypatch):
    monkeypatch.setattr("codec.images.packets.STEP", 50)
    monkeypatch.setattr("codec.images.tga_pixels._TOGETHER", 70)
    values = np.tile(noise(9, 14, 3), (2, 20, 1))
    for row in (values.shape[1], values.shape[0] * values.shape[1]):
        data = build(values, 10, 24, body=pack(stored(values, 24, 0), row, 2, 3))
        checked(tga, data, values, "rgb", 8)


def test_a_few_packets_by_no_rule():
    values = noise(30, 40, 3)
    body = pack(stored(values, 24, 0), 40, 2, 2)
    assert body[0] < 128 and body[0] > 0
    pieces = bytes([0]) + body[1:4] + bytes([body[0] - 1])  # the first literal as two
    parts = checked(tga, build(values, 10, 24, body=pieces + body[4:]), values, "rgb", 8)
    assert len(parts.rest) < 20


@pytest.mark.parametrize("tail", [b"", b"trailing", FOOTER])
def test_packets_by_no_rule(tail):
    """Every literal is cut in two at another place. Without areas, whose places would move, the file becomes plain."""
    values = np.random.default_rng(3).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    body, lengths = b"", np.random.default_rng(4).integers(1, 4, 9999)
    pixels, at = stored(values, 24, 0), 0
    for length in lengths:
        some = pixels[at : at + length]
        body += bytes([len(some) - 1]) + b"".join(some) if some else b""
        at += int(length)
    data = build(values, 10, 24, body=body, image_id=b"name") + tail
    parts = checked(tga, data, values, "rgb", 8, exact=tail == FOOTER)
    if tail != FOOTER:
        assert file_of(tga, parts.samples, parts.rest) == build(values, 2, 24, image_id=b"name") + tail
        assert len(parts.rest) < 60


def test_alpha_that_is_not_announced():
    values = noise(4, 5, 4)
    checked(tga, build(values, 2, 32, 0), values, "rgb+alpha", 8)
    values[:, :, 3] = 0
    checked(tga, build(values, 2, 32, 0), values, "rgb+alpha", 8)


def test_announced_bits_of_alpha_are_a_channel_even_if_they_are_0():
    values = np.dstack([noise(4, 5, 3, 31), np.zeros((4, 5, 1), np.uint8)])
    checked(tga, build(values, 2, 16, 1), values, "rgb+alpha", 5)
    checked(tga, build(values, 2, 16, 0), values[:, :, :3], "rgb", 5)


@pytest.mark.parametrize(
    ("map_bits", "colours", "shown"),
    [
        (24, bytes([1, 2, 3, 4, 5, 6]), [[3, 2, 1], [6, 5, 4]]),
        (32, bytes([1, 2, 3, 9, 4, 5, 6, 8]), [[3, 2, 1], [6, 5, 4]]),
        (16, struct.pack("<HH", 0x7C00, 0x8010), [[255, 0, 0], [0, 0, 132]]),
        (15, struct.pack("<HH", 0x03E0, 0x0001), [[0, 255, 0], [0, 0, 8]]),
    ],
)
@pytest.mark.parametrize("first", [0, 3])
def test_colour_maps(map_bits, colours, shown, first):
    values = noise(4, 5, 1, 1) + np.uint8(first)
    parts = checked(tga, build(values, 1, 8, 0, colours, map_bits, first), values, "palette", 8)
    assert parts.samples.palette.tolist() == [[0, 0, 0]] * first + shown


def test_a_map_that_is_not_used_is_kept():
    values = noise(4, 5, 3)
    data = build(values, 2, 24, 0, COLOURS)
    parts = tga.take_apart(data, MOST)
    assert parts.exact and parts.samples.kind == "rgb"
    np.testing.assert_array_equal(parts.samples.values, values)


def areas(body_end: int, kind_of_alpha: int) -> bytes:
    """A developer area, an extension area and the footer that points to them."""
    developer = b"\1\0" + struct.pack("<HII", 7, body_end, 4)
    extension = struct.pack("<H", 495) + b"author".ljust(492) + bytes([kind_of_alpha])
    return developer + extension + struct.pack("<II", body_end + len(developer), body_end) + SIGNATURE


@pytest.mark.parametrize("kind_of_alpha", [0, 2, 3, 4])
@pytest.mark.parametrize("form", [2, 10])
def test_areas_are_kept_and_the_alpha_s_kind_is_not_stripped(kind_of_alpha, form):
    values = noise(4, 5, 4)
    body = pack(stored(values, 32, 0), 5, 2, 2) if form == 10 else None
    picture = build(values, form, 32, 8, image_id=b"name", origin=(3, 4), body=body)
    tail = areas(len(picture), kind_of_alpha)
    parts = checked(tga, picture + tail, values, "rgb+alpha", 8)
    assert items(tga, parts) == {"image id": b"name", "TGA 2 areas": tail}
    bare = file_of(tga, parts.samples, tga.stripped(parts.rest))
    end = len(build(values, form, 32, 8, body=body))
    assert bare[:end] == build(values, form, 32, 8, body=body)
    if kind_of_alpha in (0, 3):
        assert len(bare) == end
    else:
        assert tga_header.extension(bare[end:], end) == struct.pack("<H", 495) + bytes(492) + bytes([kind_of_alpha])
        assert tga.stripped(tga.take_apart(bare, MOST).rest) == tga.stripped(parts.rest)


def test_a_usual_footer_costs_nothing():
    values = noise(4, 5, 3)
    plain, footed = (tga.take_apart(build(values, 2, 24) + tail, MOST).rest for tail in (b"", FOOTER))
    assert len(plain) == len(footed)
    assert not tga.metadata(footed)


@pytest.mark.parametrize("compression", [None, "tga_rle"])
@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGB", "RGBA"])
def test_pillow_s_files(mode, compression):
    picture, file = Image.fromarray(noise(33, 257, 3)).convert("RGB").convert(mode), io.BytesIO()
    picture.save(file, "TGA", compression=compression)
    kinds = {"L": "grey", "LA": "grey+alpha", "P": "palette", "RGB": "rgb", "RGBA": "rgb+alpha"}
    values = np.array(picture).reshape(33, 257, -1)
    checked(tga, file.getvalue(), values, kinds[mode], 8)
    assert tga.second_opinion(file.getvalue()) is not None


def with_field(at: int, value: int) -> bytes:
    data = bytearray(build(noise(4, 5, 3), 2, 24))
    data[at] = value
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (with_field(2, 0), UnsupportedImage, "type 0"),
        (with_field(2, 32), UnsupportedImage, "type 32"),
        (with_field(2, 7), UnreadableImage, "type 7"),
        (with_field(2, 1), UnreadableImage, "type 1 and colour map 0"),
        (with_field(1, 1), UnsupportedImage, "colour map of 0 bits"),
        (with_field(16, 12), UnsupportedImage, "12 bits a pixel"),
        (build(noise(4, 5, 1), 1, 16, colours=COLOURS), UnsupportedImage, "type 1 with 16 bits"),
        (with_field(17, 0x40), UnsupportedImage, "interleaved"),
        (with_field(12, 0), UnreadableImage, "0 x 4 pixels"),
        (with_field(0, 200), UnreadableImage, "are due"),
        (with_field(13, 255), UnreadableImage, "hold no"),
        (build(noise(4, 5, 3), 2, 24)[:-1], UnreadableImage, "are due"),
        (build(noise(4, 5, 3), 10, 24, body=b"\xff\1\2\3"), UnreadableImage, "goes past"),
        (build(noise(4, 5, 3), 10, 24, body=b"\x82\1\2\3"), UnreadableImage, "before its last pixel"),
        (b"\0" * 17, UnreadableImage, "17 bytes"),
    ],
)
def test_refusals(data, error, message):
    with pytest.raises(error, match=message):
        tga.take_apart(data, MOST)


def test_too_large():
    with pytest.raises(ImageTooLarge):
        tga.take_apart(build(noise(4, 5, 3), 2, 24), 19)


@pytest.mark.parametrize(
    "data", [b"", b"\x89PNG" + bytes(99), bytes(200), b"text that is none" * 20, bytes(range(256))]
)
def test_other_files_are_not_taken(data):
    assert not tga.recognises(data)


def test_noise_is_hardly_taken():
    generator = np.random.default_rng(5)
    assert sum(tga.recognises(generator.bytes(3000)) for _ in range(2000)) == 0


def test_samples_of_another_kind_are_refused():
    rest = tga.take_apart(build(noise(4, 5, 3), 2, 24), MOST).rest
    for other in (build(noise(5, 4, 3), 2, 24), build(noise(4, 5, 4), 2, 32), build(noise(4, 5, 3, 31), 2, 16)):
        with pytest.raises(DamagedFile, match="does not fit"):
            file_of(tga, tga.take_apart(other, MOST).samples, rest)


PACKED = build(noise(12, 13, 4), 10, 32, 8, image_id=b"name", body=pack(stored(noise(12, 13, 4), 32, 0), 13, 2, 2))
MAPPED = build(noise(12, 13, 1, 15), 9, 8, 0, COLOURS, body=pack(stored(noise(12, 13, 1, 15), 8, 0), 156, 3, 3))


@pytest.mark.parametrize("data", [PACKED + areas(len(PACKED), 4), MAPPED, build(noise(9, 8, 3, 31), 2, 16)])
def test_damage(data):
    check_damage(tga, data, 200)


@pytest.mark.parametrize("data", [PACKED + areas(len(PACKED), 4), MAPPED])
def test_hostile_rests(data):
    check_hostile_rests(tga, data, 300)
