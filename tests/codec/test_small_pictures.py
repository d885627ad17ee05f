"""Small pictures by the command as it is installed: the network that is for them is found, and its file is smallest."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import codec
from codec import models, peers
from codec.cli import cli
from codec.images.samples import Samples
from lmconv import orders
from lmconv.checkpoints import checkpoint, shipped
from lmconv.sampling import sampler

SMALL = {"tiny32": 32, "digits": 28}


def run(*arguments):
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def thumbnail():
    """A picture of 32 x 32 pixels as the shipped network draws them."""
    net = checkpoint.load(shipped.resolve("tiny32")).net()
    (pixels,) = sampler.sample(net, orders.make("s_curve", 32, 32), 1, seed=1)
    return Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))


def digit() -> Image.Image:
    """A one, as on MNIST: white, two pixels and a little wide, slanting."""
    pixels = np.zeros((28, 28), np.uint8)
    for row in range(5, 24):
        left = 16 - row // 5
        pixels[row, left : left + 3 - row % 2] = 255
    return Image.fromarray(pixels)


def test_a_thumbnail_is_smallest_by_the_network_of_small_pictures(thumbnail, tmp_path):
    thumbnail.save(tmp_path / "a.png")
    (row,) = json.loads(run("compress", tmp_path / "a.png", "--json", "-q"))
    assert row["model"] == "tiny32" and list(row["methods"])[0].startswith("order s_curve:")
    for name in ("photo-small", "photo", "tiny32"):
        other = tmp_path / f"{name}.lmc"
        effort = "best" if name == "photo" else "normal"
        run("compress", tmp_path / "a.png", "-o", other, "--model", name, "-e", effort, "-q")
        assert (row["bytes"] < other.stat().st_size) == (name != "tiny32")
    samples = Samples.of(np.asarray(thumbnail))
    for coder in peers.peers(peers.PEERS, 1):
        assert row["bytes"] < peers.measure(coder, samples).bytes
    run("decompress", tmp_path / "a.lmc", "-o", tmp_path / "b.png", "-q")
    assert (tmp_path / "b.png").read_bytes() == (tmp_path / "a.png").read_bytes()


def test_a_comparison_tries_what_compress_tries(thumbnail, tmp_path):
    thumbnail.save(tmp_path / "a.png")
    size = len(codec.encode(np.asarray(thumbnail)))
    (row,) = json.loads(run("compare", tmp_path / "a.png", "--peers", "", "--json"))
    bare = row["coders"][0]["bytes"]
    assert 0 < size - bare < 60  # what is said of the file comes on top
    (alone,) = json.loads(run("compare", tmp_path / "a.png", "--peers", "", "--model", "photo-small", "--json"))
    assert bare < alone["coders"][0]["bytes"]


def test_a_digit_is_smallest_by_the_network_of_digits(tmp_path):
    digit().save(tmp_path / "one.png")
    (row,) = json.loads(run("compress", tmp_path / "one.png", "--json", "-q"))
    assert row["model"] == "digits"
    run("decompress", tmp_path / "one.lmc", "-o", tmp_path / "back.png", "-q")
    assert (tmp_path / "back.png").read_bytes() == (tmp_path / "one.png").read_bytes()
    run("compress", tmp_path / "one.png", "-o", tmp_path / "other.lmc", "--model", "photo-small", "-q")
    assert row["bytes"] < (tmp_path / "other.lmc").stat().st_size


@pytest.mark.parametrize(("name", "side"), SMALL.items())
def test_what_is_shipped_for_small_pictures(name, side):
    (shipped,) = [bundle for bundle in models.available() if bundle.name == name]
    layout = shipped.manifest.layout
    assert (layout.height, layout.width) == (side, side)
    assert layout.orders == tuple(f"s_curve:{variant}" for variant in range(8))


def test_all_models_together_are_small_enough_to_ship(tmp_path):
    """8 MB as a wheel packs them."""
    for path in models.BUNDLES.glob("*.lmconv"):
        shutil.copy(path, tmp_path)
    archive = Path(shutil.make_archive(str(tmp_path.parent / "models"), "zip", tmp_path))
    assert archive.stat().st_size < 8_000_000
