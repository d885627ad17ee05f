"""The zlib stream of a PNG: inflated with bounds, and packed again as its encoder did, if that was zlib or none.

An encoder is known by zlib's parameters. What they make does not depend on the pieces that zlib is given, and is the
same for most of zlib's versions, but not for its relatives (zlib-ng, libdeflate, zopfli). RFC 1950, RFC 1951.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from codec.errors import DamagedFile, UnreadableImage
from codec.images.png.chunks import ImageData
from codec.images.png.pieces import Pieces, Split, found_split
from codec.images.png.symbols import FIXED, STORED, Block, first_block

MOST_RATIO = 1032  # bytes that a byte of deflate's makes, at most

_INPUT = 2**16  # bytes that are inflated, or deflated on trial, at a time
_ENOUGH = 2**16  # bytes that have to be the same before a trial is worth a whole file
_START = 2**23  # bytes of scanlines that are kept for trials
_LEVELS = ((1,), (5, 4, 3, 2), (6,), (9, 8, 7))  # zlib's that go by the two bits of a header, the likeliest first
_MEMORIES = (8, 9)
_WINDOW = 15  # log2 of zlib's largest
_LOOKAHEAD = 262  # bytes by which matches are nearer than a window
_STORED_MOST = 65535  # bytes in a stored block
_BLOCK = 2**18  # bytes: no block of zlib's is larger
_LAZY = 4  # the level from which on zlib looks at the strategy "filtered",
_UNFILTERED = 5  # which has no matches of so few bytes


@dataclass(frozen=True)
class Head:
    """A zlib stream's two bytes: the window as log2 - 8, and how much the encoder says it tried, 0 to 3."""

    window: int
    effort: int

    @property
    def coded(self) -> bytes:
        first, second = self.window << 4 | zlib.DEFLATED, self.effort << 6
        return bytes([first, second + 31 - (first << 8 | second) % 31])


@dataclass(frozen=True)
class Zlib:
    """Packed by zlib. level 1 to 9, strategy 0 to 4, memory 8 or 9, window 9 to 15, as deflateInit2 takes them."""

    head: Head
    level: int
    strategy: int
    memory: int
    window: int

    def pack(self, lines: Iterable[bytes], *, finish: bool = True) -> Iterator[bytes]:
        """The stream of all lines; without finish what zlib gives before it knows that there are no more."""
        packer = zlib.compressobj(self.level, zlib.DEFLATED, self.window, self.memory, self.strategy)
        pieces = filter(None, chain(map(packer.compress, lines), map(packer.flush, [zlib.Z_FINISH] if finish else [])))
        first = next(pieces)  # zlib gives the two bytes of the head at once
        yield self.head.coded + first[2:]  # libpng's are others than zlib's
        yield from pieces


@dataclass(frozen=True)
class Stored:
    """Not packed, but in deflate's stored blocks, which split says."""

    head: Head
    split: Split

    def pack(self, lines: Iterator[bytes], size: int) -> Iterator[bytes]:
        """size is that of all lines. Raises DamagedFile where blocks cannot be as long or do not have this sum."""
        yield self.head.coded
        check, source, lengths = zlib.adler32(b""), Pieces(lines), self.split.lengths(size)
        length, done = next(lengths, None), 0
        while length is not None:
            if length > min(_STORED_MOST, size - done):
                raise DamagedFile(f"a stored block of {length} bytes cannot be here: get the file again")
            content = source.take(length)
            following = next(lengths, None)
            sizes = length.to_bytes(2, "little") + (length ^ _STORED_MOST).to_bytes(2, "little")
            yield bytes([following is None]) + sizes + content
            check, done, length = zlib.adler32(content, check), done + length, following
        if done != size:
            raise DamagedFile(f"stored blocks have {done} bytes of {size}: get the file again")
        yield check.to_bytes(4, "big")


