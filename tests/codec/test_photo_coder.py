"""Tiles through a photo network: one loop in both directions by every method, and the methods that are tried."""

from dataclasses import replace

import numpy as np
import pytest

from codec.compression import compress
from codec.entropy.range_coder import Decoder, Encoder
from codec.errors import DamagedFile, UnknownOrder
from codec.format.method import INDEXED, METHODS, InOrder, Learning, Method
from codec.images.samples import Samples
from codec.models import EFFORTS
from codec.tile_coders import AUTO, How, tile_coder
from codec.tile_coders.orientation import repetition
from tests.codec.modelling.test_lattice import from_video
from tests.pictures import constant, lines, noise, photograph, screen

WAYS = [method for method in METHODS.values() if isinstance(method, Method) and not method.reconstruction]
FAST, QUICKLY, FULLY = Method(learning=Learning.NONE), Method(), Method(learning=Learning.FULL, tables=True)
LEARNED = {"fast": FAST, "normal": QUICKLY, "best": FULLY}
WITHOUT = Method(network=False, colours=True)


def encoded(model, planes: np.ndarray, method: Method) -> Encoder:
    encoder = Encoder()
    tile_coder(model).code(encoder, planes.copy(), method, How(model.threads, lambda pixels: None))
    return encoder


def decoded(model, payload: bytes, pixels: np.ndarray, method: Method) -> np.ndarray:
    """Over pixels that are there already."""
    tile_coder(model).code(Decoder(payload), pixels, method, How(model.threads, lambda pixels: None))
    return pixels


@pytest.mark.parametrize("method", WAYS, ids=str)
@pytest.mark.parametrize("channels", [1, 3], ids=["grey", "colour"])
def test_one_loop_serves_both_directions(tiny_model, channels, method):
    """On one thread and two; and a decoder does not look at the pixels that it is to fill."""
    for planes in (photograph(14, 17)[:channels], screen(14, 17)[:channels], noise(1, 9)[:channels]):
        encoder = encoded(tiny_model, planes, method)
        payload, bits = encoder.finish(), encoder.bits
        assert bits - 16 < 8 * len(payload) <= 1.001 * bits + 8  # by luck it ends in zeros
        assert encoded(replace(tiny_model, threads=2), planes, method).finish() == payload
        for threads, pixels in ((1, np.zeros_like(planes)), (2, 255 - planes)):
            found = decoded(replace(tiny_model, threads=threads), payload, pixels, method)
            np.testing.assert_array_equal(found, planes)


@pytest.mark.parametrize("method", WAYS, ids=str)
def test_the_encoder_leaves_the_pixels_as_they_are(tiny_model, method):
    planes = screen(9, 12)
    before = planes.copy()
    tile_coder(tiny_model).code(Encoder(), planes, method, How(1, lambda pixels: None))
    np.testing.assert_array_equal(planes, before)


@pytest.mark.parametrize("method", [FAST, QUICKLY, FULLY], ids=str)
def test_grey_is_colour_whose_other_planes_are_copies(tiny_model, method):
    """The same predictions and parameters, and not a decision for the copies."""
    plane = photograph(9, 12)[:1]
    colour, grey = (encoded(tiny_model, planes, method) for planes in (np.repeat(plane, 3, 0), plane))
    assert len(grey.finish()) < len(colour.finish()) and 0 < grey.bits < colour.bits


def test_every_pixel_is_reported(tiny_model):
    for threads in (1, 2):
        counts = []
        tile_coder(tiny_model).code(Encoder(), photograph(11, 13), QUICKLY, How(threads, counts.append))
        assert sum(counts) == 143 and len(counts) == 13 + 2 * 10


def test_methods_and_orders_that_there_are_not(tiny_model):
    coder = tile_coder(tiny_model)
    with pytest.raises(DamagedFile, match="coded by order 0, which a photo model has not"):
        coder.code(Encoder(), photograph(2, 2), InOrder(0), How(1, lambda pixels: None))
    assert coder.variant(photograph(2, 3), "fast", "wavefront") == 0
    for order in ("raster", "wavefront:8", "wavefront:"):
        with pytest.raises(UnknownOrder, match=f"no order '{order}', but wavefront:0, .*, wavefront:7"):
            coder.variant(photograph(2, 3), "fast", order)


def candidates(model, tile: np.ndarray, effort: str) -> list[Method]:
    return tile_coder(model).candidates(tile, effort, AUTO)


def exact(effort: str) -> list[Method]:
    """What is tried where colours repeat: without the network, with it where something is learned."""
    learning = LEARNED[effort].learning
    ways = [(False, learning or Learning.QUICK), (True, learning)]
    return [Method(network, how, colours=True, tables=True) for network, how in ways if how]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("effort", EFFORTS)
def test_a_photograph_has_one_method(tiny_model, effort, channels):
    tile = (photograph if channels == 3 else noise)(129, 128)[:channels]
    assert candidates(tiny_model, tile, effort) == [LEARNED[effort]]


def test_a_picture_from_ycbcr_has_its_lattice(tiny_model):
    tile = from_video(3, 160, 200)
    assert candidates(tiny_model, tile, "fast") == [FAST]
    assert candidates(tiny_model, tile, "normal") == [Method(lattice=3)]
    assert candidates(tiny_model, tile, "best") == [Method(learning=Learning.FULL, tables=True, lattice=3)]


@pytest.mark.parametrize("effort", EFFORTS)
def test_what_is_tiny_may_not_be_worth_learning(tiny_model, effort):
    for tile in (noise(1, 1), photograph(20, 30), photograph(128, 128)):
        assert candidates(tiny_model, tile, effort) == ([FAST] if effort == "fast" else [LEARNED[effort], FAST])


@pytest.mark.parametrize("effort", EFFORTS)
def test_a_flat_screen_has_exact_colours_with_and_without_a_network_and_a_palette(tiny_model, effort):
    for tile in (constant(40, 50), lines(200, 200)[:1]):
        assert repetition(tile) >= 0.6
        assert candidates(tiny_model, tile, effort) == [*exact(effort), INDEXED]


@pytest.mark.parametrize("effort", EFFORTS)
def test_what_repeats_a_little_is_tried_both_ways(tiny_model, effort):
    tile = noise(200, 300)
    tile[:, :, :150] = 7
    assert 0.4 < repetition(tile) < 0.6
    first, *others = candidates(tiny_model, tile, effort)
    assert (replace(first, tables=effort == "best"), others) == (LEARNED[effort], exact(effort))


@pytest.mark.parametrize("effort", ["fast", "normal"])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (17, 30)])
def test_a_small_tile_at_once_as_level_by_level(tiny_model, monkeypatch, size, effort):
    """An encoder may ask the network for all of a tile at once; a decoder cannot."""
    from codec.tile_coders import photo

    samples = Samples.of(np.ascontiguousarray(photograph(*size).transpose(1, 2, 0)))
    at_once = compress(samples, tiny_model, effort=effort).data
    monkeypatch.setattr(photo, "_AT_ONCE", 0)
    assert compress(samples, tiny_model, effort=effort).data == at_once
