"""What commands do with files that are kept whole."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from codec.commands.running import announce, progress_bar, say
from codec.format import container
from codec.format.container import DECODED, JPEG, STORED, Kept

if TYPE_CHECKING:
    from codec.images import Image

FORMS = {STORED: "stored bytes", JPEG: "JPEG coefficients", DECODED: "decoded JPEG"}
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
    if not is_kept(path):
        return ".png"
    with open(path, "rb") as stream:
        return ".png" if container.form_of(stream) == DECODED else ".jpg"


def read_kept(path: Path) -> Kept:
    """What a compressed file keeps, not decoded yet."""
    with open(path, "rb") as stream:
        return container.read_kept(stream)


def keep(path: Path, max_pixels: int, quiet: bool) -> tuple[bytes, Kept]:
    """A JPEG file's bytes, and what keeps them."""
    from codec.jpeg import keep

    announce(quiet)
    data = path.read_bytes()
    with progress_bar(path.name, quiet) as progress:
        found = keep.keep(data, max_pixels, progress)
    if found.reason is not None and not quiet:
        say(f"{path}: warning: stored without its coefficients: {found.reason}")
    return data, found.kept


def restore(kept: Kept, label: str, max_pixels: int, quiet: bool) -> bytes:
    """The bytes of a file that was kept."""
    from codec.jpeg import keep

    announce(quiet)
    with progress_bar(label, quiet) as progress:
        return keep.restore(kept, max_pixels, progress)


def keep_decoded(image: Image, name: str, quiet: bool) -> Kept | None:
    """What keeps a picture as the JPEG that made it, None if none is found."""
    if image.mode != "RGB":
        return None
    from codec.jpeg.born import keep_pixels

    with progress_bar(name, quiet) as progress:
        return keep_pixels(image.pixels, progress)


def restore_decoded(kept: Kept, label: str, max_pixels: int, quiet: bool) -> Image:
    """The picture that was kept so."""
    from codec.images import Image
    from codec.jpeg.born import pixels_of

    announce(quiet)
    with progress_bar(label, quiet) as progress:
        return Image(pixels_of(kept, max_pixels, progress), "RGB")


def shape_of(kept: Kept) -> tuple[int, int, int] | None:
    """Width, height and channels of a picture or of a JPEG that was kept by its coefficients, None for stored bytes."""
    from codec.jpeg import born, keep

    if kept.form == DECODED:
        height, width = born.shape_of(kept)
        return width, height, 3
    frame = keep.frame_of(kept)
    return (frame.width, frame.height, len(frame.components)) if frame else None


def source_of(kept: Kept) -> str | None:
    """Which JPEG a picture came from, in words, None for other files."""
    from codec.jpeg import born

    if kept.form != DECODED:
        return None
    born.shape_of(kept)
    return born.description(kept)
