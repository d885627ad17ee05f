"""The probes for colours of which only some occur: yes for what was converted or stretched, no for photographs."""

import io

import numpy as np
import pytest
from PIL import Image

from codec.format.method import LATTICES
from codec.tile_coders.sparseness import lattice_of, sparse
from tests.codec.modelling.test_lattice import from_video
from tests.pictures import constant, noise, photograph


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
        assert lattice_of(planes) == 0


@pytest.mark.parametrize("number", range(1, LATTICES + 1))
def test_the_conversion_is_found(number):
    """Also when a tenth of the picture was painted over; not when half of it was."""
    planes = from_video(number, 160, 200)
    assert lattice_of(planes) == number
    planes[:, :12] = noise(12, 200)
    assert lattice_of(planes) == number
    planes[:, :80] = noise(80, 200)
    assert lattice_of(planes) == 0


def test_jpeg_is_known():
    picture = Image.fromarray(np.ascontiguousarray(many_colours(0).transpose(1, 2, 0)))
    for quality, subsampling in ((75, "4:2:0"), (95, "4:2:0"), (90, "4:4:4")):
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=quality, subsampling=subsampling)
        assert lattice_of(np.asarray(Image.open(file).convert("RGB")).transpose(2, 0, 1)) == 1


def test_photographs_and_grey_have_no_lattice():
    for planes in (photograph(160, 200), many_colours(1), noise(50, 50), noise(50, 50)[:1]):
        assert lattice_of(planes) == 0
    assert lattice_of(photograph(160, 200)[:1].repeat(3, 0)) == 0
