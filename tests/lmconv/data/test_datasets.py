"""Data sets: the same images from any source, on the grid of levels that was asked for, or a clear sentence."""

import hashlib
import io
import os
import shutil
import sys
import types
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lmconv.config import PixelCnnConfig
from lmconv.data import datasets
from lmconv.data.datasets import Grid, ImageSet, fit, resize
from lmconv.data.pictures import DataError
from tests.lmconv.tiny import pixels

GREY, COLOUR = Grid(1), Grid(3)


def png(image: np.ndarray, mode: str | None = None) -> bytes:
    """[H, W] or [H, W, C]."""
    file = io.BytesIO()
    picture = Image.fromarray(image)
    (picture.convert(mode) if mode else picture).save(file, "png")
    return file.getvalue()


def hwc(images: np.ndarray) -> np.ndarray:
    return np.moveaxis(images, 1, -1).squeeze(-1) if images.shape[1] == 1 else np.moveaxis(images, 1, -1)


@pytest.fixture(params=["folder", "zip"])
def source(request, tmp_path):
    """Makes a folder or a zip of files."""

    def make(files: dict[str, bytes]):
        path = tmp_path / ("images.zip" if request.param == "zip" else "images")
        if request.param == "zip":
            with zipfile.ZipFile(path, "w") as archive:
                for name, content in files.items():
                    archive.writestr(name, content)
        for name, content in files.items():
            if request.param == "folder":
                (path / name).parent.mkdir(parents=True, exist_ok=True)
                (path / name).write_bytes(content)
        return path

    return make


# Grids of levels


