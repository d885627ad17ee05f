"""Every network with likelihoods of pixels drives a coder in float: files as long as its likelihood says."""

import itertools
import math

import numpy as np
import pytest
import torch

from lmconv import orders
from tests.lmconv.family.test_family import BITS, COLOURS, EXACT, RASTER, config, network, shape
from tools import code_images


@pytest.mark.parametrize("images", [BITS, COLOURS], ids=["bits", "colours"])
@pytest.mark.parametrize("name", EXACT)
def test_files_are_as_long_as_likelihoods(name, images):
    settings, size = config(name, 3, 4, **images), shape(name, 3, 4)
    order = "raster" if name in RASTER else "random=4"
    net = network(settings).float()
    generator = torch.Generator().manual_seed(0)
    levels = torch.randint(2**settings.bits, (60, settings.channels, *size), dtype=torch.uint8, generator=generator)
    data = code_images.compress(net, settings, levels.numpy(), order)
    back = code_images.restore(net, settings, data, tuple(levels.shape), order)
    np.testing.assert_array_equal(back, levels.numpy())
    with torch.no_grad():
        nats = -net.log_prob(levels, order)
    bits = nats.sum().item() / math.log(2)
    least = 20 * levels.numel()  # a level takes no more than 20 bits, however unlikely
    assert 8 * len(data) < 1.01 * min(bits, least) + 64 or bits > least / 2


def test_probabilities_are_those_of_the_likelihood():
    settings = config("nade", 3, 4, **COLOURS)
    net, size = network(settings), (3, 4)
    generator = torch.Generator().manual_seed(1)
    levels = torch.randint(256, (5, 3, *size), dtype=torch.uint8, generator=generator)
    view = net.view(settings, orders.make("raster", *size))
    with torch.no_grad():
        parameters = net(levels.double() / 127.5 - 1, view)
        nats = net.nll(lambda x, view: net(x.double(), view), settings, levels, view)
    for (row, column), image in itertools.product([(0, 0), (2, 3)], range(5)):
        at = parameters[image : image + 1, :, row, column]
        pixel = levels[image : image + 1, :, row, column]
        logs = [np.log(code_images.probabilities(settings, at, pixel, c)[0, int(pixel[0, c])]) for c in range(3)]
        floor = 3 * math.log(2.0**-20)
        if nats[image, row, column] < -floor / 4:
            assert abs(sum(logs) + nats[image, row, column].item()) < 1e-3
