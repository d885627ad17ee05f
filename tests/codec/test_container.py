"""The container: what goes in comes out, and no damaged byte goes unnoticed."""

import io
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.errors import CodecError, DamagedFile, ImageTooLarge, KeepsAFile, NotAnLmcFile, UnknownVersion
from codec.format import container
from codec.format.container import Header, Tile
from codec.format.method import METHODS

MODEL_ID = bytes(range(6))
SMALL = Header(width=9, height=300, mode="RGBA", model_id=MODEL_ID, variant=6, tile=256)
SMALL_TILES = (Tile(b"first", 0x11223344, method=3), Tile(b"", 0xFFFFFFFF, method=18))
GOLDEN = bytes.fromhex(
    "894c4d 00 5a 000102030405 09 ac02"  # header: magic, version, mode + 4 variant + 32 shift, model, sides
    "03 44332211 05"  # first tile: method, CRC-32 of its pixels, length
    "12 ffffffff 00"  # second tile
    "6669727374 616263"  # payloads; the alpha plane's is the rest
    "2d3c51ee"  # checksum of all above
)


def varint(value: int) -> bytes:
    groups = [value >> shift & 0x7F for shift in range(0, max(value.bit_length(), 1), 7)]
    return bytes(group | 0x80 for group in groups[:-1]) + bytes(groups[-1:])


def summed(data: bytes) -> bytes:
    return data + struct.pack("<I", zlib.crc32(data))


def file_bytes(magic=b"\x89LM", version=0, mode=1, shift=7, width=2, height=2, index=None, method=0, body=b"xy"):
    """A file of one tile, packed here by hand with a right checksum, so that any field can be made wrong.

    width and height may be bytes; index those of a whole index.
    """
    sides = b"".join(side if isinstance(side, bytes) else varint(side) for side in (width, height))
    head = magic + bytes([version, mode + 32 * shift]) + MODEL_ID + sides
    return summed(head + (struct.pack("<BI", method, 7) if index is None else index) + body)


@st.composite
def files(draw):
    mode = draw(st.sampled_from(list(container.MODES)))
    header = Header(
        width=draw(st.integers(1, 40) | st.integers(1, 300)),
        height=draw(st.integers(1, 40)),
        mode=mode,
        model_id=draw(st.binary(min_size=6, max_size=6).filter(any)),
        variant=draw(st.integers(0, 7)),
        tile=draw(st.sampled_from(container.TILES)),
    )
    payload = st.binary(max_size=30) | st.just(bytes(200))
    source = draw(st.none() | st.binary(max_size=300))
    codes = [code for code in sorted(METHODS) if source is not None or not METHODS[code].reconstruction]
    tile = st.builds(Tile, payload, st.integers(0, 2**32 - 1), st.sampled_from(codes))
    tiles = draw(st.lists(tile, min_size=header.tile_count, max_size=header.tile_count))
    return header, tuple(tiles), draw(st.binary(max_size=30)) if mode == "RGBA" else None, source


@given(files())
def test_what_is_packed_is_unpacked(file):
    header, tiles, _, source = file
    data = container.pack(*file)
    parsed = container.unpack(data)
    assert (parsed.header, parsed.tiles, parsed.alpha, parsed.source) == file
    assert container.read(io.BytesIO(data)) == container.unpack(data)
    assert container.describe(io.BytesIO(data)) == (header, parsed.methods, source)
    assert parsed.methods == [METHODS[tile.method] for tile in tiles]


@given(files(), st.binary(min_size=1, max_size=3))
def test_trailing_bytes_are_refused(file, surplus):
    data = container.pack(*file) + surplus
    with pytest.raises(DamagedFile, match="or followed by"):
        container.unpack(data)
    with pytest.raises(DamagedFile, match="or followed by"):
        container.read(io.BytesIO(data))


