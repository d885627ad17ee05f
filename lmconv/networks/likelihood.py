"""Discretised mixture of logistics relative to a base, the photo network's distribution (PixelCNN++, Salimans 2017).

K components with a weight shared by the channels, a mean and a log-scale per channel and channel, and linear
dependence of the green and blue means on the residuals of the channels already known. Everything is in grey levels:
pixel values 0..255, bins one grey level wide, the edge bins take the tails. Likelihoods are in nats.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

PARAMETERS = 10  # per component: logit, 3 shifts, 3 log-scales, 3 couplings
LOG_SCALES = (-4.0, 6.0)  # limits, natural logarithm of grey levels
COUPLINGS = (-2.0, 2.0)
SHIFT_UNIT = 4.0  # grey levels of mean shift per unit of network output


def split(parameters: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """[B, 10 K, H, W] -> logits [B, K, H, W]; shifts, log-scales and couplings [B, 3, K, H, W]."""
    b, _, h, w = parameters.shape
    p = parameters.float().view(b, PARAMETERS, -1, h, w)
    return p[:, 0], p[:, 1:4] * SHIFT_UNIT, p[:, 4:7].clamp(*LOG_SCALES), p[:, 7:10].clamp(*COUPLINGS)


def means(residual: Tensor, shifts: Tensor, couplings: Tensor) -> Tensor:
    """Component means relative to the bases, [B, 3, K, H, W], from the residuals x - base, [B, 3, H, W]."""
    red, green = residual[:, 0:1], residual[:, 1:2]
    return torch.stack(
        [
            shifts[:, 0],
            shifts[:, 1] + couplings[:, 0] * red,
            shifts[:, 2] + couplings[:, 1] * red + couplings[:, 2] * green,
        ],
        dim=1,
    )


def log_bin(residual: Tensor, value: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """log of the probability of the one-grey-level bin at `value` under a logistic of the given mean and log-scale.

    `residual` and `mean` are relative to the same base; the bins of 0 and 255 take the tails.
    """
    inverse = torch.exp(-log_scale)
    centred = residual - mean
    upper, lower = inverse * (centred + 0.5), inverse * (centred - 0.5)
    above, below = upper - F.softplus(upper), -F.softplus(lower)  # logs of the two tails' complements
    inside = above + below + torch.log(-torch.expm1(-inverse))  # sigmoid(u) - sigmoid(l), nothing cancels
    return torch.where(value < 0.5, above, torch.where(value > 254.5, below, inside))


def nll(pixels: Tensor, bases: Tensor, parameters: Tensor) -> Tensor:
    """Negative log-likelihood per position, nats [B, H, W]. pixels, bases [B, 3, H, W] float in grey levels."""
    logits, shifts, log_scales, couplings = split(parameters)
    residual = pixels - bases
    mean = means(residual, shifts, couplings)
    bins = log_bin(residual[:, :, None], pixels[:, :, None], mean, log_scales)  # [B, 3, K, H, W]
    return -torch.logsumexp(bins.sum(1) + F.log_softmax(logits, dim=1), dim=1)


def bits_per_subpixel(nats: Tensor) -> Tensor:
    """Mean of nll [B, H, W] in bits per subpixel of three channels."""
    return nats.mean() / (3 * math.log(2))
