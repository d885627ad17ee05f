"""Neural networks with a hidden layer for each conditional (Bengio and Bengio 2000, section 3).

Each pixel has hidden units of its own: h_i = tanh(c_i + U_i x_before i), out_i = b_i + V_i h_i. Nothing is shared
between pixels, so parameters grow with the square of their number times the hidden units: NADE mends that. The paper
groups inputs and prunes arcs by a test of dependence; here all pixels before one are its inputs, and there are no
direct arcs from inputs to outputs, which the paper leaves open.
"""

import math

import torch
from torch import Tensor, nn

from lmconv.family.fvsbn import before
from lmconv.family.settings import BengioConfig
from lmconv.networks.model import ImageNetwork, View, outputs


class Network(ImageNetwork[BengioConfig]):
    """`inner [D, K, C D]`, `inner_bias [D, K]`, `outer [D, P, K]`, `bias [P, D]` for D positions of K hidden units."""

    def __init__(self, config: BengioConfig) -> None:
        super().__init__(config)
        count, positions, hidden, inputs = outputs(config), config.positions, config.hidden, config.channels
        bound = 1 / math.sqrt(inputs * positions)
        self.inner = nn.Parameter(torch.empty(positions, hidden, inputs * positions).uniform_(-bound, bound))
        self.inner_bias = nn.Parameter(torch.zeros(positions, hidden))
        self.outer = nn.Parameter(torch.empty(positions, count, hidden).uniform_(-1, 1) / math.sqrt(hidden))
        self.bias = nn.Parameter(torch.zeros(count, positions))

    def forward(self, x: Tensor, view: View) -> Tensor:
        """[B, C, H, W] -> [B, P, H, W]."""
        seen = before(view.rank).repeat(1, self.config.channels)
        inner = self.inner * seen[:, None]
        hidden = torch.tanh((x.flatten(1) @ inner.flatten(0, 1).T).unflatten(1, inner.shape[:2]) + self.inner_bias)
        out = torch.einsum("bdk,dpk->bpd", hidden, self.outer) + self.bias
        return self.full(out.unflatten(2, x.shape[2:]))
