"""Pictures by the paper's networks: lossless in every order and size, files as long as the likelihood says."""

from dataclasses import replace

import numpy as np
import pytest

from codec import archive, compress, decompress
from codec.archive import Wishes
from codec.entropy.range_coder import Decoder, Encoder
from codec.errors import DamagedFile, UnknownOrder, UnsupportedImage
from codec.format import container
from codec.format.container import Contents
from codec.format.method import Independent, InOrder, Method
from codec.format.picture import Group, Picture, Tile
from codec.format.source import SourceFile
from codec.images.samples import Samples
from codec.tile_coders import How, tile_coder
from codec.tile_coders.squares import squares
from tests.pictures import KINDS as PICTURES
from tests.pictures import noise, photograph, two_values

ORDERS = ("s_curve:0", "hilbert:3", "wavefront:4")  # of the bundles of conftest.py, for squares of 8 x 8
SIZES = [(8, 8), (1, 1), (3, 8), (16, 8), (17, 21)]
CHANNELS = {"colour": 3, "grey": 1, "binary": 1}


def picture(kind: str, height: int, width: int, seed: int = 0) -> Samples:
    planes = (two_values if kind == "binary" else photograph)(height, width, seed)
    planes = planes if kind == "colour" else planes[:1]
    return Samples.of(np.ascontiguousarray(planes.transpose(1, 2, 0)))


def forged(data: bytes, kind: str | None = None, alpha: Tile | None = None, **tile) -> bytes:
    """The file with another kind or other fields of its tile, under right checksums, and perhaps a tile of alpha."""
    picture = container.read(data).picture
    groups = [Group((replace(picture.tiles[0], **tile),)), *([Group((alpha,))] if alpha else [])]
    header, digest = replace(picture.header, kind=kind or picture.header.kind), bytes(8) if alpha else None
    return container.pack(Contents(Picture(header, tuple(groups), digest)))


@pytest.mark.parametrize("kind", CHANNELS)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("order", [*ORDERS, "auto"])
def test_lossless_and_as_long_as_the_likelihood(square_models, kind, size, order):
    model, image = square_models[kind], picture(kind, *size)
    coded = compress(image, model, order=order)
    assert image.difference(decompress(coded.data, model)) is None
    assert coded.nll_bits <= 8 * len(coded.data) <= coded.nll_bits * 1.001 + 8 * 29
    (method,) = coded.methods
    if size == (1, 1):
        assert method == Independent.CONSTANT
    else:
        assert method == InOrder(ORDERS.index(order)) if order != "auto" else isinstance(method, InOrder)


@pytest.mark.parametrize("kind", PICTURES)
def test_every_kind_of_picture(square_models, kind):
    image = Samples.of(np.ascontiguousarray(PICTURES[kind](13, 10).transpose(1, 2, 0)))
    data = compress(image, square_models["colour"]).data
    assert image.difference(decompress(data, square_models["colour"])) is None


@pytest.mark.parametrize("kind", CHANNELS)
def test_several_tiles_on_any_number_of_threads(square_models, kind):
    model, image = square_models[kind], picture(kind, 9, 1100)
    coded = compress(image, model, order=ORDERS[1])
    assert coded.methods == {InOrder(1): 2}
    assert compress(image, replace(model, threads=2), order=ORDERS[1]) == coded
    for threads in (1, 2):
        assert image.difference(decompress(coded.data, replace(model, threads=threads))) is None


def test_more_squares_than_go_in_lockstep(square_models):
    model, image = square_models["binary"], picture("binary", 33, 530)
    assert max(len(group.rows) for group in squares(33, 530, model.layout)) == 256
    data = compress(image, model, order=ORDERS[2]).data
    assert image.difference(decompress(data, model)) is None


def test_a_picture_is_cut_without_holes(square_models):
    layout = square_models["grey"].layout
    for height, width in ((1, 1), (8, 8), (9, 31), (50, 17)):
        covered = np.zeros(height * width, int)
        for group in squares(height, width, layout, most=3):
            assert len(group.rows) <= 3 and group.height <= 8 and group.width <= 8
            covered[group.flat(np.arange(group.height * group.width), width)] += 1
        assert (covered == 1).all()


def test_auto_keeps_the_best_order(square_models):
    """On pictures where different orders are best."""
    model, best = square_models["colour"], set()
    for make in PICTURES.values():
        image = Samples.of(np.ascontiguousarray(make(8, 8).transpose(1, 2, 0)))
        sizes = [len(compress(image, model, order=order).data) for order in ORDERS]
        coded = compress(image, model)
        assert len(coded.data) == min(sizes)
        best |= coded.methods.keys()
    assert len(best) > 1


def test_the_smallest_of_several_models(square_models, tiny_model):
    """Wherever it stands among them; one that is for other pictures is passed over."""
    colour, binary = square_models["colour"], square_models["binary"]
    for make in PICTURES.values():
        image = Samples.of(np.ascontiguousarray(make(8, 8).transpose(1, 2, 0)))
        alone = {each: compress(image, each, effort="fast", source=SourceFile()) for each in (tiny_model, colour)}
        for several in ([tiny_model, binary, colour], [colour, tiny_model, binary]):
            coded, model = archive.smallest(image, lambda _, several=several: several, Wishes("fast"), SourceFile())
            assert len(coded.data) == min(len(each.data) for each in alone.values()) and coded == alone[model]
        assert image.difference(decompress(coded.data, model)) is None
    assert {len(each.data) for each in alone.values()} != {len(coded.data)}
    with pytest.raises(UnsupportedImage, match="codes black and white pictures"):
        archive.smallest(image, lambda samples: [binary, colour], Wishes(), SourceFile())
    ordered, _ = archive.smallest(image, lambda samples: [colour, tiny_model], Wishes(order="hilbert:3"), SourceFile())
    assert ordered == compress(image, colour, order="hilbert:3", source=SourceFile())


