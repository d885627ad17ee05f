"""The paper's networks, tiny, for tiles of 8 x 8: what the bundles of conftest.py are made of."""

from dataclasses import replace

import numpy as np

from lmconv.checkpoints.checkpoint import Checkpoint
from tests.export.checkpoints import checkpoint_of
from tests.lmconv import tiny

SIDE = 8
ORDERS = ("s_curve:0", "hilbert:3", "wavefront:4")
KINDS = {
    "colour": tiny.COLOUR,
    "grey": replace(tiny.COLOUR, channels=1, norm="order_rescale", mask_weight=True),
    "binary": replace(tiny.BINARY, norm="weight_norm"),
}


def checkpoint(kind: str) -> Checkpoint:
    return checkpoint_of(KINDS[kind], {"order": "s_curve", "variants": [0, 1], "height": SIDE, "width": SIDE})


def levels(kind: str, count: int, seed: int = 0, height: int = SIDE, width: int = SIDE) -> np.ndarray:
    """Images, uint8 [N, C, H, W], of a network's levels."""
    config = KINDS[kind]
    pixels = tiny.pixels(count, config.channels, height, width, seed)
    return (pixels > 127).astype(np.uint8) if config.binary else pixels


def codes(kind: str, images: np.ndarray) -> np.ndarray:
    """What the runtime takes for levels."""
    return images * np.uint8(255) if KINDS[kind].binary else images
