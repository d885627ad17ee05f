"""Likelihoods and how to sample them: discretised mixtures of logistics (Salimans et al. 2017), and categories.

Levels are integers 0 .. 2^bits - 1, [B, C, H, W]; the network and the logistics see them `centred`, in [-1, 1]. All
works position by position over axis 1: parameters may be images [B, P, H, W] or rows [N, P], and so with levels.
Sampling is in two steps, `noise` draws every uniform number and `sample` is a function of it, so that any sampler
which computes the same parameters draws the same pixels. Likelihoods are in nats.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from lmconv.config import ImageConfig
from lmconv.errors import LmconvError
from lmconv.networks.logistic import log_bin

LOG_SCALE_MIN = -7.0  # natural logarithm, in units of [-1, 1]


def distribution(config: ImageConfig) -> Logistics | Categorical:
    """The distribution whose parameters a network of this config computes."""
    if config.binary or config.categorical:
        return Categorical(config.bits)
    return (Gaussians if config.gaussian else Logistics)(config.channels, config.bits, config.components)


def centred(levels: Tensor, bits: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Levels 0 .. 2^bits - 1 -> [-1, 1], ends included."""
    return levels.to(dtype) * (2 / (2**bits - 1)) - 1


@dataclass(frozen=True)
class Logistics:
    """A mixture of discretised logistics for grey or colour levels.

    K components with one weight for all channels, a mean and a log-scale per channel; the means of G and B move with
    the levels of R, and of R and G. Parameters as published: K logits, then for each channel K means, K log-scales
    and, of colours, K couplings, whose first to third K are those of R on G, R on B and G on B. A bin reaches half
    a level to both sides, the first and the last take the tails: over all levels the probabilities sum to 1.

    The published code replaces probabilities below 1e-5 by a density at 8 bits, and so sums to 1 +- 2e-5. Here each is
    exact (logistic.py).
    """

    channels: int
    bits: int
    components: int

    @property
    def parameters(self) -> int:
        """Numbers per position that the network gives."""
        return self.components * (10 if self.channels == 3 else 3)

    @property
    def uniforms(self) -> int:
        """Uniform numbers per position that sampling takes: one a component to choose one, one a channel."""
        return self.components + self.channels

    def nll(self, parameters: Tensor, levels: Tensor) -> Tensor:
        """-log p of whole pixels, nats [B, H, W], from [B, P, H, W] and integers [B, C, H, W]."""
        parameters = _single_or_double(parameters)
        weights = F.log_softmax(parameters[:, : self.components], 1)
        return -torch.logsumexp(self.log_bins(parameters, levels).sum(1) + weights, 1)

    def log_bins(self, parameters: Tensor, levels: Tensor) -> Tensor:
        """log p of each level under each component, given the channels before it: [B, C, K, H, W]."""
        means, log_scales, couplings = self._logistics(_single_or_double(parameters))
        x = centred(levels, self.bits, means.dtype).unsqueeze(2)  # [B, C, 1, H, W]
        if self.channels == 3:
            means = torch.stack([self._mean(c, x, means, couplings) for c in range(3)], 1)
        top, level = 2**self.bits - 1, levels.unsqueeze(2)
        return self._log_bin(x - means, 1 / top, torch.exp(-log_scales), level == 0, level == top)

    def density(self, parameters: Tensor, x: Tensor) -> Tensor:
        """log of the density of real values x [B, C, H, W], in units of [-1, 1], nats [B, H, W]."""
        parameters = _single_or_double(parameters)
        means, log_scales, couplings = self._logistics(parameters)
        values = x.to(means.dtype).unsqueeze(2)
        if self.channels == 3:
            means = torch.stack([self._mean(c, values, means, couplings) for c in range(3)], 1)
        logs = self._log_density((values - means) * torch.exp(-log_scales)) - log_scales
        return torch.logsumexp(logs.sum(1) + F.log_softmax(parameters[:, : self.components], 1), 1)

    def noise(self, batch: int, height: int, width: int, generator: torch.Generator) -> Tensor:
        """All that is random in a batch of images: uniform in (0, 1), [B, U, H, W] float64, where the generator is."""
        return _uniform((batch, self.uniforms, height, width), generator)

    def sample(
        self, parameters: Tensor, noise: Tensor, mixture_temperature: float = 1.0, logistic_temperature: float = 1.0
    ) -> Tensor:
        """Levels uint8 [B, C, H, W] from [B, P, H, W] and noise [B, U, H, W], or rows [N, C] from rows.

        The mixture temperature divides the logits: at 0 the likeliest component is taken. The logistic one multiplies
        the scales: at 0 the mean's level is taken. Raises LmconvError where one is negative.
        """
        _check_temperatures(mixture_temperature, logistic_temperature)
        parameters, noise = parameters.double(), noise.to(parameters.device, torch.float64)
        # Gumbel-max: logits / T + gumbel has its maximum where logits + T gumbel has, which also serves T = 0.
        gumbel = -torch.log(-torch.log(noise[:, : self.components]))
        chosen = (parameters[:, : self.components] + mixture_temperature * gumbel).argmax(1, keepdim=True)
        means, log_scales, couplings = self._logistics(parameters)
        means, log_scales = (torch.take_along_dim(part, chosen.unsqueeze(1), 2) for part in (means, log_scales))
        if couplings is not None:
            couplings = torch.take_along_dim(couplings, chosen.unsqueeze(1), 2)  # as all of them [B, C, 1, H, W]
        drawn = self._quantile(noise[:, self.components :].unsqueeze(2))
        spread = logistic_temperature * torch.exp(log_scales) * drawn
        top, x, levels = 2**self.bits - 1, torch.zeros_like(spread), []
        for c in range(self.channels):
            value = self._mean(c, x, means, couplings) + spread[:, c]  # [B, 1, H, W]
            levels.append(((value + 1) * (top / 2)).round().clamp(0, top))
            x[:, c] = centred(levels[c], self.bits, x.dtype)
        return torch.cat(levels, 1).to(torch.uint8)

    @staticmethod
    def _log_bin(x: Tensor, half: float, inverse: Tensor, first: Tensor, last: Tensor) -> Tensor:
        return log_bin(x, half, inverse, first, last)

    @staticmethod
    def _quantile(noise: Tensor) -> Tensor:
        """Of the standard distribution."""
        return torch.logit(noise)

    @staticmethod
    def _log_density(x: Tensor) -> Tensor:
        """Of the standard distribution."""
        return F.logsigmoid(x) + F.logsigmoid(-x)

    def _logistics(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """[B, P, H, W] -> means, log-scales and couplings (None for grey), [B, C, K, H, W]."""
        per_channel = 3 if self.channels == 3 else 2
        parts = parameters[:, self.components :].unflatten(1, (self.channels, per_channel, self.components))
        couplings = torch.tanh(parts[:, :, 2]) if per_channel == 3 else None
        return parts[:, :, 0], parts[:, :, 1].clamp(min=LOG_SCALE_MIN), couplings

    @staticmethod
    def _mean(channel: int, x: Tensor, means: Tensor, couplings: Tensor | None) -> Tensor:
        """The means [B, K, H, W] of one channel, given the centred levels x [B, C, 1, H, W] of those before it."""
        mean = means[:, channel]
        if channel == 0 or couplings is None:
            return mean
        if channel == 1:
            return mean + couplings[:, 0] * x[:, 0]
        return mean + couplings[:, 1] * x[:, 0] + couplings[:, 2] * x[:, 1]


@dataclass(frozen=True)
class Gaussians(Logistics):
    """The same of Gaussians, whose scales are standard deviations."""

    @staticmethod
    def _log_bin(x: Tensor, half: float, inverse: Tensor, first: Tensor, last: Tensor) -> Tensor:
        """log of the mass from x - half to x + half, from and to infinity for the first and the last level; mirrored to
        the left, where differences in the tail keep their digits."""
        low, high = (x - half) * inverse, (x + half) * inverse
        low, high = torch.where(x > 0, -high, low), torch.where(x > 0, -low, high)
        first, last = torch.where(x > 0, last, first), torch.where(x > 0, first, last)
        above, below = torch.special.log_ndtr(high), torch.special.log_ndtr(low)
        above = torch.where(last, torch.zeros_like(above), above)
        gap = (below - above).clamp(max=-1e-7)
        return torch.where(first, above, above + torch.log(-torch.expm1(gap)))

    @staticmethod
    def _quantile(noise: Tensor) -> Tensor:
        return torch.special.ndtri(noise)

    @staticmethod
    def _log_density(x: Tensor) -> Tensor:
        return -0.5 * (x.square() + math.log(2 * math.pi))


@dataclass(frozen=True)
class Categorical:
    """A pixel of one channel, of 2^bits levels without a meaning of their order: bits, colours of a palette, labels,
    codes. A logit for each level."""

    bits: int
    channels: ClassVar[int] = 1
    uniforms: ClassVar[int] = 1

    @property
    def parameters(self) -> int:
        """Numbers per position that the network gives."""
        return 2**self.bits

    def nll(self, parameters: Tensor, levels: Tensor) -> Tensor:
        """-log p of whole pixels, nats [B, H, W], from [B, 2^bits, H, W] and integers [B, 1, H, W]."""
        parameters = _single_or_double(parameters)
        return F.cross_entropy(parameters, levels[:, 0].long(), reduction="none")

    def noise(self, batch: int, height: int, width: int, generator: torch.Generator) -> Tensor:
        """All that is random in a batch of images: uniform in (0, 1), [B, 1, H, W] float64, where the generator is."""
        return _uniform((batch, self.uniforms, height, width), generator)

    def sample(
        self, parameters: Tensor, noise: Tensor, mixture_temperature: float = 1.0, logistic_temperature: float = 1.0
    ) -> Tensor:
        """Levels uint8 [B, 1, H, W] from [B, 2^bits, H, W] and noise [B, 1, H, W], or rows [N, 1] from rows.

        The mixture temperature divides the logits: at 0 the likeliest level is taken. There is no logistic temperature:
        raises LmconvError where it is not 1, or where the other is negative.
        """
        _check_temperatures(mixture_temperature, logistic_temperature)
        if logistic_temperature != 1:
            raise LmconvError(
                f"a categorical model has no logistic temperature: it must be 1, not {logistic_temperature}"
            )
        parameters = parameters.double()
        if mixture_temperature == 0:
            return parameters.argmax(1, keepdim=True).to(torch.uint8)
        p = torch.softmax(parameters / mixture_temperature, 1)
        at_least = p.flip(1).cumsum(1).flip(1)[:, 1:]  # p(level >= k) for k = 1, 2, ...
        return (noise.to(p) < at_least).sum(1, keepdim=True).to(torch.uint8)


def _single_or_double(parameters: Tensor) -> Tensor:
    """Half precision as float32: likelihoods need its digits."""
    return parameters.to(torch.promote_types(parameters.dtype, torch.float32))


def _uniform(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    drawn = torch.rand(shape, generator=generator, device=generator.device, dtype=torch.float64)
    return drawn.clamp_(min=2.0**-54)  # rand can give 0, whose logarithm is not finite


def _check_temperatures(*temperatures: float) -> None:
    for temperature in temperatures:
        if not (math.isfinite(temperature) and temperature >= 0):
            raise LmconvError(f"a temperature is 0 or more, not {temperature}")
