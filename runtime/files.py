"""Files that are written whole or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def beside(path: Path | str, *, new: bool = False) -> Iterator[Path]:
    """The path of a new file in the same folder; it takes the name `path`, and is on the disk, where the block ends.

    A block that ends otherwise, by an interrupt as well, leaves what was there as it was and nothing beside it. A link
    stays and what it points to is replaced. new: nothing is replaced, FileExistsError is raised instead; of several
    who write a new file at once, one succeeds. Raises OSError.
    """
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    part = Path(folder, f".lmconv-{secrets.token_hex(8)}.part")
    try:
        yield part
        with open(part, "rb") as stream:  # its permissions may not allow more
            os.fsync(stream.fileno())
        if new:
            _take(part, target)
        else:
            os.replace(part, target)
        _sync_folder(folder)
    finally:
        with suppress(OSError):
            os.unlink(part)


@contextmanager
def whole(path: Path | str, *, new: bool = False) -> Iterator[BinaryIO]:
    """The same, open to be written to."""
    with beside(path, new=new) as part, open(part, "xb") as stream:
        yield stream


def _take(part: Path, target: str) -> None:
    """Gives a file a name that nobody has. Raises FileExistsError."""
    try:
        os.link(part, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links: an empty file keeps the name for a moment
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        try:
            os.replace(part, target)
        except BaseException:
            os.unlink(target)
            raise


def _sync_folder(folder: str) -> None:
    """So that the name survives a power cut, too."""
    if os.name != "posix":
        return
    with suppress(OSError):  # some file systems cannot; the file has its name all the same
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
