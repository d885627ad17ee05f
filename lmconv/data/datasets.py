"""Data sets of small images: one array of pixels, and the grid of levels that a network is to learn.

Sources: cifar10, mnist and celeba through torchvision, a folder or zip of images, a .npy or .npz array. Pixels are
kept with 8 bits, uint8 [N, C, H, W], as all resizing comes before the step to fewer: levels = pixels >> (8 - bits), or
one bit by one of two conventions, `stochastic` (1 with probability pixel / 255) and `threshold` (pixel > 127).
"""

import hashlib
import json
import zipfile
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from lmconv.config import BINARISATIONS, ImageConfig
from lmconv.data import pictures, sounds
from lmconv.data.pictures import DataError
from runtime.files import whole

TORCHVISION = ("cifar10", "mnist", "celeba")
SPLITS = ("train", "test")
CACHE = Path("~/.cache/lmconv")
ALL = "all"  # the split of a source that is not split
_COLOURS = {1: "grey", 3: "colour"}
_BATCH = 256  # images resized at a time
_OF_OLD = ("channels", "bits", "binarisation", "seed")  # of a grid, in digests whatever they are


@dataclass(frozen=True)
class Grid:
    """What a network takes: channels, levels 0 .. 2^bits - 1, and how bits are made of grey, None if they are not.

    `seed` is that of the stochastic convention where images keep their draws, in evaluation. `numbers`: pixels are
    levels as they are, such as indices, which cannot be resized. `planes` and `classes` are given with every image.
    """

    channels: int
    bits: int = 8
    binarisation: str | None = None
    seed: int = 0
    numbers: bool = False
    planes: int = 0
    classes: int = 0

    def __post_init__(self) -> None:
        if self.binarisation not in (None, *BINARISATIONS):
            raise DataError(f"a binarisation is {' or '.join(BINARISATIONS)}, not {self.binarisation!r}")

    def levels(self, pixels: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        """uint8 of 8 bits -> levels, the same shape; `rng` draws, by default one of `seed`."""
        if self.binarisation == "stochastic":
            rng = rng or np.random.default_rng(self.seed)
            return (rng.integers(255, size=pixels.shape, dtype=np.uint8) < pixels).astype(np.uint8)
        return pixels if self.numbers else pixels >> np.uint8(8 - (1 if self.binarisation else self.bits))

    def __str__(self) -> str:
        if self.binarisation is None:
            return f"numbers below {2**self.bits}" if self.numbers else f"{self.bits} bits"
        seed = f", seed {self.seed}" if self.binarisation == "stochastic" else ""
        return f"{self.binarisation} binarisation{seed}"


def grid(network: ImageConfig, binarisation: str = "stochastic", seed: int = 0) -> Grid:
    """The grid of a network; the convention is for binary ones alone."""
    return Grid(
        network.channels,
        network.bits,
        binarisation if network.binary else None,
        seed,
        network.categorical,
        network.planes,
        network.classes,
    )


@dataclass(frozen=True, eq=False)
class ImageSet:
    """`pixels` uint8 [N, C, H, W] with 8 bits of a data set's split, and their grid; `planes` uint8 [N, P, H, W] and
    `labels` [N] that are given with them, None where the grid has none."""

    pixels: np.ndarray
    name: str
    split: str
    grid: Grid
    planes: np.ndarray | None = None
    labels: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.pixels)

    @cached_property
    def levels(self) -> np.ndarray:
        """uint8 [N, C, H, W], 0 .. 2^bits - 1, the same whenever they are asked for."""
        return self.grid.levels(self.pixels)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the pixels, their shape and the grid."""
        grid = {name: value for name, value in asdict(self.grid).items() if name in _OF_OLD or value}
        digest = hashlib.sha256(json.dumps([self.pixels.shape, grid]).encode())
        for array in (self.pixels, self.planes, self.labels):
            if array is not None:
                digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def given(self, rows: np.ndarray | slice, size: tuple[int, int] | None = None) -> np.ndarray | None:
        """What is given with some of the images: planes, then for each class one of 255 or 0, uint8 [n, P, H, W]. size:
        of images that are resized, with which only labels can be given."""
        parts = [] if self.planes is None else [self.planes[rows]]
        if self.labels is not None:
            parts.append(planes_of(self.labels[rows], self.grid.classes, *(size or self.pixels.shape[2:])))
        return np.concatenate(parts, 1) if parts else None

    def first(self, count: int) -> "ImageSet":
        """The set of the first so many images; a stochastic convention draws for them what it drew before."""
        planes, labels = (None if part is None else part[:count] for part in (self.planes, self.labels))
        return replace(self, pixels=self.pixels[:count], planes=planes, labels=labels)

    def on(self, other: Grid) -> "ImageSet":
        """The same pixels on another grid."""
        return replace(self, grid=other)

    def about(self) -> dict:
        """What results name, for JSON."""
        return {
            "name": self.name,
            "split": self.split,
            "images": len(self),
            "height": self.pixels.shape[2],
            "width": self.pixels.shape[3],
            **asdict(self.grid),
            "digest": self.digest,
        }

    def __str__(self) -> str:
        _, channels, height, width = self.pixels.shape
        return f"{self.name}, {self.split}: {len(self)} images {height}x{width}x{channels}, {self.grid}"


def load(
    source: str | Path,
    split: str,
    grid: Grid,
    size: tuple[int, int] | None = None,
    folder: Path | None = None,
    download: bool = False,
) -> ImageSet:
    """Reads a split, "train" or "test", of a data set; a source without splits is given whole, as split "all".

    `size` (height, width): images are cropped at the centre and shrunk to it; without one all must be of one size.
    A .wav file or a folder of such gives rows of samples (sounds.py), images of a height of 1. A folder or zip is split
    by its subfolders train/ and test/, a .npz by its keys train_images and test_images, or
    x_train and x_test as Keras has them, arrays [N, H, W] or [N, H, W, C]. Torchvision's sets lie in `folder`, by
    default ~/.cache/lmconv, and `download` fetches them; a folder or zip is decoded once for a `folder` that is given.
    Raises DataError.
    """
    path = Path(source)
    if str(source) in TORCHVISION:
        pixels = _torchvision(str(source), split, size, (folder or CACHE).expanduser(), download)
    elif path.suffix in (".npy", ".npz") and path.is_file():
        pixels, split = _array(path, split)
    elif sounds.at(path):
        pixels, split = _sounds(path, split, size)
    elif path.exists():
        if folder is None:
            pixels, split = _images(path, split, grid.channels, size)
        else:
            pixels, split = _decoded_once(path, split, grid.channels, size, folder.expanduser())
    else:
        raise DataError(
            f"there is no data set {str(source)!r}: known are {', '.join(TORCHVISION)}, and paths of "
            f"a folder or zip of images, a .npz or a .npy"
        )
    name = str(source) if str(source) in TORCHVISION else path.name
    if pixels.shape[1] != grid.channels:
        raise DataError(
            f"{source} holds {_COLOURS[pixels.shape[1]]} images, the network is for {_COLOURS[grid.channels]} images"
        )
    if not len(pixels):
        raise DataError(f"{source} holds no images for {split}")
    if grid.numbers:
        _check_numbers(pixels, grid, size, name)
    if grid.binarisation and pixels.max() <= 1:  # the source is binary itself
        pixels = pixels * np.uint8(255)
    planes, labels = _given(path, split, grid, pixels.shape, size)
    return ImageSet(fit(pixels, *size, name) if size else pixels, name, split, grid, planes, labels)


def planes_of(labels: np.ndarray, classes: int, height: int, width: int) -> np.ndarray:
    """Labels [N] -> uint8 [N, classes, H, W], 255 all over the plane of an image's label."""
    hot = 255 * (labels[:, None] == np.arange(classes)).astype(np.uint8)
    return np.broadcast_to(hot[:, :, None, None], (*hot.shape, height, width))