def test_alpha_goes_beside_the_colours(square_models):
    """By exact colours alone, whatever it is: the network knows its own pictures."""
    pixels = np.dstack([picture("colour", 9, 10).values, noise(9, 10, 1)[0]])
    image = Samples.of(pixels)
    data = compress(image, square_models["colour"], order="hilbert:3").data
    colours, alpha = container.read(data).picture.groups
    assert [tile.method for tile in colours.tiles + alpha.tiles] == [InOrder(1), Independent.FLAT]
    assert image.difference(decompress(data, square_models["colour"])) is None


def test_a_likely_picture_costs_less(square_models):
    """A binary network's probabilities are used the right way round: what it finds likely is cheap."""
    model = square_models["binary"]
    log_odds = model.parameters(np.zeros((1, 1, 8, 8), np.uint8))[0, 0]
    black = Encoder()
    tile_coder(model).code(black, np.zeros((1, 8, 8), np.uint8), InOrder(0), How(1, lambda pixels: None))
    black.finish()
    assert black.bits == pytest.approx(np.log2(1 + np.exp(log_odds / 1024)).sum(), rel=1e-3)


@pytest.mark.parametrize("kind", CHANNELS)
def test_a_decoder_looks_at_no_pixels_and_counts_all(square_models, kind):
    planes, counts = picture(kind, 17, 10).values.transpose(2, 0, 1).copy(), []
    coder, encoder = tile_coder(square_models[kind]), Encoder()
    coder.code(encoder, planes.copy(), InOrder(0), How(1, counts.append))
    found = 255 - planes
    coder.code(Decoder(encoder.finish()), found, InOrder(0), How(1, counts.append))
    np.testing.assert_array_equal(found, planes)
    assert sum(counts) == 2 * 170


@pytest.mark.parametrize(
    ("kind", "image", "words"),
    [
        ("colour", picture("grey", 8, 8), "colour pictures, which this is not"),
        ("grey", picture("colour", 8, 8), "grey pictures"),
        ("binary", picture("colour", 8, 8), "black and white pictures"),
        ("binary", picture("grey", 8, 8), "black and white pictures"),
    ],
)
def test_pictures_that_the_network_is_not_for(square_models, kind, image, words):
    with pytest.raises(UnsupportedImage, match=words):
        compress(image, square_models[kind])


@pytest.mark.parametrize("threads", [1, 2])
def test_a_grey_pixel_in_the_last_tile_is_refused_before_the_first_is_coded(square_models, threads):
    pixels, calls = picture("binary", 8, 1100).values.copy(), []
    pixels[-1, -1] = 254
    model = replace(square_models["binary"], threads=threads)
    with pytest.raises(UnsupportedImage, match="black and white pictures, which this is not"):
        compress(Samples.of(pixels), model, progress=lambda *call: calls.append(call))
    assert calls == []


def test_a_name_alone_is_variant_0(square_models):
    image = picture("grey", 8, 8)
    assert compress(image, square_models["grey"], order="s_curve").methods == {InOrder(0): 1}
    with pytest.raises(UnknownOrder, match="no order 'hilbert', but s_curve:0, hilbert:3, wavefront:4"):
        compress(image, square_models["grey"], order="hilbert")


@pytest.mark.parametrize("method", [InOrder(3), InOrder(63), Method(), Method(network=False, colours=True)], ids=str)
def test_methods_that_the_model_has_not(square_models, method):
    data = compress(picture("colour", 8, 8), square_models["colour"]).data
    with pytest.raises(DamagedFile, match=f"coded by {str(method).replace('+', '.')}, which the model has not"):
        decompress(forged(data, code=method.code), square_models["colour"])


@pytest.mark.parametrize(
    ("kind", "other", "words"),
    [
        ("grey", "rgb", "3 channels by a model of 1"),
        ("binary", "rgb", "3 channels by a model of 1"),
        ("grey", "rgb+alpha", "3 channels by a model of 1"),
        ("colour", "grey", "1 channels by a model of 3"),
    ],
)
def test_a_forged_number_of_channels(square_models, kind, other, words):
    data = compress(picture(kind, 8, 8), square_models[kind]).data
    alpha = Tile(b"", 0, 33) if other == "rgb+alpha" else None
    with pytest.raises(DamagedFile, match=words):
        decompress(forged(data, other, alpha), square_models[kind])


@pytest.mark.parametrize("method", [0, 29, 64])
def test_a_forged_alpha_plane_of_tiles(square_models, method):
    """A colour network codes no grey tiles."""
    data = compress(picture("colour", 8, 8), square_models["colour"]).data
    with pytest.raises(DamagedFile, match="which the model has not|1 channels by a model of 3"):
        decompress(forged(data, "rgb+alpha", Tile(b"\1", 0, method)), square_models["colour"])


def test_damaged_payloads_are_found(square_models):
    for kind, model in square_models.items():
        data = compress(picture(kind, 16, 16), model, order=ORDERS[0]).data
        (tile,) = container.read(data).picture.tiles
        payload = bytearray(tile.payload)
        payload[len(payload) // 2] ^= 4
        for wrong in (bytes(payload), b"\xff" * 60, b""):
            with pytest.raises(DamagedFile, match="does not decode"):
                decompress(forged(data, payload=wrong), model)
        assert tile.method == InOrder(0)
