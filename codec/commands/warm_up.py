"""lmconv-codec warm-up."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

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

    def work(use: tuple[str, Path], progress: Progress) -> WarmUp:
        (effort, bundle), start = use, time.perf_counter()
        model = models.load(bundle, threads, provider)
        compile_all(model, effort, everything=bundle == models.resolve(models.DEFAULTS[effort]))
        return WarmUp(effort, model.manifest.name, time.perf_counter() - start)

    def line(row: WarmUp, width: int) -> str:
        return f"{shown(row.effort, width)}  {row.model:<12}  {row.seconds:7.2f} s"

    uses = [(effort, models.resolve(name)) for effort, name in models.DEFAULTS.items()]
    each(
        [*uses, *((models.NORMAL, bundle) for bundle, _ in models.for_small())],
        work,
        line,
        telling,
        name=lambda use: use[0],
    )
