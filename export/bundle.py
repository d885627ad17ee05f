"""Checkpoint -> bundle: quantise, measure the loss of rounding, build both graphs, prove them equal, write it whole."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
from safetensors.numpy import save as save_tensors

import runtime
from export.errors import ExportError
from export.exact.contents import Exact
from export.exact.reports import Report
from export.exact.tables import distribution_tables
from export.photo.bundle import exact_photo
from export.pixelcnn.bundle import exact_pixelcnn
from lmconv.checkpoints.checkpoint import Checkpoint
from lmconv.config import PhotoConfig
from lmconv.family.settings import FamilyConfig
from lmconv.networks import kinds
from runtime import bundle
from runtime.network import PRODUCTS


def export_bundle(
    checkpoint: Checkpoint,
    path: Path,
    name: str,
    pictures: np.ndarray,
    card: dict | None = None,
    orders: tuple[str, ...] = (),
    size: tuple[int, int] | None = None,
) -> Report:
    """Writes a bundle and returns the report. pictures uint8 [N, C, H, W]: half calibrates, half measures.

    A photo network has its order and takes any size. The paper's takes pictures of its levels and of `size`, that of
    its training by default, and is exported for `orders`, by default all that it was trained on, on one copy of the
    weights. Raises QuantisationError if a bound cannot be proved, ExportError for settings that do not fit and if the
    written bundle does not give the PyTorch model's integers, OrderError; nothing is left at `path` then.
    """
    check_target(checkpoint, orders, size)
    if isinstance(checkpoint.network, PhotoConfig):
        exact = exact_photo(checkpoint, pictures)
    else:
        exact = exact_pixelcnn(checkpoint, pictures, orders, size)
    members = _members(exact)
    manifest = bundle.Manifest(
        name=name,
        model_id="",
        layout=exact.layout,
        bits_per_subpixel=round(exact.integer_bits, 5),
        parameters=exact.parameters,
        card=card or {},
        members={member: hashlib.sha256(data).hexdigest() for member, data in members.items()},
    )
    model_id = bundle.identity(manifest, members["weights.safetensors"], members["tables.safetensors"])
    _write(Path(path), replace(manifest, model_id=model_id), members, exact)
    return Report(exact.layers, exact.float_bits, exact.integer_bits, exact.layout.order, model_id)


def check_target(checkpoint: Checkpoint, orders: tuple[str, ...], size: tuple[int, int] | None) -> None:
    """Raises ExportError where a network has no choice of orders or sizes, or no bundles at all."""
    if isinstance(checkpoint.network, FamilyConfig):
        sort = kinds.kind(checkpoint.network)
        raise ExportError(f"bundles are of photo networks and the paper's, not of {sort}: choose a float --format")
    if isinstance(checkpoint.network, PhotoConfig) and (orders or size):
        option = "--order" if orders else "--size"
        raise ExportError(f"a photo network's bundle is for its own order and any size: leave {option} out")


def _members(exact: Exact) -> dict[str, bytes]:
    tensors = {"weights": exact.weights, "tables": exact.tables | distribution_tables()}
    members = {f"{name}.safetensors": _packed(arrays) for name, arrays in tensors.items()}
    graphs = {f"step_{kind}.onnx": exact.graphs[kind].SerializeToString(deterministic=True) for kind in PRODUCTS}
    return members | graphs


def _packed(tensors: dict[str, np.ndarray]) -> bytes:
    """As a safetensors file, which takes an array's memory as it lies: row-major, then."""
    return save_tensors({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()})


def _write(path: Path, manifest: bundle.Manifest, members: dict[str, bytes], exact: Exact) -> None:
    """Once both kinds of product are proved."""
    temporary = Path(f"{path}.unproved")
    try:
        bundle.write(temporary, manifest, members)
        for products in PRODUCTS:
            try:
                exact.prove(runtime.load(temporary, products=products))
            except ExportError as error:
                raise ExportError(f"{products} products: {error}") from error
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
