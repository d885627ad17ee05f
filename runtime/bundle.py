"""Bundles (*.lmconv): a trained model ready to run, one uncompressed zip read by name with size limits.

manifest.json      what the model is; SHA-256 of every other member; model_id
weights.safetensors, tables.safetensors     the integers that decide every probability, and a probe
step_integer.onnx, step_float32.onnx        the step graph, two ways of computing the same integers
The model's identity is the SHA-256 of weights, tables, predictor settings, layout and rules version. Nothing is
unpickled or unpacked to disk, and a graph that refers to other files is refused.
"""

import hashlib
import json
import os
import zipfile
from pathlib import Path

import numpy as np

from runtime import rules
from runtime.arithmetic import check_arithmetic
from runtime.files import whole
from runtime.model import FORMAT, Layout, Manifest, Model
from runtime.network import PRODUCTS, BundleError, Network, Probe
from runtime.onnx_file import refers_outside
from runtime.photo import PhotoLayout
from runtime.pixelcnn import PixelCnnLayout
from runtime.tables import check_distribution, check_mixing

_KINDS = {layout.kind: layout for layout in (PhotoLayout, PixelCnnLayout)}
_FIELDS = {"name": str, "model_id": str, "parameters": int, "card": dict, "members": dict}  # what others rely on
LIMITS = {
    "manifest.json": 1 << 20,
    "weights.safetensors": 1 << 28,
    "tables.safetensors": 1 << 26,
    "step_integer.onnx": 1 << 28,
    "step_float32.onnx": 1 << 28,
}


def identity(manifest: Manifest, weights: bytes, tables: bytes) -> str:
    """SHA-256, hex, of everything that decides a probability; safetensors files are compared by content."""
    digest = hashlib.sha256(manifest.identity_text().encode())
    for member in (weights, tables):
        for name, array in sorted(_tensors(member).items()):
            array = array.astype(array.dtype.newbyteorder("<"))  # as safetensors has it, whatever the machine's own
            digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
            digest.update(array.tobytes())
    return digest.hexdigest()


def read_manifest(path: Path | str) -> Manifest:
    """The manifest alone, without loading the model. Raises BundleError."""
    with _open(path) as archive:
        return _manifest(archive, path)


def read_weights(path: Path | str) -> tuple[Manifest, dict[str, np.ndarray]]:
    """The manifest and the integers of the network's layers, verified. Raises BundleError."""
    manifest, members = _verified(path)
    return manifest, _tensors(members["weights.safetensors"])


def load(
    path: Path | str, provider: str = "cpu", threads: int = 0, products: str = "auto", optimise: bool = True
) -> Model:
    """Reads, verifies and opens a bundle; threads 0: all cores. Raises BundleError (ProviderError for what this
    machine cannot run)."""
    check_arithmetic()
    manifest, members = _verified(path)
    tables = _tensors(members["tables.safetensors"])
    probe = _checked(manifest.layout, tables, path)
    graphs = {kind: members[f"step_{kind}.onnx"] for kind in PRODUCTS}
    for kind, graph in graphs.items():
        _check_graph(graph, f"{path}: the graph of {kind} products")
    network = Network(graphs, probe, provider, products, optimise)
    return manifest.layout.model(manifest, network, tables, threads or os.cpu_count() or 1)


def _verified(path: Path | str) -> tuple[Manifest, dict[str, bytes]]:
    """The manifest and the other members, as whoever wrote the bundle meant them."""
    with _open(path) as archive:
        manifest = _manifest(archive, path)
        members = {name: _member(archive, name, path) for name in LIMITS if name != "manifest.json"}
    for name, data in members.items():
        if hashlib.sha256(data).hexdigest() != manifest.members.get(name):
            raise BundleError(f"{path}: {name} is damaged (its SHA-256 is not the manifest's)")
    if identity(manifest, members["weights.safetensors"], members["tables.safetensors"]) != manifest.model_id:
        raise BundleError(f"{path}: the model's identity does not match its contents")
    return manifest, members


def _check_graph(graph: bytes, name: str) -> None:
    try:
        outside = refers_outside(graph)
    except ValueError as error:
        raise BundleError(f"{name} cannot be read: {error}") from error
    if outside:
        raise BundleError(f"{name} refers to data outside the bundle")


def _checked(layout: Layout, tables: dict[str, np.ndarray], path: Path | str) -> Probe:
    """The probe, once every number is known to be sound and tables and layout to fit together (runtime/tables.py)."""
    try:
        check_distribution(tables)
        check_mixing(tables)
        layout.check(tables)
        feed = {name.removeprefix("probe."): table for name, table in tables.items() if name.startswith("probe.")}
        probe = Probe(feed, feed.pop("parameters"))
        fits = layout.fits(probe)
    except BundleError as error:
        raise BundleError(f"{path}: {error}") from error
    except (KeyError, IndexError, TypeError, ValueError, OverflowError):
        fits = False
    if not fits:
        raise BundleError(f"{path}: its tables, layout and probe do not fit together")
    return probe


def _open(path: Path | str) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except FileNotFoundError as error:
        raise BundleError(f"there is no model {path}") from error
    except (zipfile.BadZipFile, OSError, RuntimeError, ValueError) as error:
        raise BundleError(f"{path} is not a model bundle: {error}") from error


def _member(archive: zipfile.ZipFile, name: str, path: Path | str) -> bytes:
    try:
        info = archive.getinfo(name)
        if info.file_size > LIMITS[name] or info.compress_type != zipfile.ZIP_STORED:
            raise BundleError(f"{path}: {name} is compressed or over {LIMITS[name]} bytes")
        return archive.read(info)
    except (
        KeyError,
        zipfile.BadZipFile,
        OSError,
        EOFError,
        RuntimeError,
    ) as error:  # RuntimeError: marked as encrypted
        raise BundleError(f"{path}: {name} is missing or damaged") from error


def _manifest(archive: zipfile.ZipFile, path: Path | str) -> Manifest:
    try:
        fields = json.loads(_member(archive, "manifest.json", path))
        if fields.get("format") != FORMAT or fields.get("rules") != rules.VERSION:
            raise BundleError(
                f"{path} has bundle format {fields.get('format')} and integer rules {fields.get('rules')}; "
                f"this version reads {FORMAT} and {rules.VERSION}"
            )
        layout = _KINDS[fields.pop("kind")].read(fields.pop("layout"))
        manifest = Manifest(layout=layout, **fields)
        for name, kind in _FIELDS.items():
            if not isinstance(getattr(manifest, name), kind):
                raise TypeError(f"{name} is {getattr(manifest, name)!r}")
        return manifest
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BundleError(f"{path}: the manifest cannot be read: {error}") from error


def _tensors(data: bytes) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load as load_tensors

    try:
        return load_tensors(data)
    except (SafetensorError, ValueError) as error:
        raise BundleError(f"a tensor file of the bundle cannot be read: {error}") from error


def write(path: Path | str, manifest: Manifest, members: dict[str, bytes]) -> None:
    """Writes a bundle, whole or not at all, reproducibly (no times in it)."""
    with whole(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, data in {"manifest.json": manifest.to_json().encode(), **members}.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)
