"""GIF: against indices that the tests chose and coded themselves by a plain LZW encoder, and against Pillow."""

import io

import numpy as np
import pytest
from PIL import Image

from codec.errors import CodecError, DamagedFile, ImageTooLarge, UnreadableImage, UnsupportedImage
from codec.images import gif, gif_lzw
from tests.codec.images.gifs import GREEDY, build, extension, lzw, palette, picture

MOST = 10**7
CONTROL = extension(0xF9, b"\x01\0\0\x02")
OPAQUE = extension(0xF9, b"\0\5\0\0")
COMMENT = extension(0xFE, b"made by", b" hand")
XMP_CONTENT = b"<x:xmpmeta>\xe4\x01</x:xmpmeta>"
XMP = b"\x21\xff\x0bXMP DataXMP" + XMP_CONTENT + bytes([1, *range(255, -1, -1), 0])
ICC = extension(0xFF, b"ICCRGBG1012", bytes(200), bytes(range(1, 90)))
LOOP = extension(0xFF, b"NETSCAPE2.0", b"\x01\0\0")
PLAIN = extension(0x01, bytes(12), b"text")
SMALL = picture(13, 17, 16)
MANY = picture(120, 130, 200)  # of over 4096 codes

EXACT = {
    "global": (SMALL, 4, dict(colours=4)),
    "87a": (SMALL, 4, dict(colours=4, version=b"GIF87a")),
    "local": (SMALL, 4, dict(own=4)),
    "both palettes": (SMALL, 4, dict(colours=2, own=4)),
    "no palette": (SMALL, 4, {}),
    "indices beyond the palette": (SMALL, 4, dict(colours=2)),
    "palette larger than the code": (SMALL, 4, dict(colours=8)),
    "code larger than the palette": (SMALL, 8, dict(colours=4)),
    "interlaced": (SMALL, 4, dict(colours=4, interlaced=True)),
    "interlaced and low": (SMALL[:3], 4, dict(colours=4, interlaced=True)),
    "one pixel": (SMALL[:1, :1], 4, dict(colours=4)),
    "one column": (SMALL[:, :1], 4, dict(colours=4)),
    "screen": (SMALL, 4, dict(colours=4, screen=(40, 30), place=(5, 6))),
    "off the screen": (SMALL, 4, dict(colours=4, screen=(4, 3), place=(300, 2))),
    "transparent": (SMALL, 4, dict(colours=4, before=CONTROL)),
    "look": (SMALL, 4, dict(colours=4, look=b"\x03\x31")),
    "extensions": (SMALL, 4, dict(colours=4, before=COMMENT + XMP + PLAIN + ICC + LOOP + OPAQUE, after=COMMENT + b";")),
    "zeros between blocks": (SMALL, 4, dict(colours=4, before=b"\0\0" + COMMENT + b"\0", after=b"\0;")),
    "trailing": (SMALL, 4, dict(colours=4, after=b";\0rest")),
    "no trailer": (SMALL, 4, dict(colours=4, after=b"")),
    "no end code": (SMALL, 4, dict(colours=4, end=False)),
    "no end code, then zeros": (SMALL, 4, dict(colours=4, end=False, tail=bytes(9))),
    "no first clear": (SMALL, 4, dict(colours=4, first=False)),
    "two clears first": (SMALL, 4, dict(colours=4, clears=[0])),
    "clear last": (SMALL, 4, dict(colours=4, clears=[5, GREEDY])),
    "irregular clears": (SMALL, 4, dict(colours=4, clears=[30, 1, 50])),
    "early clears": (SMALL, 4, dict(colours=4, clear_after=29)),
    "clears all the time": (SMALL, 4, dict(colours=4, clear_after=5)),
    "uncompressed": (SMALL, 4, dict(colours=4, clear_after=14, longest=lambda number: 1)),
    "short phrases": (SMALL, 4, dict(colours=4, longest=lambda number: 2 if number in (40, 47, 90) else GREEDY)),
    "pad": (SMALL, 4, dict(colours=4, pad=255)),
    "tail": (SMALL, 4, dict(colours=4, tail=b"\x07more")),
    "blocks": (SMALL, 4, dict(colours=4, sizes=(64,))),
    "odd blocks": (SMALL, 4, dict(colours=4, sizes=(3, 70, 1, 9, 255))),
    "one bit": (SMALL % 2, 1, dict(colours=1)),
    "two bits": (SMALL % 2, 2, dict(colours=1)),
    "eight bits": (picture(30, 31, 256), 8, dict(colours=8)),
    "full table": (MANY, 8, dict(colours=8, clear_after=3838)),
    "giflib's": (MANY, 8, dict(colours=8, clear_after=3837)),
    "Pillow's": (MANY, 8, dict(colours=8, clear_after=3839)),
    "never clears": (MANY, 8, dict(colours=8)),
    "clears much later": (MANY, 8, dict(colours=8, clear_after=5000, interlaced=True)),
}


def whole(parts):
    return b"".join(gif.put_together(parts.samples, parts.rest))


