"""Files that are kept: they decode to their pixels, and coding these again gives their bytes, on every machine.

`python tools/make_golden.py` writes them anew when the draft of the format or a shipped model changes.
"""
import hashlib
import json

import pytest

import runtime
from codec import models
from codec.codec import compress, decompress
from tests.codec.golden import CASES, FOLDER, SHIPPED, case_file, case_image, corner


@pytest.fixture(scope="module")
def small():
    return runtime.load(models.resolve("photo-small"), threads=1)


def test_nothing_else_is_kept():
    assert {path.name for path in FOLDER.iterdir()} == {SHIPPED.name, *(case_file(name).name for name in CASES)}


@pytest.mark.parametrize("name", CASES)
def test_a_kept_file(small, name):
    data, image = case_file(name).read_bytes(), case_image(name)
    assert image.difference(decompress(data, small)) is None
    assert compress(image, small, effort=CASES[name].effort).data == data


@pytest.mark.parametrize("effort", models.EFFORTS)
def test_what_a_shipped_model_makes_of_a_photograph(effort):
    kept, image = json.loads(SHIPPED.read_text())[effort], corner()
    model = runtime.load(models.resolve(models.DEFAULTS[effort]), threads=2)
    assert model.manifest.model_id == kept["model_id"], "another model is shipped: run tools/make_golden.py"
    data = compress(image, model, effort=effort).data
    assert hashlib.sha256(data).hexdigest() == kept["sha256"]
    assert image.difference(decompress(data, model)) is None
