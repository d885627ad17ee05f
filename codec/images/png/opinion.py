"""The samples of a PNG as Pillow reads them, where it keeps them all."""

from __future__ import annotations

import io

import numpy as np

from codec.errors import UnreadableImage
from codec.images.png import chunks
from codec.images.samples import Samples

# Pillow's modes, by kind and depth; it scales grey of 2 and 4 bits, and cuts 16 bits down elsewhere.
_MODES = {
    ("grey", 1): "1",
    ("grey", 8): "L",
    ("grey", 16): "I;16",
    ("grey+alpha", 8): "LA",
    ("rgb", 8): "RGB",
    ("rgb+alpha", 8): "RGBA",
    **{("palette", depth): "P" for depth in (1, 2, 4, 8)},
}
_OF_THE_SAMPLES = (b"IHDR", b"PLTE", b"IDAT", b"IEND")


def second_opinion(data: bytes) -> Samples | None:
    """What Pillow reads of a file that has been taken apart; None where it does not keep samples as they are.

    Raises UnreadableImage where Pillow does not read it.
    """
    from PIL import PngImagePlugin

    header = chunks.header(data, chunks.MOST**2)
    mode = _MODES.get((header.kind, header.depth))
    if mode is None:
        return None
    try:
        with PngImagePlugin.PngImageFile(io.BytesIO(_bare(data))) as picture:
            picture.load()
            if picture.mode != mode:
                return None
            values = np.asarray(picture)
            palette = picture.getpalette() if mode == "P" else None
    except (OSError, SyntaxError, ValueError) as error:
        raise UnreadableImage(f"Pillow does not read it ({error}): get the picture again") from error
    dtype = np.uint16 if header.depth == 16 else np.uint8
    values = values.astype(dtype).reshape(header.height, header.width, -1)
    colours = None if palette is None else np.array(palette, np.uint8).reshape(-1, 3)
    return Samples(values, header.depth, header.kind, colours)


def _bare(data: bytes) -> bytes:
    """The file without what Pillow might act upon or refuse."""
    parts = [chunks.SIGNATURE]
    for chunk in chunks.walk(data):
        if chunk.type in _OF_THE_SAMPLES:
            parts.append(data[chunk.start - 8 : chunk.start + chunk.length + 4])
    return b"".join(parts)
