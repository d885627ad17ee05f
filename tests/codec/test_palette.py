"""Palettes: every decision equals a plain reference's, whatever the colours; hostile payloads end; what they cost."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec import compress, decompress
from codec.entropy.range_coder import Decoder, Encoder
from codec.errors import DamagedFile
from codec.format import container
from codec.format.method import INDEXED
from codec.images.samples import Samples
from codec.modelling.adaptive import adaptive
from codec.modelling.palette.index import palette
from codec.modelling.palette.listing import MOST, _code_places, code_palette, has_palette
from codec.tile_coders import How, tile_coder
from tests.pictures import checker, constant, lines, magnified, noise, photograph, text, two_values
from tests.reference import bundle
from tests.reference.range_coder import Answers
from tests.reference.tile import PhotoTile


def of_colours(height: int, width: int, count: int, seed: int = 0) -> np.ndarray:
    """Noise of so many colours, each of which is there if there is room."""
    rng = np.random.default_rng(seed)
    places = rng.choice(1 << 24, count, replace=False)
    colours = np.stack([places >> 16, places >> 8 & 255, places & 255]).astype(np.uint8)
    at = rng.permutation(np.concatenate([np.arange(count), rng.integers(0, count, height * width)])[: height * width])
    return colours[:, at].reshape(3, height, width)


def dithered(height: int, width: int, steps: int = 5) -> np.ndarray:
    """A photograph in few colours, each plane's error carried on along its row."""
    picture, carried = photograph(height, width).astype(float), np.zeros((3, height))
    found = np.zeros(picture.shape, np.uint8)
    for c in range(width):
        wanted = picture[:, :, c] + carried
        found[:, :, c] = (wanted / 255 * steps).round().clip(0, steps) * 255 // steps
        carried = wanted - found[:, :, c]
    return found


PICTURES = {
    "one colour": constant(9, 12, 7),
    "two colours": two_values(9, 12),
    "checker": checker(12, 17),
    "lines": lines(12, 17),
    "three colours": of_colours(7, 9, 3),
    "17 colours": of_colours(14, 13, 17),
    "255 colours": of_colours(15, 21, 255),
    "256 colours": of_colours(21, 15, 256),
    "dithered": dithered(14, 19, 2),
    "text": text(20, 16),
    "pixel art": magnified(17, 20, 4),
    "pixel": noise(1, 1),
    "row": magnified(1, 40, 3),
    "column": magnified(40, 1, 3),
    "row of noise": of_colours(1, 30, 20),
    "column of noise": of_colours(30, 1, 20),
    "5 x 7": noise(5, 7),
    "2 x 2": noise(2, 2),
    "close colours": noise(8, 9) // 32 + 100,
}


@pytest.fixture(scope="session")
def tiny_reference(tiny_bundle):
    return bundle.read(tiny_bundle)


def encoded(model, planes: np.ndarray) -> Encoder:
    encoder = Encoder(traced=True)
    tile_coder(model).code(encoder, planes.copy(), INDEXED, How(model.threads, lambda pixels: None))
    return encoder


def agree(model, reference, planes: np.ndarray) -> None:
    """Compiled code on one thread and two and the reference make the same decisions; a decoder finds the picture."""
    planes = np.ascontiguousarray(planes)
    encoder = encoded(model, planes)
    answers = Answers(encoder.symbols().tolist())
    np.testing.assert_array_equal(PhotoTile(reference, planes.shape, INDEXED.code).decoded(answers), planes)
    assert ((encoder.decisions() >> 1).astype(int) + 1).tolist() == answers.asked
    payload = encoder.finish()
    assert encoded(replace(model, threads=2), planes).finish() == payload
    found = np.full_like(planes, 77)
    tile_coder(model).code(Decoder(payload), found, INDEXED, How(2, lambda pixels: None))
    np.testing.assert_array_equal(found, planes)


@pytest.mark.parametrize("channels", [1, 3], ids=["grey", "colour"])
@pytest.mark.parametrize("name", PICTURES)
def test_equals_the_reference(tiny_model, tiny_reference, name, channels):
    agree(tiny_model, tiny_reference, PICTURES[name][:channels])


