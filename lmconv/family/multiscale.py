"""Parallel multiscale density estimation (Reed et al. 2017, section 3).

The pixels of a level (orders.multiscale) do not see each other: a network of the level's own computes all of their
parameters at once from the pixels of the levels before, so that an image takes as many passes as there are levels. The
paper begins with a PixelCNN on a small image; here the step is so large that the first level is one pixel, whose
parameters are constants. The networks see the known pixels where they are and a mask of them, not enlarged.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmconv.errors import LmconvError
from lmconv.family.settings import MultiscaleConfig
from lmconv.networks.lists import module_list
from lmconv.networks.model import ImageNetwork, View, outputs


class Level(nn.Module):
    """Residual blocks of 3 x 3 convolutions of growing dilation, whose reach is all of a small image."""

    def __init__(self, config: MultiscaleConfig) -> None:
        super().__init__()
        f, dilations = config.filters, [2**number for number in range(config.blocks)]
        self.first = nn.Conv2d(config.channels + 1, f, 3, padding="same")
        self.inner = module_list(nn.Conv2d(f, f, 3, padding="same", dilation=dilation) for dilation in dilations)
        self.outer = module_list(nn.Conv2d(f, f, 3, padding="same") for _ in dilations)
        self.out = nn.Conv2d(f, outputs(config), 1)

    def forward(self, x: Tensor, known: Tensor) -> Tensor:
        """Images [B, C, H, W] of known pixels and their mask [B, 1, H, W] -> [B, P, H, W]."""
        h = self.first(torch.cat((x, known), 1))
        for inner, outer in zip(self.inner, self.outer):
            h = h + outer(F.relu(inner(F.relu(h))))
        return self.out(F.relu(h))


class Network(ImageNetwork[MultiscaleConfig]):
    """`start [P]` of the first level, `levels` of the others. Any order with as many ranks."""

    def __init__(self, config: MultiscaleConfig) -> None:
        super().__init__(config)
        self.start = nn.Parameter(torch.zeros(outputs(config)))
        self.levels = module_list(Level(config) for _ in range(config.levels))

    @staticmethod
    def view(config: MultiscaleConfig, rank: np.ndarray) -> View:
        """Raises LmconvError for an order of other ranks."""
        if not 0 <= rank.min() <= rank.max() <= config.levels:
            raise LmconvError(
                f"the network has levels 0 to {config.levels}, the order {int(rank.min())} to {int(rank.max())}"
            )
        return ImageNetwork.view(config, rank)

    def forward(self, x: Tensor, view: View) -> Tensor:
        """[B, C, H, W] -> [B, P, H, W]."""
        found = self.start[:, None, None].expand(len(x), -1, *x.shape[2:])
        for number, level in enumerate(self.levels, 1):
            if (here := view.rank == number).any():
                known = (view.rank < number).to(x.dtype).expand(len(x), 1, -1, -1)
                found = torch.where(here, level(x * known, known), found)
        return self.full(found)
