"""Lossless WebP (VP8L) of one picture: its colours, alpha, and all other chunks of the file.

Pillow's libwebp reads and writes the code of the pixels; colours under alpha 0 are kept. A picture whose header says
that it uses alpha is rgb+alpha even where all of it is opaque, else it is rgb. The code is never promised to the byte:
that is up to the version of libwebp at hand.

The rest is empty, or three blobs (numbers.py): the chunks before VP8L, headers and padding included, those behind it,
and what is behind the RIFF.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image as Pillow
from PIL.WebPImagePlugin import WebPImageFile

from codec.errors import DamagedFile, ImageTooLarge, UnreadableImage, UnsupportedImage, UnsupportedOutput
from codec.format.numbers import Reader, blob
from codec.images.samples import Item, Parts, Samples
from codec.images.webp_chunks import VP8L, canvas, chunks, holds_lossy, is_webp, riff_end, size_of

_MOST_SIDE = 1 << 14
_ALPHA_BYTE, _ALPHA_BIT, _HEADER = 4, 0x10, 5  # of a VP8L header: where it says that alpha is used; its bytes
_SLACK = 16  # bytes, more than a last symbol has
_AGAIN = "get the file again"


@dataclass(frozen=True)
class _Around:
    """All that a file says but its pixels: chunks before and behind VP8L, and bytes behind the RIFF."""

    before: bytes = b""
    behind: bytes = b""
    trailing: bytes = b""


def recognises(data: bytes) -> bool:
    """Whether this is a WebP without lossy pictures in it."""
    return is_webp(data) and not holds_lossy(data)


def take_apart(data: bytes, max_pixels: int) -> Parts:
    """The samples and the rest. Raises UnreadableImage, UnsupportedImage for an animation, and ImageTooLarge."""
    around, code = _split(data)
    width, height = _size(code, around.before)
    if width * height > max_pixels:
        size = f"{width} x {height}"
        raise ImageTooLarge(f"{size} pixels are more than {max_pixels} in all: allow more with --max-pixels")
    values = _decoded(code, width, height)
    _check_end(code, values)
    alpha = bool(code[_ALPHA_BYTE] & _ALPHA_BIT)
    if not alpha:
        if values[..., 3].min() < 255:
            raise UnsupportedImage("a WebP with alpha that its header denies is not supported: convert it to PNG")
        values = np.ascontiguousarray(values[..., :3])
    samples = Samples(values, 8, "rgb+alpha" if alpha else "rgb")
    return Parts(samples, _packed(around), exact=False)


def put_together(samples: Samples, rest: bytes) -> Iterator[bytes]:
    """The file in pieces. Raises DamagedFile."""
    around = _unpacked(rest)
    height, width = samples.values.shape[:2]
    if samples.kind not in ("rgb", "rgb+alpha") or samples.depth != 8 or max(height, width) > _MOST_SIDE - 1:
        raise DamagedFile(f"{width} x {height} {samples.kind} samples of {samples.depth} bits fit no WebP: {_AGAIN}")
    if canvas(around.before) not in (None, (width, height)):
        raise DamagedFile(f"what was kept of a WebP is of another size than {width} x {height}: {_AGAIN}")
    code = _encoded(samples)
    yield _file(code, around)


def second_opinion(data: bytes) -> Samples | None:
    """None: Pillow is the first reader, and all that is installed has the same libwebp."""
    return None


def metadata(rest: bytes) -> list[Item]:
    """ICC profile, EXIF, XMP, chunks of other names, and bytes behind the end. Raises DamagedFile."""
    around = _unpacked(rest)
    names = {b"ICCP": "ICC profile", b"EXIF": "EXIF", b"XMP ": "XMP"}
    items = [
        Item(names.get(name, f"chunk {name.decode('latin-1')!r}"), raw[start:end])
        for raw in (around.before, around.behind)
        for name, start, end in _chunks_kept(raw)
        if name != b"VP8X"
    ]
    return items + ([Item("bytes behind the end", around.trailing)] if around.trailing else [])


def stripped(rest: bytes) -> bytes:
    """A rest without what `metadata` lists; whether alpha is used is the samples' kind. Raises DamagedFile."""
    _unpacked(rest)
    return _packed(_Around())


def _chunks_kept(raw: bytes) -> list[tuple[bytes, int, int]]:
    try:
        return list(chunks(raw, 0, len(raw)))
    except UnreadableImage as error:
        raise DamagedFile(f"what was kept of a WebP has a chunk that is cut off: {_AGAIN}") from error


