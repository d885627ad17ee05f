"""EoNADE and DeepNADE (Uria, Murray and Larochelle 2014; with Cote and Gregor 2016): full layers, all orders.

A pass under a single order needs no whole first layer: it changes by a column of weights for the pixel that came. The
paper's hidden units are ReLUs from two layers on.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmconv.family.orderless import Orderless
from lmconv.family.settings import EonadeConfig
from lmconv.networks.lists import module_list
from lmconv.networks.model import View, outputs


class Network(Orderless[EonadeConfig]):
    """`values [D, C, K]`, `known [D, K]` and `bias [K]` are the first layer, then come `hidden` layers and `out`."""

    def __init__(self, config: EonadeConfig) -> None:
        super().__init__(config)
        first, sizes, positions = config.hidden[0], config.hidden, config.positions
        bound = positions**-0.5
        self.values = nn.Parameter(torch.empty(positions, config.channels, first).uniform_(-bound, bound))
        self.known = nn.Parameter(torch.empty(positions, first).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(first))
        self.hidden = module_list(nn.Linear(*pair) for pair in zip(sizes, sizes[1:]))
        self.out = nn.Linear(sizes[-1], outputs(config) * positions)

    def given(self, x: Tensor, known: Tensor) -> Tensor:
        """As Orderless."""
        values = x.flatten(2).transpose(1, 2).flatten(1) @ self.values.flatten(0, 1)
        total = values + known.flatten(1) @ self.known + self.bias
        return self.out(self._deep(total)).unflatten(1, (-1, *x.shape[2:]))

    def walk(self, view: View, x: Tensor, value: Callable[[Tensor, int], Tensor]) -> None:
        """As Orderless."""
        total = self.bias.expand(len(x), -1)
        weights, biases = (each.unflatten(0, (-1, self.config.positions)) for each in (self.out.weight, self.out.bias))
        for position in view.rank.flatten().argsort().tolist():
            out = F.linear(self._deep(total), weights[:, position], biases[:, position])
            total = total + value(out, position) @ self.values[position] + self.known[position]

    def _deep(self, total: Tensor) -> Tensor:
        """From the first layer's sums to the last hidden layer."""
        h = F.relu(total)
        for layer in self.hidden:
            h = F.relu(layer(h))
        return h
