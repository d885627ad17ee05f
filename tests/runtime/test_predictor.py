"""The online predictor: equal to its plain reference, causal, the same however it is run, and no fused multiply-add."""
import hashlib
import re
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import pytest
from llvmlite.binding import get_host_cpu_features

from runtime import predictor
from runtime.lanes import LANES
from runtime.least_squares import UNIT, Predictor, Settings, predict_picture, rows_of
from tests.runtime import reference_predictor

SIZES = [(1, 1), (1, 2), (2, 1), (1, 9), (9, 1), (2, 2), (3, 5), (7, 13), (17, 3), (20, 9), (31, 26)]
FUSED = re.compile(r"\bv?fn?m(?:add|sub|addsub|subadd)\d*[ps][dsh]\b"       # x86: vfmadd231pd, vfnmsub132sd, ...
                   r"|\bfn?m(?:add|sub|ad|sb|la|ls)\b")                     # ARM: fmadd, fnmsub, fmla; SVE: fmad, fnmls


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (3, height, width), dtype=np.uint8)


def gradient(height, width):
    row, column = np.indices((height, width))
    return np.stack([7 * row + 11 * column, 250 - 5 * row, 3 * column]).clip(0, 255).astype(np.uint8)


def smooth(height, width, seed=1):
    """A random field with correlated neighbours and planes, and a little noise: roughly a photograph."""
    rng = np.random.default_rng(seed)
    field = rng.normal(0, 1, (4, height + 8, width + 8)).cumsum(1).cumsum(2) / np.sqrt(height + width + 16)
    planes = 128 + 9 * (field[0] + 0.4 * field[1:])[:, 8:, 8:] + rng.normal(0, 1.5, (3, height, width))
    return planes.clip(0, 255).astype(np.uint8)


