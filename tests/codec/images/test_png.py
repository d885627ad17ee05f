"""PNG: every kind of picture comes apart into its samples and together again, byte for byte or with all that it says.

The pictures are made here, byte by byte and without what reads them.
"""

import io
import random
import struct
import zlib
from collections.abc import Callable, Iterable

import numpy as np
import pytest
from PIL import Image

from codec.errors import ImageTooLarge, UnreadableImage, UnsupportedImage
from codec.images import png
from codec.images.rows import pack_rows, unpack_rows
from codec.images.samples import CHANNELS, Parts, Samples

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOUR_TYPES = {"grey": 0, "rgb": 2, "palette": 3, "grey+alpha": 4, "rgb+alpha": 6}
VARIANTS = [
    (kind, depth)
    for kind, depths in {
        "grey": (1, 2, 4, 8, 16),
        "rgb": (8, 16),
        "palette": (1, 2, 4, 8),
        "grey+alpha": (8, 16),
        "rgb+alpha": (8, 16),
    }.items()
    for depth in depths
]
MANY = 10**9  # pixels


def values(kind: str, depth: int, height: int = 11, width: int = 13, noise: int = 16) -> np.ndarray:
    """Samples [H, W, C]: slopes, and noise of this part of their range."""
    rng = np.random.default_rng(0)
    rows, columns, channels = np.ogrid[:height, :width, : CHANNELS[kind]]
    smooth = (rows * 5 + columns * 3 + channels * 40) * (1 << depth) // 256
    noisy = smooth + rng.integers(0, max(2, (1 << depth) // noise), smooth.shape)
    return (noisy % (1 << depth)).astype(np.uint8 if depth <= 8 else np.uint16)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def header(width: int, height: int, depth: int, colour: int, interlace: int = 0, methods: tuple = (0, 0)) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, *methods, interlace))


def plain_passes(picture: np.ndarray, interlaced: bool) -> list[np.ndarray]:
    if not interlaced:
        return [picture]
    pattern = ["16462646", "77777777", "56565656", "77777777", "36463646", "77777777", "56565656", "77777777"]
    passes = []
    for number in "1234567":
        height, width = picture.shape[:2]
        rows = [
            [picture[y, x] for x in range(width) if pattern[y % 8][x % 8] == number]
            for y in range(height)
            if number in pattern[y % 8]
        ]
        if rows and rows[0]:
            passes.append(np.array(rows))
    return passes


