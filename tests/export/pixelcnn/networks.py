"""Tiny networks of every published option, quantised once each for several orders."""

from dataclasses import replace
from functools import cache

import numpy as np

from export.pixelcnn.network import IntegerPixelCnn
from export.pixelcnn.quantise import quantise_pixelcnn
from lmconv import orders
from lmconv.config import PixelCnnConfig
from lmconv.networks.pixelcnn import PixelCnn
from tests.lmconv import tiny

HEIGHT, WIDTH = 5, 6
CALIBRATED = ("s_curve", "s_curve:5", "gilbert:3")
COLOUR = replace(tiny.COLOUR, filters=8)  # pono over fewer random channels magnifies errors a hundred times
BINARY = replace(tiny.BINARY, filters=8)
GREY = replace(COLOUR, channels=1)
NETWORKS = {
    "colour": replace(COLOUR, filters=10),
    "binary": BINARY,
    "grey, weight norm": replace(GREY, norm="weight_norm", filters=5),
    "grey, no norm, no bias": replace(GREY, norm="none", filters=4, bias=False, dilation=1),
    "binary, order rescale, mask weights": replace(BINARY, norm="order_rescale", filters=4, mask_weight=True),
    "colour, kernel 5, mask weights": replace(COLOUR, kernel=5, mask_weight=True, dilation=3),
    "colour, order rescale, kernel 5": replace(COLOUR, kernel=5, norm="order_rescale", filters=6),
    "grey, two resnets, dropout": replace(GREY, resnets=2, dropout=0.3),
}


def images(config: PixelCnnConfig, count: int = 3, seed: int = 0) -> np.ndarray:
    """Levels uint8 [N, C, 5, 6]."""
    pixels = tiny.pixels(count, config.channels, HEIGHT, WIDTH, seed)
    return (pixels > 127).astype(np.uint8) if config.binary else pixels


def hostile(config: PixelCnnConfig) -> np.ndarray:
    """Black, white, a checkerboard and noise, levels uint8 [4, C, 5, 6]."""
    shape = (config.channels, HEIGHT, WIDTH)
    checker = np.broadcast_to(np.indices(shape[1:]).sum(0) % 2, shape)
    noise = np.random.default_rng(0).integers(0, 2 if config.binary else 256, shape)
    top = 1 if config.binary else 255
    return np.stack([np.zeros(shape), np.full(shape, top), checker * top, noise]).astype(np.uint8)


def rank(order: str) -> np.ndarray:
    return orders.make(order, HEIGHT, WIDTH)


@cache
def quantised(name: str) -> tuple[PixelCnn, IntegerPixelCnn]:
    config = NETWORKS[name]
    net = tiny.random_net(config)
    return net, quantise_pixelcnn(net, [rank(order) for order in CALIBRATED], images(config, 12, seed=1))
