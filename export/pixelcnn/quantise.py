"""From the paper's float network to exact integers (pixelcnn.py): ranges seen on images, then powers of two for all.

What costs precision are the 8 bits that enter a product and the 7 of a weight; all values in between lie on a lattice
fine enough to lose nothing. So the codes of each channel span what calibration saw, and weights are rounded so that
their errors cancel (rounding.py). In the first layer and the head, where that is not enough, they are wide.
"""

import numpy as np
import torch
from torch import Tensor, nn

from export.errors import QuantisationError
from export.exact.integers import ACTIVATION_LIMIT, WEIGHT_LIMIT, WIDE_LIMIT, IntegerLayer, fitted
from export.pixelcnn.calibrate import Seen, calibrate, exaggerated
from export.pixelcnn.network import (
    EXACT,
    REST_UNIT,
    REST_ZERO,
    SIGMOID_UNIT,
    Codes,
    IntegerBlock,
    IntegerPixelCnn,
    Product,
)
from export.pixelcnn.outputs import GREY, arranged, limits
from lmconv.layers import LocallyMaskedConv2d
from lmconv.networks.pixelcnn import GatedResnet, Norm, PixelCnn, Pointwise
from runtime.pixelcnn import INSIDE

LATTICE = 10  # values in steps of 2^-10, coarser only where they would exceed LIMIT
LIMIT = 1 << 15
SCALE_BITS = 8  # of a code's scale: its product with a value within LIMIT, and the zero added, stay below 2^24
MARGIN = 4  # how much larger than in calibration a value may get before it is clipped
LEAST_VALUE = 2.0**-10  # a channel that is never larger is dead
LEAST_WEIGHTS = 15  # weights are not coarsened beyond this limit for the sake of a bound


def quantise_pixelcnn(net: nn.Module, ranks: list[np.ndarray], levels: np.ndarray) -> IntegerPixelCnn:
    """Quantises with what layers read on images, levels uint8 [N, C, H, W], shared out among rank maps [H, W].

    `net` is in evaluation mode. Raises QuantisationError, naming the layer, for weights that are not finite, bounds
    that cannot be kept and settings that have no integer form.
    """
    net = _checked(net)
    levels = np.concatenate([levels, exaggerated(levels, net.config)])
    layers, config = _Layers(net, calibrate(net, ranks, levels)), net.config
    sizes = [config.resnets + (group > 0) for group in range(3)]  # of the groups down
    lowest, highest = limits(config)
    return IntegerPixelCnn(
        config=config,
        lattice=layers.lattice,
        limit=layers.limit,
        first=layers.first(),
        up=tuple(tuple(layers.block(f"up.{i}.{j}") for j in range(config.resnets)) for i in range(3)),
        up_dilated=tuple(layers.masked(f"up_dilated.{i}") for i in range(2)),
        down=tuple(tuple(layers.block(f"down.{i}.{j}") for j in range(size)) for i, size in enumerate(sizes)),
        down_dilated=tuple(layers.masked(f"down_dilated.{i}") for i in range(2)),
        head=layers.head(),
        lowest=lowest,
        highest=highest,
    )


def _checked(net: nn.Module) -> PixelCnn:
    """The network. Raises QuantisationError for one that has no integer form."""
    if not isinstance(net, PixelCnn):
        raise QuantisationError(f"the exact form is for the paper's one-stream network, not for {type(net).__name__}")
    if net.config.given or net.config.far:
        raise QuantisationError(
            "the exact form is for networks without far dilations, to which nothing is given with the images"
        )
    if net.config.categorical:
        raise QuantisationError("the exact form is for mixtures of logistics and for bits, not for categories")
    if net.config.bits != 8 and not net.config.binary:
        raise QuantisationError(f"the exact form is for 8 bits and for binary images, not for {net.config.bits} bits")
    for name, parameter in net.named_parameters():
        if not torch.isfinite(parameter).all():
            raise QuantisationError(f"{name} holds numbers that are not finite: use an earlier checkpoint")
    return net


