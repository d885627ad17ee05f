"""Two threads in one tile: what foresees a level runs ahead of what codes it, part by part.

A part is some rows of a level. A position needs what the level before has in its own row and the row above, and in a
first layer's window in the row below. So once the level before is coded that far, a part can be foreseen while the rest
of that level is still being coded. Both threads go through parts in the same order as one thread does, so the numbers
are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import NamedTuple, TypeVar

from runtime.lanes import LANES
from runtime.least_squares import Size, rows_of

Foreseen = TypeVar("Foreseen")
_MOST = 4  # parts of a level: with fewer a thread waits, more cost calls
_SHORTEST = 4 * LANES  # rows of a part: fewer are not worth a call


class Part(NamedTuple):
    """Some rows of a level: from the first one, or the picture's, to before the other; how many parts must be coded
    before this one can be foreseen, and how many positions it has."""

    level: int
    rows: tuple[int, int]
    needed: int
    positions: int


class Parts:
    """The parts of a tile, level by level, downwards; with a single thread one for each level."""

    def __init__(self, size: Size, threads: int) -> None:
        self._size, self._together, self.parts = size, threads > 1, list[Part]()
        before = [0]
        for level in range(size.levels):
            ends, done = self._cut(level) if self._together else [size.height], len(self.parts)
            for start, end in zip([0, *ends], ends):
                above = sum(1 for other in before if other <= end)  # parts before whose rows end above the one below
                needed = done - max(len(before) - 1 - above, 0) if level else 0
                first, last = rows_of.py_func(level, size, (start, end))
                self.parts.append(Part(level, (start, end), needed, last - first))
            before = ends

    def _cut(self, level: int) -> list[int]:
        """Where a level's parts end, as nearly equal as the blocks of the fits allow."""
        first, end = rows_of.py_func(level, self._size)
        blocks = -(-end // LANES) - first // LANES
        count = min(max((end - first) // _SHORTEST, 1), _MOST)
        cuts = [(first // LANES + blocks * part // count) * LANES for part in range(1, count)]
        return [*cuts, self._size.height]

    def steps(self) -> tuple[tuple[int, tuple[int, int]], ...]:
        """Level and rows of each part."""
        return tuple((part.level, part.rows) for part in self.parts)

    def ahead(self, foresee: Callable[[int, Part], Foreseen]) -> Iterator[tuple[Part, Foreseen]]:
        """Every part in order and foresee(its number, part); what the caller does with one is done before the next is
        asked for. Raises what `foresee` raises."""
        if not self._together:
            for number, part in enumerate(self.parts):
                yield part, foresee(number, part)
            return
        foreseen: SimpleQueue[Foreseen | BaseException] = SimpleQueue()
        coded: SimpleQueue[bool] = SimpleQueue()

        def run_ahead() -> None:
            done = 0
            try:
                for number, part in enumerate(self.parts):
                    while done < part.needed:
                        if not coded.get():
                            return
                        done += 1
                    foreseen.put(foresee(number, part))
            except BaseException as error:
                foreseen.put(error)

        with ThreadPoolExecutor(1) as helper:
            helper.submit(run_ahead)
            try:
                for part in self.parts:
                    found = foreseen.get()
                    if isinstance(found, BaseException):
                        raise found
                    yield part, found
                    coded.put(True)
            finally:
                coded.put(False)
