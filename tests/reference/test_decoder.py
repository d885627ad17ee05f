"""What the codec writes, the plain decoder reads: the same pixels, from docs/format.md and the bundle alone."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import runtime
from codec.format import container
from codec.format.container import Contents
from codec.format.forms import Ranks, chosen
from codec.format.method import MADE, NEEDS_JPEG, Independent, InOrder, Learning, Method
from codec.format.method import METHODS as CODES
from codec.format.picture import KINDS
from codec.images.samples import Samples
from codec.jpeg.born import Source, made_by
from codec.jpeg.origin import read_origin
from codec.jpeg.pixels import pixels
from export.bundle import export_bundle
from tests import bundles
from tests.codec.golden import CASES, TINY, case_file, case_image
from tests.codec.modelling.test_lattice import from_video
from tests.export.checkpoints import checkpoint_of
from tests.export.pixelcnn import squares
from tests.pictures import checker, magnified, noise, photograph, screen, two_values
from tests.reference import bundle, decoder, jpeg_pixels
from tests.reference.container import GROUPS, Refused
from tests.reference.container import METHODS as METHODS_READ
from tests.small_tiles import tiled
from tests.test_rooms import imported

HERE = Path(__file__).parent
METHODS = [
    pytest.param(method, marks=pytest.mark.slow if method.lattice > 1 else (), id=str(method))  # conversions are alike
    for method in CODES.values()
    if isinstance(method, Method) and not method.reconstruction
]
ALL = Method(colours=True)
PLAIN = Method(False, Learning.NONE)


@pytest.fixture(scope="session")
def tiny_reference(tiny_bundle):
    return bundle.read(tiny_bundle)


@pytest.fixture(scope="session")
def square_references(square_bundles):
    return {kind: bundle.read(path) for kind, path in square_bundles.items()}


def agree(model, reference, planes, method, variant=0, tile=1024, others=(), of_others=()) -> None:
    """A file of planes, uint8 [C, H, W], and of others by methods of theirs, in tiles of any side."""
    samples = Samples.of(np.ascontiguousarray(np.concatenate([planes, *others]).transpose(1, 2, 0)))
    data = tiled(samples, model, method, side=tile, variant=variant, of_others=of_others or (PLAIN,))
    np.testing.assert_array_equal(decoder.decoded(data, reference), samples.values)


LARGE = ("every_method", "turned", "made", "deep")  # they take half a minute to two


@pytest.mark.parametrize(
    "name", [pytest.param(each, marks=pytest.mark.slow if each in LARGE else ()) for each in CASES]
)
def test_kept_files(name):
    """By the model that is kept with them: every method, every kind, forms, another variant."""
    data = case_file(name).read_bytes()
    found = decoder.decoded(data, bundle.read(TINY), made_by)
    np.testing.assert_array_equal(found, case_image(name).values)


@pytest.mark.parametrize("channels", [1, 3], ids=["grey", "colour"])
@pytest.mark.parametrize("method", METHODS)
def test_every_method(tiny_model, tiny_reference, method, channels):
    """Smooth ones, and one of more colours than the palette keeps; on a lattice what is on it and what is not."""
    pictures = [photograph(5, 7), noise(1, 1), two_values(2, 3), screen(1, 17)]
    pictures += [magnified(23, 9, 2, 50)] if method.palette else [magnified(3, 5, 2)] if method.colours else []
    for planes in [from_video(method.lattice, 5, 7), noise(2, 3)] if method.lattice else pictures:
        agree(tiny_model, tiny_reference, planes[:channels], method)


@pytest.mark.parametrize("channels", [1, 3], ids=["grey", "colour"])
@pytest.mark.parametrize("method", sorted(NEEDS_JPEG, key=lambda method: method.code), ids=str)
def test_what_a_jpeg_makes(tiny_model, tiny_reference, method, channels):
    """Several tiles of which most is right, or all, in a variant."""
    planes, made = photograph(11, 19)[:channels], photograph(11, 19)[:channels]
    if method != MADE:
        made[:, 3:6, 4:10] = noise(3, 6)[:channels]
        made[0, -1, 0] = 255
    samples = Samples.of(np.ascontiguousarray(planes.transpose(1, 2, 0)))
    data = tiled(samples, tiny_model, method, variant=5, source=Source(b"a", None, made))
    found = decoder.decoded(data, tiny_reference, lambda source, height, width: made)
    np.testing.assert_array_equal(found, samples.values)
    with pytest.raises(Refused):
        decoder.decoded(container.pack(replace(container.read(data), jpeg=None)), tiny_reference)


@pytest.mark.parametrize("kind", [0, 1, 2, 3, 4, 8, 9, 10, 11])
def test_planes_of_a_jpeg(kind):
    """From coefficients of all sizes, by quality and by tables of its own."""
    rng = np.random.default_rng(kind)
    for place, height, width, quality in [
        (0, 1, 1, 75),
        (0x5A, 21, 30, 90),
        (0xF0, 7, 50, 0),
        (7, 33, 2, 12),
        (3, 150, 5, 60),
    ]:
        tables = b"" if quality else rng.integers(1, 256, 64 * (1 if kind == 4 else 2)).astype(np.uint8).tobytes()
        data = bytes([place, kind, quality, 7]) + tables + b"rest"
        (origin, rest), (plain, others) = read_origin(data), jpeg_pixels.read(data)
        frame, sizes = origin.frame(height, width), plain.blocks(height, width)
        assert rest == others and sizes == [(part.rows, part.stride) for part in frame.components]
        blocks = [rng.integers(-40, 41, (*size, 64)) // rng.integers(1, 60, 64) for size in sizes]
        coefficients = np.concatenate([part.reshape(-1, 64) for part in blocks]).astype(np.int16)
        whole = pixels(frame, origin.steps, coefficients, origin.smooth)
        expected = whole[origin.row :, origin.column :].transpose(2, 0, 1)
        np.testing.assert_array_equal(plain.planes(blocks, height, width), expected)


@pytest.mark.parametrize("size", [(1, 40), (40, 1), (2, 19), (21, 3)], ids=str)
def test_long_and_narrow_ones(tiny_model, tiny_reference, size):
    agree(tiny_model, tiny_reference, photograph(*size), Method())
    agree(tiny_model, tiny_reference, checker(*size), ALL)


@pytest.mark.parametrize("variant", range(8))
def test_every_variant_in_several_tiles(tiny_model, tiny_reference, variant):
    """2 x 3 tiles of 8 and less, no two sides alike."""
    agree(tiny_model, tiny_reference, photograph(9, 17), PLAIN, variant, tile=8)
    agree(tiny_model, tiny_reference, magnified(5, 11, 2)[:1], Method(False, colours=True), variant)


@pytest.mark.parametrize("method", METHODS)
def test_further_channels(tiny_model, tiny_reference, method):
    planes, plane = photograph(7, 12), noise(7, 12)[:1] // 60 * 60
    agree(tiny_model, tiny_reference, planes, PLAIN, 6, 8, [plane], (method,))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_and_depth(tiny_model, tiny_reference, kind):
    """In several tiles, some of one value."""
    for depth in (1, 2, 4, 8):
        planes = np.concatenate([photograph(9, 17), noise(9, 17)])[: KINDS[kind].channels] >> 8 - depth
        planes[:, :, :6] = 1
        palette = noise(1, 1 << depth)[:, 0].T.copy() if kind.startswith("palette") else None
        samples = Samples(np.ascontiguousarray(planes.transpose(1, 2, 0)), depth, kind, palette)
        ways = (Independent.CONSTANT, PLAIN, PLAIN)
        data = tiled(samples, tiny_model, *ways[:2], Method(), side=8, of_others=ways)
        np.testing.assert_array_equal(decoder.decoded(data, tiny_reference), samples.values)


@pytest.mark.parametrize("depth", [1, 3, 8, 16])
@pytest.mark.parametrize("channels", [1, 3])
def test_tiles_of_one_value(tiny_model, tiny_reference, channels, depth):
    dtype = np.uint8 if depth <= 8 else np.uint16
    for value in (0, 1, (1 << depth) - 1):
        samples = Samples(np.full((3, 20, channels), value, dtype), depth, "rgb" if channels == 3 else "grey")
        data = tiled(samples, tiny_model, Independent.CONSTANT, variant=6)
        found = decoder.decoded(data, tiny_reference)
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, samples.values)


@pytest.mark.parametrize("channels", [1, 3])
def test_exact_colours_alone(tiny_model, tiny_reference, channels):
    for planes in (screen(20, 37), photograph(9, 12), magnified(15, 40, 4)):
        agree(tiny_model, tiny_reference, planes[:channels], Independent.FLAT, 3, 16, [planes[2:]], (Independent.FLAT,))


@pytest.mark.parametrize("depth", [9, 12, 16])
@pytest.mark.parametrize("kind", ["grey", "rgb+alpha", "cmyk"])
def test_deep_samples(tiny_model, tiny_reference, kind, depth):
    """In several tiles and a variant, one of them of one value."""
    wide = np.concatenate([photograph(11, 17), noise(11, 17)])[: KINDS[kind].channels].astype(np.uint16) << depth - 8
    samples = Samples(np.ascontiguousarray((wide + noise(11, 17)[0] % 2).transpose(1, 2, 0)), depth, kind)
    samples.values[:, :6] = 3
    ways = (Independent.CONSTANT, Independent.DEEP, Independent.DEEP)
    found = decoder.decoded(tiled(samples, tiny_model, *ways, side=8, variant=5, of_others=ways), tiny_reference)
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, samples.values)


@pytest.mark.parametrize("repeats", [False, True])
def test_palettes_as_colours(tiny_model, tiny_reference, repeats):
    """A colour that stands twice means its first index."""
    palette = noise(1, 16)[:, 0].T.copy()
    if repeats:
        palette[13:] = palette[2]
    samples = Samples((photograph(9, 12)[:1] // 20).transpose(1, 2, 0).copy(), 8, "palette", palette)
    form = chosen(samples.values, 8, palette)
    assert form.code == 2 and form.count == 3
    data = tiled(samples, tiny_model, Method(), side=8, forms=(form,))
    np.testing.assert_array_equal(decoder.decoded(data, tiny_reference), samples.values)
    wrong = replace(container.read(data).picture, header=replace(container.read(data).picture.header, palette=b"abc"))
    with pytest.raises(Refused, match="a colour that the palette has not"):
        decoder.decoded(container.pack(Contents(wrong)), tiny_reference)


@pytest.mark.parametrize("depth", [4, 8, 12, 16])
def test_ranks(tiny_model, tiny_reference, depth):
    dtype = np.uint8 if depth <= 8 else np.uint16
    kept = [np.unique(noise(1, 9, seed)[0, 0].astype(np.int64) * 257 >> 16 - depth).astype(dtype) for seed in range(3)]
    form = Ranks(tuple(kept), depth)
    values = np.stack([each[plane % len(each)] for each, plane in zip(kept, noise(9, 12) // 30)], 2)
    data = tiled(Samples(values, depth, "rgb"), tiny_model, PLAIN, side=8, forms=(form,))
    found = decoder.decoded(data, tiny_reference)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize("order", range(len(squares.ORDERS)))
@pytest.mark.parametrize("kind", squares.KINDS)
def test_the_papers_networks(square_models, square_references, kind, order):
    """In every order; with squares cut off at the edges, several tiles, variants, alpha."""
    model, reference, make = square_models[kind], square_references[kind], two_values if kind == "binary" else noise
    channels, ways = reference.layout["channels"], [(0, 1024), (5, 16)]
    for size, (variant, tile) in [((1, 1), ways[0]), ((10, 19), ways[0]), ((9, 17), ways[1])]:
        agree(model, reference, make(*size)[:channels], InOrder(order), variant, tile)
    if channels == 3:
        alpha = np.full((1, 3, 4), 7, np.uint8)
        agree(model, reference, noise(3, 4), InOrder(order), others=[alpha], of_others=(Independent.CONSTANT,))


def test_a_network_of_another_shape(tmp_path):
    """What the shared bundles have not: no norm, a window of 5, two blocks in a group."""
    network = replace(squares.KINDS["grey"], norm="none", kernel=5, resnets=2, mask_weight=False)
    made, path = checkpoint_of(network, squares.checkpoint("grey").training), tmp_path / "other.lmconv"
    export_bundle(made, path, "other", squares.levels("grey", 8), orders=squares.ORDERS[:1])
    agree(runtime.load(path, threads=1), bundle.read(path), photograph(9, 8)[:1], InOrder(0))


def test_more_squares_than_are_coded_together(square_bundles, tmp_path):
    """Of 2 x 2, with smaller ones at both edges."""
    tables = bundles.tensors(bundles.members(square_bundles["binary"])[bundles.TABLES])
    tables |= {name: table[:2, :2] for name, table in tables.items() if name.startswith("rank.")}
    path, parts = tmp_path / "small.lmconv", {bundles.TABLES: bundles.packed(tables)}
    bundles.forge(path, square_bundles["binary"], parts, height=2, width=2)
    agree(runtime.load(path, threads=1), bundle.read(path), two_values(35, 37)[:1], InOrder(0))


def test_what_no_encoder_writes_is_refused(tiny_model, tiny_reference, square_references):
    """Every altered byte; whatever decodes to other pixels under right checksums; another model."""
    samples = Samples.of(np.ascontiguousarray(photograph(3, 4)[[0, 1, 2, 0]].transpose(1, 2, 0)))
    data = tiled(samples, tiny_model, PLAIN, of_others=(PLAIN,))
    picture = container.read(data).picture
    first, second = (len(tile.payload) for tile in picture.tiles)
    for i in set(range(len(data))) - {len(data) - 1, len(data) - second - 1}:  # where nothing may hang on a bit
        with pytest.raises(Refused):
            decoder.decoded(data[:i] + bytes([data[i] ^ 1]) + data[i + 1 :], tiny_reference)
    for wrong in ({"payload": picture.tiles[0].payload[:-1]}, {"crc": 0}, {"code": 1}, {"code": 64}, {"code": 33}):
        with pytest.raises(Refused):
            first = replace(picture.groups[0], tiles=(replace(picture.tiles[0], **wrong),))
            decoder.decoded(
                container.pack(Contents(replace(picture, groups=(first, *picture.groups[1:])))), tiny_reference
            )
    with pytest.raises(Refused, match="other samples"):
        decoder.decoded(container.pack(Contents(replace(picture, digest=bytes(8)))), tiny_reference)
    with pytest.raises(Refused, match="another model"):
        decoder.decoded(data, square_references["colour"])


def test_what_needs_no_model_is_decoded_by_any(tiny_model, square_references):
    samples = Samples.of(np.full((3, 4, 3), 9, np.uint8))
    data = tiled(samples, tiny_model, Independent.CONSTANT)
    np.testing.assert_array_equal(decoder.decoded(data, square_references["colour"]), samples.values)


def test_methods_and_kinds_are_the_codecs():
    assert METHODS_READ == set(CODES)
    planes = [tuple(each.stop - each.start for each in kind.groups) for kind in KINDS.values()]
    assert tuple(planes) == GROUPS and [kind.code for kind in KINDS.values()] == list(range(8))


def test_it_stands_alone():
    """Nothing of the codec, nor of what it is built on but NumPy."""
    for path in set(HERE.glob("*.py")) - set(HERE.glob("test_*.py")):
        names = imported(path.read_text("utf-8"), f"tests.reference.{path.stem}")
        strangers = {name for name in names if not name.startswith("tests.reference")}
        assert {name.split(".")[0] for name in strangers} <= {*sys.stdlib_module_names, "numpy"}
