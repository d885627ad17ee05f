"""Section 6: the parameters of the mixture, by the network or by the errors nearby, position by position."""

from __future__ import annotations

import numpy as np

from tests.reference.least_squares import Canvas, Fit
from tests.reference.numbers import clip, log_scale

CURRENT = ((0, -1), (-1, 0), (-1, -1), (-1, 1), (0, -2), (-2, 0))


def layer(weights: dict, name: str, inputs) -> np.ndarray:
    """Values (sum + bias) 2^-shift of a layer on bytes, float64."""
    sums = np.asarray(inputs, np.int64) @ weights[f"{name}.weight"].astype(np.int64) + weights[f"{name}.bias"]
    assert abs(sums).max() < 1 << 24
    return sums * 2.0 ** -weights[f"{name}.shift"].astype(int)


def q(values: np.ndarray, m: int = 0) -> np.ndarray:
    """Bytes: clip(round(v 2^-m), 0, 255), ties to even."""
    return np.clip(np.round(values * 2.0**-m), 0, 255).astype(np.int64)


class Network:
    """A photo network; positions must come in an order in which all that it reads has come before."""

    def __init__(self, weights: dict, codes: np.ndarray, first_offsets, kernel: int):
        self.weights, self.codes, self.first_offsets = weights, codes, first_offsets
        reach = range(-(kernel // 2), kernel // 2 + 1)
        self.taps = [(dr, dc) for dr in reach for dc in reach if (dr, dc) == (0, 0) or dc + 2 * dr < 0]
        self.exponents = [int(m) for m in weights["exponents"]]
        self.features = {}  # (block, r, c): bytes

    def code(self, d: int) -> int:
        return int(self.codes[clip((d >> 2) + 4096, 0, 8191)])

    def known(self, canvas: Canvas, bases: dict, r: int, c: int) -> list[int]:
        """What the first layer reads at a tap."""
        if (2, r, c) not in canvas.x:
            return [128] * 6 + [0]
        x, b = ([of[k, r, c] for k in range(3)] for of in (canvas.x, bases))
        return [*x, *(self.code(64 * x[k] - b[k]) for k in range(3)), 64]

    def parameters(self, canvas: Canvas, bases: dict, r: int, c: int) -> list[int]:
        """bases: the own predictor's [k, r, c], of the position at hand that of plane 0."""
        base = bases[0, r, c]
        inputs = [value for dr, dc in self.first_offsets for value in self.known(canvas, bases, r + dr, c + dc)]
        inputs += [self.code(64 * canvas.pixel(0, r + dr, c + dc) - base) for dr, dc in CURRENT] + [base // 64]
        h = layer(self.weights, "first", inputs)
        outside = np.zeros(len(h), np.int64)
        for i, m in enumerate(self.exponents[:-1]):
            self.features[i, r, c] = q(h, m)
            y = np.concatenate([self.features.get((i, r + dr, c + dc), outside) for dr, dc in self.taps])
            h = h + layer(self.weights, f"blocks.{i}.narrow", q(layer(self.weights, f"blocks.{i}.wide", y)))
        head = layer(self.weights, "head", q(h, self.exponents[-1]))
        return np.floor(layer(self.weights, "out", q(head))).astype(int).tolist()


def without_network(fits: list[Fit], r: int, c: int) -> list[int]:
    """One logistic at the prediction, as wide as the errors nearby."""
    return [0] * 4 + [log_scale(fit.nearby(r, c)) for fit in fits] + [0] * 3
