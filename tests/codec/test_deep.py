"""Tiles of 9 to 16 bits: one loop in both directions, the reference's integers, and payloads that nobody wrote."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec.entropy.range_coder import Decoder, Encoder
from codec.errors import DamagedFile
from codec.tile_coders import parts
from codec.tile_coders.deep import code_deep
from tests.reference import range_coder
from tests.reference.deep import DeepTile


def light(shape: tuple[int, int, int]) -> np.ndarray:
    """Of a scene with shapes and an edge, 0 to 1."""
    y, x = np.mgrid[: shape[1], : shape[2]] / 16
    found = 0.4 + 0.25 * np.sin(2 * x + y) + 0.15 * (y > 0.5 * x + 0.3)
    return np.stack([found * share for share in (1, 0.8, 0.6)[: shape[0]]])


def photograph(shape: tuple[int, int, int], depth: int) -> np.ndarray:
    """A scene with noise that grows with light."""
    picture = light(shape)
    picture += np.random.default_rng(0).normal(size=shape) * 0.02 * np.sqrt(picture)
    return np.clip(np.rint(picture * (2**depth - 1)), 0, 2**depth - 1).astype(np.uint16)


def checked(shape: tuple[int, int, int], depth: int) -> np.ndarray:
    """As hard as it gets: black beside white."""
    return (np.indices(shape).sum(0) % 2 * (2**depth - 1)).astype(np.uint16)


def noise(shape: tuple[int, int, int], depth: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 2**depth, shape, np.uint16)


def constant(shape: tuple[int, int, int], depth: int) -> np.ndarray:
    return np.full(shape, 2**depth - 1, np.uint16)


def smooth(shape: tuple[int, int, int], depth: int) -> np.ndarray:
    """Without any noise."""
    return (np.indices(shape).sum(0) * 37 % 2**depth).astype(np.uint16)


def encoded(planes: np.ndarray, depth: int, threads: int = 1) -> bytes:
    encoder = Encoder()
    code_deep(encoder, planes, depth, threads, lambda pixels: None)
    return encoder.finish()


def decoded(payload: bytes, planes: np.ndarray, depth: int, threads: int = 1) -> np.ndarray:
    """Over values that are there already."""
    code_deep(Decoder(payload), planes, depth, threads, lambda pixels: None)
    return planes


PICTURES = [photograph, checked, noise, constant, smooth]


@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize("depth", [9, 12, 16])
@pytest.mark.parametrize("shape", [(1, 14, 17), (3, 14, 17), (3, 1, 9), (1, 9, 1), (3, 1, 1)], ids=str)
def test_one_loop_serves_both_directions(picture, depth, shape):
    """And a decoder does not look at the values that it is to fill."""
    planes = picture(shape, depth)
    before = planes.copy()
    payload = encoded(planes, depth)
    np.testing.assert_array_equal(planes, before)
    np.testing.assert_array_equal(decoded(payload, np.zeros_like(planes), depth), planes)
    np.testing.assert_array_equal(decoded(payload, 2**depth - 1 - planes, depth), planes)


@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize("planes", [1, 3], ids=["grey", "colour"])
def test_two_threads_code_the_same(monkeypatch, picture, planes):
    """With parts of eight rows, so that a small tile has some."""
    monkeypatch.setattr(parts, "_SHORTEST", 8)
    tile = picture((planes, 45, 40), 16)
    payload = encoded(tile, 16)
    assert encoded(tile, 16, threads=2) == payload
    np.testing.assert_array_equal(decoded(payload, np.zeros_like(tile), 16, threads=2), tile)


@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize(("shape", "depth"), [((1, 10, 11), 16), ((3, 9, 12), 12), ((3, 2, 1), 9)])
def test_the_reference_decodes_it(picture, shape, depth):
    planes = picture(shape, depth)
    decoder = range_coder.Decoder(encoded(planes, depth))
    np.testing.assert_array_equal(DeepTile(shape, depth).decoded(decoder), planes)
    assert not decoder.failed


@given(payload=st.binary(max_size=400), depth=st.integers(9, 16), planes=st.sampled_from([1, 3]))
@settings(max_examples=60, deadline=None)
def test_any_payload_decodes_to_values_in_range(payload, depth, planes):
    """Or is refused; nothing else."""
    tile = np.zeros((planes, 8, 13), np.uint16)
    try:
        decoded(payload.rstrip(b"\0"), tile, depth)
    except DamagedFile:
        pass
    assert tile.max() < 2**depth


def test_every_pixel_is_reported():
    for threads in (1, 2):
        counts = []
        code_deep(Encoder(), photograph((3, 11, 13), 12), 12, threads, counts.append)
        assert sum(counts) == 143


def test_noise_costs_little_more_than_it_must():
    """Of noise nothing can be foretold but how strong it is."""
    tile = np.rint(30000 + np.random.default_rng(2).normal(size=(3, 64, 64)) * 100).astype(np.uint16)
    least = np.log2(100 * np.sqrt(2 * np.pi * np.e))
    assert least < 8 * len(encoded(tile, 16)) / tile.size < 1.04 * least


def test_noise_that_grows_with_light_is_known_from_what_is_seen():
    shape = (3, 64, 64)
    deviation = 0.02 * np.sqrt(light(shape)) * 2**14
    least = np.log2(deviation * np.sqrt(2 * np.pi * np.e)).mean()
    assert least < 8 * len(encoded(photograph(shape, 14), 14)) / deviation.size < 1.06 * least
