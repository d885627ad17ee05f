"""The boxes of HEIF, the container of AVIF and HEIC: what an image's properties say, read without decoding anything.

A box is a length (big-endian, four bytes), a name of four, and its content. The properties are in a list, and each item
has indices into it. (ISO/IEC 14496-12 and 23008-12.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from codec.errors import UnreadableImage

_AGAIN = "get the file again"
_MOST = 1 << 16  # boxes and properties that are looked at


@dataclass(frozen=True)
class Box:
    """A name and where the content begins and ends."""

    name: bytes
    start: int
    end: int


@dataclass(frozen=True)
class Properties:
    """Of the primary item and of the whole file.

    size: width and height as coded. shown: what they are when it is cropped (clap) and turned (irot). depth: bits of
    the deepest channel of any item. own: names of the primary item's properties. grey: whether AV1 without chroma is
    all that there is.
    """

    size: tuple[int, int] | None
    shown: tuple[int, int] | None
    depth: int
    own: tuple[bytes, ...]
    grey: bool


def brands(data: bytes) -> list[bytes]:
    """The major brand and the compatible ones, by which a file says what it is; none for other files."""
    length = int.from_bytes(data[:4], "big")
    if data[4:8] != b"ftyp" or not 16 <= length <= min(len(data), _MOST):
        return []
    head = bytes(data[:length])
    return [head[8:12], *(head[at : at + 4] for at in range(16, length - 3, 4))]


def boxes(data: bytes, at: int, end: int) -> Iterator[Box]:
    """Those from one place to another. Raises UnreadableImage for one that is cut off."""
    for _ in range(_MOST):
        if at >= end:
            return
        length, start = int.from_bytes(data[at : at + 4], "big"), at + 8
        if length == 1:
            length, start = int.from_bytes(data[at + 8 : at + 16], "big"), at + 16
        stop = at + length if length else end
        if stop > end or start > stop:
            raise UnreadableImage(f"a damaged picture, a box is cut off: {_AGAIN}")
        yield Box(bytes(data[at + 4 : at + 8]), start, stop)
        at = stop
    raise UnreadableImage(f"a damaged picture, it has more than {_MOST} boxes: {_AGAIN}")


def properties(data: bytes) -> Properties:
    """What a file's properties say. Raises UnreadableImage."""
    whole = Box(b"", 0, len(data))
    meta = _inside(data, whole, b"meta")
    meta = Box(b"meta", meta.start + 4, meta.end)  # behind its version and flags
    primary = _primary(data, _inside(data, meta, b"pitm"))
    listed = _inside(data, meta, b"iprp")
    all_ = list(boxes(data, *_range(_inside(data, listed, b"ipco"))))
    indices: list[int] = []
    for box in boxes(data, *_range(listed)):
        if box.name == b"ipma":
            indices += _associated(bytes(data[box.start : box.end]), primary)
    own = [all_[index - 1] for index in indices if 0 < index <= len(all_)]
    contents = {box.name: bytes(data[box.start : box.end]) for box in own}
    sides = contents.get(b"ispe", b"")
    size = (int.from_bytes(sides[4:8], "big"), int.from_bytes(sides[8:12], "big")) if len(sides) == 12 else None
    codes = [bytes(data[box.start : box.end]) for box in all_ if box.name == b"av1C"]
    return Properties(
        size=size,
        shown=_shown(size, contents),
        depth=max((_depth(data, box) for box in all_), default=0),
        own=tuple(contents),
        grey=bool(codes) and all(len(code) > 2 and code[2] & 0x10 for code in codes),
    )


def _shown(size: tuple[int, int] | None, contents: dict[bytes, bytes]) -> tuple[int, int] | None:
    crop = contents.get(b"clap", b"")
    if size and len(crop) == 32:
        across, across_of, down, down_of = (int.from_bytes(crop[at : at + 4], "big") for at in range(0, 16, 4))
        size = (across // max(across_of, 1), down // max(down_of, 1))
    quarters = contents.get(b"irot", b"")[:1] or b"\0"
    return size[::-1] if size and quarters[0] & 1 else size


def _range(box: Box) -> tuple[int, int]:
    return box.start, box.end


def _inside(data: bytes, outer: Box, name: bytes) -> Box:
    for box in boxes(data, outer.start, outer.end):
        if box.name == name:
            return box
    raise UnreadableImage(f"a damaged picture, it has no box {name.decode()}: {_AGAIN}")


def _primary(data: bytes, box: Box) -> int:
    """The primary item's number."""
    content = bytes(data[box.start : box.end])
    return int.from_bytes(content[4:6] if content[:1] == b"\0" else content[4:8], "big")


def _associated(content: bytes, item: int) -> list[int]:
    """Of an `ipma` box's content, the item's properties, counted from 1."""
    if len(content) < 8:
        return []
    width = 2 if content[0] == 0 else 4
    wide = content[3] & 1
    at = 8
    for _ in range(min(int.from_bytes(content[4:8], "big"), _MOST)):
        number, at = int.from_bytes(content[at : at + width], "big"), at + width
        if at >= len(content):
            break
        count, at = content[at], at + 1
        step = 2 if wide else 1
        entries = [content[i : i + step] for i in range(at, at + count * step, step)]
        at += count * step
        if number == item:
            mask = 0x7FFF if wide else 0x7F  # the top bit says whether a reader must know the property
            return [int.from_bytes(entry, "big") & mask for entry in entries]
    return []


def _depth(data: bytes, box: Box) -> int:
    """Bits of a channel that a property tells of, 0 for one that tells of none."""
    content = bytes(data[box.start : min(box.end, box.start + 32)])
    if box.name == b"av1C" and len(content) > 2:
        return (12 if content[2] & 0x20 else 10) if content[2] & 0x40 else 8
    if box.name == b"hvcC" and len(content) > 18:
        return 8 + max(content[17] & 7, content[18] & 7)
    if box.name == b"pixi" and len(content) > 4:
        return max(content[5 : 5 + content[4]], default=0)
    return 0
