"""Which parts of a network are computed in single precision although the others are not."""

import torch
from torch import Tensor, nn


def in_single(layer: nn.Module, x: Tensor) -> Tensor:
    """layer(x), in float32 where autocast has half precision: likelihoods need it."""
    if x.is_meta or not torch.is_autocast_enabled(x.device.type):
        return layer(x)
    with torch.autocast(x.device.type, enabled=False):
        return layer(x.float())