class Inflated:
    """The bytes that a zlib stream makes, so many at a time, the first of which are kept for trials."""

    def __init__(self, image: ImageData) -> None:
        self._input = image.pieces(_INPUT)
        self._left = b""
        self._inflate = zlib.decompressobj()
        self.start = bytearray()

    def take(self, length: int) -> bytes:
        """The next bytes. Raises UnreadableImage where there are not as many or the stream is damaged."""
        parts, left = [], length
        while left:
            part = self._next(left)
            if not part:
                raise UnreadableImage(f"image data ends {left} bytes too early: get the picture again")
            parts.append(part)
            left -= len(part)
        taken = b"".join(parts)
        if len(self.start) < _START:
            self.start += taken[: _START - len(self.start)]
        return taken

    def end(self) -> None:
        """Raises UnreadableImage where this is not the end of the image data, or its check sum is wrong."""
        if self._next(1) or self._left or next(self._input, None) is not None:
            raise UnreadableImage("there is more image data than the picture has pixels: get the picture again")

    def _next(self, most: int) -> bytes:
        """Some of the next bytes; none at the end. `_left` is what has been fed and not been used."""
        while not self._inflate.eof:
            if not self._left:
                self._left = next(self._input, b"")
            ended = not self._left
            try:
                part = self._inflate.decompress(self._left, most)
            except zlib.error as error:
                raise UnreadableImage(f"image data is damaged ({error}): get the picture again") from error
            self._left = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
            if part:
                return part
            if ended and not self._inflate.eof:
                raise UnreadableImage("image data is cut off: get the picture again")
        return b""


def head(image: ImageData) -> Head:
    """Of a zlib stream that has been inflated."""
    first, second = image.take(0, 2)
    return Head(first >> 4, second >> 6)


def stored(image: ImageData, size: int) -> Stored | None:
    """The stored blocks of a stream that has nothing else; size is that of all scanlines."""
    lengths, at, left = array("Q"), 2, size
    while True:
        block = image.take(at, 5)
        length = int.from_bytes(block[1:3], "little")
        if len(block) < 5 or block[0] > 1 or length > left:
            return None
        lengths.append(length)
        at, left = at + 5 + length, left - length
        if block[0]:
            return Stored(head(image), found_split(lengths))


def likely(image: ImageData, start: bytes, size: int, filtered: bool) -> Iterator[Zlib]:
    """Parameters of zlib that make the first bytes of image, the likeliest first.

    start is the beginning of the scanlines, whose size in all is given; filtered is whether any has a filter.
    """
    block = first_block(image.take(2, _BLOCK))
    for way in _parameters(head(image), block, size, filtered):
        if _agrees(way, image, start, len(start) == size):
            yield way


def _parameters(of: Head, block: Block, size: int, filtered: bool) -> Iterator[Zlib]:
    """Those that would write such a head and block."""
    window = max(9, 8 + of.window)  # the smallest that zlib takes
    # libpng may say a smaller window than it has used, which makes no difference where all fits in.
    windows = [window] if window == _WINDOW or size + _LOOKAHEAD <= 1 << window else [_WINDOW, window]
    for window in windows:
        for level, strategy in _settings(of.effort, block, filtered):
            for memory in _memories(block):
                yield Zlib(of, level, strategy, memory, window)


def _memories(block: Block) -> list[int]:
    """zlib ends a block when so many symbols have come; the last one has as many as there are."""
    full = [memory for memory in _MEMORIES if block.symbols == (1 << memory + 6) - 1]
    fitting = [memory for memory in _MEMORIES if block.symbols < 1 << memory + 6]
    return full if not block.last and block.type != STORED else fitting


def _settings(effort: int, block: Block, filtered: bool) -> list[tuple[int, int]]:
    """Levels and strategies."""
    if block.type != STORED and 0 < block.shortest <= _UNFILTERED:
        strategies = [zlib.Z_DEFAULT_STRATEGY]
    else:
        strategies = [zlib.Z_FILTERED, zlib.Z_DEFAULT_STRATEGY]
    if not filtered:
        strategies.reverse()
    settings = [
        (level, strategy)
        for level in _LEVELS[effort]
        for strategy in (strategies if level >= _LAZY else [zlib.Z_DEFAULT_STRATEGY])
    ]
    if effort == 0:  # what zlib says also for these strategies, of which the first two know no level
        settings += [(1, zlib.Z_RLE)] if block.runs else []
        settings += [(1, zlib.Z_HUFFMAN_ONLY)] if block.shortest == 0 else []
        settings += [(level, zlib.Z_FIXED) for level in range(9, 0, -1) if block.type == FIXED]
    return settings


def _agrees(way: Zlib, image: ImageData, start: bytes, whole: bool) -> bool:
    """Whether it makes as much of the image's bytes as is worth a trial; whole is whether start is all of it."""
    at, lines = 0, (start[here : here + _INPUT] for here in range(0, len(start), _INPUT))
    for piece in way.pack(lines, finish=whole):
        if piece != image.take(at, len(piece)):
            return False
        at += len(piece)
        if at >= _ENOUGH and not whole:
            return True
    return not whole or at == image.size
