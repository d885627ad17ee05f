"""The paper's network in exact integers: its parts, its tables, and the one walk through them.

Between products all values are integers in steps of 2^-lattice, clipped to proved limits; what enters a product is
uint8, `Codes`. ELU, sigmoid and tanh are tables. `IntegerPixelCnn.run` says what is computed in which order, on a
machine: PyTorch (pixelcnn_net.py) or the nodes of an ONNX graph (pixelcnn_graph.py).
A position's inputs are codes, too: a pixel's grey level (a bit: 0 or 255), and INSIDE in the plane that marks the
inside of the image; all are 0 at taps that are closed, outside or not known yet.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

import numpy as np

from export.exact.integers import IntegerLayer
from lmconv.config import PixelCnnConfig
from lmconv.networks.pixelcnn import EPSILON
from runtime import rules

REST_UNIT, REST_ZERO = 256, 128  # the head also reads what rounding to codes left out, in 256ths of a code, as codes
SIGMOID_UNIT, SIGMOID_RANGE = 256, 10  # entries of the sigmoid's table per unit, and how far it reaches to both sides
TANH_UNIT, TANH_RANGE = 2048, 6
EXACT = 2.0**53  # float64 holds every integer up to here

Value = TypeVar("Value")
Which = Literal["first", "plain", "dilated"]  # sorts of layers: kind A, kind B, kind B and the network's dilation


@dataclass(frozen=True)
class Codes:
    """What enters a product: uint8 = clip(round half even(value * scale + zero), 0, 255), [C] each.

    value * scale + zero is exact in float32 for every value within the network's limit.
    """

    scale: np.ndarray  # float32: an 8-bit number times a power of two
    zero: np.ndarray  # int64: the code of 0, which closed taps read


@dataclass(frozen=True)
class Product:
    """A layer and its inputs' codes (None where they come as codes); its values are rounded to steps of 2^-lattice.

    `limit`: what a norm clips them to, in these steps.
    """

    layer: IntegerLayer
    codes: Codes | None
    lattice: int
    limit: int

    def entry(self) -> Codes:
        """The codes of the inputs of a layer that reads values."""
        assert self.codes is not None, f"{self.layer.name} reads codes"
        return self.codes


@dataclass(frozen=True)
class IntegerBlock:
    """A gated resnet; the second half of conv_out's values are indices of the sigmoid's table."""

    conv_input: Product
    nin_skip: Product | None
    conv_out: Product


class Machine(Protocol[Value]):
    """What computes: values are integers [..., C], held in float32."""

    def first(self, product: Product) -> Value:
        """The first layer on the inputs' codes."""

    def convolve(self, x: Value, product: Product, which: Which) -> Value:
        """A masked layer's values."""

    def norm(self, x: Value, product: Product, which: Which) -> Value:
        """A product's values, clipped and normalised."""

    def concat_elu(self, x: Value) -> Value:
        """elu of x and -x: twice the channels."""

    def add_skip(self, x: Value, skip: Value, product: Product) -> Value:
        """x + the product of skip, both clipped."""

    def gate(self, h: Value, x: Value, product: Product, which: Which) -> Value:
        """h + norm of x's first half * sigmoid of its second, clipped."""

    def result(self, h: Value, product: Product) -> Value:
        """The head on the codes of elu(h) and of what they left out: floor, clip, table of tanh."""