def plain_filter(row: bytes, above: bytes, reach: int, kind: int) -> bytes:
    done = bytearray([kind])
    for i, byte in enumerate(row):
        a, b, c = (row[i - reach], above[i], above[i - reach]) if i >= reach else (0, above[i], 0)
        p = a + b - c
        nearest = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
        done.append((byte - (0, a, b, (a + b) // 2, nearest)[kind]) % 256)
    return bytes(done)


def scanlines(
    picture: np.ndarray, depth: int, interlaced: bool, kinds: Callable[[int], int], padding: str = "0"
) -> bytes:
    """Filtered rows; kinds gives the filter of each, padding the bit that fills their last bytes."""
    lines, number = [], 0
    for part in plain_passes(picture, interlaced):
        above = None
        for row in part:
            bits = "".join(f"{sample:0{depth}b}" for sample in row.ravel())
            bits += padding * (-len(bits) % 8)
            packed = bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))
            reach = max(1, depth * picture.shape[2] // 8)
            lines.append(plain_filter(packed, above or bytes(len(packed)), reach, kinds(number)))
            above, number = packed, number + 1
    return b"".join(lines)


def cut(stream: bytes, lengths: Iterable[int]) -> bytes:
    """IDAT chunks of these lengths, and one of what is left."""
    at, chunks = 0, []
    for length in lengths:
        chunks.append(chunk(b"IDAT", stream[at : at + length]))
        at += length
    return b"".join(chunks) + (chunk(b"IDAT", stream[at:]) if at < len(stream) else b"")


def packed(data: bytes, level: int = 6, memory: int = 8, strategy: int = 0, window: int = 15) -> bytes:
    packer = zlib.compressobj(level, zlib.DEFLATED, window, memory, strategy)
    return packer.compress(data) + packer.flush()


PLTE = bytes(range(100, 148))  # 16 colours


def file(
    picture: np.ndarray,
    kind: str,
    depth: int,
    interlaced: bool = False,
    before: bytes = b"",
    after: bytes = b"",
    filters: Callable[[int], int] = lambda row: row % 5,
    padding: str = "0",
    pack: Callable[[bytes], bytes] = packed,
    lengths: Iterable[int] = (),
) -> bytes:
    stream = pack(scanlines(picture, depth, interlaced, filters, padding))
    palette = chunk(b"PLTE", PLTE) if kind == "palette" and b"PLTE" not in before else b""
    head = header(picture.shape[1], picture.shape[0], depth, COLOUR_TYPES[kind], interlaced)
    return SIGNATURE + head + palette + before + cut(stream, lengths) + after + chunk(b"IEND", b"")


def restored(parts: Parts) -> bytes:
    return b"".join(png.put_together(parts.samples, parts.rest))


def assert_exact(data: bytes, picture: np.ndarray, kind: str, depth: int) -> Parts:
    parts = png.take_apart(data, MANY)
    assert parts.samples.kind == kind and parts.samples.depth == depth
    assert parts.samples.values.dtype == (np.uint8 if depth <= 8 else np.uint16)
    assert np.array_equal(parts.samples.values, picture)
    assert parts.exact and restored(parts) == data
    return parts


def assert_same_but_packed_otherwise(data: bytes, picture: np.ndarray) -> Parts:
    parts = png.take_apart(data, MANY)
    assert np.array_equal(parts.samples.values, picture) and not parts.exact
    again = png.take_apart(restored(parts), MANY)
    assert again.samples.same(parts.samples) and png.metadata(again.rest) == png.metadata(parts.rest)
    return parts


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("kind", "depth"), VARIANTS)
def test_every_kind_and_depth(kind, depth, interlaced):
    picture = values(kind, depth)
    data = file(picture, kind, depth, interlaced)
    assert png.recognises(data)
    parts = assert_exact(data, picture, kind, depth)
    if kind == "palette":
        assert np.array_equal(parts.samples.palette, np.frombuffer(PLTE, np.uint8).reshape(-1, 3))
    opinion = png.second_opinion(data)
    assert (opinion is not None) == (depth == 8 or kind == "palette" or (kind, depth) in [("grey", 1), ("grey", 16)])
    assert opinion is None or opinion.same(parts.samples)


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (5, 1), (2, 3), (3, 9), (8, 8), (9, 4)])
@pytest.mark.parametrize(("kind", "depth"), [("grey", 1), ("palette", 4), ("rgb", 8), ("rgb+alpha", 16)])
def test_every_size_interlaced(size, kind, depth):
    picture = values(kind, depth, *size)
    assert_exact(file(picture, kind, depth, True), picture, kind, depth)


@pytest.mark.parametrize("filters", range(5))
@pytest.mark.parametrize("shape", [(4, 20), (50, 12), (270, 2)])
@pytest.mark.parametrize(("kind", "depth"), [("grey", 8), ("rgb", 8), ("rgb+alpha", 16)])
def test_every_filter_in_few_and_many_rows(filters, shape, kind, depth):
    picture = values(kind, depth, *shape)
    parts = assert_exact(file(picture, kind, depth, filters=lambda row: filters), picture, kind, depth)
    assert len(parts.rest) <= 9  # nothing for every row


def test_filters_in_any_order():
    kinds = random.Random(3).choices(range(5), k=270)
    picture = values("rgb", 8, 270, 5)
    parts = assert_exact(file(picture, "rgb", 8, filters=kinds.__getitem__), picture, "rgb", 8)
    assert bytes(kinds) in parts.rest


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (0, 2, 1, 4), (0, 2, 1, 3, 4)])
@pytest.mark.parametrize("interlaced", [False, True])
def test_filters_of_the_least_sum_take_no_room(order, interlaced):
    picture = values("rgb", 8, 20, 16)
    lines = [scanlines(picture, 8, interlaced, lambda row, kind=kind: kind) for kind in range(5)]
    kinds, at = [], 0
    for part in plain_passes(picture, interlaced):
        for _ in part:
            length = 1 + 3 * part.shape[1]
            rows = [line[at + 1 : at + length] for line in lines]
            kinds.append(min(order, key=lambda kind: sum(min(byte, 256 - byte) for byte in rows[kind])))
            at += length
    parts = assert_exact(file(picture, "rgb", 8, interlaced, filters=kinds.__getitem__), picture, "rgb", 8)
    assert len(set(kinds)) > 1 and len(parts.rest) == 7


