"""The commands that draw, look and import: sample, complete, orders, describe, import-checkpoint."""

import argparse
import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from lmconv import orders
from lmconv.checkpoints import checkpoint, shipped
from lmconv.checkpoints.published import PublishedError, load, published_name
from lmconv.cli import cli
from lmconv.config import PhotoConfig, PixelCnnConfig
from lmconv.sampling import sampler, sheet
from tests.lmconv.tiny import BINARY, COLOUR, CONFIG, pixels, random_net

TRAINED = replace(CONFIG, variants=(2, 1, 4))  # s-curves that end below, above and on the right
TWO_STREAMS = PixelCnnConfig(filters=4, resnets=1, components=2, norm="weight_norm", two_stream=True)


def save(path, network, training=TRAINED, curve=(), step=0):
    weights = random_net(network).state_dict()
    checkpoint.save(path, checkpoint.Checkpoint(network, weights, weights, {}, asdict(training), step, list(curve)))
    return path


@pytest.fixture(scope="module")
def colour(tmp_path_factory):
    return save(tmp_path_factory.mktemp("checkpoints") / "colour.safetensors", COLOUR, curve=[[3, 7.5]], step=4)


@pytest.fixture(scope="module")
def binary(tmp_path_factory):
    return save(tmp_path_factory.mktemp("checkpoints") / "binary.safetensors", BINARY)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    path = tmp_path_factory.mktemp("images") / "images.npz"
    np.savez(path, test_images=pixels(5).transpose(0, 2, 3, 1))
    return path


@pytest.fixture
def run(tmp_path):
    """Runs `lmconv`; a failure leaves one line and no file."""

    def invoke(*arguments, code=0):
        before = sorted(tmp_path.rglob("*"))
        result = CliRunner().invoke(cli, [str(argument) for argument in arguments], prog_name="lmconv")
        assert result.exit_code == code, result.output
        if code:
            assert result.stdout == "" and sorted(tmp_path.rglob("*")) == before
        if code == 1:
            assert result.stderr.startswith("lmconv: ") and result.stderr.count("\n") == 1
        return result

    return invoke


def read(path):
    with Image.open(path) as image:
        return np.asarray(image)


# sample


def test_sample(run, colour, tmp_path):
    sheets = {}
    for name, options in {
        "a": [],
        "same": ["--batch", 2],
        "seed": ["--seed", 1],
        "order": ["--order", "raster"],
        "cold": ["--temperature-mixture", 0.0, "--temperature-logistic", 0.5],
    }.items():
        result = run(
            "sample",
            colour,
            "-o",
            tmp_path / "sheet.png",
            "--count",
            5,
            "--save-npy",
            tmp_path / "drawn.npy",
            "--device",
            "cpu",
            *options,
        )
        assert result.stderr == ""
        sheets[name] = np.load(tmp_path / "drawn.npy")
    assert result.stdout == f"{tmp_path / 'sheet.png'}: 5 images 6x5, order s_curve:2, seed 0\n"
    expected = sampler.sample(random_net(COLOUR), orders.make("s_curve:2", 6, 5), 5)
    np.testing.assert_array_equal(sheets["a"], expected.transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(read(tmp_path / "sheet.png"), sheet.sheet(sheets["cold"], 2))
    np.testing.assert_array_equal(sheets["same"], sheets["a"])
    assert all((sheets[name] != sheets["a"]).any() for name in ("seed", "order", "cold"))


def test_sample_of_bits_and_another_size(run, binary, tmp_path):
    run(
        "sample",
        binary,
        "-o",
        tmp_path / "sheet.png",
        "--count",
        2,
        "--height",
        4,
        "--width",
        9,
        "--save-npy",
        tmp_path / "drawn.npy",
        "--temperature-mixture",
        0.7,
    )
    drawn = np.load(tmp_path / "drawn.npy")
    assert drawn.shape == (2, 4, 9, 1) and set(np.unique(drawn)) == {0, 255}


def test_what_is_sampled_can_be_evaluated(run, binary, tmp_path):
    run("sample", binary, "-o", tmp_path / "sheet.png", "--count", 3, "--save-npy", tmp_path / "drawn.npy")
    found = json.loads(run("eval", binary, tmp_path / "drawn.npy", "--json", "-q").stdout)["results"]
    for result in found:  # under both conventions the bits are those that were drawn
        assert result["data"]["images"] == 3
        assert result["likelihood"] == found[0]["likelihood"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--order", "spiral"], "there is no order 'spiral'"),
        (["--order", "hilbert"], "hilbert needs a square"),
        (["--order", "file=/missing"], "cannot read an order from /missing"),
    ],
)
def test_sample_refuses(run, colour, tmp_path, arguments, message):
    assert message in run("sample", colour, "-o", tmp_path / "sheet.png", *arguments, code=1).stderr


