"""The float network of a photo bundle's integers: for training on, and for whatever else a checkpoint is for.

Integers fix the float network but for the scale of each ReLU's channels and of each channel of the residual stream,
which cancel out. They are chosen so that all layers' weights are about as large, as an optimiser leaves them.
"""

from pathlib import Path

import numpy as np
import torch

from export.errors import ExportError
from export.photo.network import output_units
from export.photo.quantise import offsets_of
from lmconv.checkpoints.checkpoint import Checkpoint
from lmconv.config import PhotoConfig
from lmconv.networks.photo import CURRENT, CURRENT_SCALE, KNOWN, KNOWN_SCALE, ZERO, PhotoNet
from runtime.bundle import read_weights
from runtime.photo import PhotoLayout

_ROUNDS = 200  # of balancing; scales no longer change long before

_Layers = dict[str, tuple[np.ndarray, np.ndarray]]  # matrix float64 [inputs, outputs] and bias [outputs], by name


def checkpoint_of(path: Path) -> Checkpoint:
    """A checkpoint of a photo bundle's network, of no step. Raises BundleError, and ExportError for other networks."""
    manifest, tensors = read_weights(path)
    layout = manifest.layout
    if not isinstance(layout, PhotoLayout):
        raise ExportError(f"{path} is of kind {layout.kind}: only photo networks are brought back to floats")
    channels, blocks = tensors["head.weight"].shape[0], len(tensors["exponents"]) - 1
    config = PhotoConfig(channels=channels, blocks=blocks, components=layout.components, kernel=layout.kernel)
    net = PhotoNet(config)
    if offsets_of(net.masks["first"]) != layout.first_offsets:
        raise ExportError(f"{path}: its first layer reads other taps than PhotoNet's")
    _fill(net, _balanced(_reals(tensors, len(layout.first_offsets), config), blocks))
    state = {name: tensor.detach().clone() for name, tensor in net.state_dict().items()}
    return Checkpoint(config, state, state, {}, {"bundle": manifest.model_id})


def _reals(tensors: dict[str, np.ndarray], taps: int, config: PhotoConfig) -> _Layers:
    """The layers on the bundle's own scales of activations."""
    layers, exponents = {}, tensors["exponents"].tolist()
    for name in [key.removesuffix(".weight") for key in tensors if key.endswith(".weight")]:
        unit = 2.0 ** -tensors[f"{name}.shift"].astype(np.float64)
        whole, bias = tensors[f"{name}.weight"].astype(np.float64), tensors[f"{name}.bias"].astype(np.float64)
        if name == "first":  # the zeros of its codes are in the bias
            zero = np.array(([ZERO] * (KNOWN - 1) + [0]) * taps + [ZERO] * CURRENT)
            bias = bias + (whole * zero[:, None]).sum(0)
        layers[name] = whole * unit, bias * unit
    for name, exponent in zip([*_of_blocks("wide", config.blocks), "head"], exponents):  # the stream enters divided
        layers[name] = layers[name][0] * 2.0**-exponent, layers[name][1]
    scales = np.concatenate([np.tile(KNOWN_SCALE, taps), CURRENT_SCALE])
    layers["first"] = layers["first"][0] * scales[:, None], layers["first"][1]
    units, (weight, bias) = output_units(config.components), layers["out"]
    layers["out"] = weight / units, (bias - 0.5) / units
    return layers


def _balanced(layers: _Layers, blocks: int) -> _Layers:
    """The same function with the scales for which the sum over layers of the weights' mean squares is least: it is
    convex in the scales' logarithms."""
    wide, narrow = _of_blocks("wide", blocks), _of_blocks("narrow", blocks)
    weights, biases = ({name: layer[part].copy() for name, layer in layers.items()} for part in (0, 1))

    def rescale(writers: list[str], readers: list[str]) -> None:
        """The channels that writers write and readers read."""
        count = weights[writers[0]].shape[1]
        written = sum((weights[name] ** 2).sum(0) / weights[name].size for name in writers)
        shapes = {name: (-1, count, weights[name].shape[1]) for name in readers}
        read = sum((weights[k].reshape(shape) ** 2).sum((0, 2)) / weights[k].size for k, shape in shapes.items())
        used = (written > 0) & (read > 0)
        scale = np.where(used, np.divide(read, written, where=used, out=np.ones(count)) ** 0.25, 1.0)
        for name in writers:
            weights[name] *= scale
            biases[name] *= scale
        for name in readers:
            weights[name] /= np.tile(scale, len(weights[name]) // count)[:, None]

    for _ in range(_ROUNDS):
        rescale(["first", *narrow], [*wide, "head"])
        for writer, reader in [*zip(wide, narrow), ("head", "out")]:
            rescale([writer], [reader])
    return {name: (weights[name], biases[name]) for name in layers}


@torch.no_grad()
def _fill(net: PhotoNet, layers: _Layers) -> None:
    """Puts the matrices into the network's kernels, tap by tap; closed taps are 0."""
    first_offsets, offsets = offsets_of(net.masks["first"]), offsets_of(net.masks["later"])
    known = KNOWN * len(first_offsets)
    first, bias = layers["first"]
    kernels = {"first": _kernel(first[:known], first_offsets), "current": _kernel(first[known:], ((0, 0),))}
    biases = {"first": bias}
    for name, (matrix, bias) in layers.items():
        if name != "first":
            kernels[name] = _kernel(matrix, offsets if name.endswith(".wide") else ((0, 0),))
            biases[name] = bias
    for name, kernel in kernels.items():
        layer = net.get_submodule(name)
        layer.get_parameter("weight").copy_(torch.from_numpy(kernel))
        if name in biases:
            layer.get_parameter("bias").copy_(torch.from_numpy(biases[name]))


def _kernel(matrix: np.ndarray, taps: tuple[tuple[int, int], ...]) -> np.ndarray:
    """[taps * inputs, outputs] -> [outputs, inputs, k, k]."""
    reach = max(abs(part) for tap in taps for part in tap)
    inputs = len(matrix) // len(taps)
    kernel = np.zeros((matrix.shape[1], inputs, 2 * reach + 1, 2 * reach + 1))
    for number, (row, column) in enumerate(taps):
        kernel[:, :, row + reach, column + reach] = matrix[number * inputs : (number + 1) * inputs].T
    return kernel


def _of_blocks(part: str, blocks: int) -> list[str]:
    return [f"blocks.{block}.{part}" for block in range(blocks)]
