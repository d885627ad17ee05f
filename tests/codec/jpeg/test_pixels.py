"""Pixels of coefficients are libjpeg's, as Pillow has them."""

import io

import numpy as np
import pytest
from PIL import Image

from codec.jpeg.file import take_apart
from codec.jpeg.pixels import pixels
from tests.codec.jpeg.jpegs import jpeg, jpegs
from tests.pictures import KINDS, noise, photograph

COLOUR = [kind for kind in jpegs() if not {"CMYK", "RGB"} & set(kind.split())]


def agree(data: bytes) -> None:
    found, image = take_apart(data), Image.open(io.BytesIO(data))
    told = np.asarray(image).reshape(image.height, image.width, -1)
    np.testing.assert_array_equal(pixels(found.frame, found.steps, found.coefficients), told)


@pytest.mark.parametrize("kind", COLOUR)
def test_files_of_every_kind(kind):
    agree(jpegs()[kind])


@pytest.mark.parametrize("subsampling", [0, 1, 2, "4:1:1"], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_hostile_pictures(kind, subsampling):
    for quality in (20, 80, 100):
        agree(jpeg(KINDS[kind](37, 43), quality=quality, subsampling=subsampling))


@pytest.mark.parametrize("subsampling", [0, 1, 2], ids=str)
def test_every_small_size(subsampling):
    """The narrowest ones are not upsampled smoothly."""
    for height in (1, 2, 3, 8, 9, 16, 17):
        for width in (1, 2, 3, 4, 5, 6, 7, 15, 16, 17, 31):
            agree(jpeg(photograph(height, width, width), quality=90, subsampling=subsampling))
            agree(jpeg(noise(height, width, width), quality=95, subsampling=subsampling))


def test_other_components_are_refused():
    found = take_apart(jpegs()["CMYK"])
    with pytest.raises(ValueError, match="4 components"):
        pixels(found.frame, found.steps, found.coefficients)
