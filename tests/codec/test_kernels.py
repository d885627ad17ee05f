"""Where compiled kernels are kept: a folder for exactly these sources, below the cache that the user names."""
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runtime import kernels

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("runtime", "codec")
SOURCES = sorted(str(path.relative_to(ROOT)) for room in ROOMS for path in (ROOT / room).glob("*.py"))
DATA = sorted(str(path.relative_to(ROOT)) for room in ROOMS for path in (ROOT / room).glob("*.npz"))


def copied(folder: Path) -> Path:
    for room in ROOMS:
        shutil.copytree(ROOT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__", "bundles", "demo"))
    return folder


@pytest.fixture
def copy(tmp_path, monkeypatch) -> Path:
    """Both rooms in another place, which kernels then takes for its own; edit them freely."""
    root = copied(tmp_path / "copy")
    monkeypatch.setattr(kernels, "__file__", str(root / "runtime" / "kernels.py"))
    return root


@pytest.fixture
def no_cache_named(monkeypatch):
    for name in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_every_room_with_kernels_is_looked_at():
    rooms = [package.parent for package in ROOT.glob("*/__init__.py")]
    found = {room.name for room in rooms for path in room.rglob("*.py") if "@kernel" in path.read_text("utf-8")}
    assert found == set(ROOMS) == set(kernels._ROOMS)
    deeper = [path for room in ROOMS for path in (ROOT / room).glob("*/**/*.*")]
    assert not [path for path in deeper if path.suffix == ".npz"]
    assert not [path for path in deeper if path.suffix == ".py" and "@kernel" in path.read_text("utf-8")]


def test_the_folder_is_named_by_the_contents_alone(copy, no_cache_named):
    here = kernels._folder()
    assert here == Path.home() / ".cache" / "lmconv" / here.name
    for source in SOURCES:
        os.utime(copy / source, (0, 0))
    assert kernels._folder() == here
    kernels.__file__ = str(ROOT / "runtime" / "kernels.py")         # monkeypatch puts back what was there first
    assert kernels._folder() == here


@pytest.mark.parametrize("source", SOURCES + DATA)
def test_any_change_of_a_source_changes_the_folder(copy, source):
    """Even of a comment: what a kernel calls may stand in another file, and what it looks up in a table of data."""
    path, before = copy / source, kernels._folder()
    original = path.read_bytes()
    path.write_bytes(original + b"# a remark\n")
    assert kernels._folder().name != before.name
    path.write_bytes(original)
    assert kernels._folder() == before
    path.unlink()
    assert kernels._folder().name != before.name


@pytest.mark.parametrize(("numba", "xdg", "expected"), [
    (None, None, "home/.cache"), (None, "xdg", "xdg"), ("numba", None, "numba"), ("numba", "xdg", "numba"),
    ("", "xdg", "xdg"), ("", "", "home/.cache")])
def test_the_user_names_the_cache(tmp_path, monkeypatch, no_cache_named, numba, xdg, expected):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name, value in (("NUMBA_CACHE_DIR", numba), ("XDG_CACHE_HOME", xdg)):
        if value is not None:
            monkeypatch.setenv(name, value and str(tmp_path / value))
    assert kernels._folder().parent == tmp_path / expected / "lmconv"


CODE = """
import numpy as np
from runtime import kernels
before = kernels.compiled()
from codec.coder import as_float
as_float(np.ones(1, np.int32), np.empty(1))
print(kernels.FOLDER, before, kernels.compiled(), sum(as_float.stats.cache_hits.values()))
"""


def run(root: Path, code: str, **environment) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA_", "XDG_"))}
    done = subprocess.run([sys.executable, "-c", code], cwd=root, env=clean | environment, text=True,
                          capture_output=True, check=True, timeout=300)
    return done.stdout


@pytest.mark.parametrize("name", ["NUMBA_CACHE_DIR", "XDG_CACHE_HOME"])
def test_kernels_are_compiled_once_and_kept(tmp_path, name):
    """From a second process on nothing is compiled; with another version of the program everything is."""
    root, cache = copied(tmp_path / "copy"), tmp_path / "cache"
    words = [run(root, CODE, **{name: str(cache)}).split() for _ in range(2)]
    folder = Path(words[0][0])
    assert folder.parent == cache / "lmconv"
    assert words == [[str(folder), "False", "True", "0"], [str(folder), "True", "True", "1"]]
    assert list(folder.rglob("*.nbc")) and not list(root.rglob("*.nbc"))
    with (root / "codec" / "binarisation.py").open("a") as source:
        source.write("# a remark\n")
    other, *rest = run(root, CODE, **{name: str(cache)}).split()
    assert Path(other) != folder and rest == ["False", "True", "0"]


CLASSES = """
import numpy as np
from codec.mixing import Mixing
from runtime.least_squares import Predictor
tables = {"exponential": np.ones(1024, int), "inverse_scale": np.ones(321, int), "deviation": np.ones(321, int),
          "logistic": np.arange(4097) << 10}
state = Mixing(Predictor(1, 1), 1, 1, tables, False)
state.weigh(np.zeros((1, 10), np.int32))
state.open(0, np.zeros(1, np.int32), np.zeros(1, np.uint8), np.full(1, -1, np.int16))
print(state._classes[0, 0])
"""
OTHER_CLASSES = """
import numpy as np
tables = dict(np.load("codec/tables.npz"))
tables["error_class"][:] = 23
np.savez("codec/tables.npz", **tables)
"""


@pytest.mark.slow
def test_kernels_do_not_keep_another_versions_tables(tmp_path):
    """numba writes arrays that a kernel finds in its module into the machine code it keeps."""
    root = copied(tmp_path / "copy")
    before = run(root, CLASSES, NUMBA_CACHE_DIR=str(tmp_path / "cache"))
    run(root, OTHER_CLASSES)
    after = run(root, CLASSES, NUMBA_CACHE_DIR=str(tmp_path / "cache"))
    assert int(before) < 23 and int(after) == 23