@pytest.mark.parametrize("name", EXACT)
def test_to_the_byte(name):
    indices, least, how = EXACT[name]
    data = build(indices, least, **how)
    parts = gif.take_apart(data, MOST)
    assert np.array_equal(parts.samples.values[..., 0], indices)
    assert parts.exact
    assert whole(parts) == data


@pytest.mark.parametrize("name", [name for name in EXACT if name not in ("one bit", "off the screen", "screen")])
def test_pillow_reads_the_same(name):
    indices, least, how = EXACT[name]
    other = gif.second_opinion(build(indices, least, **how))
    assert other is not None and np.array_equal(other.values[..., 0], indices)


@pytest.mark.parametrize(("screen", "place"), [((40, 30), (5, 6)), ((22, 19), (5, 6)), ((4, 3), (30, 2))])
def test_pillow_reads_the_image_within_its_screen(screen, place):
    data = build(SMALL, 4, colours=4, screen=screen, place=place)
    other = gif.second_opinion(data)
    assert other is not None and other.same(gif.take_apart(data, MOST).samples)


def test_no_second_opinion_of_a_large_screen():
    data = build(SMALL, 4, colours=4, screen=(65535, 65535))
    assert gif.second_opinion(data) is None
    assert whole(gif.take_apart(data, MOST)) == data


@pytest.mark.parametrize("name", EXACT)
def test_stripped(name):
    indices, least, how = EXACT[name]
    parts = gif.take_apart(build(indices, least, **how), MOST)
    bare = gif.stripped(parts.rest)
    assert gif.metadata(bare) == [] and gif.stripped(bare) == bare and len(bare) <= len(parts.rest)
    again = gif.take_apart(b"".join(gif.put_together(parts.samples, bare)), MOST)
    assert again.samples.same(parts.samples)
    assert np.array_equal(again.samples.palette, parts.samples.palette)
    opened = Image.open(io.BytesIO(b"".join(gif.put_together(parts.samples, bare))))
    assert opened.info.get("transparency") == (2 if how.get("before") == CONTROL else None)


def test_metadata():
    data = build(
        *EXACT["extensions"][:2], **EXACT["extensions"][2] | dict(look=b"\0\x31", after=b";behind", tail=b"\x09")
    )
    items = [(item.name, item.data) for item in gif.metadata(gif.take_apart(data, MOST).rest)]
    assert items == [
        ("comment", b"made by hand"),
        ("XMP", XMP_CONTENT),
        ("plain text", bytes(12) + b"text"),
        ("ICC profile", bytes(200) + bytes(range(1, 90))),
        ("application 'NETSCAPE2.0'", b"\x01\0\0"),
        ("graphic control", b"\0\5\0\0"),
        ("pixel aspect ratio", b"\x31"),
        ("bytes behind the pixels", b"\x09"),
        ("bytes behind the end", b"behind"),
    ]


@pytest.mark.parametrize(
    ("least", "how", "depth"),
    [(4, dict(colours=4), 4), (8, dict(colours=4), 4), (4, dict(colours=8), 4), (4, dict(colours=2), 4), (5, {}, 5)],
)
def test_depth(least, how, depth):
    assert gif.take_apart(build(SMALL, least, **how), MOST).samples.depth == depth


def test_palette_is_the_images_own():
    parts = gif.take_apart(build(SMALL, 4, colours=4, own=3), MOST)
    assert parts.samples.palette.tobytes() == palette(3, 1)
    assert gif.take_apart(build(SMALL, 4), MOST).samples.palette.shape == (0, 3)


def test_packed_in_another_way():
    """Phrases of random lengths cannot be told in little room: the same samples and metadata come back."""
    lengths = np.random.default_rng(3).integers(1, 4, 10**5)
    how = dict(colours=8, before=COMMENT + CONTROL, tail=b"\x09tail", after=XMP + b";more", interlaced=True)
    data = build(MANY, 8, longest=lambda number: lengths[number], clear_after=4000, **how)
    parts = gif.take_apart(data, MOST)
    assert not parts.exact
    assert len(parts.rest) < 3 * 256 + 400
    again = gif.take_apart(whole(parts), MOST)
    assert again.exact and again.samples.same(parts.samples)
    assert np.array_equal(again.samples.values[..., 0], MANY)
    assert gif.metadata(again.rest) == gif.metadata(parts.rest)


def test_rests_of_icons_are_tiny():
    data = build(picture(16, 16, 2), 2, colours=1)
    assert len(gif.take_apart(data, MOST).rest) <= 12


def test_several_pieces():
    """More pixels than are coded at a time."""
    assert gif_lzw._CHUNK < 1200 * 1000
    indices = np.zeros((1200, 1000), np.uint8)
    indices[5::7, 3::9] = 1
    stream = io.BytesIO()
    Image.fromarray(indices).save(stream, "GIF")
    parts = gif.take_apart(stream.getvalue(), MOST)
    assert parts.exact
    assert len(list(gif.put_together(parts.samples, parts.rest))) > 3
    assert whole(parts) == stream.getvalue()


