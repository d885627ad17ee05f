"""Pictures of a folder, a zip or a file: found by their suffix, read in order of their names, decoded to uint8."""

import io
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image, UnidentifiedImageError

from lmconv.errors import LmconvError

SUFFIXES = (".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".jpg", ".jpeg")
PLAIN_MODES = {"1": "L", "L": "L", "RGB": "RGB", "P": "RGB"}


class DataError(LmconvError):
    """A data set that cannot be read or holds nothing of the wanted size."""


def pictures(source: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yields (name, uint8 [H, W, 3]) of every picture of a folder (recursively), a zip or a file, in order of name."""
    for name, data in read(source, names(source)):
        yield name, decode(name, data, source, "RGB")


def decode(name: str, data: bytes, source: Path, mode: str | None = None) -> np.ndarray:
    """A file's pixels uint8 [H, W] or [H, W, C], converted to the mode. Raises DataError if it is no image.

    Without a mode they are as stored, but for palettes: grey or RGB, or DataError for anything else.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            mode = mode or PLAIN_MODES.get(image.mode)
            if mode is None:
                raise DataError(f"{name} in {source} is of mode {image.mode}: convert it to 8-bit grey or RGB")
            return np.asarray(image.convert(mode))
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{name} in {source} cannot be read as an image: {error}") from error


def names(source: Path) -> list[str]:
    """The files with an image's suffix, with forward slashes in order of characters; DataError for other sources."""
    source = Path(source)
    if source.is_dir():
        found = [path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()]
    elif zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            found = [info.filename for info in archive.infolist() if not info.is_dir()]
    elif source.is_file() and source.suffix.lower() in SUFFIXES:
        found = [source.name]
    else:
        raise DataError(f"{source} is neither a folder nor a zip of images")
    return sorted(name for name in found if PurePosixPath(name).suffix.lower() in SUFFIXES)


def read(source: Path, wanted: list[str]) -> Iterator[tuple[str, bytes]]:
    """Yields (name, bytes) of the wanted files of a folder, a zip or, where the source is an image, of itself."""
    source = Path(source)
    if source.is_dir():
        yield from ((name, (source / name).read_bytes()) for name in wanted)
    elif not zipfile.is_zipfile(source):
        yield from ((name, source.read_bytes()) for name in wanted)
    else:
        with zipfile.ZipFile(source) as archive:
            for name in wanted:
                try:
                    data = archive.read(name)
                except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:  # damaged, or encrypted
                    raise DataError(f"{name} in {source} cannot be unpacked: {error}") from error
                yield name, data
