"""Altered crops: what each kind does, and that the seed decides all."""

import numpy as np
import pytest

from lmconv.data.alteration import altered


@pytest.fixture(scope="module")
def crops():
    rng = np.random.default_rng(0)
    field = rng.normal(0, 1, (16, 3, 48, 48)).cumsum(2).cumsum(3) / 24
    return (128 + 20 * field).clip(20, 230).astype(np.uint8)


def roughness(crops):
    return np.abs(np.diff(crops.astype(int), axis=-1)).mean((1, 2, 3))


def test_they_are_drawn_from_the_seed_and_the_number_alone(crops):
    made = altered(crops)
    assert made.dtype == np.uint8 and made.shape == crops.shape
    np.testing.assert_array_equal(made[:6], altered(crops[:6]))
    assert (altered(crops, seed=2) != made).mean() > 0.5
    assert ((made != crops).mean((1, 2, 3)) > 0.1).all()


def test_enlarged_ones_are_softer_and_noisy_ones_rougher(crops):
    before, after = roughness(crops), roughness(altered(crops))
    assert (after[0::4] < before[0::4]).all()
    assert (after[2::4] > before[2::4]).all()


def test_other_light_keeps_the_picture(crops):
    for before, after in zip(crops[3::4], altered(crops)[3::4]):
        for plane in range(3):
            assert np.corrcoef(before[plane].ravel(), after[plane].ravel())[0, 1] > 0.95
