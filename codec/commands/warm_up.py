"""lmconv-codec warm-up."""

from __future__ import annotations

import time
from dataclasses import dataclass

import click

from codec import models
from codec.commands.batch import Telling, each, shown
from codec.commands.options import options, telling
from runtime.progress import Progress


@dataclass(frozen=True)
class WarmUp:
    """A line of `warm-up`: what an effort took; next to nothing if its kernels were compiled before."""

    effort: str
    model: str
    seconds: float


@click.command("warm-up")
@options("threads", "provider")
@telling()
def warm_up(threads: int, provider: str, telling: Telling) -> None:
    """Compile everything ahead, as for an image of a container: no later use has to."""
    from codec.warm_up import warm_up as compile_all

    def work(effort: str, progress: Progress) -> WarmUp:
        name, start = models.DEFAULTS[effort], time.perf_counter()
        compile_all(models.load(models.resolve(name), threads, provider), effort, everything=True)
        return WarmUp(effort, name, time.perf_counter() - start)

    def line(row: WarmUp, width: int) -> str:
        return f"{shown(row.effort, width)}  {row.model:<12}  {row.seconds:7.2f} s"

    each(models.EFFORTS, work, line, telling)
