"""Tasks: batches come from (seed, step) and divide into parts; every image in its turn, on the grid, none held out."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lmconv.config import PhotoConfig, PhotoTraining
from lmconv.data.crops import Prepared
from lmconv.data.pictures import DataError
from lmconv.errors import LmconvError
from lmconv.evaluation.likelihoods import image_nats
from lmconv.networks import likelihood
from lmconv.networks.kinds import build
from lmconv.networks.pixelcnn import order_masks
from lmconv.orders import OrderError, make
from lmconv.training.tasks import ImageTask, PhotoTask
from tests import tolerance
from tests.lmconv.tiny import BINARY, COLOUR, CONFIG, CPU, image_set, image_task, random_net

PHOTO = PhotoTraining(batch=4, window=16, crop=32, variants=(0, 3), altered=0.0, holdout=3)
TINY = PhotoConfig(channels=4, blocks=1, components=2, first_kernel=3)


@pytest.fixture
def prepared():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (8, 3, 32, 32), dtype=np.uint8)
    bases = {v: rng.integers(0, 255 * 64, pixels.shape, dtype=np.int16) for v in (0, 3)}
    return Prepared(pixels, bases, "d" * 64)


def photo_task(prepared, **changes) -> PhotoTask:
    return PhotoTask(prepared, replace(PHOTO, **changes), TINY, CPU)


def close(net, found, expected):
    """Sums of nats that the network computed in float32, in batches of other sizes."""
    tolerance.assert_close(found, expected, tolerance.depth(net), number="float32")


# Photographs


def test_photo_batches_depend_on_seed_and_step_alone(prepared):
    one, other = photo_task(prepared), photo_task(prepared, seed=1)
    pixels, bases = one.batch(7)
    one.batch(1)
    again = one.batch(7)
    assert torch.equal(pixels, again[0]) and torch.equal(bases, again[1])
    assert pixels.shape == bases.shape == (4, 3, 16, 16) and pixels.dtype == torch.uint8 and bases.dtype == torch.int16
    assert not torch.equal(pixels, other.batch(7)[0])
    assert not torch.equal(pixels, one.batch(8)[0])


def test_photo_batches_divide_into_parts(prepared):
    task = photo_task(prepared)
    for parts in (2, 4):
        pixels, bases = (torch.cat(planes) for planes in zip(*(task.batch(3, part, parts) for part in range(parts))))
        assert torch.equal(pixels, task.batch(3)[0]) and torch.equal(bases, task.batch(3)[1])


def test_held_out_crops_are_not_trained_on(prepared):
    marked = replace(
        prepared, pixels=np.broadcast_to(np.arange(8, dtype=np.uint8).reshape(8, 1, 1, 1), prepared.pixels.shape)
    )
    task = photo_task(marked)
    assert {value for step in range(20) for value in task.batch(step)[0].unique().tolist()} == {0, 1, 2, 3, 4}


def test_the_share_of_altered_windows(prepared):
    marked = replace(prepared, altered=(np.full_like(prepared.pixels, 255), np.zeros_like(prepared.bases[0])))
    windows = torch.cat([photo_task(marked, altered=0.25).batch(step)[0] for step in range(100)])
    assert 0.18 < (windows == 255).all(dim=(1, 2, 3)).float().mean() < 0.32  # 400 windows: three deviations
    with pytest.raises(DataError, match="none are prepared"):
        photo_task(prepared, altered=0.25)


def test_photo_evaluation_is_of_whole_held_out_crops(prepared):
    task = photo_task(prepared)
    net = build(TINY)
    torch.nn.init.normal_(net.out.weight, std=0.3)
    bits = []
    with torch.no_grad():
        for index in (5, 6, 7):
            pixels, bases = (torch.from_numpy(part[index : index + 1]) for part in (prepared.pixels, prepared.bases[0]))
            nats = likelihood.nll(pixels.float(), bases.float() / 64, net(pixels, bases))
            bits.append(likelihood.bits_per_subpixel(nats).item())
        ((total, count),) = task.evaluate(net)
    assert count == 3 and task.orders == ("wavefront:0",)
    close(net, total, sum(bits))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(holdout=8), "8 crops are too few to hold 8 out"),
        (dict(crop=64), "the training is for crops of 64 pixels, the prepared crops have 32"),
    ],
)
def test_crops_that_do_not_fit(prepared, change, message):
    with pytest.raises(DataError, match=message):
        photo_task(prepared, **change)


# Images


@pytest.mark.parametrize("network", [COLOUR, BINARY], ids=["colour", "binary"])
def test_image_batches_depend_on_seed_and_step_alone(network):
    one, other = image_task(network), image_task(network, seed=1)
    levels, order, _ = one.batch(7)
    one.batch(100)
    again = one.batch(7)
    assert torch.equal(levels, again[0]) and order == again[1]
    assert levels.shape == (4, network.channels, 6, 5) and levels.dtype == torch.uint8
    assert not torch.equal(levels, other.batch(7)[0])
    assert {one.batch(step)[1] for step in range(20)} == {"s_curve:1", "s_curve:4"}


@pytest.mark.parametrize("network", [COLOUR, BINARY], ids=["colour", "binary"])
def test_image_batches_divide_into_parts(network):
    """Drawn bits, order and size are the whole batch's."""
    task = image_task(network, sizes=(6, 3))
    for step in range(4):
        levels, order, _ = task.batch(step)
        parts = [task.batch(step, part, 4) for part in range(4)]
        assert torch.equal(torch.cat([part for part, *_ in parts]), levels)
        assert {other for _, other, _ in parts} == {order}