ANCILLARY = [
    (b"gAMA", struct.pack(">I", 45455)),
    (b"sRGB", b"\0"),
    (b"pHYs", struct.pack(">IIB", 1234, 1235, 1)),
    (b"tEXt", b"Software\0Adobe ImageReady"),
    (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x/>"),
    (b"eXIf", b"II*\0"),
    (b"iCCP", b"name\0\0" + zlib.compress(b"profile")),
    (b"prIv", b"\0\1private"),
    (b"tEXt", b""),
    (b"tIME", b"damaged"),
]
BEFORE = b"".join(chunk(*content) for content in ANCILLARY)
AFTER = chunk(b"tEXt", b"Comment\0after") + chunk(b"zzZz", b"")


@pytest.mark.parametrize("exact", [True, False])
def test_all_chunks_stay_where_they_are(exact):
    picture = values("rgb", 8)
    pack = packed if exact else two_flushes
    data = file(picture, "rgb", 8, before=BEFORE, after=AFTER, pack=pack) + b"what follows"
    parts = assert_exact(data, picture, "rgb", 8) if exact else assert_same_but_packed_otherwise(data, picture)
    again = restored(parts)
    assert again.startswith(SIGNATURE + header(13, 11, 8, 2) + BEFORE)
    assert again.endswith(AFTER + chunk(b"IEND", b"") + b"what follows")
    names = [item.name for item in png.metadata(parts.rest)]
    assert names == [
        *("gAMA", "sRGB", "pHYs", "text", "XMP", "EXIF", "ICC profile", "prIv", "text", "tIME"),
        *("text", "zzZz", "data after the end"),
    ]
    contents = [content for _, content in ANCILLARY]
    assert [item.data for item in png.metadata(parts.rest)][: len(contents)] == contents


def two_flushes(lines: bytes) -> bytes:
    """A stream that no single call of zlib makes."""
    packer = zlib.compressobj(9)
    return packer.compress(lines[:50]) + packer.flush(zlib.Z_SYNC_FLUSH) + packer.compress(lines[50:]) + packer.flush()


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("kind", "depth"), VARIANTS)
def test_streams_of_strangers_are_packed_anew(kind, depth, interlaced):
    picture = values(kind, depth, noise=2**16)  # not so much that it is stored
    transparent = chunk(b"tRNS", b"\0\1") if "alpha" not in kind else b""
    data = file(picture, kind, depth, interlaced, before=transparent, pack=two_flushes)
    parts = assert_same_but_packed_otherwise(data, picture)
    assert restored(parts)[28] == interlaced
    assert transparent in restored(parts)


@pytest.mark.parametrize("pack", [packed, two_flushes])
@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("depth", [1, 2, 4])
def test_padding_is_kept(depth, interlaced, pack):
    picture = values("grey", depth)
    data = file(picture, "grey", depth, interlaced, padding="1", pack=pack)
    parts = png.take_apart(data, MANY)
    assert np.array_equal(parts.samples.values, picture) and parts.exact == (pack is packed)
    again = png.take_apart(restored(parts), MANY)
    assert restored(again) == restored(parts)
    if pack is not packed:  # without filters the bits stand as they are
        lines = scanlines(picture, depth, interlaced, lambda row: 0, "1")
        assert zlib.decompress(restored(parts)[41:]) == lines


@pytest.mark.parametrize("tail", [b"", b"\xff" * 16])
def test_palettes_stay_in_their_order(tail):
    colours = bytes(random.Random(1).randbytes(3 * 7))
    before = chunk(b"PLTE", colours) + (chunk(b"tRNS", tail) if tail else b"")
    picture = values("palette", 8) % 16
    assert picture.max() > 6  # more than the palette has
    parts = assert_exact(file(picture, "palette", 4, before=before), picture, "palette", 4)
    assert parts.samples.palette.tobytes() == colours and not png.metadata(parts.rest)


@pytest.mark.parametrize("text", [zlib.compress(bytes(10**7), 9), b"no stream at all"])
def test_a_packed_text_is_not_unpacked(text):
    content = b"Comment\0\0" + text
    picture = values("grey", 8)
    parts = assert_exact(file(picture, "grey", 8, before=chunk(b"zTXt", content)), picture, "grey", 8)
    assert len(parts.rest) < len(content) + 40 and png.metadata(parts.rest)[0].data == content


def test_a_long_text_is_kept():
    text = b"Comment\0" + b"word " * 300_000
    picture = values("grey", 8)
    parts = assert_exact(file(picture, "grey", 8, before=chunk(b"tEXt", text)), picture, "grey", 8)
    assert png.metadata(parts.rest)[0].data == text


