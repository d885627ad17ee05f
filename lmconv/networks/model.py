"""What every network of images is to the rest: parameters of a distribution at each pixel, under an order.

`forward` computes them for known images, whatever the network is made of. Likelihoods, training, drawing, completion
and coding need no more. A network that computes its positions one by one anyway may draw by its own `draw`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from lmconv import orders
from lmconv.config import ImageConfig
from lmconv.errors import LmconvError
from lmconv.networks.distributions import centred, distribution

Config = TypeVar("Config", bound=ImageConfig)
AnyView = TypeVar("AnyView", bound="View")
Choose = Callable[[Tensor, int], Tensor]  # parameters [B, P] at a position -> centred values [B, C]


@dataclass(frozen=True, eq=False)
class View:
    """What a network is told of an order and a batch: the rank map int64 [H, W], and planes uint8 [B, P, H, W] that are
    given with the images, or None."""

    rank: Tensor
    planes: Tensor | None = None

    def beside(self: AnyView, planes: Tensor | None) -> AnyView:
        """The same for images with which planes are given."""
        return self if planes is None else replace(self, planes=planes)

    def to(self: AnyView, device: torch.device | str) -> AnyView:
        """The same on another device."""
        return replace(self, rank=self.rank.to(device), planes=None if self.planes is None else self.planes.to(device))


class ImageNetwork(nn.Module, Generic[Config]):
    """forward(x float [B, C, H, W] in [-1, 1], view) -> parameters [B, P, H, W] of `distributions.distribution`.

    A position's depend on those of smaller rank alone.
    """

    config: Config
    latents: int = 0  # numbers that an image is drawn from besides those of its pixels
    estimated: ClassVar[bool] = False  # training is judged by the objective, which draws, as -log p takes too long
    draw: Any = None  # draw(view, choose, x): see `family.nade`; None: the whole network for each rank
    from_noise: Any = None  # from_noise(uniform [B, U, H, W], view) -> levels: where all is drawn at once

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config

    @staticmethod
    def view(config: Any, rank: np.ndarray) -> Any:
        """What forward takes for a rank map [H, W]. Raises LmconvError for an order or a size that cannot be."""
        if config.raster_only and (rank != orders.raster(*rank.shape)).any():
            raise orders.OrderError("the network knows the order raster alone")
        size = (getattr(config, "height", rank.shape[0]), getattr(config, "width", rank.shape[1]))
        if rank.shape != size:
            raise LmconvError(f"the network is for images of {size[0]}x{size[1]}, not {rank.shape[0]}x{rank.shape[1]}")
        return View(torch.from_numpy(rank.astype(np.int64)))

    @staticmethod
    def nll(net: Callable[..., Tensor], config: Any, levels: Tensor, view: Any) -> Tensor:
        """-log p of each pixel in nats [B, H, W], or a bound of it, from levels [B, C, H, W]; `net` stands for the
        network."""
        return distribution(config).nll(net(centred(levels, config.bits), view), levels)

    @classmethod
    def objective(cls, net: Callable[..., Tensor], config: Any, levels: Tensor, view: Any) -> Tensor:
        """What training lowers, likewise: -log p, or an estimate of its mean over orders."""
        return cls.nll(net, config, levels, view)

    def log_prob(self, levels: Tensor, order: str = "raster") -> Tensor:
        """log p of levels uint8 [B, C, H, W] in nats [B], under an order (orders.make). Raises OrderError."""
        view = self.view(self.config, orders.make(order, *levels.shape[2:])).to(levels.device)
        weights = next(self.parameters())
        return -self.nll(lambda x, view: self(x.to(weights.dtype), view), self.config, levels, view).sum((1, 2))

    def steps(self, order: str, height: int, width: int) -> int:
        """In how many calls of the network an image is drawn: one for each rank. Raises OrderError."""
        return len(np.unique(orders.make(order, height, width)))

    def full(self, outputs: Tensor) -> Tensor:
        """Parameters from what a head computes, axis 1: of bits a head may give the logit of 1 alone."""
        return torch.cat((torch.zeros_like(outputs), outputs), 1) if self.config.binary else outputs


def outputs(config: ImageConfig) -> int:
    """How many numbers a head gives for a position (ImageNetwork.full)."""
    return 1 if config.binary else distribution(config).parameters
