"""PNM, forms P1 to P6, and PAM, P7; values are as stored, so that 1 is black in P1 and P4 and 0 in all others.

The rest: a byte, the form, 1 to 7, and 8 if the header follows whole, as a blob; else a varint follows, the largest
value, or 0 where that is the largest of its bits (and in P1 and P4), and the header is `pnm_header.usual`. A blob:
what follows the last value. Then for P4 a blob of the bits that fill up rows, a byte for each, empty if all are 0; for
P1 to P3 the layout of the text (see `pnm_text.Layout.written`).
A text that has no layout is written in another, and the comments that were among its values stand before the header's
last number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import PpmImagePlugin

from codec.errors import CodecError, DamagedFile, UnreadableImage, UnsupportedImage
from codec.format.numbers import Reader, blob, varint
from codec.images import opinions, pnm_header, pnm_text
from codec.images.masks import pack_bits, unpack_bits
from codec.images.pieces import bands, check_length, check_size, is_same
from codec.images.pnm_header import BITMAPS, PAM, PLAIN, Header
from codec.images.pnm_text import Layout
from codec.images.samples import Item, Parts, Samples

_WHOLE = 8
_COMMENT = re.compile(rb"#[^\n\r]*")
_PICTURE = re.compile(rb"\s*P[1-7][\s#]")
_LINES = Layout(b" ", b" ", b"\n", b"\n", True, True, 70)  # for a text that has no layout


@dataclass(frozen=True)
class Rest:
    """A rest's fields. header: its bytes, if it is no usual one; most: the largest value, or 0 as in the rest."""

    form: int
    header: bytes
    most: int
    tail: bytes
    padding: bytes = b""
    layout: Layout = _LINES


def recognises(data: bytes) -> bool:
    """Whether data begins as a PNM, PAM or PFM file."""
    return data[:1] == b"P" and data[1:2] in b"1234567Ff" and data[2:3] in (b"#", *map(bytes, zip(b" \t\n\v\f\r")))


def take_apart(data: bytes, max_pixels: int) -> Parts:
    """The samples of a PNM file and the rest. Raises UnreadableImage, UnsupportedImage or ImageTooLarge."""
    header = pnm_header.parse(data)
    check_size(header.width, header.height, max_pixels)
    least = header.width * header.height * header.channels if header.form in PLAIN else header.row_bytes * header.height
    check_length(data, header.length, least)
    values = np.empty((header.height, header.width, header.channels), np.uint8 if header.depth <= 8 else np.uint16)
    samples = Samples(values, header.depth, header.kind)
    if header.form in PLAIN:
        return _take_text_apart(data, header, samples)
    padding = _read_rows(data, header, values)
    tail = _tail(data, header.length + least)
    return _parts(data, samples, _rest(header, data[: header.length], tail, padding=padding))


def put_together(samples: Samples, rest: bytes) -> Iterator[bytes]:
    """The file's bytes, some at a time. Raises DamagedFile where samples and rest do not fit."""
    found = _parse(rest)
    height, width, channels = samples.values.shape
    most = found.most or (1 << samples.depth) - 1
    if samples.kind not in ("grey", "grey+alpha", "rgb", "rgb+alpha"):
        raise DamagedFile(f"samples of kind {samples.kind} make no PNM file: get the file again")
    head = found.header or pnm_header.usual(found.form, width, height, channels, most)
    try:
        header = pnm_header.parse(head)
    except CodecError as error:
        raise DamagedFile(f"what was kept of a PNM file is none ({error})") from error
    said = header.form, header.height, header.width, header.kind, header.depth, header.length
    if said != (found.form, height, width, samples.kind, samples.depth, len(head)):
        raise DamagedFile("what was kept of a PNM file does not fit the picture: get the file again")
    if len(found.padding) not in (0, height):
        raise DamagedFile(f"{len(found.padding)} bytes do not fill up {height} rows: get the file again")
    return _pieces(samples, head, header, found)


def metadata(rest: bytes) -> list[Item]:
    """The comments, and what follows the picture unless it is the end of a line."""
    found = _parse(rest)
    items = [Item("comment", comment) for comment in _COMMENT.findall(found.header)]
    return items + ([Item("trailing bytes", found.tail)] if found.tail.strip() else [])


def peculiarity(rest: bytes) -> str | None:
    """What makes samples mean something else than those of a PNG of the same kind. Raises DamagedFile."""
    found = _parse(rest)
    if found.form in BITMAPS:
        return "1 is black"
    return f"the largest is {found.most}" if found.most & found.most + 1 else None


def stripped(rest: bytes) -> bytes:
    """The rest without comments and what follows the picture."""
    found = _parse(rest)
    tail = b"\n" if found.form in PLAIN else b""
    most = found.most
    if found.header:
        try:
            header = pnm_header.parse(found.header)
        except CodecError as error:
            raise DamagedFile(f"what was kept of a PNM file is none ({error})") from error
        most = _short(header)
    return _write(Rest(found.form, b"", most, tail, layout=found.layout))