def test_sample_refuses_other_networks(run, binary, tmp_path):
    out = ["-o", tmp_path / "sheet.png"]
    photo = save(tmp_path / "photo.safetensors", PhotoConfig(channels=2, blocks=1, components=1))
    assert "a photo network draws no images" in run("sample", photo, *out, code=1).stderr
    assert "no logistic temperature" in run("sample", binary, *out, "--temperature-logistic", 0.5, code=1).stderr
    (tmp_path / "text").write_text("hello")
    assert "text is not an LMConv checkpoint" in run("sample", tmp_path / "text", *out, code=1).stderr
    assert "no checkpoint" in run("sample", tmp_path / "missing", *out, code=1).stderr
    for wrong in (["--count", 0], ["--seed", -1], ["--temperature-mixture", -1], ["--device", "abacus"]):
        run("sample", binary, *out, *wrong, code=2)
    run("sample", binary, code=2)


def test_the_two_stream_baseline_is_sampled(run, tmp_path):
    training = replace(TRAINED, order="raster", variants=(0,), height=4, width=4)
    path = save(tmp_path / "two.safetensors", TWO_STREAMS, training)
    assert "order raster:0" in run("sample", path, "-o", tmp_path / "sheet.png", "--count", 1).stdout
    assert "raster alone" in run("sample", path, "-o", tmp_path / "sheet.png", "--order", "s_curve", code=1).stderr


# complete


@pytest.mark.parametrize(
    ("region", "order"),
    [
        ("top", "s_curve:1"),
        ("bottom", "s_curve:2"),
        ("right", "s_curve:4"),
        ("left", "s_curve@left:2"),
        ("box=1,1,2,3", "s_curve@box=1,1,2,3:2"),
    ],
)
def test_complete_takes_an_order_that_ends_in_the_region(run, colour, images, tmp_path, region, order):
    result = run("complete", colour, images, "-o", tmp_path / "sheet.png", "--region", region, "--count", 3)
    assert result.stdout == f"{tmp_path / 'sheet.png'}: 3 images 6x5, region {region}, order {order}, seed 0\n"


def test_complete(run, colour, images, tmp_path):
    Image.fromarray(np.array([[0, 0, 0, 0, 9]] + [[0] * 5] * 4 + [[255] * 5], np.uint8)).save(tmp_path / "mask.png")
    run(
        "complete",
        colour,
        images,
        "-o",
        tmp_path / "sheet.png",
        "--region",
        f"mask={tmp_path / 'mask.png'}",
        "--order",
        "gilbert",
        "--save-npy",
        tmp_path / "drawn.npy",
        "--seed",
        3,
    )
    truth, drawn = pixels(5), np.load(tmp_path / "drawn.npy").transpose(0, 3, 1, 2)
    hidden = np.zeros((6, 5), bool)
    hidden[0, 4] = hidden[5] = True
    np.testing.assert_array_equal(drawn[:, :, ~hidden], truth[:, :, ~hidden])
    rank = orders.move_last(orders.make("gilbert", 6, 5), hidden)
    np.testing.assert_array_equal(drawn, sampler.complete(random_net(COLOUR), rank, truth, hidden, seed=3))
    expected = sheet.sheet(sheet.completions(truth, drawn, hidden, 8), columns=4)
    np.testing.assert_array_equal(read(tmp_path / "sheet.png"), expected)


