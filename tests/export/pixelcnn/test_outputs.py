"""The head's outputs in the codec's units: there and back, and as the codec itself reads them."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from codec.entropy.range_coder import Encoder
from codec.modelling.mixture import tables_of
from codec.tile_coders.squares import Square, code_level
from export.exact.tables import distribution_tables
from export.pixelcnn.network import TANH_RANGE, TANH_UNIT
from export.pixelcnn.outputs import GREY, arranged, floats, limits
from export.pixelcnn.pytorch import IntegerPixelCnnNet
from lmconv.networks.distributions import LOG_SCALE_MIN, distribution
from runtime import rules
from tests.export.pixelcnn.networks import NETWORKS, hostile, images, quantised, rank
from tests.lmconv import tiny

CONFIGS = {"colour": tiny.COLOUR, "grey": replace(tiny.COLOUR, channels=1, components=3), "binary": tiny.BINARY}


@pytest.mark.parametrize("name", CONFIGS)
def test_there_and_back(name):
    """As the integer network does, but for the rounding of weights: floor, clip, table of tanh.

    Every number is off by half a step at most; what float64 loses before the floor is a part of 1e-9 of it.
    """
    half = 0.5 * (1 + 1e-9)
    config, rng = CONFIGS[name], np.random.default_rng(0)
    outputs = distribution(config).parameters
    matrix, bias, h = rng.normal(0, 0.4, (4, outputs)), rng.normal(0, 0.3, outputs), rng.normal(0, 1, (50, 4))
    exact = torch.from_numpy(h @ matrix + bias)[:, :, None, None]
    there, offset = arranged(config, matrix, bias)
    lowest, highest = limits(config)
    parameters = np.floor(h @ there + offset).clip(lowest, highest)
    assert parameters.shape[1] == (1 if config.binary else 10 * config.components) == len(lowest)
    if config.channels == 3:
        couplings = parameters[:, 7 * config.components :]
        couplings[:] = np.round(np.tanh(couplings / TANH_UNIT) * rules.COUPLING_UNIT)
    back = floats(config, torch.from_numpy(parameters)[:, :, None, None])
    if config.binary:
        exact = exact - exact[:, :1]
        assert (back - exact).abs().max() <= half / rules.LOG_ODDS_UNIT
        return
    assert back.shape == exact.shape
    logits, rest = ((part[:, : config.components], part[:, config.components :]) for part in (back, exact))
    assert (logits[0] - rest[0]).abs().max() <= half / rules.LOGIT_UNIT
    found, right = (part.unflatten(1, (config.channels, -1, config.components)) for part in (logits[1], rest[1]))
    assert (found[:, :, 0] - right[:, :, 0]).abs().max() <= half / rules.MEAN_UNIT / GREY
    widest = 6 - math.log(GREY)  # of the codec's log-scales
    assert (right[:, :, 1] < widest).any() and (right[:, :, 1] > widest).any()
    assert (found[:, :, 1] - right[:, :, 1].clamp(max=widest)).abs().max() <= half / rules.SCALE_UNIT
    if config.channels == 3:
        steps = 1 / TANH_UNIT + 1 / rules.COUPLING_UNIT  # of the table's argument and of its entries
        assert (torch.tanh(found[:, :, 2]) - torch.tanh(right[:, :, 2])).abs().max() <= half * steps


def test_limits():
    lowest, highest = limits(replace(tiny.COLOUR, components=1))
    assert lowest[4:7].tolist() == [round((LOG_SCALE_MIN + math.log(127.5)) * 32)] * 3 == [-69] * 3
    assert lowest[7:].tolist() == [-TANH_RANGE * TANH_UNIT] * 3 and highest[7:].tolist() == [TANH_RANGE * TANH_UNIT] * 3
    assert highest[4:7].tolist() == [6 * 32] * 3 and (highest[:4] > 1 << 19).all() and (lowest[:4] < -(1 << 19)).all()


@pytest.mark.parametrize("name", ["grey, weight norm", "grey, two resnets, dropout"])
def test_what_grey_networks_have_not_is_zero(name):
    _, network = quantised(name)
    k = network.config.components
    levels = torch.from_numpy(np.concatenate([images(network.config), hostile(network.config)]))
    kinds = IntegerPixelCnnNet(network, rank("raster"))(levels).unflatten(1, (10, k))
    there = [i for i in range(10) if kinds[:, i].any()]
    assert set(there) <= {0, 1, 4} and {1, 4} <= set(there)


def codec_bits(parameters: np.ndarray, levels: np.ndarray) -> float:
    """What the codec spends on pixels [n, C], the bases being 127.5: bits in all. parameters int32 [n, 10 K]."""
    encoder, planes = Encoder(), np.ascontiguousarray(levels.T)
    mixture, residuals = np.zeros((parameters.shape[1] // 10, 3), np.int64), np.zeros(3, np.int64)
    encoder.reserve(32 * planes.size)
    square = Square(False, planes, tables_of(distribution_tables()), mixture, residuals)
    code_level(np.arange(len(levels)), np.ascontiguousarray(parameters), square, encoder.coding)
    encoder.finish()
    return encoder.bits


@pytest.mark.parametrize("name", [name for name, config in NETWORKS.items() if not config.binary])
def test_the_codec_spends_what_the_likelihood_says(name):
    """The layout as the codec has it, couplings with residuals of up to 127.5 grey levels among them.

    Its weights are multiples of 2^-15 and what it looks up is rounded, too: that makes a part of 6e-5 here. Any part of
    the layout in a wrong place costs bits.
    """
    _, network = quantised(name)
    config = network.config
    levels = images(config, 6, seed=4)
    parameters = IntegerPixelCnnNet(network, rank("s_curve"))(torch.from_numpy(levels))
    nats = distribution(config).nll(floats(config, parameters), torch.from_numpy(levels)).sum().item()
    spent = codec_bits(
        parameters.permute(0, 2, 3, 1).flatten(0, 2).numpy(), levels.transpose(0, 2, 3, 1).reshape(-1, config.channels)
    )
    assert spent == pytest.approx(nats / math.log(2), rel=5e-4)
