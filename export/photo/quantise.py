"""From the float photo network to exact integers: uint8 activations, integer weights, powers of two between them.

Layers are those of integers.py; activations are clip(round half even(value), 0, 255), and weights are wide in the first
and the last layer, where rounding costs most (docs/compression.md).
The residual stream is the plain sum of such values, kept unrounded: all of a channel's writers lie on one lattice
2^-s fine enough to be exact and coarse enough that the whole sum stays below 2^24 lattice steps. Both bounds are
checked for every channel, and a layer that breaks one is named.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from export.errors import QuantisationError
from export.exact.integers import (
    ACTIVATION_LIMIT,
    BOUND,
    WEIGHT_LIMIT,
    WIDE_LIMIT,
    IntegerLayer,
    finest_shift,
    fitted,
    rounded,
)
from lmconv.layers import LocallyMaskedConv2d
from lmconv.networks.likelihood import SHIFT_UNIT
from lmconv.networks.photo import CURRENT, CURRENT_SCALE, KNOWN, KNOWN_SCALE, ZERO, PhotoNet
from runtime.rules import COUPLING_UNIT, LOGIT_UNIT, MEAN_UNIT, SCALE_UNIT


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
        blocks = [layer for pair in zip(self.wide, self.narrow) for layer in pair]
        return [self.first, *blocks, self.head, self.out]

    def writers(self) -> tuple[IntegerLayer, ...]:
        """The layers whose outputs add up to the residual stream."""
        return (self.first, *self.narrow)


def offsets_of(mask) -> tuple[tuple[int, int], ...]:
    """(row, column) offsets of a one-pattern mask's open taps, row-major."""
    half = mask.kernel // 2
    return tuple((int(r) - half, int(c) - half) for r, c in np.argwhere(mask.taps[0].numpy()))


def tap_matrix(layer: LocallyMaskedConv2d, offsets: tuple[tuple[int, int], ...]) -> np.ndarray:
    """Weights as float64 [taps * inputs, outputs], tap by tap."""
    half = layer.kernel_size // 2
    weight = layer.weight.detach().double().numpy()
    return np.concatenate([weight[:, :, dr + half, dc + half].T for dr, dc in offsets])


@torch.no_grad()
def calibrate(
    net: PhotoNet, pixels: torch.Tensor, bases: torch.Tensor
) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
    """Largest positive value per channel: of the stream before every block and the head, the wide layers, the head."""
    stream, wide, head = [], [], []

    def largest(tensor: torch.Tensor) -> np.ndarray:
        return F.relu(tensor).amax((0, 2, 3)).double().numpy()

    hooks = [block.register_forward_pre_hook(lambda _, args: stream.append(largest(args[0]))) for block in net.blocks]
    hooks += [
        block.wide.register_forward_hook(lambda _, __, output: wide.append(largest(output))) for block in net.blocks
    ]
    hooks.append(net.head.register_forward_pre_hook(lambda _, args: stream.append(largest(args[0]))))
    hooks.append(net.head.register_forward_hook(lambda _, __, output: head.append(largest(output))))
    count = len(net.blocks)
    for start in range(0, len(pixels), 4):
        net(pixels[start : start + 4], bases[start : start + 4])
    for hook in hooks:
        hook.remove()
    return (
        [np.max(stream[i :: count + 1], axis=0) for i in range(count + 1)],
        [np.max(wide[i::count], axis=0) for i in range(count)],
        np.max(head, axis=0),
    )


