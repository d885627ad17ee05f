"""Section 1: a model's bundle, a zip of a manifest and two files of tensors."""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_TYPES = {"I8": "<i1", "U8": "<u1", "I16": "<i2", "I32": "<i4", "I64": "<i8", "F32": "<f4", "F64": "<f8"}


@dataclass(frozen=True)
class Bundle:
    """kind: photo or pixelcnn. weights, tables: tensors by name."""

    kind: str
    model_id: bytes
    layout: dict
    weights: dict[str, np.ndarray]
    tables: dict[str, np.ndarray]


def tensors(data: bytes) -> dict[str, np.ndarray]:
    """Of a safetensors file: the length of its header, the header as JSON, numbers."""
    start = 8 + int.from_bytes(data[:8], "little")
    found = {}
    for name, about in json.loads(data[8:start]).items():
        if name != "__metadata__":
            first, end = (start + offset for offset in about["data_offsets"])
            found[name] = np.frombuffer(data[first:end], _TYPES[about["dtype"]]).reshape(about["shape"])
    return found


def identity(manifest: dict, *members: dict[str, np.ndarray]) -> str:
    """SHA-256 of all that decides a probability, in hexadecimal digits."""
    about = json.dumps({key: manifest[key] for key in ("kind", "layout", "rules")}, sort_keys=True)
    digest = hashlib.sha256(about.encode())
    for member in members:
        for name, tensor in sorted(member.items()):
            digest.update(f"{name} {tensor.dtype.str} {tensor.shape}".encode() + tensor.tobytes())
    return digest.hexdigest()


def read(path: Path | str) -> Bundle:
    with zipfile.ZipFile(path) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        weights, tables = (tensors(archive.read(f"{name}.safetensors")) for name in ("weights", "tables"))
    assert identity(manifest, weights, tables) == manifest["model_id"]
    return Bundle(manifest["kind"], bytes.fromhex(manifest["model_id"]), manifest["layout"], weights, tables)
