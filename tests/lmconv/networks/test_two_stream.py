"""The two-stream baseline: its size, raster order, gradients."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lmconv.config import PixelCnnConfig
from lmconv.errors import LmconvError
from lmconv.networks.distributions import Categorical, centred
from lmconv.networks.two_stream import TwoStreamPixelCnn
from tests import tolerance

BASELINE = PixelCnnConfig(norm="weight_norm", two_stream=True)
TINY = replace(BASELINE, filters=4, resnets=1, components=2)


def network(config: PixelCnnConfig) -> TwoStreamPixelCnn:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return TwoStreamPixelCnn(config).double()


def images(batch: int, channels: int, height: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return 2 * torch.rand(batch, channels, height, width, dtype=torch.double, generator=generator) - 1


def test_the_published_number_of_parameters():
    with torch.device("meta"):
        net = TwoStreamPixelCnn(BASELINE)
    assert sum(parameter.numel() for parameter in net.parameters()) == 53_659_080


@pytest.mark.parametrize("height, width", [(4, 4), (8, 12)])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_position_depends_on_its_past_alone(channels, height, width):
    """Raster order: zero derivatives from itself on; four neighbours are seen, and all of the past where it is near."""
    net, size = network(replace(TINY, channels=channels)), height * width
    x = images(1, channels, height, width).repeat(size, 1, 1, 1).requires_grad_()
    out = net(x).flatten(2)
    assert out.shape == (size, net.head.out_features, size)
    weights = torch.randn(out.shape[1], dtype=out.dtype, generator=torch.Generator().manual_seed(2))
    (out.diagonal(dim1=0, dim2=2).T @ weights).sum().backward()
    found = (x.grad != 0).flatten(2).numpy()
    past = np.tri(size, k=-1, dtype=bool)
    assert not (found & ~past[:, None]).any()
    for channel in range(channels):
        for i in range(1, size):
            row, col = divmod(i, width)
            near = [(row + r, col + c) for r, c in ((0, -1), (-1, -1), (-1, 0), (-1, 1))]
            assert all(found[i, channel, r * width + c] for r, c in near if r >= 0 and 0 <= c < width)
    if (height, width) == (4, 4):
        assert found.all(1)[past].all()


def test_all_binary_images_sum_to_one():
    """All 2^16 images of 4x4."""
    net = network(replace(TINY, channels=1, bits=1, binary=True, filters=1))
    levels = (torch.arange(2**16)[:, None] >> torch.arange(16) & 1).view(-1, 1, 4, 4)
    total, spread = 0.0, 0.0
    with torch.no_grad():
        for part in levels.split(2**13):
            nats = Categorical(1).nll(9 * net(centred(part, 1, torch.double)), part).sum((1, 2))  # times 9: not uniform
            total, spread = total + torch.exp(-nats).sum().item(), max(spread, nats.std().item())
    tolerance.assert_close(total, 1, 2**16, number="float64")
    assert spread > 0.1


def test_every_parameter_counts_and_checkpointing_changes_no_gradient():
    results = []
    for config in (TINY, replace(TINY, checkpointing=True)):
        net = network(config)
        out = net(images(2, 3, 8, 4))
        results.append([out, *torch.autograd.grad(out.square().sum(), list(net.parameters()))])
    for plain, saved in zip(*results):
        assert plain.any()
        tolerance.assert_close(saved, plain, 2 * tolerance.depth(net))


def test_errors():
    with pytest.raises(LmconvError, match="multiples of 4 as height and width, not 6x8"):
        network(TINY)(images(1, 3, 6, 8))
    with pytest.raises(LmconvError, match="lmconv.networks.pixelcnn.PixelCnn"):
        TwoStreamPixelCnn(PixelCnnConfig())
