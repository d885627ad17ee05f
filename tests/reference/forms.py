"""Section 11: from the planes of a group to the samples, and tiles of one value."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.reference.container import COLOURS, RANKS, File, Group, check
from tests.reference.packed import unpacked


class Form:
    """planes, depth: of what is coded."""

    def __init__(self, group: Group, file: File):
        self.form, self.file, self.planes, self.depth = group.form, file, group.planes, file.depth
        if group.form == RANKS:
            self.values = occurring(group, file.depth)
            self.depth = max(1, (max(map(len, self.values)) - 1).bit_length())
        if group.form == COLOURS:
            self.planes, self.depth = 3, 8
            check(len(file.palette) > 0, "a palette without colours")

    def samples(self, planes: np.ndarray) -> np.ndarray:
        """[h, w, C] of planes, [P, h, w]."""
        if self.form == COLOURS:
            indices = {colour: i for i, colour in reversed(list(enumerate(self.file.palette[: 1 << self.file.depth])))}
            pixels = [
                [tuple(map(int, planes[:, r, c])) for c in range(planes.shape[2])] for r in range(planes.shape[1])
            ]
            check(all(pixel in indices for row in pixels for pixel in row), "a colour that the palette has not")
            return self.wide([[[indices[pixel]] for pixel in row] for row in pixels])
        if self.form == RANKS:
            check(all(plane.max() < len(values) for plane, values in zip(planes, self.values)), "no such rank")
            planes = [[[values[rank] for rank in row] for row in plane] for plane, values in zip(planes, self.values)]
        check(np.max(planes) < 1 << self.file.depth, "a sample of too many bits")
        return self.wide(planes).transpose(1, 2, 0)

    def wide(self, samples) -> np.ndarray:
        return np.array(samples, np.uint8 if self.file.depth <= 8 else "<u2")


def occurring(group: Group, depth: int) -> list[list[int]]:
    """The values that occur in each channel."""
    size = -(-(1 << depth) // 8)
    bits = unpacked(group.used, size * group.planes, b"")
    check(len(bits) == size * group.planes, "a list of another length")
    parts = [bits[size * channel : size * (channel + 1)] for channel in range(group.planes)]
    found = [[v for v in range(1 << depth) if part[v >> 3] >> (v & 7) & 1] for part in parts]
    check(all(found), "a channel without values")
    return found


def constant(shape: tuple[int, int, int], depth: int, decide: Callable[[int], int]) -> np.ndarray:
    """[C, H, W] of one value each."""
    values = [0] * shape[0]
    for k in range(shape[0]):
        for _ in range(depth):
            values[k] = 2 * values[k] + decide(1 << 23)
    return np.broadcast_to(np.array(values, np.uint8 if depth <= 8 else np.uint16)[:, None, None], shape)
