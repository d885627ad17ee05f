"""How the weights move: which optimiser a weight has, and the learning rates of each step."""

import math

import torch
from torch import nn

from lmconv.config import TrainConfig
from lmconv.errors import LmconvError
from lmconv.networks.kinds import hidden_weights
from lmconv.training.muon import Muon


def schedule(config: TrainConfig, step: int) -> float:
    """The factor of the learning rates at `step`, 0 to 1; whatever comes after, they rise for `warmup` steps first."""
    if config.schedule == "cosine":
        factor = 0.5 + 0.5 * math.cos(math.pi * step / config.steps)
    elif config.schedule == "decay":
        factor = config.decay ** (step // config.decay_every)
    elif config.schedule == "constant":
        factor = 1.0
    else:
        factor = (config.steps - step) / max(1.0, config.cooldown * config.steps)
    return max(0.0, min(1.0, (step + 1) / max(1, config.warmup), factor))


def plateau_step(config: TrainConfig) -> int | None:
    """The step at which a linear schedule begins to fall, from which a longer run can start; None for the others."""
    return int(config.steps * (1 - config.cooldown)) if config.schedule == "linear" else None


def optimisers(net: nn.Module, config: TrainConfig) -> list[torch.optim.Optimizer]:
    """Muon for the hidden layers' weights and Adam for the rest, or Adam for all.

    Raises LmconvError if there is nothing for Muon.
    """
    hidden = hidden_weights(net) if config.optimiser == "muon" else []
    if config.optimiser == "muon" and not hidden:
        raise LmconvError("muon moves plain weights of hidden layers, this network has none: take adam")
    taken = {id(weight) for weight in hidden}
    others = [parameter for parameter in net.parameters() if id(parameter) not in taken]
    groups: list[dict] = [{"params": others}]
    if config.weight_decay:
        vectors = [parameter for parameter in others if parameter.ndim < 2]
        groups = [{"params": [parameter for parameter in others if parameter.ndim >= 2]}]
        groups += [{"params": vectors, "weight_decay": 0.0}] if vectors else []
    adam = torch.optim.AdamW(groups, lr=config.rate, betas=config.betas, weight_decay=config.weight_decay)
    return [Muon(hidden, config.matrix_rate, config.weight_decay), adam] if hidden else [adam]


def set_rates(moving: list[torch.optim.Optimizer], factor: float) -> None:
    """Sets every learning rate to its highest times the factor."""
    for optimiser in moving:
        for group in optimiser.param_groups:
            group["lr"] = optimiser.defaults["lr"] * factor
