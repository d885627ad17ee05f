"""Models: found by name among the shipped ones, by path, or by the model id in a file; loaded once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from codec.errors import ModelNotFound, WrongModel
from codec.format.picture import short_id

if TYPE_CHECKING:
    import runtime

NORMAL = "normal"
DEFAULTS = {"fast": "photo-small", NORMAL: "photo-small", "best": "photo"}  # the model of each effort
EFFORTS = tuple(DEFAULTS)
BUNDLES = Path(__file__).with_name("bundles")
SUFFIX = ".lmconv"
_loaded: dict[tuple[Path, int, str], runtime.Model] = {}
_LOADING = Lock()


def check_effort(effort: str) -> None:
    """Raises ValueError for an effort that there is not."""
    if effort not in EFFORTS:
        raise ValueError(f"effort is {effort!r}, not one of {', '.join(EFFORTS)}")


@dataclass(frozen=True)
class Shipped:
    """A bundle that comes with the package; name is what --model takes."""

    name: str
    path: Path
    manifest: runtime.Manifest


def available() -> list[Shipped]:
    """The shipped bundles by name. Raises runtime.BundleError when one is broken."""
    import runtime

    return [Shipped(path.stem, path, runtime.read_manifest(path)) for path in _bundles()]


def resolve(name_or_path: str | Path) -> Path:
    """The bundle that --model means: a shipped one's name, else a path. Raises ModelNotFound."""
    for path in _bundles():
        if path.stem == str(name_or_path):
            return path
    path = Path(name_or_path)
    if path.is_file():
        return path
    raise ModelNotFound(f"no model {str(name_or_path)!r}: give a {SUFFIX} file's path or one of: {_names()}")


def find(model_id: bytes, extra: Path | None = None) -> Path:
    """The bundle that a file was made with, by its header's model_id: `extra` if given, else a shipped one.

    Raises WrongModel when extra is another model, ModelNotFound when no shipped one is it.
    """
    import runtime

    if extra is not None:
        given = runtime.read_manifest(extra).model_id
        if short_id(given) != model_id:
            raise WrongModel(
                f"made with model {model_id.hex()[:12]}, but {extra} is model {given[:12]}: "
                "give the right one with --model"
            )
        return extra
    for shipped in available():
        if short_id(shipped.manifest.model_id) == model_id:
            return shipped.path
    raise ModelNotFound(
        f"made with model {model_id.hex()[:12]}, which is not shipped here ({_names()}): "
        "give its bundle with --model PATH"
    )


def load(bundle: Path, threads: int = 0, provider: str = "cpu") -> runtime.Model:
    """The model of a bundle, loaded when it is first asked for, once for each number of threads and provider, whichever
    thread asks. Raises BundleError."""
    import runtime

    key = bundle, threads, provider
    with _LOADING:
        if key not in _loaded:
            _loaded[key] = runtime.load(bundle, provider=provider, threads=threads)
        return _loaded[key]


def _bundles() -> list[Path]:
    return sorted(BUNDLES.glob(f"*{SUFFIX}"), key=lambda path: path.stem)


def _names() -> str:
    return ", ".join(path.stem for path in _bundles()) or "none is shipped"
