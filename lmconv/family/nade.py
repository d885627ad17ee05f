"""Neural autoregressive distribution estimator (Larochelle and Murray 2011).

h_i = sigmoid(c + sum over j before i of W_j x_j), out_i = b_i + V_i h_i: as Bengio and Bengio's, but with one matrix W
for all pixels. The sum for a pixel is that for the pixel before it and one more term, so all conditionals together take
a number of operations in proportion to pixels times hidden units. Initial weights are the paper's experiments', uniform
in +- 1 / sqrt(D); the optimiser is ours.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn

from lmconv import orders
from lmconv.family.settings import NadeConfig
from lmconv.networks.model import Choose, ImageNetwork, View, outputs

PIECE = 16  # positions whose hidden units are in memory at once


class Network(ImageNetwork[NadeConfig]):
    """`inner [D, C, K]`, `inner_bias [K]`, `outer [D, K, P]`, `bias [D, P]` for D positions, K hidden units.

    Positions go one after the other, so an order has no ties.
    """

    def __init__(self, config: NadeConfig) -> None:
        super().__init__(config)
        count, positions, hidden = outputs(config), config.positions, config.hidden
        bound = 1 / math.sqrt(positions)
        self.inner = nn.Parameter(torch.empty(positions, config.channels, hidden).uniform_(-bound, bound))
        self.inner_bias = nn.Parameter(torch.zeros(hidden))
        self.outer = nn.Parameter(torch.empty(positions, hidden, count).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(positions, count))

    @staticmethod
    def view(config: NadeConfig, rank: np.ndarray) -> View:
        """Raises OrderError for an order with ties."""
        orders.check_permutation(rank)
        return ImageNetwork.view(config, rank)

    def forward(self, x: Tensor, view: View) -> Tensor:
        """[B, C, H, W] -> [B, P, H, W]."""
        order = view.rank.flatten().argsort()
        values = x.flatten(2).permute(2, 0, 1)  # [D, B, C]
        total, found = self.inner_bias.expand(x.shape[0], -1), []
        for piece in zip(order.split(PIECE), *(each[order].split(PIECE) for each in (values, *self.tensors()))):
            total, out = self._piece(total, *piece)
            found.append(out)
        return self.full(torch.cat(found)[view.rank.flatten()].permute(1, 2, 0).unflatten(2, x.shape[2:]))

    @torch.no_grad()
    def draw(self, view: View, choose: Choose, x: Tensor) -> None:
        """Goes through the positions and puts into x [B, C, H, W] what `choose` makes of each one's parameters."""
        flat, total = x.flatten(2), self.inner_bias.expand(len(x), -1)
        for position in view.rank.flatten().argsort():
            at = int(position)
            out = self.units(total[None], position[None])[0] @ self.outer[at] + self.bias[at]
            flat[:, :, at] = choose(self.full(out), at)
            total = total + flat[:, :, at] @ self.inner[at]

    def tensors(self) -> tuple[Tensor, ...]:
        """What has a row for each position, and is gathered in their order once."""
        return self.inner, self.outer, self.bias

    def units(self, total: Tensor, positions: Tensor) -> Tensor:
        """The hidden units of their sums [n, B, K] at n positions."""
        return torch.sigmoid(total)

    def _piece(
        self, total: Tensor, positions: Tensor, values: Tensor, inner: Tensor, outer: Tensor, bias: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The sums before a piece of positions [B, K] -> those after it, and the outputs [n, B, P] at its positions."""
        earlier = torch.ones(len(values), len(values)).tril(-1).to(values)  # [i, j]: whether j comes before i
        terms = torch.einsum("ij,jbc->ibjc", earlier, values).flatten(0, 1).flatten(1)  # [n B, n C]
        hidden = self.units((terms @ inner.flatten(0, 1)).unflatten(0, (len(values), -1)) + total, positions)
        out = torch.stack([(hidden * one[:, None]).sum(2) for one in outer.unbind(2)], 2)  # quicker than products
        after = total + values.transpose(0, 1).flatten(1) @ inner.flatten(0, 1)
        return after, out + bias[:, None]
