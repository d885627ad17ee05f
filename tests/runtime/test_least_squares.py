"""The online least squares: equal to a plain reference to the last bit, causal, finite, without fused operations."""

import hashlib
import re
from dataclasses import asdict
from itertools import product

import numba
import numpy as np
import pytest
from llvmlite.binding import get_host_cpu_features

from codec.modelling.blend import FAST, SLOW, SLOW_INTERVAL
from runtime import least_squares
from runtime.kernels import kernel
from runtime.least_squares import (
    LEFT,
    RIGHT,
    TOP,
    UNIT,
    Settings,
    canvas,
    foresee,
    predict_picture,
    predictor,
    refer,
    refit,
    rows_of,
    take_over,
)
from runtime.network import BundleError
from runtime.tables import check_predictor
from tests.pictures import KINDS, constant, noise, photograph, two_values
from tests.reference import least_squares as reference

SIZES = [(1, 1), (1, 2), (2, 1), (1, 19), (19, 1), (2, 2), (3, 5), (17, 33), (35, 4)]
WAYS = {"own": (Settings(), 1), "fast": (FAST, 1), "slow": (SLOW, SLOW_INTERVAL)}
FUSED = re.compile(
    r"\bv?fn?m(?:add|sub|addsub|subadd)\d*[ps][dsh]\b"  # x86: vfmadd231ps, vfnmsub132ss, ...
    r"|\bfn?m(?:add|sub|ad|sb|la|ls)\b"  # ARM: fmadd, fnmsub, fmla; SVE: fmad, fnmls
)


@kernel
def code_level(level, pixels, canvas, predictor, bases):
    """Predicts and learns every position of a level."""
    first, end = rows_of(level, canvas.size)
    for row in range(first, end):
        for k in range(3):
            bases[k, row, level - 2 * row] = take_over(level, k, row, pixels, canvas, predictor)
    refer(level + 1, canvas)


def walked(pixels, settings, interval=1, look=lambda level, predictor: None):
    """Predictions int16 [3, H, W], and the canvas that is drawn; `look` sees the predictor at every level."""
    empty = canvas(*pixels.shape[1:])
    state, bases = predictor(empty, settings, interval), np.zeros(pixels.shape, np.int16)
    for level in range(empty.size.levels):
        for k in range(3):
            refit(level, empty.size, k, state.fits)
            foresee(level, k, empty, state)
        look(level, state)
        code_level(level, pixels, empty, state, bases)
    return bases, empty


def agree(pixels, settings, interval=1) -> None:
    """Compiled code and reference: the same predictions and, as rounding hides what differs by little, weights."""
    expected, values, fits = np.zeros(pixels.shape, int), pixels.tolist(), []
    drawn, ways = reference.Canvas(*pixels.shape[1:]), reference.Settings(**asdict(settings), interval=interval)
    told = reference.Predictor(drawn, ways)

    def look(level, state):
        rows = reference.rows_of(level, *pixels.shape[1:])
        told.refit(level)
        for k, n in enumerate(state.fits.counts):
            lanes = state.fits.weights[k].transpose(0, 2, 1).reshape(-1, state.fits.weights.shape[2])
            np.testing.assert_array_equal(lanes[rows, :n], told.fits[k].weights[rows])
        for k, r in product(range(3), rows):
            c = level - 2 * r
            drawn.x[k, r, c], expected[k, r, c] = values[k][r][c], told.predict(k, r, c)
            told.learn(k, r, c)
        fits[:] = state.fits.sums, state.fits.features

    found, _ = walked(pixels, settings, interval, look)
    np.testing.assert_array_equal(found, expected)
    assert len(fits) == 2 and all(np.isfinite(array).all() for array in fits)
    assert found.min() >= 0 and found.max() <= 255 * UNIT


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("way", WAYS)
def test_equals_the_reference(way, size):
    settings, interval = WAYS[way]
    for kind in (noise, photograph):
        agree(kind(*size), settings, interval)


@pytest.mark.parametrize("interval", [2, 3, 8])
def test_equals_the_reference_at_any_interval(interval):
    """Rows of every age between two refits, in the first block and the next."""
    for size in ((1, 9), (7, 12), (34, 3)):
        agree(photograph(*size), FAST, interval)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", WAYS)
def test_equals_the_reference_on_hostile_pictures(way, kind):
    agree(KINDS[kind](17, 5), *WAYS[way])


def test_a_pivot_that_vanishes():
    """Without a ridge, planes that say nothing: no weight is a number, and every prediction counts as black."""
    settings, seen = Settings(ridge=(0.0, 0.0, 0.0)), []
    for pixels in (constant(6, 9, 128), constant(6, 9), two_values(18, 9)):
        agree(pixels, settings)
        walked(pixels, settings, look=lambda level, state: seen.append(state.fits.weights.copy()))
        assert not np.isfinite(seen[-1]).all()
    assert (walked(constant(6, 9, 128), settings)[0] == 0).all()


def test_predictions_are_held_within_the_grey_levels():
    pixels = two_values(12, 18)  # least squares overshoots
    found = predict_picture(pixels)
    assert (found == 0).any() and (found == 255 * UNIT).any()


