"""The head of the paper's network in the codec's order and units (codec/mixture.py, runtime/rules.py), and back.

[K logits, 3 K mean shifts, 3 K log-scales, 3 K couplings], channel by channel, the bases of all channels 127.5 grey
levels, the scales in grey levels; what grey networks have not is 0. Of a binary network one number, the log-odds of 1.
"""

import math

import numpy as np
import torch
from torch import Tensor

from export.pixelcnn.network import TANH_RANGE, TANH_UNIT
from lmconv.config import PixelCnnConfig
from lmconv.networks.distributions import LOG_SCALE_MIN
from runtime import rules

GREY = 127.5  # grey levels per unit of the float network, and the base of the means
_MOST = 1 << 20  # of parameters that need no other limit


def arranged(config: PixelCnnConfig, matrix: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The head [F, P] and its bias [P] so that the floor of the outputs are the nearest steps.

    Couplings are yet to go through the table of tanh: they are in its steps.
    """
    both = np.concatenate([matrix, bias[None]])
    if config.binary:
        both = (both[:, 1:] - both[:, :1]) * rules.LOG_ODDS_UNIT
    else:
        k, channels = config.components, config.channels
        parts = both[:, k:].reshape(len(both), channels, -1, k)  # means, log-scales and, of colours, couplings of each
        full = np.zeros((len(both), 3, 3, k))
        full[:, : parts.shape[2], :channels] = parts.transpose(0, 2, 1, 3)
        full[-1, 1, :channels] += math.log(GREY)
        full *= np.reshape([GREY * rules.MEAN_UNIT, rules.SCALE_UNIT, TANH_UNIT], (3, 1, 1))
        both = np.concatenate([both[:, :k] * rules.LOGIT_UNIT, full.reshape(len(both), -1)], 1)
    return both[:-1], both[-1] + 0.5


def limits(config: PixelCnnConfig) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest outputs, int64 [P] each. Log-scales end where the codec's do: it spends what these say."""
    if config.binary:
        return np.array([-_MOST]), np.array([_MOST])
    low = round((LOG_SCALE_MIN + math.log(GREY)) * rules.SCALE_UNIT)
    high = rules.LOWEST_LOG_SCALE * rules.SCALE_UNIT + rules.SCALES - 1
    tanh = TANH_RANGE * TANH_UNIT
    ends = np.repeat([(-_MOST, _MOST)] * 4 + [(low, high)] * 3 + [(-tanh, tanh)] * 3, config.components, 0)
    return ends[:, 0], ends[:, 1]


def floats(config: PixelCnnConfig, parameters: Tensor) -> Tensor:
    """Integer parameters [B, P, H, W] as the float network would have put them out, float64: for likelihoods."""
    parameters = parameters.double()
    if config.binary:
        return torch.cat([torch.zeros_like(parameters), parameters / rules.LOG_ODDS_UNIT], 1)
    k, channels = config.components, config.channels
    means, scales, couplings = parameters[:, k:].unflatten(1, (3, 3, k)).unbind(1)
    parts = [means / (GREY * rules.MEAN_UNIT), scales / rules.SCALE_UNIT - math.log(GREY)]
    if channels == 3:
        parts.append(torch.atanh(couplings / rules.COUPLING_UNIT))
    stacked = torch.stack(parts, 2)[:, :channels]  # [B, C, 2 or 3, K, H, W]
    return torch.cat([parameters[:, :k] / rules.LOGIT_UNIT, stacked.flatten(1, 3)], 1)