def test_every_image_comes_once_an_epoch():
    images = image_set(COLOUR, 20)
    images.pixels[:] = np.arange(20, dtype=np.uint8).reshape(20, 1, 1, 1)
    task = ImageTask(images, replace(CONFIG, batch=4, holdout=7), COLOUR, CPU)
    seen = [int(image[0, 0, 0]) for step in range(39) for image in task.batch(step)[0]]  # 12 epochs of 13
    epochs = [seen[start : start + 13] for start in range(0, len(seen), 13)]
    assert all(sorted(epoch) == list(range(13)) for epoch in epochs)  # 13 to 19 are held out
    assert len({tuple(epoch) for epoch in epochs}) == 12


def test_drawn_bits_are_new_in_every_epoch():
    task = image_task(BINARY, batch=13)
    epochs = []
    for step in range(2):
        rows = task._rows(step)
        epochs.append(task.batch(step)[0].numpy()[np.argsort(rows)])
    pixels = task.images.pixels[:13]
    assert (epochs[0] != epochs[1]).any()
    assert all((epoch[pixels == 0] == 0).all() and (epoch[pixels == 255] == 1).all() for epoch in epochs)
    fixed = image_task(BINARY, batch=13, binarisation="threshold")
    np.testing.assert_array_equal(np.sort(fixed.batch(0)[0].sum((1, 2, 3))), np.sort(fixed.batch(1)[0].sum((1, 2, 3))))


@pytest.mark.parametrize("bits", [8, 3])
def test_resized_batches_stay_on_the_grid(bits):
    network = replace(COLOUR, bits=bits)
    task = image_task(network, sizes=(12, 6, 3), steps=20)
    shapes = set()
    for step in range(20):
        levels, *_ = task.batch(step)
        shapes.add(tuple(levels.shape[2:]))
        assert levels.dtype == torch.uint8 and levels.max().item() < 2**bits and len(levels.unique()) > 2
        task.loss(random_net(network), task.batch(step))  # there are masks for it
    assert shapes == {(12, 10), (6, 5), (3, 2)}


def test_the_loss_is_in_bits_per_dim_or_nats():
    for network, unit in ((COLOUR, 90 * np.log(2)), (BINARY, 1)):
        task, net = image_task(network), random_net(network)
        levels, order, _ = task.batch(0)
        masks = order_masks(make(order, 6, 5), network)
        nats = image_nats(net, network, levels.numpy(), masks, CPU)
        close(net, task.loss(net, (levels, order, None)), nats.mean() / unit)
        assert task.unit == ("nats" if network.binary else "bits/dim")


