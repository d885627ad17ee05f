"""GIF of one image, 87a and 89a: indices into a palette, and all other bytes of the file.

The samples are the image's own, not the screen's, in rows from the top whether interlaced or not; their palette is the
image's or else the screen's, without any colours if the file has neither. Their depth is that of the palette's size
field, but at most the bits of a pixel in the LZW code, and those where a pixel asks for more colours than there are.

The rest, with numbers as in numbers.py: a byte of flags, 1 for version 89a instead of 87a, and of what follows: 2
_SCREEN, 4 _LOOK, 8 _BEFORE, 16 _PACKING, 32 _TAIL, 64 _AFTER. The screen's packed byte as in the file, and the screen's
colours if its top bit is set. With _SCREEN four varints, the screen's width and height, the image's left and top; else
the screen has the image's size and both are 0. With _LOOK two bytes, background colour and aspect ratio; else both are
0. With _BEFORE a blob, the blocks before the image. The image's packed byte as in the file, its colours if the top bit
is set, and the byte of the bits of a pixel. With _PACKING: as in gif_packing.py. With _TAIL a blob, what the image's
data has behind the LZW code. With _AFTER a blob, all bytes behind the image's data; else that is the trailer alone.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from codec.errors import DamagedFile, ImageTooLarge, UnreadableImage, UnsupportedImage
from codec.format.numbers import Reader, blob, varint
from codec.images import gif_lzw
from codec.images.gif_packing import DEFAULT_BLOCK, Packing, blocks, found_packing, join, pack, unpack
from codec.images.samples import Item, Parts, Samples

_VERSIONS = (b"GIF87a", b"GIF89a")
_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, 0x3B
_CONTROL, _COMMENT, _PLAIN_TEXT, _APPLICATION = 0xF9, 0xFE, 0x01, 0xFF  # labels of extensions
_PALETTE, _INTERLACED = 0x80, 0x40  # of packed bytes
_NEW, _SCREEN, _LOOK, _BEFORE, _PACKING, _TAIL, _AFTER = (1 << bit for bit in range(7))
_XMP, _ICC = b"XMP DataXMP", b"ICCRGBG1012"
_XMP_END = bytes([1, *range(255, -1, -1), 0])  # a trailer by which any byte of XMP, read as a block's length, ends well
_AGAIN = "get the file again"


@dataclass(frozen=True)
class _Frame:
    """All that a file says but its pixels and how they are packed. screen: width, height, the image's left and top;
    None for that of the image alone."""

    new: bool
    packed: int
    colours: bytes
    screen: tuple[int, int, int, int] | None
    look: bytes
    before: bytes
    image_packed: int
    image_colours: bytes
    least: int
    tail: bytes = b""
    after: bytes = b";"

    @property
    def palette(self) -> np.ndarray:
        """The colours of the image's indices, uint8 [N, 3]."""
        return np.frombuffer(self.image_colours or self.colours, np.uint8).reshape(-1, 3)

    def depth(self, values: np.ndarray) -> int:
        """Bits of the samples."""
        packed = self.image_packed if self.image_packed & _PALETTE else self.packed
        bits = min(packed % 8 + 1, self.least) if packed & _PALETTE else self.least
        return bits if values.max() >> bits == 0 else self.least


def recognises(data: bytes) -> bool:
    """Whether this begins as a GIF does."""
    return bytes(data[:6]) in _VERSIONS