@pytest.mark.parametrize("bits", range(1, 9))
def test_bits_are_the_highest_ones(bits):
    values = np.arange(256, dtype=np.uint8)
    levels = Grid(1, bits).levels(values)
    assert levels.dtype == np.uint8
    np.testing.assert_array_equal(levels, values // 2 ** (8 - bits))
    assert set(levels) == set(range(2**bits))


def test_threshold_is_at_half():
    values = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(Grid(1, 1, "threshold").levels(values), values > 127)


def test_stochastic_bits_have_the_pixels_probabilities():
    """20000 draws each: a deviation of 5 standard deviations has a chance below 1e-6, for five values 3e-6."""
    values = np.array([0, 1, 100, 254, 255], np.uint8)
    levels = Grid(1, 1, "stochastic", seed=3).levels(np.repeat(values[:, None], 20000, 1))
    p = values / 255
    assert set(np.unique(levels)) == {0, 1}
    assert (np.abs(levels.mean(1) - p) <= 5 * np.sqrt(p * (1 - p) / 20000)).all()


def test_a_stochastic_set_is_drawn_once_and_for_all():
    grid = Grid(1, 1, "stochastic", seed=7)
    images = ImageSet(pixels(12, 1), "ramps", "test", grid)
    again = ImageSet(pixels(12, 1), "ramps", "test", grid)
    np.testing.assert_array_equal(images.levels, again.levels)
    np.testing.assert_array_equal(images.levels[:5], images.first(5).levels)
    assert (images.levels != images.on(Grid(1, 1, "stochastic", seed=8)).levels).any()
    assert (images.levels != images.on(Grid(1, 1, "threshold")).levels).any()
    other = np.random.default_rng(7)
    assert (grid.levels(images.pixels, other) == images.levels).all()
    assert (grid.levels(images.pixels, other) != images.levels).any()  # training draws anew each time


def test_the_convention_is_named():
    binary = PixelCnnConfig(channels=1, bits=1, binary=True)
    images = ImageSet(pixels(3, 1), "ramps", "test", datasets.grid(binary, "stochastic", 5))
    assert str(images) == "ramps, test: 3 images 6x5x1, stochastic binarisation, seed 5"
    assert images.about()["binarisation"] == "stochastic" and images.about()["seed"] == 5
    assert "threshold binarisation" in str(images.on(datasets.grid(binary, "threshold")))
    assert str(datasets.grid(PixelCnnConfig(bits=5), "threshold")) == "5 bits"
    with pytest.raises(DataError, match="a binarisation is stochastic or threshold, not 'dithered'"):
        Grid(1, 1, "dithered")


def test_digest_is_of_pixels_shape_and_grid():
    images = ImageSet(pixels(4), "ramps", "test", COLOUR)
    assert len(images.digest) == len(hashlib.sha256().hexdigest())
    assert ImageSet(pixels(4), "others", "train", COLOUR).digest == images.digest
    changed = images.pixels.copy()
    changed[3, 2, 5, 4] ^= 1
    turned = np.ascontiguousarray(images.pixels.reshape(4, 3, 5, 6))
    others = [
        ImageSet(changed, "ramps", "test", COLOUR),
        ImageSet(turned, "ramps", "test", COLOUR),
        images.on(Grid(3, 5)),
    ]
    assert len({images.digest, *(other.digest for other in others)}) == 4


# Sizes


def test_resizing_is_bilinear_with_antialias():
    """Against Pillow's, which rounds inside: one level of difference."""
    images = np.random.default_rng(0).integers(0, 256, (3, 3, 24, 36), dtype=np.uint8)
    for height, width in ((8, 12), (10, 7), (30, 36)):
        resized = resize(images, height, width)
        assert resized.dtype == np.uint8 and resized.shape == (3, 3, height, width)
        expected = [
            np.asarray(Image.fromarray(hwc(images)[i]).resize((width, height), Image.Resampling.BILINEAR))
            for i in range(3)
        ]
        assert np.abs(hwc(resized).astype(int) - np.stack(expected)).max() <= 1
    assert resize(images, 24, 36) is images


def test_many_images_are_resized_as_one_is(monkeypatch):
    images = pixels(9)
    whole = resize(images, 3, 4)
    monkeypatch.setattr(datasets, "_BATCH", 2)
    np.testing.assert_array_equal(resize(images, 3, 4), whole)


def test_fit_crops_at_the_centre_and_shrinks():
    image = np.zeros((1, 1, 8, 4), np.uint8)
    image[:, :, 2:6] = 200
    np.testing.assert_array_equal(fit(image, 4, 4), np.full((1, 1, 4, 4), 200))
    np.testing.assert_array_equal(fit(image, 2, 2), np.full((1, 1, 2, 2), 200))
    assert fit(image, 8, 4) is image
    with pytest.raises(DataError, match="a.png has 8x4 pixels, fewer than the 4x5 asked for"):
        fit(image, 4, 5, "a.png")


def test_bits_are_dropped_after_resizing(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (4, 9, 9), dtype=np.uint8)
    np.save(tmp_path / "a.npy", images)
    levels = datasets.load(tmp_path / "a.npy", "test", Grid(1, 3), (6, 6)).levels
    np.testing.assert_array_equal(levels, resize(images[:, None], 6, 6) >> 5)
    assert (levels != resize(images[:, None] >> 5, 6, 6)).any()  # the other way round


# Sources


def test_folder_and_zip(source):
    images = pixels(4)
    files = {f"b{index}/x.png": png(image) for index, image in enumerate(hwc(images))}
    found = datasets.load(source(files | {"notes.txt": b"hello"}), "test", COLOUR)
    np.testing.assert_array_equal(found.pixels, images)
    assert found.split == "all" and found.name.startswith("images")


def test_subfolders_are_splits(source):
    images = hwc(pixels(5, 1))
    path = source({f"{'train' if index < 3 else 'test'}/{index}.png": png(image) for index, image in enumerate(images)})
    for split, part in (("train", images[:3]), ("test", images[3:])):
        found = datasets.load(path, split, GREY)
        np.testing.assert_array_equal(hwc(found.pixels), part)
        assert found.split == split


def test_images_of_many_sizes_become_one(source):
    rng = np.random.default_rng(0)
    sides = [(9, 9), (8, 20), (31, 12)]
    path = source({f"{h}.png": png(rng.integers(0, 256, (h, w, 3), dtype=np.uint8)) for h, w in sides})
    assert datasets.load(path, "train", COLOUR, (8, 8)).pixels.shape == (3, 3, 8, 8)
    with pytest.raises(DataError, match="8.png in .* has 8x20 pixels, others 31x12: ask for one size"):
        datasets.load(path, "train", COLOUR)
    with pytest.raises(DataError, match="8.png in .* has 8x20 pixels, fewer than the 9x9 asked for"):
        datasets.load(path, "train", COLOUR, (9, 9))


def test_palettes_are_colours_and_one_bit_is_grey(source):
    image = hwc(pixels(1))[0]
    path = source({"a.png": png(image, "P")})
    np.testing.assert_array_equal(
        hwc(datasets.load(path, "test", COLOUR).pixels)[0],
        np.asarray(Image.open(io.BytesIO(png(image, "P"))).convert("RGB")),
    )
    path = source({"a.png": png(image, "1")})
    assert set(datasets.load(path, "test", GREY).levels.ravel()) <= {0, 255}


@pytest.mark.parametrize(
    ("mode", "grid", "message"),
    [
        ("L", COLOUR, "a.png in .* is a grey image, the network is for colour"),
        ("RGB", GREY, "a.png in .* is a colour image, the network is for grey"),
        ("RGBA", COLOUR, "a.png in .* is of mode RGBA: convert it"),
        ("LA", GREY, "a.png in .* is of mode LA"),
    ],
)
def test_wrong_image_modes(source, mode, grid, message):
    with pytest.raises(DataError, match=message):
        datasets.load(source({"a.png": png(hwc(pixels(1))[0], mode)}), "test", grid)


def test_folders_without_what_was_asked_for(source):
    with pytest.raises(DataError, match="holds no images for all"):
        datasets.load(source({"notes.txt": b"hello"}), "train", GREY)
    path = source({"train/a.png": png(hwc(pixels(1, 1))[0])})
    with pytest.raises(DataError, match="holds no images for test"):
        datasets.load(path, "test", GREY)
    with pytest.raises(DataError, match="a.png in .* cannot be read as an image"):
        datasets.load(source({"train/a.png": b"hello"}), "train", GREY)


def test_arrays(tmp_path):
    grey, colour = pixels(5, 1), pixels(4)
    np.savez(tmp_path / "a.npz", train_images=hwc(grey), test_images=hwc(grey)[:2], train_labels=np.arange(5))
    np.save(tmp_path / "b.npy", hwc(colour))
    found = datasets.load(tmp_path / "a.npz", "train", GREY)
    np.testing.assert_array_equal(found.pixels, grey)
    assert (found.name, found.split, len(datasets.load(tmp_path / "a.npz", "test", GREY))) == ("a.npz", "train", 2)
    found = datasets.load(tmp_path / "b.npy", "test", COLOUR)
    np.testing.assert_array_equal(found.pixels, colour)
    assert (found.name, found.split) == ("b.npy", "all")
    np.save(tmp_path / "c.npy", hwc(colour)[..., :1])
    np.testing.assert_array_equal(datasets.load(tmp_path / "c.npy", "test", GREY).pixels, colour[:, :1])


def test_keras_names_are_known(tmp_path):
    images = pixels(3, 1)[:, 0]
    np.savez(tmp_path / "mnist.npz", x_train=images, y_train=np.zeros(3), x_test=images[:1], y_test=np.zeros(1))
    assert len(datasets.load(tmp_path / "mnist.npz", "train", GREY)) == 3
    np.testing.assert_array_equal(datasets.load(tmp_path / "mnist.npz", "test", GREY).pixels[0, 0], images[0])


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_images_are_decoded_once(tmp_path, monkeypatch, kind):
    folder, decoded, usual = tmp_path / "set", [], datasets.pictures.decode
    (folder / "train").mkdir(parents=True)
    images = pixels(3)
    for number, image in enumerate(hwc(images)):
        (folder / "train" / f"{number}.png").write_bytes(png(image))
    source = folder
    if kind == "zip":
        source = Path(shutil.make_archive(str(tmp_path / "set"), "zip", folder))
    monkeypatch.setattr(datasets.pictures, "decode", lambda *given: decoded.append(given[0]) or usual(*given))
    for _ in range(2):
        found = datasets.load(source, "train", COLOUR, folder=tmp_path / "cache")
        np.testing.assert_array_equal(found.pixels, images)
        assert found.split == "train" and len(decoded) == 3
    datasets.load(source, "train", COLOUR, (4, 4), tmp_path / "cache")
    assert len(decoded) == 6  # another size
    datasets.load(source, "train", COLOUR)
    assert len(decoded) == 9  # nowhere to keep them
    os.utime(source if kind == "zip" else folder / "train" / "0.png", (1, 1))
    datasets.load(source, "train", COLOUR, folder=tmp_path / "cache")
    assert len(decoded) == 12
    for kept in (tmp_path / "cache").iterdir():
        kept.write_bytes(b"broken")
    np.testing.assert_array_equal(datasets.load(source, "train", COLOUR, folder=tmp_path / "cache").pixels, images)


def test_numbers_are_levels_as_they_are(tmp_path):
    labels = np.arange(3 * 4 * 4, dtype=np.uint8).reshape(3, 4, 4) % 10
    np.save(tmp_path / "labels.npy", labels)
    numbers = datasets.grid(PixelCnnConfig(channels=1, bits=4, categorical=True))
    found = datasets.load(tmp_path / "labels.npy", "train", numbers, (4, 4))
    np.testing.assert_array_equal(found.levels[:, 0], labels)
    assert str(found).endswith("4x4x1, numbers below 16")
    with pytest.raises(DataError, match="labels.npy holds 9, the network is for numbers below 8"):
        datasets.load(tmp_path / "labels.npy", "train", replace(numbers, bits=3))
    with pytest.raises(DataError, match=r"has 4x4 numbers, which cannot be resized to \(2, 2\)"):
        datasets.load(tmp_path / "labels.npy", "train", numbers, (2, 2))


def test_planes_and_labels(tmp_path):
    images, rng = pixels(3, 1)[:, 0], np.random.default_rng(0)
    planes, labels = rng.integers(256, size=(3, 6, 5, 2), dtype=np.uint8), np.array([[2], [0], [1]])
    np.savez(tmp_path / "a.npz", x_train=images, y_train=labels, train_planes=planes, test_images=images[:1])
    given = replace(GREY, planes=2, classes=3)
    found = datasets.load(tmp_path / "a.npz", "train", given)
    both = found.given(np.array([1, 2]))
    np.testing.assert_array_equal(both[:, :2], planes[1:].transpose(0, 3, 1, 2))
    assert both[:, 2:, 0, 0].tolist() == [[255, 0, 0], [0, 255, 0]] and (both[:, 2:] == both[:, 2:, :1, :1]).all()
    assert len(found.first(2).given(slice(None))) == 2 and found.first(2).digest != found.digest
    assert datasets.load(tmp_path / "a.npz", "train", GREY).given(slice(None)) is None
    for grid, split, message in (
        (given, "test", "has no array test_planes"),
        (replace(GREY, classes=3), "test", "has no array test_labels or y_test"),
        (replace(GREY, classes=2), "train", "labels are a whole number below 2 for each of 3 images"),
        (replace(GREY, planes=3), "train", "planes are uint8"),
    ):
        with pytest.raises(DataError, match=message):
            datasets.load(tmp_path / "a.npz", split, grid)
    np.save(tmp_path / "b.npy", images)
    with pytest.raises(DataError, match="has no planes or labels"):
        datasets.load(tmp_path / "b.npy", "train", given)


def test_arrays_that_are_binary_already(tmp_path):
    bits = (np.random.default_rng(0).random((3, 4, 4)) < 0.5).astype(np.uint8)
    np.save(tmp_path / "a.npy", bits)
    for convention in ("stochastic", "threshold"):
        found = datasets.load(tmp_path / "a.npy", "test", Grid(1, 1, convention))
        np.testing.assert_array_equal(found.levels[:, 0], bits)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 3, 4), np.float32), r"holds float32 \[2, 3, 4\], not uint8 \[N, H, W\]"),
        (np.zeros((3, 4), np.uint8), r"holds uint8 \[3, 4\]"),
        (np.zeros((2, 3, 4, 2), np.uint8), r"\[2, 3, 4, 2\]"),
        (np.zeros((0, 3, 4), np.uint8), "holds no images for all"),
        (np.zeros((2, 0, 4), np.uint8), r"\[2, 0, 4"),
        (np.zeros((2, 3, 4, 3), np.uint8), "holds colour images, the network is for grey"),
    ],
)
def test_arrays_that_hold_no_images(tmp_path, array, message):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(DataError, match=message):
        datasets.load(tmp_path / "a.npy", "test", GREY)


