"""The options that several commands share."""

from collections.abc import Callable
from pathlib import Path

import click

from codec.format.picture import MAX_PIXELS
from codec.models import EFFORTS, NORMAL


def options(*names: str) -> Callable[[Callable], Callable]:
    """Adds options by name: the same names, defaults and words in every command."""
    path = click.Path(path_type=Path)
    every = {
        "inputs": click.argument("inputs", nargs=-1, required=True, type=path, metavar="FILE..."),
        "output": click.option("-o", "--output", metavar="OUT|DIR", help="Folder if it is one or ends with /."),
        "model": click.option("--model", metavar="NAME|PATH", help="Shipped model or bundle file; default: by effort."),
        "threads": click.option(
            "--threads", type=click.IntRange(min=0), default=0, help="In all, of all files at once; 0: all cores."
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
        "force": click.option("--force", is_flag=True, help="Overwrite outputs that exist."),
        "as_json": click.option("--json", "as_json", is_flag=True, help="Print a JSON list."),
        "quiet": click.option("-q", "--quiet", is_flag=True, help="No progress, no warnings, only errors."),
    }

    def add(command: Callable) -> Callable:
        for name in reversed(names):
            command = every[name](command)
        return command

    return add
