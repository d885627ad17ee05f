"""BMP: files built by hand from values that are known, packets of several encoders' rules, and Pillow's files."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from codec.errors import DamagedFile, ImageTooLarge, UnreadableImage, UnsupportedImage
from codec.images import bmp, bmp_packets
from tests.codec.images.round_trips import (
    MOST,
    check_damage,
    check_hostile_rests,
    checked,
    file_of,
    items,
    noise,
)

FIVES, FIVE_SIX_FIVE = (0x7C00, 0x3E0, 0x1F), (0xF800, 0x7E0, 0x1F)
BYTES = (0xFF0000, 0xFF00, 0xFF)
SRGB, EMBEDDED, LINKED = b"BGRs", b"DEBM", b"KNIL"


def row_of(pixels: list[list[int]], bits: int, masks: tuple[int, ...]) -> str:
    """A row's bits, the plain way."""
    if bits <= 8:
        return "".join(f"{value:0{bits}b}" for (value,) in pixels)
    if bits == 24:
        return "".join(f"{value:08b}" for pixel in pixels for value in pixel[::-1])
    words = (sum(value * (mask & -mask) for value, mask in zip(pixel, masks)) for pixel in pixels)
    return "".join(f"{byte:08b}" for word in words for byte in word.to_bytes(bits // 8, "little"))


def body_of(
    values: np.ndarray, bits: int, masks: tuple[int, ...] = (), top_first: bool = False, fill: str = "0"
) -> bytes:
    rows = [row_of(row, bits, masks) for row in values.tolist()]
    padded = [row + fill * (-len(row) % 32) for row in (rows if top_first else rows[::-1])]
    return b"".join(int(row[at : at + 8], 2).to_bytes(1, "big") for row in padded for at in range(0, len(row), 8))


def build(
    *,
    size,
    bits,
    body,
    info=40,
    compression=0,
    palette=b"",
    masks=(),
    top_first=False,
    gap=b"",
    tail=b"",
    density=0,
    used=0,
    last=b"",
    count_palette=True,
    declared=None,
):
    """A file. last: fields of the info header after the masks. declared: the size that the file header gives."""
    height, width = size
    if info == 12:
        fields = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        signed = -height if top_first else height
        fields = struct.pack(
            "<IiiHHIIiiII", info, width, signed, 1, bits, compression, len(body), density, density, used, 0
        )
    after = b""
    packed_masks = b"".join(mask.to_bytes(4, "little") for mask in masks)
    if info >= 52 and info != 64:
        fields += packed_masks
    else:
        after = packed_masks if compression in (3, 6) else b""
    fields = (fields + last).ljust(info, b"\0")[:info]
    offset = 14 + info + len(after) + (len(palette) if count_palette else 0) + len(gap)
    whole = 14 + info + len(after) + len(palette) + len(gap) + len(body) + len(tail)
    head = b"BM" + struct.pack("<III", whole if declared is None else declared, 0, offset)
    return head + fields + after + palette + gap + body + tail


def colours(count: int, entry: int = 4, fourth: int = 0) -> bytes:
    stored = noise(count, 1, entry)
    stored[:, :, 3:] = fourth
    return stored.tobytes()


def ramp(bits: int, entry: int = 4) -> bytes:
    greys = [value * 255 // ((1 << bits) - 1) for value in range(1 << bits)]
    return b"".join(bytes([grey] * 3 + [0] * (entry - 3)) for grey in greys)


@pytest.mark.parametrize("width", [1, 3, 7, 8, 9, 32, 33])
@pytest.mark.parametrize("info", [12, 16, 40, 52, 56, 64, 108, 124])
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_palettes(bits, info, width):
    values, entry = noise(5, width, 1, (1 << bits) - 1), 3 if info == 12 else 4
    palette = colours(1 << bits, entry)
    data = build(size=(5, width), bits=bits, body=body_of(values, bits), info=info, palette=palette)
    parts = checked(bmp, data, values, "palette", bits)
    stored = np.frombuffer(palette, np.uint8).reshape(-1, entry)
    np.testing.assert_array_equal(parts.samples.palette, stored[:, 2::-1])
    assert len(parts.rest) <= 3 * (1 << bits) + 32


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_ramp_is_grey_and_costs_nothing(bits):
    values = noise(6, 11, 1, (1 << bits) - 1)
    parts = checked(
        bmp, build(size=(6, 11), bits=bits, body=body_of(values, bits), palette=ramp(bits)), values, "grey", bits
    )
    assert len(parts.rest) < 12


def test_a_ramp_with_other_fourth_bytes_keeps_them():
    values = noise(6, 11, 1, 15)
    palette = np.frombuffer(ramp(4), np.uint8).reshape(-1, 4).copy()
    palette[3, 3] = 7
    checked(bmp, build(size=(6, 11), bits=4, body=body_of(values, 4), palette=palette.tobytes()), values, "grey", 4)


@pytest.mark.parametrize("used", [0, 5, 16, 300])
@pytest.mark.parametrize("count", [5, 16, 20])
def test_short_and_long_palettes(used, count):
    values = noise(4, 5, 1, 15)
    palette = colours(count, fourth=9)
    parts = checked(
        bmp, build(size=(4, 5), bits=4, body=body_of(values, 4), palette=palette, used=used), values, "palette", 4
    )
    assert len(parts.samples.palette) == min(count, used or 16, 16)


def test_a_palette_that_the_offset_does_not_count():
    values = noise(4, 5, 1, 15)
    data = build(size=(4, 5), bits=4, body=body_of(values, 4), palette=colours(16), count_palette=False)
    parts = checked(bmp, data, values, "palette", 4)
    assert len(parts.samples.palette) == 16


@pytest.mark.parametrize("top_first", [False, True])
@pytest.mark.parametrize("width", [1, 2, 3, 4, 13])
@pytest.mark.parametrize("info", [12, 40, 108, 124])
def test_24_bits(info, width, top_first):
    values, top_first = noise(6, width, 3), top_first and info > 12
    body = body_of(values, 24, top_first=top_first)
    data = build(size=(6, width), bits=24, body=body, info=info, top_first=top_first)
    parts = checked(bmp, data, values, "rgb", 8)
    assert len(parts.rest) < 18


WORDS = [
    # bits, compression, info, masks as stored, masks of the channels, bits of each
    (16, 0, 40, (), FIVES, (5, 5, 5)),
    (16, 0, 124, (), FIVES, (5, 5, 5)),
    (16, 3, 40, FIVE_SIX_FIVE, FIVE_SIX_FIVE, (5, 6, 5)),
    (16, 3, 40, FIVES, FIVES, (5, 5, 5)),
    (16, 3, 56, (0xF00, 0xF0, 0xF, 0xF000), (0xF00, 0xF0, 0xF, 0xF000), (4, 4, 4, 4)),
    (16, 6, 40, (0xF00, 0xF0, 0xF, 0xF000), (0xF00, 0xF0, 0xF, 0xF000), (4, 4, 4, 4)),
    (16, 3, 108, (0x7, 0x38, 0xC0, 0), (0x7, 0x38, 0xC0), (3, 3, 2)),
    (32, 0, 40, (), BYTES, (8, 8, 8)),
    (32, 0, 40, (), (*BYTES, 0xFF000000), (8, 8, 8, 8)),
    (32, 3, 40, BYTES, BYTES, (8, 8, 8)),
    (32, 3, 52, (0xFF, 0xFF00, 0xFF0000), (0xFF, 0xFF00, 0xFF0000), (8, 8, 8)),
    (32, 3, 124, (*BYTES, 0xFF000000), (*BYTES, 0xFF000000), (8, 8, 8, 8)),
    (32, 3, 40, (0xFFE00000, 0x1FFC00, 0x3FF), (0xFFE00000, 0x1FFC00, 0x3FF), (11, 11, 10)),
    (32, 3, 40, (0x3FF, 0xFFC00, 0x3FF00000), (0x3FF, 0xFFC00, 0x3FF00000, 0xC0000000), (10, 10, 10, 2)),
    (32, 3, 108, (0xFFFF0000, 0xFF00, 0xF0, 0xF), (0xFFFF0000, 0xFF00, 0xF0, 0xF), (16, 8, 4, 4)),
    (16, 0, 40, (), (*FIVES, 0x8000), (5, 5, 5, 1)),
]


@pytest.mark.parametrize(("bits", "compression", "info", "masks", "fields", "depths"), WORDS)
@pytest.mark.parametrize("width", [1, 5, 6])
def test_words(bits, compression, info, masks, fields, depths, width):
    deepest = max(depths)
    dtype = np.uint8 if deepest <= 8 else np.uint16
    values = np.dstack([noise(5, width, 1, (1 << depth) - 1) for depth in depths]).astype(dtype)
    body = body_of(values, bits, fields)
    data = build(size=(5, width), bits=bits, body=body, info=info, compression=compression, masks=masks)
    checked(bmp, data, values, "rgb" if len(depths) == 3 else "rgb+alpha", deepest)


def test_an_announced_alpha_that_is_0_is_a_channel():
    values = np.dstack([noise(4, 5, 3), np.zeros((4, 5, 1), np.uint8)])
    masks = (*BYTES, 0xFF000000)
    data = build(size=(4, 5), bits=32, body=body_of(values, 32, masks), info=124, compression=3, masks=masks)
    checked(bmp, data, values, "rgb+alpha", 8)


def test_bands_join(monkeypatch):
    monkeypatch.setattr("codec.images.pieces.BAND", 100)
    for bits, channels in ((1, 1), (4, 1), (24, 3), (32, 4)):
        values = noise(40, 21, channels, (1 << min(bits, 8)) - 1)
        palette = colours(1 << bits) if bits <= 8 else b""
        body = body_of(values, bits, (*BYTES, 0xFF000000), fill="1")
        kind = {1: "palette", 3: "rgb", 4: "rgb+alpha"}[channels]
        data = build(size=(40, 21), bits=bits, body=body, palette=palette)
        checked(bmp, data, values, kind, min(bits, 8))


@pytest.mark.parametrize(
    ("bits", "width"), [(1, 5), (1, 8), (1, 32), (2, 3), (4, 3), (8, 3), (24, 1), (24, 3), (16, 3)]
)
def test_bits_that_fill_up_rows_are_kept(bits, width):
    channels = 3 if bits >= 16 else 1
    values = noise(7, width, channels, 31 if bits == 16 else (1 << min(bits, 8)) - 1)
    palette = colours(1 << bits) if bits <= 8 else b""
    data = build(size=(7, width), bits=bits, body=body_of(values, bits, FIVES, fill="1"), palette=palette)
    kind, depth = ("palette", bits) if bits <= 8 else ("rgb", 5 if bits == 16 else 8)
    parts = checked(bmp, data, values, kind, depth)
    plain = build(size=(7, width), bits=bits, body=body_of(values, bits, FIVES), palette=palette)
    assert file_of(bmp, parts.samples, bmp.stripped(parts.rest)) == plain


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize(("space", "name"), [(EMBEDDED, "ICC profile"), (LINKED, "name of an ICC profile")])
def test_everything_beside_the_picture_is_kept(space, name, before):
    values, profile = noise(4, 5, 3), bytes(range(90))
    body = body_of(values, 24)
    gap = b"gap" + (profile if before else b"")
    tail = b"tail" + (b"" if before else profile)
    at = 124 + 3 if before else 124 + len(gap) + len(body) + 4
    last = space + bytes(range(48)) + struct.pack("<IIII", 4, at, len(profile), 0)
    arguments = dict(size=(4, 5), bits=24, body=body, info=124, masks=(0, 0, 0, 0))
    data = build(**arguments, gap=gap, tail=tail, last=last, density=2835, declared=99)
    data = data[:6] + b"\1\2\3\4" + data[10:]
    parts = checked(bmp, data, values, "rgb", 8)
    assert items(bmp, parts) == {
        "bytes before the pixels": b"gap",
        name: profile,
        "trailing bytes": b"tail",
        "reserved bytes": b"\1\2\3\4",
        "density": struct.pack("<II", 2835, 2835),
        "calibrated colours": bytes(range(48)),
    }
    bare = build(**arguments, last=SRGB + bytes(48) + struct.pack("<I", 4))
    assert file_of(bmp, parts.samples, bmp.stripped(parts.rest)) == bare
    assert not bmp.metadata(bmp.stripped(parts.rest))


def alike_from(row: list[int], at: int, two: bool) -> int:
    end = at + 1
    while end < len(row) and row[end] == row[at + (end - at) % 2 if two else at]:
        end += 1
    return end - at


def packed_row(row: list[int], bits: int, start: int, stop: int, two: bool, most: int) -> bytes:
    written, at = b"", 0
    while at < len(row):
        end = at + 1
        while end < len(row) and alike_from(row, end, two) < stop:
            end += 1
        count, literal = min(alike_from(row, at, two), most), min(end - at, most)
        if count >= start or literal < 3:
            first = row[at]
            second = row[at + 1] if count > 1 else first
            written += bytes([count, first if bits == 8 else first << 4 | second])
        else:
            count, some = literal, row[at : at + literal]
            pairs = some if bits == 8 else [a << 4 | b for a, b in zip(some[::2], [*some[1::2], 0])]
            written += bytes([0, count, *pairs]) + b"\0" * (len(pairs) % 2)
        at += count
    return written


def packets(values: np.ndarray, bits: int, rule: tuple, ending: bytes = b"\0\0\0\1") -> bytes:
    rows = [packed_row(row, bits, *rule) for row in values[::-1, :, 0].tolist()]
    return b"\0\0".join(rows) + ending


RULES = [(1, 1, False, 255), (2, 2, False, 255), (3, 3, False, 255), (3, 4, False, 254), (999, 999, False, 255)]
RULES4 = [(1, 1, True, 255), (3, 3, True, 255), (5, 5, True, 254), (4, 5, True, 255)]


def few(height: int, width: int, most: int) -> np.ndarray:
    """Values with long runs, single ones, and two in turn."""
    values = noise(height, width, 1, most)
    values[::3] = values[::3, :1]
    values[1::3, ::2], values[1::3, 1::2] = 1, values[1::3, :1]
    return np.where(np.random.default_rng(2).random(values.shape) < 0.1, most, values).astype(np.uint8)


@pytest.mark.parametrize(("bits", "rule"), [(8, rule) for rule in RULES] + [(4, rule) for rule in RULES + RULES4])
@pytest.mark.parametrize("width", [1, 20, 601])
def test_packets(bits, rule, width):
    values = few(12, width, (1 << bits) - 1)
    data = build(
        size=(12, width),
        bits=bits,
        body=packets(values, bits, rule),
        compression=1 if bits == 8 else 2,
        palette=colours(1 << bits),
        tail=b"tail",
    )
    parts = checked(bmp, data, values, "palette", bits)
    assert len(parts.rest) <= 3 * (1 << bits) + 80
    assert items(bmp, parts) == {"trailing bytes": b"tail"}


@pytest.mark.parametrize("ending", [b"\0\0\0\1", b"\0\1", b"\0\0", b""])
def test_ends_of_packets(ending, monkeypatch):
    monkeypatch.setattr("codec.images.packets.STEP", 50)
    monkeypatch.setattr("codec.images.bmp_packets._TOGETHER", 70)
    values = few(12, 30, 255)
    body = packets(values, 8, (2, 2, False, 255), ending)
    checked(bmp, build(size=(12, 30), bits=8, body=body, compression=1, palette=ramp(8)), values, "grey", 8)


def test_single_pixels_of_four_bits_followed_by_zero():
    values = np.array([[[5], [9], [7]]], np.uint8)
    body = bytes([1, 0x50, 1, 0x90, 1, 0x70, 0, 1])
    parts = checked(bmp, build(size=(1, 3), bits=4, body=body, compression=2, palette=ramp(4)), values, "grey", 4)
    assert bmp_packets.RULES4  # the rule is any that has packets of single pixels
    assert len(parts.rest) < 40


@pytest.mark.parametrize("before", [False, True])
def test_packets_by_no_rule_become_plain(before):
    values = np.random.default_rng(6).integers(0, 256, (40, 50, 1), dtype=np.uint8)
    generator, body, profile = np.random.default_rng(7), b"", b"profile"
    for row in values[::-1, :, 0].tolist():
        at = 0
        while at < len(row):
            count = min(int(generator.integers(1, 6)), len(row) - at)
            if count < 3:
                count, body = 1, body + bytes([1, row[at]])
            else:
                body += bytes([0, count, *row[at : at + count]]) + b"\0" * (count % 2)
            at += count
        body += b"\0\0"
    body += b"\0\1"
    gap, tail = (profile, b"") if before else (b"", profile)

    def whole(body: bytes, compression: int) -> bytes:
        at = 124 + 1024 + (0 if before else len(body))
        last = EMBEDDED + bytes(48) + struct.pack("<IIII", 4, at, len(profile), 0)
        arguments = dict(size=(40, 50), bits=8, info=124, masks=(0, 0, 0, 0), palette=colours(256), last=last)
        return build(**arguments, body=body, compression=compression, gap=gap, tail=tail)

    parts = checked(bmp, whole(body, 1), values, "palette", 8, exact=False)
    assert file_of(bmp, parts.samples, parts.rest) == whole(body_of(values, 8), 0)
    assert items(bmp, parts) == {"ICC profile": profile}


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_pillow_s_files(mode):
    picture, file = Image.fromarray(noise(33, 43, 3)).convert(mode), io.BytesIO()
    picture.save(file, "BMP")
    values = np.array(picture).astype(np.uint8).reshape(33, 43, -1)
    kind = {"1": "grey", "L": "grey", "P": "palette", "RGB": "rgb", "RGBA": "rgb+alpha"}[mode]
    parts = checked(bmp, file.getvalue(), values, kind, 1 if mode == "1" else 8)
    assert (bmp.second_opinion(file.getvalue()) is None) is (mode == "RGBA")  # whose alpha is not announced
    if mode != "P":
        assert len(parts.rest) < 50


PLAIN = dict(size=(4, 5), bits=24, body=bytes(64))
RLE = dict(size=(2, 4), bits=8, compression=1, palette=ramp(8))


def with_field(at: int, value: bytes, **arguments: object) -> bytes:
    data = build(**{**PLAIN, **arguments})
    return data[:at] + value + data[at + len(value) :]


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (with_field(14, b"\x42"), UnsupportedImage, "info header of 66 bytes"),
        (with_field(0, b"BA"), UnsupportedImage, "not read"),
        (with_field(28, b"\x05"), UnreadableImage, "5 bits with compression 0"),
        (with_field(28, b"\x40"), UnsupportedImage, "64 bits"),
        (with_field(30, b"\4"), UnsupportedImage, "JPEG"),
        (with_field(30, b"\5"), UnsupportedImage, "PNG"),
        (with_field(30, b"\x0b"), UnsupportedImage, "CMYK"),
        (with_field(30, b"\1"), UnreadableImage, "24 bits with compression 1"),
        (with_field(30, b"\3", info=64), UnsupportedImage, "Huffman"),
        (with_field(30, b"\4", info=64), UnsupportedImage, "RLE24"),
        (with_field(18, b"\0"), UnreadableImage, "0 x 4 pixels"),
        (with_field(18, b"\xff\xff\xff\xff"), UnreadableImage, "-1 x 4 pixels"),
        (with_field(18, b"\xff"), UnreadableImage, "are due"),
        (with_field(10, b"\x30"), UnreadableImage, "inside the header"),
        (with_field(10, b"\xff\xff\xff\x7f"), UnreadableImage, "are due"),
        (
            build(size=(1, 1), bits=16, body=bytes(4), compression=3, masks=(0xF00, 0xF0, 0xF0)),
            UnreadableImage,
            "overlap",
        ),
        (build(size=(1, 1), bits=16, body=bytes(4), compression=3, masks=(0xF000, 0xF0, 5)), UnreadableImage, "gaps"),
        (
            build(size=(1, 1), bits=16, body=bytes(4), compression=3, masks=(0xF0000, 0xF0, 1)),
            UnreadableImage,
            "exceed 16",
        ),
        (
            build(size=(1, 1), bits=32, body=bytes(4), compression=3, masks=(0xF000, 0xF0, 0)),
            UnsupportedImage,
            "no bits",
        ),
        (
            build(size=(1, 1), bits=32, body=bytes(4), compression=3, masks=(0x1FFFF, 1 << 20, 1 << 21)),
            UnsupportedImage,
            "17 bits",
        ),
        (
            build(size=(1, 1), bits=16, body=b"\xff" * 4, compression=3, masks=(0xF00, 0xE0, 7)),
            UnsupportedImage,
            "no channel has",
        ),
        (build(**RLE, body=b"\0\2\1\0"), UnsupportedImage, "moves"),
        (build(**RLE, body=b"\2\1\0\0"), UnsupportedImage, "end early"),
        (build(**RLE, body=b"\2\1\0\1"), UnsupportedImage, "early end"),
        (build(**RLE, body=b"\5\1\0\0"), UnreadableImage, "past its row"),
        (build(**RLE, body=b"\4\1\4\1"), UnreadableImage, "no end of a row"),
        (build(**RLE, body=b"\4\1\0"), UnreadableImage, "no end of a row"),
        (build(**RLE, body=b"\4\1\0\0"), UnreadableImage, "before its last pixel"),
        (build(**RLE, body=b"\4\1\0\0\0\4\1"), UnreadableImage, "in a packet"),
        (build(**{**RLE, "size": (999, 999)}, body=b"\4\1\0\0"), UnreadableImage, "hold no"),
        (build(**RLE, body=b"\4\1\0\0", top_first=True), UnreadableImage, "top row"),
        (b"BM", UnreadableImage, "are due"),
    ],
)
def test_refusals(data, error, message):
    with pytest.raises(error, match=message):
        bmp.take_apart(data, MOST)


def test_too_large():
    with pytest.raises(ImageTooLarge):
        bmp.take_apart(build(**PLAIN), 19)


def test_samples_of_another_kind_are_refused():
    rest = bmp.take_apart(build(**PLAIN), MOST).rest
    others = [build(size=(5, 4), bits=24, body=bytes(60)), build(size=(4, 5), bits=32, body=bytes(80))]
    for other in (others[0], others[1][:-1] + b"\1", build(size=(4, 5), bits=16, body=bytes(48))):
        with pytest.raises(DamagedFile, match="does not fit"):
            file_of(bmp, bmp.take_apart(other, MOST).samples, rest)


@pytest.mark.parametrize("data", [b"", b"BM", b"BM" + bytes(60), b"BMW is a maker of cars and motorcycles"])
def test_other_files_are_not_taken(data):
    assert not bmp.recognises(data)


MASKS = (*FIVES, 0x8000)
RLE4_BODY = packets(few(9, 14, 15), 4, (3, 3, True, 255))
ATTACKED = {
    "4 bits": build(
        size=(5, 7), bits=4, body=body_of(noise(5, 7, 1, 15), 4, fill="1"), palette=colours(16), tail=b"tail"
    ),
    "words": build(
        size=(5, 7), bits=16, body=body_of(noise(5, 7, 4, 1), 16, MASKS), compression=3, info=108, masks=MASKS
    ),
    "24 bits": build(size=(5, 7), bits=24, body=body_of(noise(5, 7, 3), 24), info=12),
    "packets": build(size=(9, 14), bits=4, body=RLE4_BODY, compression=2, palette=colours(16), gap=b"gap"),
}


@pytest.mark.parametrize("name", ATTACKED)
def test_damage(name):
    check_damage(bmp, ATTACKED[name], 150)


@pytest.mark.parametrize("name", ATTACKED)
def test_hostile_rests(name):
    check_hostile_rests(bmp, ATTACKED[name], 200)
