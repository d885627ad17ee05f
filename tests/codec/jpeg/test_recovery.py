"""JPEGs found again in pixels: coefficients that make them, whatever the sampling; no picture that never was one."""

import io

import numpy as np
import pytest
from PIL import Image

from codec.jpeg.file import take_apart
from codec.jpeg.likely import standard_steps
from codec.jpeg.origin import SAMPLINGS, frame_of
from codec.jpeg.pixels import pixels, upsampled
from codec.jpeg.recovery import recover as recover_
from codec.jpeg.recovery.blocks import in_blocks, rounded, transformed
from codec.jpeg.recovery.colours import luma_given_chroma, ranges
from codec.jpeg.recovery.interpolation import filled, gathered, solved, spread
from codec.jpeg.recovery.recover import Recovered, recover
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


def test_ranges_of_clipped_pixels_are_narrow():
    for made in ((0, 128, 128), (255, 128, 128), (76, 85, 250), (150, 40, 120), (40, 230, 90)):
        colour = rgb(*np.array(made).reshape(3, 1, 1))
        low, high, _ = ranges(colour)
        cb, cr = np.indices((256, 256))
        makes = [np.argwhere((rgb(np.full_like(cb, y), cb, cr) == colour).all(-1)) for y in range(256)]
        triples = np.array([(y, *pair) for y in range(256) for pair in makes[y]])
        assert (abs(low[:, 0, 0] - triples.min(0)) <= 1).all() and (abs(high[:, 0, 0] - triples.max(0)) <= 1).all()


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


@pytest.mark.parametrize("times", SAMPLINGS, ids=str)
def test_plain_spreading_repeats(times):
    samples = np.random.default_rng(2).integers(0, 256, (9, 13))
    of = frame_of(13 * times[0], 9 * times[1], times)
    made = upsampled(samples, of, 1, False)
    np.testing.assert_array_equal(made, samples.repeat(times[1], 0).repeat(times[0], 1))
    np.testing.assert_array_equal(spread(samples, times, made.shape, False), made)


def test_what_is_unknown_is_filled_from_around():
    values, known = np.arange(35.0).reshape(5, 7), np.ones((5, 7), bool)
    known[1:4, 2:5] = False
    found = filled(values, known)
    np.testing.assert_array_equal(found[known], values[known])
    assert abs(found - values).max() < 17
    assert (filled(values, np.zeros_like(known)) == 128).all()


def decoded(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def picture(height: int, width: int, seed: int = 2) -> np.ndarray:
    """Planes of a photograph that reaches neither 0 nor 255, with colour that varies."""
    planes, (r, c) = photograph(height, width, seed).astype(float), np.mgrid[:height, :width]
    planes[0] += 30 * np.sin(0.21 * r + 0.13 * c)
    planes[2] += 30 * np.sin(0.17 * r - 0.19 * c)
    return (40 + planes.clip(0, 255) * 0.7).astype(np.uint8)


def through_jpeg(
    planes: np.ndarray, sampling: tuple[int, int], steps: tuple[np.ndarray, ...], smooth: bool
) -> np.ndarray:
    """Planes coded and decoded again, uint8 [H, W, 3]."""
    red, green, blue = planes.astype(float)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    of = frame_of(planes.shape[2], planes.shape[1], sampling)
    coefficients = []
    for plane, component, step in zip(
        (luma, 128 + 0.564 * (blue - luma), 128 + 0.713 * (red - luma)), of.components, steps
    ):
        times = sampling[0] // component.horizontal, sampling[1] // component.vertical
        rows, columns = 8 * component.rows * times[1], 8 * component.stride * times[0]
        whole = np.pad(plane, ((0, rows - plane.shape[0]), (0, columns - plane.shape[1])), "edge")
        samples = whole.reshape(8 * component.rows, times[1], 8 * component.stride, times[0]).mean((1, 3))
        coefficients.append(rounded(transformed(in_blocks(samples)), step))
    return pixels(of, steps, np.concatenate(coefficients), smooth)


def steps_of(quality: int) -> tuple[np.ndarray, ...]:
    """libjpeg's steps of Y, Cb and Cr."""
    luma, chroma = standard_steps(quality, False), standard_steps(quality, True)
    return luma, chroma, chroma


def check(found: Recovered, picture: np.ndarray) -> None:
    """What is said to be exact is so."""
    row, column = found.offset
    made = pixels(found.frame, found.steps, found.coefficients, found.smooth)[row:, column:]
    np.testing.assert_array_equal((made == picture).all(2), found.exact)


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("quality", [60, 85, 95])
def test_coefficients_are_found_again(quality, subsampling):
    planes = (40 + photograph(96, 144, 2) * 0.7).astype(np.uint8)
    data = jpeg(planes, quality=quality, subsampling=subsampling)
    found, truth = recover(decoded(data)), take_apart(data)
    assert found.frame.sampling == truth.frame.sampling and found.offset == (0, 0) and found.quality == quality
    assert all((ours == theirs).all() for ours, theirs in zip(found.steps, truth.steps))
    assert found.exact.mean() > (0.999 if quality < 95 else 0.99)
    check(found, decoded(data))


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=str)
@pytest.mark.parametrize("offset", [(3, 5), (9, 14), (15, 8)], ids=str)
def test_a_part_of_a_picture_has_its_grid(offset, sampling):
    whole = through_jpeg(picture(168, 232), sampling, steps_of(80), True)
    part = np.ascontiguousarray(whole[offset[0] : -3, offset[1] : -9])
    found = recover(part)
    halved = sampling[1] == 2, sampling[0] == 2
    assert found.offset == tuple(at % 16 if both else at % 8 for at, both in zip(offset, halved))
    assert found.frame.sampling == sampling and found.quality == 80 and found.exact.mean() > 0.93
    check(found, part)


