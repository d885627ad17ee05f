"""Parallel WaveNet (van den Oord et al. 2018): a student that makes all samples at once, and learns from a teacher.

An inverse autoregressive flow: noise z of a logistic becomes x_t = z_t s(z_before t) + m(z_before t); m and s come from
a WaveNet of the noise, several times over (section 3); all of it is one pass. Its own likelihood of a given sound
takes a walk through the samples. It learns by probability density distillation (section 4): the divergence of its
distribution from a teacher's, a WaveNet with a mixture of logistics, which is a cross-entropy less an entropy known in
closed form. Lest it whispers, the power of its sounds at each frequency is drawn to that of real ones (section 5).
"""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lmconv import orders
from lmconv.family.settings import ParallelWavenetConfig
from lmconv.family.wavenet import Stack, planes_of
from lmconv.networks.distributions import Logistics, centred
from lmconv.networks.lists import module_list
from lmconv.networks.model import ImageNetwork, View

_SPECTRUM = 256  # samples of a window of the power loss, at most


class Network(ImageNetwork[ParallelWavenetConfig]):
    """forward(noise [B, 1, 1, T], view) -> [B, 2, 1, T]: of each sample the mean and the logarithm of the scale of its
    logistic, given the noise before it."""

    def __init__(self, config: ParallelWavenetConfig) -> None:
        super().__init__(config)
        self.flows = module_list(Stack(config, 2) for _ in range(config.flows))

    def forward(self, noise: Tensor, view: View) -> Tensor:
        """All flows, one after the other."""
        x, planes = noise, planes_of(view, noise)
        mean = log_scale = torch.zeros_like(noise)
        for flow in self.flows:
            m, s = _limited(flow(x, planes))
            x, mean, log_scale = x * torch.exp(s) + m, mean * torch.exp(s) + m, log_scale + s
        return torch.cat((mean, log_scale), 1)

    def from_noise(self, uniform: Tensor, view: View) -> Tensor:
        """Levels uint8 [B, 1, 1, T] from uniform numbers [B, U, 1, T], in one pass."""
        noise = torch.logit(uniform[:, -1:]).to(next(self.parameters()).dtype)
        mean, log_scale = self(noise, view).chunk(2, 1)
        top = 2**self.config.bits - 1
        return ((noise * torch.exp(log_scale) + mean + 1) * (top / 2)).round().clamp(0, top).to(torch.uint8)

    @staticmethod
    def nll(net: Any, config: ParallelWavenetConfig, levels: Tensor, view: View) -> Tensor:
        """-log of the density at each sample of levels times their distance, nats [B, 1, T]; `net` is a Network."""
        return net.walked(levels, view)

    def log_prob(self, levels: Tensor, order: str = "raster") -> Tensor:
        """log of the density at levels times their distance, nats [B]. Of one order, raster."""
        return -self.walked(levels, self.view(self.config, orders.make(order, *levels.shape[2:]))).sum((1, 2))

    @torch.no_grad()
    def walked(self, levels: Tensor, view: View) -> Tensor:
        """`nll` by a walk through the samples of each flow, the last one first."""
        x = centred(levels, self.config.bits, next(self.parameters()).dtype)
        planes, logs = planes_of(view, x), torch.full_like(x, math.log(2 / (2**self.config.bits - 1)))
        for flow in reversed(self.flows):
            source, scales = torch.zeros_like(x), list[Tensor]()

            def back(out: Tensor, position: int, target: Tensor = x, found: list[Tensor] = scales) -> Tensor:
                m, s = _limited(out)
                found.append(s)
                return (target.flatten(2)[:, :, position] - m) * torch.exp(-s)

            flow.walk(source, planes, back)
            x, logs = source, logs - torch.cat(scales, 1).view_as(x)
        return -(logs + F.logsigmoid(x) + F.logsigmoid(-x))[:, 0]


def divergence(
    student: Callable[..., Tensor],
    teacher: Callable[..., Tensor],
    mixture: Logistics,
    noise: Tensor,
    view: View,
    draws: int,
) -> tuple[Tensor, Tensor]:
    """The divergence of a student from a teacher, nats [B], and the student's sounds [B, 1, 1, T] in [-1, 1].

    noise: of a logistic. Cross-entropies are means over `draws` of each sample from PyTorch's generator, given the same
    samples before it (equation 10).
    """
    mean, log_scale = student(noise, view).chunk(2, 1)
    x = noise * torch.exp(log_scale) + mean
    parameters = teacher(x, view)
    uniform = torch.rand((draws, *x.shape), device=x.device).clamp(1e-6, 1 - 1e-6)
    samples = torch.logit(uniform) * torch.exp(log_scale) + mean
    cross = torch.stack([-mixture.density(parameters, each) for each in samples]).mean(0)
    return (cross - log_scale[:, 0] - 2).sum((1, 2)), x


def power(x: Tensor) -> Tensor:
    """The mean power of sounds [B, 1, 1, T] at each frequency, as logarithms."""
    window = torch.hann_window(min(_SPECTRUM, x.shape[3]), device=x.device, dtype=x.dtype)
    spectrum = torch.stft(x[:, 0, 0], len(window), window=window, return_complex=True)
    return torch.log(spectrum.abs().square().mean((0, 2)) + 1e-6)


def _limited(out: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and logarithm of the scale, each [B, 1, ...]; scales are within e^7 either way."""
    mean, log_scale = out.chunk(2, 1)
    return mean, 7 * torch.tanh(log_scale / 7)
