"""Fully visible sigmoid belief network (Frey, Hinton and Dayan 1996; Frey 1998): logistic regressions.

Each pixel's parameters are linear in the pixels before it: out_i = b_i + sum over j before i of W_ij x_j. The sum of
the regressions' losses is convex. The line begins here: no hidden units, a weight for each pair of pixels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmconv.family.settings import FvsbnConfig
from lmconv.networks.model import ImageNetwork, View, outputs


class Network(ImageNetwork[FvsbnConfig]):
    """`weight [P, D, C D]`, of which an order uses half, and `bias [P, D]`, for D positions. Any order."""

    def __init__(self, config: FvsbnConfig) -> None:
        super().__init__(config)
        count, positions = outputs(config), config.positions
        self.weight = nn.Parameter(torch.zeros(count, positions, config.channels * positions))
        self.bias = nn.Parameter(torch.zeros(count, positions))

    def forward(self, x: Tensor, view: View) -> Tensor:
        """[B, C, H, W] -> [B, P, H, W]."""
        seen = before(view.rank).repeat(1, self.config.channels)
        out = F.linear(x.flatten(1), (self.weight * seen).flatten(0, 1), self.bias.flatten())
        return self.full(out.unflatten(1, (-1, *x.shape[2:])))


def before(rank: Tensor) -> Tensor:
    """[D, D] bool of a rank map [H, W]: row i has the positions that come before i."""
    flat = rank.flatten()
    return flat < flat[:, None]
