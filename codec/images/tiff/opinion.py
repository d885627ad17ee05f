"""The samples of a TIFF as others read them: tifffile where it is installed, else Pillow where it keeps them."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image as Pillow
from PIL import TiffImagePlugin

from codec.images.samples import Samples
from codec.images.tiff import tags
from codec.images.tiff.page import Page
from codec.images.tiff.rows import dtype, sign_bit

# Mode and depth of what Pillow decodes as it is stored, by photometric interpretation and kind of extra channel.
_MODES: dict[tuple, tuple[str, ...]] = {
    ("grey", 8, tags.BLACK_IS_ZERO, None): ("L",),
    ("grey", 16, tags.BLACK_IS_ZERO, None): ("I;16", "I;16B"),
    ("grey+alpha", 8, tags.BLACK_IS_ZERO, 2): ("LA",),
    ("palette", 8, tags.PALETTE, None): ("P",),
    ("rgb", 8, tags.RGB, None): ("RGB",),
    ("rgb+alpha", 8, tags.RGB, 2): ("RGBA",),
}


def by_tifffile(data: bytes, page: Page) -> Samples | None:
    """As tifffile reads the first page; None where it is not installed, or does not read it."""
    try:
        import tifffile
    except ImportError:
        return None
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            first = file.pages[0]
            pixels = np.asarray(first.asarray())
    except Exception:  # whatever it trips over, or lacks a codec for: then it has no opinion
        return None
    if page.planar:
        pixels = np.moveaxis(pixels, 0, -1)
    shape = (page.height, page.width, page.channels)
    if pixels.size != np.prod(shape) or pixels.dtype.kind not in "bui" or pixels.dtype.itemsize > 2:
        return None
    values = pixels.reshape(shape).astype(dtype(page))
    if page.signed:
        values = (values & ((1 << page.depth) - 1)) ^ values.dtype.type(sign_bit(page))
    return Samples(np.ascontiguousarray(values), page.depth, page.kind, page.palette)


def by_pillow(data: bytes, page: Page) -> Samples | None:
    """As Pillow reads it; None where it would turn, invert or convert samples, or takes planes for something else."""
    if page.planar or page.signed:
        return None
    try:
        with Pillow.open(io.BytesIO(data), formats=["TIFF"]) as picture:
            if not isinstance(picture, TiffImagePlugin.TiffImageFile):
                return None
            said = picture.tag_v2
            extra = said.get(tags.EXTRA_SAMPLES, (None,))[0]
            modes = _MODES.get((page.kind, page.depth, said.get(tags.PHOTOMETRIC), extra), ())
            if said.get(tags.ORIENTATION, 1) != 1 or picture.mode not in modes:
                return None
            pixels = np.array(picture)
    except Exception:  # its parsers raise whatever they trip over
        return None
    values = pixels.reshape(page.height, page.width, page.channels).astype(dtype(page))
    return Samples(values, page.depth, page.kind, page.palette)