@given(st.binary(max_size=200))
def test_other_bytes_raise_nothing_but_codec_errors(data):
    for start in (b"", b"\x89LM", b"\x89LM\0"):
        with pytest.raises(CodecError):
            container.unpack(start + data)
        with pytest.raises(CodecError):
            container.describe(io.BytesIO(start + data))


@given(st.binary(max_size=80), st.binary(max_size=60))
def test_other_bytes_under_a_right_checksum_are_read_as_they_were_packed(data, more):
    """A second file is never read as the first: whatever is accepted is what `pack` would write."""
    for start in (b"\x89LM\0", GOLDEN[:14], GOLDEN[:11] + b"\x09\x09"):
        forged = summed(start + data + more)
        try:
            parsed = container.unpack(forged)
        except CodecError:
            continue
        assert container.pack(parsed.header, parsed.tiles, parsed.alpha, parsed.source) == forged


def test_golden_bytes():
    assert container.pack(SMALL, SMALL_TILES, b"abc") == GOLDEN
    parsed = container.unpack(GOLDEN)
    assert (parsed.header, parsed.tiles, parsed.alpha) == (SMALL, SMALL_TILES, b"abc")


def test_the_example_of_the_specification_is_a_file():
    text = (Path(__file__).parents[2] / "docs" / "format.md").read_text().split("## Example")[1]
    example = bytes.fromhex("".join(re.findall(r"^ {4}((?:[0-9a-f]{2} )+)", text, re.MULTILINE)))
    parsed = container.unpack(example)
    assert parsed.header == SMALL and [tile.payload for tile in parsed.tiles] == [b"first", b""]
    assert parsed.alpha == b"abc" and container.pack(parsed.header, parsed.tiles, parsed.alpha) == example
    assert "methods {} and {}".format(*(tile.method for tile in parsed.tiles)) in text


@pytest.mark.parametrize(("width", "height", "size"), [(1, 1, 22), (32, 32, 22), (127, 128, 23), (768, 512, 24)])
def test_what_a_picture_of_one_tile_costs(width, height, size):
    assert len(container.pack(Header(width, height, "RGB", MODEL_ID), [Tile(b"", 0)])) == size


def test_every_flipped_byte_is_noticed():
    for position in range(len(GOLDEN)):
        for change in (0x01, 0x80, 0xFF):
            data = bytearray(GOLDEN)
            data[position] ^= change
            with pytest.raises(CodecError):
                container.unpack(bytes(data))
            with pytest.raises(CodecError):
                container.read(io.BytesIO(data))


def test_every_truncation_is_noticed():
    for length in range(len(GOLDEN)):
        with pytest.raises(CodecError):
            container.unpack(GOLDEN[:length])
        with pytest.raises(CodecError):
            container.describe(io.BytesIO(GOLDEN[:length]))


def test_every_length_in_the_index_is_checked_against_the_file():
    """With right checksums, as an attacker would write them."""
    two = struct.pack("<BI", 0, 7), struct.pack("<BI", 1, 8)
    for length in (0, 1, 2):
        data = file_bytes(width=16, index=two[0] + varint(length) + two[1])
        assert container.unpack(data).tiles == (Tile(b"xy"[:length], 7, 0), Tile(b"xy"[length:], 8, 1))
    for length in (3, 127, 128, 2**31, 2**32 - 1):
        data = file_bytes(width=16, index=two[0] + varint(length) + two[1])
        for read in (container.unpack, lambda data: container.read(io.BytesIO(data))):
            with pytest.raises(DamagedFile, match=f"asks for {length} bytes of 2 that follow it"):
                read(data)


def test_an_index_that_runs_into_the_checksum_is_refused():
    """Five bytes a tile are there, but not their lengths."""
    two = struct.pack("<BIBBI", 0, 7, 0, 1, 8)
    assert len(container.unpack(file_bytes(width=16, index=two, body=b"")).tiles) == 2
    for end in range(1, len(two)):
        with pytest.raises(DamagedFile):
            container.unpack(file_bytes(width=16, index=two[:end], body=b""))


