"""What Pillow makes of a file, for formats whose pixels it keeps as they are."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import ImageFile


def pillow(plugin: Callable[[io.BytesIO], ImageFile.ImageFile], data: bytes) -> tuple[str, np.ndarray] | None:
    """Pillow's mode and its values, [H, W, C], by one of its plugins; None where it does not read the file.

    A plugin itself has no bound on pixels: the file has been taken apart before.
    """
    try:
        with plugin(io.BytesIO(data)) as picture:
            picture.load()
            values = np.array(picture)
            return picture.mode, values.reshape(picture.height, picture.width, -1)
    except MemoryError:
        raise
    except Exception:  # Pillow's parsers raise whatever they trip over
        return None