@pytest.mark.parametrize("options", [{}, dict(interlace=0), dict(transparency=3, comment=b"x" * 300, optimize=True)])
def test_pillows_own(options):
    stream = io.BytesIO()
    file = Image.fromarray(MANY.astype(np.uint8))
    file.save(stream, "GIF", **options)
    parts = gif.take_apart(stream.getvalue(), MOST)
    assert parts.exact and whole(parts) == stream.getvalue()
    shown = parts.samples.palette[parts.samples.values[..., 0]]
    assert np.array_equal(shown[..., 0], MANY)


def test_recognises():
    assert gif.recognises(b"GIF87a") and gif.recognises(b"GIF89a...")
    assert not gif.recognises(b"GIF88a") and not gif.recognises(b"")


IMAGE = build(SMALL, 4, colours=4)


@pytest.mark.parametrize(
    ("data", "error", "match"),
    [
        (IMAGE[:-1] + IMAGE[IMAGE.index(b"\x2c\0\0\0\0") :], UnsupportedImage, "animation"),
        (IMAGE[: 13 + 48] + COMMENT + b";", UnsupportedImage, "without an image"),
        (IMAGE[: 13 + 48] + b"\x99" + IMAGE[61:], UnreadableImage, "block 99"),
        (IMAGE[:-1] + b"\x99;", UnreadableImage, "block 99 behind"),
        (build(SMALL[:0], 4, colours=4), UnreadableImage, "17 x 0"),
        (build(SMALL, 9, colours=4), UnreadableImage, "9 bits"),
        (build(SMALL, 4, code=lzw(SMALL.ravel().tolist()[:-1], 4)), UnreadableImage, "before the frame is full"),
        (build(SMALL, 4, code=lzw([0] * 300, 4)), UnreadableImage, "more pixels"),
        (build(SMALL, 4, code=b"\xd0\xff\xff"), UnreadableImage, "not defined|before the frame"),
        (build(SMALL, 4, code=b""), UnreadableImage, "before the frame"),
    ],
)
def test_refused(data, error, match):
    with pytest.raises(error, match=match):
        gif.take_apart(data, MOST)


def test_too_large():
    with pytest.raises(ImageTooLarge, match="17 x 13"):
        gif.take_apart(IMAGE, 200)


def test_claims_are_checked_before_memory_is_taken(monkeypatch):
    huge = bytearray(IMAGE)
    place = IMAGE.index(b"\x2c\0\0\0\0") + 5
    huge[place : place + 4] = b"\xff\xff\xff\xff"
    monkeypatch.setattr(
        np, "empty", lambda shape, *_: pytest.fail() if np.prod(shape) > 10**7 else np.zeros(shape, "u1")
    )
    with pytest.raises(UnreadableImage, match="before the frame is full"):
        gif.take_apart(bytes(huge), 1 << 40)


def check_accepted(data):
    """Whatever is accepted comes back, to the byte or as it looks and says; all else is refused."""
    try:
        parts = gif.take_apart(data, 10**6)
    except CodecError:
        return False
    file = whole(parts)
    if parts.exact:
        assert file == data
    else:
        again = gif.take_apart(file, 10**6)
        assert again.samples.same(parts.samples) and gif.metadata(again.rest) == gif.metadata(parts.rest)
    gif.second_opinion(data)
    return True


def test_truncated():
    data = build(SMALL, 4, colours=4, before=COMMENT + CONTROL + XMP, after=COMMENT + b";")
    ends = [end for end in range(len(data)) if check_accepted(data[:end])]
    assert ends == [len(data) - 1 - len(COMMENT), len(data) - 1]  # only the trailer is missing


@pytest.mark.parametrize(
    "name", ["extensions", "local", "odd blocks", "irregular clears", "short phrases", "full table"]
)
def test_mutated(name):
    indices, least, how = EXACT[name]
    data = build(indices, least, **how)
    rng, accepted = np.random.default_rng(7), 0
    for _ in range(120):
        changed = bytearray(data)
        for _ in range(rng.integers(1, 4)):
            changed[rng.integers(len(data))] = rng.integers(256)
        accepted += check_accepted(bytes(changed))
    assert accepted


@pytest.mark.parametrize("name", EXACT)
def test_hostile_rests(name):
    indices, least, how = EXACT[name]
    if len(indices) > 50:
        indices = indices[:20, :20]
    parts = gif.take_apart(build(indices, least, **how), MOST)
    rng = np.random.default_rng(8)
    for number in range(60):
        rest = bytearray(parts.rest)
        for _ in range(rng.integers(1, 4)):
            rest[rng.integers(min(len(rest), 80) if number % 2 else len(rest))] = rng.integers(256)
        rest = bytes(rest[: rng.integers(len(rest) + 1)] if number % 3 == 0 else rest)
        for use in (gif.metadata, gif.stripped, lambda rest: list(gif.put_together(parts.samples, rest))):
            try:
                use(rest)
            except DamagedFile:
                pass


def test_samples_that_do_not_fit_the_rest():
    rest = gif.take_apart(build(SMALL % 4, 2, colours=2), MOST).rest
    other = gif.take_apart(build(SMALL, 4, colours=4), MOST).samples
    with pytest.raises(DamagedFile, match="more than 2 bits"):
        list(gif.put_together(other, rest))
