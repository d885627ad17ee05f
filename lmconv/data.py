"""Training pictures: crops of one size from a folder or a zip, with the predictor's bases, prepared once and cached.

A prepared set is a folder of .npy files read through memory maps: pixels uint8 [N, 3, S, S] and, for every variant
used, bases int16 [N, 3, S, S] in 1/64 grey level, computed on the oriented crop by the runtime's own predictor.
"""
import hashlib
import io
import json
import multiprocessing
import os
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from runtime.predictor import Settings, predict_picture
from runtime.variants import orient

SUFFIXES = (".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".jpg", ".jpeg")


class DataError(ValueError):
    """A data set that cannot be read or holds nothing of the wanted size."""


@dataclass(frozen=True)
class Prepared:
    """pixels uint8 [N, 3, S, S]; bases[v] int16 [N, 3, S, S] of the crops in variant v."""
    pixels: np.ndarray
    bases: dict[int, np.ndarray]
    digest: str

    def __len__(self) -> int:
        return len(self.pixels)

    def window(self, index: int, variant: int, row: int, column: int, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Pixels uint8 and bases int16 [3, size, size] of crop `index` in `variant`."""
        box = (slice(None), slice(row, row + size), slice(column, column + size))
        return orient(self.pixels[index], variant)[box], self.bases[variant][index][box]


def pictures(source: Path):
    """Yields (name, uint8 [H, W, 3]) of every picture in a folder (recursively) or a zip, in order of name."""
    source = Path(source)
    if source.is_dir():
        names = sorted(p for p in source.rglob("*") if p.suffix.lower() in SUFFIXES)
        opened = ((str(p.relative_to(source)), p.read_bytes()) for p in names)
    elif zipfile.is_zipfile(source):
        archive = zipfile.ZipFile(source)
        names = sorted(n for n in archive.namelist() if Path(n).suffix.lower() in SUFFIXES)
        opened = ((name, archive.read(name)) for name in names)
    else:
        raise DataError(f"{source} is neither a folder nor a zip of images")
    for name, data in opened:
        try:
            with Image.open(io.BytesIO(data)) as image:
                yield name, np.asarray(image.convert("RGB"))
        except (UnidentifiedImageError, OSError) as error:
            raise DataError(f"{name} in {source} cannot be read as an image: {error}") from error


def crops(source: Path, size: int) -> np.ndarray:
    """Every picture cut into a grid of size x size crops, uint8 [N, 3, size, size]. Raises DataError if there are none."""
    found = []
    for _, picture in pictures(source):
        for row in range(0, picture.shape[0] - size + 1, size):
            for column in range(0, picture.shape[1] - size + 1, size):
                found.append(picture[row:row + size, column:column + size].transpose(2, 0, 1))
    if not found:
        raise DataError(f"{source} holds no picture of at least {size} x {size} pixels")
    return np.stack(found)


def prepare(source: Path, cache: Path, size: int, variants: tuple[int, ...], settings: Settings = Settings(),
            workers: int = 0, progress: bool = True) -> Prepared:
    """Crops with bases in every variant, from the cache where they are there already.

    `workers` 0 uses all cores. A cache folder belongs to one set of pixels and one set of predictor settings; it is
    filled file by file, so an interrupted preparation goes on where it stopped.
    """
    pixels = crops(source, size)
    digest = hashlib.sha256(pixels.tobytes() + json.dumps(asdict(settings)).encode()).hexdigest()
    folder = Path(cache) / digest[:16]
    folder.mkdir(parents=True, exist_ok=True)
    for variant in variants:
        path = folder / f"bases_{variant}.npy"
        if not path.exists():
            _save(path, _bases(pixels, variant, settings, workers, progress))
    bases = {variant: np.load(folder / f"bases_{variant}.npy", mmap_mode="r") for variant in variants}
    return Prepared(pixels, bases, digest)


def _bases(pixels: np.ndarray, variant: int, settings: Settings, workers: int, progress: bool) -> np.ndarray:
    oriented = (np.ascontiguousarray(orient(crop, variant)) for crop in pixels)
    bar = dict(total=len(pixels), desc=f"predicting, variant {variant}", unit="crop", disable=not progress)
    workers = workers or os.cpu_count() or 1
    if workers == 1:
        return np.stack([predict_picture(crop, settings) for crop in tqdm(oriented, **bar)])
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        return np.stack(list(tqdm(pool.imap(_Task(settings), oriented, chunksize=8), **bar)))


@dataclass(frozen=True)
class _Task:
    settings: Settings

    def __call__(self, crop: np.ndarray) -> np.ndarray:
        return predict_picture(crop, self.settings)


def _save(path: Path, array: np.ndarray) -> None:
    partial = path.with_suffix(".partial")
    with open(partial, "wb") as file:
        np.save(file, array)
    os.replace(partial, path)
