"""Runs: however one is broken off it goes on as if unbroken, and what it leaves behind is whole."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lmconv.checkpoints import checkpoint
from lmconv.checkpoints.checkpoint import CheckpointError
from lmconv.config import PhotoConfig, PhotoTraining
from lmconv.data import crops
from lmconv.data.crops import Prepared
from lmconv.errors import LmconvError
from lmconv.training import plots
from lmconv.training.run import resume_point, train
from lmconv.training.tasks import PhotoTask
from lmconv.training.trainer import Trainer, TrainingError
from runtime.least_squares import predict_picture
from runtime.variants import orient
from tests.lmconv.tiny import BINARY, COLOUR, CPU, QUIET, image_task

ROOT = Path(__file__).resolve().parents[3]
TINY = PhotoConfig(channels=8, blocks=1, components=2)
CONFIG = PhotoTraining(
    steps=12,
    batch=2,
    window=16,
    crop=32,
    variants=(0, 3),
    altered=0.0,
    warmup=4,
    cooldown=0.5,
    ema=0.9,
    holdout=3,
    evaluate_every=6,
)


def smooth_crops(count, side=32, seed=0):
    rng = np.random.default_rng(seed)
    field = rng.normal(0, 1, (count, 3, side, side)).cumsum(2).cumsum(3) / side
    return (128 + 25 * field + rng.normal(0, 2, field.shape)).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def prepared():
    pixels = smooth_crops(8)
    bases = {v: np.stack([predict_picture(np.ascontiguousarray(orient(crop, v))) for crop in pixels]) for v in (0, 3)}
    return Prepared(pixels, bases, "d" * 64)


@pytest.fixture(scope="module")
def photo(prepared):
    """Makes the photo task, with changes of its training."""
    return lambda network=TINY, data=prepared, **changes: PhotoTask(data, replace(CONFIG, **changes), network, CPU)


@pytest.fixture(scope="module", params=["photo", "colour", "binary"])
def task(request, photo):
    """Between them: Muon and Adam, all schedules, dropout, resizing, accumulation, drawn bits."""
    if request.param == "photo":
        return photo()
    if request.param == "colour":
        return image_task(replace(COLOUR, dropout=0.4), sizes=(6, 4), accumulate=2, steps=12, evaluate_every=6)
    return image_task(BINARY, schedule="decay", decay=0.9, optimiser="muon", steps=12, evaluate_every=6)


@pytest.fixture(scope="module")
def unbroken(task, tmp_path_factory):
    return checkpoint.load(train(task, tmp_path_factory.mktemp("unbroken"), QUIET))


def assert_equal(one, other):
    for group in ("model", "ema", "optimiser"):
        first, second = getattr(one, group), getattr(other, group)
        assert first.keys() == second.keys()
        for name in first:
            assert torch.equal(first[name], second[name]), f"{group}/{name}"
    assert (one.step, one.curve, one.network, one.training) == (other.step, other.curve, other.network, other.training)


def break_off(monkeypatch, after):
    """Makes the step number `after` + 1 end with an interrupt before it begins."""
    usual = Trainer.train_step

    def step(self, batches):
        if self.step == after:
            raise KeyboardInterrupt
        return usual(self, batches)

    monkeypatch.setattr(Trainer, "train_step", step)


# Broken off and gone on with


def test_resumed_is_unbroken(task, unbroken, tmp_path, monkeypatch):
    """Before the first step, between two evaluations, and at one."""
    for after in (0, 5, 6):
        with monkeypatch.context() as patch:
            break_off(patch, after)
            with pytest.raises(KeyboardInterrupt):
                train(task, tmp_path, QUIET, "auto")
        assert checkpoint.load(tmp_path / "last.safetensors").step == after
    assert_equal(checkpoint.load(train(task, tmp_path, QUIET, "auto")), unbroken)


@pytest.mark.parametrize("task", ["colour"], indirect=True)
def test_another_folder_can_go_on(task, unbroken, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        break_off(patch, 7)
        with pytest.raises(KeyboardInterrupt):
            train(task, tmp_path / "one", QUIET)
    before = tmp_path / "one" / "last.safetensors"
    assert_equal(checkpoint.load(train(task, tmp_path / "two", QUIET, before)), unbroken)
    assert checkpoint.load(before).step == 7


def test_stopped_by_the_clock(photo, tmp_path):
    """As tools/train_photo.py does on a borrowed machine: any number of short turns make one run."""
    task, steps = photo(), []
    for _ in range(100):
        last = train(task, tmp_path / "turns", replace(QUIET, minutes=0.02 / 60), "auto")
        steps.append(checkpoint.load(last).step)
        if steps[-1] == CONFIG.steps:
            break
    assert len(steps) > 1 and steps == sorted(steps)
    assert_equal(checkpoint.load(last), checkpoint.load(train(task, tmp_path / "whole", QUIET)))


@pytest.mark.parametrize("task", ["photo"], indirect=True)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_for_the_end_of_the_step(task, unbroken, tmp_path, monkeypatch, number):
    """A real one in the middle of a step; the checkpoint is of a whole one."""
    usual, steps = torch.optim.AdamW.step, []

    def step(self, *arguments):
        if len(steps) == 4:
            signal.raise_signal(number)
            signal.raise_signal(number)  # impatience changes nothing
        steps.append(usual(self, *arguments))

    handlers = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    before = signal.signal(number, handlers[number])  # a suite in the background ignores interrupts
    try:
        with monkeypatch.context() as patch:
            patch.setattr(torch.optim.AdamW, "step", step)
            with pytest.raises(KeyboardInterrupt):
                train(task, tmp_path, QUIET)
        assert len(steps) == 5 and signal.getsignal(number) is handlers[number]
    finally:
        signal.signal(number, before)
    assert checkpoint.load(tmp_path / "last.safetensors").step == 5
    assert_equal(checkpoint.load(train(task, tmp_path, QUIET, "auto")), unbroken)


def test_a_signal_between_steps_stops_at_once(photo, tmp_path, monkeypatch):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        monkeypatch.setattr(Trainer, "evaluate", lambda _: signal.raise_signal(signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            train(photo(), tmp_path, QUIET)
    finally:
        signal.signal(signal.SIGINT, before)
    assert checkpoint.load(tmp_path / "last.safetensors").step == 6


@pytest.mark.parametrize("task", ["photo"], indirect=True)
def test_training_off_the_main_thread(task, unbroken, tmp_path):
    """Where no signal can be handled."""
    thread = threading.Thread(target=train, args=(task, tmp_path, QUIET))
    thread.start()
    thread.join()
    assert_equal(checkpoint.load(tmp_path / "last.safetensors"), unbroken)


# What is left behind


def test_files_of_a_run(photo, tmp_path):
    last = checkpoint.load(train(photo(), tmp_path, QUIET))
    assert {path.name for path in tmp_path.iterdir()} == {
        "last.safetensors",
        "best.safetensors",
        "plateau.safetensors",
        "config.json",
        "curve.png",
        "tensorboard",
    }
    assert checkpoint.load(tmp_path / "plateau.safetensors").step == 6
    assert [step for step, _ in last.curve] == [6, 12] and last.step == 12
    assert last.training["rate"] == CONFIG.rate and last.training["data"] == "d" * 64
    assert last.training["crops"] == 8
    (tmp_path / "longer").mkdir()  # a longer run can start from the plateau
    longer = train(photo(steps=20), tmp_path / "longer", QUIET, tmp_path / "plateau.safetensors")
    assert checkpoint.load(longer).step == 20


def test_the_best_and_the_last_evaluated_ones_are_kept(tmp_path, monkeypatch):
    values = iter([3.0, 1.0, 2.0, 1.5])
    monkeypatch.setattr(Trainer, "evaluate", lambda _: next(values))
    train(image_task(steps=8, evaluate_every=2, keep=2), tmp_path, QUIET)
    best = checkpoint.load(tmp_path / "best.safetensors")
    assert best.step == 4 and best.curve == [[2, 3.0], [4, 1.0]]
    assert sorted(path.name for path in tmp_path.glob("*.safetensors")) == [
        "best.safetensors",
        "last.safetensors",
        "step_00000006.safetensors",
        "step_00000008.safetensors",
    ]
    values = iter([0.5])
    train(image_task(steps=10, evaluate_every=2, keep=2), tmp_path, QUIET, "auto")
    assert checkpoint.load(tmp_path / "best.safetensors").step == 10
    assert checkpoint.load(tmp_path / "step_00000008.safetensors").step == 8


def test_the_config_is_kept(tmp_path):
    task = image_task(BINARY, steps=2)
    train(task, tmp_path, QUIET)
    config = json.loads((tmp_path / "config.json").read_text())
    assert (
        config["kind"] == "pixelcnn" and config["network"] == asdict(BINARY) | {"far": []} and config["unit"] == "nats"
    )
    assert config["training"]["data"] == task.digest and config["training"]["variants"] == [1, 4]
    assert config["training"]["source"] == "ramps" and config["training"]["binarisation"] == "stochastic"
    assert config["machine"]["minutes"] is None and config["machine"]["resolved"] == "cpu"
    assert config["processes"] == 1 and config["versions"]["torch"] == torch.__version__


def test_a_sheet_is_drawn_after_each_evaluation(tmp_path):
    seen = []

    def sheet(net, path):
        assert not net.training and path.parent.is_dir()
        seen.append((path.name, net.head.bias.detach().clone()))
        torch.rand(1)  # what it draws does not touch the training

    task = image_task(replace(COLOUR, dropout=0.4), steps=6)
    with_sheet = checkpoint.load(train(task, tmp_path / "one", QUIET, sheet=sheet))
    assert [name for name, _ in seen] == ["step_00000003.png", "step_00000006.png"]
    assert torch.equal(seen[-1][1], with_sheet.ema["head.bias"])
    assert_equal(with_sheet, checkpoint.load(train(task, tmp_path / "two", QUIET)))


def test_gradients_that_are_no_numbers_stop_the_run(task, tmp_path, monkeypatch):
    usual = type(task).loss
    monkeypatch.setattr(type(task), "loss", lambda self, net, batch: usual(self, net, batch) * self.factor)
    monkeypatch.setattr(task, "factor", 1.0, raising=False)

    def evaluate(trainer):
        task.factor = float("nan")  # from the seventh step on
        return 1.0

    monkeypatch.setattr(Trainer, "evaluate", evaluate)
    with pytest.raises(TrainingError, match="before step 9, had no finite gradient: go on from the last"):
        train(task, tmp_path, QUIET)
    last = checkpoint.load(tmp_path / "last.safetensors")
    assert last.step == 9 and all(torch.isfinite(tensor).all() for tensor in {**last.model, **last.optimiser}.values())


def test_a_failure_in_the_middle_of_an_update_is_not_saved(photo, tmp_path, monkeypatch):
    usual, steps = torch.optim.AdamW.step, []

    def step(self, *arguments):
        if len(steps) == 8:
            raise MemoryError
        steps.append(usual(self, *arguments))

    monkeypatch.setattr(torch.optim.AdamW, "step", step)  # Muon has moved its weights by then
    with pytest.raises(MemoryError):
        train(photo(save_minutes=0.0), tmp_path, QUIET)
    assert checkpoint.load(tmp_path / "last.safetensors").step == 8


# What a person sees


def test_lines_where_there_is_no_terminal(tmp_path, capsys):
    machine = replace(QUIET, progress=True, log_every=4)
    train(image_task(steps=8, evaluate_every=6), tmp_path, machine)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("step ")]
    number = r"[\d.e+-]+"
    told = rf"{number} bits/dim, rate {number}, gradient {number}, {number} images/s, 0 min left"
    wanted = [rf"step 4 of 8: {told}", rf"step 6: {number} bits/dim held out", rf"step 8 of 8: {told}", "step 8: .*"]
    assert len(lines) == 4 and all(re.fullmatch(each, line) for each, line in zip(wanted, lines))


def test_what_tensorboard_is_given(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def sheet(net, path):
        Image.new("RGB", (4, 3), "red").save(path)

    train(image_task(steps=20, evaluate_every=10), tmp_path, QUIET, sheet=sheet)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    scalars = {"loss", "rate", "gradient", "heldout", "heldout/s_curve:1", "heldout/s_curve:4"}
    assert set(events.Tags()["scalars"]) == scalars and events.Tags()["images"] == ["samples"]
    assert [each.step for each in events.Scalars("heldout")] == [10, 20]
    curve = checkpoint.load(tmp_path / "last.safetensors").curve
    shares = [
        4 / 7 * events.Scalars("heldout/s_curve:1")[-1].value,
        3 / 7 * events.Scalars("heldout/s_curve:4")[-1].value,
    ]
    assert sum(shares) == pytest.approx(curve[-1][1], abs=1e-4)  # the curve has five digits


def test_curves_of_runs(tmp_path):
    task = image_task(steps=40, evaluate_every=20)
    for name in ("one", "other"):
        train(task, tmp_path / name, QUIET)
        assert Image.open(tmp_path / name / "curve.png").size == (960, 600)
    both = [plots.of_run(tmp_path / name) for name in ("one", "other")]
    plots.draw(both, tmp_path / "both.png")
    labels = [line.get_label() for line in plots._figure(both).axes[0].lines]
    held_out = checkpoint.load(tmp_path / "one" / "last.safetensors").curve[-1][1]
    told = f"held out: {held_out:.4f}"
    assert labels == ["one, training", f"one, {told}", "other, training", f"other, {told}"]
    train(image_task(BINARY, steps=2), tmp_path / "bits", QUIET)
    with pytest.raises(LmconvError, match="runs of bits/dim and nats do not share a picture"):
        plots.draw([both[0], plots.of_run(tmp_path / "bits")], tmp_path / "no.png")
    train(image_task(steps=8, evaluate_every=9), tmp_path / "short", replace(QUIET, minutes=1e-9))
    with pytest.raises(LmconvError, match="nothing was evaluated yet"):
        plots.draw([plots.of_run(tmp_path / "short")], tmp_path / "no.png")
    assert not (tmp_path / "no.png").exists()


def test_the_training_curve_goes_on_with_the_run(tmp_path):
    """Losses before a stop are read back once, those of steps that are trained again left out."""
    whole, parts = image_task(steps=60, evaluate_every=60), image_task(steps=40, evaluate_every=60)
    train(whole, tmp_path / "whole", QUIET)
    train(parts, tmp_path / "parts", QUIET)
    drawn = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "draw", lambda curves, path: drawn.extend(curves))
        train(whole, tmp_path / "parts", QUIET, resume="auto")
    expected = plots.of_run(tmp_path / "whole")
    assert [step for step, _ in drawn[-1].trained] == [step for step, _ in expected.trained] == [20, 40, 60]
    assert drawn[-1].unit == expected.unit == "bits/dim"
    assert drawn[-1].heldout == checkpoint.load(tmp_path / "parts" / "last.safetensors").curve


# Another run's weights


def test_a_run_begins_with_the_weights_of_another(tmp_path):
    first = checkpoint.load(train(image_task(steps=4), tmp_path / "one", QUIET))
    coarse = replace(COLOUR, bits=5)
    fine = image_task(coarse, steps=3, order="raster", variants=(0,), optimiser="muon")
    machine = replace(QUIET, minutes=1e-9)
    begun = checkpoint.load(train(fine, tmp_path / "two", machine, init=first))
    assert begun.step == 0 and begun.curve == [] and begun.network == coarse
    for name, tensor in first.ema.items():
        assert torch.equal(begun.model[name], tensor) and torch.equal(begun.ema[name], tensor)
    done = checkpoint.load(train(fine, tmp_path / "two", QUIET, "auto", init=first))  # it has begun: from its own
    assert done.step == 3
    other = image_task(replace(COLOUR, filters=6))
    with pytest.raises(CheckpointError, match="whose tensors are not those of"):
        train(other, tmp_path / "three", QUIET, init=first)
    assert not (tmp_path / "three" / "last.safetensors").exists()


def test_a_checkpoint_that_cannot_be_written_ends_the_run(tmp_path, monkeypatch):
    def full(path, state):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save", full)
    with pytest.raises(OSError, match="No space left"):
        train(image_task(), tmp_path, QUIET)


# What cannot begin


def test_a_run_is_not_overwritten(photo, prepared, tmp_path):
    train(photo(steps=1), tmp_path, QUIET)
    before = (tmp_path / "last.safetensors").read_bytes()
    with pytest.raises(FileExistsError, match="last.safetensors exists: go on with --resume"):
        train(photo(steps=1), tmp_path, QUIET)
    with pytest.raises(CheckpointError, match="channels=16"):
        train(photo(replace(TINY, channels=16)), tmp_path, QUIET, "auto")
    with pytest.raises(CheckpointError, match="trained on data dddddddddddd, not eeeeeeeeeeee"):
        train(photo(data=replace(prepared, digest="e" * 64)), tmp_path, QUIET, "auto")
    with pytest.raises(CheckpointError, match="the checkpoint's optimiser is muon, not adam"):
        train(photo(optimiser="adam"), tmp_path, QUIET, "auto")
    with pytest.raises(CheckpointError, match="the checkpoint's network is PhotoConfig"):
        train(image_task(), tmp_path, QUIET, "auto")
    assert (tmp_path / "last.safetensors").read_bytes() == before


def test_resume_points(tmp_path):
    run, last, other = tmp_path / "run", tmp_path / "run" / "last.safetensors", tmp_path / "other.safetensors"
    assert resume_point(run, None) is None and resume_point(run, "auto") is None
    with pytest.raises(FileNotFoundError, match="no checkpoint .*other"):
        resume_point(run, other)
    other.touch()
    assert resume_point(run, other) == other
    run.mkdir()
    last.touch()
    assert resume_point(run, "auto") == last and resume_point(run, last) == last
    for resume in (None, other):
        with pytest.raises(FileExistsError, match="last.safetensors exists"):
            resume_point(run, resume)


BLOCKED = ("click", "onnx", "onnxruntime", "onnxscript", "constriction")


def run_script(*arguments, **options):
    """tools/train_photo.py in a fresh interpreter, from elsewhere, without what is not on the training machine."""
    script = str(ROOT / "tools" / "train_photo.py")
    code = (
        f"import runpy, sys; sys.modules.update(dict.fromkeys({BLOCKED!r})); sys.argv[0] = {script!r}; "
        f"runpy.run_path({script!r}, run_name='__main__')"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        env=environment,
        **options,
    )


@pytest.fixture
def photographs(tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    for index in range(6):
        pixels = smooth_crops(1, 192 * 3, index)[0, :, : 192 * 2].transpose(1, 2, 0)
        Image.fromarray(pixels).save(folder / f"{index}.png", compress_level=1)
    return folder


def test_the_script_runs_from_a_checkout(photographs, tmp_path, monkeypatch):
    config = PhotoTraining()
    with monkeypatch.context() as patch:  # predictions are not what is tested here
        patch.setattr(crops, "predict_picture", lambda crop, _: crop.astype(np.int16) * 64)
        crops.prepare(
            photographs, tmp_path / "cache", config.crop, config.variants, workers=1, progress=False, altered=True
        )
    arguments = [
        photographs,
        tmp_path / "run",
        "--cache",
        tmp_path / "cache",
        "--batch",
        1,
        "--window",
        8,
        "--threads",
        1,
        "--device",
        "cpu",
        "--precision",
        "fp32",
        "--minutes",
        0.03,
    ]
    for turn in range(2):  # and resumes
        done = run_script(*arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == str(tmp_path / "run" / "last.safetensors")
        state = checkpoint.load(tmp_path / "run" / "last.safetensors")
        assert state.step > turn and state.network == PhotoConfig()


@pytest.mark.slow
def test_the_script_from_pictures_to_a_checkpoint(photographs, tmp_path):
    done = run_script(photographs, tmp_path / "run", "--steps", 2, "--batch", 1, "--window", 16, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert checkpoint.load(tmp_path / "run" / "last.safetensors").curve[-1][0] == 2
