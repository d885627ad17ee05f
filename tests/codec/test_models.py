"""Models by name, by path, by the identity in a file and by effort."""

import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from codec import models
from codec.errors import ModelNotFound, WrongModel


@dataclass(frozen=True)
class Manifest:
    name: str
    model_id: str


@pytest.fixture
def bundles(tmp_path, monkeypatch):
    """A folder of two shipped bundles; the text of each is its model id."""
    runtime = ModuleType("runtime")
    runtime.read_manifest = lambda path: Manifest(Path(path).stem, Path(path).read_text())
    monkeypatch.setitem(sys.modules, "runtime", runtime)
    folder = tmp_path / "bundles"
    folder.mkdir()
    (folder / "photo.lmconv").write_text("ab" * 32)
    (folder / "drawing.lmconv").write_text("cd" * 32)
    monkeypatch.setattr(models, "BUNDLES", folder)
    return folder


def test_shipped_bundles_are_listed_by_name(bundles):
    assert [(m.name, m.path, m.manifest.model_id) for m in models.available()] == [
        ("drawing", bundles / "drawing.lmconv", "cd" * 32),
        ("photo", bundles / "photo.lmconv", "ab" * 32),
    ]


def test_a_name_means_the_shipped_bundle_and_anything_else_a_path(bundles, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photo").write_text("in the way")
    own = tmp_path / "own.lmconv"
    own.write_text("ef" * 32)
    assert models.resolve("photo") == bundles / "photo.lmconv"
    assert models.resolve("./photo") == Path("./photo")
    assert models.resolve("own.lmconv") == Path("own.lmconv")
    assert models.resolve(own) == own


def test_an_unknown_name_is_answered_with_the_known_ones(bundles):
    with pytest.raises(ModelNotFound, match="'painting'.*drawing, photo"):
        models.resolve("painting")


def test_a_file_s_model_is_found_among_the_shipped_ones(bundles):
    assert models.find(b"\xcd" * 6) == bundles / "drawing.lmconv"
    with pytest.raises(ModelNotFound, match="efefefefefef,.*--model"):
        models.find(b"\xef" * 6)


def test_a_given_bundle_must_be_the_file_s(bundles, tmp_path):
    own = tmp_path / "own.lmconv"
    own.write_text("ef" * 32)
    assert models.find(b"\xef" * 6, own) == own
    with pytest.raises(WrongModel, match="model abababababab, but .*own.lmconv is model efefefefefef"):
        models.find(b"\xab" * 6, own)


def test_a_package_without_bundles_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(models, "BUNDLES", tmp_path / "none")
    with pytest.raises(ModelNotFound, match="none is shipped"):
        models.resolve("photo")


def test_every_effort_has_a_model():
    assert models.EFFORTS == ("fast", "normal", "best") == tuple(models.DEFAULTS)
    assert {models.resolve(name).stem for name in models.DEFAULTS.values()} == {"photo", "photo-small"}
    for effort in ("", "9", None):
        with pytest.raises(ValueError, match="not one of fast, normal, best"):
            models.check_effort(effort)