def second_opinion(data: bytes) -> Samples | None:
    """Pillow's samples of one, eight and sixteen bits, where it does not scale them."""
    header = pnm_header.parse(data)
    modes = {1: ("1",), 255: ("L", "RGB"), 65535: ("I", "I;16")}
    read = None if header.form == PAM else opinions.pillow(PpmImagePlugin.PpmImageFile, data)
    if read is None or (header.form not in BITMAPS and header.most == 1) or read[0] not in modes.get(header.most, ()):
        return None
    values = 1 - read[1].astype(np.uint8) if header.form in BITMAPS else read[1]
    return Samples(values.astype(np.uint16 if header.depth > 8 else np.uint8), header.depth, header.kind)


def _tail(data: bytes, at: int) -> bytes:
    """What follows the picture. Raises UnsupportedImage for another one."""
    if _PICTURE.match(data[at : at + 64]):
        raise UnsupportedImage(f"several pictures in one PNM file, the second at byte {at}, are not read: split it")
    return data[at:]


def _short(header: Header) -> int:
    """The largest value as a rest has it."""
    return 0 if header.most == (1 << header.depth) - 1 else header.most


def _rest(header: Header, head: bytes, tail: bytes, padding: bytes = b"", layout: Layout = _LINES) -> Rest:
    usual = pnm_header.usual(header.form, header.width, header.height, header.channels, header.most)
    if head == usual:
        return Rest(header.form, b"", _short(header), tail, padding, layout)
    return Rest(header.form, head, 0, tail, padding, layout)


def _parts(data: bytes, samples: Samples, rest: Rest) -> Parts:
    written = _write(rest)
    return Parts(samples, written, is_same(put_together(samples, written), data))


def _read_rows(data: bytes, header: Header, values: np.ndarray) -> bytes:
    """Fill values, [H, W, C], from rows that are no text; gives the bits that fill up those of P4."""
    height, width, channels = values.shape
    stored = np.frombuffer(data, np.uint8, height * header.row_bytes, header.length).reshape(height, -1)
    if header.form in BITMAPS:
        for band in bands(height, width):
            values[band, :, 0] = unpack_bits(stored[band], 1, width)
        padding = stored[:, -1] & (0xFF >> (width % 8 or 8))
        return padding.tobytes() if padding.any() else b""
    for band in bands(height, header.row_bytes):
        rows = stored[band].view(">u2" if header.most > 255 else np.uint8)
        values[band] = rows.reshape(-1, width, channels)
        if header.most not in (255, 65535) and int(values[band].max()) > header.most:
            raise UnreadableImage(f"a value of {values[band].max()}, above {header.most}: get the file again")
    return b""


def _take_text_apart(data: bytes, header: Header, samples: Samples) -> Parts:
    flat = samples.values.reshape(-1)
    single = header.form in BITMAPS
    end, comments = pnm_text.read(data, header.length, flat, header.most, single)
    head, tail = data[: header.length], _tail(data, end)
    shape, depth_most = (header.width * header.channels, header.channels), (1 << header.depth) - 1
    text = memoryview(data)[header.length : end] if not comments else memoryview(b"")
    for layout in pnm_text.guess(text, shape, single) if not comments else ():
        beginning = next(pnm_text.pieces(flat, shape, layout, depth_most))
        if beginning == text[: len(beginning)]:
            parts = _parts(data, samples, _rest(header, head, tail, layout=layout))
            if parts.exact:
                return parts
    before = b"".join(comment + b"\n" for comment in comments)
    head = head[: header.last_number] + before + head[header.last_number :]
    return _parts(data, samples, _rest(header, head, tail))


def _pieces(samples: Samples, head: bytes, header: Header, rest: Rest) -> Iterator[bytes]:
    values, width = samples.values, header.width
    yield head
    if header.form in PLAIN:
        shape = (width * header.channels, header.channels)
        yield from pnm_text.pieces(values.reshape(-1), shape, rest.layout, (1 << header.depth) - 1)
    elif header.form in BITMAPS:
        mask = 0xFF >> (width % 8 or 8)
        for band in bands(len(values), width):
            rows = pack_bits(values[band, :, 0], 1)
            if rest.padding:
                rows[:, -1] |= np.frombuffer(rest.padding, np.uint8)[band] & mask
            yield rows.tobytes()
    else:
        for band in bands(len(values), header.row_bytes):
            yield values[band].astype(">u2" if header.most > 255 else np.uint8).tobytes()
    yield rest.tail


def _write(rest: Rest) -> bytes:
    first = bytes([rest.form + _WHOLE]) + blob(rest.header) if rest.header else bytes([rest.form]) + varint(rest.most)
    written = first + blob(rest.tail)
    if rest.form in PLAIN:
        return written + rest.layout.written()
    return written + blob(rest.padding) if rest.form in BITMAPS else written


def _parse(rest: bytes) -> Rest:
    """The fields of a rest. Raises DamagedFile."""
    reader = Reader(rest)
    form = reader.byte()
    whole, form = form >= _WHOLE, form % _WHOLE
    header, most = (reader.blob(), 0) if whole else (b"", reader.varint())
    tail = reader.blob()
    padding = reader.blob() if form == 4 else b""
    layout = pnm_text.read_layout(reader) if form in PLAIN else _LINES
    reader.done()
    if not 1 <= form <= PAM or rest[0] >= 2 * _WHOLE or most > 65535:
        raise DamagedFile(f"a PNM file of form {form} and values up to {most} does not exist: get the file again")
    return Rest(form, header, most, tail, padding, layout)
