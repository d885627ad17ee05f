"""What the first block of a deflate stream tells of its encoder: how many symbols it took, of what kind. RFC 1951."""

from __future__ import annotations

from dataclasses import dataclass

STORED, FIXED, DYNAMIC = range(3)  # types of blocks
MOST_SYMBOLS = 2**15  # that are read

_MOST_BITS = 15  # in a code
_REFILL = 6  # bytes: enough for the longest match
_END = 256  # the symbol that ends a block; literals are below, matches above
_LENGTH_BITS = (0,) * 8 + tuple(bits for bits in range(1, 6) for _ in range(4)) + (0,)
_DISTANCE_BITS = (0,) * 2 + tuple(bits for bits in range(14) for _ in range(2))
_SHORT_LENGTHS = 8  # symbols of matches that have a symbol each, from three bytes on
_ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)  # of the code lengths' code
_REPEATS = {16: (3, 2), 17: (3, 3), 18: (11, 7)}  # code lengths again: how often at least, and bits that add to it
_FIXED_CODES = [8] * 144 + [9] * 112 + [7] * 24 + [8] * 8, [5] * 30


@dataclass(frozen=True)
class Block:
    """type: of the block. last: whether none follows. symbols: literals and matches, MOST_SYMBOLS if there are more.

    shortest: bytes of the shortest match, up to 10, or 0 without matches. runs: whether every match is at distance 1.
    The last three say nothing of a stored block.
    """

    type: int
    last: bool
    symbols: int = 0
    shortest: int = 0
    runs: bool = False


class _Bits:
    """Takes bits from bytes, of which there are enough, the lowest of a byte first."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at, self._bits, self._count = 0, 0, 0

    def take(self, count: int) -> int:
        self._refill()
        taken = self._bits & (1 << count) - 1
        self._bits >>= count
        self._count -= count
        return taken

    def symbol(self, table: list[int]) -> int:
        """The next symbol of the code that a table is of."""
        self._refill()
        entry = table[self._bits & (1 << _MOST_BITS) - 1]
        self._bits >>= entry & 15
        self._count -= entry & 15
        return entry >> 4

    def _refill(self) -> None:
        if self._count < _MOST_BITS:
            self._bits |= int.from_bytes(self._data[self._at : self._at + _REFILL], "little") << self._count
            self._at += _REFILL
            self._count += 8 * _REFILL


def _table(lengths: list[int]) -> list[int]:
    """For the next 15 bits a symbol * 16 + the length of its code, given all codes' lengths."""
    table, code = [0] * (1 << _MOST_BITS), 0
    for bits in range(1, _MOST_BITS + 1):
        code <<= 1
        for symbol in (symbol for symbol, length in enumerate(lengths) if length == bits):
            first = int(f"{code:0{bits}b}"[::-1], 2)
            table[first :: 1 << bits] = [symbol << 4 | bits] * (1 << _MOST_BITS - bits)
            code += 1
    return table


def _dynamic_codes(bits: _Bits) -> tuple[list[int], list[int]]:
    """Lengths of the codes of literals and matches, and of distances."""
    literals, distances, given = 257 + bits.take(5), 1 + bits.take(5), 4 + bits.take(4)
    coding = [0] * len(_ORDER)
    for symbol in _ORDER[:given]:
        coding[symbol] = bits.take(3)
    table, lengths = _table(coding), list[int]()
    while len(lengths) < literals + distances:
        symbol = bits.symbol(table)
        if symbol in _REPEATS:
            least, more = _REPEATS[symbol]
            lengths += [lengths[-1] if symbol == 16 else 0] * (least + bits.take(more))
        else:
            lengths.append(symbol)
    return lengths[:literals], lengths[literals:]


def first_block(data: bytes) -> Block:
    """The first block of a valid stream, of which data is the beginning, 2**18 bytes or all."""
    bits = _Bits(data)
    last, kind = bool(bits.take(1)), bits.take(2)
    if kind == STORED:
        return Block(kind, last)
    literals, distances = map(_table, _FIXED_CODES if kind == FIXED else _dynamic_codes(bits))
    count, least, farthest = 0, len(_LENGTH_BITS), 0
    while (symbol := bits.symbol(literals)) != _END and count < MOST_SYMBOLS:
        count += 1
        if symbol > _END:
            length = symbol - _END - 1
            bits.take(_LENGTH_BITS[length])
            distance = bits.symbol(distances)
            bits.take(_DISTANCE_BITS[distance])
            least, farthest = min(least, length), max(farthest, distance)
    shortest = 0 if least == len(_LENGTH_BITS) else 3 + min(least, _SHORT_LENGTHS - 1)
    return Block(kind, last, count, shortest, farthest == 0)
