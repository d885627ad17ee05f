"""Any network of ours from its configuration: built, weighed and asked for likelihoods, whichever it is."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lmconv.config import PhotoConfig, PixelCnnConfig
from lmconv.layers import LocallyMaskedConv2d
from lmconv.networks.distributions import centred, distribution
from lmconv.networks.photo import PhotoNet
from lmconv.networks.pixelcnn import OrderMasks, PixelCnn
from lmconv.networks.two_stream import TwoStreamPixelCnn

Network = PhotoConfig | PixelCnnConfig
Forward = Callable[..., Tensor]  # a network, or what stands for one
KINDS = {"photo": PhotoConfig, "pixelcnn": PixelCnnConfig}


def kind(network: Network) -> str:
    """The name of a network's sort in files, a key of KINDS."""
    return next(name for name, config in KINDS.items() if isinstance(network, config))


def build(network: Network) -> nn.Module:
    """The network with weights from PyTorch's generator."""
    if isinstance(network, PhotoConfig):
        return PhotoNet(network)
    return TwoStreamPixelCnn(network) if network.two_stream else PixelCnn(network)


def depth(network: Network) -> int:
    """Blocks, or blocks in a group: a network has more tensors than that."""
    return network.blocks if isinstance(network, PhotoConfig) else network.resnets


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


def nll(
    net: Forward, network: PixelCnnConfig, levels: Tensor, masks: OrderMasks | None, given: Tensor | None = None
) -> Tensor:
    """-log p of each pixel in nats [B, H, W], from levels [B, C, H, W] 0 .. 2^bits - 1.

    `net` is a network of the config or stands for one; `masks` are of the order, None for the two-stream network;
    `given` uint8 [B, P, H, W], on any device, are planes given with the images.
    """
    x = centred(levels, network.bits)
    parameters = net(x) if masks is None else net(x, masks.beside(given))
    return distribution(network).nll(parameters, levels)
