"""What commands do with files that are kept whole."""

from __future__ import annotations

from pathlib import Path

from codec.commands.running import announce, progress_bar, say
from codec.format import container
from codec.format.container import JPEG, STORED, KeptFile

FORMS = {STORED: "stored bytes", JPEG: "JPEG coefficients"}
JPEG_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif")


def is_jpeg(path: Path) -> bool:
    """Whether a file begins as a JPEG does; what cannot be opened does not."""
    try:
        with open(path, "rb") as stream:
            return stream.read(3) == b"\xff\xd8\xff"
    except OSError:
        return False


def is_kept(path: Path) -> bool:
    """Whether a compressed file keeps something whole, in no tiles; what cannot be opened does not."""
    try:
        with open(path, "rb") as stream:
            return container.keeps_a_file(stream)
    except OSError:
        return False


def suffix_of(path: Path) -> str:
    """Of what a compressed file is restored to."""
    return ".jpg" if is_kept(path) else ".png"


def read_kept(path: Path) -> KeptFile:
    """What a compressed file keeps, not decoded yet."""
    with open(path, "rb") as stream:
        return container.read_kept(stream)


def keep(path: Path, max_pixels: int, quiet: bool) -> tuple[bytes, KeptFile]:
    """A JPEG file's bytes, and what keeps them."""
    from codec.jpeg import keep

    announce(quiet)
    data = path.read_bytes()
    with progress_bar(path.name, quiet) as progress:
        found = keep.keep(data, max_pixels, progress)
    if found.reason is not None and not quiet:
        say(f"{path}: warning: stored without its coefficients: {found.reason}")
    return data, found.kept


def restore(kept: KeptFile, label: str, max_pixels: int, quiet: bool) -> bytes:
    """The bytes of a file that was kept."""
    from codec.jpeg import keep

    announce(quiet)
    with progress_bar(label, quiet) as progress:
        return keep.restore(kept, max_pixels, progress)


def shape_of(kept: KeptFile) -> tuple[int, int, int] | None:
    """Width, height and channels of a JPEG that was kept by its coefficients, None for stored bytes."""
    from codec.jpeg import keep

    frame = keep.frame_of(kept)
    return (frame.width, frame.height, len(frame.components)) if frame else None