def take_apart(data: bytes, max_pixels: int) -> Parts:
    """The samples and the rest. Raises UnreadableImage, UnsupportedImage for an animation or a file without an image,
    and ImageTooLarge."""
    frame, shape, at = _before_pixels(data)
    if shape[0] * shape[1] > max_pixels:
        shown = f"{shape[1]} x {shape[0]}"
        raise ImageTooLarge(f"{shown} pixels are more than {max_pixels} in all: allow more with --max-pixels")
    stream, end, size = _stream(data, at)
    frame = replace(frame, after=_after(data, end))
    order = _rows(shape[0], frame.image_packed)
    decoded = gif_lzw.decode(stream, frame.least, shape, order, len(stream) // 16 + 64)
    frame = replace(frame, tail=stream[decoded.used :].tobytes())
    image = bytes(data[at:end])
    packing = found_packing(stream, frame.least, decoded, order, image, size)
    values = decoded.values[..., None]
    samples = Samples(values, frame.depth(decoded.values), "palette", frame.palette)
    return Parts(samples, _packed(frame, packing), packing is not None)


def put_together(samples: Samples, rest: bytes) -> Iterator[bytes]:
    """The file in pieces of a MB or so. Raises DamagedFile."""
    frame, packing = _unpacked(rest)
    height, width = samples.values.shape[:2]
    if samples.kind != "palette" or samples.depth > 8 or max(height, width) > 0xFFFF:
        raise DamagedFile(f"{width} x {height} {samples.kind} samples of {samples.depth} bits fit no GIF: {_AGAIN}")
    yield _head(frame, height, width)
    order = _rows(height, frame.image_packed)
    stream = gif_lzw.encode(samples.values[..., 0], frame.least, order, packing.habits)
    try:
        yield from blocks(stream, packing.sizes, frame.tail)
    except ValueError as error:
        raise DamagedFile(f"what was kept of a GIF does not fit its samples ({error}): {_AGAIN}") from error
    yield frame.after


def second_opinion(data: bytes) -> Samples | None:
    """The samples as Pillow reads them; None where the screen is so much larger than the image that it takes far more
    memory, where the process's settings of Pillow ask for colours instead of indices, or where it fails."""
    from PIL import Image, ImageFile
    from PIL.GifImagePlugin import GifImageFile

    frame, (height, width), _ = _before_pixels(data)
    across, down, left, top = frame.screen or (width, height, 0, 0)
    pixels = max(across, left + width) * max(down, top + height)
    most = Image.MAX_IMAGE_PIXELS or pixels
    if pixels > 4 * height * width + (1 << 20) or pixels > most or ImageFile.LOAD_TRUNCATED_IMAGES:
        return None
    try:
        with GifImageFile(io.BytesIO(data)) as picture:
            picture.load()
            if picture.mode not in ("L", "P"):
                return None
            values = np.array(picture.crop((left, top, left + width, top + height)))
    except Exception:  # Pillow's parsers raise whatever they trip over
        return None
    return Samples(values[..., None], frame.depth(values), "palette", frame.palette)


def metadata(rest: bytes) -> list[Item]:
    """Comments, application extensions (XMP and ICC by these names), plain text, and what else `stripped` leaves out.
    Raises DamagedFile."""
    frame, _ = _unpacked(rest)
    kept = _transparency(frame.before)
    items = [item for raw in _parts(frame.before) if raw != kept and (item := _item(raw)) is not None]
    if frame.look[1]:
        items.append(Item("pixel aspect ratio", frame.look[1:]))
    if frame.tail:
        items.append(Item("bytes behind the pixels", frame.tail))
    return items + [item for raw in _parts(frame.after) if (item := _item(raw)) is not None]


def stripped(rest: bytes) -> bytes:
    """A rest with palette, transparent colour and screen, but without what `metadata` lists. Raises DamagedFile."""
    frame, packing = _unpacked(rest)
    before, look = _transparency(frame.before), frame.look[:1] + b"\0"
    sizes = packing.sizes if isinstance(packing.sizes, int) else DEFAULT_BLOCK
    frame = replace(frame, before=before, look=look, tail=b"", after=b";")
    return _packed(frame, replace(packing, sizes=sizes))


def _rows(height: int, packed: int) -> np.ndarray:
    """The rows in the order of the file, int64 [H]."""
    if not packed & _INTERLACED:
        return np.arange(height)
    return np.concatenate([np.arange(first, height, step) for first, step in ((0, 8), (4, 8), (2, 4), (1, 2))])


def _before_pixels(data: bytes) -> tuple[_Frame, tuple[int, int], int]:
    """What stands before the LZW code, the image's height and width, and where the code begins."""
    if len(data) < 13 or not recognises(data):
        raise UnreadableImage(f"a damaged GIF, its header is cut off: {_AGAIN}")
    words = np.frombuffer(data, "<u2", 2, 6).tolist()
    packed = data[10]
    at = 13 + _colours(packed)
    colours, begun = bytes(data[13:at]), at
    while (at := _past_extensions(data, at)) < len(data) and data[at] == 0:
        at += 1
    if at >= len(data):
        raise UnreadableImage(f"a damaged GIF, it is cut off before its image: {_AGAIN}")
    if data[at] == _TRAILER:
        raise UnsupportedImage("a GIF without an image is not supported: there is nothing to code in it")
    if data[at] != _IMAGE:
        raise UnreadableImage(f"a damaged GIF, it has a block {data[at]:02X}: {_AGAIN}")
    before, at = bytes(data[begun:at]), at + 10
    end = at + _colours(data[at - 1]) if at <= len(data) else len(data)
    if end >= len(data):
        raise UnreadableImage(f"a damaged GIF, it is cut off before its pixels: {_AGAIN}")
    left, top, width, height = np.frombuffer(data, "<u2", 4, at - 9).tolist()
    least = data[end]
    if not width or not height or not 1 <= least <= 8:
        raise UnreadableImage(f"a damaged GIF, an image of {width} x {height} pixels of {least} bits: {_AGAIN}")
    screen = (*words, left, top)
    alone = screen == (width, height, 0, 0)
    frame = _Frame(
        new=bytes(data[:6]) == _VERSIONS[1],
        packed=packed,
        colours=colours,
        screen=None if alone else screen,
        look=bytes(data[11:13]),
        before=before,
        image_packed=data[at - 1],
        image_colours=bytes(data[at:end]),
        least=least,
    )
    return frame, (height, width), end + 1


def _colours(packed: int) -> int:
    """Bytes of the palette that a packed byte tells of."""
    return 3 << packed % 8 + 1 if packed & _PALETTE else 0


def _past_extensions(data: bytes, at: int) -> int:
    """The place behind extensions. Raises UnreadableImage for one that is cut off."""
    while at < len(data) and data[at] == _EXTENSION:
        at = _past_blocks(data, at + 2)
    return at


def _past_blocks(data: bytes, at: int) -> int:
    while at < len(data) and data[at]:
        at += data[at] + 1
    if at >= len(data):
        raise UnreadableImage(f"a damaged GIF, a block is cut off: {_AGAIN}")
    return at + 1


def _stream(data: bytes, at: int) -> tuple[np.ndarray, int, int]:
    """The LZW code from some place on, uint8 [n], the place behind its blocks, and the length of all blocks but the
    last, 0 where they differ."""
    joined, state = np.empty(len(data) - at, np.uint8), np.zeros(5, np.int64)
    join(np.frombuffer(data, np.uint8), at, joined, state)
    missing, end, count, size, regular = state.tolist()
    if missing:
        raise UnreadableImage(f"a damaged GIF, its pixels are cut off: {_AGAIN}")
    size = DEFAULT_BLOCK if count == size else size  # one block is the last
    return joined[:count], end, size if regular else 0


def _after(data: bytes, at: int) -> bytes:
    """All bytes behind the image's. Raises UnreadableImage, and UnsupportedImage if there is another image."""
    begun = at
    while (at := _past_extensions(data, at)) < len(data) and data[at] == 0:
        at += 1
    if at < len(data) and data[at] == _IMAGE:
        raise UnsupportedImage("a GIF of several images, such as an animation, is not supported: extract one")
    if at < len(data) and data[at] != _TRAILER:
        raise UnreadableImage(f"a damaged GIF, it has a block {data[at]:02X} behind its image: {_AGAIN}")
    return bytes(data[begun:])


def _head(frame: _Frame, height: int, width: int) -> bytes:
    """The bytes before the LZW code."""
    across, down, left, top = frame.screen or (width, height, 0, 0)
    if max(across, down, left, top) > 0xFFFF:
        raise DamagedFile(f"a screen of {across} x {down} fits no GIF: {_AGAIN}")
    screen = np.array([across, down], "<u2").tobytes() + bytes([frame.packed]) + frame.look
    image = bytes([_IMAGE]) + np.array([left, top, width, height], "<u2").tobytes() + bytes([frame.image_packed])
    colours = frame.image_colours + bytes([frame.least])
    return _VERSIONS[frame.new] + screen + frame.colours + frame.before + image + colours


def _packed(frame: _Frame, packing: Packing | None) -> bytes:
    """The rest."""
    packed = pack(packing, frame.least) if packing else b""
    told = {
        _NEW: frame.new,
        _SCREEN: frame.screen,
        _LOOK: any(frame.look),
        _BEFORE: frame.before,
        _PACKING: packed,
        _TAIL: frame.tail,
        _AFTER: frame.after != b";",
    }
    pieces = [
        bytes([sum(flag for flag, is_there in told.items() if is_there), frame.packed]) + frame.colours,
        b"".join(varint(number) for number in frame.screen or ()),
        frame.look if any(frame.look) else b"",
        blob(frame.before) if frame.before else b"",
        bytes([frame.image_packed]) + frame.image_colours + bytes([frame.least]),
        packed,
        blob(frame.tail) if frame.tail else b"",
        blob(frame.after) if frame.after != b";" else b"",
    ]
    return b"".join(pieces)


def _unpacked(rest: bytes) -> tuple[_Frame, Packing]:
    """What `_packed` was given. Raises DamagedFile."""
    reader = Reader(rest)
    flags, packed = reader.byte(), reader.byte()
    colours = reader.take(_colours(packed))
    screen = None
    if flags & _SCREEN:
        screen = reader.varint(), reader.varint(), reader.varint(), reader.varint()
    look = reader.take(2) if flags & _LOOK else bytes(2)
    before = reader.blob() if flags & _BEFORE else b""
    image_packed = reader.byte()
    image_colours, least = reader.take(_colours(image_packed)), reader.byte()
    if not 1 <= least <= 8 or flags > 127:
        raise DamagedFile(f"what was kept of a GIF has flags {flags} and pixels of {least} bits: {_AGAIN}")
    packing = unpack(reader, least) if flags & _PACKING else Packing(gif_lzw.usual(least))
    tail = reader.blob() if flags & _TAIL else b""
    after = reader.blob() if flags & _AFTER else b";"
    reader.done()
    new = bool(flags & _NEW)
    frame = _Frame(new, packed, colours, screen, look, before, image_packed, image_colours, least, tail, after)
    return frame, packing


def _parts(raw: bytes) -> Iterator[bytes]:
    """The extensions among blocks, and what is behind a trailer, which that begins. Raises DamagedFile."""
    at = 0
    while at < len(raw):
        end = at + 1
        if raw[at] == _TRAILER:
            end = len(raw)
        elif raw[at] == _EXTENSION:
            try:
                end = _past_blocks(raw, at + 2)
            except UnreadableImage as error:
                raise DamagedFile(f"what was kept of a GIF has a block that is cut off: {_AGAIN}") from error
        elif raw[at]:
            raise DamagedFile(f"what was kept of a GIF has a block {raw[at]:02X}: {_AGAIN}")
        if raw[at]:
            yield raw[at:end]
        at = end


def _transparency(before: bytes) -> bytes:
    """The graphic control extension that is in force, if it names a transparent colour."""
    last = b""
    for raw in _parts(before):
        if raw[1:2] == bytes([_CONTROL]):
            last = raw
        elif raw[1:2] == bytes([_PLAIN_TEXT]):  # a control extension is for what comes next
            last = b""
    return last if len(last) > 3 and last[3] & 1 else b""


def _item(raw: bytes) -> Item | None:
    """What an extension says, or the bytes behind a trailer if there are any."""
    if raw[0] == _TRAILER:
        return Item("bytes behind the end", raw[1:]) if raw[1:] else None
    label, content, at = raw[1], [], 2
    while raw[at]:
        content.append(raw[at + 1 : at + 1 + raw[at]])
        at += raw[at] + 1
    if label == _APPLICATION and content:
        name, data = content[0], b"".join(content[1:])
        if name == _XMP and raw.endswith(_XMP_END):
            return Item("XMP", raw[14 : -len(_XMP_END)])
        if name in (_XMP, _ICC):
            return Item("XMP" if name == _XMP else "ICC profile", data)
        return Item(f"application {name.decode('latin-1')!r}", data)
    names = {_COMMENT: "comment", _PLAIN_TEXT: "plain text", _CONTROL: "graphic control"}
    return Item(names.get(label, f"extension {label:02X}"), b"".join(content))
