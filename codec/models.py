"""Models: shipped or installed, found by name, by path, by the identity in a file, or for a picture; loaded once."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from codec.errors import ModelExists, ModelNotFound, WrongModel
from codec.format.picture import short_id

if TYPE_CHECKING:
    import runtime
    from codec.images.samples import Samples
    from runtime.pixelcnn import PixelCnnLayout

FAST, NORMAL = "fast", "normal"
DEFAULTS = {FAST: "photo-small", NORMAL: "photo-small", "best": "photo"}  # the model of each effort
EFFORTS = tuple(DEFAULTS)
BUNDLES = Path(__file__).with_name("bundles")
SUFFIX = ".lmconv"
AUTO = "auto"
_BITS, _SMALL, _SQUARES = 8, 2**16, 4  # bits of a value, pixels, pictures of a model's size: the most
_loaded: dict[tuple[Path, int, str], runtime.Model] = {}
_LOADING = Lock()


def check_effort(effort: str) -> None:
    """Raises ValueError for an effort that there is not."""
    if effort not in EFFORTS:
        raise ValueError(f"effort is {effort!r}, not one of {', '.join(EFFORTS)}")


@dataclass(frozen=True)
class Available:
    """A bundle that is at hand; name is what --model takes. installed: by the user, else it comes with the package."""

    name: str
    path: Path
    manifest: runtime.Manifest
    installed: bool = False


def folder() -> Path:
    """Where a user's bundles are: LMCONV_MODELS, or lmconv/models where the system has users' data."""
    own, data = os.environ.get("LMCONV_MODELS"), os.environ.get("XDG_DATA_HOME")
    return Path(own) if own else Path(data or Path.home() / ".local" / "share") / "lmconv" / "models"


def available() -> list[Available]:
    """All bundles: shipped ones by name, then installed ones. Raises runtime.BundleError when one is broken."""
    return [Available(path.stem, path, _manifest(path), path.parent != BUNDLES) for path in _bundles()]


def install(path: Path) -> Available:
    """Copies a bundle to the user's, under its own name, so that files which need it find it. Nothing is done for one
    that is there. Raises runtime.BundleError for what is no bundle that can be run, ModelExists where another has its
    name, and UnwritableOutput."""
    import runtime
    from codec import files

    manifest = runtime.load(path, threads=1).manifest
    for bundle in available():
        if bundle.manifest.model_id == manifest.model_id:
            return bundle
        if bundle.name == manifest.name:
            raise ModelExists(f"another model is named {manifest.name}: {bundle.path}")
    target = folder() / f"{manifest.name}{SUFFIX}"
    files.make_folder(target.parent)
    files.write_atomically(target, path.read_bytes())
    return Available(manifest.name, target, manifest, installed=True)


def resolve(name_or_path: str | Path) -> Path:
    """The bundle that --model means: the name of one that is available, else a path. Raises ModelNotFound."""
    for path in _bundles():
        if path.stem == str(name_or_path):
            return path
    path = Path(name_or_path)
    if path.is_file():
        return path
    raise ModelNotFound(f"no model {str(name_or_path)!r}: give a {SUFFIX} file's path or one of: {_names()}")


def of_effort(name: str | None, effort: str) -> Path:
    """The bundle of a name or path, or where it is None or AUTO the effort's. Raises ModelNotFound."""
    return resolve(DEFAULTS[effort] if name in (None, AUTO) else str(name))


def find(model_id: bytes, extra: Path | None = None) -> Path:
    """The bundle that a file was made with, by its header's model_id: `extra` if given, else one that is available.

    Raises WrongModel when extra is another model, ModelNotFound when no available one is it.
    """
    if extra is not None:
        given = _manifest(extra).model_id
        if short_id(given) != model_id:
            raise WrongModel(
                f"made with model {model_id.hex()[:12]}, but {extra} is model {given[:12]}: "
                "give the right one with --model"
            )
        return extra
    for bundle in available():
        if short_id(bundle.manifest.model_id) == model_id:
            return bundle.path
    raise ModelNotFound(
        f"made with model {model_id.hex()[:12]}, which is not at hand ({_names()}): "
        "give its bundle with --model PATH, or install it with lmconv-codec models --install PATH"
    )


class Choice:
    """Which models a picture is to be coded with: the one of a name or path, or where there is none the effort's and,
    unless it is to be fast, those that are for pictures as small as it; the smallest result counts.

    load: of a bundle. Raises ModelNotFound.
    """

    def __init__(self, name: str | None, effort: str, load: Callable[[Path], runtime.Model]) -> None:
        self._path = of_effort(name, effort)
        self._named, self._fast, self._load = name not in (None, AUTO), effort == FAST, load
        self._small: list[tuple[Path, PixelCnnLayout]] | None = None

    def first(self) -> runtime.Model:
        """The one that is taken for most pictures."""
        return self._load(self._path)

    def __call__(self, samples: Samples) -> list[runtime.Model]:
        """All that are to be tried."""
        if self._named or self._fast or samples.depth > _BITS or samples.width * samples.height > _SMALL:
            return [self.first()]
        if self._small is None:  # asked for once, for all small pictures
            self._small = for_small()
        others = [path for path, layout in self._small if path != self._path and _is_for(layout, samples)]
        return [self.first(), *map(self._load, others)]

    def maker(self, model_id: bytes) -> runtime.Model:
        """The one that made a file, by its header's model_id. Raises as `find` does."""
        return self._load(find(model_id, self._path if self._named else None))


def for_small() -> list[tuple[Path, PixelCnnLayout]]:
    """The bundles of networks of small pictures."""
    from runtime.pixelcnn import PixelCnnLayout

    layouts = [(bundle.path, bundle.manifest.layout) for bundle in available()]
    return [(path, layout) for path, layout in layouts if isinstance(layout, PixelCnnLayout)]


def _is_for(layout: PixelCnnLayout, samples: Samples) -> bool:
    """Whether a picture is about as small as a network's, and has its colours."""
    channels, first = 1 if samples.kind.startswith("grey") else 3, samples.values[..., 0]
    if samples.width * samples.height > _SQUARES * layout.height * layout.width or channels != layout.channels:
        return False
    return not layout.binary or bool(((first == 0) | (first == 255)).all())


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
    return [
        path for where in (BUNDLES, folder()) for path in sorted(where.glob(f"*{SUFFIX}"), key=lambda path: path.stem)
    ]


def _manifest(path: Path) -> runtime.Manifest:
    """Of a bundle, read anew where it has changed."""
    status = path.stat() if path.exists() else None
    return _read_manifest(path, status and (status.st_mtime_ns, status.st_size))


@lru_cache(maxsize=64)
def _read_manifest(path: Path, state: object) -> runtime.Manifest:
    import runtime

    return runtime.read_manifest(path)


def _names() -> str:
    return ", ".join(path.stem for path in _bundles()) or "none is there"