def quantise(net: PhotoNet, pixels: torch.Tensor, bases: torch.Tensor) -> IntegerPhoto:
    """Quantises with ranges seen on the calibration pictures, uint8 and int16 [N, 3, H, W].

    Raises QuantisationError, naming the layer, for weights that are not finite and bounds that cannot be kept.
    """
    for name, parameter in net.named_parameters():
        if not torch.isfinite(parameter).all():
            raise QuantisationError(f"{name} holds numbers that are not finite: use an earlier checkpoint")
    stream, wide_range, head_range = calibrate(net, pixels, bases)
    step = _step(np.max(stream, axis=0))  # of the stream, per channel
    exponents = tuple(_exponent((seen / step).max() / ACTIVATION_LIMIT) for seen in stream)
    offsets, first_offsets = offsets_of(net.mask), offsets_of(net.first_mask)
    writers = [_first_layer(net, first_offsets, step)]
    wide = []
    for i, block in enumerate(net.blocks):
        scale = _step(wide_range[i])
        matrix = tap_matrix(block.wide, offsets) * np.tile(step * 2.0 ** exponents[i], len(offsets))[:, None] / scale
        wide.append(fitted(f"blocks.{i}.wide", matrix, _numpy(block.wide.bias) / scale))
        matrix = _numpy(block.narrow.weight)[:, :, 0, 0].T * scale[:, None] / step
        writers.append((f"blocks.{i}.narrow", matrix, _numpy(block.narrow.bias) / step, 0, WEIGHT_LIMIT))
    scale = _step(head_range)
    head = fitted(
        "head",
        _numpy(net.head.weight)[:, :, 0, 0].T * (step * 2.0 ** exponents[-1])[:, None] / scale,
        _numpy(net.head.bias) / scale,
    )
    units = output_units(net.config.components)
    matrix = _numpy(net.out.weight)[:, :, 0, 0].T * scale[:, None] * units
    out = fitted("out", matrix, _numpy(net.out.bias) * units + 0.5, WIDE_LIMIT)  # floor rounds to nearest
    first, *narrow = _stream_layers(writers)
    result = IntegerPhoto(first, tuple(wide), tuple(narrow), head, out, exponents, offsets, first_offsets)
    for layer in result.layers():
        layer.check()
    largest = (out.bound() * 2.0**-out.shift).max()
    if largest >= 1 << 31:
        raise QuantisationError(f"layer out: a parameter may reach {largest:.3g}, over 2^31; use an earlier checkpoint")
    return result


def _step(largest: np.ndarray) -> np.ndarray:
    """What one step of an 8-bit activation stands for; a channel that never fired in calibration gets range 1."""
    return np.where(largest > 1e-3, largest, 1.0) / ACTIVATION_LIMIT


def _exponent(share: float) -> int:
    """The coarsest power of two that a stream using `share` of its steps may be divided by on entering a block."""
    return int(np.ceil(np.log2(max(share, 2.0**-6)) - 1e-9))


def _numpy(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()


def output_units(components: int) -> np.ndarray:
    """Integer steps per unit of each network output, float64 [10 K]; shifts are in units of 4 grey levels."""
    per_kind = [LOGIT_UNIT] + 3 * [SHIFT_UNIT * MEAN_UNIT] + 3 * [SCALE_UNIT] + 3 * [COUPLING_UNIT]
    return np.repeat(np.array(per_kind, float), components)


def _first_layer(net: PhotoNet, offsets: tuple[tuple[int, int], ...], step: np.ndarray) -> tuple:
    """The first layer and the current position's 1 x 1 as one matrix on codes; zero points go into the bias."""
    known = tap_matrix(net.first, offsets) / np.tile(KNOWN_SCALE, len(offsets))[:, None]
    current = _numpy(net.current.weight)[:, :, 0, 0].T / np.array(CURRENT_SCALE)[:, None]
    zero = np.array(([ZERO] * (KNOWN - 1) + [0]) * len(offsets) + [ZERO] * CURRENT)
    return "first", np.concatenate([known, current]) / step, _numpy(net.first.bias) / step, zero, WIDE_LIMIT


def stream_bound(writers: list[IntegerLayer]) -> np.ndarray:
    """The largest residual stream in steps of its finest writer, per channel, float64 [C] (exact where it matters)."""
    finest = np.max([layer.shift for layer in writers], axis=0)
    return sum(layer.bound() * 2.0 ** (finest - layer.shift) for layer in writers)


def _stream_layers(writers: list[tuple]) -> list[IntegerLayer]:
    """Rounds all writers of the stream, coarsening the finest ones of a channel until its sum is exact."""
    shifts = [finest_shift(matrix, limit) for _, matrix, _, _, limit in writers]
    for _ in range(64):
        layers = [rounded(*writer, shift) for writer, shift in zip(writers, shifts)]
        over = stream_bound(layers) >= BOUND
        if not over.any():
            return layers
        finest = np.max(shifts, axis=0)
        shifts = [np.where(over & (shift == finest), shift - 1, shift) for shift in shifts]
    raise QuantisationError("the residual stream cannot be made exact: a channel's writers differ too much in scale")
