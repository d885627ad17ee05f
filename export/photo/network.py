"""The photo network in exact integers: its layers, and the one walk through them.

`IntegerPhoto.run` says what is computed in which order, on a machine: PyTorch (pytorch.py), the nodes of an ONNX graph
(graph.py), or NumPy for the probe of a bundle (bundle.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

from export.exact.integers import IntegerLayer
from lmconv.networks.likelihood import SHIFT_UNIT
from runtime.rules import COUPLING_UNIT, LOGIT_UNIT, MEAN_UNIT, SCALE_UNIT

Value = TypeVar("Value")


class Machine(Protocol[Value]):
    """What computes. Values are activations, uint8 numbers, or what layers make of them, exact in float32."""

    inputs: Value  # the first layer's activations

    def value(self, x: Value, layer: IntegerLayer) -> Value:
        """(sum + bias) * 2^-shift of activations."""

    def activation(self, x: Value, name: str, exponent: int = 0) -> Value:
        """clip(round half even(x * 2^-exponent), 0, 255); a graph calls it by the name."""

    def patches(self, x: Value, block: int) -> Value:
        """A block's input: the activations at its open taps, 0 outside the picture."""

    def add(self, h: Value, x: Value, name: str) -> Value:
        """h + x, the residual stream."""

    def result(self, x: Value, layer: IntegerLayer) -> Value:
        """floor((sum + bias) * 2^-shift) of activations, int32."""


@dataclass(frozen=True)
class IntegerPhoto:
    """The quantised network. exponents[i]: the stream enters block i (the last: the head) as round(h * 2^-exponent)."""

    first: IntegerLayer
    wide: tuple[IntegerLayer, ...]
    narrow: tuple[IntegerLayer, ...]
    head: IntegerLayer
    out: IntegerLayer
    exponents: tuple[int, ...]
    offsets: tuple[tuple[int, int], ...]  # feature taps of a block, (row, column)
    first_offsets: tuple[tuple[int, int], ...]  # input taps of the first layer

    def layers(self) -> list[IntegerLayer]:
        """In the order of their computation."""
        blocks = [layer for pair in zip(self.wide, self.narrow) for layer in pair]
        return [self.first, *blocks, self.head, self.out]

    def writers(self) -> tuple[IntegerLayer, ...]:
        """The layers whose outputs add up to the residual stream."""
        return (self.first, *self.narrow)

    def run(self, machine: Machine[Value]) -> Value:
        """Parameters, as lmconv.networks.photo.PhotoNet.forward computes them."""
        m = machine
        h = m.value(m.inputs, self.first)
        for i, (wide, narrow, exponent) in enumerate(zip(self.wide, self.narrow, self.exponents)):
            x = m.patches(m.activation(h, f"blocks.{i}.features", exponent), i)
            x = m.activation(m.value(x, wide), f"blocks.{i}.hidden")
            h = m.add(h, m.value(x, narrow), f"blocks.{i}.stream")
        x = m.activation(h, "head.features", self.exponents[-1])
        x = m.activation(m.value(x, self.head), "out.features")
        return m.result(x, self.out)


def output_units(components: int) -> np.ndarray:
    """Integer steps per unit of each network output, float64 [10 K]; shifts are in units of 4 grey levels."""
    per_kind = [LOGIT_UNIT] + 3 * [SHIFT_UNIT * MEAN_UNIT] + 3 * [SCALE_UNIT] + 3 * [COUPLING_UNIT]
    return np.repeat(np.array(per_kind, float), components)


def stream_bound(writers: list[IntegerLayer]) -> np.ndarray:
    """The largest residual stream in steps of its finest writer, per channel, float64 [C] (exact where it matters)."""
    finest = np.max([layer.shift for layer in writers], axis=0)
    return sum(layer.bound() * 2.0 ** (finest - layer.shift) for layer in writers)
