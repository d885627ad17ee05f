"""A list of what was compressed to what, with SHA-256 of both, by which an archive can be checked years later.

It is a text of lines, each a JSON object (JSON Lines), to which runs add. A line is added before the result gets its
name, so a result is never without one; of several lines for one result the last is true. Paths are relative to the
list's folder.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock

from codec.errors import DamagedFile, UnreadableImage, UnwritableOutput

_START = '{"input": "'  # of a line


@dataclass(frozen=True)
class Entry:
    """exact: whether the input comes back byte for byte."""

    input: str
    input_bytes: int
    input_sha256: str
    output: str
    output_bytes: int
    output_sha256: str
    exact: bool


class Manifest:
    """A list that is added to, by several threads. Raises UnwritableOutput."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, Lock()
        if path.exists():
            read(path)  # nothing else is added to
            whole = path.read_bytes().rpartition(b"\n")
            os.truncate(path, len(whole[0] + whole[1]))  # a line that was cut goes
        self._add("")

    def add(self, source: Path, data: bytes, target: Path, coded: bytes, exact: bool) -> None:
        """Says that data of a source became a target's."""
        entry = Entry(
            input=self._relative(source),
            input_bytes=len(data),
            input_sha256=sha256(data),
            output=self._relative(target),
            output_bytes=len(coded),
            output_sha256=sha256(coded),
            exact=exact,
        )
        self._add(json.dumps(asdict(entry)) + "\n")

    def _relative(self, path: Path) -> str:
        return str(path) if str(path) == "-" else os.path.relpath(path, self._path.parent)

    def _add(self, text: str) -> None:
        try:
            with self._lock, open(self._path, "a", encoding="utf-8") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise UnwritableOutput(f"cannot write {self._path} ({error.strerror}): choose another") from error


def read(path: Path) -> dict[Path, Entry]:
    """The entries of a list by the paths of results. A last line that was cut is passed over. Raises UnreadableImage
    and DamagedFile."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableImage(f"{path} cannot be read ({getattr(error, 'strerror', None) or error})") from error
    found = {}
    for number, line in enumerate(lines, 1):
        try:
            entry = Entry(**json.loads(line))
        except (ValueError, TypeError) as error:
            if number == len(lines) and not line.endswith("\n") and _START.startswith(line[: len(_START)]):
                break
            raise DamagedFile(f"{path}: line {number} is none of a manifest's: name another file") from error
        found[path.parent / entry.output] = entry
    return found


def sha256(data: bytes) -> str:
    """In hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()