NOT_VARINTS = [b"\x80\0", b"\x81\x80\0", b"\xff\xff\xff\xff\x10", b"\xff\xff\xff\xff\x8f\0", b"\x80" * 30]


@pytest.mark.parametrize("wrong", NOT_VARINTS, ids=bytes.hex)
def test_numbers_have_one_form(wrong):
    two = struct.pack("<BI", 0, 7) + wrong + struct.pack("<BI", 1, 8)
    for data in (file_bytes(width=wrong), file_bytes(height=wrong), file_bytes(width=16, index=two)):
        with pytest.raises(DamagedFile, match="is not written as it should be"):
            container.unpack(data)


@pytest.mark.parametrize("side", [1, 127, 128, 2**14 - 1, 2**14, 2**21 - 1, 2**21])
def test_sides_of_every_length(side):
    header = Header(side, 1, "L", MODEL_ID)
    data = container.pack(header, [Tile(b"", 0)] * header.tile_count)
    assert data[11:].startswith(varint(side) + b"\1\0\0\0\0\0")
    assert container.unpack(data).header == container.describe(io.BytesIO(data))[0] == header


@pytest.mark.parametrize("side", [2**28 - 1, 2**28, 2**32 - 1])
def test_sides_that_no_file_is_long_enough_for(side):
    with pytest.raises(DamagedFile, match=f"an index of {-(-side // 8)} tiles does not fit"):
        container.unpack(file_bytes(width=side, height=1), max_pixels=2**32)


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({"magic": b"\x89PN"}, NotAnLmcFile, r"starts with b'\\x89PN'"),
        ({"version": 1}, UnknownVersion, "version 1"),
        ({"mode": 3}, KeepsAFile, "keeps a file"),
        ({"width": 0}, DamagedFile, "width is 0"),
        ({"height": 0}, DamagedFile, "height is 0"),
        ({"width": 2**32 - 1, "height": 2**32 - 1}, ImageTooLarge, "4294967295 x 4294967295"),
        ({"width": 2**31, "height": 2**31}, ImageTooLarge, "2147483648 x 2147483648"),
        ({"width": 2**14, "height": 2**14 + 1}, ImageTooLarge, "--max-pixels"),
        ({"width": 2**14, "height": 2**14}, DamagedFile, "an index of 4194304 tiles does not fit"),
    ],
)
def test_headers_that_lie_are_refused(fields, error, words):
    with pytest.raises(error, match=words):
        container.unpack(file_bytes(**fields))


@pytest.mark.parametrize("method", [6, 7, 8, 17 + 8, 30, 31, 33, 48, 63, 128, 255])
def test_a_method_that_does_not_exist_is_refused(method):
    data = file_bytes(method=method)
    for read in (container.unpack, lambda data: container.read(io.BytesIO(data))):
        with pytest.raises(DamagedFile, match=f"a tile is coded by method {method}, which does not exist"):
            read(data)
    with pytest.raises(ValueError, match=f"method is {method}, not one of 0, 1, 2, 3, 4, 5, 10"):
        Tile(b"", 0, method)


@pytest.mark.parametrize("method", [0, 5, 13, 29, 64, 127])
def test_every_method_is_one_byte_of_the_index(method):
    parsed = container.unpack(file_bytes(method=method))
    assert parsed.tiles[0].method == method
    assert container.pack(parsed.header, parsed.tiles)[13] == method


def test_the_bound_on_pixels_is_the_caller_s():
    data = file_bytes(width=2, height=3)
    assert container.unpack(data, max_pixels=6).header.height == 3
    with pytest.raises(ImageTooLarge, match="2 x 3 pixels, more than 5"):
        container.unpack(data, max_pixels=5)


def test_a_huge_claim_is_refused_even_without_a_bound():
    with pytest.raises(DamagedFile, match="does not fit"):
        container.describe(io.BytesIO(file_bytes(width=2**31, height=2**31)))