@pytest.mark.parametrize(("kind", "depth"), VARIANTS)
def test_stripped(kind, depth):
    picture = values(kind, depth)
    shown = (chunk(b"PLTE", PLTE) if kind == "palette" else b"") + chunk(b"tRNS", bytes(6))
    data = file(picture, kind, depth, True, before=shown + BEFORE, after=AFTER) + b"more"
    samples = png.take_apart(data, MANY).samples
    rest = png.stripped(png.take_apart(data, MANY).rest)
    again = b"".join(png.put_together(samples, rest))
    assert png.take_apart(again, MANY).samples.same(samples) and png.metadata(rest) == []
    assert again.startswith(SIGNATURE + header(13, 11, depth, COLOUR_TYPES[kind]) + shown)
    Image.open(io.BytesIO(again)).load()


@pytest.mark.parametrize(("kind", "depth"), [(kind, depth) for kind, depth in VARIANTS if kind != "palette"])
def test_composed(kind, depth):
    samples = Samples(values(kind, depth), depth, kind)
    exif = Image.Exif()
    exif[0x010E] = "a picture"
    rest = png.compose(samples, icc=b"profile" * 20, exif=exif.tobytes(), xmp=b"<x:xmpmeta/>")
    data = b"".join(png.put_together(samples, rest))
    assert png.take_apart(data, MANY).samples.same(samples)
    assert [item.name for item in png.metadata(rest)] == ["ICC profile", "EXIF", "XMP"]
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()
        assert picture.info["icc_profile"] == b"profile" * 20 and picture.getexif()[0x010E] == "a picture"
        assert picture.info["xmp"] == b"<x:xmpmeta/>"
    assert len(png.compose(samples)) == 3


@pytest.mark.parametrize(("kind", "depth"), [("grey", 3), ("rgb", 4), ("grey", 12), ("cmyk", 8), ("palette", 8)])
def test_what_is_not_composed(kind, depth):
    palette = np.zeros((1, 3), np.uint8) if kind == "palette" else None
    with pytest.raises(ValueError, match=f"{kind} of {depth} bits"):
        png.compose(Samples(values(kind, depth), depth, kind, palette))


def pillow_picture(mode: str) -> Image.Image:
    colours = Image.fromarray(values("rgb", 8, 50, 60))
    return colours.convert(mode)


@pytest.mark.parametrize("options", [{}, {"optimize": True}, {"compress_level": 1}])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_pictures_of_pillow(mode, options):
    picture = Image.fromarray(values("grey", 16, 50, 60)[:, :, 0]) if mode == "I;16" else pillow_picture(mode)
    stream = io.BytesIO()
    picture.save(stream, "PNG", **options)
    parts = png.take_apart(stream.getvalue(), MANY)
    with Image.open(stream) as read:
        truth = np.asarray(read).reshape(50, 60, -1)
    assert np.array_equal(parts.samples.values, truth)
    assert png.second_opinion(stream.getvalue()).same(parts.samples)
    assert png.take_apart(restored(parts), MANY).samples.same(parts.samples)


RGB = values("rgb", 8)
GOOD = file(RGB, "rgb", 8, lengths=[100])
LINES = scanlines(RGB, 8, False, lambda row: 0)
HEAD, END = SIGNATURE + header(13, 11, 8, 2), chunk(b"IEND", b"")


def of(stream: bytes) -> bytes:
    return HEAD + chunk(b"IDAT", stream) + END


