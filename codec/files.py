"""Where results go: names of outputs, and writing that leaves a whole file or none."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from codec.errors import OutputExists, UnwritableOutput


def outputs(inputs: Sequence[Path], output: str | None, suffix: str) -> list[Path]:
    """Where each input's result goes: beside it with this suffix, into the folder `output`, or to that file.

    `output` is a folder when there are several inputs, when it ends with a slash, or when it is one. Raises
    ValueError when two inputs would share an output or an input would be overwritten.
    """
    if output is None:
        paths = [path.with_suffix(suffix) for path in inputs]
    elif len(inputs) > 1 or output.endswith(("/", os.sep)) or os.path.isdir(output):
        paths = [Path(output) / path.with_suffix(suffix).name for path in inputs]
    else:
        paths = [Path(output)]
    source = {os.path.abspath(path): path for path in inputs}
    made: dict[str, Path] = {}
    for path, target in zip(inputs, paths, strict=True):
        key = os.path.abspath(target)
        if key in source:
            raise ValueError(f"the result of {path} would overwrite {source[key]}: choose another output")
        if key in made:
            raise ValueError(f"{made[key]} and {path} would both be written to {target}: use two folders")
        made[key] = path
    return paths


def make_folder(path: Path) -> None:
    """Make a folder for outputs, and its parents. Raises UnwritableOutput."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnwritableOutput(f"cannot make the folder {path} ({error.strerror}): choose another") from error


def check_output(path: Path, *, force: bool = False) -> None:
    """Say before the work what would stop the writing after it. Raises OutputExists or UnwritableOutput."""
    if os.path.isdir(path):
        raise UnwritableOutput(f"{path} is a folder: name a file")
    if os.path.lexists(path):
        if not os.path.isfile(path):
            raise UnwritableOutput(f"{path} is no regular file: choose another output")
        if not force:
            raise OutputExists(f"{path} exists: overwrite it with --force or choose another output")
    elif not os.path.isdir(path.parent):
        raise UnwritableOutput(f"{path.parent} is no folder that exists: make it or choose another output")


def write_atomically(path: Path, data: bytes, *, force: bool = False) -> None:
    """Write data to path: all of it, on the disk, under its name, or nothing.

    Raises OutputExists when path is there and force is not, UnwritableOutput when the system refuses.
    """
    from runtime.files import whole

    check_output(path, force=force)
    try:
        with whole(path) as stream:
            stream.write(data)
    except OSError as error:
        reason = error.strerror or error
        raise UnwritableOutput(f"cannot write {path} ({reason}): choose another output") from error
