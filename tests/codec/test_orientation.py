"""Which way round a picture is coded: found by a probe, the same on any number of threads, and worth it."""
import numpy as np
import pytest

from codec import container, orientation
from codec.codec import compress, decompress
from codec.images import Image
from codec.orientation import best_variant, squares, usual_variant
from runtime.variants import orient, unorient
from tests.pictures import constant, lines, noise, photograph


def streaks(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Rows that begin with a value of their own and fade: known from the left, a surprise from the right."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(0, 40, (3, height, 1)) * np.exp(-np.arange(width) / 30) + rng.normal(0, 0.5, (3, height, width))
    return (128 + rows.cumsum(2) / 6).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("variant", range(8))
def test_a_picture_turned_round_is_turned_back(variant):
    """The best variant of a turned picture is the one that undoes the turn."""
    picture = streaks(40, 70)
    best = orient(picture, best_variant(picture))
    turned = np.ascontiguousarray(unorient(picture, variant))
    found = orient(turned, best_variant(turned))
    assert found.shape == best.shape and np.array_equal(found, best)


@pytest.mark.parametrize("size, variant", [
    ((9, 20), 0), ((20, 9), 4), ((9, 9), 0), ((1, 1), 0), ((1, 7), 0), ((7, 1), 4)])
def test_where_nothing_is_to_gain_the_longer_side_lies_across(size, variant):
    assert best_variant(constant(*size)) == variant
    assert best_variant(constant(*size)[:1]) == variant


def test_pictures_whose_colours_repeat_are_not_probed(monkeypatch):
    monkeypatch.setattr(orientation, "squares", None)       # would fail
    assert best_variant(lines(30, 50)) == 0 and best_variant(lines(50, 30)) == 4


@pytest.mark.parametrize("size, count", [
    ((640, 1024), 1), ((10, 50000), 1), ((641, 1024), 6), ((255, 2600), 3), ((9000, 100), 3), ((800, 900), 9)])
def test_squares_lie_inside_and_apart(size, count):
    places = np.arange(size[0] * size[1]).reshape(1, *size)
    found = squares(places)
    assert len(found) == count
    assert len(np.unique(np.concatenate([part.ravel() for part in found]))) == sum(part.size for part in found)


def test_threads_change_nothing():
    for make in (photograph, noise, streaks):
        picture = make(60, 90)
        assert best_variant(picture, 1) == best_variant(picture, 3)


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_the_file_says_the_variant_and_comes_back(tiny_model, mode):
    planes = streaks(40, 50, 2)[: 3 if mode == "RGB" else 1]
    image = Image(np.ascontiguousarray(planes.transpose(1, 2, 0)), mode)
    sizes = {}
    for variant in range(8):
        data = compress(image, tiny_model, effort=9, order=f"wavefront:{variant}").data
        assert container.unpack(data).header.variant == variant
        np.testing.assert_array_equal(decompress(data, tiny_model).pixels, image.pixels)
        sizes[variant] = len(data)
    data = compress(image, tiny_model, effort=9).data
    variant = container.unpack(data).header.variant
    assert variant == best_variant(planes) and len(data) == sizes[variant] < np.mean(list(sizes.values()))
    for effort in (1, 5):
        data = compress(image, tiny_model, effort=effort).data
        assert container.unpack(data).header.variant == usual_variant(planes) == 0
