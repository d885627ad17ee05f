"""Checkpoints of networks with random weights, small enough to be exported in a test."""

import numpy as np
import torch

from lmconv.checkpoints.checkpoint import Checkpoint
from lmconv.config import PhotoConfig, PixelCnnConfig
from lmconv.networks import kinds
from lmconv.networks.photo import PhotoNet
from tests import tolerance

TINY = dict(filters=4, resnets=1, components=2)
COLOUR = PixelCnnConfig(**TINY)
GREY = PixelCnnConfig(channels=1, bits=5, norm="weight_norm", **TINY)
BINARY = PixelCnnConfig(channels=1, bits=1, binary=True, norm="order_rescale", **TINY)
TWO_STREAM = PixelCnnConfig(norm="weight_norm", two_stream=True, **TINY)
PHOTO = PhotoConfig(channels=6, blocks=1, components=2, first_kernel=5)
TRAINING = {"order": "s_curve", "variants": [3, 0], "height": 5, "width": 6}


def checkpoint_of(network: kinds.Network, training: dict = TRAINING, seed: int = 0, **more) -> Checkpoint:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = kinds.build(network)
        if isinstance(net, PhotoNet):
            torch.nn.init.normal_(net.out.weight, std=0.4)  # PhotoNet starts with zeros there
        else:
            net.head.parametrizations.weight.original0.data *= 5
    weights = net.state_dict()
    return Checkpoint(network, weights, weights, {}, training, **more)


def assert_alike(found: np.ndarray, expected: np.ndarray, checkpoint: Checkpoint) -> None:
    """Two ways to compute a network in float32."""
    check(found, expected)
    tolerance.assert_close(found, expected, tolerance.depth(checkpoint.net()))


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest one of any parameter, as a part of the largest parameter."""
    check(found, expected)
    return tolerance.distance(found, expected)


def check(found: np.ndarray, expected: np.ndarray) -> None:
    """That there is something to compare: the expected parameters are no constants."""
    assert found.dtype == expected.dtype == np.float32
    assert expected.std((0, 2, 3)).min() > 1e-3
