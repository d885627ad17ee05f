"""Bundles (*.lmconv): a trained model ready to run, one uncompressed zip read by name with size limits.

manifest.json      what the model is; SHA-256 of every other member; model_id
weights.safetensors, tables.safetensors     the integers that decide every probability, and a probe
step_integer.onnx, step_float32.onnx        the step graph, two ways of computing the same integers
The model's identity is the SHA-256 of weights, tables, predictor settings, layout and rules version. Nothing is
unpickled or unpacked to disk, and a graph that refers to other files is refused.
"""

import hashlib
import io
import json
import os
import zipfile
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from . import rules
from .network import PRODUCTS, BundleError, Network, Probe
from .photo import PhotoTile, wavefront
from .predictor import Settings
from .schedule import Kernel, Schedule, all_at_once, by_rank, open_taps

FORMAT = 1
_EXTERNAL = b"\x0a\x08location"  # how protobuf writes the key of an external tensor's file name
LIMITS = {
    "manifest.json": 1 << 20,
    "weights.safetensors": 1 << 28,
    "tables.safetensors": 1 << 26,
    "step_integer.onnx": 1 << 28,
    "step_float32.onnx": 1 << 28,
}
_TABLES = {
    "codes": (np.uint8, 2 * rules.CODE_RANGE),
    "exponential": (np.int64, 16 * rules.LOGIT_UNIT),
    "inverse_scale": (np.int64, rules.SCALES),
    "deviation": (np.int64, rules.SCALES),
    "logistic": (np.int64, 2 * rules.LOGISTIC_RANGE * rules.LOGISTIC_UNIT + 1),
}


@dataclass(frozen=True)
class Manifest:
    """What a bundle says of itself."""

    name: str
    model_id: str  # 64 hex digits
    order: str
    components: int
    kernel: int  # side of the blocks' window
    first_offsets: tuple[tuple[int, int], ...]
    predictor: Settings
    parameters: int = 0
    bits_per_subpixel: float | None = None
    card: dict = field(default_factory=dict)
    members: dict = field(default_factory=dict)
    rules: int = rules.VERSION
    format: int = FORMAT

    def identity_text(self) -> str:
        """The part of the manifest that decides probabilities, as canonical JSON."""
        return json.dumps(
            {
                "rules": self.rules,
                "order": self.order,
                "components": self.components,
                "kernel": self.kernel,
                "first_offsets": self.first_offsets,
                "predictor": asdict(self.predictor),
            },
            sort_keys=True,
        )

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1, sort_keys=True)


def identity(manifest: Manifest, weights: bytes, tables: bytes) -> str:
    """SHA-256, hex, of everything that decides a probability; safetensors files are compared by content."""
    digest = hashlib.sha256(manifest.identity_text().encode())
    for member in (weights, tables):
        for name, array in sorted(_tensors(member).items()):
            digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def read_manifest(path: Path | str) -> Manifest:
    """The manifest alone, without loading the model. Raises BundleError."""
    with _open(path) as archive:
        return _manifest(archive, path)


@dataclass(frozen=True, eq=False)
class Model:
    """A loaded bundle: the network (a step runs on one thread) and the tables of its distribution."""

    manifest: Manifest
    network: Network
    tables: dict[str, np.ndarray]
    threads: int  # how many the user of the model may use

    def schedule(self, height: int, width: int) -> Schedule:
        """Levels and slots for tiles of one size (kept for the sizes used last)."""
        return _schedule(height, width, self.manifest.kernel)

    def tile(self, height: int, width: int) -> PhotoTile:
        """Fresh state of one tile."""
        m = self.manifest
        return PhotoTile(height, width, self.tables["codes"], m.first_offsets, m.predictor)

    def parameters(self, pictures: np.ndarray) -> np.ndarray:
        """The full pass, all positions at once: uint8 [N, 3, H, W] -> mixture parameters int32 [N, P, H, W].

        For whoever only wants likelihoods; the integers equal those of the level-by-level pass at every position.
        """
        return np.stack([_full_pass(self, picture) for picture in pictures])


@lru_cache(maxsize=4)
def _schedule(height: int, width: int, kernel: int) -> Schedule:
    return by_rank(wavefront(height, width), Kernel(kernel, kind="B"), _taps(kernel))


