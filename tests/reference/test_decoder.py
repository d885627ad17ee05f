"""What the codec writes, the plain decoder reads: the same pixels, from docs/format.md and the bundle alone."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import runtime
from codec.entropy.range_coder import Encoder
from codec.format import alpha, container
from codec.format.method import MADE, InOrder, Learning, Method
from codec.format.method import METHODS as CODES
from codec.jpeg.born import made_by
from codec.jpeg.origin import read_origin
from codec.jpeg.pixels import pixels
from codec.tile_coders import tile_coder
from export.bundle import export_bundle
from runtime.variants import orient
from tests import bundles
from tests.codec.golden import CASES, TINY, case_file, case_image
from tests.codec.modelling.test_lattice import from_video
from tests.export.checkpoints import checkpoint_of
from tests.export.pixelcnn import squares
from tests.pictures import checker, magnified, noise, photograph, screen, two_values
from tests.reference import bundle, decoder, jpeg_pixels
from tests.reference.container import METHODS as METHODS_READ
from tests.reference.container import Refused
from tests.test_rooms import imported

HERE = Path(__file__).parent
METHODS = [method for method in CODES.values() if isinstance(method, Method) and not method.reconstruction]
ALL = Method(colours=True)
PLAIN = Method(False, Learning.NONE)


@pytest.fixture(scope="session")
def tiny_reference(tiny_bundle):
    return bundle.read(tiny_bundle)


@pytest.fixture(scope="session")
def square_references(square_bundles):
    return {kind: bundle.read(path) for kind, path in square_bundles.items()}


def written(model, planes, method, variant=0, tile=1024, plane=None, of_alpha=None, made=None) -> bytes:
    """A file of planes, uint8 [C, H, W], in tiles of any side; of_alpha: method of the alpha plane's tiles, if any;
    made: what a JPEG makes, which stands in the file as one byte."""
    mode = "L" if len(planes) == 1 else "RGB" if plane is None else "RGBA"
    model_id = container.short_id(model.manifest.model_id)
    header = container.Header(planes.shape[2], planes.shape[1], mode, model_id, variant, tile)

    def coded(planes, method) -> list[container.Tile]:
        found = []
        for box in header.boxes:
            rows, columns = slice(box.row, box.row + box.height), slice(box.col, box.col + box.width)
            encoder, part = Encoder(), planes[:, rows, columns]
            given = [] if made is None else [np.array(orient(made[:, rows, columns], variant), order="C")]
            pixels = np.array(orient(part, variant), order="C")
            tile_coder(model).code(encoder, pixels, method, 1, lambda pixels: None, *given)
            found.append(container.Tile(encoder.finish(), container.pixels_crc(part.transpose(1, 2, 0)), method.code))
        return found

    payload = None
    if plane is not None:
        payload = alpha.pack(coded(plane[None], of_alpha)) if of_alpha else alpha.encode(plane)
    return container.pack(header, coded(planes, method), payload, None if made is None else b"a")


def agree(model, reference, planes, method, variant=0, tile=1024, plane=None, of_alpha=None) -> None:
    found = decoder.decoded(written(model, planes, method, variant, tile, plane, of_alpha), reference)
    whole = planes if plane is None else np.concatenate([planes, plane[None]])
    np.testing.assert_array_equal(found, whole.transpose(1, 2, 0))


@pytest.mark.parametrize("name", CASES)
def test_kept_files(name):
    """By the model that is kept with them: every method, every mode, another variant."""
    found = decoder.decoded(case_file(name).read_bytes(), bundle.read(TINY), made_by)
    np.testing.assert_array_equal(found, case_image(name).pixels)


@pytest.mark.parametrize("channels", [1, 3], ids=["grey", "colour"])
@pytest.mark.parametrize("method", METHODS, ids=str)
def test_every_method(tiny_model, tiny_reference, method, channels):
    """Smooth ones, and one of more colours than the palette keeps; on a lattice what is on it and what is not."""
    pictures = [photograph(8, 11), magnified(23, 9, 2, 50), noise(1, 1), two_values(2, 3), screen(1, 17)]
    for planes in [from_video(method.lattice, 7, 9), noise(2, 3)] if method.lattice else pictures:
        agree(tiny_model, tiny_reference, planes[:channels], method)


@pytest.mark.parametrize("channels", [1, 3], ids=["grey", "colour"])
@pytest.mark.parametrize("method", [method for method in CODES.values() if method.reconstruction], ids=str)
def test_what_a_jpeg_makes(tiny_model, tiny_reference, method, channels):
    """Several tiles of which most is right, or all, in a variant."""
    planes, made = photograph(11, 19)[:channels], photograph(11, 19)[:channels]
    if method != MADE:
        made[:, 3:6, 4:10] = noise(3, 6)[:channels]
        made[0, -1, 0] = 255
        data = written(tiny_model, planes, method, 5, 16, made=made)
    else:
        model_id = container.short_id(tiny_model.manifest.model_id)
        tile = container.Tile(b"", container.pixels_crc(planes.transpose(1, 2, 0)), MADE.code)
        header = container.Header(19, 11, "L" if channels == 1 else "RGB", model_id, 5)
        data = container.pack(header, [tile], None, b"a")
    found = decoder.decoded(data, tiny_reference, lambda source, height, width: made)
    np.testing.assert_array_equal(found, planes.transpose(1, 2, 0))
    with pytest.raises(Refused):
        decoder.decoded(container.pack(*_parts(data), None), tiny_reference)


def _parts(data: bytes) -> tuple:
    parsed = container.unpack(data)
    return parsed.header, parsed.tiles, parsed.alpha


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


@pytest.mark.parametrize("of_alpha", [None, *METHODS], ids=str)
def test_alpha(tiny_model, tiny_reference, of_alpha):
    planes, plane = photograph(7, 12), noise(7, 12)[0] // 60 * 60
    agree(tiny_model, tiny_reference, planes, PLAIN, 6, 8, plane, of_alpha)


@pytest.mark.parametrize("order", range(len(squares.ORDERS)))
@pytest.mark.parametrize("kind", squares.KINDS)
def test_the_papers_networks(square_models, square_references, kind, order):
    """In every order; with squares cut off at the edges, several tiles, variants, alpha."""
    model, reference, make = square_models[kind], square_references[kind], two_values if kind == "binary" else noise
    channels, ways = reference.layout["channels"], [(0, 1024), (5, 16)]
    for size, (variant, tile) in [((1, 1), ways[0]), ((10, 19), ways[0]), ((9, 17), ways[1])]:
        agree(model, reference, make(*size)[:channels], InOrder(order), variant, tile)
    if channels == 3:
        agree(model, reference, noise(3, 4), InOrder(order), plane=noise(3, 4)[1])


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
    planes = photograph(3, 4)
    data = written(tiny_model, planes, PLAIN, plane=planes[0])
    for i in range(len(data)):
        with pytest.raises(Refused):
            decoder.decoded(data[:i] + bytes([data[i] ^ 1]) + data[i + 1 :], tiny_reference)
    parsed = container.unpack(data)
    for wrong in (
        {"payload": parsed.tiles[0].payload[:-1]},
        {"pixels_crc": 0},
        {"method": 1},
        {"method": 64},
    ):
        with pytest.raises(Refused):
            tile = replace(parsed.tiles[0], **wrong)
            decoder.decoded(container.pack(parsed.header, [tile], parsed.alpha), tiny_reference)
    with pytest.raises(Refused, match="another model"):
        decoder.decoded(data, square_references["colour"])


def test_methods_are_the_codecs():
    assert METHODS_READ == set(CODES)


def test_it_stands_alone():
    """Nothing of the codec, nor of what it is built on but NumPy."""
    for path in set(HERE.glob("*.py")) - set(HERE.glob("test_*.py")):
        names = imported(path.read_text("utf-8"), f"tests.reference.{path.stem}")
        strangers = {name for name in names if not name.startswith("tests.reference")}
        assert {name.split(".")[0] for name in strangers} <= {*sys.stdlib_module_names, "numpy"}
