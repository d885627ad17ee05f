"""What every network of the family must do, whatever it is made of: sum to one, see the past, draw, learn, go on."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from lmconv import orders
from lmconv.checkpoints import checkpoint
from lmconv.config import ImageTraining
from lmconv.errors import LmconvError
from lmconv.family.settings import CONFIGS, FamilyConfig, FlatConfig, RasterConfig, own
from lmconv.networks import kinds
from lmconv.networks.distributions import centred
from lmconv.sampling import sampler
from lmconv.training.run import train
from lmconv.training.tasks import ImageTask
from tests.lmconv.tiny import CPU, QUIET, image_set

SMALL = {
    "bengio": dict(hidden=2),
    "nade": dict(hidden=6),
    "made": dict(hidden=(12, 9)),
    "eonade": dict(hidden=(8, 7)),
    "convnade": dict(filters=4, layers=3, kernel=3),
    "masked_pixelcnn": dict(filters=6, blocks=2),
    "gated_pixelcnn": dict(filters=9, layers=3),
    "row_lstm": dict(hidden=6, layers=2),
    "diagonal_bilstm": dict(hidden=6, layers=2),
    "rnade": dict(hidden=9),
    "pixel_vae": dict(filters=8, blocks=1, latents=2),
    "video_pixel": dict(filters=12, blocks=2, frames=3),
    "parallel_wavenet": dict(filters=5, skip=5, layers=4, cycles=1, flows=2),
    "multiscale": dict(filters=12, blocks=2, levels=15),
    "wavenet": dict(filters=9, skip=9, layers=4, cycles=1),
}
ORDERS = ("raster", "s_curve:5", "random=3")
FLAT = [name for name, config in CONFIGS.items() if issubclass(config, FlatConfig)]
WALKING = (
    "nade",
    "rnade",
    "eonade",
    "convnade",
    "masked_pixelcnn",
    "pixel_vae",
    "video_pixel",
    "wavenet",
)  # they draw by themselves, one position after the other
RASTER = [name for name, config in CONFIGS.items() if issubclass(config, RasterConfig)]
SAME = [name for name in CONFIGS if name != "parallel_wavenet"]  # what is trained and drawn as the others are
EXACT = [name for name in SAME if name != "pixel_vae"]  # whose likelihoods are no bounds
EVERY = [(name, order) for name in EXACT for order in (ORDERS[:1] if name in RASTER else ORDERS)]
BITS = dict(channels=1, bits=1, binary=True)
COLOURS = dict(channels=3, bits=8, components=2)


def config(name: str, height: int = 3, width: int = 3, **images):
    size = dict(height=height, width=width) if name in FLAT else {}
    return CONFIGS[name](**(images or BITS), **size, **SMALL.get(name, {}))


def shape(name: str, height: int, width: int) -> tuple[int, int]:
    """Of images with as many pixels: WaveNet's have one row."""
    if name == "video_pixel":
        return 3, height * width // 3
    return (1, height * width) if "wavenet" in name else (height, width)


def drawn(channels: int, height: int, width: int) -> torch.Tensor:
    """An image in [-1, 1]."""
    generator = torch.Generator().manual_seed(7)
    return 2 * torch.rand(1, channels, height, width, dtype=torch.double, generator=generator) - 1


