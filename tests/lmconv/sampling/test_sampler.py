"""Drawing level by level: the naive loop's pixels, the network's distribution, and what is given untouched."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from lmconv import orders
from lmconv.config import PhotoConfig, PixelCnnConfig
from lmconv.errors import LmconvError
from lmconv.networks import kinds
from lmconv.networks.pixelcnn import order_masks
from lmconv.orders import OrderError
from lmconv.sampling import sampler
from lmconv.sampling.plan import plan
from lmconv.sampling.sampler import Naive, SampleError, Sampler, Temperatures
from tests.lmconv.tiny import BINARY, COLOUR, CONFIG, random_net

GREY = replace(COLOUR, channels=1)
FALSE_ALARM = 1e-6  # of a test of a distribution, had its seed not been fixed
ORDERS = [
    "s_curve",
    "s_curve:3",
    "s_curve:6",
    "raster",
    "raster:7",
    "gilbert:6",
    "wavefront",
    "wavefront:5",
    "multiscale=4:3",
    "random=3",
    "s_curve_center_quarter_last:1",
]
NETWORKS = [
    dict(norm=norm, mask_weight=weight)
    for norm in ("none", "weight_norm", "order_rescale", "pono")
    for weight in (False, True)
] + [
    dict(kernel=5),
    dict(dilation=3),
    dict(bias=False),
    dict(bits=3),
    dict(channels=1),
    dict(channels=1, bits=1, binary=True),
    dict(channels=1, bits=3, categorical=True),
    dict(planes=2, classes=3),
]


def network(config: PixelCnnConfig) -> torch.nn.Module:
    """float64, so that both samplers round alike; narrow logistics in the middle, so that levels show what they see."""
    net = random_net(config).double()
    if not (config.binary or config.categorical):
        with torch.no_grad():
            logistics = net.head.bias[config.components :].view(config.channels, -1, config.components)
            logistics[:, 0].zero_()
            logistics[:, 1].fill_(-3)
    return net


def noise(net: torch.nn.Module, batch: int, height: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return sampler.distribution(net.config).noise(batch, height, width, generator)


def random_images(net: torch.nn.Module, batch: int, height: int, width: int) -> torch.Tensor:
    shape = (batch, net.config.channels, height, width)
    return torch.randint(2**net.config.bits, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(2))


def given(net: torch.nn.Module, batch: int, height: int, width: int) -> torch.Tensor | None:
    """Planes given with images, for networks that have some."""
    shape = batch, net.config.given, height, width
    planes = torch.randint(256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(3))
    return planes if net.config.given else None


def check_equal(
    net: torch.nn.Module,
    rank: np.ndarray,
    hidden: np.ndarray | None = None,
    batch: int = 2,
    temperatures: Temperatures = Temperatures(),
) -> np.ndarray:
    """Both samplers on the same noise; returns what they draw."""
    images, drawn = random_images(net, batch, *rank.shape), noise(net, batch, *rank.shape)
    before, planes = images.clone(), given(net, batch, *rank.shape)
    drawers = (drawer(net, rank, hidden) for drawer in (Sampler, Naive))
    fast, naive = (drawer.draw(drawn, images, temperatures, planes=planes) for drawer in drawers)
    np.testing.assert_array_equal(fast.numpy(), naive.numpy())
    assert torch.equal(images, before)
    return fast.numpy()


def hole(height: int, width: int) -> np.ndarray:
    """A region that touches the border, with an island of what is given."""
    region = np.zeros((height, width), bool)
    region[1:5, 2:] = True
    region[3, 3] = False
    return region


# The naive loop


@pytest.mark.parametrize("spec", ORDERS)
def test_level_by_level_draws_what_the_naive_loop_draws(spec):
    drawn = check_equal(network(COLOUR), orders.make(spec, 6, 5))
    assert ((drawn > 0) & (drawn < 255)).mean() > 0.7  # ends of the range would hide differences


def test_hilbert_and_images_of_one_pixel():
    for spec, side in (("hilbert:3", 4), ("raster", 1)):
        check_equal(network(COLOUR), orders.make(spec, side, side))


@pytest.mark.parametrize("options", NETWORKS, ids=str)
def test_every_network(options):
    net = network(replace(COLOUR, **options))
    check_equal(net, orders.make("wavefront", 6, 5), batch=3)
    check_equal(net, orders.move_last(orders.make("s_curve:5", 6, 5), hole(6, 5)), hole(6, 5))


@pytest.mark.parametrize("batch", [1, 5])
def test_every_batch(batch):
    check_equal(network(GREY), orders.make("gilbert", 5, 6), batch=batch)


def test_float32_and_whole_networks_are_drawn_alike():
    net = random_net(replace(COLOUR, filters=8, resnets=2))
    check_equal(net, orders.make("s_curve", 8, 8))


def test_temperatures_reach_the_distribution():
    net, rank = network(COLOUR), orders.make("raster", 5, 4)
    assert (check_equal(net, rank, temperatures=Temperatures(0.5, 2.0)) != check_equal(net, rank)).any()
    cold = [sampler.sample(net, rank, 2, seed, Temperatures(0, 0)) for seed in (1, 2)]
    np.testing.assert_array_equal(*cold)  # nothing is left to chance
    np.testing.assert_array_equal(cold[0][0], cold[0][1])


# Completions


@pytest.mark.parametrize("spec", ["s_curve", "raster:3", "gilbert:5", "wavefront", "multiscale=4", "random=1"])
def test_completions_equal_the_naive_loop_and_leave_the_rest(spec):
    net, hidden = network(COLOUR), hole(6, 5)
    drawn = check_equal(net, orders.move_last(orders.make(spec, 6, 5), hidden), hidden)
    images = random_images(net, 2, 6, 5).numpy()
    np.testing.assert_array_equal(drawn[:, :, ~hidden], images[:, :, ~hidden])
    assert (drawn[:, :, hidden] != images[:, :, hidden]).any(1).mean() > 0.9


@pytest.mark.parametrize("spec", ["s_curve", "wavefront:2"])
def test_given_positions_of_rank_minus_one(spec):
    """They are seen by all and see nothing; the schedule's own tables, which hold no features of them, are not used."""
    hidden = hole(6, 5)
    rank = np.where(~hidden, orders.OBSERVED, orders.make(spec, 6, 5))
    check_equal(network(COLOUR), rank, hidden)
    taps = plan(rank, hidden, COLOUR)
    positions = taps.positions.numpy()
    assert set(positions[: taps.hidden]) == set(np.flatnonzero(hidden)) and len(positions) == 30
    slot = {int(position): slot for slot, position in enumerate(positions, 1)}
    left = taps.taps["A", 1].columns.tolist().index(3)  # (1, 2) and, to its left, the given (1, 1)
    assert taps.taps["A", 1].slots[slot[7] - 1, left] == slot[6]


