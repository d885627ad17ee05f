"""A student that learns from a teacher's probabilities: Parallel WaveNet (family/parallel_wavenet.py) from WaveNet."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from lmconv.checkpoints.checkpoint import Checkpoint
from lmconv.config import ImageTraining
from lmconv.data.datasets import ImageSet
from lmconv.errors import LmconvError
from lmconv.family import parallel_wavenet
from lmconv.family.settings import ParallelWavenetConfig, WavenetConfig
from lmconv.networks import kinds
from lmconv.networks.distributions import Logistics, centred, distribution
from lmconv.training.tasks import ImageTask, rows_of

DRAWS = 4  # of each sample, for the cross-entropy
POWER = 0.01  # nats a sample for a mean square of 1 between the logarithms of the powers


class Distillation(ImageTask):
    """The divergence of a student from a teacher, nats a sound, and in training the power loss; real sounds are for the
    latter and for what is given with them. Raises LmconvError for a teacher that is no WaveNet of a mixture, or of
    other images."""

    def __init__(
        self,
        images: ImageSet,
        config: ImageTraining,
        network: ParallelWavenetConfig,
        device: torch.device,
        teacher: Checkpoint,
    ) -> None:
        super().__init__(images, config, network, device)
        known, mixture = teacher.network, None
        if isinstance(known, WavenetConfig):
            mixture = distribution(known)
        if type(known) is not WavenetConfig or not isinstance(mixture, Logistics):
            raise LmconvError(f"a teacher is a WaveNet of a mixture of logistics, not {known}")
        if (known.channels, known.bits, known.given) != (network.channels, network.bits, network.given):
            raise LmconvError("teacher and student are for other channels, bits, planes or classes")
        self.mixture, self.unit = mixture, "nats"
        self._teacher = teacher.net().to(device).requires_grad_(False)

    def batch(self, step: int, part: int = 0, parts: int = 1) -> Any:
        """As ImageTask, and the noise of a logistic [B / parts, 1, 1, T]."""
        c = self.config
        uniform = np.random.default_rng([c.seed, step, 1]).random((c.batch, 1, c.height, c.width))
        return *super().batch(step, part, parts), _logistic(uniform[rows_of(part, parts, c.batch)])

    def loss(self, net: kinds.Forward, batch: Any) -> Tensor:
        levels, order, given, noise = batch
        levels, noise = levels.to(self.device), noise.to(self.device)
        nats, x = self._divergence(net, noise, order, given)
        real = parallel_wavenet.power(centred(levels, self.mixture.bits))
        louder = (parallel_wavenet.power(x) - real).square().mean()
        return nats.mean() + POWER * x.shape[3] * louder

    def evaluate(self, net: kinds.Forward, part: int = 0, parts: int = 1) -> list[tuple[float, int]]:
        """The divergence alone, of as many sounds as are held out, always of the same noise."""
        c, total = self.config, 0.0
        uniform = np.random.default_rng([c.seed, c.holdout]).random((c.holdout, 1, c.height, c.width))
        rows = np.arange(c.holdout)[rows_of(part, parts, c.holdout)]
        given = self.images.given(len(self.images) - c.holdout + rows)
        with torch.no_grad(), torch.random.fork_rng([self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(c.seed)
            for start in range(0, len(rows), c.batch):
                at = slice(start, start + c.batch)
                told = None if given is None else torch.from_numpy(np.ascontiguousarray(given[at]))
                nats, _ = self._divergence(net, _logistic(uniform[rows[at]]).to(self.device), self.orders[0], told)
                total += nats.double().sum().item()
        return [(total, len(rows))]

    def _divergence(self, net: kinds.Forward, noise: Tensor, order: str, given: Tensor | None) -> tuple[Tensor, Tensor]:
        view = self._view(order, noise.shape[2:]).beside(given)
        return parallel_wavenet.divergence(net, self._teacher, self.mixture, noise, view, DRAWS)


def _logistic(uniform: np.ndarray) -> Tensor:
    return torch.logit(torch.from_numpy(uniform).clamp(1e-6, 1 - 1e-6)).float()
