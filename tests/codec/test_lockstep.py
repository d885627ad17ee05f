"""Pictures by the paper's networks: lossless in every order and size, files as long as the likelihood says."""
from dataclasses import replace

import numpy as np
import pytest

from codec import container, lockstep
from codec.codec import compress, cost_map, decompress
from codec.coder import Decoder, Encoder
from codec.errors import DamagedFile, UnknownOrder, UnsupportedImage
from codec.images import Image
from codec.lockstep import code_squares, squares
from codec.method import InOrder, Method
from tests.pictures import KINDS as PICTURES
from tests.pictures import noise, photograph, two_values

ORDERS = ("s_curve:0", "hilbert:3", "wavefront:4")          # of the bundles of conftest.py, for tiles of 8 x 8
SIZES = [(8, 8), (1, 1), (3, 8), (16, 8), (17, 21)]
MODES = {"colour": "RGB", "grey": "L", "binary": "L"}


def picture(kind: str, height: int, width: int, seed: int = 0) -> Image:
    planes = photograph(height, width, seed)
    if kind == "binary":
        planes = two_values(height, width, seed)
    planes = planes if kind == "colour" else planes[:1]
    return Image(np.ascontiguousarray(planes.transpose(1, 2, 0)), MODES[kind])


def restored(data, model) -> np.ndarray:
    return decompress(data, model).pixels


@pytest.mark.parametrize("kind", MODES)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("order", [*ORDERS, "auto"])
def test_lossless_and_as_long_as_the_likelihood(square_models, kind, size, order):
    model, image = square_models[kind], picture(kind, *size)
    coded = compress(image, model, order=order)
    np.testing.assert_array_equal(restored(coded.data, model), image.pixels)
    assert coded.nll_bits <= 8 * len(coded.data) <= coded.nll_bits * 1.001 + 8 * 25
    assert sum(coded.methods.values()) == 1
    if order != "auto":
        assert coded.methods == {InOrder(ORDERS.index(order)): 1}


@pytest.mark.parametrize("kind", PICTURES)
def test_every_kind_of_picture(square_models, kind):
    image = Image(np.ascontiguousarray(PICTURES[kind](13, 10).transpose(1, 2, 0)), "RGB")
    data = compress(image, square_models["colour"]).data
    np.testing.assert_array_equal(restored(data, square_models["colour"]), image.pixels)


def test_auto_keeps_the_best_order(square_models):
    """On pictures where different orders are best."""
    model, best = square_models["colour"], set()
    for make in PICTURES.values():
        image = Image(np.ascontiguousarray(make(8, 8).transpose(1, 2, 0)), "RGB")
        sizes = [len(compress(image, model, order=order).data) for order in ORDERS]
        coded = compress(image, model)
        assert len(coded.data) == min(sizes)
        best |= coded.methods.keys()
    assert len(best) > 1


def test_alpha_goes_beside_the_colours(square_models):
    pixels = np.concatenate([picture("colour", 9, 10).pixels, noise(9, 10, 1)[:1].transpose(1, 2, 0)], 2)
    image = Image(np.ascontiguousarray(pixels), "RGBA")
    data = compress(image, square_models["colour"], order="hilbert:3").data
    np.testing.assert_array_equal(restored(data, square_models["colour"]), pixels)


def test_costs_add_up_to_the_likelihood(square_models):
    for kind, model in square_models.items():
        image = picture(kind, 11, 18)
        costs, coded = cost_map(image, model), compress(image, model)
        assert costs.shape == image.pixels.shape and costs.min() > 0
        assert costs.sum() == pytest.approx(coded.nll_bits, rel=1e-5)


def test_a_likely_picture_costs_less(square_models):
    """A binary network's probabilities are used the right way round: what it finds likely is cheap."""
    model = square_models["binary"]
    log_odds = model.parameters(np.zeros((1, 1, 8, 8), np.uint8))[0, 0]
    likely = compress(Image(np.zeros((8, 8, 1), np.uint8), "L"), model, order=ORDERS[0])
    bits = np.log2(1 + np.exp(log_odds / 1024)).sum()       # -log2 of P(0)
    assert likely.nll_bits == pytest.approx(bits, rel=1e-3)


