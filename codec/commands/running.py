"""What commands do alike: find outputs, load models, work on each input, show progress, say what went wrong."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

import click

from codec import files, models
from codec.format import container
from codec.format.container import Contents
from codec.format.method import AnyMethod, InOrder
from runtime import command_line
from runtime.command_line import explain
from runtime.progress import Progress

if TYPE_CHECKING:
    import runtime
    from codec.decompression import Lost
    from codec.format.tiles import Box
    from codec.images.samples import Samples


class _Dataclass(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Any]]


Input = TypeVar("Input")
Row = TypeVar("Row", bound=_Dataclass)

INSTALL = "pip install lmconv[cpu] (or lmconv[gpu] for NVIDIA cards)"


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
        self.threads, self.provider, self.max_pixels, self.quiet = threads, provider, max_pixels, quiet
        self.cut = cut
        self.loaded: dict[Path, runtime.Model] = {}

    def read(self, path: Path) -> File:
        """A file, not decoded yet."""
        with files.opened(path) as data:
            return File(path, container.read(memoryview(data), self.max_pixels, whole=not self.cut), len(data))

    def decode(self, file: File, *, crop: Box | None = None, lost: list[Lost] | None = None) -> tuple[Samples, float]:
        """The samples, and the seconds that decoding took."""
        from codec.decompression import decompress

        picture = file.contents.picture
        model_id = picture.header.model_id if picture is not None else None
        say_first_use(self.quiet)
        network = self._model(model_id) if model_id is not None else None
        start = time.perf_counter()
        with progress_bar(file.path.name, self.quiet) as progress:
            try:
                samples = decompress(file.contents, network, crop=crop, lost=lost, progress=progress)
            except ValueError as error:
                raise click.UsageError(str(error)) from error
        return samples, time.perf_counter() - start

    def _model(self, model_id: bytes) -> runtime.Model:
        bundle = models.find(model_id, self.extra)
        if bundle not in self.loaded:
            self.loaded[bundle] = ready(bundle, self.provider, self.threads, self.quiet)
        return self.loaded[bundle]


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


@cache
def say_first_use(quiet: bool) -> bool:
    """Whether it is one; says so, once."""
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


def each(
    inputs: Iterable[Input],
    work: Callable[[Input], Row],
    line: Callable[[Row, int], str],
    as_json: bool,
    name: Callable[[Input], object] = lambda item: item,
    failed: Callable[[Row], bool] = lambda row: False,
) -> None:
    """Work on each input and print its line, or at the end the JSON list; exit with 1 when one has failed.

    What was finished before an interrupt is printed too. line gets the width of the longest name. failed: whether a row
    is that of a failure, though there is one.
    """
    inputs = list(inputs)
    width = max((len(shown(name(item))) for item in inputs), default=0)
    rows, bad = [], False
    for item in inputs:
        try:
            row = work(item)
        except KeyboardInterrupt:
            say("interrupted")
            bad = True
            break
        except Exception as error:
            say(f"{shown(name(item))}: {explain(error, INSTALL, about=name(item))}")
            bad = True
            continue
        rows.append(row)
        bad = bad or failed(row)
        if not as_json:
            click.echo(line(row, width))
    if as_json:
        click.echo(json.dumps([asdict(row) for row in rows], indent=2))
    if bad:
        click.get_current_context().exit(1)


@contextmanager
def progress_bar(label: str, quiet: bool) -> Iterator[Progress | None]:
    """A progress bar's callback, or None where nobody watches."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    with click.progressbar(length=1, label=shown(label), file=sys.stderr) as bar:

        def progress(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        yield progress


def say(message: str) -> None:
    command_line.say("lmconv-codec", message)


def shown(path: object, width: int = 0) -> str:
    """A file's name as it can be printed."""
    return f"{click.format_filename(str(path)):<{width}}"


def named(methods: dict[AnyMethod, int], manifest: runtime.Manifest | None) -> dict[str, int]:
    """Tiles by what a method is called; orders by their names where the model is known."""

    def name(method: AnyMethod) -> str:
        if isinstance(method, InOrder) and manifest is not None:
            return f"order {manifest.layout.orders[method.order]}"
        return str(method)

    return {name(method): tiles for method, tiles in methods.items()}
