"""RLE4 and RLE8 of BMP files: packets of pixels that are alike or not, an end after each row, one after the picture.

Pixels of RLE4 that are alike are two values in turn. Packets that leave pixels out are refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from codec.errors import DamagedFile, UnreadableImage, UnsupportedImage
from codec.images import packets
from codec.images.packets import Exceptions, Packets, Rule, Words
from codec.images.pieces import spread

_NEVER = 1 << 30
# For 8 bits. Pixels that are not alike have packets of three and more; others are packets of pixels that are alike.
RULES8 = tuple(
    Rule(start, stop, most, shortest=3)
    for most in (255, 254)
    for start, stop in ((1, 1), (2, 2), (2, 3), (3, 3), (2, 4), (3, 4), (4, 4), (_NEVER, _NEVER))
)
# For 4 bits, with one value alike, and with two in turn.
RULES4 = RULES8 + tuple(
    Rule(start, stop, most, shortest=3, period=2)
    for most in (255, 254)
    for start, stop in ((1, 1), (3, 3), (3, 4), (4, 4), (4, 5), (5, 5), (6, 6))
)
_ROW_END, _PICTURE_END, _MOVE = range(3)
_TOGETHER = 1 << 17  # pixels whose packets are read together
_ENDINGS = (b"\0\0\0\1", b"\0\1", b"\0\0", b"")  # what follows the last packet


def rules(bits: int) -> tuple[Rule, ...]:
    """The rules for pixels of 4 or 8 bits."""
    return RULES8 if bits == 8 else RULES4


class Stream:
    """The packets of a file, from byte `at` on. After all of them have been taken, `end` is the place after the end of
    the picture, and `ending` the number of what ends it: both ends, that of the picture alone, of the row alone, none.
    """

    def __init__(self, data: bytes, at: int, size: tuple[int, int], bits: int) -> None:
        self._data, self._size, self._bits = data, size, bits
        self.end, self.ending = at, 0

    def packets(self) -> Iterator[tuple[Packets, np.ndarray]]:
        """The packets, some at a time, and where each begins, [N] int64. Raises UnreadableImage for damage, and
        UnsupportedImage for pixels that are left out.
        """
        total, at = self._size[0] * self._size[1], 0
        while at < total:
            some, places = self._some(at, min(at + _TOGETHER, total))
            at = int(some.first[-1] + some.count[-1])
            yield some, places
        following = self._data[self.end : self.end + 4]
        self.ending = next(index for index, ending in enumerate(_ENDINGS) if following.startswith(ending))
        self.end += len(_ENDINGS[self.ending])

    def _some(self, at: int, until: int) -> tuple[Packets, np.ndarray]:
        """The packets from pixel `at` to one that ends at or after `until`, as `packets` gives them."""
        data, bits, end, place, width = self._data, self._bits, len(self._data), self.end, self._size[1]
        total, row_end = self._size[0] * width, (at // width + 1) * width
        first, places = at, []
        while at < until:
            if place + 2 > end:
                raise UnreadableImage(f"the file ends after {end} bytes, before its last pixel: get it again")
            count, code = data[place], data[place + 1]
            places.append(place)
            place += 2
            if not count:
                if code <= _MOVE:
                    self._leaves_out(code)
                count = code
                place += (code * bits + 15) // 16 * 2
            at += count
            if at > row_end:
                raise UnreadableImage(f"the packet before byte {place} goes past its row's end: get the file again")
            if at == row_end and at < total:
                if data[place : place + 2] != _ENDINGS[2]:
                    raise UnreadableImage(f"no end of a row at byte {place}: get the file again")
                place, row_end = place + 2, row_end + width
        if place > end:
            raise UnreadableImage(f"the file ends after {end} bytes, in a packet: get it again")
        self.end = place
        found, stream = np.array(places), np.frombuffer(data, np.uint8)
        alike = stream[found] > 0
        counts = np.where(alike, stream[found], stream[found + 1]).astype(np.int64)
        return Packets(first + np.cumsum(counts) - counts, counts, alike), found

    def _leaves_out(self, code: int) -> None:
        what = {_ROW_END: "rows that end early", _PICTURE_END: "an early end", _MOVE: "moves over pixels"}[code]
        raise UnsupportedImage(f"a bitmap in packets with {what} is not read: save it in full")


def read(data: bytes, at: int, values: np.ndarray, bits: int) -> Stream:
    """Fill values, [H, W, 1], from packets at byte `at`; gives the stream that was read. Raises as its packets do."""
    height, width, _ = values.shape
    found, bytes_, row = Stream(data, at, (height, width), bits), np.frombuffer(data, np.uint8), 0
    rows, pending = values[::-1, :, 0], np.empty(0, np.uint8)
    for some, places in found.packets():
        owner, within = spread(some.count)
        source = places[owner] + np.where(some.alike[owner], 1, 2 + within * bits // 8)
        pixels = bytes_[source]
        if bits == 4:
            pixels = np.where(within % 2, pixels & 15, pixels >> 4)
        pending = np.concatenate([pending, pixels])
        whole = len(pending) // width
        rows[row : row + whole] = pending[: whole * width].reshape(whole, width)
        pending, row = pending[whole * width :], row + whole
    return found


def words_of(values: np.ndarray) -> Words:
    """Pixels of values, [H, W, 1], by their places in the file's order."""
    rows, width = values[::-1, :, 0], values.shape[1]

    def words(first: int, last: int) -> np.ndarray:
        top = first // width
        return rows[top : -(-last // width)].reshape(-1)[first - top * width : last - top * width]

    return words


@dataclass(frozen=True)
class Packing:
    """What gives a file's packets: a rule by its number and where the file does otherwise, the ending's number, and
    whether a single pixel of four bits, written as one of pixels that are alike, is followed by 0, not by itself.
    """

    rule: int
    exceptions: Exceptions
    ending: int
    then_zero: bool


def pieces(values: np.ndarray, bits: int, packing: Packing) -> Iterator[bytes]:
    """The packets of values, [H, W, 1]. Raises DamagedFile where the packing does not fit."""
    words, width = words_of(values), values.shape[1]
    for some in packets.divide(words, values.shape[:2], rules(bits)[packing.rule], packing.exceptions):
        if (some.first % width + some.count > width).any() or (~some.alike & (some.count < 3)).any():
            raise DamagedFile("packets of pixels do not fit the rows: get the file again")
        base, last = int(some.first[0]), int(some.first[-1] + some.count[-1])
        yield _packed(some, words(base, last), bits, packing.then_zero, width, values.shape[0] * width)
    yield _ENDINGS[packing.ending]


def _packed(some: Packets, pixels: np.ndarray, bits: int, then_zero: bool, width: int, total: int) -> bytes:
    """Packets of pixels with the ends of rows, but for the last one of the picture."""
    ends = some.first + some.count
    literal = np.where(some.alike, 0, (some.count * bits + 15) // 16 * 2)
    sizes = 2 + literal + 2 * ((ends % width == 0) & (ends < total))
    places = np.cumsum(sizes) - sizes
    piece = np.zeros(int(sizes.sum()), np.uint8)
    alike, local = some.alike, some.first - some.first[0]
    piece[places] = np.where(alike, some.count, 0)
    first = pixels[local]
    if bits == 4:
        single = 0 if then_zero else first
        second = np.where(some.count > 1, pixels[np.minimum(local + 1, pixels.size - 1)], single)
        first = first << 4 | second & 15
    piece[places + 1] = np.where(alike, first, some.count)
    owner, within = spread(np.where(alike, 0, some.count))
    source, target = pixels[local[owner] + within], places[owner] + 2 + within * bits // 8
    if bits == 8:
        piece[target] = source
    else:
        odd = within % 2 == 1
        piece[target[~odd]] = source[~odd] << 4
        piece[target[odd]] |= source[odd] & 15
    return piece.tobytes()
