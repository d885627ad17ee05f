"""Networks that are trained for all orders at once (Uria, Murray and Larochelle 2014; with Cote and Gregor 2016).

Such a network gives every pixel's parameters from the known pixels and a mask of them. Training draws how many pixels
are known, d of D, and which. The mean over all orders of -log p has D terms, in the one of d each unknown pixel is as
likely to come next as another: D / (D - d) times the sum over the unknown pixels is an estimate without bias (2014,
equation 7). Under a single order the pixels come one by one, each from a pass of its own; several orders make an
ensemble (section 4).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lmconv import orders
from lmconv.networks.distributions import centred, distribution
from lmconv.networks.model import Choose, Config, ImageNetwork, View


class Orderless(ImageNetwork[Config]):
    """forward takes a View, or for training a mask of known pixels, bool [B, H, W]."""

    estimated = True

    @staticmethod
    def view(config: Any, rank: np.ndarray) -> View:
        """Raises OrderError for an order with ties."""
        orders.check_permutation(rank)
        return ImageNetwork.view(config, rank)

    @classmethod
    def objective(cls, net: Callable[..., Tensor], config: Any, levels: Tensor, view: View) -> Tensor:
        """An estimate of the mean of -log p over all orders, nats [B, H, W], from PyTorch's generator."""
        count = levels.shape[2] * levels.shape[3]
        ranks = torch.rand(len(levels), count, device=levels.device).argsort(1)
        number = torch.randint(count, (len(levels), 1), device=levels.device)
        known = (ranks < number).view(len(levels), *levels.shape[2:])
        nats = distribution(config).nll(net(centred(levels, config.bits), known), levels)
        return nats * ~known * (count / (count - number.view(-1, 1, 1)))

    def given(self, x: Tensor, known: Tensor) -> Tensor:
        """Outputs [B, P, H, W] of every position from images [B, C, H, W], 0 where they are not known, and the mask
        [B, 1, H, W] in the same type."""
        raise NotImplementedError

    def forward(self, x: Tensor, view: View | Tensor) -> Tensor:
        """[B, C, H, W] -> [B, P, H, W]: of each position given those before it, or given those of a mask."""
        if isinstance(view, Tensor):
            mask = view[:, None].to(x.dtype)
            return self.full(self.given(x * mask, mask))
        found: dict[int, Tensor] = {}
        flat = x.flatten(2)

        def known(out: Tensor, position: int) -> Tensor:
            found[position] = out
            return flat[:, :, position]

        self.walk(view, x, known)
        parameters = torch.stack([found[position] for position in range(len(found))], 2)
        return self.full(parameters).unflatten(2, x.shape[2:])

    @torch.no_grad()
    def draw(self, view: View, choose: Choose, x: Tensor) -> None:
        """Goes through the positions and puts into x [B, C, H, W] what `choose` makes of each one's parameters."""
        flat = x.flatten(2)

        def put(out: Tensor, position: int) -> Tensor:
            flat[:, :, position] = choose(self.full(out), position)
            return flat[:, :, position]

        self.walk(view, x, put)

    def walk(self, view: View, x: Tensor, value: Callable[[Tensor, int], Tensor]) -> None:
        """Position by position: `value` makes of the outputs [B, P] there what is known from then on, [B, C]."""
        seen, mask = torch.zeros_like(x), torch.zeros_like(x[:, :1])
        for position in view.rank.flatten().argsort().tolist():
            at = divmod(position, x.shape[3])
            now = value(self.given(seen, mask)[:, :, at[0], at[1]], position)
            seen, mask = seen.clone(), mask.clone()
            seen[:, :, at[0], at[1]], mask[:, :, at[0], at[1]] = now, 1
