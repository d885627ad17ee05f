"""Lossless compression of images with a model's probabilities: the files, the coder and the command line.

>>> model = runtime.load(codec.models.resolve("photo"))                # doctest: +SKIP
>>> coded = codec.compress(codec.read("photo.png"), model)         # doctest: +SKIP
>>> samples = codec.decompress(coded.data, model, max_pixels=2**28)    # doctest: +SKIP

Names are imported at first use, so that `import codec` and the command line's --help answer at once.
"""

from importlib import import_module

from codec.errors import CodecError
from runtime.version import __version__

_HOMES = {
    "compress": "codec.compression",
    "cost_map": "codec.compression",
    "analyse": "codec.compression",
    "Analysis": "codec.compression",
    "Compressed": "codec.compression",
    "decompress": "codec.decompression",
    "Lost": "codec.decompression",
    "read": "codec.archive",
    "encode": "codec.pictures",
    "decode": "codec.pictures",
    "probe": "codec.pictures",
    "Picture": "codec.pictures",
    "Probe": "codec.pictures",
    "Box": "codec.format.tiles",
    "Samples": "codec.images.samples",
}
_MODULES = ("files", "heatmap", "images", "models")

__all__ = ["CodecError", "__version__", *_HOMES, *_MODULES]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name in _MODULES:
        return import_module(f"codec.{name}")
    raise AttributeError(f"module 'codec' has no attribute {name!r}")