class _Layers:
    """Rounds the layers of a network, by their names."""

    def __init__(self, net: PixelCnn, seen: dict[str, Seen]) -> None:
        self.modules, self.config, self.seen = dict(net.named_modules()), net.config, seen
        largest = MARGIN * self._largest()
        if self.config.norm == "pono":
            largest = max(largest, self.config.filters**0.5)  # what it never exceeds
        self.lattice = min(LATTICE, _lattice(largest, LIMIT))
        self.limit = 1 << int(np.ceil(np.log2(largest * 2.0**self.lattice)))

    def _largest(self) -> float:
        """Of all that is on the network's lattice: what products read, but the first, and what norms and gates give."""
        largest = LEAST_VALUE
        for name, seen in self.seen.items():
            if isinstance(self.modules[name], (Norm, GatedResnet)):
                largest = max(largest, seen.largest.max())
            elif name != "first":
                largest = max(largest, seen.high.max(), -seen.low.min())
        return float(largest)

    def block(self, name: str) -> IntegerBlock:
        skip = self.pointwise(f"{name}.nin_skip") if f"{name}.nin_skip" in self.modules else None
        return IntegerBlock(self.masked(f"{name}.conv_input"), skip, self.masked(f"{name}.conv_out"))

    def first(self) -> Product:
        """On codes v of pixels, which stand for (v - 127.5) / 127.5, and of the inside, INSIDE for 1."""
        layer, (weight, of_mask) = self._convolution("first"), self._weights("first")
        inside = weight[:, -1] - weight[:, :-1].sum(1) + of_mask  # open taps are inside ones
        codes = np.concatenate([weight[:, :-1] / GREY, inside[:, None] / INSIDE], 1)  # [T, C + 1, F]
        matrix = np.delete(codes, len(codes) // 2, 0).reshape(-1, codes.shape[2])  # kind A does not read the centre
        lattice, limit = self._values(self.seen["first"].largest)
        rounded = _fitted("first", matrix * 2.0**lattice, _bias(layer) * 2.0**lattice, WIDE_LIMIT)
        return Product(rounded, None, lattice, limit)

    def masked(self, name: str) -> Product:
        """A masked layer on features: inputs tap by tap, then each tap's openness where masks have weights."""
        layer, seen, (weight, of_mask) = self._convolution(name), self.seen[name], self._weights(name)
        filters, taps = self.config.filters, len(weight)
        lattice, limit = self._values(seen.largest[:filters])
        units = np.full(layer.out_channels, 2.0**lattice)
        units[filters:] = SIGMOID_UNIT  # the second half of conv_out
        codes = self._codes(seen)
        step, zero = np.tile(_step(codes, self.lattice), taps), np.tile(codes.zero, taps)
        matrix = weight.reshape(-1, layer.out_channels)
        if layer.mask_weight is not None:
            matrix = np.concatenate([matrix, of_mask])
            step, zero = np.append(step, np.full(taps, 1 / INSIDE)), np.append(zero, np.zeros(taps, np.int64))
        return Product(self._rounded(name, layer, matrix, units, step, zero), codes, lattice, limit)

    def pointwise(self, name: str) -> Product:
        codes, layer = self._codes(self.seen[name]), self._pointwise(name)
        units = np.full(layer.out_features, 2.0**self.lattice)
        matrix = _numpy(layer.weight).T
        rounded = self._rounded(name, layer, matrix, units, _step(codes, self.lattice), codes.zero)
        return Product(rounded, codes, self.lattice, self.limit)

    def head(self) -> Product:
        """Inputs are codes and then what they left out."""
        codes, layer = self._codes(self.seen["head"]), self._pointwise("head")
        matrix, bias = arranged(self.config, _numpy(layer.weight).T, _bias(layer))
        matrix = matrix * _step(codes, self.lattice)[:, None]
        matrix = np.concatenate([matrix, matrix / REST_UNIT])
        zero = np.append(codes.zero, np.full(len(codes.zero), REST_ZERO))
        return Product(_fitted("head", matrix, bias, WIDE_LIMIT, zero), codes, 0, 0)

    def _convolution(self, name: str) -> LocallyMaskedConv2d:
        layer = self.modules[name]
        assert isinstance(layer, LocallyMaskedConv2d)
        return layer

    def _pointwise(self, name: str) -> Pointwise:
        layer = self.modules[name]
        assert isinstance(layer, Pointwise)
        return layer

    def _weights(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """A masked layer's weights [T, Cin, Cout] and those of its mask [T, Cout], 0 if it has none."""
        layer = self._convolution(name)
        weight = _numpy(layer.weight).reshape(layer.out_channels, layer.in_channels, -1).transpose(2, 1, 0)
        if layer.mask_weight is None:
            return weight, np.zeros((len(weight), layer.out_channels))
        return weight, _numpy(layer.mask_weight).reshape(layer.out_channels, -1).T

    def _codes(self, seen: Seen) -> Codes:
        return _codes(seen.low * 2.0**self.lattice, seen.high * 2.0**self.lattice, 2.0**self.lattice)

    def _values(self, largest: np.ndarray) -> tuple[int, int]:
        """Lattice and limit of a masked layer's values, given the largest [F] that were seen."""
        if self.config.norm == "pono":  # the sum of (C x - sum x)^2 is C^3 limit^2 at most
            limit = int((EXACT / self.config.filters**3) ** 0.5) - 1
            limit = min(limit, 1 << 23)
            return _lattice(MARGIN * max(largest.max(), LEAST_VALUE), limit), limit
        taps = self.config.kernel**2 if self.config.norm == "order_rescale" else 1
        return self.lattice, taps * self.limit

    def _rounded(
        self,
        name: str,
        layer: LocallyMaskedConv2d | Pointwise,
        matrix: np.ndarray,
        units: np.ndarray,
        step: np.ndarray,
        zero: np.ndarray,
    ) -> IntegerLayer:
        """Weights [inputs, outputs] on codes that stand for `step` [inputs] each, values in 1 / units [outputs]."""
        scale, moments = 1 / np.append(step, 1), self.seen[name].moments
        assert moments is not None  # as it is a layer
        moments = moments * scale * scale[:, None]
        return _fitted(name, matrix * units * step[:, None], _bias(layer) * units, WEIGHT_LIMIT, zero, moments)


def _fitted(
    name: str,
    matrix: np.ndarray,
    bias: np.ndarray,
    limit: int,
    zero: int | np.ndarray = 0,
    moments: np.ndarray | None = None,
) -> IntegerLayer:
    """Raises QuantisationError, naming the layer, if its sums cannot be kept below the bound."""
    layer = fitted(name, matrix, bias, limit, zero, moments, LEAST_WEIGHTS)
    layer.check()
    return layer


def _codes(low: np.ndarray, high: np.ndarray, one: float) -> Codes:
    """Codes that reach from low to high and hold 0, [C] each in steps of 1 / one."""
    span = np.maximum(high, 0) - np.minimum(low, 0)
    fraction, exponent = np.frexp(ACTIVATION_LIMIT / np.maximum(span, LEAST_VALUE * one))
    scale = np.floor(np.ldexp(fraction, SCALE_BITS)) * 2.0 ** (exponent - SCALE_BITS)
    return Codes(scale.astype(np.float32), np.round(-np.minimum(low, 0) * scale).astype(np.int64))


def _step(codes: Codes, lattice: int) -> np.ndarray:
    """What a code stands for, float64 [C]."""
    return 1 / (codes.scale.astype(np.float64) * 2.0**lattice)


def _lattice(largest: float, limit: int) -> int:
    """The finest s with largest * 2^s <= limit."""
    return int(np.floor(np.log2(limit / largest)))


def _bias(layer: LocallyMaskedConv2d | Pointwise) -> np.ndarray:
    return np.zeros(len(layer.weight)) if layer.bias is None else _numpy(layer.bias)


def _numpy(tensor: Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()
