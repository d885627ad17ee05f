"""Several processes of torchrun train and evaluate as one does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from lmconv.checkpoints import checkpoint
from lmconv.cli import cli
from lmconv.config import Machine
from lmconv.processes import Processes, started
from tests import tolerance
from tests.lmconv.tiny import pixels

ROOT = Path(__file__).resolve().parents[2]
TRAINING = (
    "--steps 2 --batch 8 --holdout 7 --evaluate-every 1 --keep 0 --ema 0.5 --height 6 --width 5 --filters 4 "
    "--resnets 1 --variants 1,4 --threads 1 --device cpu --precision fp32 -q"
).split()


def command(module: str, *arguments) -> subprocess.CompletedProcess:
    """python -m module, alone on its processor."""
    told = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    environment = {name: value for name, value in os.environ.items() if name not in told}
    return subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=600,
        cwd=ROOT,
        env=environment | {"OMP_NUM_THREADS": "1"},
    )


@pytest.fixture
def data(tmp_path):
    np.savez(tmp_path / "ramps.npz", train_images=pixels(30, 1)[:, 0], test_images=pixels(5, 1, seed=1)[:, 0])
    return tmp_path / "ramps.npz"


def test_two_processes_train_as_one(data, tmp_path):
    """The same global batches: the same gradients, weights and evaluations, but for the order of sums."""
    arguments = ["train", "tiny_mnist_binary", "--data", data, *TRAINING]
    done = command(
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        2,
        "-m",
        "lmconv",
        *arguments,
        "-o",
        tmp_path / "two",
        "--accumulate",
        2,
        "--json",
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["step"] == 2  # the first process alone speaks
    result = CliRunner().invoke(cli, [str(word) for word in [*arguments, "-o", tmp_path / "one"]])
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "two" / "config.json").read_text())["processes"] == 2
    two, one = (checkpoint.load(tmp_path / name / "last.safetensors") for name in ("two", "one"))
    assert [step for step, _ in two.curve] == [1, 2]
    there_and_back = 2 * tolerance.depth(one.net()) + 8 * 30  # and over the positions of all images
    tolerance.assert_close(two.curve, one.curve, there_and_back, number="float32")
    for name, tensor in one.model.items():
        gradient = one.optimiser[f"exp_avg/{name}"]
        tolerance.assert_close(two.optimiser[f"exp_avg/{name}"], gradient, there_and_back)
        # Adam divides by the gradient, and so magnifies the roundings of small ones: a tenth of its step is allowed.
        assert (two.model[name] - tensor).abs().max() < one.training["rate"] / 10


def test_alone_without_torchrun(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with started(Machine(device="cpu")) as processes:
        assert processes == Processes() and (processes.rank, processes.world) == (0, 1)
        values = torch.tensor([1.0, 2.0])
        assert processes.sum(values) is values
        assert processes.any(True) and not processes.any(False)
        with processes.first():
            pass
    assert not torch.distributed.is_initialized()


def test_each_process_has_its_device(monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert Machine(device="cuda").resolved_device() == torch.device("cuda:3")
    assert Machine(device="cuda:1").resolved_device() == torch.device("cuda:1")
    assert Machine(device="cpu").resolved_device() == torch.device("cpu")
    monkeypatch.delenv("LOCAL_RANK")
    assert Machine(device="cuda").resolved_device() == torch.device("cuda")
