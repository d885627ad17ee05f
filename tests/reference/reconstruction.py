"""Section 14.3: a tile of which a JPEG makes most."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import numpy as np

from tests.reference.estimates import Chance
from tests.reference.numbers import clip

NEAR = [(0, -1), (-1, 0), (-1, -1), (-1, 1), (0, -2), (-2, 0), (-2, 1), (-2, -1), (-1, -2), (-2, 2)]


class Reconstruction:
    """made: uint8 [C, H, W], oriented as the tile is."""

    def __init__(self, made: np.ndarray):
        self.made, self.wrong, self.chances = made.astype(int), {}, defaultdict(Chance)

    def asked(self, r: int, c: int, decide: Callable[[int], int]) -> int | None:
        """The colour of a position where it is right, else None."""
        values = self.made[:, r, c].tolist()
        context = int(0 in values or 255 in values)
        for dr, dc in NEAR:
            context = 2 * context + self.wrong.get((r + dr, c + dc), 0)
        chance = self.chances[context]
        wrong = decide(clip(4 * chance.p, 16, (1 << 24) - 16))
        chance.learn(wrong)
        self.wrong[r, c] = wrong
        return None if wrong else sum(value << 8 * i for i, value in enumerate(reversed(values)))

    def predictions(self, k: int, r: int, c: int, x: Callable[[int, int], int]) -> list[int]:
        """In quarters; x(dr, dc): the plane's values around, in quarters."""
        near = [(dr, dc) for dr, dc in ((0, -1), (-1, 0)) if r + dr >= 0 and c + dc >= 0]
        missed = sum(x(dr, dc) - 4 * self.made[k, r + dr, c + dc] for dr, dc in near)
        here = 4 * int(self.made[k, r, c])
        return [here + int(missed >> 1 if len(near) == 2 else missed), here]
