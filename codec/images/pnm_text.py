"""Values written as text: read from it, and written again in the layouts that are usual.

A layout says which spaces stand between values and where lines end. What stands between the values of a usual file is
so found again; a file with comments among its values, or with spaces of another pattern, has no layout.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from codec.errors import DamagedFile, UnreadableImage
from codec.format.numbers import Reader, blob, varint

_CHUNK = 1 << 20  # bytes of text read together
_TOGETHER = 3 << 15  # values written together, of whole pixels
_SAMPLE = 1 << 16  # bytes that a layout is guessed from
_MOST_DIGITS, _MOST_SPACES, _MOST_FIELD = 9, 16, 16
_IS_SPACE = np.isin(np.arange(256), list(b" \t\n\v\f\r"))
_COMMENT = re.compile(rb"#[^\n\r]*")
_ZERO = ord("0")


def read(data: bytes, at: int, values: np.ndarray, most: int, single_digits: bool) -> tuple[int, list[bytes]]:
    """Fill values, [N], from the text at byte `at`; gives the place after the last of them and the comments before it.

    single_digits: whether values may stand side by side. Raises UnreadableImage for what is no number, or above most.
    """
    filled, comments = 0, []
    while filled < values.size:
        text = _cut(data, at, single_digits)
        if not text:
            raise UnreadableImage(f"the text ends after {filled} of {values.size} values: get the file again")
        found = [(match.start(), match.group()) for match in _COMMENT.finditer(text)]
        clean = _COMMENT.sub(lambda match: b" " * len(match.group()), text) if found else text
        numbers, ends = _numbers(clean, single_digits)
        taken = min(numbers.size, values.size - filled)
        filled += taken
        end = int(ends[taken - 1]) if filled == values.size else len(text)
        bytes_ = np.frombuffer(clean, np.uint8, end)
        strange = np.flatnonzero(~_IS_SPACE[bytes_] & (bytes_ - np.uint8(_ZERO) > 9))
        if strange.size:
            raise UnreadableImage(f"byte {at + int(strange[0])} belongs to no number: get the file again")
        if taken and int(numbers[:taken].max()) > most:
            raise UnreadableImage(f"a value of {numbers[:taken].max()}, above {most}: get the file again")
        values[filled - taken : filled] = numbers[:taken]
        comments += [comment for start, comment in found if start < end]
        at += end
    return at, comments


def _cut(data: bytes, at: int, single_digits: bool) -> bytes:
    """A piece of the text that ends with no part of a number or comment."""
    text = bytes(data[at : at + _CHUNK])
    if at + len(text) >= len(data) or (single_digits and b"#" not in text):
        return text
    if b"#" in text:
        end = max(text.rfind(b"\n"), text.rfind(b"\r"))
        if end < 0:
            following = data.find(b"\n", at + len(text))
            return bytes(data[at : following + 1]) if following >= 0 else bytes(data[at : len(data)])
    else:
        end = max(text.rfind(space) for space in (b" ", b"\n", b"\t", b"\r"))
    if end < 0:
        raise UnreadableImage(f"a number of over {_CHUNK} digits at byte {at}: get the file again")
    return text[: end + 1]


def _numbers(text: bytes, single_digits: bool) -> tuple[np.ndarray, np.ndarray]:
    """The numbers in a text, [N] int64, and the places after them."""
    digits = np.frombuffer(text, np.uint8) - np.uint8(_ZERO)
    is_digit = digits < 10
    if single_digits:
        places = np.flatnonzero(is_digit)
        return digits[places].astype(np.int64), places + 1
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_digit, [False]])))
    starts, ends = edges[::2], edges[1::2]
    lengths = ends - starts
    if starts.size and lengths.max() > _MOST_DIGITS:
        raise UnreadableImage(f"a number of {lengths.max()} digits: get the file again")
    numbers = digits[ends - 1].astype(np.int64)
    for place in range(1, int(lengths.max()) if starts.size else 0):
        here = np.flatnonzero(lengths > place)
        numbers[here] += digits[ends[here] - 1 - place].astype(np.int64) * 10**place
    return numbers, ends


@dataclass(frozen=True)
class Layout:
    """What stands between values. `between` stands after a value, `pixel` after a pixel's last, `line` after a line's
    last, `row` after a row's last, if rows begin on a line. A line ends after `limit` values or, if fills, before the
    value, or with whole_pixels the pixel, with which it would have more than limit characters; never, if limit is 0. A
    value has `field` characters at least: spaces before it or, if pads_after, after it.
    """

    between: bytes
    pixel: bytes
    line: bytes
    row: bytes
    starts_rows: bool
    fills: bool
    limit: int
    field: int = 0
    pads_after: bool = False
    whole_pixels: bool = False

    def written(self) -> bytes:
        """A byte of four flags, starts_rows, fills, pads_after and whole_pixels from the lowest, two varints, limit and
        field, and four blobs, the spaces in their order.
        """
        flags = self.starts_rows + 2 * self.fills + 4 * self.pads_after + 8 * self.whole_pixels
        spaces = (self.between, self.pixel, self.line, self.row)
        return bytes([flags]) + varint(self.limit) + varint(self.field) + b"".join(map(blob, spaces))


def read_layout(reader: Reader) -> Layout:
    """The layout that a rest goes on with. Raises DamagedFile."""
    flags, limit, field = reader.byte(), reader.varint(), reader.varint()
    spaces = [reader.blob() for _ in range(4)]
    if flags > 15 or field > _MOST_FIELD or max(map(len, spaces)) > _MOST_SPACES:
        raise DamagedFile("a layout of values in text does not exist: get the file again")
    between, pixel, line, row = spaces
    starts_rows, fills, pads_after, whole_pixels = (bool(flags >> place & 1) for place in range(4))
    return Layout(between, pixel, line, row, starts_rows, fills, limit, field, pads_after, whole_pixels)


def pieces(values: np.ndarray, shape: tuple[int, int], layout: Layout, most: int) -> Iterator[bytes]:
    """The text of values, [N]. shape: values of a row and of a pixel; most: the largest that there may be."""
    characters, is_used, lengths = _tables(layout, most)
    lines = _Lines(layout, *shape)
    for first in range(0, values.size, _TOGETHER):
        some = values[first : first + _TOGETHER]
        kinds = np.full(some.size, 1, np.int32)  # of the spaces before values
        kinds[-first % shape[1] :: shape[1]] = 2
        kinds[lines.begin(first, lengths, some)] = 3
        if layout.starts_rows:
            kinds[-first % shape[0] :: shape[0]] = 4
        kinds[0] = 0 if first == 0 else kinds[0]
        which = kinds * len(lengths) + some
        text = characters.take(which).view(np.uint8)[is_used.take(which).view(bool)].tobytes()
        # What pads the last value is among what follows.
        yield text.rstrip(b" ") if layout.pads_after and first + some.size == values.size else text


def _tables(layout: Layout, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of every kind of space with every value after it, kinds first: the characters as words of one length, [5 * V]
    void, and which of them are used; and how many characters every value alone has, [V] int64.
    """
    values = np.arange(most + 1)
    width = max(layout.field, len(str(most)))
    digits = values[:, None] // 10 ** np.arange(width - 1, -1, -1) % 10 + _ZERO
    counts = np.maximum(1, (values[:, None] >= 10 ** np.arange(width)).sum(axis=1))
    lengths = np.maximum(counts, layout.field)
    places = np.arange(width)
    if layout.pads_after:
        digits = np.take_along_axis(digits, np.minimum(places + width - counts[:, None], width - 1), axis=1)
        is_digit, is_used = places < counts[:, None], places < lengths[:, None]
    else:
        is_digit, is_used = places >= width - counts[:, None], places >= width - lengths[:, None]
    texts = np.where(is_digit, digits, ord(" ")).astype(np.uint8)
    spaces = (b"", layout.between, layout.pixel, layout.line, layout.row)
    longest = max(map(len, spaces))
    before = np.frombuffer(b"".join(space.ljust(longest) for space in spaces), np.uint8).reshape(5, longest)
    used_before = np.arange(longest) < np.array([len(space) for space in spaces])[:, None]
    return _joined(before, texts), _joined(used_before, is_used), lengths


