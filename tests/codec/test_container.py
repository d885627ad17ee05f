"""The container: what goes in comes out, and no damaged byte goes unnoticed."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec import container
from codec.container import Header, Tile
from codec.errors import CodecError, DamagedFile, ImageTooLarge, NotAnLmcFile, UnknownVersion
from codec.method import METHODS

MODEL_ID = bytes(range(16))
SMALL = Header(width=5, height=3, mode="RGBA", model_id=MODEL_ID, variant=6, tile=4, effort=9)
SMALL_TILES = (Tile(b"first", 0x11223344, method=2), Tile(b"", 0xFFFFFFFF, method=13))
GOLDEN = bytes.fromhex(
    "894c4d43 00 02 06 09 05000000 03000000 0400 000102030405060708090a0b0c0d0e0f"  # header
    "02 05000000 57ee7192 44332211"  # first tile: method, length, CRC-32 of b"first", CRC-32 of its pixels
    "0d 00000000 00000000 ffffffff"  # second tile
    "03000000 c2412435"  # alpha plane: length, CRC-32 of b"abc"
    "33ffca10"  # checksum of all above
    "6669727374 616263"  # payloads
)


def header_bytes(
    magic=b"\x89LMC", version=0, mode=1, variant=0, effort=1, width=2, height=2, tile=4, payload=b"xy", method=0
):
    """A file of one tile, packed here by hand with right checksums, so that any field can be made wrong."""
    head = struct.pack("<4sBBBBIIH16s", magic, version, mode, variant, effort, width, height, tile, MODEL_ID)
    head += struct.pack("<BIII", method, len(payload), zlib.crc32(payload), 7)
    return head + struct.pack("<I", zlib.crc32(head)) + payload


@st.composite
def files(draw):
    mode = draw(st.sampled_from(list(container.MODES)))
    header = Header(
        width=draw(st.integers(1, 40)),
        height=draw(st.integers(1, 40)),
        mode=mode,
        model_id=draw(st.binary(min_size=16, max_size=16)),
        variant=draw(st.integers(0, 7)),
        tile=draw(st.integers(8, 1024)),
        effort=draw(st.integers(0, 9)),
    )
    tile = st.builds(Tile, st.binary(max_size=30), st.integers(0, 2**32 - 1), st.sampled_from(sorted(METHODS)))
    tiles = draw(st.lists(tile, min_size=header.tile_count, max_size=header.tile_count))
    return header, tuple(tiles), draw(st.binary(max_size=30)) if mode == "RGBA" else None


@given(files())
def test_what_is_packed_is_unpacked(file):
    header, tiles, alpha = file
    data = container.pack(header, tiles, alpha)
    parsed = container.unpack(data)
    assert (parsed.header, parsed.tiles, parsed.alpha) == file
    assert container.peek(io.BytesIO(data)) == header
    assert container.methods(io.BytesIO(data)) == [METHODS[tile.method] for tile in tiles]


@given(files(), st.binary(min_size=1, max_size=3))
def test_trailing_bytes_are_refused(file, surplus):
    data = container.pack(*file) + surplus
    with pytest.raises(DamagedFile, match="followed by"):
        container.unpack(data)
    with pytest.raises(DamagedFile, match="followed by"):
        container.peek(io.BytesIO(data))


@given(st.binary(max_size=200))
def test_other_bytes_raise_nothing_but_codec_errors(data):
    for start in (b"", b"\x89LMC", b"\x89LMC\0\0\0\0"):
        with pytest.raises(CodecError):
            container.unpack(start + data)


def test_golden_bytes():
    assert container.pack(SMALL, SMALL_TILES, b"abc") == GOLDEN
    parsed = container.unpack(GOLDEN)
    assert (parsed.header, parsed.tiles, parsed.alpha) == (SMALL, SMALL_TILES, b"abc")


def test_a_picture_of_one_tile_costs_51_bytes():
    """Small files are allowed 64 bytes over the model's likelihood, the coder's last words included."""
    assert len(container.pack(Header(1, 1, "RGB", MODEL_ID), [Tile(b"", 0)])) == 51


def test_every_flipped_byte_is_noticed():
    for position in range(len(GOLDEN)):
        for change in (0x01, 0x80, 0xFF):
            data = bytearray(GOLDEN)
            data[position] ^= change
            with pytest.raises(CodecError):
                container.unpack(bytes(data))


def test_every_truncation_is_noticed():
    for length in range(len(GOLDEN)):
        with pytest.raises(CodecError):
            container.unpack(GOLDEN[:length])
        with pytest.raises(CodecError):
            container.peek(io.BytesIO(GOLDEN[:length]))


def test_every_length_in_the_index_is_checked_against_the_file():
    """With right checksums, as an attacker would write them."""
    data = header_bytes(payload=b"xy")
    assert container.unpack(data).tiles == (Tile(b"xy", 7),)
    for length in (0, 1, 3, 2**31, 2**32 - 1):
        head = data[:35] + struct.pack("<I", length) + data[39:47]
        with pytest.raises(DamagedFile, match="instead of"):
            container.unpack(head + struct.pack("<I", zlib.crc32(head)) + b"xy")


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({"magic": b"\x89PNG"}, NotAnLmcFile, r"starts with b'\\x89PNG'"),
        ({"version": 1}, UnknownVersion, "version 1"),
        ({"mode": 3}, DamagedFile, "mode is 'number 3'"),
        ({"variant": 8}, DamagedFile, "variant is 8"),
        ({"effort": 10}, DamagedFile, "effort is 10"),
        ({"width": 0}, DamagedFile, "width is 0"),
        ({"height": 0}, DamagedFile, "height is 0"),
        ({"tile": 0}, DamagedFile, "tile is 0"),
        ({"width": 2**31, "height": 2**31}, ImageTooLarge, "2147483648 x 2147483648"),
        ({"width": 2**14, "height": 2**14 + 1}, ImageTooLarge, "--max-pixels"),
        ({"width": 2**14, "height": 2**14, "tile": 1}, DamagedFile, "within its index"),
    ],
)
def test_headers_that_lie_are_refused(fields, error, words):
    with pytest.raises(error, match=words):
        container.unpack(header_bytes(**fields))


@pytest.mark.parametrize("method", sorted(set(range(256)) - {0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, *range(64, 128)}))
def test_a_method_that_does_not_exist_is_refused(method):
    data = header_bytes(method=method)
    for read in (container.unpack, lambda data: container.peek(io.BytesIO(data))):
        with pytest.raises(DamagedFile, match=f"a tile is coded by method {method}, which does not exist"):
            read(data)
    with pytest.raises(ValueError, match=f"method is {method}, not one of 0, 1, 2, 4"):
        Tile(b"", 0, method)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_is_one_byte_of_the_index(method):
    parsed = container.unpack(header_bytes(method=method))
    assert parsed.tiles[0].method == method and METHODS[method].code == method
    assert container.pack(parsed.header, parsed.tiles)[34] == method


def test_the_bound_on_pixels_is_the_caller_s():
    data = header_bytes(width=2, height=3)
    assert container.unpack(data, max_pixels=6).header.height == 3
    with pytest.raises(ImageTooLarge, match="2 x 3 pixels, more than 5"):
        container.unpack(data, max_pixels=5)


def test_peek_refuses_a_huge_claim_even_without_a_bound():
    with pytest.raises(DamagedFile, match="within its index"):
        container.peek(io.BytesIO(header_bytes(width=2**31, height=2**31)))


def test_a_text_file_is_named_as_such():
    with pytest.raises(NotAnLmcFile, match="starts with b'Dear'"):
        container.unpack(b"Dear sir or madam")
    with pytest.raises(NotAnLmcFile):
        container.unpack(b"")


def test_damaged_payloads_are_named():
    data = bytearray(GOLDEN)
    data[-1] ^= 1
    with pytest.raises(DamagedFile, match="the alpha plane"):
        container.unpack(bytes(data))
    data = bytearray(GOLDEN)
    data[-8] ^= 1
    with pytest.raises(DamagedFile, match="tile 1 of 2"):
        container.unpack(bytes(data))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"width": 0}, "width is 0"),
        ({"height": 2**32}, "height is 4294967296"),
        ({"mode": "CMYK"}, "'CMYK'"),
        ({"model_id": bytes(32)}, "32 bytes instead of 16"),
        ({"variant": -1}, "variant is -1"),
    ],
)
def test_headers_check_what_the_program_puts_in(fields, words):
    with pytest.raises(ValueError, match=words):
        Header(**{"width": 1, "height": 1, "mode": "L", "model_id": MODEL_ID} | fields)


def test_pack_wants_payloads_that_fit_the_header():
    header = Header(5, 1, "L", MODEL_ID, tile=4)
    with pytest.raises(ValueError, match="1 payloads for an image of 2 tiles"):
        container.pack(header, [Tile(b"", 0)])
    with pytest.raises(ValueError, match="alpha is given"):
        container.pack(header, [Tile(b"", 0)] * 2, b"")
    with pytest.raises(ValueError, match="alpha is missing"):
        container.pack(SMALL, SMALL_TILES)


def test_boxes_are_the_layout_s():
    assert [(box.col, box.width) for box in SMALL.boxes] == [(0, 3), (3, 2)]


def test_short_id_is_the_start_of_the_identity():
    assert container.short_id("00ff" * 16) == bytes.fromhex("00ff" * 8)


def test_pixels_crc_is_that_of_the_row_major_bytes():
    pixels = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    assert container.pixels_crc(pixels) == zlib.crc32(bytes(range(12)))
    assert container.pixels_crc(pixels[:, ::-1]) == zlib.crc32(bytes([3, 4, 5, 0, 1, 2, 9, 10, 11, 6, 7, 8]))
