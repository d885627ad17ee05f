"""Lossless compression of images with a model's probabilities: the files, the coder and the command line.

>>> model = runtime.load(codec.models.resolve("photo"))             # doctest: +SKIP
>>> coded = codec.compress(codec.images.read(path), model)          # doctest: +SKIP
>>> image = codec.decompress(coded.data, model, max_pixels=2**28)   # doctest: +SKIP

Names are imported at first use, so that `import codec` and the command line's --help answer at once.
"""

from importlib import import_module

from codec.errors import CodecError

_HOMES = {
    "compress": "codec.codec",
    "cost_map": "codec.codec",
    "decompress": "codec.codec",
    "analyse": "codec.codec",
    "Analysis": "codec.codec",
    "Compressed": "codec.codec",
    "Image": "codec.images",
}
_MODULES = ("codec", "files", "heatmap", "images", "models")

__all__ = ["CodecError", *_HOMES, *_MODULES]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name in _MODULES:
        return import_module(f"codec.{name}")
    raise AttributeError(f"module 'codec' has no attribute {name!r}")
