"""Masked autoencoder for distribution estimation (Germain, Gregor, Murray and Larochelle 2015).

A plain network of full layers whose masks leave no way from a pixel to itself or to those before it: a hidden unit has
a degree m, sees units (or pixels of rank) up to m, and is seen by those of degrees from m on (equations 8 and 9); a
pixel sees units of degrees below its rank. All conditionals come out of one pass. Ensembles of masks (section 4.2):
each order is trained with degrees of its own, drawn uniformly between the smallest of the layer before and D - 1, here
from a seed that the order itself gives, so that it always has the same. Direct arcs go from inputs to outputs.
Hidden units are ReLUs as in the paper's experiments, inputs from 0 to 1.
"""

import zlib
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmconv.family.settings import MadeConfig
from lmconv.networks.lists import module_list
from lmconv.networks.model import ImageNetwork, View, outputs


@dataclass(frozen=True, eq=False)
class Degrees(View):
    """The order and the degrees of the hidden layers' units, int64 [K] each."""

    hidden: tuple[Tensor, ...] = ()

    def to(self, device: torch.device | str) -> "Degrees":
        """The same on another device."""
        return replace(super().to(device), hidden=tuple(each.to(device) for each in self.hidden))


class Network(ImageNetwork[MadeConfig]):
    """`hidden` layers and `out`, `P D` numbers, to which the `direct` arcs [P D, C D] add; masked. Any order."""

    def __init__(self, config: MadeConfig) -> None:
        super().__init__(config)
        sizes = [config.channels * config.positions, *config.hidden]
        self.hidden = module_list(nn.Linear(*pair) for pair in zip(sizes, sizes[1:]))
        self.out = nn.Linear(sizes[-1], outputs(config) * config.positions)
        self.direct = nn.Parameter(torch.zeros(outputs(config) * config.positions, sizes[0]))

    @staticmethod
    def view(config: MadeConfig, rank: np.ndarray) -> Degrees:
        """The order with degrees drawn for it."""
        known = ImageNetwork.view(config, rank)
        rng = np.random.default_rng(zlib.crc32(rank.astype("<i4").tobytes()))
        low, last, hidden = int(rank.min()), int(rank.max()), []
        for size in config.hidden:
            degrees = rng.integers(low, max(last, low + 1), size)  # none sees the last rank: nobody may look at it
            low = int(degrees.min())
            hidden.append(torch.from_numpy(degrees))
        return Degrees(known.rank, None, tuple(hidden))

    def forward(self, x: Tensor, view: Degrees) -> Tensor:
        """[B, C, H, W] -> [B, P, H, W]."""
        pixels, rank = (x.flatten(1) + 1) / 2, view.rank.flatten()
        h, seen = pixels, rank.repeat(self.config.channels)
        for layer, degrees in zip(self.hidden, view.hidden):
            h = F.relu(F.linear(h, layer.weight * (seen <= degrees[:, None]), layer.bias))
            seen = degrees
        out = F.linear(h, self.out.weight * self._before(seen, rank), self.out.bias)
        out = out + F.linear(pixels, self.direct * self._before(rank.repeat(self.config.channels), rank))
        return self.full(out.unflatten(1, (-1, *x.shape[2:])))

    def _before(self, seen: Tensor, rank: Tensor) -> Tensor:
        """The mask [P D, n] of outputs that may see units, or pixels, of degrees `seen` [n]."""
        return (seen < rank[:, None]).repeat(outputs(self.config), 1)
