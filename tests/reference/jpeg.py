"""Section 15: the coefficients of a JPEG, component by component and block by block.

    the walk, the parts of a block, the start    jpeg.py
    decisions, lines, mixing                     jpeg_decisions.py
    keys                                         jpeg_contexts.py
    continuity, the DC                           jpeg_continuity.py
    14.1, form 1: the file around them           jpeg_file.py

`Picture(components, before).decoded(decide)` is the way in; `before` is `learned` from the start's photographs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from tests.reference import jpeg_contexts as contexts
from tests.reference.jpeg_continuity import NOTHING, Block, without_dc
from tests.reference.jpeg_decisions import BITS, LONGEST, Decisions
from tests.reference.least_squares import rows_of

ZIGZAG = (
    *(0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21),
    *(28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61),
    *(54, 47, 55, 62, 63),
)
PARTS = [k for k in ZIGZAG if k >= 8 and k % 8], [*range(1, 8)], [*range(8, 64, 8)], [0]
OTHER = None, 0, 1, 0  # the component that O is of


@dataclass(frozen=True)
class Component:
    """Rows and columns of blocks, as whole MCUs hold them; steps: s[k]."""

    rows: int
    columns: int
    steps: list[int]

    def places(self) -> Iterator[tuple[int, int]]:
        """In the order of 4.2."""
        for level in range(self.columns + 2 * (self.rows - 1)):
            for r in rows_of(level, self.rows, self.columns):
                yield r, level - 2 * r


class Picture:
    """before: what other pictures have taught. foretold: of a block's DC, when that is asked for."""

    def __init__(self, components: list[Component], before: Decisions):
        self.components, self.decisions = components, before.of_next()
        self.planes = [{} for _ in components]  # (r, c): block
        self.foretold = 0

    def decoded(self, decide: Callable[[int], int]) -> np.ndarray:
        """int64 [blocks, 64]: of all components, row by row. decide(frequency) -> decision."""
        self.decisions.decide = decide
        for p, component in enumerate(self.components):
            for r, c in component.places():
                self.block(p, r, c)
        return np.array([plane[at].x for plane in self.planes for at in sorted(plane)])

    def here(self, p: int, r: int, c: int) -> contexts.Here:
        """A new block and what is around it."""
        component, plane, other = self.components[p], self.planes[p], NOTHING
        if OTHER[p] is not None:
            theirs = self.components[OTHER[p]]
            row = (r * (8 * theirs.rows // component.rows)) >> 3
            other = self.planes[OTHER[p]][row, (c * (8 * theirs.columns // component.columns)) >> 3]
        near = [plane.get(at, NOTHING) for at in ((r, c - 1), (r - 1, c), (r - 1, c - 1), (r - 1, c + 1))]
        plane[r, c] = Block(component.steps)
        return contexts.Here(p, plane[r, c], *near, other)

    def block(self, p: int, r: int, c: int) -> None:
        here = self.here(p, r, c)
        for j in range(3):
            self.part(j, here)
        block = here.block
        block.samples = without_dc(block)
        keys, t, told = contexts.of_dc(here)
        self.foretold = told.foretold
        block.put(0, self.decisions.coefficient(p, 3, 0, keys, t) + told.foretold)
        block.samples = block.samples + block.scaled[0]

    def part(self, j: int, here: contexts.Here) -> None:
        """Of 0 to 2, the number and the coefficients."""
        here.block.n[j] = self.decisions.number(here.p, j, *contexts.number(j, here))
        left, total = here.block.n[j], 0
        for i, k in enumerate(PARTS[j]):
            if left == 0:
                break
            keys, t = contexts.coefficient(j, k, contexts.Known(left, i, total), here)
            x = self.decisions.coefficient(here.p, j, k, keys, t)
            here.block.put(k, x)
            left, total = left - (x != 0), total + abs(x)


def learned(pictures: Iterable[tuple[list[Component], np.ndarray]]) -> Decisions:
    """What pictures teach one after the other: components and coefficients of each, int [blocks, 64]."""
    before = Decisions()
    for components, coefficients in pictures:
        picture = Picture(components, before)
        picture.decoded(answers(picture, coefficients))
        before = picture.decisions
    return before


def answers(picture: Picture, coefficients: np.ndarray) -> Callable[[int], int]:
    """Says the decisions that lead to these coefficients while the picture is decoded."""
    decisions = decisions_of(picture, coefficients)
    return lambda frequency: next(decisions)


def decisions_of(picture: Picture, coefficients: np.ndarray) -> Iterator[int]:
    """Those of an encoder, made one at a time: the picture foretells a DC before it is asked for."""
    blocks = iter(coefficients.tolist())
    for component in picture.components:
        plane = {(r, c): next(blocks) for r in range(component.rows) for c in range(component.columns)}
        for at in component.places():
            yield from _of_block(plane[at], picture)


def _of_block(x: list[int], picture: Picture) -> Iterator[int]:
    for part, bits in zip(PARTS, BITS):
        left = sum(x[k] != 0 for k in part)
        yield from (left >> bit & 1 for bit in reversed(range(bits)))
        for k in part:
            if left == 0:
                break
            yield from _of_coefficient(x[k])
            left -= x[k] != 0
    yield from _of_coefficient(x[0] - picture.foretold)


def _of_coefficient(x: int) -> Iterator[int]:
    size, length = abs(x), abs(x).bit_length()
    yield int(x != 0)
    if x:
        yield from [1] * (length - 1) + [0] * (length < LONGEST)
        yield int(x < 0)
        yield from (size >> bit & 1 for bit in reversed(range(length - 1)))
