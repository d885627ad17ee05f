"""Two threads in one tile: what foresees a level runs ahead of what codes it, part by part.

A part is some rows of the tile. A position of a level needs what the level before has in its own row and the row above,
and in a first layer's window in the row below. So once a level is coded in a part and in the next one, the part can be
foreseen at the level after, while the rest of the level is still being coded. Both threads go through parts in the same
order as one thread does, so the numbers are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeVar

from runtime.lanes import LANES
from runtime.least_squares import Size, rows_of

Foreseen = TypeVar("Foreseen")
_ACTIVE = 4  # parts that the longest level is cut into; fewer leave a thread waiting, more cost calls
_SHORTEST = 2 * LANES  # rows of a part: fewer are not worth a call


class Parts:
    """The parts of a tile; one alone with a single thread, or where levels are short."""

    def __init__(self, size: Size, threads: int) -> None:
        self._size = size
        longest = min(size.height, (size.width + 1) // 2)
        rows = -(-longest // (_ACTIVE * LANES)) * LANES
        self._together = threads > 1 and rows >= _SHORTEST
        self.rows = rows if self._together else -(-size.height // LANES) * LANES
        self.count = -(-size.height // self.rows)

    def of(self, part: int) -> tuple[int, int]:
        """The rows of a part: the first, and the one behind the last."""
        return part * self.rows, (part + 1) * self.rows

    def positions(self, level: int, part: int) -> int:
        """How many a part has of a level."""
        first, end = rows_of.py_func(level, self._size, self.of(part))
        return max(end - first, 0)

    def _level(self, level: int) -> range:
        """The parts that a level has rows in, or whose last row has just ended: it counts in the fits below it."""
        first, end = rows_of.py_func(level, self._size)
        return range(max(first - 1, 0) // self.rows, (end - 1) // self.rows + 1)

    def _order(self) -> Iterator[tuple[int, int, int]]:
        """Level, part, and how many entries of this order must be coded before it can be foreseen."""
        before, done = range(0), 0
        for level in range(self._size.levels):
            here = self._level(level)
            for part in here:
                yield level, part, done - max(before.stop - 1 - (part + 1), 0)
            before, done = here, done + len(here)

    def ahead(self, foresee: Callable[[int, int], Foreseen]) -> Iterator[tuple[int, int, Foreseen]]:
        """Level, part and foresee(level, part) of every part of every level in order; what the caller does with one is
        done before the next is asked for. Raises what `foresee` raises."""
        if not self._together:
            for level, part, _ in self._order():
                yield level, part, foresee(level, part)
            return
        foreseen: SimpleQueue[Foreseen | BaseException] = SimpleQueue()
        coded: SimpleQueue[bool] = SimpleQueue()

        def run_ahead() -> None:
            done = 0
            try:
                for level, part, needed in self._order():
                    while done < needed:
                        if not coded.get():
                            return
                        done += 1
                    foreseen.put(foresee(level, part))
            except BaseException as error:
                foreseen.put(error)

        with ThreadPoolExecutor(1) as helper:
            helper.submit(run_ahead)
            try:
                for level, part, _ in self._order():
                    found = foreseen.get()
                    if isinstance(found, BaseException):
                        raise found
                    yield level, part, found
                    coded.put(True)
            finally:
                coded.put(False)
