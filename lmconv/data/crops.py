"""Training pictures: crops of one size from a folder or a zip, with the predictor's bases, prepared once and cached.

A prepared set is a folder of .npy files read through memory maps: pixels uint8 [N, 3, S, S] and, for every variant
used, bases int16 [N, 3, S, S] in 1/64 grey level, computed on the oriented crop by the runtime's own predictor.
"""

import hashlib
import json
import multiprocessing
import os
import signal
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from lmconv.data import alteration
from lmconv.data.pictures import DataError, pictures
from runtime.files import whole
from runtime.least_squares import Settings, predict_picture
from runtime.variants import orient


@dataclass(frozen=True)
class Prepared:
    """pixels uint8 [N, 3, S, S]; bases[v] int16 [N, 3, S, S] of the crops in variant v.

    altered: pixels and bases of as many altered crops (alteration.py), each in one variant, or None.
    """

    pixels: np.ndarray
    bases: dict[int, np.ndarray]
    digest: str
    altered: tuple[np.ndarray, np.ndarray] | None = None

    def __len__(self) -> int:
        return len(self.pixels)

    def window(self, index: int, variant: int | None, row: int, column: int, size: int) -> tuple[np.ndarray, ...]:
        """Pixels uint8 and bases int16 [3, size, size] of crop `index` in `variant`, or altered if that is None."""
        box = (slice(None), slice(row, row + size), slice(column, column + size))
        if variant is None:
            assert self.altered is not None, "no altered crops are prepared"
            pixels, bases = self.altered
            return pixels[index][box], bases[index][box]
        return orient(self.pixels[index], variant)[box], self.bases[variant][index][box]


def crops(source: Path, size: int) -> np.ndarray:
    """Every picture cut into a grid of crops, uint8 [N, 3, size, size]. Raises DataError if there are none."""
    found = []
    for _, picture in pictures(source):
        for row in range(0, picture.shape[0] - size + 1, size):
            for column in range(0, picture.shape[1] - size + 1, size):
                found.append(picture[row : row + size, column : column + size].transpose(2, 0, 1))
    if not found:
        raise DataError(f"{source} holds no picture of at least {size} x {size} pixels")
    return np.stack(found)


def prepare(
    source: Path,
    cache: Path,
    size: int,
    variants: tuple[int, ...],
    settings: Settings = Settings(),
    workers: int = 0,
    progress: bool = True,
    altered: bool = False,
) -> Prepared:
    """Crops with bases in every variant, and altered ones if asked for, from the cache where they are there already.

    `workers` 0 uses all cores. A cache folder belongs to one set of pixels and one set of predictor settings, its
    altered crops to the variants and to the source of what alters them. It is filled file by file, so an interrupted
    preparation goes on where it stopped.
    """
    pixels = crops(source, size)
    identity = hashlib.sha256(pixels.tobytes())
    identity.update(json.dumps(asdict(settings)).encode())
    digest = identity.hexdigest()
    folder = Path(cache) / digest[:16]
    folder.mkdir(parents=True, exist_ok=True)
    bases = {}
    for variant in variants:
        path = folder / f"bases_{variant}.npy"
        if not path.exists():
            oriented = (np.ascontiguousarray(orient(crop, variant)) for crop in pixels)
            _save(path, _bases(oriented, len(pixels), f"variant {variant}", settings, workers, progress))
        bases[variant] = _load(path, pixels.shape, np.int16)
    if not altered:
        return Prepared(pixels, bases, digest)
    key = hashlib.sha256(Path(alteration.__file__).read_bytes() + repr(variants).encode()).hexdigest()[:16]
    paths = folder / f"altered_{key}.npy", folder / f"altered_{key}_bases.npy"
    if not paths[0].exists():
        turned = [orient(crop, variants[i // 4 % len(variants)]) for i, crop in enumerate(alteration.altered(pixels))]
        _save(paths[0], np.stack(turned))
    others = _load(paths[0], pixels.shape, np.uint8)
    if not paths[1].exists():
        _save(paths[1], _bases(map(np.array, others), len(others), "altered crops", settings, workers, progress))
    return Prepared(pixels, bases, digest, (others, _load(paths[1], pixels.shape, np.int16)))


def _bases(
    crops: Iterable[np.ndarray], count: int, what: str, settings: Settings, workers: int, progress: bool
) -> np.ndarray:
    bar: dict[str, Any] = dict(
        total=count, desc=f"predicting, {what}", unit="crop", disable=None if progress else True
    )  # None: only on a terminal
    workers = workers or os.cpu_count() or 1
    if workers == 1:
        return np.stack([predict_picture(crop, settings) for crop in tqdm(crops, **bar)])
    ignored = (signal.SIGINT, signal.SIG_IGN)  # an interrupt is this process's to handle
    with multiprocessing.get_context("spawn").Pool(workers, signal.signal, ignored) as pool:
        return np.stack(list(tqdm(pool.imap(_Task(settings), crops, chunksize=8), **bar)))


@dataclass(frozen=True)
class _Task:
    settings: Settings

    def __call__(self, crop: np.ndarray) -> np.ndarray:
        return predict_picture(crop, self.settings)


def _save(path: Path, array: np.ndarray) -> None:
    with whole(path) as file:
        np.save(file, array)


def _load(path: Path, shape: tuple[int, ...], dtype: type) -> np.ndarray:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise DataError(f"{path} is damaged, delete it: {error}") from error
    if array.dtype != dtype or array.shape != shape:
        raise DataError(
            f"{path} holds {array.dtype} {list(array.shape)}, not {np.dtype(dtype)} {list(shape)}: delete it"
        )
    return array