@settings(deadline=None, max_examples=25)
@given(
    height=st.integers(1, 8),
    width=st.integers(1, 10),
    channels=st.sampled_from([1, 3]),
    count=st.integers(1, 60),
    seed=st.integers(0, 2**32 - 1),
)
def test_equals_the_reference_for_anything(tiny_model, tiny_reference, height, width, channels, count, seed):
    agree(tiny_model, tiny_reference, of_colours(height, width, count, seed)[:channels])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("count", [1, 2, 100, 255, 256])
def test_the_list_comes_back(count, channels):
    pixels = of_colours(16, 16, count)[:channels]
    encoder = Encoder()
    listed = code_palette(pixels, encoder)
    expected = np.unique(pixels.reshape(channels, -1).T, axis=0)
    np.testing.assert_array_equal(np.unique(listed, axis=0), expected)
    assert len(listed) == len(expected)
    np.testing.assert_array_equal(code_palette(np.zeros_like(pixels), Decoder(encoder.finish())), listed)


def test_halves_of_the_list_are_parts_of_the_colour_space():
    listed = code_palette(of_colours(16, 16, 256), Encoder())
    dark = listed[:, 0] < 128
    assert dark[: dark.sum()].all()


@pytest.mark.parametrize("payload", [b"\xff" * 2000, b"", b"\1", *(bytes([255 - i]) * 900 + b"\1" for i in range(4))])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_payload_is_survived(tiny_model, payload, channels):
    """It is refused, or gives some picture."""
    found = np.zeros((channels, 9, 11), np.uint8)
    try:
        tile_coder(tiny_model).code(Decoder(payload), found, INDEXED, How(1, lambda pixels: None))
    except DamagedFile:
        pass


def test_a_list_that_is_not_in_its_order():
    """As no encoder writes it: 7 behind 255, the last grey value there is."""
    encoder, places = Encoder(), np.array([255, 7])
    _code_places(places, 2, (8, 9), adaptive(192), encoder.coding)
    with pytest.raises(DamagedFile, match="not in its order"):
        code_palette(np.zeros((1, 3, 3), np.uint8), Decoder(encoder.finish()))


def test_where_a_palette_may_pay():
    assert has_palette(of_colours(64, 64, 256)) and not has_palette(of_colours(64, 64, 257))
    assert has_palette(constant(3, 4)) and not has_palette(constant(1, 7))
    assert not has_palette(photograph(200, 300)) and not has_palette(photograph(200, 300)[:1])
    assert has_palette(dithered(100, 100)[:1])
    late = of_colours(100, 100, 200)
    late[:, -9:] = noise(9, 100)  # behind what is glanced at
    assert not has_palette(late)


@pytest.mark.parametrize("kind", ["grey", "rgb", "rgb+alpha"])
def test_whole_files(tiny_model, kind):
    planes = dithered(150, 130)[: 1 if kind == "grey" else 3]
    if kind == "rgb+alpha":
        planes = np.concatenate([planes, checker(150, 130)[:1]])
    image = Samples.of(np.ascontiguousarray(planes.transpose(1, 2, 0)))
    for effort in ("fast", "normal"):
        coded = compress(image, tiny_model, effort=effort)
        colours = container.read(coded.data).picture.groups[0]
        assert [tile.method for tile in colours.tiles] == [INDEXED]
        assert image.difference(decompress(coded.data, tiny_model)) is None


def test_257_colours(tiny_model):
    """Are coded in another way."""
    planes = of_colours(64, 64, 257)
    image = Samples.of(np.ascontiguousarray(planes.transpose(1, 2, 0)))
    coded = compress(image, tiny_model)
    assert INDEXED not in coded.methods and image.difference(decompress(coded.data, tiny_model)) is None


@pytest.mark.parametrize(
    ("planes", "limit"),
    [(constant(200, 200), 200), (checker(100, 100), 600), (of_colours(100, 100, 256), 1.02 * 8 * 10000 + 8 * 700)],
    ids=["white", "checker", "noise"],
)
def test_it_costs_little(tiny_model, planes, limit):
    """In bits: where all is foreseen, and where nothing is."""
    assert encoded(tiny_model, planes).costs().sum() < limit


def test_the_state_stays_small():
    """25 MB of the largest tile."""

    def held(part) -> int:
        return part.nbytes if isinstance(part, np.ndarray) else sum(map(held, part)) if isinstance(part, tuple) else 0

    colours = code_palette(of_colours(16, 16, MOST), Encoder())
    assert held(palette(colours, 1024, 1024)) < 25 << 20
