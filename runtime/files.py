"""Files that are written whole or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def whole(path: Path | str) -> Iterator[BinaryIO]:
    """A file to write to, beside `path`; it takes that name, complete and on the disk, where the block ends.

    A block that ends otherwise, by an interrupt as well, leaves what was there as it was and nothing beside it. A link
    stays and what it points to is replaced. Raises OSError.
    """
    target = os.path.realpath(path)
    part = os.path.join(os.path.dirname(target), f".lmconv-{secrets.token_hex(8)}.part")
    try:
        with open(part, "xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(part, target)
    finally:
        with suppress(OSError):
            os.unlink(part)
