"""Section 15: a block's coefficients, and what they are where the picture goes on smoothly across the block's edges."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tests.reference.container import check
from tests.reference.numbers import clip

MOST = 1 << 16
HALVES = (  # of the rows B[u]; even ones go on as their mirror image, odd ones as the negative of it
    (2896, 2896, 2896, 2896),
    (4017, 3406, 2276, 799),
    (3784, 1567, -1567, -3784),
    (3406, -799, -4017, -2276),
    (2896, -2896, -2896, 2896),
    (2276, -4017, 799, 3406),
    (1567, -3784, 3784, -1567),
    (799, -2276, 3406, -4017),
)
B = np.array([[*half, *((-1) ** u * x for x in reversed(half))] for u, half in enumerate(HALVES)])
F, G = B[:, 0].tolist(), [2896, 4323, 4893, 5508, 5793, 5422, 4243, 2336]
COLUMNS = [[8 * i + at for i in range(8)] for at in range(8)]  # the k that cross the upper edge, by v
ROWS = [[8 * at + i for i in range(8)] for at in range(8)]  # those that cross the left one, by u


class Block:
    """Coefficients x[k], the same in samples S(x, k), and the numbers n_j; samples: in 1/8, A when all is known."""

    def __init__(self, steps: list[int]):
        self.steps, self.x, self.scaled, self.n = steps, [0] * 64, [0] * 64, [0] * 3
        self.samples = np.zeros((8, 8), np.int64)

    def put(self, k: int, x: int) -> None:
        check(-(1 << 15) <= x < 1 << 15, "a coefficient that does not fit")
        self.x[k], self.scaled[k] = x, clip(x * self.steps[k], -MOST, MOST)

    def step(self, k: int) -> int:
        return max(self.steps[k], 1)


NOTHING = Block([0] * 64)  # where there is none


def divided(a: int, d: int) -> int:
    """div(a, d)."""
    return ((a >> 8) * (((1 << 40) // d) >> 8) + (1 << 23)) >> 24


def across(weights: list[int], theirs: Block, mine: Block, line: list[int]) -> int:
    """F_v or G_v of the column, or row, of coefficients that crosses an edge."""
    return sum(w * ((-1) ** i * theirs.scaled[line[i]] - mine.scaled[line[i]]) for i, w in enumerate(weights) if i)


def inside(block: Block, k: int, north: Block, west: Block) -> tuple[int, int]:
    """A coefficient of part 0 by the upper and by the left edge: up and back."""
    u, v = divmod(k, 8)
    up = divided(across(F, north, block, COLUMNS[v]), F[u] * block.step(k))
    return up, divided(across(F, west, block, ROWS[u]), F[v] * block.step(k))


def at_edge(block: Block, k: int, neighbour: Block) -> tuple[int, int]:
    """One of part 1, whose neighbour is N, or of part 2, whose neighbour is W, in quarters: flat and sloped."""
    line, end = COLUMNS[k] if k < 8 else ROWS[k // 8], 2896 * neighbour.scaled[k]
    flat, sloped = (4 * (across(weights, neighbour, block, line) + end) for weights in (F, G))
    return divided(flat, 2896 * block.step(k)), divided(sloped, 2896 * block.step(k))


class Dc(NamedTuple):
    foretold: int
    fine: int
    spread: int
    differ: int


def without_dc(block: Block) -> np.ndarray:
    """a[y][x]."""
    h = (B.T @ np.array([0, *block.scaled[1:]]).reshape(8, 8)) >> 6
    return (h @ B) >> 17


def dc(block: Block, north: Block, west: Block) -> Dc:
    """By the samples of the block, those without its DC, and of its neighbours."""
    a, q, edges = block.samples, block.step(0), []
    if north is not NOTHING:
        edges.append((3 * north.samples[7] - north.samples[6] - 3 * a[0] + a[1]) >> 1)
    if west is not NOTHING:
        edges.append((3 * west.samples[:, 7] - west.samples[:, 6] - 3 * a[:, 0] + a[:, 1]) >> 1)
    if not edges:
        return Dc(0, 2, 100, 50)
    sums, shifts = [int(edge.sum()) for edge in edges], np.concatenate(edges)
    quarters = sum(sums) // (2 * len(edges) * q)
    foretold, fine = clip((quarters + 2) >> 2, -(1 << 15), 1 << 15), (quarters + 2) % 4
    differ = abs(sums[0] - sums[1]) // (8 * q) if len(edges) == 2 else 50
    return Dc(foretold, fine, int(shifts.max() - shifts.min()) // q, differ)
