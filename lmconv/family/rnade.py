"""Real-valued NADE (Uria, Murray and Larochelle 2013): mixtures of Gaussians.

As NADE, with rectified units whose sums are scaled by a number for each position (equation 3), since they grow with the
pixels that were seen; here these begin at one over the root of their number. With `density` it learns densities of
levels plus uniform noise, as the paper does on patches of photographs: in nats of the levels these are a bound, as by
Jensen's inequality a density integrated over a bin is no less likely. Without, the mass of each level's bin.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmconv.family import nade
from lmconv.family.settings import NadeConfig
from lmconv.networks.distributions import Gaussians, distribution
from lmconv.networks.model import View


class Network(nade.Network):
    """As NADE's, and `scale [D]`."""

    def __init__(self, config: NadeConfig) -> None:
        super().__init__(config)
        self.scale = nn.Parameter(torch.arange(1, config.positions + 1).rsqrt())

    def units(self, total: Tensor, positions: Tensor) -> Tensor:
        """Rectified, of scaled sums."""
        return F.relu(total * self.scale[positions][:, None, None])

    @staticmethod
    def nll(net: Callable[..., Tensor], config: Any, levels: Tensor, view: View) -> Tensor:
        """Of levels, or with `density` of real values in the levels' bins, from PyTorch's generator."""
        if not config.density:
            return nade.Network.nll(net, config, levels, view)
        mixture, width = distribution(config), 2 / (2**config.bits - 1)  # of a bin
        assert isinstance(mixture, Gaussians)
        x = (levels + torch.rand(levels.shape, device=levels.device) - 0.5) * width - 1
        return -mixture.density(net(x, view), x) - config.channels * math.log(width)