def _split(data: bytes) -> tuple[_Around, bytes]:
    """A file's chunks, but for where VP8L's code ends, and that chunk's content."""
    if not is_webp(data):
        raise UnreadableImage(f"a damaged WebP, its header is cut off: {_AGAIN}")
    end, found = riff_end(data), None
    for name, start, stop in chunks(data, 12, end):
        if name in (b"ANIM", b"ANMF"):
            raise UnsupportedImage("an animated WebP is not supported: extract one picture")
        if name == b"VP8 ":
            raise UnsupportedImage("a lossy WebP is not supported: keep the file as it is")
        if name == VP8L and found:
            raise UnsupportedImage("a WebP of several pictures is not supported: extract one")
        if name == VP8L:
            found = start, stop
    if not found:
        raise UnreadableImage(f"a damaged WebP, it has no picture: {_AGAIN}")
    start, stop = found
    behind = min(stop + stop % 2, end)
    if any(data[stop:behind]):
        raise UnreadableImage(f"a damaged WebP, its padding is {data[stop]} instead of 0: {_AGAIN}")
    return _Around(bytes(data[12 : start - 8]), bytes(data[behind:end]), bytes(data[end:])), bytes(data[start:stop])


def _size(code: bytes, before: bytes) -> tuple[int, int]:
    """Width and height."""
    size = size_of(code)
    if size is None:
        raise UnreadableImage(f"a damaged WebP, its VP8L header is cut off or unknown: {_AGAIN}")
    if canvas(before) not in (None, size):
        raise UnreadableImage(f"a damaged WebP, a picture of {size[0]} x {size[1]} on another canvas: {_AGAIN}")
    return size


def _decoded(code: bytes, width: int, height: int) -> np.ndarray:
    """Colours and alpha, uint8 [H, W, 4], whatever the header says of alpha. Raises UnreadableImage."""
    told = bytearray(code)
    told[_ALPHA_BYTE] |= _ALPHA_BIT
    try:
        # Not Pillow.open: its bound on pixels is one for the whole process.
        with WebPImageFile(io.BytesIO(_file(bytes(told), _Around()))) as picture:
            picture.load()
            values = np.array(picture)
    except MemoryError:
        raise
    except Pillow.DecompressionBombError as error:
        raise ImageTooLarge(f"more pixels than PIL.Image.MAX_IMAGE_PIXELS allows ({error})") from error
    except Exception as error:  # Pillow raises whatever it trips over
        raise UnreadableImage(f"a damaged WebP ({error or type(error).__name__}): {_AGAIN}") from error
    if values.shape != (height, width, 4):
        raise UnreadableImage(f"a damaged WebP, it decodes to {list(values.shape)}: {_AGAIN}")
    return values


def _check_end(code: bytes, values: np.ndarray) -> None:
    """Raises UnsupportedImage if a sound code has more behind it than zeros. values: [H, W, 4], what it decodes to.

    Where the code itself ends is not known: libwebp's decoder takes missing bits for zeros and may come to the same
    pixels, so a last symbol, at most 66 bits, is not told apart from what does not belong to the code.
    """
    shorter = len(code.rstrip(b"\0")) - 1 - _SLACK
    if shorter <= _HEADER:
        return
    try:
        same = np.array_equal(_decoded(code[:shorter], values.shape[1], values.shape[0]), values)
    except UnreadableImage:
        return
    if same:
        raise UnsupportedImage("a WebP with bytes behind the code of its pixels is not supported: convert it to PNG")


def _encoded(samples: Samples) -> bytes:
    """The code that libwebp makes, with the bit for alpha as the samples' kind asks for it."""
    stream = io.BytesIO()
    settings = dict(lossless=True, exact=True, quality=75, method=4)
    try:
        Pillow.fromarray(np.ascontiguousarray(samples.values)).save(stream, "WEBP", **settings)
    except (OSError, ValueError) as error:
        raise UnsupportedOutput(f"libwebp does not write it ({error}): ask for another format") from error
    code = bytearray()
    written = stream.getvalue()
    for name, start, stop in chunks(written, 12, len(written)):
        if name == VP8L:
            code += written[start:stop]
    alpha = _ALPHA_BIT if samples.kind == "rgb+alpha" else 0
    code[_ALPHA_BYTE] = code[_ALPHA_BYTE] & ~_ALPHA_BIT | alpha
    return bytes(code)


def _file(code: bytes, around: _Around) -> bytes:
    chunk = VP8L + len(code).to_bytes(4, "little") + code + bytes(len(code) % 2)
    size = 4 + len(around.before) + len(chunk) + len(around.behind)
    if size >= 1 << 32:
        raise DamagedFile(f"{size} bytes are too many for a WebP: {_AGAIN}")
    head = b"RIFF" + size.to_bytes(4, "little") + b"WEBP"
    return b"".join([head, around.before, chunk, around.behind, around.trailing])


def _packed(around: _Around) -> bytes:
    """The rest."""
    parts = around.before, around.behind, around.trailing
    return b"".join(map(blob, parts)) if any(parts) else b""


def _unpacked(rest: bytes) -> _Around:
    """What `_packed` was given. Raises DamagedFile."""
    if not rest:
        return _Around()
    reader = Reader(rest)
    around = _Around(reader.blob(), reader.blob(), reader.blob())
    reader.done()
    return around
