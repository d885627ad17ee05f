"""Work on many inputs: several at once, one progress bar over all, results and failures told in the inputs' order."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

import click

from codec.commands.bar import Bar, clear_line
from codec.errors import CodecError
from codec.files import STANDARD, check_output
from runtime import command_line
from runtime.command_line import explain
from runtime.entry import INTERRUPTED
from runtime.progress import Progress

INSTALL = "pip install lmconv[cpu] (or lmconv[gpu] for NVIDIA cards)"


class _Dataclass(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Any]]


Input = TypeVar("Input")
Row = TypeVar("Row", bound=_Dataclass)


@dataclass(frozen=True)
class Telling:
    """How a command tells what it did. verbose: with details. progress: whether it shows how far it is, None: where
    somebody watches. to_stderr: since stdout has the results themselves."""

    as_json: bool = False
    quiet: bool = False
    verbose: bool = False
    progress: bool | None = None
    to_stderr: bool = False


@dataclass(frozen=True)
class Task:
    """An input and where its result goes, or why it cannot go there."""

    source: Path
    target: Path | CodecError

    def output(self, force: bool, there: bool = True) -> Path:
        """The target, which can be written. there: its folder must exist. Raises what forbids it."""
        if isinstance(self.target, CodecError):
            raise self.target
        if there or self.target.parent.is_dir():
            check_output(self.target, force=force)
        return self.target


def shared_out(count: int, threads: int, jobs: int) -> tuple[int, int]:
    """How many of so many inputs are worked on at once, and on how many threads each. threads: in all; 0 for either:
    as many as there are cores."""
    threads = threads or os.cpu_count() or 1
    jobs = max(min(jobs or threads, count), 1)
    return jobs, max(threads // jobs, 1)


def each(
    inputs: Iterable[Input],
    work: Callable[[Input, Progress], Row],
    line: Callable[[Row, int], str],
    telling: Telling,
    *,
    name: Callable[[Input], object] = lambda item: item,
    failed: Callable[[Row], bool] = lambda row: False,
    totals: Callable[[Sequence[Row], float], str] | None = None,
    jobs: int = 1,
) -> None:
    """Work on each input and print its line, or at the end the JSON list; exit with 1 when one has failed.

    What was finished before an interrupt is printed too. line gets the width of the longest name. failed: whether a row
    is that of a failure, though there is one. totals: a last line, of several rows and the seconds that all took. jobs:
    how many inputs are worked on at once.
    """
    inputs, start = list(inputs), time.perf_counter()
    names = [shown(name(item)) for item in inputs]
    width = max(map(len, names), default=0)
    rows: dict[int, Row] = {}
    errors: dict[int, str] = {}
    out, interrupted, told = _Out(telling), False, 0
    bar = Bar([_size(name(item)) for item in inputs], names[0] if len(names) == 1 else f"{len(names)} files")

    def to_the_end(at: int, progress: Progress) -> Row:
        rows[at] = work(inputs[at], progress)
        progress(1, 1)
        return rows[at]

    with bar.shown(telling.progress, telling.quiet), _calls(jobs, bar.stop) as call:
        results = [call(to_the_end, at, bar.progress(at)) for at in range(len(inputs))]
        for told, result in enumerate(results):
            try:
                out.line(line(result(), width))
            except KeyboardInterrupt:
                interrupted = True
                break
            except Exception as error:
                errors[told] = explain(error, INSTALL, about=name(inputs[told]))
                say(f"{names[told]}: {errors[told]}")
    for at in sorted(at for at in rows if at > told):  # what had ended when the others were interrupted
        out.line(line(rows[at], width))
    done = [rows[at] for at in sorted(rows)]
    if totals is not None and len(done) > 1:
        out.line(totals(done, time.perf_counter() - start))
    failures = {at: {"input": str(name(inputs[at])), "error": text} for at, text in errors.items()}
    out.json([asdict(rows[at]) if at in rows else failures[at] for at in sorted({*rows, *failures})])
    if interrupted:
        say("interrupted")
        click.get_current_context().exit(INTERRUPTED)
    if errors or out.closed or any(map(failed, done)):
        click.get_current_context().exit(1)


@dataclass
class _Out:
    """Stdout, which the reader may close: the work goes on."""

    telling: Telling
    closed: bool = field(default=False, init=False)

    def line(self, text: str) -> None:
        if not (self.telling.quiet or self.telling.as_json):
            clear_line()
            self._echo(text)

    def json(self, rows: list[dict[str, Any]]) -> None:
        if self.telling.as_json:
            self._echo(json.dumps(rows, indent=2))

    def _echo(self, text: str) -> None:
        try:
            if not self.closed:
                click.echo(text, err=self.telling.to_stderr)
        except BrokenPipeError:
            self.closed = True
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still to be flushed goes there


@contextmanager
def _calls(jobs: int, stop: Callable[[], object]) -> Iterator[Callable[..., Callable[[], Any]]]:
    """Gives call(work, *arguments), which returns what waits for the result: here, or on threads that began at once.
    What has not ended when the block does is stopped."""
    if jobs == 1:
        yield partial
        return
    with ThreadPoolExecutor(jobs) as pool:
        try:
            yield lambda work, *arguments: pool.submit(work, *arguments).result
        finally:
            stop()
            pool.shutdown(cancel_futures=True)


def _size(of: object) -> int:
    """In bytes, of a file; 0 where it is none."""
    try:
        return os.path.getsize(of) if isinstance(of, Path) and of != STANDARD else 0
    except OSError:
        return 0


def say(message: str) -> None:
    """A line on stderr."""
    clear_line()
    command_line.say("lmconv-codec", message)


def shown(path: object, width: int = 0) -> str:
    """A file's name as it can be printed."""
    return f"{click.format_filename(str(path)):<{width}}"