def integer_made(height, width):
    """A picture that no library's random numbers or functions can change."""
    k, row, column = np.ogrid[:3, :height, :width]
    texture = ((row * 37 + column * 91 + k * 53) % 64) * ((row // 9 + column // 7) % 2)
    return ((row * 3 + column * 2 + k * 20 + texture + (row * column // 5) % 11) % 256).astype(np.uint8)


def run(pixels, solve, state=None):
    """Predictions through the class itself; solve(state, level) refits all planes in its own way."""
    _, height, width = pixels.shape
    state = state or Predictor(height, width)
    bases = np.zeros(pixels.shape, np.int16)
    for level in range(state.levels):
        rows = np.arange(*rows_of(level, height, width))
        solve(state, level)
        for k in range(3):
            bases[k, rows, level - 2 * rows] = state.predict(level, k)
            state.put(level, k, pixels[k, rows, level - 2 * rows])
    return bases


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("kind", [noise, gradient, smooth])
def test_equals_the_reference(kind, size):
    pixels = kind(*size)
    predictions = predict_picture(pixels)
    assert predictions.dtype == np.int16
    np.testing.assert_array_equal(predictions, reference_predictor.predict(pixels))


def all_planes(state, level):
    for k in range(3):
        state.solve(level, k)


OTHERS = {                                  # another window, other numbers of neighbours
    "fast": (Settings(((6, 2, 2), (6, 4, 2), (6, 4, 3)), 0.86, 0.75, (16.0, 3.0, 3.0)), reference_predictor.FAST),
    "slow": (Settings(((16, 6, 6), (14, 7, 6), (14, 7, 7)), 0.998, 0.97, (8.0, 8.0, 8.0)), reference_predictor.SLOW),
}


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (2, 2), (20, 2), (17, 3), (31, 5), (12, 17), (3, 40)])
@pytest.mark.parametrize("interval", [1, 2, 8])
@pytest.mark.parametrize("name", OTHERS)
def test_equals_the_reference_with_any_settings_and_interval(name, interval, size):
    found, told = OTHERS[name]
    for pixels in (noise(*size), smooth(*size)):
        expected = reference_predictor.predict(pixels, None, told, interval)
        np.testing.assert_array_equal(run(pixels, all_planes, Predictor(*size, found, interval)), expected)


def test_weights_stay_between_refits():
    """And a row that begins meanwhile takes those of the row above."""
    size, interval = (13, 30), 8
    state, before = Predictor(*size, interval=interval), [np.zeros_like(fit.weights) for fit in Predictor(*size).fits]

    def solve(state, level):
        all_planes(state, level)
        for k, fit in enumerate(state.fits):
            if level % interval == 0:
                assert level == 0 or (fit.weights != before[k]).any()
            else:
                rows = np.arange(size[0])
                if level % 2 == 0 and level // 2 in rows:
                    rows[level // 2] -= 1
                now = fit.weights.transpose(0, 2, 1).reshape(-1, fit.weights.shape[1])[:size[0]]
                np.testing.assert_array_equal(now, before[k][rows // LANES, :, rows % LANES])
            before[k] = fit.weights.copy()
    run(smooth(*size), solve, state)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (14, 19)], ids=str)
def test_planes_may_be_shared(size):
    """Another predictor on the planes of the first predicts as one by itself does, and writes nothing."""
    pixels, settings = smooth(*size), OTHERS["slow"][0]
    owner = Predictor(*size)
    guest = Predictor(*size, settings, 8, owner.planes)
    assert guest.shares and not owner.shares and guest.planes is owner.planes
    bases = np.zeros((2, *pixels.shape), np.int16)
    for level in range(owner.levels):
        rows = np.arange(*rows_of(level, *size))
        all_planes(owner, level)
        all_planes(guest, level)
        for k in range(3):
            values = pixels[k, rows, level - 2 * rows]
            bases[:, k, rows, level - 2 * rows] = owner.predict(level, k), guest.predict(level, k)
            before = owner.planes.copy()
            guest.put(level, k, values)
            np.testing.assert_array_equal(owner.planes, before)
            owner.put(level, k, values)
    np.testing.assert_array_equal(bases[0], predict_picture(pixels))
    np.testing.assert_array_equal(bases[1], run(pixels, all_planes, Predictor(*size, settings, 8)))


def test_equals_the_reference_where_the_prediction_is_clamped():
    pixels = noise(12, 18, seed=5) // 128 * 255         # black or white: least squares overshoots
    predictions = predict_picture(pixels)
    assert (predictions == 0).any() and (predictions == 255 * UNIT).any()
    np.testing.assert_array_equal(predictions, reference_predictor.predict(pixels))


@pytest.mark.parametrize("kind", [noise, smooth])
def test_weights_equal_the_references_to_the_last_bit(kind):
    """Rounding hides what differs by little: these are the numbers before it."""
    height, width = 19, 11
    pixels, expected = kind(height, width), {}
    reference_predictor.predict(pixels, expected)

    def solve(state, level):
        for k in range(3):
            state.solve(level, k)
            for row in range(*rows_of(level, height, width)):
                found = state.fits[k].weights[row // LANES, :, row % LANES]
                assert found.tolist() == expected.pop((k, row, level - 2 * row))

    run(pixels, solve)
    assert not expected


@pytest.mark.parametrize(("k", "row", "column"), [(0, 0, 0), (0, 4, 6), (1, 5, 0), (2, 4, 12), (1, 8, 12)])
def test_nothing_is_predicted_from_the_future(k, row, column):
    pixels = smooth(9, 13)
    other = pixels.copy()
    other[k, row, column] ^= 255
    plane, rows, columns = np.nonzero(predict_picture(pixels) != predict_picture(other))
    same_pixel = (rows == row) & (columns == column)
    assert (plane[same_pixel] > k).all()
    assert (columns + 2 * rows > column + 2 * row)[~same_pixel].all()
    if (row, column) != (8, 12):
        assert (~same_pixel).any()                      # the test sees changes where they may be


def test_planes_may_be_solved_in_any_order_or_at_once():
    pixels = smooth(21, 17)
    expected = predict_picture(pixels)
    turned = run(pixels, lambda state, level: [state.solve(level, k) for k in (2, 0, 1)])
    np.testing.assert_array_equal(turned, expected)
    with ThreadPoolExecutor(3) as pool:
        def at_once(state, level):
            list(pool.map(lambda k: state.solve(level, k), range(3)))
        np.testing.assert_array_equal(run(pixels, at_once), expected)


def test_rows_of_lists_every_position_once():
    for height, width in SIZES:
        seen = [(r, level - 2 * r) for level in range(width + 2 * (height - 1))
                for r in range(*rows_of(level, height, width))]
        assert sorted(seen) == [(r, c) for r in range(height) for c in range(width)]


def test_padding_is_the_recipes():
    pixels = noise(5, 4)
    state = Predictor(5, 4)
    for level in range(state.levels):
        rows = np.arange(*rows_of(level, 5, 4))
        for k in range(3):
            state.put(level, k, pixels[k, rows, level - 2 * rows])
    planes = state.planes[:, predictor.TOP:]
    assert (state.planes[:, :predictor.TOP] == 128).all() and (planes[:, 0, :predictor.LEFT] == 128).all()
    np.testing.assert_array_equal(planes[:, :, predictor.LEFT:-predictor.RIGHT], pixels)
    assert (planes[:, 1:, :predictor.LEFT] == pixels[:, :-1, :1]).all()
    assert (planes[:, :, -predictor.RIGHT:] == pixels[:, :, -1:]).all()


def test_settings_are_instance_a():
    assert Settings().taps(0).tolist() == [list(tap) for tap in reference_predictor.FEATURES[0]]
    assert Settings().taps(1).tolist() == [list(tap) for tap in reference_predictor.FEATURES[1]]
    assert Settings().taps(2).tolist() == [list(tap) for tap in reference_predictor.FEATURES[2]]


def test_golden():
    digest = hashlib.sha256(predict_picture(integer_made(61, 83)).astype("<i2").tobytes()).hexdigest()
    assert digest == "e8a04184fbfb2471313d1fe567caf3b65a895dfd568660902d517af836cedd0a"


def checker(size):
    return np.broadcast_to(np.indices((size, size)).sum(0) % 2 * 255, (3, size, size)).astype(np.uint8)


def lines(size, axis):
    picture = np.zeros((3, size, size), np.uint8)
    picture[(slice(None), slice(None, None, 5), slice(None)) if axis == 0 else (..., slice(None, None, 5))] = 255
    return picture


HOSTILE = {
    "checker": checker(64),
    "black": np.zeros((3, 64, 64), np.uint8),
    "white": np.full((3, 64, 64), 255, np.uint8),
    "ramp across": np.broadcast_to(np.arange(64) * 4, (3, 64, 64)).astype(np.uint8),
    "ramp down": np.broadcast_to(np.arange(64)[:, None] * 4, (3, 64, 64)).astype(np.uint8),
    "lines across": lines(64, 0),
    "lines down": lines(64, 1),
    "one pixel": np.pad(np.full((3, 1, 1), 255, np.uint8), ((0, 0), (31, 32), (40, 23))),
    "noise": noise(64, 64),
    "black and white noise": noise(64, 64) // 128 * 255,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pictures(name):
    pixels = HOSTILE[name]
    fits = []

    def solve(state, level):
        for k in range(3):
            state.solve(level, k)
        fits[:] = state.fits
        assert all(np.isfinite(fit.weights).all() for fit in fits)

    bases = run(pixels, solve)
    assert all(np.isfinite(fit.sums).all() and np.isfinite(fit.features).all() for fit in fits)
    assert bases.min() >= 0 and bases.max() <= 255 * UNIT
    if name in ("black", "white"):
        assert (abs(bases[:, 2:, 2:] / UNIT - pixels[0, 0, 0]) < 0.1).all()


def assembly(kernel, signature):
    """The machine code of a kernel compiled anew with its own options: what comes from numba's cache carries none."""
    fresh = numba.jit(**kernel.targetoptions)(kernel.py_func)
    fresh.compile(signature)
    (code,) = fresh.inspect_asm().values()
    return code


@pytest.mark.parametrize("name", ["solve", "_predict"])
def test_compiled_code_has_no_fused_multiply_add(name):
    kernel = getattr(predictor, name)
    predict_picture(noise(2, 2))                        # so that the signature is known
    for signature in kernel.signatures:
        code = assembly(kernel, signature)
        assert re.search(r"mul[ps]d|fmul", code)        # it is the arithmetic that was looked through
        assert not FUSED.search(code)


@pytest.mark.skipif(get_host_cpu_features().get("fma") is False, reason="this processor cannot fuse")
def test_fused_multiply_add_would_be_found():
    def fusible(a, b, c):
        return a * b + c

    signature = (numba.float64,) * 3
    assert FUSED.search(assembly(numba.njit(fastmath={"contract"})(fusible), signature))
    assert not FUSED.search(assembly(numba.njit(fusible), signature))


def test_flushing_denormals_changes_nothing():
    """Libraries built for speed set this processor mode; on a long flat stretch the sums decay through denormals."""
    torch = pytest.importorskip("torch")
    pixels = np.full((3, 2, 9500), 77, np.uint8)
    pixels[:, :, :200] = noise(2, 200)
    expected = predict_picture(pixels)
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor has no such mode")
    try:
        flushed = predict_picture(pixels)
    finally:
        torch.set_flush_denormal(False)
    np.testing.assert_array_equal(flushed, expected)