def test_hidden_levels_of_the_input_count_for_nothing():
    net, hidden = network(COLOUR), hole(6, 5)
    rank = orders.move_last(orders.make("s_curve", 6, 5), hidden)
    images = random_images(net, 1, 6, 5).numpy()
    wiped = np.where(hidden, np.uint8(0), images)
    np.testing.assert_array_equal(*(sampler.complete(net, rank, each, hidden) for each in (images, wiped)))


def test_every_hidden_pixel_knows_every_given_one():
    """An order that ends in the region: any given pixel changes what is drawn, most of them its first pixel."""
    net = network(GREY)
    hidden = np.zeros((6, 5), bool)
    hidden[4:] = True
    rank = orders.make("s_curve", 6, 5)
    images = random_images(net, 1, 6, 5).repeat(21, 1, 1, 1)
    for index, position in enumerate(np.flatnonzero(~hidden)):
        images[index + 1, 0].view(-1)[position] ^= 128
    drawn = Sampler(net, rank, hidden).draw(noise(net, 1, 6, 5).repeat(21, 1, 1, 1), images).flatten(2)[:, 0, 20:]
    changed = drawn[1:] != drawn[0]  # some changes are too small for 8 bits
    assert changed.any(1).all() and changed[:, 0].float().mean() > 0.6


