"""What stands between a JPEG's scans: markers, tables, frame and scan headers.

A file is taken apart into its entropy-coded scans and the pieces of bytes around them. The pieces say everything but
the coefficients, and are kept as they are. (ITU-T T.81, annex B.)
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

ZIGZAG = np.array(
    [0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21]
    + [28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61]
    + [54, 47, 55, 62, 63]
)  # the place in rows of eight, by the place in a file

_SOI, _EOI, _SOS, _DQT, _DHT, _DRI, _DNL = 0xD8, 0xD9, 0xDA, 0xDB, 0xC4, 0xDD, 0xDC
_BASELINE, _EXTENDED, _PROGRESSIVE = 0xC0, 0xC1, 0xC2
_ARITHMETIC = (0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)
_FRAMES = tuple(code for code in range(0xC0, 0xD0) if code not in (_DHT, 0xC8, 0xCC))
_BARE = (0x01, *range(0xD0, 0xD8), _SOI, _EOI)  # markers without a length
_MOST_COMPONENTS, _MOST_BLOCKS_OF_MCU, _TABLES = 4, 10, 4


class OddJpeg(Exception):
    """A file that this package does not take apart; the message says why. Such a file can be kept as it is."""


class ArithmeticJpeg(OddJpeg):
    """A file whose scans are coded arithmetically."""


@dataclass(frozen=True)
class Component:
    """A plane of a frame. Blocks are those of its samples; `stride` x `rows` of them those that whole MCUs hold."""

    identifier: int
    horizontal: int  # sampling factors
    vertical: int
    table: int  # of its quantisation
    width: int  # in blocks
    height: int
    stride: int
    rows: int

    @property
    def blocks(self) -> int:
        return self.stride * self.rows


@dataclass(frozen=True)
class Frame:
    """Size of the picture in pixels, and its planes."""

    width: int
    height: int
    progressive: bool
    components: tuple[Component, ...]
    mcus: tuple[int, int]  # columns and rows of MCUs

    @property
    def sampling(self) -> tuple[int, int]:
        """The greatest factors, across and down."""
        return max(c.horizontal for c in self.components), max(c.vertical for c in self.components)


@dataclass(frozen=True)
class Scan:
    """A scan's header, with the frame and the tables in force: which components, and which of their coefficients.

    low, high: first and last coefficient in zigzag order. before, shift: bits left to earlier and to later scans.
    """

    frame: Frame
    components: tuple[int, ...]
    dc: tuple[bytes, ...]  # Huffman tables of each, as files have them: 16 counts, then symbols; empty for none
    ac: tuple[bytes, ...]
    low: int
    high: int
    before: int
    shift: int
    interval: int  # MCUs between restarts, 0 for none


@dataclass
class Reader:
    """Goes through the pieces of a file. quantisation: steps in zigzag order, by table."""

    frame: Frame | None = None
    quantisation: dict[int, tuple[int, ...]] = field(default_factory=dict)
    in_use: dict[int, tuple[int, ...]] = field(default_factory=dict)  # steps of each component, by its place
    _huffman: dict[int, bytes] = field(default_factory=dict)
    _interval: int = 0

    def start(self, data: bytes) -> int:
        """Where segments begin. Raises OddJpeg if this is no JPEG."""
        if data[:2] != bytes([0xFF, _SOI]):
            raise OddJpeg("it does not begin as a JPEG does")
        return 2

    def next_scan(self, data: bytes, at: int) -> tuple[Scan | None, int]:
        """The next scan's header from some place on, and where its data begin; None and the place behind EOI for the
        end. Raises OddJpeg."""
        while True:
            code, at = _marker(data, at)
            if code == _EOI:
                return None, at
            if code in _BARE:
                if code == _SOI:
                    raise OddJpeg("a picture begins within another")
                continue
            length = int.from_bytes(data[at : at + 2], "big")
            body, at = data[at + 2 : at + length], at + length
            if length < 2 or at > len(data):
                raise OddJpeg("a segment is cut off")
            if code == _SOS:
                return self._scan(body), at
            self._take(code, body)

    def _take(self, code: int, body: bytes) -> None:
        if code == _DQT:
            self._take_quantisation(body)
        elif code == _DHT:
            self._take_huffman(body)
        elif code == _DRI:
            if len(body) != 2:
                raise OddJpeg("its restart interval has another length")
            self._interval = int.from_bytes(body, "big")
        elif code in _ARITHMETIC:
            raise ArithmeticJpeg("its coefficients are coded arithmetically")
        elif code in (_BASELINE, _EXTENDED, _PROGRESSIVE):
            if self.frame is not None:
                raise OddJpeg("it has several frames")
            self.frame = _frame(body, code == _PROGRESSIVE)
        elif code in _FRAMES or code == _DNL:
            raise OddJpeg(f"it has a marker {code:02X}")

    def _take_quantisation(self, body: bytes) -> None:
        at = 0
        while at < len(body):
            wide, number = divmod(body[at], 16)
            size = 64 * (1 + (wide > 0))
            told = body[at + 1 : at + 1 + size]
            if wide > 1 or number >= _TABLES or len(told) != size:
                raise OddJpeg("a quantisation table is not as it should be")
            self.quantisation[number] = tuple(np.frombuffer(told, ">u2" if wide else "u1").tolist())
            at += 1 + size

    def _take_huffman(self, body: bytes) -> None:
        at = 0
        while at < len(body):
            number, counts = body[at], body[at + 1 : at + 17]
            symbols = body[at + 17 : at + 17 + sum(counts)]
            if number & 0xEF >= _TABLES or len(counts) < 16 or len(symbols) < sum(counts) or sum(counts) > 256:
                raise OddJpeg("a Huffman table is not as it should be")
            if sum(count << (16 - length) for length, count in enumerate(counts, 1)) > 1 << 16:
                raise OddJpeg("a Huffman table has more codes than there are")
            self._huffman[number] = counts + symbols
            at += 17 + sum(counts)

    def _scan(self, body: bytes) -> Scan:
        frame, count = self.frame, body[0] if body else 0
        if frame is None or not 1 <= count <= _MOST_COMPONENTS or len(body) != 4 + 2 * count:
            raise OddJpeg("a scan's header is not as it should be")
        low, high, bits = body[-3:]
        before, shift = divmod(bits, 16)
        if frame.progressive:
            whole = high == 0 if low == 0 else low <= high < 64 and count == 1
            if not whole or shift > 13 or before not in (0, shift + 1):
                raise OddJpeg("a progressive scan has other bounds than there are")
        elif (low, high, before, shift) != (0, 63, 0, 0):
            raise OddJpeg("a scan of a sequential file has bounds")
        places = {component.identifier: place for place, component in enumerate(frame.components)}
        chosen, dc, ac = [], [], []
        for identifier, tables in zip(body[1:-3:2], body[2:-3:2]):
            if identifier not in places:
                raise OddJpeg("a scan has a component that the frame has not")
            place = places[identifier]
            chosen.append(place)
            dc.append(self._table(tables >> 4, low == 0 and not before))
            ac.append(self._table(16 + tables % 16, high > 0))
            step = self.quantisation.get(frame.components[place].table)
            if step is None or self.in_use.setdefault(place, step) != step:
                raise OddJpeg("a component has no quantisation table, or two of them")
        if sorted(set(chosen)) != chosen:
            raise OddJpeg("a scan's components are in another order than the frame's")
        blocks = sum(frame.components[place].horizontal * frame.components[place].vertical for place in chosen)
        if count > 1 and blocks > _MOST_BLOCKS_OF_MCU:
            raise OddJpeg("an MCU has more blocks than there may be")
        return Scan(frame, tuple(chosen), tuple(dc), tuple(ac), low, high, before, shift, self._interval)

    def _table(self, number: int, used: bool) -> bytes:
        if not used:
            return b""
        if number not in self._huffman:
            raise OddJpeg("a scan has no Huffman table")
        return self._huffman[number]


def _marker(data: bytes, at: int) -> tuple[int, int]:
    """The next marker from some place on, whatever stands before it, and the place behind it."""
    while True:
        at = data.find(b"\xff", at)
        if at < 0 or at + 1 >= len(data):
            raise OddJpeg("it has no end")
        if data[at + 1] not in (0x00, 0xFF):
            return data[at + 1], at + 2
        at += 1


def _frame(body: bytes, progressive: bool) -> Frame:
    count = body[5] if len(body) > 5 else 0
    if not 1 <= count <= _MOST_COMPONENTS or len(body) != 6 + 3 * count:
        raise OddJpeg("its frame's header is not as it should be")
    if body[0] != 8:
        raise OddJpeg(f"its samples have {body[0]} bits")
    height, width = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
    if not height or not width:
        raise OddJpeg("its frame says no size")
    told = [(body[at], body[at + 1] >> 4, body[at + 1] & 15, body[at + 2]) for at in range(6, len(body), 3)]
    odd = any(not 1 <= h <= 4 or not 1 <= v <= 4 or q >= _TABLES for _, h, v, q in told)
    if odd or len({identifier for identifier, *_ in told}) < count:
        raise OddJpeg("its components are not as they should be")
    return frame(width, height, told, progressive)


def frame(width: int, height: int, told: list[tuple[int, int, int, int]], progressive: bool = False) -> Frame:
    """That of a size and of components: identifier, sampling factors across and down, quantisation table."""
    across, down = max(h for _, h, _, _ in told), max(v for _, _, v, _ in told)
    mcus = -(-width // (8 * across)), -(-height // (8 * down))
    components = tuple(
        Component(i, h, v, q, -(-width * h // (8 * across)), -(-height * v // (8 * down)), mcus[0] * h, mcus[1] * v)
        for i, h, v, q in told
    )
    return Frame(width, height, progressive, components, mcus)
