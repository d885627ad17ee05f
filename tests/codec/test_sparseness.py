"""The probe for colours of which only some occur: yes for what was converted or stretched, no for photographs."""

import numpy as np
import pytest
from PIL import Image

from codec.tile_coders.sparseness import sparse
from tests.pictures import constant, noise


def many_colours(seed: int, height: int = 160, width: int = 200) -> np.ndarray:
    """Smooth planes that go their own ways, with a little noise: uint8 [3, H, W]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / 40
    waves = [np.sin(x * a + b) + np.cos(y * b + a) for a, b in rng.uniform(0.3, 1.5, (3, 2))]
    luma = sum(waves)
    planes = [128 + 20 * luma + 6 * wave for wave in waves]
    return np.clip(np.rint(planes + rng.normal(0, 1.5, (3, height, width))), 0, 255).astype(np.uint8)


def converted(planes: np.ndarray) -> np.ndarray:
    """There and back through YCbCr of eight bits."""
    image = Image.fromarray(np.ascontiguousarray(planes.transpose(1, 2, 0)))
    return np.asarray(image.convert("YCbCr").convert("RGB")).transpose(2, 0, 1)


@pytest.mark.parametrize("seed", range(4))
def test_a_lattice_and_gaps_are_seen(seed):
    planes = many_colours(seed)
    assert not sparse(planes)
    assert sparse(converted(planes))
    assert sparse(np.clip(planes * 1.3, 0, 255).astype(np.uint8))
    assert not sparse(planes[:1])
    assert sparse(np.clip(planes[:1] * 1.3, 0, 255).astype(np.uint8))


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (5, 1), (3, 4)], ids=str)
def test_any_tile_has_an_answer(size):
    for planes in (noise(*size), constant(*size), noise(*size)[:1]):
        assert sparse(planes) in (False, True)