def test_what_is_given_decides_what_is_drawn():
    net, rank = network(replace(COLOUR, planes=1, classes=2)), orders.make("s_curve", 6, 5)
    planes = given(net, 3, 6, 5).numpy()
    drawn = sampler.sample(net, rank, 3, given=planes)
    np.testing.assert_array_equal(drawn, sampler.sample(net, rank, 3, given=planes, batch=2))
    assert (sampler.sample(net, rank, 3, given=planes[::-1]) != drawn).any()
    for wrong, told in ((None, "nothing"), (planes[:, :2], r"\[3, 2, 6, 5\]")):
        with pytest.raises(SampleError, match=rf"are to be given \[3, 3, 6, 5\], not {told}"):
            sampler.sample(net, rank, 3, given=wrong)
    with pytest.raises(SampleError, match="are to be given no planes"):
        sampler.sample(network(COLOUR), rank, 3, given=planes)


# Distributions


def probabilities(net: torch.nn.Module, rank: np.ndarray, image: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """p(hidden | given) for all 2^n ways to fill the hidden positions of a binary image, numbered row-major."""
    count = int(hidden.sum())
    fillings = np.arange(2**count)[:, None] >> np.arange(count) & 1
    images = np.broadcast_to(image, (2**count, 1, *rank.shape)).copy()
    images[:, 0, hidden] = fillings
    with torch.no_grad():
        nats = kinds.nll(net, net.config, torch.from_numpy(images), order_masks(rank, net.config))
    joint = torch.exp(-nats.double().sum((1, 2))).numpy()
    return joint / joint.sum()


def chance(counts: np.ndarray, expected: np.ndarray) -> float:
    """The probability of counts at least as far from the expected ones, by chi-square; rare cells count as one."""
    rare = expected < 8
    counts, expected = (np.append(each[~rare], each[rare].sum()) for each in (counts, expected))
    statistic = ((counts - expected) ** 2 / expected).sum()
    return torch.special.gammaincc(torch.tensor((len(counts) - 1) / 2), torch.tensor(statistic / 2)).item()


@pytest.mark.parametrize(
    ("spec", "side", "hidden_side"), [("s_curve:6", 3, 3), ("random=5", 3, 3), ("raster", 4, 3), ("gilbert:2", 4, 3)]
)
def test_what_is_drawn_follows_the_enumerated_distribution(spec, side, hidden_side):
    """All 2^9 images of 3x3, and all fillings of a 3x3 hole in 4x4 given the rest."""
    count = 12_000
    net = random_net(BINARY)
    hidden = np.zeros((side, side), bool)
    hidden[:hidden_side, side - hidden_side :] = True
    rank = orders.move_last(orders.make(spec, side, side), hidden)
    image = np.random.default_rng(3).integers(2, size=(1, 1, side, side)).astype(np.uint8)
    expected = count * probabilities(net, rank, image[0], hidden)
    assert expected.max() > 5 * expected.mean() and (expected >= 8).sum() > 100
    drawn = sampler.complete(net, rank, image.repeat(count, 0), hidden, seed=4, batch=4000)
    numbers = drawn[:, 0, hidden].astype(int) @ (1 << np.arange(9))
    counts = np.bincount(numbers, minlength=512)
    assert chance(counts, expected) > FALSE_ALARM
    shuffled = np.roll(counts, 1)
    assert chance(shuffled, expected) < FALSE_ALARM  # so the line above can fail


# What the calls promise


def test_seeds_and_batches():
    net, rank = network(COLOUR), orders.make("s_curve", 5, 4)
    first = sampler.sample(net, rank, 5, seed=7)
    assert first.shape == (5, 3, 5, 4) and first.dtype == np.uint8
    for batch in (1, 2, 5):
        np.testing.assert_array_equal(sampler.sample(net, rank, 5, seed=7, batch=batch), first)
    np.testing.assert_array_equal(sampler.sample(net, rank, 3, seed=7), first[:3])
    assert (sampler.sample(net, rank, 5, seed=8) != first).any()
    assert sampler.sample(net, rank, 0).shape == (0, 3, 5, 4)


def test_progress_counts_the_levels_of_all_batches():
    net, seen = random_net(GREY), []
    sampler.sample(net, orders.make("raster", 4, 6), 3, batch=2, progress=lambda *step: seen.append(step))
    levels = 6 + 2 * 3
    assert seen == [(step, 2 * levels) for step in range(1, 2 * levels + 1)]


@pytest.mark.parametrize("norm", ["pono", "weight_norm"])
def test_the_network_stays_as_it_is(norm):
    net = random_net(replace(COLOUR, norm=norm)).train()
    state = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    torch.manual_seed(0)
    following = torch.rand(1)
    torch.manual_seed(0)
    sampler.sample(net, orders.make("raster", 3, 3), 1)
    assert torch.equal(torch.rand(1), following)  # nor is PyTorch's generator used
    assert net.training and net.state_dict().keys() == state.keys()
    assert all(torch.equal(tensor, state[name]) for name, tensor in net.state_dict().items())
    out = net(torch.zeros(1, 3, 3, 3), order_masks(orders.raster(3, 3), net.config))
    out.sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


def test_the_baseline_of_two_streams_is_drawn_naively():
    net = network(PixelCnnConfig(channels=1, filters=2, resnets=1, components=1, norm="weight_norm", two_stream=True))
    rank = orders.raster(4, 4)
    whole = sampler.sample(net, rank, 2, seed=3)
    lower = np.arange(16).reshape(4, 4) >= 8
    np.testing.assert_array_equal(sampler.complete(net, rank, whole, lower, seed=3), whole)
    with pytest.raises(OrderError, match="raster alone"):
        sampler.sample(net, orders.s_curve(4, 4), 1)
    assert sampler.sheets(net.config, CONFIG) is None


def test_sheets_of_a_training(tmp_path):
    draw = sampler.sheets(COLOUR, CONFIG, count=5)
    draw(random_net(COLOUR), tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as image:
        assert image.mode == "RGB" and image.width > 2 * 100 and image.height > 3 * 100


def test_what_cannot_be_drawn():
    net, rank, hidden = random_net(COLOUR), orders.raster(4, 4), np.zeros((4, 4), bool)
    images = np.zeros((1, 3, 4, 4), np.uint8)
    hidden[1] = True
    with pytest.raises(SampleError, match="visits some given pixels after hidden ones"):
        sampler.complete(net, rank, images, hidden)
    with pytest.raises(SampleError, match="nothing is hidden"):
        sampler.complete(net, rank, images, np.zeros((4, 4), bool))
    with pytest.raises(SampleError, match="rank -1"):
        sampler.complete(net, np.where(hidden, orders.OBSERVED, rank), images, hidden)
    with pytest.raises(SampleError, match=r"region has shape \[4, 5\], the order \[4, 4\]"):
        sampler.complete(net, rank, images, np.ones((4, 5), bool))
    last = orders.move_last(rank, hidden)
    with pytest.raises(SampleError, match=r"uint8 \[1, 3, 4, 4\], not torch.uint8 \[1, 1, 4, 4\]"):
        sampler.complete(net, last, images[:, :1], hidden)
    with pytest.raises(SampleError, match="1 bits have no level 2"):
        sampler.complete(random_net(BINARY), last, images[:, :1] + np.uint8(2), hidden)
    with pytest.raises(SampleError, match="not from PhotoNet"):
        sampler.sample(random_net(PhotoConfig(channels=2, blocks=1, components=1)), rank, 1)
    with pytest.raises(LmconvError, match="temperature is 0 or more, not -1"):
        sampler.sample(net, rank, 1, temperatures=Temperatures(mixture=-1.0))
    with pytest.raises(LmconvError, match="no logistic temperature"):
        sampler.sample(random_net(BINARY), rank, 1, temperatures=Temperatures(logistic=0.5))
