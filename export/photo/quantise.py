"""From the float photo network to exact integers: uint8 activations, integer weights, powers of two between them.

Layers are those of integers.py; activations are clip(round half even(value), 0, 255), and weights are wide in the first
and the last layer, where rounding costs most (docs/experiments/compression.md).
The residual stream is the plain sum of such values, kept unrounded: all of a channel's writers lie on one lattice
2^-s fine enough to be exact and coarse enough that the whole sum stays below 2^24 lattice steps. Both bounds are
checked for every channel, and a layer that breaks one is named.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

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
from export.photo.network import IntegerPhoto, output_units, stream_bound
from lmconv.layers import LocallyMaskedConv2d, TorchMask
from lmconv.networks.photo import CURRENT, CURRENT_SCALE, KNOWN, KNOWN_SCALE, ZERO, PhotoNet

# A writer of the residual stream: name, matrix and bias, the zeros of its inputs, the limit of its weights.
_Writer = tuple[str, np.ndarray, np.ndarray, int | np.ndarray, int]


def offsets_of(mask: TorchMask) -> tuple[tuple[int, int], ...]:
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
    offsets, first_offsets = offsets_of(net.masks["later"]), offsets_of(net.masks["first"])
    writers = [_first_layer(net, first_offsets, step)]
    wide = []
    for i, block in enumerate(net.blocks):
        scale = _step(wide_range[i])
        matrix = tap_matrix(block.wide, offsets) * np.tile(step * 2.0 ** exponents[i], len(offsets))[:, None] / scale
        wide.append(fitted(f"blocks.{i}.wide", matrix, _bias(block.wide) / scale))
        matrix = _numpy(block.narrow.weight)[:, :, 0, 0].T * scale[:, None] / step
        writers.append((f"blocks.{i}.narrow", matrix, _bias(block.narrow) / step, 0, WEIGHT_LIMIT))
    scale = _step(head_range)
    head = fitted(
        "head",
        _numpy(net.head.weight)[:, :, 0, 0].T * (step * 2.0 ** exponents[-1])[:, None] / scale,
        _bias(net.head) / scale,
    )
    units = output_units(net.config.components)
    matrix = _numpy(net.out.weight)[:, :, 0, 0].T * scale[:, None] * units
    out = fitted("out", matrix, _bias(net.out) * units + 0.5, WIDE_LIMIT)  # floor rounds to nearest
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


def _bias(layer: LocallyMaskedConv2d | nn.Conv2d) -> np.ndarray:
    assert layer.bias is not None  # all of these layers have one
    return _numpy(layer.bias)


def _numpy(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()


def _first_layer(net: PhotoNet, offsets: tuple[tuple[int, int], ...], step: np.ndarray) -> _Writer:
    """The first layer and the current position's 1 x 1 as one matrix on codes; zero points go into the bias."""
    known = tap_matrix(net.first, offsets) / np.tile(KNOWN_SCALE, len(offsets))[:, None]
    current = _numpy(net.current.weight)[:, :, 0, 0].T / np.array(CURRENT_SCALE)[:, None]
    zero = np.array(([ZERO] * (KNOWN - 1) + [0]) * len(offsets) + [ZERO] * CURRENT)
    return "first", np.concatenate([known, current]) / step, _bias(net.first) / step, zero, WIDE_LIMIT


def _stream_layers(writers: list[_Writer]) -> list[IntegerLayer]:
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
