"""Models by name, by path, by the identity in a file and by effort."""

import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from codec import models
from codec.errors import ModelNotFound, WrongModel
from codec.images.samples import Samples


@dataclass(frozen=True)
class Manifest:
    name: str
    model_id: str
    layout: object = None


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
    with pytest.raises(ModelNotFound, match="none is there"):
        models.resolve("photo")


def test_every_effort_has_a_model():
    assert models.EFFORTS == ("fast", "normal", "best") == tuple(models.DEFAULTS)
    assert {models.resolve(name).stem for name in models.DEFAULTS.values()} == {"photo", "photo-small"}
    for effort in ("", "9", None):
        with pytest.raises(ValueError, match="not one of fast, normal, best"):
            models.check_effort(effort)


def test_where_a_users_bundles_are(tmp_path, monkeypatch):
    monkeypatch.setenv("LMCONV_MODELS", str(tmp_path / "here"))
    assert models.folder() == tmp_path / "here"
    monkeypatch.delenv("LMCONV_MODELS")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert models.folder() == tmp_path / "lmconv" / "models"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert models.folder() == tmp_path / ".local" / "share" / "lmconv" / "models"


# Which models a picture is tried with


class Loads:
    """Loads the names of bundles, and notes them."""

    def __call__(self, path):
        return path.stem


@pytest.fixture
def small(monkeypatch):
    """Bundles of squares of 8 x 8 and of 4 x 4, beside the effort's."""
    from runtime.pixelcnn import PixelCnnLayout

    def bundle(name, side, channels=3, binary=False):
        layout = object.__new__(PixelCnnLayout)
        for part, value in {"height": side, "width": side, "channels": channels, "binary": binary}.items():
            object.__setattr__(layout, part, value)
        return models.Available(name, Path(f"{name}.lmconv"), Manifest(name, "", layout))

    found = [bundle("eight", 8), models.Available("photo", Path("photo.lmconv"), Manifest("photo", ""))]
    found += [bundle("four", 4), bundle("four grey", 4, 1), bundle("four black and white", 4, 1, True)]
    monkeypatch.setattr(models, "available", lambda: found)
    monkeypatch.setattr(models, "resolve", lambda name: Path(f"{name}.lmconv"))


@pytest.mark.parametrize(
    ("side", "names"), [(4, ["eight", "four"]), (8, ["eight", "four"]), (16, ["eight"]), (17, [])], ids=str
)
@pytest.mark.parametrize("name", [None, "auto"])
def test_small_pictures_are_tried_by_models_of_their_size(small, side, names, name):
    samples = Samples.of(np.zeros((side, side, 3), np.uint8))
    assert models.Choice(name, "best", Loads())(samples) == ["photo", *names]
    assert models.Choice("photo", "best", Loads())(samples) == ["photo"]
    assert models.Choice(name, "fast", Loads())(samples) == ["photo-small"]
    deep = Samples.of(np.zeros((side, side), np.uint16) + 999)
    assert models.Choice(name, "best", Loads())(deep) == ["photo"]


def test_small_pictures_are_tried_by_models_of_their_colours(small):
    grey, colours = np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.uint8)
    expected = {"four grey", "four black and white"}
    assert set(models.Choice(None, "best", Loads())(Samples.of(grey))) == {"photo", *expected}
    assert set(models.Choice(None, "best", Loads())(Samples.of(np.uint8([[0, 255]])))) == {"photo", *expected}
    assert models.Choice(None, "best", Loads())(Samples.of(np.uint8([[0, 254]]))) == ["photo", "four grey"]
    indices = Samples(grey[..., None], 8, "palette", colours[0])
    assert models.Choice(None, "best", Loads())(indices) == ["photo", "eight", "four"]


def test_a_model_that_is_named_is_not_tried_twice(small):
    samples = Samples.of(np.zeros((4, 4, 3), np.uint8))
    assert models.Choice("eight", "normal", Loads())(samples) == ["eight"]
    assert models.Choice(None, "normal", Loads()).first() == "photo-small"