def test_a_known_picture_takes_the_same_walk():
    for size in SIZES:
        pixels = photograph(*size)
        found = predict_picture(pixels)
        assert found.dtype == np.int16
        np.testing.assert_array_equal(found, walked(pixels, Settings())[0])
    np.testing.assert_array_equal(predict_picture(pixels, FAST), walked(pixels, FAST)[0])


def test_flat_pictures_are_predicted_well():
    for value in (0, 77, 255):
        found = predict_picture(constant(20, 30, value))[:, 2:, 2:]
        assert (abs(found - value * UNIT) <= UNIT // 8).all()


@pytest.mark.parametrize(("k", "row", "column"), [(0, 0, 0), (0, 4, 6), (1, 5, 0), (2, 4, 12), (1, 8, 12)])
def test_nothing_is_predicted_from_the_future(k, row, column):
    pixels = photograph(9, 13)
    other = pixels.copy()
    other[k, row, column] ^= 255
    plane, rows, columns = np.nonzero(predict_picture(pixels) != predict_picture(other))
    same_pixel = (rows == row) & (columns == column)
    assert (plane[same_pixel] > k).all()
    assert (columns + 2 * rows > column + 2 * row)[~same_pixel].all()
    if (row, column) != (8, 12):
        assert (~same_pixel).any()  # the test sees changes where they may be


def test_what_stands_around_the_picture():
    pixels = noise(5, 4)
    _, drawn = walked(pixels, Settings())
    planes = drawn.pixels[:, TOP:]
    assert (drawn.pixels[:, :TOP] == 128).all() and (planes[:, 0, :LEFT] == 128).all()
    np.testing.assert_array_equal(planes[:, :, LEFT:-RIGHT], pixels)
    assert (planes[:, 1:, :LEFT] == pixels[:, :-1, :1]).all()
    assert (planes[:, :, -RIGHT:] == pixels[:, :, -1:]).all()


def test_features_are_the_references():
    for settings, _ in WAYS.values():
        for k in range(3):
            assert settings.taps(k).tolist() == [list(tap) for tap in reference.taps(settings.sizes, k)]


def test_the_fewest_and_the_most_features():
    """The planes before, at the position itself, are always among them: sizes without them are no predictor's."""
    for sizes, beyond in ((((1, 0, 0), (1, 1, 0), (1, 1, 1)), -1), (((16, 7, 7), (16, 8, 7), (16, 8, 8)), 1)):
        check_predictor(Settings(sizes))
        agree(photograph(6, 7), Settings(sizes))
        for k, i in np.ndindex(3, 3):
            other = np.array(sizes)
            other[k, i] += beyond
            with pytest.raises(BundleError, match="a size of the predictor"):
                check_predictor(Settings(tuple(map(tuple, other.tolist()))))


def integer_made(height, width):
    """A picture that no library's random numbers or functions can change."""
    k, row, column = np.ogrid[:3, :height, :width]
    texture = ((row * 37 + column * 91 + k * 53) % 64) * ((row // 9 + column // 7) % 2)
    return ((row * 3 + column * 2 + k * 20 + texture + (row * column // 5) % 11) % 256).astype(np.uint8)


def test_golden():
    """Predictions must stay what they are: files decode with them for ever."""
    digest = hashlib.sha256(predict_picture(integer_made(61, 83)).astype("<i2").tobytes()).hexdigest()
    assert digest == "80f45eae84e804e2fd828bc588a5c8c1393fab685e3109b75d2b17fb89bac61c"


def assembly(kernel, signature) -> str:
    """The machine code of a kernel and of those that it calls, compiled anew with its own options: what comes from
    the cache carries none."""
    fresh = numba.jit(**kernel.targetoptions)(kernel.py_func)
    fresh.compile(signature)
    (code,) = fresh.inspect_asm().values()
    return code


def test_compiled_code_has_no_fused_multiply_add():
    predict_picture(noise(2, 2))  # so that the signature is known
    walk = least_squares._predict_picture
    code = assembly(walk, walk.signatures[0])
    for arithmetic in ("mul", "add", "sub", "div"):  # the elimination was looked through, sixteen systems at once
        assert re.search(rf"{arithmetic}ps|f{arithmetic}\s+v", code)
    assert not FUSED.search(code)


@pytest.mark.skipif(get_host_cpu_features().get("fma") is False, reason="this processor cannot fuse")
def test_fused_multiply_add_would_be_found():
    def fusible(a, b, c):
        return a * b + c

    signature = (numba.float32,) * 3
    assert FUSED.search(assembly(numba.njit(fastmath={"contract"})(fusible), signature))
    assert not FUSED.search(assembly(numba.njit(fusible), signature))


@pytest.mark.parametrize("way", WAYS)
def test_flushing_denormals_changes_nothing(way):
    """Libraries built for speed set this processor mode; on a long flat stretch the sums decay through denormals."""
    torch = pytest.importorskip("torch")
    pixels = np.full((3, 2, 2000), 77, np.uint8)
    pixels[:, :, :100] = noise(2, 100)
    expected, _ = walked(pixels, *WAYS[way])
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor has no such mode")
    try:
        flushed, _ = walked(pixels, *WAYS[way])
    finally:
        torch.set_flush_denormal(False)
    np.testing.assert_array_equal(flushed, expected)