def _joined(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Every row of one array with every row of another after it, as [N] void."""
    first = np.repeat(before, len(after), axis=0)
    rows = np.ascontiguousarray(np.hstack([first, np.tile(after, (len(before), 1))]))
    return rows.view(f"V{rows.shape[1]}")[:, 0]


class _Lines:
    """Where lines begin, from the first value to the last."""

    def __init__(self, layout: Layout, row: int, pixel: int) -> None:
        self._layout, self._row, self._pixel = layout, row, pixel
        self._column = 0  # characters of the line so far, with the spaces that would follow them

    def begin(self, first: int, lengths: np.ndarray, values: np.ndarray) -> np.ndarray:
        """The places among the next values, the first of which is number `first`, that begin a line; those that begin a
        row may be among them. lengths: characters of each value that there may be.
        """
        layout, count = self._layout, values.size
        if not layout.limit:
            return np.empty(0, np.int64)
        if not layout.fills:
            places = np.arange(first, first + count)
            return np.flatnonzero((places % self._row if layout.starts_rows else places) % layout.limit == 0)
        unit = self._pixel if layout.whole_pixels else 1  # values that stay together
        ends = np.cumsum(lengths[values] + len(layout.between))[unit - 1 :: unit]
        first, count, row = first // unit, count // unit, self._row // unit
        found: list[int] = []
        start = 0
        for stop in (*(range(-first % row, count, row) if layout.starts_rows else ()), count):
            self._fill(ends, start, stop, found)
            if stop < count:
                self._column, start = 0, stop
        return np.array(found, np.int64) * unit

    def _fill(self, ends: np.ndarray, start: int, stop: int, found: list[int]) -> None:
        """Add to found where lines begin among the values from start to stop, which continue the one begun."""
        if start == stop:
            return
        totals = ends[start:stop].tolist()
        before = int(ends[start - 1]) if start else 0
        gap, limit, base = len(self._layout.between), self._layout.limit, before - self._column
        least = 0 if self._column else 1  # a line has one value at least, however long
        # The last value of a line needs no space after it.
        while (begin := max(least, bisect_right(totals, base + limit + gap, least))) < len(totals):
            found.append(start + begin)
            base = totals[begin - 1] if begin else before
            least = begin + 1
        self._column = totals[-1] - base


def guess(text: memoryview, shape: tuple[int, int], single_digits: bool) -> list[Layout]:
    """Layouts that a text, from its first value to its last, may have. shape: as in `pieces`."""
    start = bytes(text[:_SAMPLE])
    found = list(re.finditer(rb"\d" if single_digits else rb"\d+", start))
    if len(text) > len(start):
        del found[-1:]  # which may be cut
    spaces = [start[here.end() : after.start()] for here, after in zip(found, found[1:])]
    if not found or b"#" in start or max(map(len, spaces), default=0) > _MOST_SPACES:
        return []
    row, pixel = shape
    inside = [(index, space) for index, space in enumerate(spaces, 1) if index % row]
    within = [(index, space) for index, space in inside if b"\n" not in space]
    after_pixel = _commonest([space for index, space in within if index % pixel == 0])
    between = _commonest([space for index, space in within if index % pixel]) if pixel > 1 else after_pixel
    row_end = _commonest([space for index, space in enumerate(spaces, 1) if index % row == 0])
    line = _commonest([space for _, space in inside if b"\n" in space])
    base = Layout(between, after_pixel, line or row_end, row_end or line, False, False, 0)
    first_break = next((index for index, space in enumerate(spaces, 1) if b"\n" in space), 0)
    by_count = [replace(base, starts_rows=rows, limit=limit) for limit in (0, first_break) for rows in (True, False)]
    longest = max(map(len, re.split(rb"[\r\n]+", start[found[0].start() : found[-1].end()])))
    by_length = [
        replace(base, starts_rows=rows, fills=True, limit=max(1, longest + more), whole_pixels=whole_pixels)
        for whole_pixels in ((False, True) if pixel > 1 else (False,))
        for more in range(-2, 14 if whole_pixels else 8)
        for rows in (True, False)
    ]
    return by_count + by_length + [change for layout in by_count for change in _with_fields(layout, found, spaces)]


def _commonest(spaces: list[bytes]) -> bytes:
    return Counter(spaces).most_common(1)[0][0] if spaces else b""


def _with_fields(layout: Layout, found: list[re.Match[bytes]], spaces: list[bytes]) -> list[Layout]:
    """The same layout with values in columns, if the spaces are those that make some."""
    lengths = [len(match.group()) for match in found]
    gaps = [
        (before, len(space), after) for before, space, after in zip(lengths, spaces, lengths[1:]) if b"\n" not in space
    ]
    columns = [(False, {gap + after for _, gap, after in gaps}), (True, {before + gap for before, gap, _ in gaps})]
    plain = {name: getattr(layout, name)[getattr(layout, name).find(b"\n") :] for name in ("line", "row")}
    plain = {name: space.rstrip(b" ") for name, space in plain.items()}
    return [
        replace(layout, between=space, pixel=space, field=width - len(space), pads_after=pads_after, **plain)
        for pads_after, widths in columns
        for width in widths
        for space in (b" ", b"")
        if len(widths) == 1 and 0 < width - len(space) <= _MOST_FIELD
    ]
