"""The command line `lmconv`: its options are the dataclasses' fields, its results readable, its failures one line."""
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, fields
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from lmconv import checkpoint, cli, config, orders
from lmconv.cli import cli as group
from lmconv.config import Machine, PhotoConfig, TrainConfig

ROOT = Path(__file__).resolve().parents[2]
SMALL = ("--steps 2 --batch 1 --window 16 --crop 32 --holdout 2 --channels 4 --blocks 1 --components 1 --variants 3,0 "
         "--threads 1 --device cpu --precision fp32").split()


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    row, column = np.indices((64, 96))
    for index in range(2):
        planes = np.stack([row * 2 + column, 200 - row, column * 2 + index * 30], 2)
        Image.fromarray(planes.clip(0, 255).astype(np.uint8)).save(folder / f"{index}.png")
    return folder


@pytest.fixture
def run(tmp_path):
    """Runs `lmconv` with these arguments; in train, RUN and the cache are below tmp_path."""
    def invoke(*arguments, code=0):
        result = CliRunner().invoke(group, [str(argument) for argument in arguments], prog_name="lmconv")
        assert result.exit_code == code, result.output
        if code == 1:
            assert result.stdout == "" and result.stderr.startswith("lmconv: ") and result.stderr.count("\n") == 1
        return result
    return invoke


@pytest.fixture
def train(run, photographs, tmp_path):
    def invoke(*arguments, source=photographs, small=SMALL, code=0):
        places = ["-o", tmp_path / "run", "--cache", tmp_path / "cache"]
        return run("train", source, *places, *small, *arguments, code=code)
    return invoke


