"""Section 15: the keys of a number and of a coefficient, and t, which selects a vector of the mixer's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from tests.reference.jpeg_continuity import NOTHING, Block, Dc, at_edge, dc, inside
from tests.reference.numbers import clip


@dataclass
class Here:
    """The block at hand, those around it, and the one of another component."""

    p: int
    block: Block
    W: Block
    N: Block
    NW: Block
    NE: Block
    O: Block  # noqa: E741

    @property
    def c(self) -> int:
        return min(self.p, 3)

    @property
    def b(self) -> int:
        return int(self.p > 0)


class Known(NamedTuple):
    """Of a part before a coefficient: left, how many others came, and the sum of their magnitudes."""

    left: int
    i: int
    sum: int


def magnitude(i: int) -> int:
    """class(i)."""
    if i < 4:
        return i
    i = min(i, 4095)
    length = i.bit_length()
    return 2 * length - 2 + (i >> (length - 2) & 1)


def within(i: int, m: int) -> int:
    """w(i, m)."""
    return clip(i, -m, m) + m


def number(j: int, here: Here) -> tuple[list[int], int]:
    """Of how many coefficients of part j are not zero."""
    w, n, nw, ne, o = (block.n[j] for block in (here.W, here.N, here.NW, here.NE, here.O))
    if j > 0:
        return _number_at_edge(j, here, w, n, o)
    c, mean = here.c, (w + n) >> int(here.W is not NOTHING and here.N is not NOTHING)
    change = abs(here.W.x[0] - here.N.x[0])
    keys = [
        4 * mean + c,
        4 * (32 * magnitude(w) + magnitude(n)) + c,
        4 * (64 * (32 * magnitude(ne) + magnitude(nw)) + mean) + c,
        4 * o + c,
        4 * (64 * o + mean) + c,
        4 * (8 * (8 * (8 * here.W.n[1] + here.W.n[2]) + here.N.n[1]) + here.N.n[2]) + c,
        4 * (32 * mean + magnitude(change)) + c,
        4 * (64 * w + n) + c,
    ]
    return keys, magnitude(o)


def _number_at_edge(j: int, here: Here, w: int, n: int, o: int) -> tuple[list[int], int]:
    c, x, numbers = here.c, here.block.x, here.block.n
    inner, row, e = numbers[0], numbers[1] if j == 2 else 0, n if j == 1 else w
    reach = max(i for i in range(8) if i == 0 or any(x[i + 8 * m if j == 1 else 8 * i + m] for m in range(1, 8)))
    keys = [
        4 * inner + c,
        4 * (8 * w + n) + c,
        4 * (8 * o + reach) + c,
        4 * (16 * (8 * min(inner, 15) + reach) + w + n) + c,
        4 * (64 * row + inner) + c,
        4 * (8 * (8 * row + reach) + e) + c,
        4 * (8 * (w + n) + o) + c,
        4 * (8 * (8 * (8 * row + w) + n) + reach) + c,
    ]
    return keys, inner >> 2


def coefficient(j: int, k: int, known: Known, here: Here) -> tuple[list[int], int]:
    """Of a coefficient of parts 0 to 2."""
    return _inside(k, known, here) if j == 0 else _at_edge(j, k, known, here)


def _inside(k: int, known: Known, here: Here) -> tuple[list[int], int]:
    kc, o, left, numbers = 4 * k + here.c, here.O.x[k], known.left, here.block.n
    around = 2 * (abs(here.W.x[k]) + abs(here.N.x[k])) + abs(here.NW.x[k]) + abs(here.NE.x[k])
    up, back = inside(here.block, k, here.N, here.W)
    expected, much = magnitude(2 * (2 * around + _magnitudes(k, here.block.x) + abs(o))), min(magnitude(around), 7)
    keys = [
        256 * left + kc,
        256 * (32 * within(o, 3) + magnitude(abs(o))) + kc,
        2 * (64 * expected + min(49 - known.i, left + 8)) + here.b,
        256 * (8 * within(up, 20) + much) + kc,
        256 * (8 * within(back, 20) + much) + kc,
        256 * (64 * magnitude(known.sum) + numbers[0]) + kc,
        256 * expected + kc,
        2 * (32 * within(up + back, 30) + expected) + here.b,
    ]
    return keys, min(left, 23)


def _magnitudes(k: int, x: list[int]) -> int:
    """Around a coefficient of part 0, of those of its part."""
    u, v = divmod(k, 8)
    places = [
        (2, -1, 0),
        (1, -1, 1),
        (2, 0, -1),
        (1, 1, -1),
        (1, -1, -1),
        (1, -2, 0),
        (1, 0, -2),
    ]  # times, down, across
    return sum(n * abs(x[k + 8 * i + j]) for n, i, j in places if 0 < u + i < 8 and 0 < v + j < 8)


def _at_edge(j: int, k: int, known: Known, here: Here) -> tuple[list[int], int]:
    kc, o, left, x = 4 * k + here.c, here.O.x[k], known.left, here.block.x
    flat, sloped = at_edge(here.block, k, here.N if j == 1 else here.W)
    mean, inward, along = (flat + sloped) >> 1, *((8, 1) if j == 1 else (1, 8))
    corner = abs(x[k + inward - along]) if known.i > 0 else 0
    near = abs(x[k + inward]) + abs(x[k + 2 * inward]) + corner
    expected = magnitude(2 * (abs(here.W.x[k]) + abs(here.N.x[k])) + 2 * near + abs(mean))
    keys = [
        256 * left + kc,
        256 * within(flat >> 1, 100) + kc,
        256 * (32 * within(o, 3) + magnitude(abs(o))) + kc,
        2 * (8 * expected + left) + here.b,
        2 * (32 * within(mean, 60) + expected) + here.b,
        256 * (64 * magnitude(known.sum) + here.block.n[j]) + kc,
        256 * (32 * within(flat >> 2, 15) + within(sloped >> 2, 15)) + kc,
        256 * (8 * within(sloped >> 2, 15) + within(o, 3)) + kc,
    ]
    return keys, magnitude(abs(mean))


def of_dc(here: Here) -> tuple[list[int], int, Dc]:
    """Of part 3, and what is foretold of it."""
    told, c, x = dc(here.block, here.N, here.W), here.c, here.block.x
    west, north = here.W.x[0] - told.foretold, here.N.x[0] - told.foretold
    d, e, activity = magnitude(told.differ), magnitude(told.spread), sum(map(abs, x[1:]))
    keys = [
        4 * e + c,
        4 * (32 * d + e) + c,
        4 * (32 * within(north, 12) + within(west, 12)) + c,
        4 * (32 * magnitude(activity) + e) + c,
        4 * within(west, 40) + c,
        4 * within(north, 40) + c,
        4 * (32 * told.fine + e) + c,
        4 * (32 * magnitude(here.block.n[0]) + d) + c,
    ]
    return keys, d, told