def test_archives_that_are_none(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.zeros((2, 3, 4), np.uint8))
    with pytest.raises(DataError, match="a.npz has no array test_images or x_test: it has images"):
        datasets.load(tmp_path / "a.npz", "test", GREY)
    for name in ("b.npz", "c.npy"):
        (tmp_path / name).write_bytes(b"hello")
        with pytest.raises(DataError, match=f"{name} cannot be read as an array"):
            datasets.load(tmp_path / name, "test", GREY)
    np.save(tmp_path / "d.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(DataError, match="d.npy cannot be read as an array"):
        datasets.load(tmp_path / "d.npy", "test", GREY)
    for name in ("imagenet", tmp_path / "missing.npz"):
        with pytest.raises(DataError, match="there is no data set .*known are cifar10, mnist, celeba, and paths"):
            datasets.load(name, "test", GREY)
    (tmp_path / "text").write_text("hello")
    with pytest.raises(DataError, match="text is neither a folder nor a zip"):
        datasets.load(tmp_path / "text", "test", GREY)


# torchvision: a stand-in of its interface


@pytest.fixture
def torchvision(monkeypatch):
    """What was asked of it."""
    asked = []
    grey, colour = hwc(pixels(3, 1)), hwc(pixels(3))

    class Digits:
        def __init__(self, root, train, download):
            asked.append((root, train, download))
            self.data = torch.from_numpy(grey)

    class Objects:
        def __init__(self, root, train, download):
            asked.append((root, train, download))
            self.data = colour

    class Faces:
        def __init__(self, root, split, target_type, download):
            asked.append((root, split, download))
            if not download:
                raise RuntimeError("Dataset not found or corrupted.")

        def __len__(self):
            return 3

        def __getitem__(self, index):
            return Image.fromarray(colour[index]), None

    module = types.ModuleType("torchvision")
    module.datasets = types.SimpleNamespace(MNIST=Digits, CIFAR10=Objects, CelebA=Faces)
    monkeypatch.setitem(sys.modules, "torchvision", module)
    return asked


def test_named_sets(torchvision, tmp_path):
    found = datasets.load("mnist", "train", GREY, folder=tmp_path)
    np.testing.assert_array_equal(found.pixels, pixels(3, 1))
    assert (found.name, found.split) == ("mnist", "train")
    np.testing.assert_array_equal(datasets.load("cifar10", "test", COLOUR, folder=tmp_path).pixels, pixels(3))
    assert datasets.load("celeba", "test", COLOUR, (4, 4), tmp_path, download=True).pixels.shape == (3, 3, 4, 4)
    assert torchvision == [(tmp_path, True, False), (tmp_path, False, False), (tmp_path, "test", True)]
    with pytest.raises(DataError, match="celeba cannot be read from .*not found or corrupted.*--download fetches it"):
        datasets.load("celeba", "test", COLOUR, folder=tmp_path)
    with pytest.raises(DataError, match="mnist holds grey images, the network is for colour images"):
        datasets.load("mnist", "train", COLOUR, folder=tmp_path)


def test_named_sets_without_torchvision(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(DataError, match=r"cifar10 is read by torchvision .*: pip install 'lmconv\[datasets\]'"):
        datasets.load("cifar10", "train", COLOUR)