def network(settings, seed: int = 0):
    """With weights that all matter, in double precision, in evaluation mode."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = kinds.build(settings).double()
        for parameter in net.parameters():
            torch.nn.init.normal_(parameter, std=0.7)
    return net.eval()


@pytest.mark.parametrize(("name", "order"), EVERY)
def test_the_probabilities_of_all_images_sum_to_one(name, order):
    net = network(config(name))
    images = torch.tensor(list(itertools.product((0, 1), repeat=9)), dtype=torch.uint8).view(-1, 1, *shape(name, 3, 3))
    with torch.no_grad():
        logs = net.log_prob(images, order)
    assert torch.logsumexp(logs, 0).abs() < 1e-4 and logs.std() > 0.5  # likelihoods are in float32


@pytest.mark.parametrize("images", [BITS, COLOURS], ids=["bits", "colours"])
@pytest.mark.parametrize(("name", "order"), EVERY)
def test_a_position_sees_all_before_it_and_nothing_else(name, images, order):
    settings = config(name, 3, 4, **images)
    height, width = shape(name, 3, 4)
    net, rank = network(settings), orders.make(order, height, width)
    x = drawn(settings.channels, height, width).repeat(12, 1, 1, 1).requires_grad_()
    out = net(x, kinds.view(settings, rank)).flatten(2).diagonal(dim1=0, dim2=2)  # [P, 12], position i of image i
    (out.T @ torch.randn(len(out), dtype=torch.double, generator=torch.Generator().manual_seed(1))).sum().backward()
    seen = x.grad.abs().flatten(2) > 0
    past = torch.from_numpy(rank.reshape(1, -1) < rank.reshape(-1, 1))
    assert not (seen & ~past[:, None]).any()
    if name == "made":  # whose few units leave some ways closed
        assert seen.sum() > seen.numel() / 10
    else:
        assert (seen == past[:, None]).all()


@pytest.mark.parametrize("images", [BITS, COLOURS], ids=["bits", "colours"])
@pytest.mark.parametrize("name", EXACT)
def test_drawing_is_what_the_definition_draws(name, images):
    settings, size = config(name, 3, 4, **images), shape(name, 3, 4)
    order = "raster" if settings.raster_only else "s_curve:3"
    net, rank = network(settings), orders.make(order, *size)
    hidden = np.ones(size, bool)
    hidden[rank < 5] = False
    generator = torch.Generator().manual_seed(3)
    given = torch.randint(2**settings.bits, (4, settings.channels, *size), dtype=torch.uint8, generator=generator)
    drawer, naive = sampler.drawer_of(net, rank, hidden), sampler.Naive(net, rank, hidden)
    noise = naive.distribution.noise(4, *size, generator)
    found = drawer.draw(noise, given)
    assert torch.equal(found, naive.draw(noise, given))
    assert torch.equal(found[:, :, ~hidden], given[:, :, ~hidden]) and not torch.equal(found, given)
    assert drawer.steps >= net.steps(order, *size) - 5 and isinstance(drawer, sampler.Walk) == (name in WALKING)


@pytest.mark.parametrize("images", [BITS, COLOURS], ids=["bits", "colours"])
@pytest.mark.parametrize("name", SAME)
def test_all_parameters_learn(name, images):
    settings, size = config(name, 3, 4, **images), shape(name, 3, 4)
    net = network(settings).train()
    generator = torch.Generator().manual_seed(5)
    levels = torch.randint(2**settings.bits, (64, settings.channels, *size), dtype=torch.uint8, generator=generator)
    torch.manual_seed(5)  # of what is drawn for an objective
    view = kinds.view(settings, orders.make("raster" if settings.raster_only else "random=1", *size))

    def forward(x, view):
        return net(x.double(), view)

    kinds.objective(forward, settings, levels, view).sum().backward()
    for parameter_name, parameter in net.named_parameters():
        if parameter_name.startswith("levels.") and int(parameter_name.split(".")[1]) > 10:
            continue  # of multiscale levels that 12 pixels do not have
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, parameter_name


@pytest.mark.parametrize("name", SAME)
def test_a_run_goes_on_as_if_nothing_had_happened(name, tmp_path):
    settings, (height, width) = config(name, 4, 3), shape(name, 4, 3)
    many = {} if settings.raster_only else dict(order="s_curve,random=2", variants=(0, 3))
    training = ImageTraining(
        **dict(order="raster", variants=(0,)) | many,
        steps=6,
        batch=4,
        rate=1e-2,
        height=height,
        width=width,
        holdout=5,
        evaluate_every=3,
    )
    images = image_set(settings, 20, height=height, width=width)

    def task(steps):
        return ImageTask(images, replace(training, steps=steps), settings, CPU)

    whole = checkpoint.load(train(task(6), tmp_path / "whole", QUIET))
    train(task(3), tmp_path / "parts", QUIET)
    parts = checkpoint.load(train(task(6), tmp_path / "parts", QUIET, resume="auto"))
    assert whole.network == parts.network == settings and whole.curve == parts.curve and len(whole.curve) == 2
    for group in ("model", "ema", "optimiser"):
        one, other = getattr(whole, group), getattr(parts, group)
        assert one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


# One by one


def sees(name: str, side: int, position: tuple[int, int], **settings) -> np.ndarray:
    """What a position of an image of bits sees, bool [side, side]."""
    shape = CONFIGS[name](**BITS, **SMALL[name] | settings)
    net = network(shape)
    x = drawn(1, side, side).requires_grad_()
    net(x, kinds.view(shape, orders.make("raster", side, side)))[0, 1, position[0], position[1]].backward()
    return (x.grad[0, 0] != 0).numpy()


def test_the_blind_spot_and_its_end():
    """From (6, 1) of 9 x 9: masks of 3 x 3 move one column to the right for each row up, two stacks see all."""
    row, column = np.indices((9, 9))
    before = 9 * row + column < 9 * 6 + 1
    masked = sees("masked_pixelcnn", 9, (6, 1), kernel=3, blocks=8)
    assert (masked == before & (column <= 1 + 6 - row)).all() and masked.sum() < before.sum()
    assert (sees("gated_pixelcnn", 9, (6, 1), layers=8) == before).all()
    diagonal = sees("diagonal_bilstm", 9, (6, 1), kernel=3)
    assert np.argwhere(diagonal != before).tolist() == [[5, 8]]  # no features of what comes before (6, 1) have it


def test_a_row_lstm_sees_a_triangle():
    row, column = np.indices((9, 9))
    seen = sees("row_lstm", 9, (6, 4), kernel=3, layers=1)
    rows_above = row < 6
    assert (seen[6] == (column[6] < 4)).sum() >= 7 and not (seen & (row == 6) & (column >= 4)).any()
    assert (seen & rows_above & (abs(column - 4) > 6 - row + 2)).sum() == 0 and seen[0].all()


def test_an_image_by_scales_takes_as_many_passes_as_levels():
    settings = CONFIGS["multiscale"](**BITS, **SMALL["multiscale"])
    net = network(settings)
    assert net.steps("multiscale=32", 28, 28) == 16
    assert sampler.drawer_of(net, orders.make("multiscale=32", 28, 28), np.ones((28, 28), bool)).steps == 16
    with pytest.raises(LmconvError, match="levels 0 to 15, the order 0 to 18"):
        kinds.view(settings, orders.make("multiscale=64", 40, 40))


def test_sounds_are_trained_on_and_drawn(tmp_path):
    from click.testing import CliRunner

    from lmconv.cli import cli
    from lmconv.data import sounds

    sounds.write(tmp_path / "tone.wav", sounds.encoded(np.sin(np.arange(600) / 5))[None])

    def run(*words, code=0):
        result = CliRunner().invoke(cli, [str(word) for word in words], prog_name="lmconv")
        assert result.exit_code == code, result.output
        return result.output

    few = ["--filters", 4, "--skip", 4, "--layers", 3, "--steps", 3, "--batch", 2, "--holdout", 3, "--samples", 0]
    run("train", "wavenet", "--data", tmp_path / "tone.wav", "-o", tmp_path / "run", "--width", 50, *few, "-q")
    last = tmp_path / "run" / "last.safetensors"
    run("sample", last, "-o", tmp_path / "new.wav", "--count", 2, "-q", "--rate", 1000)
    assert len(sounds.read(tmp_path / "new.wav")) == 2 * (50 + 100)
    assert "for sounds" in run("sample", last, "-o", tmp_path / "x.wav", "--height", 2, "-q", code=2)


def test_labels_and_conditions_matter():
    for name, given in (("gated_pixelcnn", dict(classes=3)), ("wavenet", dict(classes=2, planes=1))):
        settings = CONFIGS[name](**BITS, **SMALL[name], **given)
        net, size = network(settings), shape(name, 3, 3)
        view = kinds.view(settings, orders.make("raster", *size))
        planes = torch.zeros(2, settings.given, *size, dtype=torch.uint8)
        planes[0, 0] = planes[1, 1] = 255
        with torch.no_grad():
            one, other = net(torch.zeros(2, 1, *size, dtype=torch.double), view.beside(planes))
        assert (one[1] != other[1]).all()


def test_what_a_wavenet_sees_doubles_with_every_layer():
    settings = CONFIGS["wavenet"](**BITS, **SMALL["wavenet"])
    net, x = network(settings), drawn(1, 1, 20).requires_grad_()
    net(x, kinds.view(settings, orders.make("raster", 1, 20)))[0, 1, 0, 19].backward()
    assert np.flatnonzero(x.grad[0, 0, 0]).tolist() == list(range(19 - 16, 19))


def test_the_bound_is_below_the_likelihood_and_is_tight_on_average():
    """PixelVAE: importance sampling with many latent numbers gives more than the mean of the bound, and all images
    together no more than 1."""
    net = network(config("pixel_vae"))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(0.1)
    images = torch.tensor(list(itertools.product((0, 1), repeat=9)), dtype=torch.uint8).view(-1, 1, 3, 3)
    torch.manual_seed(1)
    with torch.no_grad():
        bounds = torch.stack([net.log_prob(images) for _ in range(200)])
    better = torch.logsumexp(bounds, 0) - np.log(200)
    assert (better > bounds.mean(0)).all() and abs(torch.logsumexp(better, 0)) < 0.15
    assert torch.logsumexp(bounds.mean(0), 0) < 0


def test_images_of_latent_numbers_are_the_seed_s_whatever_the_batch():
    net, rank = network(config("pixel_vae")), orders.make("raster", 3, 3)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(0.3)
    drawn = sampler.sample(net, rank, 6, seed=4, batch=6)
    np.testing.assert_array_equal(drawn, sampler.sample(net, rank, 6, seed=4, batch=2))
    assert (drawn != sampler.sample(net, rank, 6, seed=5)).any() and len(np.unique(drawn.reshape(6, -1), axis=0)) > 2


def test_a_frame_sees_all_frames_before_it():
    settings = CONFIGS["video_pixel"](**BITS, **SMALL["video_pixel"])
    net, x = network(settings), drawn(1, 12, 4).requires_grad_()
    net(x, kinds.view(settings, orders.make("raster", 12, 4)))[0, 1, 9, 1].backward()
    seen = (x.grad[0, 0] != 0).numpy()
    assert seen[:8].all() and seen[8, :3].all() and seen[9, 0] and not seen[9, 1:].any() and not seen[10:].any()
    with pytest.raises(LmconvError, match="3 frames have a multiple of so many rows, not 10"):
        kinds.view(settings, orders.make("raster", 10, 4))


def test_densities_bound_the_levels():
    """RNADE: the nats of dequantised values are on average above those of the levels' masses, and near them where
    Gaussians are wide."""
    masses = CONFIGS["rnade"](channels=1, bits=8, components=3, height=3, width=3, hidden=5)
    density = replace(masses, density=True)
    net = network(masses)
    generator = torch.Generator().manual_seed(0)
    levels = torch.randint(256, (300, 1, 3, 3), dtype=torch.uint8, generator=generator)
    view = kinds.view(masses, orders.make("raster", 3, 3))
    flat = torch.zeros(1, 9, 3, 3, dtype=torch.double)  # one Gaussian of deviation 1 everywhere

    def still(x, view):
        return flat.expand(len(x), -1, -1, -1)

    torch.manual_seed(2)
    inner = levels.clamp(1, 254)  # the first and the last level have the tails besides
    exact, bound = (kinds.nll(still, each, inner, view) for each in (masses, density))
    assert abs(exact.mean() - bound.mean()) < 1e-3
    with torch.no_grad():
        exact, bound = (kinds.nll(lambda x, v: net(x.double(), v), each, levels, view) for each in (masses, density))
    assert bound.sum((1, 2)).mean() > exact.sum((1, 2)).mean()


def test_settings_out_of_range_are_named():
    for name, settings, message in (
        ("nade", dict(hidden=0), "hidden is a whole number from 1 to 65536, not 0"),
        ("made", dict(hidden=()), r"hidden is a whole number from 1 to 65536, not \(\)"),
        ("gated_pixelcnn", dict(kernel=4), "kernel is odd, not 4"),
    ):
        with pytest.raises(LmconvError, match=message):
            CONFIGS[name](**BITS, **settings)


def test_every_setting_has_its_help():
    for settings in CONFIGS.values():
        assert settings.__doc__ and all(each.metadata["help"].endswith(".") for each in own(settings).values())
        assert issubclass(settings, FamilyConfig)


def test_the_estimate_of_all_orders_is_their_mean():
    """EoNADE, on 2 x 2 bits: over all numbers and sets of known pixels, against all 24 orders."""
    settings = config("eonade", 2, 2)
    net = network(settings)
    levels = torch.tensor([[[[1, 0], [1, 1]]]], dtype=torch.uint8)
    with torch.no_grad():
        each = []
        for order in itertools.permutations(range(4)):
            view = kinds.view(settings, np.argsort(order).reshape(2, 2).astype(np.int32))
            each.append(kinds.nll(lambda x, view: net(x.double(), view), settings, levels, view).sum())
        estimates = []
        for number in range(4):
            sets = list(itertools.combinations(range(4), number))
            for known in sets:
                mask = torch.zeros(1, 4, dtype=torch.bool)
                mask[0, list(known)] = True
                mask = mask.view(1, 2, 2)
                parameters = net(centred(levels, 1, torch.double), mask)
                nats = sampler.distribution(settings).nll(parameters, levels)
                estimates.append((nats * ~mask).sum() * 4 / (4 - number) / len(sets) / 4)
    assert abs(sum(each) / 24 - sum(estimates)) < 1e-6


def test_the_objective_draws_every_number_of_known_pixels():
    settings = config("eonade", 2, 2)
    net, seen = network(settings), []

    def forward(x, known):
        seen.append(known.flatten(1).sum(1))
        return net(x.double(), known)

    levels = torch.zeros(400, 1, 2, 2, dtype=torch.uint8)
    torch.manual_seed(0)
    nats = kinds.objective(forward, settings, levels, kinds.view(settings, orders.make("raster", 2, 2)))
    assert nats.shape == (400, 2, 2)
    counts = torch.bincount(seen[0])
    assert len(counts) == 4 and counts.min() > 70


def test_made_has_units_of_its_own_for_each_order():
    settings = config("made", 3, 4)
    views = [kinds.view(settings, orders.make(order, 3, 4)) for order in ("random=1", "random=2", "random=1")]
    assert torch.equal(views[0].hidden[0], views[2].hidden[0])
    assert not torch.equal(views[0].hidden[0], views[1].hidden[0])
    assert views[0].hidden[1].min() >= views[0].hidden[0].min()


@pytest.mark.parametrize("name", ["nade", "rnade", "eonade", "convnade"])
def test_ties_are_refused_where_positions_go_one_by_one(name):
    with pytest.raises(orders.OrderError, match="not a permutation"):
        kinds.view(config(name), orders.make("wavefront", 3, 3))


@pytest.mark.parametrize("name", FLAT)
def test_other_sizes_are_refused(name):
    with pytest.raises(Exception, match="for images of 3x3, not 3x4"):
        kinds.view(config(name), orders.make("raster", 3, 4))


@pytest.mark.parametrize("name", SAME)
def test_the_command_line_trains_evaluates_draws_and_describes(name, tmp_path):
    from click.testing import CliRunner

    from lmconv.cli import cli

    height, width = (6, 4) if name == "video_pixel" else shape(name, 4, 4)
    pixels = image_set(config(name), 12, height=height, width=width).pixels.transpose(0, 2, 3, 1)
    np.savez(tmp_path / "x.npz", train_images=pixels, test_images=pixels[:6])

    def run(*words):
        result = CliRunner().invoke(cli, [str(word) for word in words], prog_name="lmconv", catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    small = []
    for key, value in SMALL.get(name, {}).items():
        small += [f"--{key}", ",".join(map(str, value)) if isinstance(value, tuple) else value]
    sizes = [
        "--height",
        height,
        "--width",
        width,
        "--steps",
        2,
        "--batch",
        2,
        "--holdout",
        3,
        "--evaluate-every",
        2,
        "-q",
    ]
    run("train", name, "--data", tmp_path / "x.npz", "-o", tmp_path / "run", "--order", "raster", *sizes, *small, "-q")
    last = tmp_path / "run" / "last.safetensors"
    assert (tmp_path / "run" / "samples").exists() == (name in WALKING)
    assert "nats" in run("eval", last, tmp_path / "x.npz", "-q")
    run("sample", last, "-o", tmp_path / "s.png", "--count", 2, "-q")
    run(
        "complete",
        last,
        tmp_path / "x.npz",
        "--region",
        "right" if name == "wavenet" else "bottom",
        "-o",
        tmp_path / "c.png",
        "--count",
        2,
        "-q",
    )
    assert str(sum(p.numel() for p in kinds.build(checkpoint.load(last).network).parameters())) in run(
        "describe", last
    ).replace(",", "")
