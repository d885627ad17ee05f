"""PNG: the way that image data was packed is found again, whatever it was within zlib, or none is claimed."""

import itertools
import random
import zlib
from array import array

import numpy as np
import pytest

from codec.format.numbers import Reader
from codec.images import png
from codec.images.png import deflate, kept, reading, writing
from codec.images.png.pieces import Pieces, Split, found_split, gathered, read_split
from codec.images.png.symbols import DYNAMIC, FIXED, MOST_SYMBOLS, STORED, Block, first_block
from codec.images.samples import Samples
from tests.codec.images.test_png import (
    END,
    HEAD,
    LINES,
    MANY,
    RGB,
    SIGNATURE,
    assert_exact,
    assert_same_but_packed_otherwise,
    chunk,
    cut,
    header,
    packed,
    scanlines,
    two_flushes,
)


def texture(height: int, width: int) -> np.ndarray:
    """Grey [H, W, 1] of short words of six letters that come again, on which zlib's levels differ."""
    choose = random.Random(5)
    words = [bytes(choose.choices(range(6), k=3 + word % 9)) for word in range(400)]
    data = b"".join(choose.choices(words, k=height * width // 6))
    return np.frombuffer(data[: height * width], np.uint8).reshape(height, width, 1)


def unfiltered(picture: np.ndarray) -> bytes:
    """The scanlines of grey samples as they are."""
    return b"".join(bytes(1) + row.tobytes() for row in picture)


PICTURE = texture(100, 300)
PACKED = unfiltered(PICTURE)
LARGE = np.random.default_rng(2).integers(0, 60, (150, 300, 1), np.uint8)  # several blocks of zlib's


def grey(picture: np.ndarray, chunks: bytes) -> bytes:
    return SIGNATURE + header(picture.shape[1], picture.shape[0], 8, 0) + chunks + END


@pytest.mark.parametrize("memory", [8, 9])
@pytest.mark.parametrize("strategy", [zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED])
@pytest.mark.parametrize("level", range(1, 10))
def test_every_level(level, strategy, memory):
    stream = packed(PACKED, level, memory, strategy)
    parts = assert_exact(grey(PICTURE, chunk(b"IDAT", stream)), PICTURE, "grey", 8)
    assert len(parts.rest) == 7


@pytest.mark.parametrize("memory", [8, 9])
@pytest.mark.parametrize("strategy", [zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED])
@pytest.mark.parametrize("level", [1, 6])
def test_several_blocks(level, strategy, memory):
    stream = packed(unfiltered(LARGE), level, memory, strategy)
    assert not first_block(stream[2:]).last
    assert_exact(grey(LARGE, chunk(b"IDAT", stream)), LARGE, "grey", 8)


def test_the_levels_differ_on_this_picture():
    assert len({packed(PACKED, level)[2:] for level in range(1, 10)}) >= 7


@pytest.mark.parametrize("strategy", [zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FIXED])
@pytest.mark.parametrize("level", [1, 6, 9])
@pytest.mark.parametrize("runs", [False, True])
def test_every_other_strategy(strategy, level, runs):
    picture = np.repeat(PICTURE[:, :100], 3, axis=1) if runs else PICTURE
    lines = unfiltered(picture)
    assert_exact(grey(picture, chunk(b"IDAT", packed(lines, level, 9, strategy))), picture, "grey", 8)


@pytest.mark.parametrize("window", range(9, 15))
def test_every_window(window):
    assert_exact(grey(PICTURE, chunk(b"IDAT", packed(PACKED, 6, 8, 0, window))), PICTURE, "grey", 8)


@pytest.mark.parametrize("first", [0x08, 0x18, 0x28, 0x58])
def test_headers_of_libpng_say_smaller_windows(first):
    """Written after zlib's work, where the scanlines are that small."""
    stream = packed(LINES, 6)
    head = bytes([first, 0x80 + 31 - (first << 8 | 0x80) % 31])
    assert_exact(HEAD + chunk(b"IDAT", head + stream[2:]) + END, RGB, "rgb", 8)


def stored(lines: bytes, lengths: list[int], last: bool = True) -> bytes:
    """A stream of stored blocks of these lengths."""
    blocks, at = [], 0
    for number, length in enumerate(lengths):
        final = last and number == len(lengths) - 1
        sizes = length.to_bytes(2, "little") + (length ^ 65535).to_bytes(2, "little")
        blocks.append(bytes([final]) + sizes + lines[at : at + length])
        at += length
    return b"\x78\x01" + b"".join(blocks) + zlib.adler32(lines).to_bytes(4, "big")


SIZE = len(LINES)


@pytest.mark.parametrize(
    ("lengths", "most"),
    [([SIZE], 7), ([200, 200, SIZE - 400], 8), ([40] * (SIZE // 40), 20), ([SIZE, 0], 11), ([1, 0, 2, SIZE - 3], 13)],
)
def test_stored_blocks(lengths, most):
    assert sum(lengths) == SIZE
    parts = assert_exact(HEAD + chunk(b"IDAT", stored(LINES, lengths)) + END, RGB, "rgb", 8)
    assert len(parts.rest) <= most


def test_stored_blocks_of_zlib():
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 256, (300, 400, 1), np.uint8)
    lines = unfiltered(noise)
    for level in (0, 1, 6):
        assert_exact(grey(noise, cut(packed(lines, level), [8192] * 14)), noise, "grey", 8)


def test_stored_blocks_among_others():
    noise = np.random.default_rng(1).integers(0, 256, (100, 300, 1), np.uint8)
    picture = np.concatenate([noise, PICTURE])
    lines = unfiltered(picture)
    for level in (1, 6, 9):
        assert_exact(grey(picture, chunk(b"IDAT", packed(lines, level))), picture, "grey", 8)


TOTAL = len(packed(LINES))


@pytest.mark.parametrize(
    "lengths",
    [
        [TOTAL],
        [1] * TOTAL,
        [100] * (TOTAL // 100) + [TOTAL % 100],
        [0, TOTAL],
        [TOTAL, 0],
        [0, 5, 0, 0, TOTAL - 5],
        [3, 60, TOTAL - 63],
        [2, TOTAL - 2],
    ],
)
def test_the_cut_into_chunks(lengths):
    stream = packed(LINES)
    chunks = b"".join(
        chunk(b"IDAT", stream[end - length : end]) for length, end in zip(lengths, itertools.accumulate(lengths))
    )
    assert_exact(HEAD + chunks + END, RGB, "rgb", 8)


def test_a_cut_that_would_cost_much_is_not_kept():
    lengths = random.Random(1).choices(range(1, 17), k=1000)
    stream = packed(PACKED)
    assert sum(lengths) < len(stream)
    parts = assert_same_but_packed_otherwise(grey(PICTURE, cut(stream, lengths)), PICTURE)
    assert len(parts.rest) == 3


def test_what_is_not_of_zlib_is_not_claimed():
    assert_same_but_packed_otherwise(HEAD + chunk(b"IDAT", two_flushes(LINES)) + END, RGB)


def test_a_change_in_the_last_byte_is_not_overlooked():
    """An encoder that ends like zlib but for the bits after the last symbol, which nobody reads."""
    stream = bytearray(zlib.compress(b"\0" + b"\7" * 13)[:-4])
    for bit in (0x80, 0x40, 0x20):
        other = bytes(stream[:-1]) + bytes([stream[-1] ^ bit]) + zlib.adler32(b"\0" + b"\7" * 13).to_bytes(4, "big")
        try:
            assert zlib.decompress(other) == b"\0" + b"\7" * 13
        except zlib.error:
            continue
        data = SIGNATURE + header(13, 1, 8, 0) + chunk(b"IDAT", other) + END
        assert not png.take_apart(data, MANY).exact
        return
    raise AssertionError("no bit is free")


def test_a_block_that_is_none_of_zlibs_is_not_tried(monkeypatch):
    """It is longer than zlib's are."""
    noise = np.random.default_rng(1).integers(0, 256, (100, 350, 1), np.uint8)
    lines = unfiltered(noise)
    stream = b"\x78\x9c" + packed_in_one_block(lines) + zlib.adler32(lines).to_bytes(4, "big")
    assert first_block(stream[2:]).symbols == MOST_SYMBOLS
    tried = []
    monkeypatch.setattr(zlib, "compressobj", lambda *settings: tried.append(settings))
    assert not png.take_apart(grey(noise, chunk(b"IDAT", stream)), MANY).exact
    assert tried == []


def packed_in_one_block(data: bytes) -> bytes:
    """Literals of deflate's fixed codes alone, without zlib's two bytes."""
    bits = "110" + "".join(f"{0x30 + byte:08b}" if byte < 144 else f"{0x190 + byte - 144:09b}" for byte in data)
    bits += "0" * 7
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[i : i + 8][::-1], 2) for i in range(0, len(bits), 8))


@pytest.mark.parametrize(
    ("data", "settings", "block"),
    [
        (b"abc", (9, 8, 0), Block(FIXED, True, 3, 0, True)),
        (b"abcdefgh" * 3, (9, 8, 0), Block(FIXED, True, 10, 10, False)),
        (b"a" * 9, (9, 8, 0), Block(FIXED, True, 3, 7, True)),
        (bytes(range(256)), (0, 8, 0), Block(STORED, True)),
        (LARGE.tobytes(), (6, 8, 0), Block(DYNAMIC, False, 2**14 - 1, 3, False)),
        (LARGE.tobytes(), (6, 9, 2), Block(DYNAMIC, False, 2**15 - 1, 0, True)),
        (LARGE.tobytes(), (6, 8, 1), Block(DYNAMIC, False, 2**14 - 1, 0, True)),
    ],
)
def test_first_blocks(data, settings, block):
    found = first_block(packed(data, *settings)[2:])
    assert (found.type, found.last, found.symbols, found.shortest) == (
        *(block.type, block.last, block.symbols, block.shortest),
    )
    assert found.shortest == 0 or found.runs == block.runs


@pytest.mark.parametrize("lengths", [[5], [4, 4, 2], [4, 4], [4, 5], [4, 0], [0], [0, 0], [1, 1, 1], [3, 4, 3]])
def test_splits(lengths):
    split = found_split(array("Q", lengths))
    again = read_split(Reader(split.coded))
    assert again == split
    if lengths != [0]:
        assert list(again.lengths(sum(lengths))) == lengths


def test_pieces_are_cut_anew():
    pieces = Pieces(iter([b"ab", b"", b"cdefg", b""]))
    assert [pieces.take(n) for n in (1, 2, 0, 3)] == [b"a", b"bc", b"", b"def"]
    assert not pieces.ended
    assert (pieces.take(9), pieces.ended) == (b"g", True)
    assert list(gathered(iter([b"a", b"b"]))) == [b"ab"]


@pytest.mark.parametrize("split", [Split(), Split(50_000), Split(100)])
def test_chunks_that_are_too_long_to_hold(monkeypatch, split):
    """Their length is found by making them twice, and what comes out is the same."""
    samples = Samples(PICTURE, 8, "grey")
    exact = kept.read(png.take_apart(grey(PICTURE, chunk(b"IDAT", packed(PACKED))), MANY).rest).exact
    rest = kept.Rest(exact=kept.Exact(exact.packing, split, exact.choice)).coded
    whole = b"".join(png.put_together(samples, rest))
    monkeypatch.setattr(writing, "_BUFFER", 1000)
    assert b"".join(png.put_together(samples, rest)) == whole
    assert png.take_apart(whole, MANY).exact


def test_large_pictures_come_in_pieces():
    """Scanlines of more than a block each way, image data of more than one chunk."""
    noise = np.random.default_rng(1).integers(0, 256, (600, 1000, 3), np.uint8)
    samples = Samples(noise, 8, "rgb")
    pieces = list(png.put_together(samples, png.compose(samples)))
    assert len(pieces) >= 2 and max(map(len, pieces)) < 2**21 + 100
    again = png.take_apart(b"".join(pieces), MANY)
    assert again.samples.same(samples) and again.exact


def test_it_is_given_up_in_time(monkeypatch):
    """Where the beginning is the same and the end is not, so many whole files are made at most."""
    made = []
    monkeypatch.setattr(reading, "_TRIED", 0)
    wrong = deflate.Zlib(deflate.Head(7, 2), 6, 0, 8, 15)
    monkeypatch.setattr(deflate, "likely", lambda *_: [wrong] * 20)
    real = reading.put_together
    monkeypatch.setattr(reading, "put_together", lambda *given: made.append(1) or real(*given))
    data = grey(PICTURE, chunk(b"IDAT", two_flushes(PACKED)))
    assert not png.take_apart(data, MANY).exact
    assert len(made) == 3


def test_interlaced_of_many_filters():
    picture = texture(33, 47)
    lines = scanlines(picture, 8, True, lambda row: row * 7 % 5)
    data = SIGNATURE + header(47, 33, 8, 0, 1) + cut(packed(lines, 9), [500]) + END
    assert_exact(data, picture, "grey", 8)
