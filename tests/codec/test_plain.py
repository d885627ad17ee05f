"""Without a network: the scale is that of the predictor's errors nearby, and what is coded so decodes."""

import numpy as np
import pytest

from codec import codec, tables
from codec.coder import Decoder, Encoder
from codec.method import Learning, Method
from codec.mixture import Mixture
from codec.plain import COMPONENTS, Plain
from runtime.least_squares import Predictor, predict_picture, rows_of
from tests.pictures import KINDS, noise, photograph
from tests.runtime import reference_predictor

SIZES = [(1, 1), (1, 9), (9, 1), (2, 3), (14, 19)]


def parameters_of(pixels) -> np.ndarray:
    """Of every position, int32 [H, W, 10], from Plain as the codec runs it."""
    _, height, width = pixels.shape
    predictor = Predictor(height, width)
    plain, found = Plain(predictor), np.full((height, width, 10), -1, np.int32)
    for level in range(predictor.levels):
        rows = np.arange(*rows_of(level, height, width))
        at = rows, level - 2 * rows
        for k in range(3):
            predictor.solve(level, k)
        predictor.predict(level, 0)
        found[at] = plain.step(level)
        for k in range(3):
            predictor.predict(level, k)
            predictor.put(level, k, pixels[k][at])
    return found


def expected(pixels) -> np.ndarray:
    """The same from docs/format.md, one number at a time."""
    _, height, width = pixels.shape
    errors = abs(pixels.astype(int) * 64 - reference_predictor.predict(pixels)).tolist()
    found = np.zeros((height, width, 10), np.int32)

    def e(k, r, c):
        return errors[k][r][c] if r >= 0 and c >= 0 else 256

    for k, r, c in np.ndindex(pixels.shape):
        nearby = 2 * (e(k, r, c - 1) + e(k, r, c - 2) + e(k, r - 1, c - 1)) + e(k, r - 1, c) + e(k, r - 1, c - 2)
        found[r, c, 4 + k] = tables.PLAIN_SCALE[min(nearby >> 5, 2047)]
    return found


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_equals_a_slow_reading(kind, size):
    pixels = KINDS[kind](*size)
    np.testing.assert_array_equal(parameters_of(pixels), expected(pixels))


@pytest.mark.parametrize("learning", list(Learning))
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_what_is_coded_without_a_network_decodes(tiny_model, monkeypatch, size, channels, learning):
    monkeypatch.setattr(type(tiny_model.network), "start", None)  # it is not run
    method = Method(learning, network=False)
    for planes in (photograph(*size)[:channels], noise(*size)[:channels]):
        encoder = Encoder()
        coded = codec.code_tile(tiny_model, encoder, planes, method)
        decoded = codec.code_tile(tiny_model, Decoder(encoder.finish()), np.zeros_like(planes), method)
        np.testing.assert_array_equal(decoded.pixels, planes)
        assert decoded.bits == coded.bits


def test_the_codec_codes_with_these_parameters(tiny_model, monkeypatch):
    given, pixels = [], photograph(12, 17)

    class Watched(Mixture):
        def weigh(self, parameters):
            given.append(parameters.copy())
            super().weigh(parameters)

    monkeypatch.setattr(codec, "Mixture", Watched)
    codec.code_tile(tiny_model, Encoder(), pixels, Method(network=False))
    wanted = expected(pixels)
    for level, parameters in enumerate(given):
        rows = np.arange(*rows_of(level, 12, 17))
        np.testing.assert_array_equal(parameters, wanted[rows, level - 2 * rows])
    assert len(given) == 17 + 2 * 11 and wanted.shape[2] == 10 * COMPONENTS


def test_the_scale_fits_the_errors(tiny_model):
    """Within a tenth of what a code of fixed best scale takes, or better, for errors of a known kind."""
    rng = np.random.default_rng(0)
    pixels = (128 + rng.laplace(0, 6, (1, 60, 60))).clip(0, 255).astype(np.uint8).repeat(3, 0)
    coded = codec.code_tile(tiny_model, Encoder(), pixels[:1], Method(network=False))
    errors = pixels[0] - predict_picture(pixels)[0] / 64
    best = min(-np.log2(bins(errors, scale)).sum() for scale in (2, 3, 4, 5, 6, 8, 10))
    assert coded.bits < 1.1 * best


def bins(errors, scale):
    """Probability of the values within half a grey level, by a logistic around the prediction."""
    return np.maximum(1 / (1 + np.exp(-(errors + 0.5) / scale)) - 1 / (1 + np.exp(-(errors - 0.5) / scale)), 2.0**-20)