def test_complete_reads_files_and_makes_bits(run, binary, tmp_path):
    grey = pixels(2, 1, 12, 10)[:, 0]
    for index, picture in enumerate(grey):
        Image.fromarray(picture).save(tmp_path / f"{index}.png")
    result = run(
        "complete", binary, tmp_path / "0.png", tmp_path / "1.png", "-o", tmp_path / "sheet.png", "--region", "top"
    )
    assert ": 2 images 6x5, region top" in result.stdout
    top = read(tmp_path / "sheet.png")[2, 2:-2]
    assert set(np.unique(top)) <= {0, 127, 255}


def test_complete_refuses(run, colour, binary, images, tmp_path):
    out = ["-o", tmp_path / "sheet.png"]
    for region, message in (
        ("middle", "there is no region 'middle'"),
        ("box=0,0,7,5", "not inside an image of 6x5"),
        (f"mask={tmp_path / 'no'}", "cannot be read as a mask"),
    ):
        assert message in run("complete", colour, images, *out, "--region", region, code=1).stderr
    assert "colour images, the network is for grey" in run("complete", binary, images, *out, code=1).stderr
    assert "there is no data set" in run("complete", colour, tmp_path / "no", *out, code=1).stderr
    for name, side in (("small.png", 4), ("large.png", 8)):
        Image.fromarray(pixels(1, 3, side, side)[0].transpose(1, 2, 0)).save(tmp_path / name)
    assert "fewer than the 6x5" in run("complete", colour, tmp_path / "small.png", *out, code=1).stderr
    own = ["complete", colour, tmp_path / "large.png", "-o", tmp_path / "large.png"]
    assert "is one of the images" in run(*own, code=1).stderr
    run("complete", colour, *out, code=2)


# orders


@pytest.mark.parametrize(
    ("arguments", "steps"),
    [
        (["wavefront", "--height", 8, "--width", 10], 24),
        (["raster", "--height", 8, "--width", 10], 24),
        (["s_curve"], 1024),
        (["multiscale=4", "--width", 10], 4),
        (["raster:4", "--height", 8, "--width", 10], 8 + 2 * 9),
        (["raster", "--kernel", 1], 1),
        (["raster", "--dilation", 2], 94),
        (["raster", "--kernel", 5], 32 + 3 * 31),
    ],
)
def test_orders(run, arguments, steps):
    assert f": {steps} steps for " in run("orders", *arguments).stdout


def test_orders_draws(run, tmp_path):
    from lmconv.orders import drawing

    result = run("orders", "gilbert:6", "--height", 4, "--width", 7, "--dilation", 2, "-o", tmp_path / "order.png")
    expected = drawing.page(orders.make("gilbert:6", 4, 7), 3, 2, result.stdout.strip())
    np.testing.assert_array_equal(read(tmp_path / "order.png"), expected)
    assert [path.name for path in tmp_path.iterdir()] == ["order.png"]


def test_orders_refuses(run, tmp_path):
    assert "there is no order 'spiral'" in run("orders", "spiral", code=1).stderr
    assert "hilbert needs a square" in run("orders", "hilbert", "--height", 4, code=1).stderr
    assert "cannot read an order" in run("orders", f"file={tmp_path / 'x'}", code=1).stderr
    assert "No such file or directory" in run("orders", "raster", "-o", tmp_path / "no" / "order.png", code=1).stderr
    for wrong in (["raster", "--height", 0], ["raster", "--width", "four"], [], ["raster", "--kernel", 2]):
        run("orders", *wrong, code=2)


# describe


