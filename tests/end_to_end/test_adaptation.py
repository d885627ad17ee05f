"""What learning the picture at hand is worth with the shipped network: bytes with it and without."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

import codec
import runtime
from codec import compress, decompress, models
from codec.images.samples import Samples
from tests.pictures import KINDS

ALONE, LEARNED = "fast", "normal"
OCTAVES = ((64, 36), (32, 22), (16, 13), (8, 7), (4, 4), (2, 2))  # size of a cell in pixels, grey levels


def texture(height: int, width: int, colour: float, seed: int = 0) -> np.ndarray:
    """uint8 [H, W, 3]: octaves of a smooth random field and noise. colour: how far the planes go their own ways.

    At 0.05 the colours are as muted as in most photographs, at 0.2 as varied as in the most colourful ones.
    """
    rng = np.random.default_rng(seed)
    planes = np.zeros((3, height, width))
    for cell, contrast in OCTAVES:
        field = contrast * smooth(rng.normal(size=(3, height // cell + 2, width // cell + 2)), height, width, cell)
        planes += field[:1] + colour * field
    planes += rng.normal(0, 1.5, (1, height, width)) + rng.normal(0, 0.5, planes.shape)
    return (120 + planes).clip(0, 255).astype(np.uint8).transpose(1, 2, 0).copy()


def smooth(grid: np.ndarray, height: int, width: int, cell: int) -> np.ndarray:
    """A grid's numbers at its crossings, every `cell` pixels, and smooth ways between them."""
    row, col = np.arange(height) // cell, np.arange(width) // cell
    down, right = (np.arange(n) % cell / cell for n in (height, width))
    down, right = ((3 - 2 * way) * way**2 for way in (down[:, None], right))
    upper, lower = (grid[:, at][:, :, col] * (1 - right) + grid[:, at][:, :, col + 1] * right for at in (row, row + 1))
    return upper * (1 - down) + lower * down


def through_ycc(pixels: np.ndarray) -> np.ndarray:
    """To 8-bit YCbCr and back, as in every JPEG and video: three quarters of all colours cannot occur any more."""
    return np.asarray(Pillow.fromarray(pixels).convert("YCbCr").convert("RGB")).copy()


@pytest.fixture(scope="module")
def photo():
    """The shipped model of both efforts."""
    assert models.DEFAULTS[ALONE] == models.DEFAULTS[LEARNED]
    return runtime.load(models.resolve(models.DEFAULTS[LEARNED]), threads=1)


@pytest.fixture(scope="module")
def demo() -> np.ndarray:
    return codec.read(Path(codec.__file__).parent / "demo" / "photo.png").values


def sizes(model, pixels) -> tuple[int, int]:
    """Bytes of the file at either effort."""
    return tuple(len(compress(Samples.of(pixels), model, effort=effort).data) for effort in (ALONE, LEARNED))


@pytest.mark.parametrize("seed", [0, 1])
def test_the_lattice_of_a_colour_conversion_is_found(photo, seed):
    """A gain of 12 %; nothing of the kind is to be had before the conversion."""
    original = texture(160, 160, 0.05, seed)
    converted = through_ycc(original)
    alone, learned = sizes(photo, converted)
    assert learned < 0.88 * alone
    before = sizes(photo, original)
    assert before[1] > 0.95 * before[0] and learned < before[1]  # the conversion has thrown information away
    picture = Samples.of(converted)
    assert picture.difference(decompress(compress(picture, photo, effort=LEARNED).data, photo)) is None


def test_more_colours_take_longer_to_learn(photo):
    """Each colour is met less often: half of the gain, on as many pixels."""
    alone, learned = sizes(photo, through_ycc(texture(160, 160, 0.2)))
    assert learned < 0.95 * alone


@pytest.mark.parametrize("kind", [*KINDS, "muted", "colourful", "demo"])
def test_learning_never_costs_much(photo, demo, kind):
    """Pictures of 128 x 128 and more that no conversion has touched."""
    made = {
        "muted": lambda: texture(128, 128, 0.05, 2),
        "colourful": lambda: texture(128, 128, 0.2, 3),
        "demo": lambda: demo,
    }
    pixels = made[kind]() if kind in made else KINDS[kind](128, 128).transpose(1, 2, 0).copy()
    alone, learned = sizes(photo, pixels)
    assert learned <= 1.01 * alone + 64


@pytest.mark.parametrize("row", [0, 64, 128])
def test_small_crops_are_not_larger(photo, demo, row):
    """By more than 8 bytes of some 4000."""
    for pixels in (*np.split(demo[row : row + 64], 3, axis=1), texture(64, 64, 0.2, row)):
        alone, learned = sizes(photo, pixels.copy())
        assert learned <= alone + 8
