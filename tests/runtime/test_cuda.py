"""CUDA gives the CPU's integers on many pictures: where there is a GPU, else these tests do not run."""

import numpy as np
import pytest

import runtime
from tests.pictures import KINDS, photograph

onnxruntime = pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.skipif(
    "CUDAExecutionProvider" not in onnxruntime.get_available_providers(), reason="onnxruntime has no CUDA here"
)
PICTURES = [photograph(24, 40, seed) for seed in range(42)] + [make(24, 40) for make in KINDS.values()]


def test_photo_networks(tiny_bundle, tiny_model):
    on_device = runtime.load(tiny_bundle, provider="cuda", threads=1)
    assert on_device.network.provider == "cuda" and len(PICTURES) >= 50
    for picture in PICTURES:
        np.testing.assert_array_equal(on_device.parameters(picture[None]), tiny_model.parameters(picture[None]))


def test_networks_of_the_paper(square_bundles, square_models):
    for kind, path in square_bundles.items():
        on_device, layout = runtime.load(path, provider="cuda", threads=1), square_models[kind].layout
        levels = np.stack([picture[: layout.channels, :8, :8] for picture in PICTURES])
        levels = np.where(levels > 127, 255, 0).astype(np.uint8) if layout.binary else levels
        for order in range(len(layout.orders)):
            expected = square_models[kind].parameters(levels, order)
            np.testing.assert_array_equal(on_device.parameters(levels, order), expected)
            np.testing.assert_array_equal(on_device.parameters_by_levels(levels, order), expected)
