"""The command line `lmconv`: its options are the dataclasses' fields, its results readable, its failures one line."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from lmconv.checkpoints import checkpoint
from lmconv.cli import cli as group
from lmconv.config import PRESETS, Machine, PhotoConfig, PhotoTraining, image_training, preset
from tests.lmconv.tiny import IMAGE_OPTIONS, PHOTO_OPTIONS

ROOT = Path(__file__).resolve().parents[3]


def test_help_needs_neither_torch_nor_numpy():
    """So that it answers at once."""
    for arguments in (
        [],
        ["train"],
        ["train", "photo"],
        ["train", "cifar10"],
        ["eval"],
        ["average"],
        ["describe"],
        ["orders"],
        ["sample"],
        ["complete"],
        ["import-checkpoint"],
    ):
        code = (
            "import sys; from lmconv.cli import cli; cli(standalone_mode=False); "
            "print([m for m in ('torch', 'numpy', 'numba', 'PIL', 'tqdm') if m in sys.modules])"
        )
        command = [sys.executable, "-c", code, *arguments, "--help"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        assert done.returncode == 0, done.stderr
        assert "Usage:" in done.stdout and done.stdout.endswith("[]\n")


def test_importing_lmconv_needs_no_torch():
    code = (
        "import sys, lmconv, lmconv.orders, lmconv.orders.masks, lmconv.config; "
        "sys.exit(any(m in sys.modules for m in ('torch', 'click', 'numba', 'PIL')))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


@pytest.mark.parametrize("name", ["photo", *PRESETS])
def test_every_setting_is_an_option_with_its_default(name):
    options = {option.name: option for option in group.commands["train"].commands[name].params}
    network, training = (
        (PhotoConfig(), PhotoTraining()) if name == "photo" else (preset(name).network, image_training(preset(name)))
    )
    for settings in (training, network, Machine()):
        for field in fields(settings):
            if field.name == "progress":  # -q
                continue
            assert options[field.name].default == getattr(settings, field.name)
            assert options[field.name].opts == ["--" + field.name.replace("_", "-")]
            assert options[field.name].help


def test_the_defaults_are_those_that_train_the_shipped_model(monkeypatch, run, photographs, tmp_path):
    from lmconv.data import crops
    from lmconv.training import run as training
    from lmconv.training import tasks

    seen = []

    def record(*arguments):
        seen.append(arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(crops, "prepare", lambda *arguments, **_: arguments)
    monkeypatch.setattr(tasks, "PhotoTask", lambda *arguments: arguments)
    monkeypatch.setattr(training, "train", record)
    run("train", "photo", "--data", photographs, "-o", tmp_path / "run", code=1)
    task, where, machine, resume, processes, sheet, init = seen[0]
    prepared, *settings, _ = task
    assert sheet is None and init is None
    assert settings == [PhotoTraining(), PhotoConfig()] and resume is None and where == tmp_path / "run"
    assert machine == Machine() and processes.world == 1
    assert prepared == (photographs, Path("~/.cache/lmconv").expanduser(), 192, (0, 4, 3, 7))


def test_train(train, tmp_path):
    last = tmp_path / "run" / "last.safetensors"
    result = train("-q")
    assert result.stderr == ""
    assert result.stdout.startswith(f"{last}: step 2 of 2, ")
    assert result.stdout.endswith(" bits per subpixel held out at step 2\n")
    state = checkpoint.load(last)
    assert state.step == 2 and state.network == PhotoConfig(4, 1, 1)
    assert state.training["variants"] == [3, 0] and state.training["crops"] == 12


def test_train_prints_json(train, tmp_path):
    result = train("--json", "-q")
    summary = json.loads(result.stdout)
    assert result.stdout.count("\n") == 1
    assert summary["checkpoint"] == str(tmp_path / "run" / "last.safetensors")
    assert summary["step"] == 2 and summary["heldout"] > 0 and summary["seconds"] > 0
    assert summary["unit"] == "bits per subpixel"
    assert "held out" in train("--json", "--resume", "--steps", 4).stderr


def test_resume_keeps_the_settings_that_are_not_given(train, tmp_path):
    train("-q", "--seed", 5, "--minutes", 1e-9)
    last = tmp_path / "run" / "last.safetensors"
    assert checkpoint.load(last).step == 0
    result = train("-q", "--resume", "--rate", 0.5, "--device", "cpu", "--threads", 1, small=[])
    assert "step 2 of 2" in result.stdout
    state = checkpoint.load(last)
    assert state.training["rate"] == 0.5 and state.training["seed"] == 5 and state.training["variants"] == [3, 0]
    assert state.network == PhotoConfig(4, 1, 1)


def test_a_run_is_not_overwritten(train, tmp_path):
    train("-q", "--minutes", 1e-9)
    assert "last.safetensors exists: go on with --resume" in train("-q", code=1).stderr
    assert "the checkpoint's network is" in train("-q", "--resume", "--channels", 8, code=1).stderr
    assert "no checkpoint" in train("-q", "--resume", tmp_path / "missing", code=1).stderr
    (tmp_path / "run" / "last.safetensors").write_text("damaged")
    assert "is not an LMConv checkpoint" in train("-q", "--resume", code=1).stderr


def test_sources_that_cannot_be_used(train, tmp_path):
    assert "missing is neither a folder nor a zip" in train(source=tmp_path / "missing", code=1).stderr
    (tmp_path / "empty").mkdir()
    assert "holds no picture of at least 32 x 32" in train(source=tmp_path / "empty", code=1).stderr
    (tmp_path / "empty" / "broken.png").write_bytes(b"hello")
    assert "broken.png in" in train(source=tmp_path / "empty", code=1).stderr
    assert "12 crops are too few" in train("-q", "--holdout", 12, code=1).stderr
    (tmp_path / "run").write_text("in the way")
    assert "run: File exists" in train("-q", code=1).stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--steps", 0],
        ["--variants", "0,8"],
        ["--variants", ""],
        ["--variants", "1,1"],
        ["--kernel", 4],
        ["--rate", -1],
        ["--betas", 0.9],
        ["--betas", 0.9, 2],
        ["--schedule", "steps"],
        ["--batch", 3, "--accumulate", 2],
        ["--window", 64, "--crop", 32],
        ["--precision", "fp8"],
        ["--device", "abacus"],
        ["--device", "cuda:99"],
        ["--colour", "blue"],
    ],
    ids=str,
)
def test_wrong_usage(run, photographs, tmp_path, arguments):
    result = run("train", "photo", "--data", photographs, "-o", tmp_path / "run", *arguments, code=2)
    assert result.stdout == "" and "Error: " in result.stderr
    assert not (tmp_path / "run").exists()


# The paper's networks


def test_an_image_network_is_trained_and_goes_on(run, trained, ramps, tmp_path):
    state = checkpoint.load(trained["tiny_mnist_binary"] / "last.safetensors")
    assert state.step == 3 and state.network.binary and state.network.filters == 4
    assert state.training["source"] == "ramps1.npz" and state.training["variants"] == [1, 4]
    first = trained["tiny_mnist_binary"] / "step_00000001.safetensors"
    arguments = ["train", "tiny_mnist_binary", "--data", ramps[1], "-o", tmp_path / "on", "-q"]
    summary = json.loads(run(*arguments, "--resume", first, "--json").stdout)
    assert summary["step"] == 3 and summary["unit"] == "nats"  # all other settings are the checkpoint's
    resumed = checkpoint.load(tmp_path / "on" / "last.safetensors")
    assert all((tensor == resumed.model[name]).all() for name, tensor in state.model.items())
    assert resumed.curve == state.curve
    run(*arguments, "--resume", "auto", "--steps", 4)
    assert checkpoint.load(tmp_path / "on" / "last.safetensors").step == 4


def test_what_is_taken_from_a_checkpoint_is_said(run, trained, ramps, tmp_path):
    first = trained["tiny_mnist_binary"] / "step_00000001.safetensors"
    arguments = ["train", "tiny_mnist_binary", "--data", ramps[1], "--samples", 0, "--resume", first, "--steps", 2]
    told = run(*arguments, "-o", tmp_path / "one").stderr.splitlines()[0]
    assert told.startswith(f"lmconv: as in {first}: ") and "filters 4 in place of 16" in told and "steps" not in told
    assert run(*arguments, "-o", tmp_path / "two", "-q").stderr == ""


def test_a_run_begins_with_a_checkpoint(run, trained, ramps, tmp_path):
    last = trained["tiny_mnist_binary"] / "last.safetensors"
    begin = ["train", "tiny_mnist_binary", "--data", ramps[1], "-o", tmp_path / "run", "--init", last]
    options = [*IMAGE_OPTIONS, "--order", "raster", "--variants", "0", "--optimiser", "muon", "--minutes", 1e-9]
    run(*begin, *options)
    begun, state = checkpoint.load(tmp_path / "run" / "last.safetensors"), checkpoint.load(last)
    assert begun.step == 0 and begun.training["order"] == "raster"
    assert all((begun.model[name] == tensor).all() for name, tensor in state.ema.items())
    other = run(*begin[:-4], "-o", tmp_path / "no", "--init", last, "--samples", 0, code=2).stderr
    assert f"{last} is not of tiny_mnist_binary's settings: give --filters 4" in other
    both = run(*begin, "--resume", last, code=2).stderr
    assert "--init begins a run and --resume goes on with one" in both
    photo = ["train", "photo", "--data", ramps[1], "-o", tmp_path / "photo", "--init", last]
    assert "is of another kind of network" in run(*photo, code=1).stderr
    assert not (tmp_path / "no").exists()


def test_categories_are_trained_evaluated_and_sampled(run, tmp_path):
    labels = np.add.outer(np.arange(20), np.add.outer(np.arange(6), np.arange(5))).astype(np.uint8) % 5
    np.savez(tmp_path / "labels.npz", train_images=labels, test_images=labels[:4])
    options = [*IMAGE_OPTIONS, "--channels", 1, "--bits", 3, "--categorical"]
    run("train", "tiny_cifar10", "--data", tmp_path / "labels.npz", "-o", tmp_path / "run", *options)
    last = tmp_path / "run" / "last.safetensors"
    assert checkpoint.load(last).network.categorical and checkpoint.load(last).training["unit"] == "bits/dim"
    assert "bits/dim" in run("eval", last, tmp_path / "labels.npz", "-q").stdout
    run("sample", last, "-o", tmp_path / "sheet.png", "--save-npy", tmp_path / "drawn.npy", "--count", 2, "-q")
    assert np.load(tmp_path / "drawn.npy").shape[0] == 2
    sizes = run(
        "train", "tiny_cifar10", "--data", tmp_path / "labels.npz", "-o", tmp_path / "s", *options, "--sizes", 6, code=1
    )
    assert "images of numbers cannot be resized" in sizes.stderr


def test_labels_and_planes_are_given(run, tmp_path):
    rng = np.random.default_rng(0)
    images, planes = (rng.integers(256, size=(20, 6, 5, 3), dtype=np.uint8) for _ in range(2))
    labels, data = np.arange(20) % 4, tmp_path / "a.npz"
    train, test = ({f"{split}_images": images, f"{split}_planes": planes[..., :2]} for split in ("train", "test"))
    np.savez(data, train_labels=labels, y_test=labels, **train, **test)
    options = [*IMAGE_OPTIONS, "--planes", 2, "--classes", 4]
    options[options.index("--samples") + 1] = 2
    run("train", "tiny_cifar10", "--data", data, "-o", tmp_path / "run", *options)
    last = tmp_path / "run" / "last.safetensors"
    assert len(list((tmp_path / "run" / "samples").iterdir())) == 3
    assert "4 resnets" not in run("describe", last).stdout
    run("eval", last, data, "-q")
    run("complete", last, data, "-o", tmp_path / "completed.png", "--count", 2, "-q")
    draw = ["sample", last, "-o", tmp_path / "sheet.png", "--count", 3, "-q"]
    assert "is given 2 planes with an image: name a .npz with --given" in run(*draw, code=2).stderr
    run(*draw, "--given", data)
    assert "--label is for labels below 4, without --given" in run(*draw, "--given", data, "--label", 1, code=2).stderr
    run("train", "tiny_cifar10", "--data", data, "-o", tmp_path / "labels", *options[:-4], "--classes", 4)
    draw[1] = tmp_path / "labels" / "last.safetensors"
    drawn = {}
    for name, words in {"turns": [], "one": ["--label", 1], "three": ["--label", 3]}.items():
        run(*draw, *words, "--save-npy", tmp_path / f"{name}.npy")
        drawn[name] = np.load(tmp_path / f"{name}.npy")
    assert (drawn["turns"][1] == drawn["one"][1]).all() and (drawn["one"] != drawn["three"]).any()
    assert "labels below 4" in run(*draw, "--label", 4, code=2).stderr
    plain = run("train", "tiny_cifar10", "--data", data, "-o", tmp_path / "plain", *options[:-4])
    draw[1] = tmp_path / "plain" / "last.safetensors"
    assert plain.exit_code == 0 and "--given is for networks" in run(*draw, "--given", data, code=2).stderr


def test_curves_are_drawn(run, trained, tmp_path):
    runs, output = [trained["tiny_mnist_binary"], trained["tiny_mnist_binary"]], tmp_path / "curves.png"
    assert run("plot", *runs, "-o", output).stdout == f"{output}: {runs[0]}, {runs[0]}\n"
    assert output.read_bytes().startswith(b"\x89PNG")
    assert "use --force" in run("plot", *runs, "-o", output, code=1).stderr
    assert "no checkpoint" in run("plot", tmp_path, "-o", tmp_path / "no.png", code=1).stderr


def test_samples_are_drawn_on_the_way(run, ramps, tmp_path):
    run(
        "train",
        "tiny_mnist_binary",
        "--data",
        ramps[1],
        "-o",
        tmp_path / "run",
        *IMAGE_OPTIONS,
        "--samples",
        2,
        "--evaluate-every",
        2,
    )
    drawn = sorted((tmp_path / "run" / "samples").iterdir())
    assert [path.name for path in drawn] == ["step_00000002.png", "step_00000003.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in drawn)


def test_training_that_cannot_be(run, ramps, trained, tmp_path):
    def fails(*arguments, name="tiny_cifar10", code=1):
        return run("train", name, "-o", tmp_path / "run", *IMAGE_OPTIONS, *arguments, code=code).stderr

    assert "there is no data set 'imagenet': known are cifar10" in fails("--data", "imagenet")
    assert "holds grey images, the network is for colour images" in fails("--data", ramps[1])
    assert "there is no order 'spiral'" in fails("--data", ramps[3], "--order", "spiral")
    assert "fewer than the 60x5 asked for" in fails("--data", ramps[3], "--height", 60)
    assert "20 images are too few to hold 20 out" in fails("--data", ramps[3], "--holdout", 20)
    assert "has the order raster" in fails("--data", ramps[3], "--two-stream", "--norm", "weight_norm")
    assert "this network has none: take adam" in fails(
        "--data", ramps[3], "--norm", "weight_norm", "--optimiser", "muon"
    )
    other = trained["tiny_mnist_binary"] / "last.safetensors"
    assert "the checkpoint's network is" in fails(
        "--data", ramps[3], "--resume", other, "--channels", 3, "--bits", 8, "--no-binary"
    )
    assert "two-stream network has norm = weight_norm" in fails("--data", ramps[3], "--two-stream", code=2)
    assert "a binary network has 1 channel" in fails("--data", ramps[3], "--binary", code=2)
    assert "is not a list of different numbers from 1 to 4096" in fails("--data", ramps[3], "--sizes", "8,8", code=2)
    assert "No such command 'imagenet'" in run("train", "imagenet", code=2).stderr
    assert not (tmp_path / "run").exists()


def test_a_photo_run_does_not_go_on_as_another(train, run, ramps, tmp_path):
    train("-q")
    last = tmp_path / "run" / "last.safetensors"
    error = run("train", "tiny_cifar10", "--data", ramps[3], "-o", tmp_path / "new", "--resume", last, code=1).stderr
    assert "is of another kind of network: PhotoConfig" in error


def test_an_interrupt_saves_the_run(photographs, tmp_path):
    """A real one, to the real command; the run then goes on."""
    arguments = [
        "train",
        "photo",
        "--data",
        photographs,
        "-o",
        tmp_path / "run",
        "--cache",
        tmp_path / "cache",
        *PHOTO_OPTIONS,
        "--steps",
        1000000,
        "--evaluate-every",
        20,
    ]
    command = [sys.executable, "-c", "from lmconv.cli import cli; cli(prog_name='lmconv')", *map(str, arguments)]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        lines = [process.stderr.readline()]  # the first evaluation: training is under way
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        out, rest = process.communicate(timeout=60)
    lines += rest.splitlines(keepends=True)
    last = tmp_path / "run" / "last.safetensors"
    assert process.returncode == 1 and out == ""
    assert lines[0].startswith("step 20: ")
    assert lines[-1] == f"lmconv: interrupted: {last} is saved, go on with --resume\n"
    assert all(line.startswith("step ") for line in lines[:-1])
    state = checkpoint.load(last)
    assert state.step >= 20 and state.training["steps"] == 1000000


def test_multiscale_orders_get_the_dilations_that_they_need(run, ramps, tmp_path):
    options = [*IMAGE_OPTIONS, "--order", "multiscale=8"]
    run("train", "tiny_cifar10", "--data", ramps[3], "-o", tmp_path / "run", *options)
    network = json.loads((tmp_path / "run" / "config.json").read_text())["network"]
    assert network["far"] == [2, 4] and network["dilation"] == 2
    last = tmp_path / "run" / "last.safetensors"
    run("train", "tiny_cifar10", "--data", ramps[3], "-o", tmp_path / "run", "--resume", *options, "--steps", 4)
    assert checkpoint.load(last).network.far == (2, 4)
    run("sample", last, "-o", tmp_path / "x.png", "--count", 1, "-q")
    run("eval", last, ramps[3], "-q")
    wrong = run("train", "tiny_cifar10", "--data", ramps[3], "-o", tmp_path / "no", *options, "--far", "", code=1)
    assert "have no pixel before them" in wrong.stderr