def test_describe_a_preset(run):
    about = json.loads(run("describe", "cifar10", "--json").stdout)
    assert about["parameters"] == 46_072_360 and about["levels"] == 1024 and about["step"] is None
    assert about["multiply_adds_whole_kernels"] == sum(each["multiply_adds"] for each in about["layers"]) == 46_050_560
    assert about["receptive_field"]["seen"] == about["receptive_field"]["before"] == 528
    text = run("describe", "cifar10", "--order", "raster").stdout
    for part in ("parameters  46072360, ", "order       raster, 32 x 32: 94 steps for 1024 positions", "320 -> 160"):
        assert part in text


def test_describe_checkpoints(run, colour, tmp_path):
    about = json.loads(run("describe", colour, "--json").stdout)
    assert (about["step"], about["heldout"], about["curve"]) == (4, 7.5, [[3, 7.5]])
    assert about["network"] == asdict(COLOUR) | {"far": []} and about["training"]["variants"] == [2, 1, 4]
    assert (about["order"], about["height"], about["width"], about["levels"]) == ("s_curve:2", 6, 5, 30)
    assert about["parameters"] == sum(parameter.numel() for parameter in random_net(COLOUR).parameters())
    text = run("describe", colour).stdout
    assert text.startswith("step        4 of 8, 7.5000 bits per subpixel held out at step 3\n")
    network = PhotoConfig(channels=4, blocks=1, components=1)
    photo = save(tmp_path / "photo.safetensors", network)
    about = json.loads(run("describe", photo, "--json").stdout)
    assert (about["parameters_used"], about["multiply_adds_per_pixel"]) == random_net(network).size()
    assert "not evaluated yet" in run("describe", photo).stdout
    assert "lmconv: no checkpoint nothing, and no configuration" in run("describe", "nothing", code=1).stderr


# models


def test_checkpoints_that_come_with_the_package_are_known_by_name(run, colour, tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "MODELS", tmp_path / "models")
    assert run("models").stdout == ""
    (tmp_path / "models").mkdir()
    run("average", colour, "-o", tmp_path / "models" / "ours.safetensors", "--slim")
    row = json.loads(run("models", "--json").stdout)
    parameters = sum(parameter.numel() for parameter in random_net(COLOUR).parameters())
    assert (row["name"], row["size"], row["parameters"], row["heldout"]) == ("ours", "6x5", parameters, 7.5)
    assert row["bytes"] == (tmp_path / "models" / "ours.safetensors").stat().st_size
    assert run("models").stdout.startswith("ours ") and "step 4, 7.5000 bits per subpixel" in run("models").stdout
    run("sample", "ours", "-o", tmp_path / "x.png", "--count", 1, "-q")
    assert json.loads(run("describe", "ours", "--json").stdout)["step"] == 4
    assert "no checkpoint theirs" in run("sample", "theirs", "-o", tmp_path / "y.png", "-q", code=1).stderr


def test_what_comes_with_the_package_can_be_loaded():
    for path in shipped.shipped().values():
        assert checkpoint.load(path).curve


# import-checkpoint


def published_file(path, **arguments):
    """A file with the published names of a network's tensors."""
    config = PixelCnnConfig(filters=4, resnets=1, components=2)
    state = random_net(config).state_dict()
    content = {
        "epoch": 7,
        "global_step": 90,
        "args": argparse.Namespace(**arguments),
        "model_state_dict": {published_name(name): tensor for name, tensor in state.items()},
    }
    torch.save(content, path)
    return config, state


