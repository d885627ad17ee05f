"""Section 14.1, form 1: a file that keeps a JPEG, as far as its coefficients need it.

What stands around the scans is read as ITU-T T.81, annex B, has it. The scans themselves are not written here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tests.reference.container import Bytes, check, chunks
from tests.reference.jpeg import ZIGZAG, Component
from tests.reference.packed import unpacked

JPEG = 1
DQT, SOS, EOI, FRAMES = 0xDB, 0xDA, 0xD9, (0xC0, 0xC1, 0xC2)
BARE = 0x01, *range(0xD0, 0xD8)  # markers without a length


class Kept(NamedTuple):
    """length, crc: of the JPEG. around: the bytes around its scans. payload: its coefficients."""

    length: int
    crc: int
    pad: int
    around: bytes
    payload: bytes


def read(data: bytes, likely: bytes) -> Kept:
    """likely: deflate's preset dictionary."""
    bodies, payload = chunks(data)
    check(b"K" in bodies and b"J" not in bodies, "it keeps no file")
    about, rest = Bytes(bodies[b"K"]), Bytes(payload)
    form, length, crc, behind = about.number(1), about.varint(), about.number(4), about.varint()
    check(form == JPEG and not about.data and behind == len(payload), "it keeps no JPEG")
    size, pad = rest.number(4), rest.number(1)
    check(pad < 2, "a bit that is none")
    return Kept(length, crc, pad, unpacked(rest.take(size), length, likely), rest.data)


def segments(around: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and contents of each up to the end of the picture."""
    rest = Bytes(around[2:])
    marker = next_marker(rest)
    while marker != EOI:
        if marker not in BARE:
            yield marker, rest.take(int.from_bytes(rest.take(2), "big") - 2)
        marker = next_marker(rest)


def next_marker(rest: Bytes) -> int:
    """Behind bytes that fill, and whatever else stands there."""
    before, byte = 0, rest.number(1)
    while before != 0xFF or byte in (0x00, 0xFF):
        before, byte = byte, rest.number(1)
    return byte


def components(around: bytes) -> list[Component]:
    """Those of the frame, each with the steps that are in force at its first scan."""
    tables, frame, steps = {}, b"", {}
    for marker, body in segments(around):
        if marker == DQT:
            tables |= quantisation(Bytes(body))
        elif marker in FRAMES:
            frame = body
        elif marker == SOS:
            for identifier in body[1 : 1 + 2 * body[0] : 2]:
                steps.setdefault(identifier, dict(tables))
    height, width = int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big")
    told = [(frame[at], frame[at + 1] >> 4, frame[at + 1] & 15, frame[at + 2]) for at in range(6, len(frame), 3)]
    down, across = -(-height // (8 * max(v for _, _, v, _ in told))), -(-width // (8 * max(h for _, h, _, _ in told)))
    return [Component(down * v, across * h, steps[identifier][table]) for identifier, h, v, table in told]


def quantisation(rest: Bytes) -> dict[int, list[int]]:
    """By table the steps of k = 0 .. 63."""
    found = {}
    while rest.data:
        about = rest.number(1)
        size, steps = 1 + (about >> 4), [0] * 64
        for k in ZIGZAG:
            steps[k] = int.from_bytes(rest.take(size), "big")
        found[about & 15] = steps
    return found
