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

_SIDE = 24  # pixels


def warm_up(model: Model, effort: str, everything: bool = False) -> None:
    """Compiles what a photograph needs by a model and an effort; with everything what any picture does."""
    for samples in _pictures() if everything else [Samples.of(_slope())]:
        decompress(compress(samples, model, effort=effort).data, model)
    if everything:
        stream = io.BytesIO()
        Image.fromarray(_slope()).save(stream, "JPEG")
        restore(keep(stream.getvalue()).kept)


def _slope() -> np.ndarray:
    """Colours that rise, with a little noise by a linear congruence."""
    rows, cols, planes = np.ogrid[:_SIDE, :_SIDE, :3]
    mixed = (rows * 7919 + cols * 104729 + planes * 1299709) * 1103515245 + 12345
    return (40 + 3 * rows + 2 * cols + 25 * planes + (mixed >> 16) % 7).astype(np.uint8)


def _pictures() -> Iterator[Samples]:
    slope, rows, cols = _slope(), *np.ogrid[:_SIDE, :_SIDE]
    squares = ((rows // 5 * 3 + cols // 7 * 5) % 4 * 60).astype(np.uint8)
    for eight in (slope, slope[..., 0], np.stack([squares, squares // 2, squares], 2), squares):
        yield Samples.of(eight)
    yield Samples.of(np.dstack([slope, slope[..., 0]]))
    for deep in (slope, slope[..., 0]):
        yield Samples.of(deep.astype(np.uint16) * 251 + (deep.astype(np.uint16) * 7919 & 255))
