"""How far the work on many inputs is: a bar where somebody watches, lines now and then where they are asked for."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Lock
from typing import Any, TextIO

import click

from runtime import command_line
from runtime.progress import Progress

_LEAST = 1000  # bytes that a small input counts as: there is as much to do about it besides
_EVERY = 5.0  # seconds between lines


class Bar:
    """Progress over all inputs, each of which has a share by its size in bytes."""

    def __init__(self, sizes: Sequence[int], label: str) -> None:
        self._shares, self._label = [max(size, _LEAST) for size in sizes], label
        self._lock, self._stopped = Lock(), Event()
        self._start = time.perf_counter()
        self._done, self._ended = 0, 0  # bytes, inputs
        self._advance: Callable[[int], object] = lambda steps: None

    @contextmanager
    def shown(self, progress: bool | None, quiet: bool = False) -> Iterator[None]:
        """Shows it on stderr while the block lasts. progress: see Telling."""
        watched = on_terminal(sys.stderr)
        if progress is False or quiet or not (progress or watched):
            yield
        elif watched:
            bar: Any = click.progressbar(
                length=sum(self._shares),
                label=self._label,
                file=sys.stderr,
                show_eta=True,
                item_show_func=lambda _: self._state(),
            )
            with bar:
                self._advance = bar.update
                yield
        else:
            self._advance = self._line_now_and_then(self._start)
            yield

    def stop(self) -> None:
        """Whatever reports progress from now on is interrupted."""
        self._stopped.set()

    def progress(self, number: int) -> Progress:
        """What the work on the input of that number reports to. It only goes on, also where work is done in several
        passes."""
        at, share = 0, self._shares[number]

        def report(done: int, total: int) -> None:
            nonlocal at
            if self._stopped.is_set():
                raise InterruptedError
            with self._lock:
                before, at = at, max(at, share * done // max(total, 1))
                if at > before:
                    self._done += at - before
                    self._ended += at == share
                    self._advance(at - before)

        return report

    def _state(self) -> str:
        """How many inputs have ended, where there are several, and how fast it goes."""
        rate = self._done / 1e6 / max(time.perf_counter() - self._start, 1e-9)
        return (f"{self._ended}/{len(self._shares)} files  " if len(self._shares) > 1 else "") + f"{rate:.2f} MB/s"

    def _line_now_and_then(self, last: float) -> Callable[[int], object]:
        def advance(steps: int) -> None:
            nonlocal last
            now, total = time.perf_counter(), sum(self._shares)
            if now - last < _EVERY:
                return
            last = now
            left = (now - self._start) * (total / self._done - 1)
            done = f"{100 * self._done / total:.0f} %"
            command_line.say("lmconv-codec", f"{self._label}: {done}  {self._state()}  {left:.0f} s left")

        return advance


def on_terminal(stream: TextIO | None) -> bool:
    """Whether somebody watches stdout or stderr, which may be closed."""
    return stream is not None and stream.isatty()


def clear_line() -> None:
    """Takes a bar away that stands there."""
    if on_terminal(sys.stderr):
        click.echo("\r\033[K", nl=False, err=True)
