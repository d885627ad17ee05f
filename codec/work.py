"""A picture's tiles as pieces of work: side by side on threads, with progress over all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from threading import Event, Lock
from typing import TypeVar

import numpy as np

from codec.format.tiles import Box
from codec.tile_coders import Report
from runtime.progress import Progress

Result = TypeVar("Result")


class Work:
    """Goes through boxes, of one group of planes after the other. threads: how many may be used in all."""

    def __init__(self, boxes: Sequence[Box], groups: int, threads: int, progress: Progress | None) -> None:
        self._boxes, self._threads, self._progress = boxes, threads, progress
        self._total = groups * sum(box.height * box.width for box in boxes)
        self._done: float = 0
        self._lock, self._stop = Lock(), Event()

    def each(self, work: Callable[[Box, int, Report], Result]) -> list[Result]:
        """work(box, threads, report) for every box, in order; several at once where there are several."""
        boxes, threads = self._boxes, self._threads
        if threads < 2 or len(boxes) == 1:
            return [work(box, threads, self._report) for box in boxes]
        with ThreadPoolExecutor(threads) as pool:
            futures = [pool.submit(work, box, max(threads // len(boxes), 1), self._report) for box in boxes]
            try:
                ended, _ = wait(futures, return_when=FIRST_EXCEPTION)
                for future in ended:
                    future.result()  # raises what went wrong, whichever box it was
                return [future.result() for future in futures]
            except BaseException:
                self._stop.set()
                for future in futures:
                    future.cancel()
                raise

    def _report(self, pixels: float) -> None:
        if self._stop.is_set():
            raise InterruptedError
        with self._lock:
            self._done += pixels
            if self._progress:
                self._progress(round(self._done), self._total)


def rows_of(samples: np.ndarray, box: Box) -> np.ndarray:
    """A box of samples, [H, W, C]: a view."""
    return samples[box.row : box.row + box.height, box.col : box.col + box.width]


def cut(planes: np.ndarray, box: Box) -> np.ndarray:
    """A box of planes, [C, H, W]: a view."""
    return planes[:, box.row : box.row + box.height, box.col : box.col + box.width]


def no_planes(height: int, width: int) -> np.ndarray:
    """What a JPEG makes of a picture that came from none."""
    return np.zeros((0, height, width), np.uint8)
