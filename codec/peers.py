"""Other lossless codecs, to be held against: PNG, WebP and JPEG XL as their libraries do it; ours in the same form."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from codec.errors import PeerMissing, PixelsDiffer
from codec.images.samples import Samples
from codec.models import NORMAL, Choice

OURS = "lmconv"
PEERS = ("png", "webp", "jxl")
JXL_EFFORTS = (7, 9)
_MODES = {"grey": "L", "rgb": "RGB", "rgb+alpha": "RGBA"}  # Pillow's
_DEEP = 8  # bits up to which Pillow has all kinds of samples


@dataclass(frozen=True)
class Coder:
    """encode: samples -> their bytes, and the model's own likelihood in bits, which peers have not; decode: back.
    keeps_kind: whether samples come back as of the kind that they were; WebP keeps neither grey nor opaque alpha."""

    name: str
    encode: Callable[[Samples], tuple[bytes, float | None]]
    decode: Callable[[bytes], Samples]
    keeps_kind: bool = False


@dataclass(frozen=True)
class Measured:
    """What a coder made of samples: bytes, and seconds of wall clock from array to bytes and back."""

    coder: str
    bytes: int
    encode_seconds: float
    decode_seconds: float
    nll_bits: float | None = None


def ours(choice: Choice, effort: str) -> Coder:
    """By an effort, with the models that `compress` would take; the normal one has no more name than the program."""
    from codec import archive
    from codec.decompression import decompress
    from codec.format import container

    def encode(samples: Samples) -> tuple[bytes, float | None]:
        coded, _ = archive.smallest(samples, choice, archive.Wishes(effort), source=None)
        return coded.data, float(coded.nll_bits)

    def decode(data: bytes) -> Samples:
        contents = container.read(data, None)
        model_id = contents.picture.header.model_id if contents.picture is not None else None
        return decompress(contents, choice.maker(model_id) if model_id is not None else None)

    name = OURS if effort == NORMAL else f"{OURS} --effort {effort}"
    return Coder(name, encode, decode, keeps_kind=True)


def peers(names: Sequence[str], threads: int) -> list[Coder]:
    """Of PEERS: PNG optimised; WebP at its strongest; JPEG XL by two efforts, with as many threads as ours. Raises
    PeerMissing."""
    found = []
    if "png" in names:
        found.append(_of_pillow("png", "PNG", optimize=True))
    if "webp" in names:
        found.append(_of_pillow("webp", "WEBP", lossless=True, quality=100, method=6, exact=True))
    if "jxl" in names:
        found += [_jpeg_xl(effort, threads) for effort in JXL_EFFORTS]
    return found


def _of_pillow(name: str, kind: str, **options: Any) -> Coder:
    """A lossless codec of Pillow or of one of its plugins."""

    def encode(samples: Samples) -> tuple[bytes, float | None]:
        stream = io.BytesIO()
        Image.fromarray(_values(samples)).save(stream, kind, **options)
        return stream.getvalue(), None

    def decode(data: bytes) -> Samples:
        with Image.open(io.BytesIO(data)) as picture:
            return Samples.of(np.array(picture))

    return Coder(name, encode, decode)


def _jpeg_xl(effort: int, threads: int) -> Coder:
    """By Pillow's plugin, or for samples of more than 8 bits, which Pillow has not, by imagecodecs."""
    try:
        from pillow_jxl import JpegXLImagePlugin
    except ImportError as error:
        raise PeerMissing("JPEG XL needs pillow-jxl-plugin: install it, or name other --peers") from error
    JpegXLImagePlugin.DECODE_THREADS = workers = threads or -1
    usual = _of_pillow(f"jxl e{effort}", "JXL", lossless=True, effort=effort, num_threads=workers)
    try:
        import imagecodecs
    except ImportError:
        return usual
    how: dict[str, Any] = {"lossless": True, "effort": effort, "numthreads": threads or os.cpu_count()}

    def encode(samples: Samples) -> tuple[bytes, float | None]:
        if samples.depth <= _DEEP:
            return usual.encode(samples)
        return bytes(imagecodecs.jpegxl_encode(np.ascontiguousarray(samples.values), **how)), None

    def decode(data: bytes) -> Samples:
        values = imagecodecs.jpegxl_decode(data)
        return Samples.of(values) if values.dtype == np.uint16 else usual.decode(data)

    return Coder(usual.name, encode, decode)


def _values(samples: Samples) -> np.ndarray:
    return samples.values[:, :, 0] if samples.values.shape[2] == 1 else samples.values


def measure(coder: Coder, samples: Samples) -> Measured:
    """Codes samples there and back. Raises PixelsDiffer where they do not come back."""
    start = time.perf_counter()
    data, nll_bits = coder.encode(samples)
    middle = time.perf_counter()
    restored = coder.decode(data)
    end = time.perf_counter()
    if not coder.keeps_kind and restored.kind != samples.kind:
        restored = Samples.of(np.array(Image.fromarray(_values(restored)).convert(_MODES[samples.kind])))
    difference = samples.difference(restored)
    if difference:
        raise PixelsDiffer(f"{coder.name} gives back others: {difference}")
    return Measured(coder.name, len(data), middle - start, end - middle, nll_bits)
