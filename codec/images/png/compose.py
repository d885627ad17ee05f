"""The rest of a PNG that is new: what to say of samples that come from a file of another format."""

from __future__ import annotations

import zlib

from codec.images.png import kept
from codec.images.png.chunks import DEPTHS
from codec.images.png.metadata import XMP_KEYWORD
from codec.images.samples import Samples

_EXIF_MARK = b"Exif\0\0"  # before what is the same in other formats


def compose(samples: Samples, icc: bytes | None = None, exif: bytes | None = None, xmp: bytes | None = None) -> bytes:
    """The rest of a PNG that is not interlaced, with these metadata if any; a mark before EXIF is left out.

    Raises ValueError for a kind or depth that PNG has not, and for palettes.
    """
    if samples.kind == "palette" or samples.depth not in DEPTHS.get(samples.kind, ()):
        raise ValueError(f"a PNG is not composed of {samples.kind} of {samples.depth} bits")
    listed = [kept.IMAGE]
    if xmp is not None:
        listed.insert(0, (b"iTXt", XMP_KEYWORD + bytes(5) + xmp))  # not packed, of no language, not translated
    if exif is not None:
        listed.insert(0, (b"eXIf", exif.removeprefix(_EXIF_MARK)))
    if icc is not None:
        listed.insert(0, (b"iCCP", b"ICC profile\0\0" + zlib.compress(icc, 9)))
    return kept.Rest(chunks=listed).coded
