"""Work on many inputs: several at once, one progress bar over all, results and failures told in the inputs' order."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import partial
from threading import Event, Lock
from typing import Any, ClassVar, Protocol, TypeVar

import click

from runtime import command_line
from runtime.command_line import explain
from runtime.progress import Progress

INSTALL = "pip install lmconv[cpu] (or lmconv[gpu] for NVIDIA cards)"
_SHARE = 1000  # steps of the bar for each input


class _Dataclass(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Any]]


Input = TypeVar("Input")
Row = TypeVar("Row", bound=_Dataclass)


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
    as_json: bool,
    *,
    name: Callable[[Input], object] = lambda item: item,
    failed: Callable[[Row], bool] = lambda row: False,
    jobs: int = 1,
    quiet: bool = True,
) -> None:
    """Work on each input and print its line, or at the end the JSON list; exit with 1 when one has failed.

    What was finished before an interrupt is printed too. line gets the width of the longest name. failed: whether a row
    is that of a failure, though there is one. jobs: how many inputs are worked on at once. quiet: without a bar.
    """
    inputs = list(inputs)
    names = [shown(name(item)) for item in inputs]
    width = max(map(len, names), default=0)
    rows, bad = dict[int, Row](), False
    bar = Bar(names[0] if len(names) == 1 else f"{len(names)} files", len(inputs))

    def to_the_end(at: int, progress: Progress) -> Row:
        rows[at] = work(inputs[at], progress)
        progress(1, 1)
        return rows[at]

    def tell(row: Row) -> None:
        if not as_json:
            _clear_line()
            click.echo(line(row, width))

    told = 0
    with bar.on_terminal(quiet), _calls(jobs, bar.stop) as call:
        results = [call(to_the_end, at, bar.progress()) for at in range(len(inputs))]
        for told, result in enumerate(results):
            try:
                row = result()
            except KeyboardInterrupt:
                say("interrupted")
                bad = True
                break
            except Exception as error:
                say(f"{names[told]}: {explain(error, INSTALL, about=name(inputs[told]))}")
                bad = True
                continue
            bad = bad or failed(row)
            tell(row)
    for at in sorted(at for at in rows if at > told):  # what had ended when the others were interrupted
        tell(rows[at])
    if as_json:
        click.echo(json.dumps([asdict(rows[at]) for at in sorted(rows)], indent=2))
    if bad:
        click.get_current_context().exit(1)


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


class Bar:
    """A progress bar, in which every input has the same share."""

    def __init__(self, label: str, inputs: int) -> None:
        self._label, self._inputs = label, inputs
        self._lock, self._stopped = Lock(), Event()
        self._advance: Callable[[int], object] = lambda steps: None

    @contextmanager
    def on_terminal(self, quiet: bool) -> Iterator[None]:
        """Shows it on stderr while the block lasts, where somebody watches."""
        with ExitStack() as stack:
            if not quiet and sys.stderr.isatty():
                length = self._inputs * _SHARE
                shown_bar = click.progressbar(length=length, label=self._label, file=sys.stderr, show_eta=True)
                self._advance = stack.enter_context(shown_bar).update
            yield

    def stop(self) -> None:
        """Whatever reports progress from now on is interrupted."""
        self._stopped.set()

    def progress(self) -> Progress:
        """What one input's work reports to. It only goes on, also where work is done in several passes."""
        at = 0

        def report(done: int, total: int) -> None:
            nonlocal at
            if self._stopped.is_set():
                raise InterruptedError
            with self._lock:
                before, at = at, max(at, _SHARE * done // max(total, 1))
                if at > before:
                    self._advance(at - before)

        return report


def say(message: str) -> None:
    """A line on stderr."""
    _clear_line()
    command_line.say("lmconv-codec", message)


def _clear_line() -> None:
    """Takes a bar away that stands there."""
    if sys.stderr.isatty():
        click.echo("\r\033[K", nl=False, err=True)


def shown(path: object, width: int = 0) -> str:
    """A file's name as it can be printed."""
    return f"{click.format_filename(str(path)):<{width}}"
