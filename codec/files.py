"""Where results go: names of outputs, and writing that leaves a whole file or none."""

import mmap
import os
import sys
import unicodedata
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from codec.errors import CodecError, OutputExists, UnreadableImage, UnwritableOutput

STANDARD = Path("-")  # stdin or stdout
SUFFIX = ".lmc"
_LARGE = 2**26  # bytes of a file from which on it is mapped


def found(inputs: Iterable[Path], endings: Collection[str], *, recursive: bool = False) -> list[Path]:
    """The inputs; if recursive, with each folder among them replaced by the files below it whose names have these
    endings, sorted.

    Links to folders are not followed, but for those that are named. Raises UnreadableImage for a folder that cannot be
    read or has no such file.
    """
    paths: list[Path] = []
    for path in inputs:
        if path == STANDARD or not (recursive and path.is_dir()):
            paths.append(path)
            continue
        below = [Path(folder, name) for folder, _, names in os.walk(path, onerror=_unreadable) for name in names]
        files = sorted(file for file in below if file.suffix.lower() in endings)
        if not files:
            raise UnreadableImage(f"no file below {path} ends with {', '.join(sorted(endings))}")
        paths += files
    return paths


def _unreadable(error: OSError) -> None:
    raise UnreadableImage(f"{error.filename} cannot be read ({error.strerror})") from error


@dataclass(frozen=True)
class Place:
    """Where results go: to `output`, a file or a folder; to a tree of folders like that of the inputs below `mirror`;
    beside their inputs where both are None.

    output is a folder when there are several inputs, when it ends with a slash, or when it is one.
    """

    output: str | None = None
    mirror: Path | None = None

    def named(self, count: int) -> Path | None:
        """The file that is named for the only result of so many inputs, `-` too."""
        output = self.output
        if output is None or count > 1 or output.endswith(("/", os.sep)) or os.path.isdir(output):
            return None
        return Path(output)

    def folder(self, path: Path) -> Path:
        """The one in which an input's result stands. Raises UnwritableOutput for one outside the mirror."""
        if self.output is not None:
            return Path(self.output)
        if self.mirror is None:
            return path.parent
        parts = path.parent.parts[1:] if path.is_absolute() else path.parent.parts
        if ".." in parts:
            raise UnwritableOutput(f"{path} has no place below {self.mirror}: name it without ..")
        return self.mirror.joinpath(*parts)


def outputs(
    inputs: Sequence[Path],
    name: Callable[[Path], str],
    place: Place = Place(),
    longer: Callable[[Path], str] | None = None,
) -> list[Path | CodecError]:
    """Where each input's result goes, or what forbids it: it would overwrite an input, by whatever name, or take the
    place of another's result. Names that differ in upper and lower case alone are one file on many disks.

    name: of an input's result; longer: another one, for all inputs that would get one name in one folder.
    """
    only = place.named(len(inputs))
    if only is not None:
        wanted: list[Path | CodecError] = [only for _ in inputs]
    else:
        wanted = _in_folders(inputs, name, place, longer)
    sources = {identity: path for path in inputs for identity in _identities(path)}
    made: dict[object, tuple[Path, Path]] = {}
    given: list[Path | CodecError] = []
    for path, target in zip(inputs, wanted, strict=True):
        given.append(target if isinstance(target, CodecError) else _free(path, target, sources, made))
    return given


def _in_folders(
    inputs: Sequence[Path], name: Callable[[Path], str], place: Place, longer: Callable[[Path], str] | None
) -> list[Path | CodecError]:
    def path_of(path: Path, name: Callable[[Path], str]) -> Path | CodecError:
        if path == STANDARD:
            return STANDARD if place == Place() else UnwritableOutput("what comes from stdin has no name: give -o FILE")
        try:
            return place.folder(path) / name(path)
        except UnwritableOutput as error:
            return error

    wanted = [path_of(path, name) for path in inputs]
    if longer is None:
        return wanted
    different = dict(zip(inputs, wanted, strict=True)).values()
    counts = Counter(_regardless_of_case(path) for path in different if isinstance(path, Path))
    return [
        path_of(path, longer) if isinstance(target, Path) and counts[_regardless_of_case(target)] > 1 else target
        for path, target in zip(inputs, wanted, strict=True)
    ]


def _free(
    path: Path, target: Path, sources: dict[object, Path], made: dict[object, tuple[Path, Path]]
) -> Path | CodecError:
    """The target of an input, noted in `made`, or why it cannot be it."""
    if target == STANDARD:
        identities: list[object] = [STANDARD]
    else:
        identities = [*_identities(target), _regardless_of_case(target)]
    for identity in identities:
        if identity in sources and target != STANDARD:
            return UnwritableOutput(f"its result would overwrite {sources[identity]}: choose another output")
        if identity in made:
            other, taken = made[identity]
            what = target if taken == target else f"{taken} and {target}, one file on many disks"
            return UnwritableOutput(f"{other} and {path} would both be written to {what}: use two folders")
    made.update(dict.fromkeys(identities, (path, target)))
    return target


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
    """A file's bytes, or those of stdin; of a large file only what is looked at is in memory. Raises
    UnreadableImage."""
    if path == STANDARD:
        yield sys.stdin.buffer.read()
        return
    try:
        with open(path, "rb") as stream:
            large = os.fstat(stream.fileno()).st_size >= _LARGE
            data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) if large else stream.read()
    except IsADirectoryError as error:
        raise UnreadableImage("is a folder: name its files, or take all that are below it with -r") from error
    except (OSError, ValueError) as error:
        raise UnreadableImage(f"cannot be read ({getattr(error, 'strerror', None) or error})") from error
    yield data  # type: ignore[misc]  # a map goes when nobody looks at it any more


def check_output(path: Path, *, force: bool = False) -> None:
    """Say before the work what would stop the writing after it. Raises OutputExists or UnwritableOutput."""
    if path == STANDARD:
        return
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
    """Write data, or pieces of them, to path: all of it, on the disk, under its name, or nothing; to stdout as they
    come. Returns the CRC-32.

    modified: nanoseconds since 1970; permissions: of POSIX; both as the system gives them where they are None. Raises
    OutputExists when path is there and force is not, even if another process wrote it a moment ago; UnwritableOutput
    when the system refuses; and what the pieces raise.
    """
    from runtime.files import whole

    if path == STANDARD:
        return _written(sys.stdout.buffer, data)
    check_output(path, force=force)
    try:
        with whole(path, new=not force) as stream:
            crc = _written(stream, data)
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


def _written(stream: BinaryIO, data: bytes | Iterable[bytes]) -> int:
    """Writes pieces; returns their CRC-32."""
    crc = 0
    for piece in [data] if isinstance(data, bytes) else data:
        stream.write(piece)
        crc = zlib.crc32(piece, crc)
    stream.flush()
    return crc


def _exists(path: Path) -> OutputExists:
    return OutputExists(f"{path} exists: overwrite it with --force or choose another output")