REFUSED = {
    "crc": (GOOD[:60] + bytes([GOOD[60] ^ 1]) + GOOD[61:], "IDAT at byte 33 is not as its CRC says"),
    "no IEND": (GOOD[:-12], "without IEND"),
    "cut IEND": (GOOD[:-1], "IEND at byte .* is cut off"),
    "IEND with bytes": (GOOD[:-12] + chunk(b"IEND", b"x"), "IEND has 1 bytes"),
    "no IDAT": (HEAD + END, "IDAT is missing"),
    "cut IDAT": (of(packed(LINES)[:-20]), "cut off|too early"),
    "empty IDAT": (of(b""), "0 bytes of image data"),
    "too much": (of(packed(LINES + b"\0")), "more image data"),
    "too little": (of(packed(LINES[:-1])), "1 bytes too early"),
    "after the stream": (of(packed(LINES) + b"\0"), "more image data"),
    "IDAT after the stream": (HEAD + cut(packed(LINES) + b"x", [len(packed(LINES))]) + END, "more image data"),
    "adler": (of(packed(LINES)[:-1] + bytes([packed(LINES)[-1] ^ 1])), "image data is damaged"),
    "no zlib": (of(b"no zlib stream, but as long as one may be"), "image data is damaged"),
    "preset dictionary": (of(b"\x78\xbb" + bytes(80)), "image data is damaged|cut off"),
    "filter": (of(packed(b"\5" + LINES[1:])), "filtered by 5"),
    "critical": (HEAD + chunk(b"CRIT", b"") + GOOD[33:], "CRIT is a critical chunk"),
    "no type": (HEAD + chunk(b"1234", b"") + GOOD[33:], "b'1234'"),
    "length": (HEAD + b"\x80\0\0\0tEXt" + GOOD[33:], "2147483648 bytes"),
    "two IHDR": (HEAD + HEAD[8:] + GOOD[33:], "IHDR is there twice"),
    "two PLTE": (HEAD + chunk(b"PLTE", PLTE) * 2 + GOOD[33:], "PLTE is there twice"),
    "late PLTE": (GOOD[:-12] + chunk(b"PLTE", PLTE) + END, "PLTE is after IDAT"),
    "odd PLTE": (HEAD + chunk(b"PLTE", PLTE[:-1]) + GOOD[33:], "PLTE has 47 bytes"),
    "no colour": (HEAD + chunk(b"PLTE", b"") + GOOD[33:], "PLTE has 0 bytes"),
    "257 colours": (HEAD + chunk(b"PLTE", bytes(771)) + GOOD[33:], "PLTE has 771 bytes"),
    "PLTE of grey": (SIGNATURE + header(13, 11, 8, 0) + chunk(b"PLTE", PLTE) + GOOD[33:], "kind grey"),
    "no PLTE": (SIGNATURE + header(13, 11, 8, 3) + GOOD[33:], "PLTE is missing"),
    "IDAT apart": (
        HEAD + chunk(b"tEXt", b"").join([cut(packed(LINES)[:9], []), cut(packed(LINES)[9:], [])]) + END,
        "two",
    ),
    "no IHDR": (SIGNATURE + chunk(b"IDAT", b"") + END, "the first chunk is b'IDAT'"),
    "signature alone": (SIGNATURE, "the first chunk is b''"),
    "no width": (SIGNATURE + header(0, 11, 8, 2) + GOOD[33:], "0 x 11 pixels"),
    "colour": (SIGNATURE + header(13, 11, 8, 1) + GOOD[33:], "colour type 1 of 8 bits"),
    "depth": (SIGNATURE + header(13, 11, 4, 2) + GOOD[33:], "colour type 2 of 4 bits"),
    "compression": (SIGNATURE + header(13, 11, 8, 2, 0, (1, 0)) + GOOD[33:], "compression 1"),
    "filtering": (SIGNATURE + header(13, 11, 8, 2, 0, (0, 64)) + GOOD[33:], "filter 64"),
    "interlace": (SIGNATURE + header(13, 11, 8, 2, 2) + GOOD[33:], "interlace 2"),
    "a bomb": (SIGNATURE + header(30_000, 30_000, 8, 2) + GOOD[33:], "cannot make 30000 x 30000 pixels"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    data, message = REFUSED[name]
    with pytest.raises(UnreadableImage, match=message):
        png.take_apart(data, MANY)


def test_what_the_refused_are_made_of_is_not():
    assert_exact(GOOD, RGB, "rgb", 8)
    assert_exact(of(packed(LINES)), RGB, "rgb", 8)


@pytest.mark.parametrize("kind", [b"acTL", b"fcTL", b"fdAT"])
def test_animations_are_refused_by_name(kind):
    with pytest.raises(UnsupportedImage, match=f"{kind.decode()} makes it an animation \\(APNG\\): extract a frame"):
        png.take_apart(HEAD + chunk(kind, bytes(8)) + GOOD[33:], MANY)


def test_too_many_pixels():
    assert png.take_apart(GOOD, 143).exact
    with pytest.raises(ImageTooLarge, match="13 x 11 pixels are more than 142"):
        png.take_apart(GOOD, 142)


@pytest.mark.parametrize("data", [b"", SIGNATURE[:7], b"\x8aMNG\r\n\x1a\n", b"GIF89a" * 3])
def test_not_recognised(data):
    assert not png.recognises(data)


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("width", [1, 3, 8, 9, 17])
def test_rows_of_few_bits(width, bits):
    samples = values("grey", bits, 5, width)[:, :, 0]
    rows = np.array([[int(f"{b:08b}", 2) for b in pack_plain(row, bits)] for row in samples], np.uint8)
    assert np.array_equal(pack_rows(samples, bits), rows)
    assert np.array_equal(unpack_rows(rows, width, bits), samples)


def pack_plain(row: np.ndarray, bits: int) -> bytes:
    digits = "".join(f"{sample:0{bits}b}" for sample in row)
    digits += "0" * (-len(digits) % 8)
    return bytes(int(digits[i : i + 8], 2) for i in range(0, len(digits), 8))
