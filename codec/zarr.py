"""Compression of arrays of pictures in Zarr, by the interface of numcodecs, which finds it by its name, `lmconv`.

>>> import numpy as np
>>> codec = Lmc(channels=3)
>>> pictures = np.zeros((4, 8, 8, 3), np.uint8)
>>> bool((np.frombuffer(codec.decode(codec.encode(pictures)), np.uint8) == 0).all())
True
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numcodecs.abc import Codec
from numcodecs.compat import ensure_contiguous_ndarray, ndarray_copy
from numcodecs.registry import register_codec

from codec.models import NORMAL, check_effort
from codec.pictures import decode, encode

_ALL_PIXELS = 2**62  # of a chunk that was written by this program, there is no bound


class Lmc(Codec):
    """Chunks of uint8 or uint16, [..., H, W] or, where there are several channels, [..., H, W, channels].

    effort: see codec.encode; channels: 1 to 4; model: a shipped one's name or a bundle's path. A chunk is a .lmc of all
    its pictures, each below the other. Raises TypeError for other arrays.
    """

    codec_id: ClassVar[str] = "lmconv"

    def __init__(self, effort: str = NORMAL, channels: int = 1, model: str | None = None) -> None:
        check_effort(effort)
        if not 1 <= channels <= 4:
            raise ValueError(f"channels is {channels}, not 1 to 4")
        self.effort, self.channels, self.model = effort, channels, model

    def encode(self, buf: Any) -> bytes:
        """The chunk's bytes."""
        array = np.asarray(buf)
        wanted = 2 + (self.channels > 1)
        if array.dtype not in (np.uint8, np.uint16) or array.ndim < wanted or 0 in array.shape:
            raise TypeError(f"{array.dtype} {list(array.shape)} is no array of pictures of uint8 or uint16")
        if self.channels > 1 and array.shape[-1] != self.channels:
            raise TypeError(f"{list(array.shape)} does not end with {self.channels} channels")
        width = array.shape[1 - wanted]
        stacked = array.reshape(-1, width, self.channels)
        return encode(np.ascontiguousarray(stacked), effort=self.effort, model=self.model)

    def decode(self, buf: Any, out: Any = None) -> Any:
        """The chunk's values, one after another, little-endian; into `out` where it is given."""
        data = ensure_contiguous_ndarray(buf).tobytes()
        array = decode(data, model=self.model, max_pixels=_ALL_PIXELS).array
        return ndarray_copy(np.ascontiguousarray(array).reshape(-1), out)


register_codec(Lmc)
