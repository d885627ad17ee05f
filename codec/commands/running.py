"""What commands do alike: find outputs, load models, work on each input, show progress, say what went wrong."""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

import click

from codec import files, models
from codec.errors import PixelsDiffer
from codec.format import container
from codec.format.method import InOrder, Method
from runtime import command_line
from runtime.command_line import explain
from runtime.progress import Progress

if TYPE_CHECKING:
    import runtime
    from codec.images import Image


class _Dataclass(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Any]]


Input = TypeVar("Input")
Row = TypeVar("Row", bound=_Dataclass)

INSTALL = "pip install lmconv[cpu] (or lmconv[gpu] for NVIDIA cards)"


@dataclass(frozen=True)
class File:
    """A compressed file, all of which has been checked: what it holds, and its size in bytes."""

    path: Path
    parsed: container.Parsed
    size: int


class Decoder:
    """Decodes files of any model that can be found; each model is loaded once."""

    def __init__(self, model: str | None, threads: int, provider: str, max_pixels: int, quiet: bool) -> None:
        self.extra = models.resolve(model) if model else None
        self.threads, self.provider, self.max_pixels, self.quiet = threads, provider, max_pixels, quiet
        self.loaded: dict[Path, runtime.Model] = {}

    def read(self, path: Path) -> File:
        """A file, not decoded yet."""
        with open(path, "rb") as stream:
            return File(path, container.read(stream, self.max_pixels), stream.seek(0, os.SEEK_END))

    def decode(self, file: File) -> tuple[Image, float]:
        """The picture, and the seconds that decoding took."""
        from codec.codec import decompress as decode

        network = self._model(file) if file.parsed.header.model_id != container.NO_MODEL else None
        start = time.perf_counter()
        with progress_bar(file.path.name, self.quiet) as progress:
            image = decode(file.parsed, network, progress=progress)
        return image, time.perf_counter() - start

    def _model(self, file: File) -> runtime.Model:
        bundle = models.find(file.parsed.header.model_id, self.extra)
        if bundle not in self.loaded:
            self.loaded[bundle] = load(bundle, self.provider, self.threads, self.quiet)
        return self.loaded[bundle]


def load(bundle: Path, provider: str, threads: int, quiet: bool) -> runtime.Model:
    """A model ready to run, after word of what has to be compiled first."""
    import runtime

    announce(quiet)
    return runtime.load(bundle, provider=provider, threads=threads)


def read_picture(path: Path, max_pixels: int) -> Image:
    """A picture, bounded by --max-pixels alone: the process is this program's, and so are Pillow's settings in it."""
    from PIL import Image as Pillow

    from codec import images

    Pillow.MAX_IMAGE_PIXELS = None
    warnings.filterwarnings("ignore", module=r"PIL\.")
    return images.read(path, max_pixels)


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
) -> None:
    """Work on each input and print its line, or at the end the JSON list; exit with 1 when one has failed.

    What was finished before an interrupt is printed too. line gets the width of the longest name.
    """
    inputs = list(inputs)
    width = max((len(shown(name(item))) for item in inputs), default=0)
    rows, failed = [], False
    for item in inputs:
        try:
            row = work(item)
        except KeyboardInterrupt:
            say("interrupted")
            failed = True
            break
        except Exception as error:
            say(f"{shown(name(item))}: {explain(error, INSTALL, about=name(item))}")
            failed = True
            continue
        rows.append(row)
        if not as_json:
            click.echo(line(row, width))
    if as_json:
        click.echo(json.dumps([asdict(row) for row in rows], indent=2))
    if failed:
        click.get_current_context().exit(1)


def announce(quiet: bool) -> None:
    """Says that the first use of an installation takes longer."""
    import runtime

    if not quiet and not runtime.compiled():
        say("first use: compiling kernels for this machine, which takes some seconds")


def compare(image: Image, restored: Image, other: str) -> None:
    difference = image.difference(restored)
    if difference:
        raise PixelsDiffer(f"not the same as {other} ({difference}): keep the original")


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


def named(methods: dict[Method | InOrder, int], manifest: runtime.Manifest | None) -> dict[str, int]:
    """Tiles by what a method is called; orders by their names where the model is known."""

    def name(method: Method | InOrder) -> str:
        if isinstance(method, InOrder) and manifest is not None:
            return f"order {manifest.layout.orders[method.order]}"
        return str(method)

    return {name(method): tiles for method, tiles in methods.items()}
