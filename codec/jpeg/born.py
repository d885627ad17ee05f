"""The JPEG that made a picture, or most of it: found by the encoder, kept by its coefficients, decoded again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codec.jpeg.coder import block_report, decode, encode
from codec.jpeg.file import empty
from codec.jpeg.origin import Origin, read_origin
from codec.jpeg.pixels import pixels
from codec.jpeg.recovery.recover import recover
from runtime.progress import Progress

_LEAST = 0.05  # share of pixels that have to be made, for coefficients to be worth their bytes


@dataclass(frozen=True)
class Source:
    """A JPEG as a file keeps it, what it was, and the planes that it makes, uint8 [C, H, W]."""

    data: bytes
    origin: Origin
    planes: np.ndarray


def find_source(planes: np.ndarray, progress: Progress | None = None) -> Source | None:
    """The JPEG that made most of a picture's planes, uint8 [C, H, W] of 1 or 3 channels; None where none is found."""
    found = recover(np.ascontiguousarray(planes.transpose(1, 2, 0)))
    if found is None or found.exact.mean() < _LEAST:
        return None
    sampling, chroma = (None if len(found.frame.components) == 1 else found.frame.sampling), found.steps[-1]
    origin = Origin(*found.offset, sampling, found.smooth, found.steps[0], chroma, int(100 * found.exact.mean()))
    coded = encode(found.coefficients, found.frame, found.steps, block_report(found.frame, progress))
    return Source(origin.pack() + coded, origin, _in_planes(found.made))


def made_by(data: bytes, height: int, width: int, progress: Progress | None = None) -> np.ndarray:
    """The planes of that size, uint8 [C, H, W], that a kept JPEG makes. Raises DamagedFile."""
    origin, coded = read_origin(data)
    frame = origin.frame(height, width)
    coefficients = empty(frame, float("inf"))
    decode(coded, frame, origin.steps, coefficients, block_report(frame, progress))
    return _in_planes(pixels(frame, origin.steps, coefficients, origin.smooth)[origin.row :, origin.column :])


def _in_planes(picture: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(picture.transpose(2, 0, 1))