def _taps(kernel: int) -> tuple[tuple[int, int], ...]:
    """The taps of a block's window that the wavefront opens where all of the window is inside."""
    return open_taps(wavefront(kernel, kernel), Kernel(kernel, kind="B"))[0]


def _side(offsets: tuple[tuple[int, int], ...]) -> int:
    """Side of the smallest odd window that holds the offsets."""
    return 2 * max(max(abs(dr), abs(dc)) for dr, dc in offsets) + 1


def _full_pass(model: Model, picture: np.ndarray) -> np.ndarray:
    _, height, width = picture.shape
    tile, inputs = model.tile(height, width), None
    predictor = tile.predictor
    steps = model.schedule(height, width)
    for level in range(steps.steps):
        at = steps.positions[steps.starts[level] : steps.starts[level + 1]]
        for k in range(3):
            predictor.solve(level, k)
            predictor.predict(level, k)
            if k == 0:
                here = tile.inputs(level)
                inputs = np.empty((height * width, here.shape[1]), np.uint8) if inputs is None else inputs
                inputs[at] = here
            predictor.put(level, k, picture[k].reshape(-1)[at])
        tile.finish(level)
    whole = all_at_once(wavefront(height, width), Kernel(model.manifest.kernel, kind="B"), _taps(model.manifest.kernel))
    return model.network.start(whole).step(0, inputs).T.reshape(-1, height, width)


def load(
    path: Path | str, provider: str = "cpu", threads: int = 0, products: str = "auto", optimise: bool = True
) -> Model:
    """Reads, verifies and opens a bundle; threads 0: all cores. Raises BundleError (ProviderError for what this
    machine cannot run)."""
    with _open(path) as archive:
        manifest = _manifest(archive, path)
        members = {name: _member(archive, name, path) for name in LIMITS if name != "manifest.json"}
    for name, data in members.items():
        if hashlib.sha256(data).hexdigest() != manifest.members.get(name):
            raise BundleError(f"{path}: {name} is damaged (its SHA-256 is not the manifest's)")
    if identity(manifest, members["weights.safetensors"], members["tables.safetensors"]) != manifest.model_id:
        raise BundleError(f"{path}: the model's identity does not match its contents")
    tables = _tensors(members["tables.safetensors"])
    probe = _probe(manifest, tables, path)
    graphs = {kind: members[f"step_{kind}.onnx"] for kind in PRODUCTS}
    if any(_EXTERNAL in graph for graph in graphs.values()):
        raise BundleError(f"{path}: a graph refers to data outside the bundle")
    return Model(manifest, Network(graphs, probe, provider, products, optimise), tables, threads or os.cpu_count() or 1)


def _probe(manifest: Manifest, tables: dict[str, np.ndarray], path: Path | str) -> Probe:
    """The probe, once tables and layout fit together: compiled code uses them without looking at bounds."""
    m, window = manifest, range(1, 32, 2)
    try:
        probe = Probe(*(tables[f"probe.{name}"] for name in ("inputs", "taps", "slots", "cache", "parameters")))
        fits = (
            m.order == "wavefront"
            and m.kernel in window
            and _side(m.first_offsets) in window
            and all(tables[name].dtype == kind and tables[name].shape == (n,) for name, (kind, n) in _TABLES.items())
            and probe.inputs.shape[1] == len(m.first_offsets) * rules.KNOWN + len(rules.NEIGHBOURS) + 1
            and probe.taps.shape[1] == len(_taps(m.kernel))
            and probe.parameters.shape[1] == 10 * m.components
        )
    except (KeyError, IndexError, TypeError, ValueError):
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
        predictor = fields.pop("predictor")
        settings = Settings(
            tuple(tuple(size) for size in predictor["sizes"]),
            predictor["decay"],
            predictor["row_decay"],
            tuple(predictor["ridge"]),
        )
        offsets = tuple((int(dr), int(dc)) for dr, dc in fields.pop("first_offsets"))
        return Manifest(first_offsets=offsets, predictor=settings, **fields)
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
    """Writes a bundle in one piece, reproducibly (no times in it)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in {"manifest.json": manifest.to_json().encode(), **members}.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)
    partial = Path(f"{path}.partial")
    partial.write_bytes(buffer.getvalue())
    os.replace(partial, path)
