"""Files that are kept: they decode to their pixels, and coding these again gives their bytes, on every machine.

`python tools/make_golden.py` writes what is missing of them; files that are there stay, or the format would be another.
"""

import json
from dataclasses import replace

import pytest

import runtime
from codec import decompress, models
from codec.format import container
from codec.format.container import Contents
from codec.format.forms import form_of
from codec.format.method import METHODS, Independent, Method
from codec.format.picture import COLOURS, KINDS, RANKS
from codec.jpeg.keep import keep, restore
from tests.codec.golden import ALL, CASES, FOLDER, SHIPPED, TINY, case_data, case_file, case_image, shipped_hash

WITH_TABLES = {METHODS[203], METHODS[205]}  # whose parts are all in others
AGAIN = "python tools/make_golden.py writes the table anew"


@pytest.fixture(scope="module")
def tiny():
    """The model by both kinds of product."""
    return [runtime.load(TINY, threads=1, products=products) for products in ("integer", "float32")]


def read(data: bytes) -> Contents:
    """A file, but for lists of values that occur, whose bytes are up to the library that packs them."""
    found = container.read(data)
    header = found.picture.header
    for group, channels in zip(found.picture.groups, KINDS[header.kind].groups):
        assert group.form != RANKS or form_of(group, header, channels.stop - channels.start).used
    groups = tuple(replace(group, used=b"") for group in found.picture.groups)
    return replace(found, held=replace(found.picture, groups=groups))


def test_nothing_else_is_kept():
    files = {TINY.name, SHIPPED.name, "kept.jpg", "kept.lmc", *(case_file(name).name for name in CASES)}
    assert {path.name for path in FOLDER.iterdir()} == files


@pytest.mark.parametrize("name", CASES)
def test_a_kept_file(tiny, name):
    data, image = case_file(name).read_bytes(), case_image(name)
    for model in tiny:
        assert image.difference(decompress(data, replace(model, threads=2))) is None
        assert read(case_data(name, model)) == read(data)


def test_every_method_kind_and_form_is_kept():
    """But for those of the paper's networks."""
    files = {name: read(case_file(name).read_bytes()).picture for name in CASES}
    photo = {method for method in METHODS.values() if isinstance(method, Method)}
    found = {tile.method for file in files.values() for tile in file.tiles}
    assert set(ALL) < {tile.method for tile in files["every_method"].groups[0].tiles}
    assert photo - found <= WITH_TABLES and set(Independent) <= found
    assert {file.header.kind for file in files.values()} == set(KINDS)
    assert {file.header.depth for file in files.values()} == {1, 2, 4, 8, 10, 12, 16}
    assert files["palette"].groups[0].form == COLOURS != files["palette_repeats"].groups[0].form
    assert files["ranks"].groups[0].form == RANKS


def test_a_kept_jpeg():
    data, packed = (FOLDER / "kept.jpg").read_bytes(), (FOLDER / "kept.lmc").read_bytes()
    assert restore(container.read(packed).kept) == data
    parts = keep(data).kept, container.read(packed).kept
    around = [4 + 1 + int.from_bytes(kept.payload[:4], "little") for kept in parts]  # packed by the library at hand
    assert parts[0].payload[around[0] :] == parts[1].payload[around[1] :]


@pytest.mark.parametrize("effort", models.EFFORTS)
def test_what_a_shipped_model_makes_of_a_photograph(effort):
    kept = json.loads(SHIPPED.read_text())
    model = runtime.load(models.resolve(models.DEFAULTS[effort]), threads=1)
    assert model.manifest.model_id in kept, f"another model is shipped: {AGAIN}"
    assert shipped_hash(model, effort) == kept[model.manifest.model_id][effort], f"its files are others: {AGAIN}"
