"""Section 8.3: simple predictions, and what they have missed by nearby.

Predictions and what they are made of are in quarters of a grey level, their errors in eighths.
"""

from __future__ import annotations

import re
from fractions import Fraction

import numpy as np

from tests.reference.blend import Errors
from tests.reference.least_squares import Canvas
from tests.reference.numbers import clip
from tests.reference.reconstruction import Reconstruction

FORMS = """
W | A; W+WW-WWW | A; N | 1/2 A, 1/2 B; N+NN-NNN | B; W | 1/2 A, 1/2 B; [W+N-NW]; W+1/2NNE-1/2NE; WW | B; 2NW-NNWW | A;
NE | A; NN | A; N | A; 2NE-NNEE | A; [2W-WW]; N+W-NN; [3N-3NN+NNN]; A; NNE; W+N-NW | B; 1/2W+1/2N | B;
2W-WW+2N-NN-2NW+NNWW; 1/2W+1/2N | A; NN+W-NNW; W; [2N-NN]; N+NN-NNN | A; 2W-WW | A; 2W-WW | B; N+NE-NNE | A; W | 1/2 B;
2NW-NNWW; 2N-NN | 1/2 A, 1/2 B; NE | 1/2 A, 1/2 B; W+NE-N | 1/2 A, 1/2 B; NN | B; W+WW-WWW | B; 3/4W+3/4N-1/2NW;
N | 1/2 B; W | B; N | B; 2NW-NNWW | B; W+1/2N-1/2NW | A; NW | A; W+N-NW; 1/2W+1/2N; W | 1/2 A; W | 3/4 A; NE | B;
2NE-NNEE | B; N+NE-NNE | B; 1/4W+1/4N+1/4NE+1/4NW | A; WWW; NW; 2NE-4/3NNEE+1/3NNNE; 1/2W+1/2NE; NE | 1/2 B;
3/2N-1/2NN | A; N+NW-NNW | A; N+NE-NNE; NE; WW | A; 2N-NN; N+NW-NNW; 1/2W+1/2N | 1/2 A, 1/2 B; NW | 1/2 B; NW | B;
NW | 1/2 A, 1/2 B; W+1/2NE-1/2N; NW+W-NWW | A; 2W+NW-WW-2NWW+NWWW; 3/2W-1/2WW; W | 5/4 A; B; 2N-NN | B; [W+NE-N];
NE+NW-NN | B; W+NE-N | B; NE | 1/2 A; N | 3/4 A; N | 1/2 A; NNN; W+NE-N | A; W+1/2N-1/2NW; NW | 1/2 A; NE+NW-NN; N;
NW+W-NWW; [N+NE-NNE]; W+N-NW | 1/2 A, 1/2 B; W+N-NW | A; N+1/2W-1/2NW | A; 2W-WW | 1/2 A, 1/2 B
"""
TERM = re.compile(r"([+-]?[0-9/]*) ?([A-Z]+)")
ALIKE = 4  # predictions that are the blend's: m_0 .. m_3
OUTSIDE = 4 * 128
LEAST, MOST = -800, 1824
UNKNOWN, LARGEST = 32, 255  # errors


def terms(text: str) -> list[tuple[Fraction, str]]:
    """Factors and names of `2W-1/2NE` or of `1/2 A, 1/2 B`."""
    return [
        (Fraction(factor + "1" if factor in ("", "+", "-") else factor), name) for factor, name in TERM.findall(text)
    ]


def form(text: str) -> dict[tuple[str, int, int], int]:
    """Coefficients in quarters by what they belong to: x, A or B, and how many rows and columns away."""
    own, _, changes = text.partition("|")
    found = {}
    for factor, name in terms(own):
        found[("x", *away(name)) if name not in "AB" else (name, 0, 0)] = factor
    for share, name in terms(changes):
        found |= {(name, dr, dc): -share * factor for (_, dr, dc), factor in list(found.items()) if _ == "x"}
        found[name, 0, 0] = share
    return {tap: round(4 * factor) for tap, factor in found.items()}


def away(name: str) -> tuple[int, int]:
    return -name.count("N"), name.count("E") - name.count("W")


class Plane(dict):
    """What a plane has at (r, c), and what stands around it."""

    def __init__(self, width: int):
        super().__init__()
        self.width = width

    def at(self, r: int, c: int) -> int:
        if r < 0:
            return OUTSIDE
        if c < 0:
            return self[r - 1, 0] if r > 0 else OUTSIDE
        return self[r, min(c, self.width - 1)]


class Simple:
    """The first `count` predictors: for each plane in turn `predict`, then `learn`."""

    def __init__(self, canvas: Canvas, count: int, made: Reconstruction | None = None):
        self.width, self.made = canvas.width, made
        texts = [" ".join(text.split()) for text in FORMS.split(";")][: count - ALIKE]
        self.forms, self.held = [form(text.strip("[]")) for text in texts], [text[0] == "[" for text in texts]
        self.x = [Plane(self.width) for _ in range(3)]
        self.blend, self.network = [Plane(self.width) for _ in range(2)], Plane(self.width)
        self.errors = Errors(np.full(count, UNKNOWN))
        self.best = {}  # (k, r, c): which one missed least

    def predict(self, k: int, r: int, c: int, members: list[int]) -> None:
        """Sets predictions and near. members: m_0 .. m_4."""
        quarters = [(m + 8) >> 4 for m in members]
        if k < 2:
            self.blend[k][r, c] = quarters[0]
        if k == 0:
            self.network[r, c] = clip(quarters[4], 0, 2 * OUTSIDE)
        own, a, b = (
            (self.x[0], self.blend[0], self.network),
            (self.x[1], self.x[0], self.blend[1]),
            (self.x[2], self.x[1], self.x[0]),
        )[k]
        planes = {"x": own, "A": a, "B": b}
        self.predictions = quarters[:ALIKE]
        around = [own.at(r + dr, c + dc) for dr, dc in ((0, -1), (-1, 0), (-1, -1), (-1, 1))]
        for coefficients, held in zip(self.forms, self.held):
            total = sum(f * planes[name].at(r + dr, c + dc) for (name, dr, dc), f in coefficients.items())
            found = clip((total + 2) >> 2, LEAST, MOST)
            self.predictions.append(clip(found, min(around), max(around)) if held else found)
        if self.made:
            x = self.x[k]
            self.predictions[-2:] = self.made.predictions(k, r, c, lambda dr, dc: x.at(r + dr, c + dc))
        self.near = self.errors.sum(k, r, c, self.width).tolist()

    def learn(self, k: int, r: int, c: int, x: int) -> None:
        self.x[k][r, c] = 4 * x
        missed = [min(abs(8 * x - 2 * p), LARGEST) for p in self.predictions]
        self.errors[k, r, c], self.best[k, r, c] = np.array(missed), missed.index(min(missed))
