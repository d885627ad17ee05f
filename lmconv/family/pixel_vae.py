"""PixelVAE (Gulrajani et al. 2017, section 3): a PixelCNN whose every pixel is also told latent numbers.

An encoder gives a Gaussian of the latent numbers of an image; a decoder makes a map of features of them, to which the
masked layers of a PixelCNN add what the pixels before say. The likelihood is a bound, the ELBO (equation 1): the nats
of the pixels given latent numbers drawn once, and the divergence of the encoder's Gaussian from the standard one, which
is spread over the pixels evenly. Of the paper's hierarchy of latent numbers this is the first stage.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmconv.family.masked_pixelcnn import Stack
from lmconv.family.settings import PixelVaeConfig
from lmconv.networks.distributions import centred, distribution
from lmconv.networks.model import Choose, ImageNetwork, View, outputs

_SMALL = 4  # rows and columns of the map that latent numbers become before it is enlarged


class Network(ImageNetwork[PixelVaeConfig]):
    """forward -> [B, P + 1, H, W]: the last are the divergence's nats, from PyTorch's generator."""

    estimated = True

    def __init__(self, config: PixelVaeConfig) -> None:
        super().__init__(config)
        f, self.latents = config.filters, config.latents
        self.encoder = nn.Sequential(
            nn.Conv2d(config.channels, f, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(f, 2 * f, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(_SMALL),
            nn.Flatten(),
            nn.Linear(2 * f * _SMALL**2, 2 * config.latents),
        )
        self.decoder = nn.Linear(config.latents, 2 * f * _SMALL**2)
        self.refine = nn.Sequential(nn.Conv2d(2 * f, f, 3, padding=1), nn.ReLU(), nn.Conv2d(f, f, 3, padding=1))
        self.stack = Stack(config.channels, f, config.kernel, config.blocks, outputs(config))

    @staticmethod
    def nll(net: Callable[..., Tensor], config: Any, levels: Tensor, view: View) -> Tensor:
        """The bound."""
        found = net(centred(levels, config.bits), view)
        return distribution(config).nll(found[:, :-1], levels) + found[:, -1]

    def forward(self, x: Tensor, view: View) -> Tensor:
        """[B, C, H, W] -> [B, P + 1, H, W]."""
        mean, log_scale = self.encoder(x).chunk(2, 1)
        latents = mean + torch.exp(log_scale) * torch.randn_like(mean)
        divergence = 0.5 * (mean.square() + torch.exp(2 * log_scale) - 1) - log_scale
        spread = divergence.sum(1)[:, None, None, None] / (x.shape[2] * x.shape[3])
        return torch.cat((self.full(self.stack(x, self.told(x, latents))), spread.expand(-1, 1, *x.shape[2:])), 1)

    def told(self, x: Tensor, latents: Tensor) -> Tensor:
        """Features [B, F, H, W] of images like x that latent numbers [B, L] give."""
        small = self.decoder(latents).view(len(x), -1, _SMALL, _SMALL)
        return self.refine(F.interpolate(small, x.shape[2:], mode="bilinear"))

    @torch.no_grad()
    def draw(self, view: View, choose: Choose, x: Tensor, latents: Tensor) -> None:
        """Pixel by pixel, given standard Gaussian numbers [B, L]."""
        told = self.told(x, latents)
        self.stack.walk(x, told, lambda out, position: choose(self.full(out), position))
