"""Files that are kept: they decode to their pixels, and coding these again gives their bytes, on every machine.

`python tools/make_golden.py` writes them anew when the draft of the format or a shipped model changes.
"""

import io
import json
from dataclasses import replace

import pytest

import runtime
from codec import models
from codec.codec import decompress
from codec.format import alpha, container
from codec.format.method import METHODS
from codec.jpeg.keep import keep, restore
from tests.codec.golden import ALL, CASES, FOLDER, SHIPPED, TINY, case_data, case_file, case_image, shipped_hash

AGAIN = "python tools/make_golden.py writes the table anew"


@pytest.fixture(scope="module")
def tiny():
    """The model by both kinds of product."""
    return [runtime.load(TINY, threads=1, products=products) for products in ("integer", "float32")]


def parsed(data: bytes) -> container.Parsed:
    """A file, but for an alpha plane by LZMA, whose bytes are up to the library that packs it."""
    found = container.unpack(data)
    by_lzma = found.alpha is not None and alpha.unpack(found.alpha, len(found.tiles)) is None
    return replace(found, alpha=None) if by_lzma else found


def test_nothing_else_is_kept():
    files = {TINY.name, SHIPPED.name, "kept.jpg", "kept.lmc", *(case_file(name).name for name in CASES)}
    assert {path.name for path in FOLDER.iterdir()} == files


@pytest.mark.parametrize("name", CASES)
def test_a_kept_file(tiny, name):
    data, image = case_file(name).read_bytes(), case_image(name)
    for model in tiny:
        assert image.difference(decompress(data, replace(model, threads=2))) is None
        assert parsed(case_data(name, model)) == parsed(data)


def test_every_method_and_mode_is_kept():
    files = {name: parsed(case_file(name).read_bytes()) for name in CASES}
    assert {METHODS[tile.method] for tile in files["every_method"].tiles} == set(ALL) and files["every_method"].alpha
    assert METHODS[files["screen"].tiles[0].method].colours
    assert {file.header.mode for file in files.values()} == set(container.MODES)


def test_a_kept_jpeg():
    data, packed = (FOLDER / "kept.jpg").read_bytes(), (FOLDER / "kept.lmc").read_bytes()
    assert restore(container.read_kept(io.BytesIO(packed))) == data
    parts = keep(data).kept, container.read_kept(io.BytesIO(packed))
    around = [4 + 1 + int.from_bytes(kept.payload[:4], "little") for kept in parts]  # packed by the library at hand
    assert parts[0].payload[around[0] :] == parts[1].payload[around[1] :]


@pytest.mark.parametrize("effort", models.EFFORTS)
def test_what_a_shipped_model_makes_of_a_photograph(effort):
    kept = json.loads(SHIPPED.read_text())
    model = runtime.load(models.resolve(models.DEFAULTS[effort]), threads=1)
    assert model.manifest.model_id in kept, f"another model is shipped: {AGAIN}"
    assert shipped_hash(model, effort) == kept[model.manifest.model_id][effort], f"its files are others: {AGAIN}"
