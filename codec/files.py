"""Where results go: names of outputs, and writing that leaves a whole file or none."""

import mmap
import os
import unicodedata
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from codec.errors import OutputExists, UnreadableImage, UnwritableOutput

_LARGE = 2**26  # bytes of a file from which on it is mapped


def outputs(inputs: Sequence[Path], output: str | None, suffix: str | Callable[[Path], str]) -> list[Path]:
    """Where each input's result goes: beside it with this suffix, into the folder `output`, or to that file.

    `output` is a folder when there are several inputs, when it ends with a slash, or when it is one. Raises
    ValueError when an input would be overwritten, by whatever name, or when two inputs would share an output: names
    that differ in upper and lower case alone are one file on many disks.
    """
    ending = suffix if callable(suffix) else lambda path: suffix
    if output is None:
        paths = [path.with_suffix(ending(path)) for path in inputs]
    elif len(inputs) > 1 or output.endswith(("/", os.sep)) or os.path.isdir(output):
        paths = [Path(output) / path.with_suffix(ending(path)).name for path in inputs]
    else:
        paths = [Path(output)]
    sources = {identity: path for path in inputs for identity in _identities(path)}
    made: dict[object, tuple[Path, Path]] = {}
    for path, target in zip(inputs, paths, strict=True):
        identities = _identities(target)
        for identity in identities:
            if identity in sources:
                raise ValueError(f"the result of {path} would overwrite {sources[identity]}: choose another output")
        for key in (*identities, _regardless_of_case(target)):
            other, taken = made.setdefault(key, (path, target))
            if taken is not target:
                what = target if taken == target else f"{taken} and {target}, one file on many disks"
                raise ValueError(f"{other} and {path} would both be written to {what}: use two folders")
    return paths


def _identities(path: Path) -> list[object]:
    """What a path has in common with all that lead to the same file: its real path and, if it is there, its number."""
    found: list[object] = [os.path.realpath(path)]
    with suppress(OSError):
        status = os.stat(path)
        found.append((status.st_dev, status.st_ino))
    return found


def _regardless_of_case(path: Path) -> object:
    """The same for names that differ in upper and lower case, or in how accents are put together, alone."""
    return _identities(path.parent)[-1], unicodedata.normalize("NFC", path.name).casefold()


def make_folder(path: Path) -> None:
    """Make a folder for outputs, and its parents. Raises UnwritableOutput."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnwritableOutput(f"cannot make the folder {path} ({error.strerror}): choose another") from error


@contextmanager
def opened(path: Path) -> Iterator[bytes]:
    """A file's bytes; of a large one only what is looked at is in memory. Raises UnreadableImage."""
    try:
        with open(path, "rb") as stream:
            large = os.fstat(stream.fileno()).st_size >= _LARGE
            data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) if large else stream.read()
    except (OSError, ValueError) as error:
        raise UnreadableImage(f"cannot be read ({getattr(error, 'strerror', None) or error})") from error
    yield data  # type: ignore[misc]  # a map goes when nobody looks at it any more


def check_output(path: Path, *, force: bool = False) -> None:
    """Say before the work what would stop the writing after it. Raises OutputExists or UnwritableOutput."""
    if os.path.isdir(path):
        raise UnwritableOutput(f"{path} is a folder: name a file")
    if os.path.lexists(path):
        if not os.path.isfile(path):
            raise UnwritableOutput(f"{path} is no regular file: choose another output")
        if not force:
            raise _exists(path)
    elif not os.path.isdir(path.parent):
        raise UnwritableOutput(f"{path.parent} is no folder that exists: make it or choose another output")


def write_atomically(
    path: Path,
    data: bytes | Iterable[bytes],
    *,
    force: bool = False,
    modified: int | None = None,
    permissions: int | None = None,
) -> int:
    """Write data, or pieces of them, to path: all of it, on the disk, under its name, or nothing. Returns the CRC-32.

    modified: nanoseconds since 1970; permissions: of POSIX; both as the system gives them where they are None. Raises
    OutputExists when path is there and force is not, even if another process wrote it a moment ago; UnwritableOutput
    when the system refuses; and what the pieces raise.
    """
    from runtime.files import whole

    check_output(path, force=force)
    crc = 0
    try:
        with whole(path, new=not force) as stream:
            for piece in [data] if isinstance(data, bytes) else data:
                stream.write(piece)
                crc = zlib.crc32(piece, crc)
            stream.flush()
            if permissions is not None:
                os.chmod(stream.name, permissions)
            if modified is not None:
                os.utime(stream.name, ns=(modified, modified))
    except FileExistsError as error:
        raise _exists(path) from error
    except OSError as error:
        reason = error.strerror or error
        raise UnwritableOutput(f"cannot write {path} ({reason}): choose another output") from error
    return crc


def _exists(path: Path) -> OutputExists:
    return OutputExists(f"{path} exists: overwrite it with --force or choose another output")
