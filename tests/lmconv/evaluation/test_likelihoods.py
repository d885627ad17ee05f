"""Likelihoods of data sets: every image counted, ensembles against brute force, conditionals against enumeration."""

import math

import numpy as np
import pytest
import torch

from lmconv import orders
from lmconv.config import PhotoConfig, PixelCnnConfig
from lmconv.evaluation import photographs
from lmconv.evaluation.likelihoods import coded, ensemble, groups, image_nats, joint, measure, summary
from lmconv.networks import likelihood
from lmconv.networks.kinds import build
from lmconv.networks.pixelcnn import order_masks
from lmconv.orders import OrderError
from lmconv.orders.regions import RegionError, make
from lmconv.processes import Processes
from runtime.least_squares import predict_picture
from runtime.variants import orient
from tests import tolerance
from tests.lmconv.tiny import BINARY, COLOUR, CPU, image_set, random_net
from tests.pictures import photograph

SPECS = [f"s_curve:{variant}" for variant in range(8)]


def nats_of(net, network, levels, spec="s_curve:0", **more):
    return image_nats(net, network, levels, order_masks(orders.make(spec, *levels.shape[2:]), network), CPU, **more)


def close(net, found, expected, largest=0):
    """Sums of nats whose parts the network computed in float32, in batches of other sizes."""
    tolerance.assert_close(found, expected, tolerance.depth(net), largest, "float32")


# Whole images


@pytest.mark.parametrize("network", [COLOUR, BINARY, PixelCnnConfig(channels=1, bits=3, filters=4, resnets=1)], ids=str)
def test_the_batch_size_does_not_matter_and_every_image_counts(network):
    net, levels = random_net(network), image_set(network, 11).levels
    done = []
    alone = np.concatenate([nats_of(net, network, levels[i : i + 1]) for i in range(11)])
    assert alone.shape == (11,) and alone.dtype == np.float64 and (alone > 0).all()
    assert len(np.unique(alone)) > 8
    for batch in (1, 3, 4, 11, 64):  # 3 and 4 leave a partial batch
        found = nats_of(net, network, levels, batch=batch, done=done.append)
        close(net, found, alone)
        assert sum(done) == 11
        done.clear()


def test_an_image_is_the_sum_of_its_regions():
    net, levels = random_net(COLOUR), image_set(COLOUR, 3).levels
    region = make("box=1,1,3,2", 6, 5)
    parts = [nats_of(net, COLOUR, levels, region=part) for part in (region, ~region)]
    tolerance.assert_close(sum(parts), nats_of(net, COLOUR, levels), depth=2 * levels[0].size)


def test_several_processes_share_the_images():
    net, levels = random_net(BINARY), image_set(BINARY, 7).levels

    class Part(Processes):
        def sum(self, values):
            return values

    shares = [joint(net, BINARY, levels, SPECS[:2], CPU, processes=Part(rank, 3)) for rank in range(3)]
    assert all((share == 0).any() for share in shares)
    close(net, sum(shares), joint(net, BINARY, levels, SPECS[:2], CPU))


def test_orders_that_do_not_fit():
    levels = image_set(BINARY, 2, height=4, width=4).levels
    with pytest.raises(OrderError, match="there is no order 'spiral'"):
        joint(random_net(BINARY), BINARY, levels, ["spiral"], CPU)
    two = PixelCnnConfig(channels=1, bits=1, binary=True, filters=4, resnets=1, norm="weight_norm", two_stream=True)
    with pytest.raises(OrderError, match="knows the order raster alone, not s_curve:0"):
        joint(random_net(two), two, levels, ["s_curve:0"], CPU)
    assert (joint(random_net(two), two, levels, ["raster:0"], CPU) > 0).all()


# Ensembles


def test_ensemble_is_the_mean_of_joint_likelihoods():
    nats = np.random.default_rng(0).uniform(0.1, 9, (5, 40))
    expected = [-math.log(sum(math.exp(-value) for value in image) / 5) for image in nats.T]
    tolerance.assert_close(ensemble(nats), expected, depth=10)
    tolerance.assert_close(ensemble(nats + 5000), ensemble(nats) + 5000, depth=10)  # where exp would be 0
    np.testing.assert_array_equal(ensemble(nats[:1]), nats[0])


@pytest.mark.parametrize("spread", [0.0, 0.1, 30.0])
def test_coding_the_best_of_8_orders_costs_the_ensemble_and_3_bits_at_most(spread):
    nats = 80 + np.random.default_rng(1).normal(0, spread, (8, 300))
    surplus = (coded(nats) - ensemble(nats)) / math.log(2)
    rounding = tolerance.bound(10) * nats.max()
    assert surplus.min() > -rounding and surplus.max() < 3 + rounding
    if spread == 0:
        tolerance.assert_close(surplus, np.full(300, 3.0), 10, nats.max())  # all alike: the index is lost


