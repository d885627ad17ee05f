"""What networks are made of, against published numbers, PyTorch's own counter, and gradients."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from lmconv import orders
from lmconv.config import PRESETS, PhotoConfig, PixelCnnConfig, preset
from lmconv.networks.anatomy import _open, anatomy, sight
from lmconv.networks.kinds import build
from lmconv.networks.photo import PhotoNet
from lmconv.networks.pixelcnn import order_masks
from lmconv.orders import masks
from runtime.schedule import Kernel
from tests.lmconv.tiny import COLOUR, random_net

TWO_STREAMS = PixelCnnConfig(filters=4, resnets=1, norm="weight_norm", two_stream=True)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("cifar10", 46_072_360), ("mnist", 46_058_140), ("mnist_binary", 46_053_604), ("celebahq", 184_202_120)],
)
def test_published_networks(name, parameters):
    of = preset(name)
    found = anatomy(of.network, of.order, of.height, of.width)
    assert found.parameters == parameters and found.steps == of.height * of.width
    assert sum(each.count for each in found.layers) == 1 + 64 + 4 + 17 + 1
    assert [each.window for each in found.layers] == ["3x3"] * 4 + ["1x1"] * 2
    if of.order == "s_curve":  # two patterns with 4 open taps of 9, or 5 with the centre
        shares = [each.open / each.multiply_adds for each in found.layers]
        assert shares == [4 / 9] + 3 * [5 / 9] + [1, 1]
        assert [each.used < each.parameters for each in found.layers] == [True] * 4 + [False] * 2
    assert found.sight.seen == found.sight.before  # curves lose nothing of the past


def test_every_preset_has_an_anatomy():
    for of in PRESETS.values():
        with torch.device("meta"):
            count = sum(parameter.numel() for parameter in build(of.network).parameters())
        assert anatomy(of.network, "raster", 8, 8).parameters == count


def test_the_photo_network():
    found = anatomy(PhotoConfig(), "wavefront", 48, 64)
    assert (found.used, found.open) == PhotoNet().size()
    assert found.parameters == sum(parameter.numel() for parameter in PhotoNet().parameters())
    assert found.steps == 64 + 2 * 47
    # 3 rows up in the first layer and 1 in each of 8; the first reads one tap of the row below, the others none.
    assert (found.sight.above, found.sight.below, found.sight.left, found.sight.right) == (11, 1, 11, 11)


@pytest.mark.parametrize("network", [COLOUR, TWO_STREAMS], ids=["one stream", "two streams"])
def test_multiply_adds_are_those_that_pytorch_counts(network):
    net, image = random_net(network), torch.zeros(1, 3, 8, 12)
    order = () if network.two_stream else (_Whole(order_masks(orders.raster(8, 12), network)),)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(image, *order)
    assert counter.get_total_flops() == 2 * 8 * 12 * anatomy(network, "raster", 8, 12).multiply_adds


class _Whole:
    """Convolutions with all their taps: what whole kernels cost."""

    def __init__(self, masks):
        self.masks = masks

    def convolve(self, layer, x, which):
        return torch.nn.functional.conv2d(x, layer.weight, layer.bias, padding="same", dilation=layer.dilation)

    def open_taps(self, which):
        return self.masks.open_taps(which)


@pytest.mark.parametrize("far", [(), (4,), (2, 5)])
@pytest.mark.parametrize("order", ["s_curve:3", "raster:5", "wavefront", "multiscale=4", "multiscale=8", "random=2"])
def test_sight_is_what_has_a_gradient(order, far):
    config = replace(COLOUR, far=far)
    net, rank = random_net(config).double(), orders.make(order, 9, 8)
    x = torch.rand(1, 3, 9, 8, dtype=torch.double).requires_grad_()
    net(x, order_masks(rank, config))[0, :, 4, 4].square().sum().backward()
    seen = (x.grad[0] != 0).any(0).numpy()
    found = anatomy(config, order, 9, 8).sight
    rows, columns = (places - 4 for places in np.nonzero(seen))
    assert (found.row, found.column, found.seen, found.before) == (4, 4, seen.sum(), (rank < rank[4, 4]).sum())
    assert (found.above, found.below, found.left, found.right) == tuple(
        max(0, int(side.max(initial=0))) for side in (-rows, rows, -columns, columns)
    )


def test_sight_of_one_layer_and_of_the_first_position():
    kernel = Kernel(3, 2, "A")
    found = sight(orders.raster(9, 9), [[kernel]])
    assert (found.seen, found.above, found.below, found.left, found.right) == (4, 2, 0, 2, 2)
    assert sight(orders.raster(1, 1), [[kernel]]).seen == 0


def test_the_baseline_has_no_masks():
    found = anatomy(TWO_STREAMS, "raster", 32, 32)
    assert found.sight is None and found.steps == 1024
    assert found.open == found.multiply_adds and found.used == found.parameters
    published = PixelCnnConfig(norm="weight_norm", two_stream=True)
    assert anatomy(published, "raster", 32, 32).parameters == 53_659_080


def test_open_taps_away_from_the_border():
    assert _open(orders.raster(8, 8), Kernel(3)) == (5 / 9, 5 / 9)
    mask = masks.masks(orders.raster(2, 2), 3, 1, "B")
    assert _open(orders.raster(2, 2), Kernel(3))[1] == mask.mean()