def test_image_evaluation_counts_every_held_out_image_once():
    for network, unit in ((COLOUR, 90 * np.log(2)), (BINARY, 1)):
        task, net = image_task(network), random_net(network)  # 7 held out, batches of 4
        levels = task.images.grid.levels(task.images.pixels[13:])
        found = task.evaluate(net)
        assert task.orders == ("s_curve:1", "s_curve:4") and [count for _, count in found] == [4, 3]
        for index, (order, (total, _)) in enumerate(zip(task.orders, found, strict=True)):  # in turn
            masks = order_masks(make(order, 6, 5), network)
            close(net, total, image_nats(net, network, levels[index::2], masks, CPU).sum() / unit)
        assert task.evaluate(net) == found
        shares = [task.evaluate(net, part, 3) for part in range(3)]
        for index, (total, count) in enumerate(found):
            assert sum(share[index][1] for share in shares) == count
            close(net, sum(share[index][0] for share in shares), total)
        few = image_task(network, holdout=1)  # more processes than images
        assert sum(count for part in range(2) for _, count in few.evaluate(net, part, 2)) == 1


def test_several_orders_and_new_ones_for_each_batch():
    task, net = image_task(order="gilbert,random", variants=(0, 3)), random_net(COLOUR)
    assert task.orders == ("gilbert:0", "gilbert:3", "random=0:0", "random=0:3")
    drawn = [task.batch(step)[1] for step in range(80)]
    named = {order for order in drawn if order.startswith("gilbert")}
    fresh = [order for order in drawn if order.startswith("random=")]
    assert named == {"gilbert:0", "gilbert:3"} and len(set(fresh)) == len(fresh) > 20
    assert drawn[:9] == [task.batch(step)[1] for step in range(9)]
    levels, order, _ = next(batch for batch in map(task.batch, range(80)) if batch[1].startswith("random"))
    nats = image_nats(net, COLOUR, levels.numpy(), order_masks(make(order, 6, 5), COLOUR), CPU)
    close(net, task.loss(net, (levels, order, None)), nats.mean() / (90 * np.log(2)))
    assert [count for _, count in task.evaluate(net)] == [2, 2, 2, 1]
    with pytest.raises(LmconvError, match="order is a name, or several between commas, not 'raster,'"):
        image_task(order="raster,")
    named = image_task(order="raster:5,s_curve@box=1,1,2,2,gilbert:1", variants=(0, 2))
    assert named.orders == ("raster:5", "s_curve@box=1,1,2,2:0", "s_curve@box=1,1,2,2:2", "gilbert:1")


def test_levels_that_could_learn_nothing_are_named():
    with pytest.raises(LmconvError, match="order multiscale=4:0 on 6x5: its levels 1, 2 have no pixel before"):
        image_task(order="multiscale=4", variants=(0,))
    image_task(replace(COLOUR, kernel=5), order="multiscale=4", variants=(0,))
    with pytest.raises(LmconvError, match="order multiscale=8:0 on 6x5: its levels 4, 5 have"):
        image_task(order="multiscale=8", variants=(0,))
    image_task(replace(COLOUR, far=(2, 4)), order="multiscale=8", variants=(0,))


def unturned_task(**changes) -> ImageTask:
    task = image_task(**changes)
    return ImageTask(task.images, task.config, task.network, CPU, turned=False)


def test_turned_images_have_the_same_losses():
    changes = dict(order="s_curve,gilbert:6,random,s_curve@box=1,1,2,2:5", variants=tuple(range(8)))
    task, turned, net = unturned_task(**changes), image_task(**changes), random_net(COLOUR)
    shapes, met = set(), set()

    def seen(x, masks):
        shapes.add(tuple(x.shape[2:]))
        return net(x, masks)

    for step in range(30):
        batch = task.batch(step)
        met.add(batch[1].partition(":")[2])
        close(net, turned.loss(seen, batch), task.loss(net, batch))
    assert shapes == {(6, 5), (5, 6)} and met == set("01234567")
    for (_, one), (_, other) in zip(task.evaluate(net), turned.evaluate(net)):
        assert one == other


