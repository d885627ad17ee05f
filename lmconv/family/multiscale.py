"""Parallel multiscale density estimation (Reed et al. 2017, section 3).

The pixels of a level (orders.multiscale) do not see each other: a network of the level's own computes all of their
parameters at once from the pixels of the levels before, so that an image takes as many passes as there are levels. It
works on the grid that the pixels known so far and its own make up, so a coarse level costs little and sees far. The
paper begins with a PixelCNN on a small image; here the step is so large that the first level is one pixel, whose
parameters are constants. The networks see the known pixels where they are and a mask of them, not enlarged.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmconv.errors import LmconvError
from lmconv.family.settings import MultiscaleConfig
from lmconv.networks.lists import module_list
from lmconv.networks.model import ImageNetwork, View, outputs


@dataclass(frozen=True, eq=False)
class Grids(View):
    """The order, and for each level from 1 on that it has which rows and which columns the grid is of."""

    grids: dict[int, tuple[slice, slice]] = field(default_factory=dict)


def grid(known: np.ndarray) -> slice:
    """The coarsest grid that has all indices of `known` [n]."""
    start = int(known.min())
    return slice(start, None, max(1, int(np.gcd.reduce(known - start))))


class Level(nn.Module):
    """Residual blocks of 3 x 3 convolutions."""

    def __init__(self, config: MultiscaleConfig) -> None:
        super().__init__()
        f = config.filters
        self.first = nn.Conv2d(config.channels + 1, f, 3, padding="same")
        self.inner = module_list(nn.Conv2d(f, f, 3, padding="same") for _ in range(config.blocks))
        self.outer = module_list(nn.Conv2d(f, f, 3, padding="same") for _ in range(config.blocks))
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
    def view(config: MultiscaleConfig, rank: np.ndarray) -> Grids:
        """The order with its grids. Raises LmconvError for an order of other ranks."""
        if not 0 <= rank.min() <= rank.max() <= config.levels:
            raise LmconvError(
                f"the network has levels 0 to {config.levels}, the order {int(rank.min())} to {int(rank.max())}"
            )
        known = {int(number): np.nonzero(rank <= number) for number in np.unique(rank[rank > 0])}
        grids = {number: (grid(rows), grid(cols)) for number, (rows, cols) in known.items()}
        return Grids(ImageNetwork.view(config, rank).rank, None, grids)

    def forward(self, x: Tensor, view: Grids) -> Tensor:
        """[B, C, H, W] -> [B, P, H, W]."""
        found = self.start[:, None, None].repeat(x.shape[0], 1, *x.shape[2:])
        for number, (rows, cols) in view.grids.items():
            rank = view.rank[rows, cols]
            known = (rank < number).to(x.dtype).expand(x.shape[0], 1, -1, -1)
            new = self.levels[number - 1](x[:, :, rows, cols] * known, known)
            found[:, :, rows, cols] = torch.where(rank == number, new, found[:, :, rows, cols])
        return self.full(found)
