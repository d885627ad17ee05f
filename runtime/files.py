"""Files that are written whole or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def beside(path: Path | str) -> Iterator[Path]:
    """The path of a new file in the same folder; it takes the name `path`, and is on the disk, where the block ends.

    A block that ends otherwise, by an interrupt as well, leaves what was there as it was and nothing beside it. A link
    stays and what it points to is replaced. Raises OSError.
    """
    target = os.path.realpath(path)
    part = Path(os.path.dirname(target), f".lmconv-{secrets.token_hex(8)}.part")
    try:
        yield part
        with open(part, "rb+") as stream:
            os.fsync(stream.fileno())
        os.replace(part, target)
    finally:
        with suppress(OSError):
            os.unlink(part)


@contextmanager
def whole(path: Path | str) -> Iterator[BinaryIO]:
    """The same, open to be written to."""
    with beside(path) as part, open(part, "xb") as stream:
        yield stream
