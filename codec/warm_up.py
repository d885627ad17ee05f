"""Compiles kernels ahead of their first use, by coding small pictures of every kind."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
from PIL import Image

from codec.compression import compress
from codec.decompression import decompress
from codec.images.samples import Samples
from codec.jpeg.keep import keep, restore
from runtime import Model
from runtime.pixelcnn import PixelCnnLayout

_SIDE = 24  # pixels
_PHOTOGRAPH = 65  # pixels of a side from which on exact colours alone are not tried on a photograph


def warm_up(model: Model, effort: str, everything: bool = False) -> None:
    """Compiles what a picture that a model is for needs by it and an effort; with everything, of a photo network, what
    any picture does."""
    for samples in _pictures() if everything else [_usual(model)]:
        decompress(compress(samples, model, effort=effort).data, model)
    if everything:
        restore(keep(_jpeg()).kept)


def _usual(model: Model) -> Samples:
    """A photograph, or a small picture of a network's colours."""
    layout = model.layout
    if not isinstance(layout, PixelCnnLayout):
        return Samples.of(_slope(_PHOTOGRAPH))
    pixels = _slope()[..., : layout.channels]
    return Samples.of(255 * (pixels & 1) if layout.binary else pixels)


def _noise(side: int = _SIDE, planes: int = 3) -> np.ndarray:
    """By a linear congruence, [side, side, planes]."""
    rows, cols, numbers = np.ogrid[:side, :side, :planes]
    return ((rows * 7919 + cols * 104729 + numbers * 1299709) * 1103515245 + 12345) >> 16


def _slope(side: int = _SIDE) -> np.ndarray:
    """Colours that rise, with a little noise."""
    rows, cols, planes = np.ogrid[:side, :side, :3]
    return (40 + rows + cols + 25 * planes + _noise(side) % 7).astype(np.uint8)


def _jpeg() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(_slope()).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def _pictures() -> Iterator[Samples]:
    slope, rows, cols = _slope(), *np.ogrid[:_SIDE, :_SIDE]
    squares = ((rows // 5 * 3 + cols // 7 * 5) % 4 * 60).astype(np.uint8)
    for eight in (slope, slope[..., 0], np.stack([squares, squares // 2, squares], 2), squares):
        yield Samples.of(eight)
    yield Samples.of(np.dstack([slope, slope[..., 0]]))
    yield Samples.of(slope.astype(np.uint16) << 8 | (_noise() & 255).astype(np.uint16))
    with Image.open(io.BytesIO(_jpeg())) as decoded:
        born = np.asarray(decoded)  # which is only read: kernels take it for another type
    yield Samples.of(born)
    edited = born.copy()
    edited[8:12, 8:16] ^= 3
    yield Samples.of(edited)
