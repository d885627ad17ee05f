"""Blocks compressed and decompressed in pieces, so that no block needs memory for all of it.

A decoder gives the next n bytes by `read(n)`, and by `finish()` how many bytes of its data it took; both raise
UnreadableImage. An encoder takes whole rows by `feed(rows)` and gives the bytes that are ready; `finish()` gives the
last ones. What an encoder did is told by its `Packing`, so that the same bytes can be made again.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from codec.errors import DamagedFile, UnreadableImage, UnsupportedImage
from codec.format.numbers import Reader, varint
from codec.images.tiff import tags
from codec.images.tiff.holes import Buffer

_FED = 1 << 16  # bytes that deflate is given at a time
_WHOLE = 1 << 24  # bytes of a block that may be held in memory to be packed at once
_TIMES = {tags.LZW: 4096, tags.DEFLATE: 1100, tags.OLD_DEFLATE: 1100, tags.PACKBITS: 128}  # at most, bytes out of one


class Decoder(Protocol):
    def read(self, size: int) -> Buffer: ...

    def finish(self) -> int: ...


class Encoder(Protocol):
    def feed(self, rows: np.ndarray) -> bytes: ...

    def finish(self) -> bytes: ...


@dataclass(frozen=True)
class Packing:
    """How an encoder works. numbers: none without compression; LZW: its Habits; PackBits: the rule and 1 if a packet

    may not go from a row to the next; deflate: level, memory level, strategy and window bits, as zlib has them.
    """

    compression: int
    numbers: tuple[int, ...] = ()

    def to_bytes(self) -> bytes:
        return b"".join(varint(number) for number in self.numbers)


def read_packing(rest: Reader, compression: int) -> Packing:
    """The packing that `to_bytes` wrote. Raises DamagedFile for numbers that no encoder has."""
    ranges = _RANGES[compression]
    packing = Packing(compression, tuple(rest.varint() for _ in ranges))
    if any(number not in known for number, known in zip(packing.numbers, ranges)):
        raise DamagedFile(f"numbers {packing.numbers} of a compression do not exist: get the file again")
    return packing


def likely(compression: int, start: bytes, size: int) -> list[Packing]:
    """The packings to try for a block of so many samples' bytes that starts with these two, the commonest first."""
    if compression == tags.LZW:
        habits = [(1, 4094, 1), (1, 4094, 0)]
        habits += [(0, most, closes) for most in (4094, 4095, 4096, 4093) for closes in (1, 0)]
        return [Packing(compression, numbers) for numbers in habits]
    if compression == tags.PACKBITS:
        across = (1, 0) if size <= _WHOLE else (1,)
        return [Packing(compression, (rule, by_row)) for by_row in across for rule in range(3)]
    if compression in (tags.DEFLATE, tags.OLD_DEFLATE) and len(start) == 2:
        levels = ((1, 0), (5, 4, 3, 2), (6,), (9, 8, 7))[start[1] >> 6]
        window = max(9, min(15, (start[0] >> 4) + 8))
        ways = [(memory, strategy) for strategy in (0, 1) for memory in (8, 9)]
        numbers = [(level, memory, strategy, window) for memory, strategy in ways for level in levels]
        return [Packing(compression, found) for found in numbers]
    return [Packing(compression)] if compression == tags.NONE else []


def own(compression: int) -> Packing:
    """The packing for blocks whose own is not known."""
    numbers = {tags.NONE: (), tags.LZW: (1, 4094, 1), tags.PACKBITS: (0, 1)}
    return Packing(compression, numbers.get(compression, (6, 8, 0, 15)))


def check_size(compression: int, stored: int, size: int) -> None:
    """Raises UnreadableImage where so many stored bytes cannot be that many samples, before any is read."""
    if size > stored * _TIMES.get(compression, 1):
        raise UnreadableImage(f"has {stored} bytes where {size} bytes of samples are stored: get the file again")


def decoder(compression: int, data: Buffer) -> Decoder:
    if compression == tags.NONE:
        return _Stored(data)
    if compression in (tags.DEFLATE, tags.OLD_DEFLATE):
        return _Inflate(data)
    return _Strings(data) if compression == tags.LZW else _Runs(data)


def encoder(packing: Packing) -> Encoder:
    if packing.compression == tags.NONE:
        return _Store()
    if packing.compression in (tags.DEFLATE, tags.OLD_DEFLATE):
        return _Deflate(*packing.numbers)
    return (_Lzw if packing.compression == tags.LZW else _PackBits)(packing.numbers)


def _too_short(missing: int) -> UnreadableImage:
    return UnreadableImage(f"has a strip or tile that ends {missing} bytes early: get the file again")


def _too_long() -> UnsupportedImage:
    return UnsupportedImage("a compressed strip or tile with more bytes than its rows need is not read: write it anew")


class _Stored:
    def __init__(self, data: Buffer) -> None:
        self._data, self._at = data, 0

    def read(self, size: int) -> Buffer:
        if self._at + size > len(self._data):
            raise _too_short(self._at + size - len(self._data))
        self._at += size
        return self._data[self._at - size : self._at]

    def finish(self) -> int:
        return self._at