def test_a_model_of_8_orders():
    images = image_set(BINARY, 9)
    net = random_net(BINARY)
    found = measure(net, BINARY, images, groups(SPECS), CPU)["likelihood"]
    each = np.stack([nats_of(net, BINARY, images.levels, spec) for spec in SPECS])
    close(net, found.nats, each.mean(1))
    assert found.ensemble < max(found.nats) and len(set(found.nats)) > 4
    close(net, found.ensemble, -np.log(np.exp(-each).mean(0)).mean())
    assert found.ensemble <= found.coded <= found.ensemble + 3 * math.log(2)
    assert (found.images, found.values, found.orders) == (9, 30, tuple(SPECS))
    about = found.about()
    assert about["ensemble"] == {"nats": found.ensemble, "bits_per_dim": found.ensemble / (30 * math.log(2))}
    assert [row["order"] for row in about["orders"]] == SPECS


def test_summary_counts_values():
    found = summary(["raster"], np.array([[10.0, 30.0]]), 50)
    assert (found.nats, found.ensemble, found.coded, found.images) == ((20.0,), 20.0, 20.0, 2)
    tolerance.assert_close(found.bits_per_dim(20.0), 20 / 50 / math.log(2), depth=3)


# Regions, given the rest of the image


def all_images() -> np.ndarray:
    """The 512 binary images of 3x3, uint8 [512, 1, 3, 3]; image i has the bits of i."""
    return ((np.arange(512)[:, None] >> np.arange(9)) & 1).astype(np.uint8).reshape(512, 1, 3, 3)


@pytest.mark.parametrize("spec", ["s_curve:0", "raster:6", "random=4", "wavefront:3"])
def test_a_regions_likelihood_is_the_ratio_of_joint_ones(spec):
    """-log p(region | rest) = -log p(image) + log of the sum over all regions' contents: all 2^9 images."""
    net, rank = random_net(BINARY, 1), orders.make(spec, 3, 3)
    region = rank >= np.sort(rank, axis=None)[5]  # what the order visits last
    p = np.exp(-nats_of(net, BINARY, all_images(), spec))
    close(net, p.sum(), 1, largest=-np.log(p).min())
    rest = (all_images()[:, 0] * ~region).reshape(512, 9) @ (1 << np.arange(9))
    conditional = -np.log(p / np.bincount(rest, p, minlength=512)[rest])
    found = nats_of(net, BINARY, all_images(), spec, region=region)
    close(net, found, conditional)
    assert found.std() > 0.1
    other = nats_of(net, BINARY, all_images(), spec, region=~region)  # visited first: its own likelihood
    close(net, other, -np.log(np.bincount(rest, p, minlength=512)[rest]))


def test_the_orders_that_give_a_regions_likelihood():
    assert groups(SPECS, "top", 6, 5) == {
        "max_context": ["s_curve:1", "s_curve:3"],
        "adversarial": ["s_curve:0", "s_curve:2"],
    }
    assert groups(SPECS[1:2], "top", 6, 5) == {"max_context": ["s_curve:1"]}
    assert groups(SPECS) == {"likelihood": SPECS}
    assert groups(SPECS[:2], "centre", 6, 5) == {"max_context": ["s_curve@centre:0", "s_curve@centre:1"]}
    assert groups(["s_curve@top:4"], "box=1,1,2,2", 6, 5) == {"max_context": ["s_curve@box=1,1,2,2:4"]}
    with pytest.raises(RegionError, match="there is no region 'middle'"):
        groups(SPECS, "middle", 6, 5)


def test_measuring_a_region():
    images, region = image_set(COLOUR, 5), make("left", 6, 5)
    net = random_net(COLOUR)
    found = measure(net, COLOUR, images, groups(SPECS, "left", 6, 5), CPU, region)
    assert found["max_context"].values == found["adversarial"].values == 6 * 2 * 3
    each = np.stack([nats_of(net, COLOUR, images.levels, spec, region=region) for spec in ("s_curve:6", "s_curve:7")])
    close(net, found["max_context"].ensemble, ensemble(each).mean())


# Photographs


def test_photographs_are_evaluated_whole(tmp_path):
    from PIL import Image

    torch.manual_seed(0)
    net = build(PhotoConfig(channels=4, blocks=1, components=2, first_kernel=3)).eval()
    torch.nn.init.normal_(net.out.weight, std=0.3)
    wide, high = photograph(20, 26), photograph(30, 18, 1)
    for name, picture in (("a.png", wide), ("b.png", high)):
        Image.fromarray(picture.transpose(1, 2, 0)).save(tmp_path / name)
    rows = list(photographs.photographs(net, tmp_path, CPU))
    assert [(row.name, row.height, row.width) for row in rows] == [("a.png", 20, 26), ("b.png", 30, 18)]
    for row, picture in zip(rows, (wide, np.ascontiguousarray(orient(high, 4)))):
        bases = torch.from_numpy(predict_picture(picture))[None]
        pixels = torch.from_numpy(picture)[None]
        with torch.no_grad():
            nats = likelihood.nll(pixels.float(), bases.float() / 64, net(pixels, bases))
        close(net, row.bits_per_subpixel, nats.double().sum().item() / (picture.size * math.log(2)))
    assert [row.bits_per_subpixel for row in photographs.photographs(net, tmp_path / "b.png", CPU)] == [
        rows[1].bits_per_subpixel
    ]