def test_the_two_stream_network_is_trained_too():
    network = replace(COLOUR, norm="weight_norm", two_stream=True)
    images = image_set(network, height=4, width=8)
    config = replace(CONFIG, height=4, width=8)
    with pytest.raises(LmconvError, match="has the order raster, variants 0, not s_curve, variants 1,4"):
        ImageTask(images, config, network, CPU)
    task = ImageTask(images, replace(config, order="raster", variants=(0,)), network, CPU)
    assert torch.isfinite(task.loss(task.build(), task.batch(0)))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (dict(holdout=20), DataError, "20 images are too few to hold 20 out"),
        (dict(height=8), DataError, "the images have 6x5 pixels, the training is for 8x5"),
        (dict(order="spiral"), OrderError, "there is no order 'spiral"),
        (dict(order="hilbert"), OrderError, "a square"),
    ],
)
def test_images_that_do_not_fit(change, error, message):
    with pytest.raises(error, match=message):
        image_task(**change)


# Planes and labels that are given with images


GIVEN = replace(COLOUR, planes=2, classes=3)


def given_task(**changes) -> ImageTask:
    images = image_set(GIVEN, 20)
    rng = np.random.default_rng(0)
    planes, labels = rng.integers(256, size=(20, 2, 6, 5), dtype=np.uint8), rng.integers(3, size=20)
    return ImageTask(replace(images, planes=planes, labels=labels), replace(CONFIG, **changes), GIVEN, CPU)


def test_what_is_given_goes_with_its_image():
    task = given_task()
    for step in range(8):
        levels, _, given = task.batch(step)
        for image, planes in zip(levels.numpy(), given.numpy(), strict=True):
            (row,) = np.flatnonzero((task.images.levels == image).all((1, 2, 3)))
            np.testing.assert_array_equal(planes[:2], task.images.planes[row])
            wanted = 255 * (np.arange(3) == task.images.labels[row])[:, None, None]
            np.testing.assert_array_equal(planes[2:], np.broadcast_to(wanted, (3, 6, 5)))
        parts = [task.batch(step, part, 4)[2] for part in range(4)]
        assert torch.equal(torch.cat(parts), given)


def test_a_network_learns_from_what_is_given():
    """Losses know it, and all of it has gradients."""
    task = given_task()
    net = task.build()
    levels, order, given = task.batch(0)
    loss = task.loss(net, (levels, order, given))
    loss.backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in net.given.parameters())
    assert not torch.equal(loss, task.loss(net, (levels, order, given.flip(0))))
    with pytest.raises(LmconvError, match="the network is for images with planes or labels, and none are given"):
        task.loss(net, (levels, order, None))
    found = task.evaluate(random_net(GIVEN))
    assert [count for _, count in found] == [4, 3]
    other = replace(task.images, labels=(task.images.labels + 1) % 3)
    assert ImageTask(other, CONFIG, GIVEN, CPU).evaluate(random_net(GIVEN)) != found
    assert other.digest != task.images.digest
    with pytest.raises(LmconvError, match="planes that are given cannot be resized"):
        given_task(sizes=(6, 3))
    with pytest.raises(LmconvError, match="two-stream network has planes = 0"):
        replace(GIVEN, norm="weight_norm", two_stream=True)


def test_labels_go_with_every_size():
    network = replace(COLOUR, classes=3)
    images = replace(image_set(network, 20), labels=np.arange(20) % 3)
    task = ImageTask(images, replace(CONFIG, sizes=(6, 3)), network, CPU)
    assert {tuple(task.batch(step)[2].shape[1:]) for step in range(20)} == {(3, 6, 5), (3, 3, 2)}
    assert torch.isfinite(task.loss(task.build(), task.batch(1)))
