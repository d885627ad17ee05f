"""What a PNG says besides its samples, and its rest without that."""

from __future__ import annotations

from codec.images.png import kept
from codec.images.samples import Item

XMP_KEYWORD = b"XML:com.adobe.xmp"

_OF_THE_SAMPLES = (b"PLTE", b"tRNS", b"IDAT")
_NAMES = {b"iCCP": "ICC profile", b"eXIf": "EXIF", b"tEXt": "text", b"zTXt": "text", b"iTXt": "text"}
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")


def metadata(rest: bytes) -> list[Item]:
    """Every chunk but palette and transparency as it stands in the file, packed or not, and what follows IEND.

    Raises DamagedFile where rest is none.
    """
    read = kept.read(rest)
    items = [Item(_name(*chunk), chunk[1]) for chunk in read.chunks if chunk[0] not in _OF_THE_SAMPLES]
    return items + ([Item("data after the end", read.after)] if read.after else [])


def _name(kind: bytes, content: bytes) -> str:
    if kind in _TEXTS and content.split(b"\0", 1)[0] == XMP_KEYWORD:
        return "XMP"
    return _NAMES.get(kind, kind.decode("latin-1"))


def stripped(rest: bytes) -> bytes:
    """Of a file that is packed as is usual, not interlaced, with palette and transparency alone.

    Raises DamagedFile where rest is none.
    """
    return kept.Rest(chunks=[chunk for chunk in kept.read(rest).chunks if chunk[0] in _OF_THE_SAMPLES]).coded
