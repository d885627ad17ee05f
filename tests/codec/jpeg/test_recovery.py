"""JPEGs found again in pixels: coefficients that make them, whatever the sampling; no picture that never was one."""

import io

import numpy as np
import pytest
from PIL import Image

from codec.jpeg.file import take_apart
from codec.jpeg.pixels import pixels, upsampled
from codec.jpeg.recovery.chroma import gathered, solved, spread
from codec.jpeg.recovery.colours import luma_given_chroma, ranges
from codec.jpeg.recovery.recover import recover
from codec.jpeg.segments import frame
from codec.modelling.lattice import CONVERSIONS
from tests.codec.jpeg.jpegs import jpeg
from tests.pictures import KINDS, noise, photograph


def rgb(y: np.ndarray, cb: np.ndarray, cr: np.ndarray) -> np.ndarray:
    c = CONVERSIONS[0]
    grey = c.luma * y.astype(np.int64) + c.rounding
    red, green = grey + c.red_cr * (cr - 128), grey + c.green_cb * (cb - 128) + c.green_cr * (cr - 128)
    return (np.stack([red, green, grey + c.blue_cb * (cb - 128)], -1) >> 16).clip(0, 255).astype(np.uint8)


def test_ranges_hold_what_made_a_pixel():
    rng = np.random.default_rng(0)
    made = rng.integers(0, 256, (3, 40, 50))
    made[:, :20] = 112 + made[:, :20] // 8
    pixels_ = rgb(*made)
    low, high, alien = ranges(pixels_)
    assert (low <= made).all() and (made <= high).all() and not alien.any()
    free = (pixels_.min(2) > 0) & (pixels_.max(2) < 255)
    assert free[:20].all() and (low == high)[:, free].all()
    least, most = luma_given_chroma(pixels_, made[1], made[2])
    assert (least <= made[0]).all() and (made[0] <= most).all() and (least == most)[free].all()
    assert ranges(noise(30, 30).transpose(1, 2, 0))[2].mean() > 0.6


@pytest.mark.parametrize("times", [(1, 1), (2, 1), (1, 2), (2, 2)], ids=str)
def test_spreading_is_libjpegs_but_for_rounding(times):
    across, down = times
    of, rng = frame(13 * across, 9 * down, [(1, across, down, 0), (2, 1, 1, 0), (3, 1, 1, 0)]), np.random.default_rng(1)
    samples = rng.integers(0, 256, (9, 13))
    shape = of.height, of.width
    assert abs(spread(samples.astype(float), times, shape) - upsampled(samples, of, 1)).max() <= 0.5
    values = rng.normal(size=shape)
    there = (spread(samples.astype(float), times, shape) * values).sum()
    assert there == pytest.approx((samples * gathered(values, times, samples.shape)).sum())
    found = solved(upsampled(samples, of, 1), np.ones(shape, bool), np.full(samples.shape, 128.0), times)
    assert abs(found - samples).max() < 6 and abs(found - samples).mean() < 0.6


def decoded(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("quality", [60, 85, 95])
def test_coefficients_are_found_again(quality, subsampling):
    planes = (40 + photograph(96, 144, 2) * 0.7).astype(np.uint8)
    data = jpeg(planes, quality=quality, subsampling=subsampling)
    found, truth = recover(decoded(data)), take_apart(data)
    assert found.frame.sampling == truth.frame.sampling and found.offset == (0, 0)
    assert all((ours == theirs).all() for ours, theirs in zip(found.steps, truth.steps))
    assert found.exact.mean() > (0.99 if quality < 95 else 0.95)
    made = pixels(found.frame, found.steps, found.coefficients)
    np.testing.assert_array_equal((made == decoded(data)).all(2), found.exact)


def test_a_part_of_a_picture_has_its_grid():
    data = jpeg((40 + photograph(120, 160, 4) * 0.7).astype(np.uint8), quality=80, subsampling=0)
    found = recover(np.ascontiguousarray(decoded(data)[3:, 5:]))
    assert found.offset == (3, 5) and found.exact.mean() > 0.97


def test_an_altered_corner_costs_itself():
    data = jpeg((40 + photograph(96, 144, 2) * 0.7).astype(np.uint8), quality=85, subsampling=2)
    altered = decoded(data).copy()
    altered[:20, :30] = noise(20, 30).transpose(1, 2, 0)
    found = recover(altered)
    assert found.exact[32:, 48:].mean() > 0.99 and found.exact[:20, :30].mean() < 0.2


@pytest.mark.parametrize("kind", KINDS)
def test_what_never_was_a_jpeg_is_not_found(kind):
    for size in ((1, 1), (7, 9), (64, 80)):
        assert recover(np.ascontiguousarray(KINDS[kind](*size).transpose(1, 2, 0))) is None
