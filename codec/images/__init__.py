"""Files of pictures: each format taken apart into samples and the rest, and put together again (samples.py)."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Protocol

from codec.errors import UnreadableImage
from codec.images.samples import Item, Parts, Samples

# Endings of names by format, the usual one first. A TGA says nothing at its beginning, so it is asked last.
SUFFIXES = {
    "png": (".png",),
    "tiff": (".tif", ".tiff"),
    "bmp": (".bmp", ".dib"),
    "pnm": (".ppm", ".pgm", ".pbm", ".pnm", ".pam"),
    "qoi": (".qoi",),
    "gif": (".gif",),
    "webp": (".webp",),
    "tga": (".tga", ".icb", ".vda", ".vst"),
}

# And of formats that lose something of a picture, which are kept as they are or refused.
LOSSY_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".avif", ".heic", ".heif", ".hif", ".jp2", ".j2k", ".jxl")
ENDINGS = frozenset(LOSSY_SUFFIXES).union(*SUFFIXES.values())

_MOST_TWICE = 2**26  # pixels of a picture that is read twice: another program has it all in memory


class Format(Protocol):
    """A module of this folder; samples.py says what its functions do."""

    def recognises(self, data: bytes) -> bool: ...
    def take_apart(self, data: bytes, max_pixels: int) -> Parts: ...
    def put_together(self, samples: Samples, rest: bytes) -> Iterator[bytes]: ...
    def metadata(self, rest: bytes) -> list[Item]: ...
    def stripped(self, rest: bytes) -> bytes: ...
    def second_opinion(self, data: bytes) -> Samples | None: ...


def module_of(name: str) -> Format:
    """The module of a format, a key of SUFFIXES."""
    return import_module(f"codec.images.{name}")


def format_of(data: bytes) -> str | None:
    """The format that a file's bytes are in, None where it is none of these."""
    return next((name for name in SUFFIXES if module_of(name).recognises(data)), None)


def take_apart(data: bytes, max_pixels: int) -> tuple[str, Parts]:
    """The format of a file and its parts, whose samples another program reads alike where one can.

    Raises UnreadableImage, UnsupportedImage or ImageTooLarge.
    """
    name = format_of(data)
    if name is None:
        raise UnreadableImage(f"no picture in a format that is read ({', '.join(SUFFIXES)}, jpeg)")
    parts = module_of(name).take_apart(data, max_pixels)
    height, width = parts.samples.values.shape[:2]
    other = module_of(name).second_opinion(data) if height * width <= _MOST_TWICE else None
    difference = parts.samples.difference(other) if other is not None else None
    if difference:
        raise UnreadableImage(f"two programs read other samples of this {name} ({difference}): convert it first")
    return name, parts