def _given(
    path: Path, split: str, grid: Grid, shape: tuple[int, ...], size: tuple[int, int] | None
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The planes and labels that a network wants with its images, of a .npz. Raises DataError."""
    if not (grid.planes or grid.classes):
        return None, None
    if path.suffix != ".npz" or not path.is_file():
        raise DataError(f"{path} has no planes or labels: they are in a .npz, beside the images")
    planes = labels = None
    with np.load(path, allow_pickle=False) as arrays:
        if grid.planes:
            planes = _one_of(arrays, [f"{split}_planes"], path)
            planes = (planes[..., None] if planes.ndim == 3 else planes).transpose(0, 3, 1, 2)
            wanted = (shape[0], grid.planes, *shape[2:])
            if planes.dtype != np.uint8 or planes.shape != wanted or (size and size != shape[2:]):
                raise DataError(f"planes are uint8 {list(wanted)} of {size or shape[2:]}, not {list(planes.shape)}")
        if grid.classes:
            labels = _one_of(arrays, [f"{split}_labels", f"y_{split}"], path).reshape(-1)
            if (
                labels.dtype.kind not in "iu"
                or len(labels) != shape[0]
                or not 0 <= labels.min() <= labels.max() < grid.classes
            ):
                raise DataError(f"labels are a whole number below {grid.classes} for each of {shape[0]} images")
    return planes, labels


def _one_of(arrays: Any, keys: list[str], path: Path) -> np.ndarray:
    """The first array of a .npz that it has. Raises DataError."""
    for key in keys:
        if key in arrays:
            return arrays[key]
    raise DataError(f"{path} has no array {' or '.join(keys)}: it has {', '.join(arrays.files) or 'none'}")


def _check_numbers(pixels: np.ndarray, grid: Grid, size: tuple[int, int] | None, name: str) -> None:
    """Raises DataError for numbers that the grid has not, or that would have to be resized."""
    if pixels.max() >> grid.bits:
        raise DataError(f"{name} holds {pixels.max()}, the network is for numbers below {2**grid.bits}")
    if size and pixels.shape[2:] != size:
        raise DataError(f"{name} has {pixels.shape[2]}x{pixels.shape[3]} numbers, which cannot be resized to {size}")


def fit(pixels: np.ndarray, height: int, width: int, name: str = "an image") -> np.ndarray:
    """uint8 [N, C, H, W] -> [N, C, height, width]: cropped at the centre to the proportions, then shrunk.

    Raises DataError for images that are smaller.
    """
    h, w = pixels.shape[2:]
    if (h, w) == (height, width):
        return pixels
    if h < height or w < width:
        raise DataError(f"{name} has {h}x{w} pixels, fewer than the {height}x{width} asked for")
    scale = min(h / height, w / width)
    rows, columns = round(height * scale), round(width * scale)
    top, left = (h - rows) // 2, (w - columns) // 2
    return resize(pixels[:, :, top : top + rows, left : left + columns], height, width)


def resize(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """uint8 [N, C, H, W] -> uint8 [N, C, height, width], bilinear with antialias, rounded."""
    if pixels.shape[2:] == (height, width):
        return pixels
    resized = np.empty((*pixels.shape[:2], height, width), np.uint8)
    for start in range(0, len(pixels), _BATCH):
        part = torch.tensor(pixels[start : start + _BATCH], dtype=torch.float32)
        part = F.interpolate(part, (height, width), mode="bilinear", antialias=True)
        resized[start : start + _BATCH] = part.round().clamp(0, 255).to(torch.uint8).numpy()
    return resized


def _torchvision(name: str, split: str, size: tuple[int, int] | None, folder: Path, download: bool) -> np.ndarray:
    try:
        from torchvision import datasets
    except (ImportError, RuntimeError) as error:  # RuntimeError: one that was built for another PyTorch
        raise DataError(f"{name} is read by torchvision ({error}): pip install 'lmconv[datasets]'") from error
    try:
        if name == "cifar10":
            return _planes(datasets.CIFAR10(folder, train=split == "train", download=download).data, name)
        if name == "mnist":
            return _planes(datasets.MNIST(folder, train=split == "train", download=download).data.numpy(), name)
        faces = datasets.CelebA(folder, split=split, target_type=[], download=download)
    except RuntimeError as error:
        raise DataError(f"{name} cannot be read from {folder}: {error} (--download fetches it)") from error
    planes = (_planes(np.asarray(faces[index][0])[None], name) for index in range(len(faces)))
    return np.concatenate([fit(face, *size, name) if size else face for face in planes])


def _sounds(path: Path, split: str, size: tuple[int, int] | None) -> tuple[np.ndarray, str]:
    if size is None or size[0] != 1:
        raise DataError(f"{path} holds rows of samples: ask for images of one row, as wide as they are to be long")
    if path.is_dir() and any((path / name).is_dir() for name in SPLITS):
        return sounds.rows(path / split, size[1]), split
    return sounds.rows(path, size[1]), ALL


def _array(path: Path, split: str) -> tuple[np.ndarray, str]:
    try:
        loaded = np.load(path, mmap_mode="r", allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return _planes(loaded, path.name), ALL
        with loaded as arrays:
            keys = [f"{split}_images", f"x_{split}"]  # ours, and Keras'
            return _planes(_one_of(arrays, keys, path), f"{' or '.join(keys)} in {path.name}"), split
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} cannot be read as an array: {error}") from error


def _planes(array: np.ndarray, name: str) -> np.ndarray:
    """uint8 [N, H, W] or [N, H, W, C] -> [N, C, H, W]."""
    planes = array[..., None] if array.ndim == 3 else array
    if array.dtype != np.uint8 or planes.ndim != 4 or planes.shape[3] not in _COLOURS or 0 in planes.shape[1:]:
        raise DataError(f"{name} holds {array.dtype} {list(array.shape)}, not uint8 [N, H, W] or [N, H, W, 1 or 3]")
    return np.ascontiguousarray(planes.transpose(0, 3, 1, 2))


def _decoded_once(
    source: Path, split: str, channels: int, size: tuple[int, int] | None, folder: Path
) -> tuple[np.ndarray, str]:
    """`_images`, kept in a folder for as long as no file of the source has changed."""
    files = sorted(source.rglob("*")) if source.is_dir() else [source]
    states = [(str(file.relative_to(source)), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    key = json.dumps([str(source.resolve()), states, split, channels, size])
    kept = folder / f"images-{hashlib.sha256(key.encode()).hexdigest()[:32]}.npz"
    try:
        with np.load(kept, allow_pickle=False) as found:
            return found["pixels"], str(found["split"])
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        pass
    pixels, split = _images(source, split, channels, size)
    folder.mkdir(parents=True, exist_ok=True)
    with whole(kept) as file:
        np.savez(file, pixels=pixels, split=split)
    return pixels, split


def _images(source: Path, split: str, channels: int, size: tuple[int, int] | None) -> tuple[np.ndarray, str]:
    names = pictures.names(source)
    if any(name.split("/")[0] in SPLITS for name in names):
        names = [name for name in names if name.startswith(f"{split}/")]
    else:
        split = ALL
    found: list[np.ndarray] = []
    for name, content in pictures.read(source, names):
        image = _planes(pictures.decode(name, content, source)[None], name)
        if image.shape[1] != channels:
            raise DataError(
                f"{name} in {source} is a {_COLOURS[image.shape[1]]} image, "
                f"the network is for {_COLOURS[channels]} images"
            )
        image = fit(image, *size, f"{name} in {source}") if size else image
        if found and image.shape != found[0].shape:
            raise DataError(
                f"{name} in {source} has {image.shape[2]}x{image.shape[3]} pixels, others "
                f"{found[0].shape[2]}x{found[0].shape[3]}: ask for one size"
            )
        found.append(image)
    if not found:
        raise DataError(f"{source} holds no images for {split}")
    return np.concatenate(found), split
