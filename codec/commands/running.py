"""What commands do alike: find outputs, read and decode files, load models."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import click

from codec import files, models
from codec.commands.bar import on_terminal
from codec.commands.batch import Row, Task, Telling, each, say, shared_out, shown
from codec.commands.cluster import Cluster
from codec.commands.options import Batch, Engine
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
_COMPILED: set[Path] = set()  # bundles whose kernels this process has compiled


@dataclass(frozen=True)
class Intended:
    """A line of a dry run."""

    input: str
    output: str


@dataclass(frozen=True)
class Plan:
    """What a command is to do: tasks, how many at once, on how many threads each, by a cluster or here."""

    tasks: list[Task]
    telling: Telling
    jobs: int
    threads: int
    cluster: Cluster | None

    def run(
        self,
        work: Callable[[Task, Progress], Row],
        line: Callable[[Row, int], str],
        totals: Callable[[Sequence[Row], float], str] | None = None,
        failed: Callable[[Row], bool] = lambda row: False,
    ) -> None:
        """Does it, as `each` has it."""
        each(
            self.tasks,
            work,
            line,
            self.telling,
            name=lambda task: task.source,
            failed=failed,
            totals=totals,
            jobs=self.cluster.slots if self.cluster else self.jobs,
        )


@dataclass(frozen=True, eq=False)
class File:
    """A compressed file that has been read: its bytes, and what they hold."""

    path: Path
    data: bytes
    contents: Contents

    @property
    def size(self) -> int:
        return len(self.data)


class Decoder:
    """Decodes files of any model that can be found; each model is loaded once. cut: also files that end too early.
    cluster: of which samples are decoded there."""

    def __init__(
        self, engine: Engine, threads: int, quiet: bool, cut: bool = False, cluster: Cluster | None = None
    ) -> None:
        self.extra = models.resolve(engine.model) if engine.model not in (None, models.AUTO) else None
        self.max_pixels, self.quiet, self.cut, self._cluster = engine.max_pixels, quiet, cut, cluster
        self._provider, self._threads = engine.provider, threads

    def parsed(self, path: Path, data: bytes) -> File:
        """A file of these bytes, not decoded yet."""
        return File(path, data, container.read(memoryview(data), self.max_pixels, whole=not self.cut))

    def decode(
        self, file: File, progress: Progress, *, crop: Box | None = None, lost: list[Lost] | None = None
    ) -> tuple[Samples, float]:
        """The samples, and the seconds that decoding took."""
        picture = file.contents.picture
        model_id = picture.header.model_id if picture is not None and picture.needs_model else None
        bundle = models.find(model_id, self.extra) if model_id is not None else None
        if self._cluster is None:
            say_first_use(self.quiet)
            network = ready(bundle, self._provider, self._threads, self.quiet) if bundle is not None else None
            return _decoded(file.contents, network, crop, lost, progress)
        bounds = self.max_pixels, not self.cut
        samples, missing, seconds = self._cluster.run(_remotely, bytes(file.data), bounds, bundle, crop, lost)
        if lost is not None and missing is not None:
            lost[:] = missing
        return samples, seconds


def _decoded(
    contents: Contents,
    network: runtime.Model | None,
    crop: Box | None,
    lost: list[Lost] | None,
    progress: Progress | None = None,
) -> tuple[Samples, float]:
    from codec.decompression import decompress

    start = time.perf_counter()
    try:
        samples = decompress(contents, network, crop=crop, lost=lost, progress=progress)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    return samples, time.perf_counter() - start


def _remotely(
    data: bytes, bounds: tuple[int, bool], bundle: Path | None, crop: Box | None, lost: list[Lost] | None
) -> tuple[Samples, list[Lost] | None, float]:
    """The same on another machine. bounds: the most pixels, and whether the file must be whole."""
    network = models.load(bundle, 1) if bundle is not None else None
    samples, seconds = _decoded(container.read(data, bounds[0], whole=bounds[1]), network, crop, lost)
    return samples, lost, seconds


def ready(bundle: Path, provider: str, threads: int, quiet: bool) -> runtime.Model:
    """A model. At the first use of an installation, what a photograph needs by it is compiled before anything is timed;
    that is said before the model is loaded, as loading compiles kernels of its own."""
    with _FIRST:
        first = first_use(quiet)
        model = models.load(bundle, threads, provider)
        if first and bundle not in _COMPILED:
            from codec.warm_up import warm_up

            efforts = [effort for effort, name in models.DEFAULTS.items() if name == model.manifest.name]
            warm_up(model, (efforts or [models.NORMAL])[-1])
            _COMPILED.add(bundle)
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


def planned(
    batch: Batch,
    engine: Engine,
    telling: Telling,
    name: Callable[[Path], str],
    endings: Collection[str],
    longer: Callable[[Path], str] | None = None,
    *,
    rm: bool = False,
) -> Plan:
    """What is to be done: a task for each input, whose result's name is `name`'s, or `longer`'s where several in one
    folder have that. endings: of the files that are meant below folders. rm: whether inputs are removed. Ends the
    command for a dry run."""
    inputs = files.found(batch.inputs, endings, recursive=batch.recursive)
    tasks = list(map(Task, inputs, files.outputs(inputs, name, batch.place, longer)))
    if batch.skip_existing:
        left = [task for task in tasks if not (isinstance(task.target, Path) and os.path.lexists(task.target))]
        if len(left) < len(tasks) and not telling.quiet:
            say(f"{len(tasks) - len(left)} of {len(tasks)} left out: their results are there")
        tasks = left
    to_stdout = any(task.target == files.STANDARD for task in tasks)
    if to_stdout and on_terminal(sys.stdout) and not batch.force:
        raise click.UsageError("stdout is a terminal: send it elsewhere, or name a file with -o")
    if rm and (to_stdout or files.STANDARD in inputs):
        raise click.UsageError("--rm removes files whose results are files")
    if batch.dry_run:
        _say_what_would_be_written(tasks, batch, telling)
    place = batch.place.mirror or batch.place.output
    if place is not None and batch.place.named(len(inputs)) is None:
        for folder in sorted({task.target.parent for task in tasks if isinstance(task.target, Path)}):
            files.make_folder(folder)
    jobs, threads = shared_out(len(tasks), engine.threads, engine.jobs)
    cluster = Cluster(engine.dask) if engine.dask else None
    return Plan(tasks, replace(telling, to_stderr=to_stdout), jobs, threads, cluster)


def _say_what_would_be_written(tasks: list[Task], batch: Batch, telling: Telling) -> None:
    def work(task: Task, progress: Progress) -> Intended:
        return Intended(str(task.source), str(task.output(batch.force, there=False)))

    def line(row: Intended, width: int) -> str:
        return f"{shown(row.input, width)}  would become {shown(row.output)}"

    each(tasks, work, line, telling, name=lambda task: task.source)
    click.get_current_context().exit()


def named(methods: dict[AnyMethod, int], manifest: runtime.Manifest | None) -> dict[str, int]:
    """Tiles by what a method is called; orders by their names where the model is known."""

    def name(method: AnyMethod) -> str:
        if isinstance(method, InOrder) and manifest is not None:
            return f"order {manifest.layout.orders[method.order]}"
        return str(method)

    return {name(method): tiles for method, tiles in methods.items()}
