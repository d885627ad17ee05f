"""The discretised logistic of every network's mixture (PixelCNN++, Salimans et al. 2017)."""

import torch
import torch.nn.functional as F
from torch import Tensor

LEAST_WIDTH = 1e-30  # of a bin in scales: keeps logarithms finite where a logistic is flat


def log_bin(distance: Tensor, half: float, inverse: Tensor, first: Tensor, last: Tensor) -> Tensor:
    """log p of a level under a logistic: of the bin that reaches `half` to both sides of it.

    distance: level - mean; inverse: 1 / scale. first and last: where the level is the lowest or the highest, whose bins
    take the tails, so that over all levels the probabilities sum to 1. Nothing cancels: a bin inside is log sigmoid(u)
    + log sigmoid(-l) + log(1 - exp(l - u)), the logarithm of sigmoid(u) - sigmoid(l), u and l being its edges. All
    shapes broadcast.
    """
    below = F.logsigmoid(inverse * (distance + half))  # log p of what is below the upper edge
    above = F.logsigmoid(-inverse * (distance - half))  # log p of what is above the lower edge
    width = (2 * half * inverse).clamp(min=LEAST_WIDTH)
    inside = below + above + torch.log(-torch.expm1(-width))
    return torch.where(first, below, torch.where(last, above, inside))