class _Inflate:
    def __init__(self, data: Buffer) -> None:
        self._data, self._at = data, 0
        self._inflate = zlib.decompressobj()

    def read(self, size: int) -> Buffer:
        found, missing = [], size
        while missing:
            found.append(self._next(missing))
            missing -= len(found[-1])
        return found[0] if len(found) == 1 else b"".join(found)

    def _next(self, most: int) -> bytes:
        """From 1 to `most` bytes."""
        while True:
            fed: Buffer = self._inflate.unconsumed_tail
            if not fed:
                fed = self._data[self._at : self._at + _FED]
                self._at += len(fed)
            try:
                found = self._inflate.decompress(fed, most)
            except zlib.error as error:
                raise UnreadableImage(f"has a strip or tile that does not inflate ({error}): get it again") from error
            if found:
                return found
            if self._inflate.eof or (self._at == len(self._data) and not self._inflate.unconsumed_tail):
                raise _too_short(most)

    def finish(self) -> int:
        try:
            self._next(1)
        except UnreadableImage:
            if not self._inflate.eof:
                raise
            return self._at - len(self._inflate.unused_data)
        raise _too_long()


class _Overhanging:
    """A decoder whose steps write a little more than asked for, which is kept for the next time."""

    _OVER = 0

    def __init__(self, data: Buffer) -> None:
        self._source = np.frombuffer(data, np.uint8)
        self._over = np.zeros(0, np.uint8)

    def read(self, size: int) -> Buffer:
        out = np.empty(size + self._OVER, np.uint8)
        before = min(len(self._over), size)
        out[:before] = self._over[:before]
        if before < len(self._over):
            self._over = self._over[before:]
            return out[:size].data
        filled = self._step(out, before, size)
        if filled < size:
            raise _too_short(size - filled)
        self._over = out[size:filled].copy()
        return out[:size].data

    def _step(self, out: np.ndarray, filled: int, wanted: int) -> int:
        raise NotImplementedError


class _Strings(_Overhanging):
    """LZW."""

    _OVER = 4096

    def __init__(self, data: Buffer) -> None:
        from codec.images.tiff import lzw  # numba takes a while to load: only for those who need it

        super().__init__(data)
        if data[:1] == b"\0" and len(data) > 1 and data[1] & 1:
            raise UnsupportedImage("LZW with the lowest bit first, as before TIFF 5.0, is not read: write it anew")
        self._lzw, self._state = lzw, lzw.new_decoder()

    def _step(self, out: np.ndarray, filled: int, wanted: int) -> int:
        filled = self._lzw.decode(self._source, self._state, out, filled, wanted)
        if self._lzw.fault(self._state) == self._lzw.NO_SUCH_CODE:
            raise UnreadableImage("has a strip or tile with an LZW code that is not yet: get the file again")
        return filled

    def finish(self) -> int:
        end = self._lzw.end(self._source, self._state)
        if end is None or len(self._over):
            raise _too_long()
        return end


class _Runs(_Overhanging):
    """PackBits."""

    _OVER = 128

    def __init__(self, data: Buffer) -> None:
        from codec.images.tiff import packbits  # as for LZW

        super().__init__(data)
        self._packbits, self._at = packbits, 0

    def _step(self, out: np.ndarray, filled: int, wanted: int) -> int:
        self._at, filled = self._packbits.decode(self._source, self._at, out, filled, wanted)
        return filled

    def finish(self) -> int:
        if len(self._over):
            raise _too_long()
        return self._at


class _Store:
    def feed(self, rows: np.ndarray) -> bytes:
        return rows.tobytes()

    def finish(self) -> bytes:
        return b""


class _Deflate:
    def __init__(self, level: int, memory: int, strategy: int, window: int) -> None:
        self._deflate = zlib.compressobj(level, zlib.DEFLATED, window, memory, strategy)

    def feed(self, rows: np.ndarray) -> bytes:
        return self._deflate.compress(np.ascontiguousarray(rows).data)

    def finish(self) -> bytes:
        return self._deflate.flush()


class _Lzw:
    def __init__(self, numbers: tuple[int, ...]) -> None:
        from codec.images.tiff import lzw

        self._lzw, self._habits, self._state = lzw, lzw.Habits(*numbers), lzw.new_encoder()

    def feed(self, rows: np.ndarray) -> bytes:
        data = np.ascontiguousarray(rows).reshape(-1)
        out = np.empty(2 * len(data) + 16, np.uint8)
        written = self._lzw.encode(data, self._state, self._habits.watches, self._habits.most, out)
        return out[:written].tobytes()

    def finish(self) -> bytes:
        return self._lzw.finish(self._state, self._habits)


class _PackBits:
    def __init__(self, numbers: tuple[int, ...]) -> None:
        from codec.images.tiff import packbits

        self._packbits, (self._rule, self._by_row) = packbits, numbers
        self._held: list[bytes] = []

    def feed(self, rows: np.ndarray) -> bytes:
        if self._by_row:
            return b"".join(self._pack(row) for row in np.ascontiguousarray(rows))
        self._held.append(rows.tobytes())
        return b""

    def finish(self) -> bytes:
        held = b"".join(self._held)
        return self._pack(np.frombuffer(held, np.uint8)) if held else b""

    def _pack(self, row: np.ndarray) -> bytes:
        out = np.empty(2 * len(row), np.uint8)
        if self._rule == self._packbits.LIBTIFF:
            return out[: self._packbits.encode_as_libtiff(row, out)].tobytes()
        return out[: self._packbits.encode(row, self._rule + 1, out)].tobytes()


_DEFLATE_RANGES = (range(10), range(1, 10), range(4), range(9, 16))
_RANGES: dict[int, tuple[range, ...]] = {
    tags.NONE: (),
    tags.LZW: (range(2), range(300, 4097), range(2)),
    tags.PACKBITS: (range(3), range(2)),
    tags.DEFLATE: _DEFLATE_RANGES,
    tags.OLD_DEFLATE: _DEFLATE_RANGES,
}
