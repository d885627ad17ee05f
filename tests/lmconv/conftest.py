"""What the commands train on, and how they are run."""

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from lmconv.cli import cli
from tests.lmconv.tiny import IMAGE_OPTIONS, PHOTO_OPTIONS, pixels


@pytest.fixture(scope="session")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    row, column = np.indices((64, 96))
    for index in range(2):
        planes = np.stack([row * 2 + column, 200 - row, column * 2 + index * 30], 2)
        Image.fromarray(planes.clip(0, 255).astype(np.uint8)).save(folder / f"{index}.png")
    return folder


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs `lmconv` with these arguments; what is cached is below tmp_path."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    def invoke(*arguments, code=0):
        result = CliRunner().invoke(cli, [str(argument) for argument in arguments], prog_name="lmconv")
        assert result.exit_code == code, result.output
        if code == 1:
            assert result.stdout == "" and result.stderr.startswith("lmconv: ") and result.stderr.count("\n") == 1
        return result

    return invoke


@pytest.fixture
def train(run, photographs, tmp_path):
    def invoke(*arguments, source=photographs, small=PHOTO_OPTIONS, code=0):
        places = ["-o", tmp_path / "run", "--cache", tmp_path / "cache"]
        return run("train", "photo", "--data", source, *places, *small, *arguments, code=code)

    return invoke


@pytest.fixture(scope="session")
def ramps(tmp_path_factory):
    """Grey and colour images in .npz files, by channels."""
    folder, made = tmp_path_factory.mktemp("ramps"), {}
    for channels in (1, 3):
        images = {
            f"{split}_images": np.moveaxis(pixels(count, channels), 1, 3)
            for split, count in (("train", 20), ("test", 7))
        }
        made[channels] = folder / f"ramps{channels}.npz"
        np.savez(made[channels], **images)
    return made


@pytest.fixture(scope="session")
def trained(ramps, tmp_path_factory):
    """RUN of three steps, by the name of a preset."""
    made = {}
    for name, channels in (("tiny_mnist_binary", 1), ("tiny_cifar10", 3)):
        made[name] = tmp_path_factory.mktemp("trained") / "run"
        arguments = ["train", name, "--data", ramps[channels], "-o", made[name], *IMAGE_OPTIONS]
        result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
        assert result.exit_code == 0, result.output
    return made