def test_import(run, tmp_path):
    config, state = published_file(
        tmp_path / "a.pth",
        order=["s_curve"],
        randomize_order=True,
        dataset="cifar",
        normalization="pono",
        max_dilation=2,
        n_bits=8,
        lr=0.1,
        odd=torch.Size([3]),
    )
    out = tmp_path / "a.safetensors"
    result = run("import-checkpoint", tmp_path / "a.pth", "-o", out)
    count = sum(tensor.numel() for tensor in state.values())
    assert result.stdout == f"{out}: {count} parameters, s_curve variants 0,1,2,3,4,5,6,7, 32x32, epoch 7\n"
    read = checkpoint.load(out)
    assert (read.network, read.step, read.training["arguments"]["lr"]) == (config, 90, 0.1)
    for tensors in (read.model, read.ema):
        assert all(torch.equal(tensors[name], tensor) for name, tensor in state.items())
    assert "exists: use --force" in run("import-checkpoint", tmp_path / "a.pth", "-o", out, code=1).stderr
    run("import-checkpoint", tmp_path / "a.pth", "-o", out, "--force")
    assert "4 -> 4" in run("describe", out).stdout


@pytest.mark.parametrize(
    ("arguments", "order", "variants", "height"),
    [
        ({}, "s_curve", list(range(8)), 32),
        ({"order": ["raster_scan"]}, "raster", [0], 32),
        ({"order": ["gilbert2d"], "base_order_transpose": True, "base_order_reflect_cols": True}, "gilbert", [6], 32),
        ({"order": "hilbert", "randomize_order": True, "order_variants": [3, 1]}, "hilbert", [3, 1], 32),
        (
            {"order": ["hilbert"], "randomize_order": True, "base_order_transpose": True},
            "hilbert",
            [4, 5, 6, 7, 0, 1, 2, 3],
            32,
        ),
        ({"order": ["s_curve", "hilbert"], "randomize_order": True}, "s_curve,hilbert", list(range(8)), 32),
        ({"order": ["s_curve", "hilbert"]}, "s_curve,hilbert", [0], 32),
        (
            {"order": ["s_curve", "gilbert2d"], "randomize_order": True, "train_masks": [9, 2]},
            "gilbert:1,s_curve:2",
            [1, 2],
            32,
        ),
        ({"order": ["s_curve"], "dataset": "celebahq", "celeba_size": 64, "n_bits": 5}, "s_curve", [0], 64),
    ],
    ids=str,
)
def test_import_takes_size_and_orders_from_the_run(run, tmp_path, arguments, order, variants, height):
    published_file(tmp_path / "a.pth", **arguments)
    out = tmp_path / "a.safetensors"
    result = run("import-checkpoint", tmp_path / "a.pth", "-o", out)
    training = checkpoint.load(out).training
    assert (training["order"], list(training["variants"]), training["height"]) == (order, variants, height)
    assert ("order" in training["assumed"]) == ("order" not in arguments)
    assert "taken from the published settings: norm, dilation" in result.stdout


def test_import_refuses(run, tmp_path):
    out = ["-o", tmp_path / "out"]
    published_file(tmp_path / "a.pth", order=["s_curve"], dataset="celebahq", celeba_size="large")
    assert "its args make no order or size" in run("import-checkpoint", tmp_path / "a.pth", *out, code=1).stderr
    for number, choice in ((9, {"train_masks": [9]}), (8, {"order_variants": [8]})):
        published_file(tmp_path / "m.pth", order=["s_curve"], randomize_order=True, **choice)
        assert f"{number} is none of 8 orders" in run("import-checkpoint", tmp_path / "m.pth", *out, code=1).stderr
    published_file(tmp_path / "m.pth", order=["s_curve"], randomize_order=True, train_masks=[1], order_variants=[2])
    assert "train_masks and order_variants" in run("import-checkpoint", tmp_path / "m.pth", *out, code=1).stderr
    torch.save({"model_state_dict": {"u_init.weight": torch.zeros(1)}}, tmp_path / "b.pth")
    assert "lmconv: " in run("import-checkpoint", tmp_path / "b.pth", *out, code=1).stderr
    (tmp_path / "c.pth").write_bytes(b"hello")
    assert "c.pth" in run("import-checkpoint", tmp_path / "c.pth", *out, code=1).stderr
    assert "no checkpoint" in run("import-checkpoint", tmp_path / "d.pth", *out, code=1).stderr
    with pytest.raises(PublishedError):
        load(tmp_path / "c.pth")
