"""Muon: momentum whose matrices are made orthogonal before each step (K. Jordan et al. 2024, "Muon: an optimizer for
hidden layers in neural networks"; scale by J. Liu et al. 2025, "Muon is scalable for LLM training").

For the hidden layers' weights alone; everything else is Adam's. Convolutions count as matrices [Cout, Cin k k].
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic iteration: singular values end within 0.7 and 1.2
ITERATIONS = 5


def orthogonalised(matrix: Tensor) -> Tensor:
    """Newton-Schulz iterations towards U V^T of matrix = U S V^T. [M, N] float -> [M, N]; zero columns stay zero."""
    a, b, c = COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-12)
    for _ in range(ITERATIONS):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x.T if tall else x


class Muon(torch.optim.Optimizer):
    """Steps of size rate * 0.2 * sqrt(max(M, N)), about what Adam's have: Nesterov momentum, orthogonalised.

    weight_decay: the part of a weight that a step takes away, times the rate.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], lr: float, weight_decay: float = 0.0, momentum: float = 0.95
    ) -> None:
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]  # there is no closure to call: gradients are there
        """Moves the weights by their gradients."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                average = state["momentum"]
                average.mul_(group["momentum"]).add_(weight.grad)
                ahead = weight.grad + group["momentum"] * average
                step = orthogonalised(ahead.flatten(1).float())
                scale = 0.2 * max(step.shape) ** 0.5
                if group["weight_decay"]:
                    weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.add_(step.reshape(weight.shape), alpha=-group["lr"] * scale)
