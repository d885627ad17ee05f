"""What commands do alike: find outputs, read and decode files, load models."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import click

from codec import files, models
from codec.commands.batch import say
from codec.format import container
from codec.format.container import Contents
from codec.format.method import AnyMethod, InOrder
from runtime.progress import Progress

if TYPE_CHECKING:
    import runtime
    from codec.decompression import Lost
    from codec.format.tiles import Box
    from codec.images.samples import Samples


_FIRST = Lock()


class Loaded:
    """Loads each model once, when it is first asked for, whichever thread asks."""

    def __init__(self, provider: str, threads: int, quiet: bool) -> None:
        self._how = provider, threads, quiet
        self._models: dict[Path, runtime.Model] = {}
        self._lock = Lock()

    def __call__(self, bundle: Path) -> runtime.Model:
        with self._lock:
            if bundle not in self._models:
                self._models[bundle] = ready(bundle, *self._how)
            return self._models[bundle]


@dataclass(frozen=True)
class File:
    """A compressed file that has been read: what it holds, and its size in bytes."""

    path: Path
    contents: Contents
    size: int


class Decoder:
    """Decodes files of any model that can be found; each model is loaded once. cut: also files that end too early."""

    def __init__(
        self, model: str | None, threads: int, provider: str, max_pixels: int, quiet: bool, cut: bool = False
    ) -> None:
        self.extra = models.resolve(model) if model else None
        self.max_pixels, self.quiet, self.cut = max_pixels, quiet, cut
        self._loaded = Loaded(provider, threads, quiet)

    def read(self, path: Path) -> File:
        """A file, not decoded yet."""
        with files.opened(path) as data:
            return File(path, container.read(memoryview(data), self.max_pixels, whole=not self.cut), len(data))

    def decode(
        self, file: File, progress: Progress, *, crop: Box | None = None, lost: list[Lost] | None = None
    ) -> tuple[Samples, float]:
        """The samples, and the seconds that decoding took."""
        from codec.decompression import decompress

        picture = file.contents.picture
        model_id = picture.header.model_id if picture is not None and picture.needs_model else None
        say_first_use(self.quiet)
        network = self._loaded(models.find(model_id, self.extra)) if model_id is not None else None
        start = time.perf_counter()
        try:
            samples = decompress(file.contents, network, crop=crop, lost=lost, progress=progress)
        except ValueError as error:
            raise click.UsageError(str(error)) from error
        return samples, time.perf_counter() - start


def load(bundle: Path, provider: str, threads: int) -> runtime.Model:
    """A model."""
    import runtime

    return runtime.load(bundle, provider=provider, threads=threads)


def ready(bundle: Path, provider: str, threads: int, quiet: bool) -> runtime.Model:
    """A model. At the first use of an installation, what a photograph needs by it is compiled before anything is timed;
    that is said before the model is loaded, as loading compiles kernels of its own."""
    first = say_first_use(quiet)
    model = load(bundle, provider, threads)
    if first:
        from codec.warm_up import warm_up

        efforts = [effort for effort, name in models.DEFAULTS.items() if name == model.manifest.name]
        warm_up(model, (efforts or [models.NORMAL])[-1])
    return model


def say_first_use(quiet: bool) -> bool:
    """Whether it is one; says so, once."""
    with _FIRST:
        return first_use(quiet)


@cache
def first_use(quiet: bool) -> bool:
    """The same, to be asked by one thread at a time."""
    import runtime

    if runtime.compiled():
        return False
    if not quiet:
        say("first use: compiling kernels for this machine, which takes some seconds")
    return True


def read_samples(path: Path, max_pixels: int) -> Samples:
    """A picture's samples alone; a JPEG's are decoded."""
    from codec.archive import read

    return read(path, max_pixels)


def targets_of(inputs: tuple[Path, ...], output: str | None, suffix: str | Callable[[Path], str]) -> list[Path]:
    """The outputs, in a folder that exists."""
    try:
        targets = files.outputs(inputs, output, suffix)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if output is not None and targets != [Path(output)]:
        files.make_folder(Path(output))
    return targets


def named(methods: dict[AnyMethod, int], manifest: runtime.Manifest | None) -> dict[str, int]:
    """Tiles by what a method is called; orders by their names where the model is known."""

    def name(method: AnyMethod) -> str:
        if isinstance(method, InOrder) and manifest is not None:
            return f"order {manifest.layout.orders[method.order]}"
        return str(method)

    return {name(method): tiles for method, tiles in methods.items()}