@pytest.mark.parametrize("sampling", [*SAMPLINGS, None], ids=str)
def test_a_large_picture_is_solved_in_bands(sampling, monkeypatch):
    """As it is in one piece, wherever its first row lies; also where only one of the bands was a JPEG."""
    planes = picture(264, 136)
    if sampling is None:
        data = jpeg(planes[:1], "L", quality=85)
        whole = np.asarray(Image.open(io.BytesIO(data)))[..., None]
    else:
        whole = through_jpeg(planes, sampling, steps_of(85), True)
    for first in (0, 13):
        part = np.ascontiguousarray(whole[first:])
        alone = recover(part)
        monkeypatch.setattr(recover_, "_MOST", 136 * 64)
        found = recover(part)
        monkeypatch.undo()
        check(found, part)
        assert found.offset == alone.offset and found.frame == alone.frame and found.quality == 85
        assert found.exact.mean() > alone.exact.mean() - 0.005 > 0.96
        parts = (found.coefficients != alone.coefficients).any(1).mean(), len(found.coefficients)
        assert parts[0] < 0.02, parts
    foreign = whole.copy()
    foreign[96:] = noise(168, 136)[: whole.shape[2]].transpose(1, 2, 0)
    monkeypatch.setattr(recover_, "_MOST", 136 * 64)
    found = recover(foreign)
    assert found.exact[:80].mean() > 0.97 and found.quality == 85
    assert recover(np.ascontiguousarray(noise(264, 136).transpose(1, 2, 0))) is None


@pytest.mark.parametrize("sampling", SAMPLINGS[1:], ids=str)
def test_chroma_that_was_repeated(sampling):
    whole = through_jpeg(picture(96, 144), sampling, steps_of(85), False)
    found = recover(whole)
    assert not found.smooth and found.frame.sampling == sampling and found.quality == 85 and found.exact.mean() > 0.99
    check(found, whole)


