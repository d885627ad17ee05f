"""PNG: whatever is done to a file or to a rest, the answer is an error of this room's or a picture, and soon."""

import random
import zlib

import numpy as np
import pytest

from codec.errors import CodecError, DamagedFile, UnreadableImage
from codec.images import png
from codec.images.png import kept
from codec.images.png.pieces import Split
from codec.images.samples import Samples
from tests.codec.images.test_png import (
    AFTER,
    BEFORE,
    MANY,
    SIGNATURE,
    VARIANTS,
    chunk,
    cut,
    file,
    header,
    packed,
    values,
)

PICTURES = {
    "rgb": file(values("rgb", 8), "rgb", 8, before=BEFORE, after=AFTER, lengths=[50, 100]),
    "interlaced palette": file(values("palette", 4), "palette", 4, True, padding="1") + b"more",
    "grey of 16 bits": file(values("grey", 16), "grey", 16, filters=lambda row: 4),
    "stored": file(values("grey", 8), "grey", 8, pack=lambda lines: packed(lines, 0)),
}


@pytest.mark.parametrize("name", PICTURES)
def test_cut_anywhere(name):
    data = PICTURES[name].removesuffix(b"more")
    for end in range(8, len(data)):
        with pytest.raises(UnreadableImage):
            png.take_apart(data[:end], MANY)


def mutations(data: bytes, count: int, seed: int) -> list[bytes]:
    choose, mutated = random.Random(seed), []
    for _ in range(count):
        changed = bytearray(data)
        for _ in range(choose.randint(1, 3)):
            at = choose.randrange(len(changed))
            match choose.randrange(4):
                case 0:
                    changed[at] ^= 1 << choose.randrange(8)
                case 1:
                    changed[at] = choose.choice([0, 1, 127, 128, 255])
                case 2:
                    del changed[at : at + choose.randint(1, 4)]
                case 3:
                    changed[at:at] = choose.randbytes(choose.randint(1, 4))
        mutated.append(bytes(changed))
    return mutated


def with_right_crcs(data: bytes) -> bytes:
    """The chunks as far as they can be made out, their CRCs as they should be."""
    chunks, at = [], 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        chunks.append(chunk(data[at + 4 : at + 8], data[at + 8 : min(at + 8 + length, len(data) - 4)]))
        at += 12 + length
    return data[:8] + b"".join(chunks)


@pytest.mark.parametrize("repaired", [False, True])
@pytest.mark.parametrize("name", PICTURES)
def test_changed_anywhere(name, repaired):
    read = 0
    for data in mutations(PICTURES[name], 200, seed=len(name)):
        changed = with_right_crcs(data) if repaired else data
        try:
            parts = png.take_apart(changed, 10**6)
        except CodecError:
            continue
        read += 1
        again = b"".join(png.put_together(parts.samples, parts.rest))
        assert again == changed if parts.exact else png.take_apart(again, 10**6).samples.same(parts.samples)
    assert not repaired or read


@pytest.mark.parametrize("name", PICTURES)
def test_rests_that_were_changed(name):
    parts = png.take_apart(PICTURES[name], MANY)
    refused = 0
    for rest in mutations(parts.rest, 300, seed=7):
        for act in (png.metadata, png.stripped, lambda rest: b"".join(png.put_together(parts.samples, rest))):
            try:
                made = act(rest)
            except DamagedFile:
                refused += 1
            else:
                assert not isinstance(made, bytes) or len(made) < 3 * len(PICTURES[name]) + 1000
    assert refused


def test_rests_that_are_cut():
    parts = png.take_apart(PICTURES["rgb"], MANY)
    end = parts.rest.index(chunk(b"zzZz", b"")[4:8]) + 6  # what follows is data after the end
    for length in range(end):
        with pytest.raises(DamagedFile):
            png.stripped(parts.rest[:length])


RGB = Samples(values("rgb", 8), 8, "rgb")
EXACT = kept.read(png.take_apart(PICTURES["rgb"], MANY).rest).exact
STORED = kept.read(png.take_apart(PICTURES["stored"], MANY).rest).exact.packing
EVERY_ROW = b"\0" * 11


@pytest.mark.parametrize(
    "rest",
    [
        b"",
        b"\x03\x01\x00",
        b"\x10\x01\x00",
        b"\x00\x00",
        b"\x00\x01\x01\x00",
        b"\x00\x01",
        b"\x00\x01\xfe\x00",
        b"\x01\x64\xbf\x00\x00\x01\x00",  # memory 10
        b"\x01\x0a\xbf\x00\x00\x01\x00",  # level 0
        b"\x01\x06\xb8\x00\x00\x01\x00",  # window 8
        b"\x01\x06\xbf\x00\x09\x01\x00",  # filters 9
        b"\x01\x06\xbf\x00\x08\x0a" + EVERY_ROW[:-1] + b"\x01\x00",
        b"\x01\x06\xbf\x00\x08\x0b" + EVERY_ROW[:-1] + b"\x05\x01\x00",
        b"\x08\x0a" + EVERY_ROW[:-1] + b"\x01\x00",
        kept.Rest(exact=kept.Exact(STORED, Split(), EXACT.choice)).coded[:2] + b"\x01\x01\x05\x00\x00\x01\x00",
        kept.Rest(exact=kept.Exact(STORED, Split(), EXACT.choice)).coded[:2] + b"\x01\x02\x05\xff\x7f\x00\x00\x01\x00",
    ],
)
def test_rests_that_say_nothing(rest):
    with pytest.raises(DamagedFile):
        b"".join(png.put_together(RGB, rest))


@pytest.mark.parametrize("kind, depth", [("grey", 3), ("rgb", 5), ("cmyk", 8), ("grey", 12), ("palette", 8)])
def test_samples_that_are_not_of_a_png(kind, depth):
    palette = np.zeros((2, 3), np.uint8) if kind == "palette" else None  # but none in the rest
    samples = Samples(values(kind, depth), depth, kind, palette)
    with pytest.raises(DamagedFile):
        png.put_together(samples, png.compose(RGB))


@pytest.mark.parametrize(("kind", "depth"), VARIANTS)
def test_rests_of_other_pictures_fit_or_are_damaged(kind, depth):
    """A rest is not bound to its samples; whatever is made of others is a file, or it is refused."""
    palette = np.zeros((2, 3), np.uint8) if kind == "palette" else None
    samples = Samples(values(kind, depth, 5, 7), depth, kind, palette)
    made = 0
    for name in PICTURES:
        try:
            made += len(b"".join(png.put_together(samples, png.take_apart(PICTURES[name], MANY).rest)))
        except DamagedFile:
            continue
    assert made or kind == "palette"


def test_many_empty_chunks_take_little_time_and_room():
    stream = packed(bytes(2))
    data = SIGNATURE + header(1, 1, 8, 0) + chunk(b"IDAT", b"") * 20_000 + cut(stream, []) + chunk(b"IEND", b"")
    parts = png.take_apart(data, MANY)
    assert parts.samples.values.tolist() == [[[0]]]
    assert b"".join(png.put_together(parts.samples, parts.rest)) == data or not parts.exact


def test_a_bomb_of_image_data_is_stopped():
    """The stream goes on for 100 MB beyond a picture of a pixel."""
    packer = zlib.compressobj(9)
    stream = packer.compress(bytes(2)) + b"".join(packer.compress(bytes(10**6)) for _ in range(100)) + packer.flush()
    data = SIGNATURE + header(1, 1, 8, 0) + chunk(b"IDAT", stream) + chunk(b"IEND", b"")
    with pytest.raises(UnreadableImage, match="more image data"):
        png.take_apart(data, MANY)
