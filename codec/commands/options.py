"""The options that several commands share, and what commands are given in their place: groups of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click

from codec.commands.batch import Telling
from codec.files import SUFFIX, Place
from codec.format.picture import MAX_PIXELS
from codec.models import EFFORTS, NORMAL


@dataclass(frozen=True)
class Engine:
    """What decodes and codes. model: a shipped one's name or a bundle's path, None for the effort's. threads: in all, 0
    for all cores. jobs: files at once, 0 for as many as threads. dask: address of a cluster."""

    model: str | None
    threads: int
    jobs: int
    provider: str
    max_pixels: int
    dask: str | None = None


@dataclass(frozen=True)
class Batch:
    """Which files, and where results go. recursive: what is below folders is meant, too. suffix: the ending of
    compressed files' names. skip_existing: leave out what has a result."""

    inputs: tuple[Path, ...]
    place: Place
    recursive: bool
    suffix: str
    force: bool
    skip_existing: bool
    dry_run: bool


def telling(*names: str) -> Callable[[Callable], Callable]:
    """Adds --json and these, and gives the command a `telling`."""
    return _grouped(Telling, "telling", "as_json", *names)


def engine(*names: str) -> Callable[[Callable], Callable]:
    """Adds the options of an Engine, these among them, and gives it to the command."""
    given = dict(model=None, threads=0, jobs=1, provider="cpu", max_pixels=MAX_PIXELS)
    return _grouped(lambda **found: Engine(**given | found), "engine", *names)


def batch() -> Callable[[Callable], Callable]:
    """Adds the options of a Batch and gives it to the command."""

    def made(output: str | None, mirror: Path | None, suffix: str, **given: Any) -> Batch:
        if output is not None and mirror is not None:
            raise click.UsageError("-o and --mirror both say where results go: give one of them")
        if suffix.strip(".") == "" or "/" in suffix:
            raise click.UsageError(f"--suffix {suffix!r} is no ending of a name")
        return Batch(place=Place(output, mirror), suffix=f".{suffix.lstrip('.')}", **given)

    names = ("inputs", "output", "mirror", "recursive", "suffix", "force", "skip_existing", "dry_run")
    return _grouped(made, "batch", *names)


def _grouped(made: Callable[..., Any], argument: str, *names: str) -> Callable[[Callable], Callable]:
    """Adds options by name, and gives the command what is made of them."""

    def add(command: Callable) -> Callable:
        @wraps(command)
        def called(**given: Any) -> Any:
            own = {name: given.pop(name) for name in names}
            return command(**{argument: made(**own)}, **given)

        return options(*names)(called)

    return add


def options(*names: str) -> Callable[[Callable], Callable]:
    """Adds options by name: the same names, defaults and words in every command."""
    path = click.Path(path_type=Path)
    every = {
        "inputs": click.argument("inputs", nargs=-1, required=True, type=path, metavar="FILE..."),
        "output": click.option(
            "-o", "--output", metavar="OUT|DIR|-", help="File, or folder if it is one or ends with /; - is stdout."
        ),
        "mirror": click.option(
            "--mirror", type=path, metavar="DIR", help="Put results below DIR, in folders like those of the inputs."
        ),
        "recursive": click.option("-r", "--recursive", is_flag=True, help="Take folders with all that is below them."),
        "suffix": click.option(
            "--suffix", default=SUFFIX, show_default=True, help="Ending of compressed files' names."
        ),
        "skip_existing": click.option(
            "--skip-existing", is_flag=True, help="Leave out inputs whose results exist: go on with a batch."
        ),
        "dry_run": click.option("-n", "--dry-run", is_flag=True, help="Say what would be written, and write nothing."),
        "dask": click.option(
            "--dask", metavar="ADDRESS", help="Work on a Dask cluster, such as tcp://host:8786 (lmconv[dask])."
        ),
        "model": click.option(
            "--model",
            metavar="NAME|PATH",
            help="Model or bundle file; auto (default): by effort, small pictures by whichever makes them smallest.",
        ),
        "threads": click.option(
            "-t", "--threads", type=click.IntRange(min=0), default=0, help="In all, of all files at once; 0: all cores."
        ),
        "jobs": click.option(
            "-j",
            "--jobs",
            type=click.IntRange(min=0),
            default=0,
            help="Files worked on at once; 0: as many as threads. Each takes memory of its own.",
        ),
        "provider": click.option(
            "--provider",
            type=click.Choice(["cpu", "cuda", "auto"]),
            default="cpu",
            show_default=True,
            help="What runs the network; auto: cuda where it is there and exact, else cpu.",
        ),
        "max_pixels": click.option(
            "--max-pixels",
            type=click.IntRange(min=1),
            default=MAX_PIXELS,
            show_default=True,
            help="Refuse larger images.",
        ),
        "effort": click.option(
            "-e",
            "--effort",
            type=click.Choice(EFFORTS),
            default=NORMAL,
            show_default=True,
            help="fast: the small network alone; normal: learns the picture, too; best: the large network, smallest.",
        ),
        "order": click.option(
            "--order",
            default="auto",
            show_default=True,
            metavar="NAME[:VARIANT]",
            help="Of the model's orders; auto finds which suits the picture.",
        ),
        "force": click.option("-f", "--force", is_flag=True, help="Overwrite outputs that exist."),
        "as_json": click.option("--json", "as_json", is_flag=True, help="Print a JSON list."),
        "quiet": click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors."),
        "verbose": click.option("-v", "--verbose", is_flag=True, help="Say more of each file."),
        "progress": click.option(
            "--progress/--no-progress", default=None, help="Show how far it is (default: on a terminal)."
        ),
    }

    def add(command: Callable) -> Callable:
        for name in reversed(names):
            command = every[name](command)
        return command

    return add