@pytest.mark.parametrize("subsampling", [0, 2])
def test_tables_that_are_not_libjpegs(subsampling):
    u, v = np.mgrid[:8, :8]
    luma, chroma = (np.minimum(5 + (u + v) * 3 // 2, 17) + u % 2).ravel(), (np.minimum(7 + 2 * (u + v), 20)).ravel()
    data = jpeg(picture(160, 208), qtables=[luma.tolist(), chroma.tolist()], subsampling=subsampling)
    found = recover(decoded(data))
    theirs = take_apart(data).steps
    assert found.quality == 0 and found.exact.mean() > 0.99
    there = abs(take_apart(data).coefficients).sum(0) > 40
    assert (found.steps[0] == theirs[0])[there].mean() > 0.9
    check(found, decoded(data))


def test_qualities_of_luma_and_chroma_may_differ():
    steps = steps_of(70)[0], *steps_of(90)[1:]
    whole = through_jpeg(picture(96, 144), (2, 2), steps, True)
    found = recover(whole)
    assert found.quality == 0 and found.exact.mean() > 0.99
    assert (found.steps[0] == steps[0]).all() and (found.steps[1] == steps[1]).mean() > 0.9


@pytest.mark.parametrize("quality", [40, 75, 92])
def test_grey(quality):
    data = jpeg(picture(96, 144)[:1], "L", quality=quality)
    grey = np.asarray(Image.open(io.BytesIO(data)))[..., None]
    for picture_ in (grey, grey.repeat(3, 2)):
        found = recover(picture_)
        assert len(found.frame.components) == len(found.steps) == 1 and found.quality == quality and found.exact.all()
        check(found, picture_)
    part = np.ascontiguousarray(grey[3:, 6:])
    found = recover(part)
    assert found.offset == (3, 6) and found.exact.mean() > 0.9
    check(found, part)


def test_pixels_that_were_held_within_their_range():
    planes = (128 + 3 * (photograph(96, 144, 1).astype(float) - 114)).clip(0, 255).astype(np.uint8)
    for subsampling in (0, 2):
        whole = decoded(jpeg(planes, quality=80, subsampling=subsampling))
        assert ((whole == 0) | (whole == 255)).any(2).mean() > 0.2
        assert recover(whole).exact.mean() > 0.8
    grey = decoded(jpeg(planes[:1], "L", quality=80))
    assert recover(grey).exact.mean() > 0.99


@pytest.mark.parametrize("subsampling", [0, 2])
def test_an_altered_corner_costs_itself(subsampling):
    whole = decoded(jpeg(picture(96, 144), quality=85, subsampling=subsampling)).copy()
    for foreign in (noise(20, 30).transpose(1, 2, 0), np.array([250, 30, 60], np.uint8)):
        whole[:20, :30] = foreign
        found = recover(whole)
        assert found.exact[48:, 48:].mean() > 0.99 and found.exact[:20, :30].mean() < 0.2
        check(found, whole)


@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_sizes_that_are_no_multiples_of_blocks(subsampling):
    whole = decoded(jpeg(picture(75, 101), quality=85, subsampling=subsampling))
    found = recover(whole)
    assert found.quality == 85 and found.exact.mean() > 0.95
    check(found, whole)


@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_half_of_a_picture_is_another(subsampling):
    whole = decoded(jpeg(picture(160, 240), quality=85, subsampling=subsampling)).copy()
    whole[:, :120] = photograph(160, 120, 9).transpose(1, 2, 0)
    found = recover(whole)
    assert found.quality == 85 and found.exact[:, 144:].mean() > 0.99 and found.exact[:, :112].mean() < 0.5
    check(found, whole)


@pytest.mark.parametrize("kind", KINDS)
def test_what_never_was_a_jpeg_is_not_found(kind):
    for size in ((1, 1), (7, 9), (15, 90), (64, 80)):
        planes = KINDS[kind](*size)
        assert recover(np.ascontiguousarray(planes.transpose(1, 2, 0))) is None
        assert recover(np.ascontiguousarray(planes[0][..., None])) is None


@pytest.mark.parametrize("seed", range(40))
def test_whatever_the_picture_is_what_is_found_fits_it(seed, monkeypatch):
    """Small ones of any size and kind, through a JPEG or not, cut, painted over, in bands or whole."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 150, 2).tolist()
    kinds = [
        photograph(height, width, seed),
        noise(height, width),
        picture(height, width),
        photograph(height, width) // 64 * 85,
    ]
    planes = kinds[seed % 4]
    if seed % 5:
        options = {"quality": int(rng.integers(1, 101)), "subsampling": int(rng.integers(0, 3))}
        image = Image.open(io.BytesIO(jpeg(planes, "L" if seed % 3 == 0 else "RGB", **options)))
        planes = np.asarray(image).reshape(height, width, -1).transpose(2, 0, 1)
    planes = planes[:, rng.integers(0, min(height, 20)) :, rng.integers(0, min(width, 20)) :].copy()
    planes[:, : rng.integers(0, 9), : rng.integers(0, 9)] = rng.integers(0, 256)
    monkeypatch.setattr(recover_, "_MOST", int(rng.choice([1 << 19, 1 << 11])))
    pixels_ = np.ascontiguousarray(planes.transpose(1, 2, 0))
    found = recover(pixels_)
    if found is not None:
        check(found, pixels_)
        assert max(found.offset) < 16 and all((1 <= steps).all() and (steps <= 255).all() for steps in found.steps)
        rows, columns = (side + at for side, at in zip(pixels_.shape, found.offset))
        assert (found.frame.height, found.frame.width) == (rows, columns)