def test_a_picture_is_cut_without_holes(square_models):
    layout = square_models["grey"].layout
    for height, width in ((1, 1), (8, 8), (9, 31), (50, 17)):
        covered = np.zeros(height * width, int)
        for group in squares(height, width, layout, most=3):
            assert len(group.rows) <= 3 and group.height <= 8 and group.width <= 8
            covered[group.flat(np.arange(group.height * group.width), width)] += 1
        assert (covered == 1).all()


def test_groups_in_lockstep_are_bounded(square_models, monkeypatch):
    """More squares than go together: groups of three here."""
    monkeypatch.setattr(lockstep.squares, "__defaults__", (3,))
    model, image = square_models["grey"], picture("grey", 24, 30)
    data = compress(image, model, order=ORDERS[1]).data
    np.testing.assert_array_equal(restored(data, model), image.pixels)


@pytest.mark.parametrize("kind", MODES)
def test_progress_counts_every_pixel(square_models, kind):
    known, counts = picture(kind, 17, 10).pixels.transpose(2, 0, 1).copy(), []
    encoder = Encoder()
    code_squares(square_models[kind], encoder, known, 0, counts.append)
    assert sum(counts) == 170
    _, found = code_squares(square_models[kind], Decoder(encoder.finish()), np.zeros_like(known), 0)
    np.testing.assert_array_equal(found, known)


@pytest.mark.parametrize("kind, image, match", [
    ("colour", picture("grey", 8, 8), "colour pictures, which this is not"),
    ("grey", picture("colour", 8, 8), "grey pictures"),
    ("binary", picture("grey", 8, 8), "pictures of black and white alone"),
    ("binary", picture("colour", 8, 8), "pictures of black and white alone")])
def test_pictures_that_the_network_is_not_for(square_models, kind, image, match):
    with pytest.raises(UnsupportedImage, match=match):
        compress(image, square_models[kind])


def test_a_name_alone_is_variant_0(square_models):
    image = picture("grey", 8, 8)
    assert compress(image, square_models["grey"], order="s_curve").methods == {InOrder(0): 1}
    with pytest.raises(UnknownOrder, match="no order 'hilbert', but"):
        compress(image, square_models["grey"], order="hilbert")


def test_orders_that_a_model_does_not_have(square_models, tiny_model):
    with pytest.raises(UnknownOrder, match="no order 'raster', but s_curve:0, hilbert:3, wavefront:4"):
        compress(picture("colour", 8, 8), square_models["colour"], order="raster")
    with pytest.raises(UnknownOrder, match="no order 'raster', but wavefront:0, .*, wavefront:7"):
        compress(picture("colour", 8, 8), tiny_model, order="raster")


def test_tiles_of_methods_that_a_model_does_not_have(square_models, tiny_model):
    image = picture("colour", 8, 8)
    for model, method in ((square_models["colour"], InOrder(3)), (square_models["colour"], Method()),
                          (tiny_model, InOrder(0))):
        parsed = container.unpack(compress(image, model).data)
        tiles = [replace(tile, method=method.code) for tile in parsed.tiles]
        with pytest.raises(DamagedFile, match="get the file again"):
            decompress(container.pack(parsed.header, tiles), model)


def test_a_damaged_payload_is_found(square_models):
    model = square_models["colour"]
    parsed = container.unpack(compress(picture("colour", 16, 16), model).data)
    payload = bytearray(parsed.tiles[0].payload)
    payload[len(payload) // 2] ^= 4
    tiles = [replace(parsed.tiles[0], payload=bytes(payload))]
    with pytest.raises(DamagedFile, match="does not decode to the pixels"):
        decompress(container.pack(parsed.header, tiles), model)
