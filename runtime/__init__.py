"""Runs exported models: schedule, online predictor, bundles, and the exact level-by-level pass. Needs no torch.

model = runtime.load("photo.lmconv", threads=2)
parameters = model.parameters(pictures)        # uint8 [N, 3, H, W] -> int32 [N, P, H, W]
"""

from .bundle import BundleError, Manifest, Model, load, read_manifest
from .kernels import compiled
from .network import ProviderError

__all__ = ["BundleError", "Manifest", "Model", "ProviderError", "compiled", "load", "read_manifest"]
