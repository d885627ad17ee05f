"""A JPEG file as its coefficients and the bytes around them, and back to the byte."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from codec.jpeg.scans import read_scan, write_scan
from codec.jpeg.segments import ZIGZAG, Frame, OddJpeg, Reader, Scan

Check = Callable[[Frame], None]  # is told a frame before anything of its size is allocated, and raises what it will


@dataclass(frozen=True)
class Jpeg:
    """A whole file.

    frame: size and planes. steps: of each component's quantisation, int64 [64] in rows of eight. coefficients: int16
    [blocks, 64] of all components, each block in rows of eight. around: all bytes but the scans'. pads: of each scan
    the bit that fills its last bytes.
    """

    frame: Frame
    steps: tuple[np.ndarray, ...]
    coefficients: np.ndarray
    around: bytes
    pads: tuple[int, ...]


@dataclass(frozen=True)
class Outline:
    """What the bytes around the scans say: the frame, the steps, the scans, and where each scan's data belong."""

    frame: Frame
    steps: tuple[np.ndarray, ...]
    scans: tuple[tuple[Scan, int], ...]


def take_apart(data: bytes, check: Check | None = None) -> Jpeg:
    """The file of these bytes, which `put_together` gives again. Raises OddJpeg for one that it does not."""
    reader, pieces, begun, whole = Reader(), [], 0, np.frombuffer(data, np.uint8)
    coefficients, pads = np.zeros((0, 64), np.int16), list[int]()
    scan, at = reader.next_scan(data, reader.start(data))
    while scan is not None:
        if not pads:
            coefficients = empty(scan.frame, 8 * len(data), check)
        pieces.append(data[begun:at])
        begun, pad = read_scan(whole, at, scan, coefficients)
        pads.append(pad)
        scan, at = reader.next_scan(data, begun)
    around = b"".join([*pieces, data[begun:]])
    found = Jpeg(_frame(reader), _steps(reader), coefficients, around, tuple(pads))
    if put_together(found) != data:
        raise OddJpeg("its scans are written in another way than libjpeg's")
    return found


def empty(frame: Frame, most: float, check: Check | None = None) -> np.ndarray:
    """Room for a frame's coefficients, int16 [blocks, 64], zeros. Raises OddJpeg for more than so many blocks, and what
    `check` does."""
    blocks = sum(component.blocks for component in frame.components)
    if blocks > most:
        raise OddJpeg("its frame is larger than its bytes can fill")
    if check:
        check(frame)
    return np.zeros((blocks, 64), np.int16)


def outline(around: bytes) -> Outline:
    """What the bytes around the scans say. Raises OddJpeg."""
    reader, scans = Reader(), []
    scan, at = reader.next_scan(around, reader.start(around))
    while scan is not None:
        scans.append((scan, at))
        scan, at = reader.next_scan(around, at)
    return Outline(_frame(reader), _steps(reader), tuple(scans))


def put_together(jpeg: Jpeg) -> bytes:
    """The bytes of a file. Raises OddJpeg where its parts do not fit each other."""
    parts, begun, told = [], 0, outline(jpeg.around)
    if len(told.scans) != len(jpeg.pads):
        raise OddJpeg("it has another number of scans")
    for (scan, at), pad in zip(told.scans, jpeg.pads):
        parts += [jpeg.around[begun:at], write_scan(scan, pad, jpeg.coefficients)]
        begun = at
    return b"".join([*parts, jpeg.around[begun:]])


def _frame(reader: Reader) -> Frame:
    if reader.frame is None or len(reader.in_use) < len(reader.frame.components):
        raise OddJpeg("it has no scan of some component")
    return reader.frame


def _steps(reader: Reader) -> tuple[np.ndarray, ...]:
    found = []
    for place in range(len(reader.in_use)):
        steps = np.empty(64, np.int64)
        steps[ZIGZAG] = reader.in_use[place]
        found.append(steps)
    return tuple(found)
