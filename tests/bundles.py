"""Bundles taken apart and put together again, for tests that alter them."""

import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from safetensors.numpy import load, save

from runtime import bundle

WEIGHTS, TABLES = "weights.safetensors", "tables.safetensors"


def members(path: Path) -> dict[str, bytes]:
    """Every member but the manifest."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name != "manifest.json"}


def tensors(data: bytes) -> dict[str, np.ndarray]:
    return {name: tensor.copy() for name, tensor in load(data).items()}


def packed(arrays: dict[str, np.ndarray]) -> bytes:
    return save({name: np.ascontiguousarray(array) for name, array in arrays.items()})


def sealed(manifest: bundle.Manifest, parts: dict[str, bytes]) -> bundle.Manifest:
    """The manifest with the hashes and the identity of these members: what a forger would write."""
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in parts.items()}
    return replace(manifest, members=hashes, model_id=bundle.identity(manifest, parts[WEIGHTS], parts[TABLES]))


def forge(path: Path, source: Path, parts: dict[str, bytes], **changes) -> Path:
    """Writes a bundle like `source` with members and fields of manifest or layout replaced, sound in itself."""
    parts, manifest = members(source) | parts, bundle.read_manifest(source)
    of_layout = {name: changes.pop(name) for name in list(changes) if hasattr(manifest.layout, name)}
    manifest = replace(manifest, layout=replace(manifest.layout, **of_layout), **changes)
    bundle.write(path, sealed(manifest, parts), parts)
    return path


def altered_weights(path: Path, source: Path) -> Path:
    """Another model: one weight differs, in the weights that name the model alone."""
    weights = tensors(members(source)[WEIGHTS])
    weights["head.weight"].reshape(-1)[0] ^= 1
    return forge(path, source, {WEIGHTS: packed(weights)}, name="another")