def test_a_text_file_is_named_as_such():
    with pytest.raises(NotAnLmcFile, match="starts with b'Dea'"):
        container.unpack(b"Dear sir or madam")
    with pytest.raises(NotAnLmcFile):
        container.unpack(b"")


def test_a_file_of_another_version_is_named_whatever_follows():
    """Another version may have another checksum."""
    with pytest.raises(UnknownVersion, match="version 67; this program reads version 0"):
        container.unpack(b"\x89LMC")


@pytest.mark.parametrize("length", [3, 4, 12, 13])
def test_a_file_shorter_than_any_says_so(length):
    with pytest.raises(DamagedFile, match=f"ends after {length} bytes"):
        container.unpack(file_bytes(body=b"")[:length])


def test_the_checksum_is_said_to_be_wrong_before_all_else():
    data = bytearray(file_bytes(width=2**31, height=2**31, mode=3))
    data[-1] ^= 1
    for read in (container.unpack, lambda data: container.read(io.BytesIO(data))):
        with pytest.raises(DamagedFile, match="the checksum at the file's end is not that of its bytes"):
            read(bytes(data))


def test_a_large_file_is_checked_in_chunks():
    """Nothing is kept before, and a change anywhere is noticed."""
    data = bytearray(container.pack(Header(32, 32, "RGB", MODEL_ID), [Tile(b"\1" * 300_000, 5)]))

    class Stream(io.BytesIO):
        longest = 0

        def read(self, size=-1):
            found = super().read(size)
            Stream.longest = max(Stream.longest, len(found))
            return found

    header, methods, _ = container.describe(Stream(data))
    assert header.width == 32 and methods == [METHODS[0]]
    assert Stream.longest == 2**16
    for position in (2**16 - 1, 2**16, 2**17 + 5, len(data) - 5):
        data[position] ^= 4
        with pytest.raises(DamagedFile, match="checksum"):
            container.describe(Stream(data))
        data[position] ^= 4


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"width": 0}, "width is 0"),
        ({"height": 2**32}, "height is 4294967296"),
        ({"mode": "CMYK"}, "'CMYK'"),
        ({"model_id": bytes(32)}, "32 bytes instead of 6"),
        ({"tile": 0}, "tile is 0, not one of 1024, 512, 256, 128, 64, 32, 16, 8"),
        ({"tile": 1000}, "tile is 1000"),
        ({"variant": -1}, "variant is -1"),
    ],
)
def test_headers_check_what_the_program_puts_in(fields, words):
    with pytest.raises(ValueError, match=words):
        Header(**{"width": 1, "height": 1, "mode": "L", "model_id": MODEL_ID} | fields)


def test_pack_wants_payloads_that_fit_the_header():
    header = Header(9, 1, "L", MODEL_ID, tile=8)
    with pytest.raises(ValueError, match="1 payloads for an image of 2 tiles"):
        container.pack(header, [Tile(b"", 0)])
    with pytest.raises(ValueError, match="alpha is given"):
        container.pack(header, [Tile(b"", 0)] * 2, b"")
    with pytest.raises(ValueError, match="alpha is missing"):
        container.pack(SMALL, SMALL_TILES)


def test_boxes_are_the_layout_s():
    assert [(box.row, box.height) for box in SMALL.boxes] == [(0, 150), (150, 150)]


def test_short_id_is_the_start_of_the_identity():
    assert container.short_id("00ff" * 16) == bytes.fromhex("00ff" * 3)


def test_pixels_crc_is_that_of_the_row_major_bytes():
    pixels = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    assert container.pixels_crc(pixels) == zlib.crc32(bytes(range(12)))
    assert container.pixels_crc(pixels[:, ::-1]) == zlib.crc32(bytes([3, 4, 5, 0, 1, 2, 9, 10, 11, 6, 7, 8]))