@dataclass(frozen=True)
class IntegerPixelCnn:
    """The quantised network. `lattice` and `limit` are those of all values but what norms read.

    `lowest` and `highest` int64 [P]: what the head's values are clipped to; the last 3 K of colours are indices of the
    table of tanh.
    """

    config: PixelCnnConfig
    lattice: int
    limit: int
    first: Product
    up: tuple[tuple[IntegerBlock, ...], ...]
    up_dilated: tuple[Product, ...]
    down: tuple[tuple[IntegerBlock, ...], ...]
    down_dilated: tuple[Product, ...]
    head: Product
    lowest: np.ndarray
    highest: np.ndarray

    def run(self, machine: Machine[Value]) -> Value:
        """Parameters, as lmconv.pixelcnn.PixelCnn.forward computes them."""
        m = machine
        skips = [m.norm(m.first(self.first), self.first, "first")]
        for i, group in enumerate(self.up):
            if i > 0:
                skips.append(_dilate(m, skips[-1], self.up_dilated[i - 1]))
            for block in group:
                skips.append(_block(m, skips[-1], block))
        h = skips.pop()
        for i, group in enumerate(self.down):
            if i > 0:
                h = _dilate(m, h, self.down_dilated[i - 1])
            for block in group:
                h = _block(m, h, block, skips.pop())
        return m.result(h, self.head)

    def products(self) -> Iterator[Product]:
        """All, in the order of their computation."""
        yield self.first
        for groups, dilated in ((self.up, self.up_dilated), (self.down, self.down_dilated)):
            for i, group in enumerate(groups):
                if i > 0:
                    yield dilated[i - 1]
                for block in group:
                    yield from filter(None, (block.conv_input, block.nin_skip, block.conv_out))
        yield self.head

    def layers(self) -> list[IntegerLayer]:
        """Of all products."""
        return [product.layer for product in self.products()]

    def padding(self) -> list[np.ndarray]:
        """What slot 0 of each cache holds, uint8 [C] each: the codes of 0."""
        others = {id(self.first), id(self.head), *(id(block.nin_skip) for group in self.down for block in group)}
        return [product.entry().zero.astype(np.uint8) for product in self.products() if id(product) not in others]

    def tensors(self) -> dict[str, np.ndarray]:
        """All that decides the parameters, by name."""
        found = {name: getattr(self, name) for name in ("lowest", "highest", "elu", "sigmoid", "tanh")}
        found |= {"lattice": np.array(self.lattice), "limit": np.array(self.limit)}
        for product in self.products():
            name, parts = product.layer.name, [product.layer] + ([product.codes] if product.codes else [])
            found |= {f"{name}.{key}": part for each in parts for key, part in vars(each).items() if key != "name"}
            found |= {f"{name}.lattice": np.array(product.lattice), f"{name}.limit": np.array(product.limit)}
        return found

    @property
    def outputs(self) -> int:
        """How many parameters a position has."""
        return self.head.layer.weight.shape[1]

    @property
    def couplings(self) -> int:
        """How many of the parameters go through the table of tanh: the last ones."""
        return 3 * self.config.components if self.config.channels == 3 else 0

    def variance(self, product: Product) -> tuple[float, float]:
        """pono is d / sqrt(sum d^2 / divisor + epsilon) with d = C x - sum x: the divisor and epsilon.

        The division by 2^-lattice is in both.
        """
        filters, one = self.config.filters, 4.0**self.lattice
        return (filters - 1) * one, EPSILON * filters**2 * 4.0**product.lattice / one

    @property
    def elu(self) -> np.ndarray:
        """Of x <= 0, in and by steps of 2^-lattice."""
        one = 1 << self.lattice
        entries = int(np.ceil(np.log(2 * one) * one)) + 1  # there elu is -1 to half a step
        return _table(lambda x: one * np.expm1(np.minimum(x, 0)), one, entries, 0)

    @property
    def sigmoid_bits(self) -> int:
        """The sigmoid has steps of 2^-bits: its product with a value within the limit is exact in float32."""
        return 25 - self.limit.bit_length()

    @property
    def sigmoid(self) -> np.ndarray:
        """In steps of 2^-sigmoid_bits."""
        entries = SIGMOID_RANGE * SIGMOID_UNIT
        return _table(lambda x: 2.0**self.sigmoid_bits / (1 + np.exp(-x)), SIGMOID_UNIT, entries, entries)

    @property
    def tanh(self) -> np.ndarray:
        """In steps of 1 / rules.COUPLING_UNIT."""
        entries = TANH_RANGE * TANH_UNIT
        return _table(lambda x: rules.COUPLING_UNIT * np.tanh(x), TANH_UNIT, entries, entries)


def _dilate(m: Machine[Value], h: Value, product: Product) -> Value:
    return m.norm(m.convolve(h, product, "dilated"), product, "dilated")


def _block(m: Machine[Value], h: Value, block: IntegerBlock, skip: Value | None = None) -> Value:
    x = m.norm(m.convolve(m.concat_elu(h), block.conv_input, "plain"), block.conv_input, "plain")
    if block.nin_skip is not None:
        assert skip is not None
        x = m.add_skip(x, m.concat_elu(skip), block.nin_skip)
    return m.gate(h, m.convolve(m.concat_elu(x), block.conv_out, "plain"), block.conv_out, "plain")


def _table(function: Callable[[np.ndarray], np.ndarray], unit: int, below: int, above: int) -> np.ndarray:
    """A function at 0 .. above and then at -below .. -1 by 1 / unit, int64: an index -i counts from the end."""
    return np.round(function(np.append(np.arange(above + 1), np.arange(-below, 0)) / unit)).astype(np.int64)
