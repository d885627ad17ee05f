"""Any network of ours from its configuration: built, weighed and asked for likelihoods, whichever it is."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lmconv.config import ImageConfig, PhotoConfig, PixelCnnConfig
from lmconv.family.settings import CONFIGS
from lmconv.layers import LocallyMaskedConv2d
from lmconv.networks import model
from lmconv.networks.photo import PhotoNet
from lmconv.networks.pixelcnn import PixelCnn, order_masks
from lmconv.networks.two_stream import TwoStreamPixelCnn

Network = PhotoConfig | ImageConfig
Forward = Callable[..., Tensor]  # a network, or what stands for one
KINDS: dict[str, type] = {"photo": PhotoConfig, "pixelcnn": PixelCnnConfig, **CONFIGS}


def kind(network: Network) -> str:
    """The name of a network's sort in files, a key of KINDS."""
    return next(name for name, config in KINDS.items() if type(network) is config)


def build(network: Network) -> nn.Module:
    """The network with weights from PyTorch's generator."""
    if isinstance(network, PhotoConfig):
        return PhotoNet(network)
    return sort(network)(network)


def sort(network: ImageConfig) -> type[model.ImageNetwork]:
    """The class of a network of images."""
    if isinstance(network, PixelCnnConfig):
        return TwoStreamPixelCnn if network.two_stream else PixelCnn
    return import_module(f"lmconv.family.{kind(network)}").Network


def view(network: ImageConfig, rank: np.ndarray, once: bool = False) -> Any:
    """What a network of images is told of an order [H, W]; once: for a batch alone. Raises LmconvError for an order or
    a size that the network cannot have."""
    if isinstance(network, PixelCnnConfig) and not network.two_stream:
        return order_masks(rank, network, patterns=not once)
    return sort(network).view(network, rank)


def depth(network: Network) -> int:
    """Blocks, or blocks in a group: a network has more tensors than that."""
    if isinstance(network, PhotoConfig):
        return network.blocks
    return network.resnets if isinstance(network, PixelCnnConfig) else 0


def shapes(network: Network) -> dict[str, torch.Size]:
    """The names and shapes of its state, found without memory for the weights."""
    with torch.device("meta"):
        return {name: tensor.shape for name, tensor in build(network).state_dict().items()}


def hidden_weights(net: nn.Module) -> list[nn.Parameter]:
    """The weights that Muon is for: of hidden layers, without first and last ones, biases and weight-normed layers."""
    if isinstance(net, PhotoNet):
        return net.matrices()
    layers = [module for module in net.modules() if isinstance(module, LocallyMaskedConv2d)]
    plain = {id(parameter) for parameter in net.parameters()}
    return [layer.weight for layer in layers[1:] if id(layer.weight) in plain]


def nll(net: Forward, network: ImageConfig, levels: Tensor, view: Any, given: Tensor | None = None) -> Tensor:
    """-log p of each pixel in nats [B, H, W], from levels [B, C, H, W] 0 .. 2^bits - 1.

    `net` is a network of the config or stands for one; `view` is of the order; `given` uint8 [B, P, H, W], on any
    device, are planes given with the images.
    """
    return sort(network).nll(net, network, levels, view.beside(given))


def objective(net: Forward, network: ImageConfig, levels: Tensor, view: Any, given: Tensor | None = None) -> Tensor:
    """What training lowers, likewise: -log p, or of networks that learn all orders at once an estimate of its mean."""
    return sort(network).objective(net, network, levels, view.beside(given))