def test_help_needs_neither_torch_nor_numpy():
    """So that it answers at once."""
    for arguments in ([], ["train"], ["describe"], ["orders"]):
        code = ("import sys; from lmconv.cli import cli; cli(standalone_mode=False); "
                "print([m for m in ('torch', 'numpy', 'numba', 'PIL', 'tqdm', 'runtime') if m in sys.modules])")
        command = [sys.executable, "-c", code, *arguments, "--help"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        assert done.returncode == 0, done.stderr
        assert "Usage:" in done.stdout and done.stdout.endswith("[]\n")


def test_importing_lmconv_needs_no_torch():
    code = ("import sys, lmconv, lmconv.orders, lmconv.masks, lmconv.config; "
            "sys.exit(any(m in sys.modules for m in ('torch', 'click', 'numba', 'PIL')))")
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_every_setting_is_an_option_with_its_default():
    options = {option.name: option for option in group.commands["train"].params}
    for settings in (TrainConfig, PhotoConfig, Machine):
        for field in fields(settings):
            if field.name == "progress":                # -q
                continue
            assert options[field.name].default == field.default
            assert options[field.name].opts == ["--" + field.name.replace("_", "-")]
            assert options[field.name].help


def test_the_defaults_are_those_that_train_the_shipped_model(monkeypatch, run, photographs, tmp_path):
    from lmconv import data
    from lmconv import train as training
    seen = []

    def record(*arguments):
        seen.append(arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(data, "prepare", lambda *arguments, **_: arguments)
    monkeypatch.setattr(training, "train", record)
    run("train", photographs, "-o", tmp_path / "run", code=1)
    prepared, where, *settings, resume = seen[0]
    assert settings == [TrainConfig(), PhotoConfig(), Machine()] and not resume and where == tmp_path / "run"
    assert prepared == (photographs, Path("~/.cache/lmconv").expanduser(), 192, (0, 4, 3, 7))


def test_train_and_describe(train, run, tmp_path):
    last = tmp_path / "run" / "last.safetensors"
    result = train("-q")
    assert result.stderr == ""
    assert result.stdout.startswith(f"{last}: step 2 of 2, ")
    assert result.stdout.endswith(" bits per subpixel held out at step 2\n")
    state = checkpoint.load(last)
    about = json.loads(run("describe", last, "--json").stdout)
    assert about["step"] == 2 and about["bits_per_subpixel"] == state.curve[-1][1] and about["curve"] == state.curve
    assert about["network"] == asdict(state.network) == asdict(PhotoConfig(4, 1, 1))
    assert about["training"]["variants"] == [3, 0] and about["training"]["crops"] == 12
    assert (about["parameters"], about["multiply_adds_per_pixel"]) == state.net().size()
    text = run("describe", last).stdout
    for part in ("step        2 of 2", f"{about['bits_per_subpixel']:.4f} bits per subpixel", "channels 4",
                 "rate 0.002", "variants (3 0)", f"parameters  {about['parameters']}, multiply-adds per pixel"):
        assert part in text


def test_train_prints_json(train, tmp_path):
    result = train("--json", "-q")
    summary = json.loads(result.stdout)
    assert result.stdout.count("\n") == 1
    assert summary["checkpoint"] == str(tmp_path / "run" / "last.safetensors")
    assert summary["step"] == 2 and summary["bits_per_subpixel"] > 0 and summary["seconds"] > 0
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


@pytest.mark.parametrize("arguments", [
    ["--steps", 0], ["--variants", "0,8"], ["--variants", ""], ["--variants", "1,1"], ["--kernel", 4], ["--rate", -1],
    ["--betas", 0.9], ["--betas", 0.9, 2], ["--window", 64, "--crop", 32], ["--precision", "fp8"],
    ["--device", "abacus"], ["--device", "cuda:99"], ["--colour", "blue"]], ids=str)
def test_wrong_usage(run, photographs, tmp_path, arguments):
    result = run("train", photographs, "-o", tmp_path / "run", *arguments, code=2)
    assert result.stdout == "" and "Error: " in result.stderr
    assert not (tmp_path / "run").exists()


def test_describe_refuses_other_files(run, tmp_path):
    assert "no checkpoint" in run("describe", tmp_path / "missing", code=1).stderr
    (tmp_path / "text").write_text("hello")
    assert "text is not an LMConv checkpoint" in run("describe", tmp_path / "text", code=1).stderr
    run("describe", code=2)


@pytest.mark.parametrize(("arguments", "steps"), [
    (["wavefront", 8, 10], 24), (["raster", 8, 10], 24), (["s_curve", 8, 10], 80), (["multiscale=4", 8, 10], 4),
    (["raster:4", 8, 10], 8 + 2 * 9), (["raster", 8, 10, "--kernel", 1], 1), (["random=1", 1, 1], 1)])
def test_orders(run, arguments, steps):
    assert f" {steps} steps for " in run("orders", *arguments).stdout


def test_orders_draws(run, tmp_path):
    path = tmp_path / "order.png"
    run("orders", "gilbert:6", 4, 7, "-o", path)
    drawn = np.asarray(Image.open(path))
    side = drawn.shape[0] // 4
    assert drawn.shape == (4 * side, 7 * side) and drawn.dtype == np.uint8 and side == 73
    small = drawn[::side, ::side]
    np.testing.assert_array_equal(small.repeat(side, 0).repeat(side, 1), drawn)
    np.testing.assert_array_equal(small, orders.make("gilbert:6", 4, 7) * 255 // 27)
    assert [p.name for p in tmp_path.iterdir()] == ["order.png"]


def test_orders_refuses(run, tmp_path):
    assert "there is no order 'spiral'" in run("orders", "spiral", 4, 4, code=1).stderr
    assert "hilbert needs a square" in run("orders", "hilbert", 4, 5, code=1).stderr
    assert "cannot read an order" in run("orders", f"file={tmp_path / 'x'}", 4, 5, code=1).stderr
    for wrong in (["raster", 0, 4], ["raster", "four", 4], ["raster", 4], ["raster", 4, 4, "--kernel", 2]):
        run("orders", *wrong, code=2)
    missing = tmp_path / "missing" / "order.png"
    result = CliRunner().invoke(group, ["orders", "raster", "4", "4", "-o", str(missing)])
    assert result.exit_code == 1 and "No such file or directory" in result.stderr and result.stderr.count("\n") == 1


@pytest.mark.parametrize(("error", "text"), [
    (MemoryError(), "not enough memory"), (ImportError("No module named 'torch'"), "pip install lmconv[train]"),
    (PermissionError(13, "Permission denied", "there"), "there: Permission denied"), (OSError("odd"), "odd")])
def test_errors_that_a_user_can_act_on(error, text):
    assert text in cli._explain(error)


def test_bugs_keep_their_traceback():
    with pytest.raises(ZeroDivisionError):
        cli._explain(ZeroDivisionError())
    with pytest.raises(click.Abort):
        cli._explain(click.Abort())


def test_an_interrupt_saves_the_run(photographs, tmp_path):
    """A real one, to the real command; the run then goes on."""
    arguments = ["train", photographs, "-o", tmp_path / "run", "--cache", tmp_path / "cache", *SMALL,
                 "--steps", 1000000, "--evaluate-every", 20]
    command = [sys.executable, "-c", "from lmconv.cli import cli; cli(prog_name='lmconv')", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
                          preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler)) as process:
        lines = [process.stderr.readline()]             # the first evaluation: training is under way
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
    assert os.listdir(tmp_path / "run") and config.TrainConfig().steps == TrainConfig.steps
