"""The headers of PNM and PAM files: what they say, and those that are usual."""

from __future__ import annotations

import re
from dataclasses import dataclass

from codec.errors import UnreadableImage, UnsupportedImage

BITMAPS, PLAIN, PAM = (1, 4), (1, 2, 3), 7  # forms: the digit of the first two bytes
_SPACE = b" \t\n\v\f\r"
_MOST_DIGITS = 10
_KINDS = {1: "grey", 2: "grey+alpha", 3: "rgb", 4: "rgb+alpha"}
_TUPLE_DEPTHS = {"BLACKANDWHITE": 1, "GRAYSCALE": 1, "RGB": 3}
_TUPLE_DEPTHS |= {f"{name}_ALPHA": depth + 1 for name, depth in _TUPLE_DEPTHS.items()}
_TUPLE_TYPES = {1: "GRAYSCALE", 2: "GRAYSCALE_ALPHA", 3: "RGB", 4: "RGB_ALPHA"}
_LINE = re.compile(rb"([A-Z]+)[ \t\v\f\r]+([^\n]*)")


@dataclass(frozen=True)
class Header:
    """What a header says. length: its bytes. last_number: where its last number begins, for forms 1 to 6."""

    form: int
    width: int
    height: int
    channels: int
    most: int  # the largest value
    length: int
    last_number: int = 0

    @property
    def depth(self) -> int:
        """Bits of a value."""
        return self.most.bit_length()

    @property
    def kind(self) -> str:
        return _KINDS[self.channels]

    @property
    def row_bytes(self) -> int:
        """Bytes of a row that is not written as text."""
        if self.form in BITMAPS:
            return (self.width + 7) // 8
        return self.width * self.channels * (1 if self.most < 256 else 2)


def parse(data: bytes) -> Header:
    """The header of a file. Raises UnreadableImage and UnsupportedImage."""
    if data[:2] in (b"PF", b"Pf"):
        raise UnsupportedImage("PFM, whose values are fractions, is not read: save the picture with whole numbers")
    if data[:1] != b"P" or data[1:2] not in (b"1", b"2", b"3", b"4", b"5", b"6", b"7"):
        raise UnreadableImage(f"{data[:2]!r} begins no PNM file: get the file again")
    header = _parse_pam(data) if data[1:2] == b"7" else _parse_numbers(data, int(data[1:2]))
    if not 1 <= header.most <= 65535:
        raise UnreadableImage(f"values up to {header.most}, not 1 to 65535: get the file again")
    return header


def _parse_numbers(data: bytes, form: int) -> Header:
    """The header of forms 1 to 6."""
    numbers, at, begin = [], 2, 2
    for _ in range(2 if form in BITMAPS else 3):
        begin = _skip(data, at)
        at = begin
        while data[at : at + 1].isdigit():
            at += 1
        if not 0 < at - begin <= _MOST_DIGITS or begin == 2:
            raise UnreadableImage(f"no number at byte {begin} of the header: get the file again")
        numbers.append(int(data[begin:at]))
    if data[at : at + 1] == b"#":
        at = _line_end(data, at)
    elif data[at : at + 1] not in _SPACE or at >= len(data):
        raise UnreadableImage(f"no space after the header at byte {at}: get the file again")
    else:
        at += 1
    if form in PLAIN:
        at = _last_line(data, at)
    most = 1 if form in BITMAPS else numbers[2]
    return Header(form, numbers[0], numbers[1], 3 if form in (3, 6) else 1, most, at, begin)


def _skip(data: bytes, at: int) -> int:
    """The first place from `at` on that is in no space or comment."""
    while True:
        here = data[at : at + 1]
        if here == b"#":
            at = _line_end(data, at)
        elif here and here in _SPACE:
            at += 1
        else:
            return at


def _line_end(data: bytes, at: int) -> int:
    """The place after the line that goes on at `at`. Raises UnreadableImage if the file ends before."""
    ends = [end for end in (data.find(b"\n", at), data.find(b"\r", at, at + 1 << 16)) if end >= 0]
    if not ends:
        raise UnreadableImage(f"the comment at byte {at} does not end: get the file again")
    return min(ends) + 1


def _last_line(data: bytes, at: int) -> int:
    """The place after the last line feed of those spaces that `at` follows or begins; `at` where there is none."""
    found, place = at, at
    while place < len(data) and data[place : place + 1] in _SPACE:
        place += 1
        if data[place - 1 : place] == b"\n":
            found = place
    return found


def _parse_pam(data: bytes) -> Header:
    """The header of form 7."""
    if data[2:3] != b"\n":
        raise UnsupportedImage(f"P7 followed by {data[2:6]!r} is no PAM file and not read: save the picture as PNM")
    fields: dict[bytes, bytes] = {}
    at = 3
    while True:
        end = data.find(b"\n", at)
        if end < 0:
            raise UnreadableImage("a PAM header without ENDHDR: get the file again")
        line, at = data[at:end].strip(), end + 1
        if line == b"ENDHDR":
            break
        if not line or line.startswith(b"#"):
            continue
        found = _LINE.fullmatch(line)
        if found is None or found[1] in fields:
            raise UnsupportedImage(
                f"a PAM header with the line {line[:40]!r} is not read: save it with each field once"
            )
        fields[found[1]] = found[2]
    if unknown := set(fields) - {b"WIDTH", b"HEIGHT", b"DEPTH", b"MAXVAL", b"TUPLTYPE"}:
        raise UnsupportedImage(f"a PAM header with the field {sorted(unknown)[0]!r} is not read: save it without")
    width, height, depth, most = (_number(fields, name) for name in (b"WIDTH", b"HEIGHT", b"DEPTH", b"MAXVAL"))
    tuple_type = fields.get(b"TUPLTYPE", _TUPLE_TYPES.get(depth, "").encode()).decode("latin-1")
    if tuple_type not in _TUPLE_DEPTHS:
        raise UnsupportedImage(f"PAM tuples of type {tuple_type!r} and depth {depth} are not read: save them as others")
    if _TUPLE_DEPTHS[tuple_type] != depth or (tuple_type.startswith("B") and most != 1):
        raise UnreadableImage(f"PAM tuples of type {tuple_type}, depth {depth}, up to {most}: get the file again")
    return Header(PAM, width, height, depth, most, at)


def _number(fields: dict[bytes, bytes], name: bytes) -> int:
    text = fields.get(name, b"")
    if not text.isdigit() or len(text) > _MOST_DIGITS:
        raise UnreadableImage(f"a PAM header with {text[:20]!r} for {name.decode()}: get the file again")
    return int(text)


def usual(form: int, width: int, height: int, channels: int, most: int) -> bytes:
    """The header as it is written mostly, without comments."""
    if form == PAM:
        tuple_type = (
            _TUPLE_TYPES[channels] if most > 1 else _TUPLE_TYPES[channels].replace("GRAYSCALE", "BLACKANDWHITE")
        )
        lines = f"WIDTH {width}\nHEIGHT {height}\nDEPTH {channels}\nMAXVAL {most}\nTUPLTYPE {tuple_type}\nENDHDR\n"
        return b"P7\n" + lines.encode()
    return f"P{form}\n{width} {height}\n{'' if form in BITMAPS else f'{most}{chr(10)}'}".encode()
