"""Which way round a picture is coded: found by a probe, the same on any number of threads, and worth it."""

import numpy as np
import pytest

from codec import compress, decompress
from codec.format import container
from codec.images.samples import Samples
from codec.tile_coders.orientation import REPEATING, best_variant, repetition, squares, usual_variant
from runtime.variants import orient, unorient
from tests.pictures import constant, noise, photograph


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


@pytest.mark.parametrize(
    ("size", "variant"), [((9, 20), 0), ((20, 9), 4), ((9, 9), 0), ((1, 1), 0), ((1, 7), 0), ((7, 1), 4)]
)
def test_where_nothing_is_to_gain_the_longer_side_lies_across(size, variant):
    assert best_variant(constant(*size)) == variant
    assert best_variant(constant(*size)[:1]) == variant


@pytest.mark.parametrize("variant", range(8))
def test_pictures_whose_colours_repeat_lie_as_usual(variant):
    """However much else a probe would find."""
    turned = np.ascontiguousarray(unorient(streaks(20, 70).repeat(2, 1), variant))
    assert repetition(turned) >= REPEATING
    assert best_variant(turned) == usual_variant(turned)


@pytest.mark.parametrize(
    ("size", "count"),
    [((384, 384), 1), ((10, 14000), 1), ((385, 384), 4), ((191, 2600), 2), ((9000, 100), 2), ((800, 900), 4)],
)
def test_squares_lie_inside_and_apart(size, count):
    places = np.arange(size[0] * size[1]).reshape(1, *size)
    found = squares(places)
    assert len(found) == count
    assert len(np.unique(np.concatenate([part.ravel() for part in found]))) == sum(part.size for part in found)


def test_threads_change_nothing():
    for make in (photograph, noise, streaks):
        picture = make(60, 90)
        assert best_variant(picture, 1) == best_variant(picture, 3)


@pytest.mark.parametrize("channels", [3, 1])
def test_the_file_says_the_variant_and_comes_back(tiny_model, channels):
    planes = streaks(40, 50, 2)[:channels]
    image = Samples.of(np.ascontiguousarray(planes.transpose(1, 2, 0)))
    sizes = {}
    for variant in range(8):
        data = compress(image, tiny_model, order=f"wavefront:{variant}").data
        assert container.read(data).picture.header.variant == variant
        assert image.difference(decompress(data, tiny_model)) is None
        sizes[variant] = len(data)
    data = compress(image, tiny_model, effort="best").data
    variant = container.read(data).picture.header.variant
    assert variant == best_variant(planes) and sizes[variant] < np.mean(list(sizes.values()))
    assert len(data) < sizes[variant]  # by what best effort mixes more
    for effort in ("fast", "normal"):
        data = compress(image, tiny_model, effort=effort).data
        assert container.read(data).picture.header.variant == usual_variant(planes) == 0


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (6, 9)], ids=str)
@pytest.mark.parametrize("channels", [1, 3])
def test_repetition_is_the_share_of_pixels_like_a_neighbour(size, channels):
    tile = np.random.default_rng(3).integers(0, 2, (channels, *size), dtype=np.uint8)
    colours = [[tuple(tile[:, r, c]) for c in range(size[1])] for r in range(size[0])]
    same = [
        (c > 0 and colours[r][c - 1] == colours[r][c]) or (r > 0 and colours[r - 1][c] == colours[r][c])
        for r in range(size[0])
        for c in range(size[1])
    ]
    assert repetition(tile) == pytest.approx(sum(same) / len(same))
