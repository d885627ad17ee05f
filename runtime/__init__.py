"""Runs exported models: schedule, online predictor, bundles, and the exact level-by-level pass. Needs no torch.

model = runtime.load("photo.lmconv", threads=2)
parameters = model.parameters(pictures)        # uint8 [N, 3, H, W] -> int32 [N, P, H, W]

The names below are imported when they are first asked for, so that who needs one light module waits for no compiler.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.bundle import load, read_manifest
    from runtime.kernels import compiled
    from runtime.model import Manifest, Model
    from runtime.network import BundleError, ProviderError

__all__ = ["BundleError", "Manifest", "Model", "ProviderError", "compiled", "load", "read_manifest"]

_HOMES = {"load": "bundle", "read_manifest": "bundle", "compiled": "kernels", "Manifest": "model", "Model": "model"}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'network')}"), name)
