import lzma
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from codec.errors import CodecError, DamagedFile
from codec.format import alpha
from codec.format.container import Tile

planes = arrays.arrays(np.uint8, arrays.array_shapes(min_dims=2, max_dims=2, max_side=20))


@given(planes)
def test_a_plane_comes_back(plane):
    coded = alpha.encode(plane)
    decoded = alpha.decode(coded, *plane.shape)
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, plane)


@given(planes)
def test_the_differences_are_those_to_the_left(plane):
    """The plain way: left neighbour, in the first column the pixel above, before everything 0."""
    differences = bytearray()
    for row in range(plane.shape[0]):
        for col in range(plane.shape[1]):
            before = plane[row, col - 1] if col else plane[row - 1, 0] if row else 0
            differences.append((int(plane[row, col]) - int(before)) % 256)
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 2**20}]
    coded = alpha.encode(plane)
    assert coded[0] == 0
    assert lzma.decompress(coded[1:], lzma.FORMAT_RAW, filters=filters) == bytes(differences)


def test_an_opaque_plane_costs_little():
    assert len(alpha.encode(np.full((512, 768), 255, np.uint8))) < 150


def test_golden_bytes_decode():
    coded = bytes.fromhex("00 01 0003 ff010207 00")  # LZMA; one uncompressed LZMA2 chunk of 4 bytes, then the end
    assert alpha.decode(coded, 2, 2).tolist() == [[255, 0], [1, 8]]


def test_a_noise_plane_costs_little_more_than_itself():
    noise = np.random.default_rng(0).integers(0, 256, (300, 500), dtype=np.uint8)
    coded = alpha.encode(noise)
    assert len(coded) < noise.size + 100
    np.testing.assert_array_equal(alpha.decode(coded, 300, 500), noise)


@pytest.mark.parametrize("shape", [(3, 4), (5, 4), (4, 3), (4, 5), (1, 1), (2**14, 2**14)])
def test_only_exactly_the_plane_s_values_are_taken(shape):
    coded = alpha.encode(np.arange(16, dtype=np.uint8).reshape(4, 4))
    with pytest.raises(DamagedFile, match=f"does not hold {shape[0] * shape[1]} values"):
        alpha.decode(coded, *shape)


def test_every_truncation_is_noticed_and_so_are_trailing_bytes():
    coded = alpha.encode(np.random.default_rng(1).integers(0, 4, (16, 16), dtype=np.uint8))
    for length in range(len(coded)):
        with pytest.raises(DamagedFile):
            alpha.decode(coded[:length], 16, 16)
    with pytest.raises(DamagedFile):
        alpha.decode(coded + b"\0", 16, 16)


@given(st.binary(max_size=100))
def test_garbage_raises_nothing_but_codec_errors(payload):
    try:
        decoded = alpha.decode(payload, 4, 4)
    except CodecError:
        return
    assert decoded.shape == (4, 4)
    assert payload[0] == 0


tiles = st.builds(Tile, st.binary(max_size=30), st.integers(0, 2**32 - 1), st.sampled_from([0, 2, 29, 64]))


@given(st.lists(tiles, min_size=1, max_size=5))
def test_tiles_come_back(stored):
    coded = alpha.pack(stored)
    assert alpha.unpack(coded, len(stored)) == tuple(stored)
    assert len(coded) == 6 * len(stored) + sum(len(tile.payload) for tile in stored)  # one for the kind
    longer = replace(stored[-1], payload=stored[-1].payload + b"\0")
    assert alpha.unpack(coded + b"\0", len(stored)) == (*stored[:-1], longer)
    for damaged in (coded[: 6 * len(stored) - 1], coded[:1] + b"\x09" + coded[2:]):
        with pytest.raises(DamagedFile, match="does not fit|end within|asks for|method 9"):
            alpha.unpack(damaged, len(stored))


def test_a_tile_s_length_is_held_against_the_payload():
    coded = alpha.pack([Tile(b"one", 1), Tile(b"two", 2)])
    assert coded[6] == 3
    for length in (7, 100):
        with pytest.raises(DamagedFile, match=f"asks for {length} bytes of 6 that follow it"):
            alpha.unpack(coded[:6] + bytes([length]) + coded[7:], 2)


def test_tiles_and_lzma_are_told_apart():
    coded = alpha.encode(np.zeros((4, 4), np.uint8))
    assert alpha.unpack(coded, 1) is None and alpha.unpack(b"", 1) is None
    with pytest.raises(DamagedFile, match="in a way that does not exist"):
        alpha.decode(alpha.pack([Tile(b"", 0)]), 4, 4)


@given(st.binary(max_size=60), st.integers(1, 3))
def test_garbage_is_no_index(payload, count):
    try:
        found = alpha.unpack(b"\1" + payload, count)
    except DamagedFile:
        return
    assert alpha.pack(found) == b"\1" + payload
