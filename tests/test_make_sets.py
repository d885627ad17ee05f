"""tools/make_sets.py: the files it writes are what their names say."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from codec import read
from codec.tile_coders.sparseness import lattice_of
from tests.pictures import photograph

TOOL = Path(__file__).parents[1] / "tools" / "make_sets.py"


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    for seed in range(3):
        Image.fromarray(photograph(80, 96, seed).transpose(1, 2, 0)).save(folder / f"{seed}.png")
    return folder


def made(source: Path, folder: Path, *arguments: str) -> dict[str, np.ndarray]:
    """The pictures by name, uint8 [3, H, W]."""
    subprocess.run([sys.executable, TOOL, arguments[0], source, folder, *arguments[1:]], check=True, timeout=120)
    return {path.stem: np.asarray(Image.open(path).convert("RGB")).transpose(2, 0, 1) for path in folder.iterdir()}


def test_palette(source, tmp_path):
    found = made(source, tmp_path / "set", "palette", "--limit", "2", "--drawings", "1", "--size", "64x48")
    ways = [f"{colours:03}_{dither}" for colours in (16, 64, 256) for dither in ("none", "fs")]
    assert set(found) == {f"{name}_{way}" for name in ("0", "1", "drawing00") for way in ways}
    for name, picture in found.items():
        colours = len(np.unique(picture.reshape(3, -1), axis=1).T)
        assert 2 < colours <= int(name.split("_")[1]), name
        assert picture.shape[1:] == ((48, 64) if name.startswith("drawing") else (80, 96))


def test_born_jpeg(source, tmp_path):
    found = made(source, tmp_path / "set", "born_jpeg", "--limit", "2")
    ways = ("q75", "q85", "q90", "q95", "q98", "ycc")
    assert set(found) == {f"{name}_{way}" for name in "01" for way in ways}
    for name, picture in found.items():
        assert picture.shape == (3, 80, 96)
        assert name.endswith("ycc") or lattice_of(picture) == 1
        assert 0 < np.abs(picture.astype(int) - photograph(80, 96, int(name[0]))).mean() < 8


def test_deep(source, tmp_path):
    folder = tmp_path / "set"
    subprocess.run([sys.executable, TOOL, "deep", source, folder, "--limit", "2"], check=True, timeout=120)
    found = {path.stem: read(path) for path in folder.iterdir()}
    assert set(found) == {f"{name}_{kind}" for name in "01" for kind in ("gamma", "linear", "sensor12")}
    for name, samples in found.items():
        assert (samples.kind, samples.depth, samples.height, samples.width) == ("rgb", 16, 40, 48)
        low = samples.values & 15
        assert not low.any() if name.endswith("sensor12") else len(np.unique(low)) == 16
        expected = photograph(80, 96, int(name[0])).reshape(3, 40, 2, 48, 2).mean((2, 4)).transpose(1, 2, 0)
        shown = samples.values / 65535 if name.endswith("gamma") else (samples.values / 65535) ** (1 / 2.2)
        assert np.abs(255 * shown - expected).mean() < 5


def test_thumbnails(tmp_path):
    photographs = tmp_path / "photographs"
    photographs.mkdir()
    Image.fromarray(photograph(192, 192, 0).transpose(1, 2, 0)).save(photographs / "0.png")
    beside = np.arange(20, dtype=np.uint8)[:, None, None, None] + np.zeros((20, 32, 32, 3), np.uint8)
    np.savez(tmp_path / "beside.npz", train_images=beside)
    for name, options in (("alone", []), ("beside", ["--beside", tmp_path / "beside.npz"])):
        words = [sys.executable, TOOL, "thumbnails", photographs, tmp_path / name, *options]
        subprocess.run(words, check=True, timeout=120)
    alone, both = (np.load(tmp_path / name / "thumbnails.npz")["train_images"] for name in ("alone", "beside"))
    assert alone.shape == (1 + 4 + 9, 32, 32, 3) and both.shape == (34, 32, 32, 3)
    with np.load(tmp_path / "beside" / "thumbnails.npz") as data:
        held_out = {each.tobytes() for each in data["test_images"]}
    assert held_out == {each.tobytes() for each in both}  # all of so few are
    given = {each.tobytes() for each in beside}
    assert sum(each.tobytes() in given for each in both) == 20
    whole = photograph(192, 192, 0).mean((1, 2))
    assert min(np.abs(each.mean((0, 1)) - whole).max() for each in alone) < 1
