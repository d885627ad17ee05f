"""Tiles of which a JPEG makes most: what is right costs next to nothing, what is not comes back all the same."""

import numpy as np
import pytest

from codec.entropy.range_coder import Decoder, Encoder
from codec.format.method import MADE, METHODS, Learning, Method
from codec.tile_coders import AUTO, How, tile_coder
from tests.pictures import constant, noise, photograph

WAYS = [method for method in METHODS.values() if getattr(method, "reconstruction", False) and method != MADE]


def nearly(planes: np.ndarray) -> np.ndarray:
    """Planes with a patch of noise and some other pixels, one in each corner."""
    found = planes.copy()
    found[:, 3:9, 5:12] = noise(6, 7)[: len(planes)]
    found[-1, 0, 0] ^= 1
    found[:, -1, -1] ^= 255
    found[0, -1, 0] ^= 128
    found[:, 0, -1] = 0
    return found


def coded(model, planes: np.ndarray, made: np.ndarray, method: Method, threads: int = 1) -> bytes:
    """The payload, which gives the planes again on one thread."""
    encoder, found = Encoder(), np.zeros_like(planes)
    tile_coder(model).code(encoder, planes.copy(), method, How(threads, lambda pixels: None, made))
    payload = encoder.finish()
    tile_coder(model).code(Decoder(payload), found, method, How(1, lambda pixels: None, made))
    np.testing.assert_array_equal(found, planes)
    return payload


@pytest.mark.parametrize("channels", [1, 3], ids=["grey", "colour"])
@pytest.mark.parametrize("method", WAYS, ids=str)
def test_it_comes_back(tiny_model, method, channels):
    planes = photograph(21, 34)[:channels]
    payload = coded(tiny_model, nearly(planes), planes, method)
    assert payload == coded(tiny_model, nearly(planes), planes, method, threads=2)
    assert coded(tiny_model, planes, planes, method) < payload
    for size in ((1, 1), (1, 9), (9, 1)):
        coded(tiny_model, noise(*size)[:channels], photograph(*size)[:channels], method)


def test_what_is_right_costs_next_to_nothing(tiny_model):
    """And what was pasted in little more than alone."""
    planes, alone = photograph(90, 120), Encoder()
    assert len(coded(tiny_model, planes, planes, Method(reconstruction=True))) < 10
    pasted = planes.copy()
    pasted[:, 40:70, 50:80] = photograph(30, 30, 4)
    tile_coder(tiny_model).code(alone, photograph(30, 30, 4), Method(), How(1, lambda pixels: None))
    assert len(coded(tiny_model, pasted, planes, Method(reconstruction=True))) < 1.2 * len(alone.finish())


@pytest.mark.parametrize("method", WAYS, ids=str)
def test_what_is_nearly_right_is_cheap(tiny_model, method):
    """Off by one here and there: log2 3 bits a subpixel, of 7 for the noise itself, and what learning takes."""
    planes = noise(90, 90) // 2 + 64
    off = (planes + np.random.default_rng(0).integers(-1, 2, planes.shape)).astype(np.uint8)
    assert 8 * len(coded(tiny_model, off, planes, method)) < 4 * planes.size


@pytest.mark.parametrize(
    ("effort", "learning"), [("fast", Learning.QUICK), ("normal", Learning.QUICK), ("best", Learning.FULL)]
)
def test_which_method_is_tried(tiny_model, effort, learning):
    """The reconstruction's alone where it makes some of a tile, else those of other tiles."""
    coder, planes = tile_coder(tiny_model), photograph(40, 40)
    (method,) = coder.candidates(nearly(planes), effort, AUTO, planes)
    assert (method.reconstruction, method.learning, method.network) == (True, learning, True)
    others = coder.candidates(planes, effort, AUTO, constant(40, 40))
    assert others == coder.candidates(planes, effort, AUTO) and not any(method.reconstruction for method in others)
