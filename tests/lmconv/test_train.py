"""Training: it learns, its schedule is the documented one, and however it is broken off it goes on as if unbroken."""
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lmconv import checkpoint, data
from lmconv.checkpoint import CheckpointError
from lmconv.config import Machine, PhotoConfig, TrainConfig
from lmconv.data import DataError, Prepared
from lmconv.train import Trainer, plateau_step, schedule, train
from runtime.predictor import predict_picture
from runtime.variants import orient

ROOT = Path(__file__).resolve().parents[2]
TINY = PhotoConfig(channels=8, blocks=1, components=2)
QUIET = Machine(device="cpu", precision="fp32", progress=False)
CONFIG = TrainConfig(steps=12, batch=2, window=16, crop=32, variants=(0, 3), altered=0.0, warmup=4, cooldown=0.5,
                     ema=0.9, holdout=3, evaluate_every=6)


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
def unbroken(prepared, tmp_path_factory):
    return checkpoint.load(train(prepared, tmp_path_factory.mktemp("unbroken"), CONFIG, TINY, QUIET))


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

    def step(self, *batch):
        if self.step == after:
            raise KeyboardInterrupt
        return usual(self, *batch)

    monkeypatch.setattr(Trainer, "train_step", step)


def test_the_loss_falls(prepared):
    trainer = Trainer(prepared, replace(CONFIG, steps=60, batch=4, rate=1e-2), TINY, QUIET)
    before = trainer.evaluate()
    for step in range(60):
        loss = trainer.train_step(*trainer.batch(step))
    assert torch.isfinite(loss)
    assert trainer.evaluate() < before - 0.3


def test_evaluation_is_of_the_averaged_weights_on_whole_held_out_crops(prepared):
    trainer = Trainer(prepared, CONFIG, TINY, QUIET)
    for step in range(3):
        trainer.train_step(*trainer.batch(step))
    bits = []
    for index in (5, 6, 7):
        pixels, bases = (torch.from_numpy(part[index:index + 1]) for part in (prepared.pixels, prepared.bases[0]))
        with torch.no_grad():
            bits.append(trainer.loss(trainer.snapshot().net(), pixels, bases).item())
    assert trainer.evaluate() == pytest.approx(sum(bits) / 3, rel=1e-5)


def test_batches_depend_on_seed_and_step_alone(prepared):
    one, other = Trainer(prepared, CONFIG, TINY, QUIET), Trainer(prepared, replace(CONFIG, seed=1), TINY, QUIET)
    pixels, bases = one.batch(7)
    one.batch(1)
    again = one.batch(7)
    assert torch.equal(pixels, again[0]) and torch.equal(bases, again[1])
    assert pixels.shape == bases.shape == (2, 3, 16, 16) and pixels.dtype == torch.uint8 and bases.dtype == torch.int16
    assert not torch.equal(pixels, other.batch(7)[0])
    assert not torch.equal(pixels, one.batch(8)[0])


def test_held_out_crops_are_not_trained_on(prepared):
    marked = Prepared(prepared.pixels.copy(), prepared.bases, prepared.digest)
    marked.pixels[:] = np.arange(8).reshape(8, 1, 1, 1)
    trainer = Trainer(marked, CONFIG, TINY, QUIET)
    seen = {value for step in range(40) for value in trainer.batch(step)[0].unique().tolist()}
    assert seen == {0, 1, 2, 3, 4}


def test_the_share_of_altered_windows(prepared):
    marked = replace(prepared, altered=(np.full_like(prepared.pixels, 255), np.zeros_like(prepared.bases[0])))
    trainer = Trainer(marked, replace(CONFIG, altered=0.25), TINY, QUIET)
    windows = torch.cat([trainer.batch(step)[0] for step in range(200)])
    assert 0.18 < (windows == 255).all(dim=(1, 2, 3)).float().mean() < 0.32       # 400 windows: three deviations
    with pytest.raises(DataError, match="none are prepared"):
        Trainer(prepared, replace(CONFIG, altered=0.25), TINY, QUIET)


def test_schedule_of_the_learning_rates():
    config = TrainConfig(steps=100, warmup=10, cooldown=0.4)
    rates = [schedule(config, step) for step in range(101)]
    assert rates[0] == pytest.approx(0.1) and rates[4] == pytest.approx(0.5)
    assert rates[9:61] == [1.0] * 52
    assert rates[80] == pytest.approx(0.5) and rates[99] == pytest.approx(0.025) and rates[100] == 0
    assert plateau_step(config) == 60
    assert schedule(replace(config, warmup=0), 0) == 1.0
    assert schedule(replace(config, cooldown=0.0), 99) == 1.0


@pytest.mark.parametrize("after", [6, 5, 0])
def test_resumed_is_unbroken(prepared, unbroken, tmp_path, monkeypatch, after):
    with monkeypatch.context() as patch:
        break_off(patch, after)
        with pytest.raises(KeyboardInterrupt):
            train(prepared, tmp_path, CONFIG, TINY, QUIET)
    assert checkpoint.load(tmp_path / "last.safetensors").step == after
    assert_equal(checkpoint.load(train(prepared, tmp_path, CONFIG, TINY, QUIET, resume=True)), unbroken)


def test_stopped_by_the_clock(prepared, unbroken, tmp_path):
    """As tools/train_photo.py does on a borrowed machine: any number of short turns make one run."""
    steps = []
    for _ in range(100):
        last = train(prepared, tmp_path, CONFIG, TINY, replace(QUIET, minutes=0.02 / 60), resume=True)
        steps.append(checkpoint.load(last).step)
        if steps[-1] == CONFIG.steps:
            break
    assert len(steps) > 1 and steps == sorted(steps)
    assert_equal(checkpoint.load(last), unbroken)


def test_an_interrupt_waits_for_the_end_of_the_step(prepared, unbroken, tmp_path, monkeypatch):
    """A real signal in the middle of a step; the checkpoint is of a whole one."""
    usual = torch.optim.Adam.step
    steps = []

    def step(self, *arguments):
        if len(steps) == 4:
            signal.raise_signal(signal.SIGINT)
        steps.append(usual(self, *arguments))

    before = signal.signal(signal.SIGINT, signal.default_int_handler)   # a suite in the background ignores interrupts
    try:
        with monkeypatch.context() as patch:
            patch.setattr(torch.optim.Adam, "step", step)
            with pytest.raises(KeyboardInterrupt):
                train(prepared, tmp_path, CONFIG, TINY, QUIET)
        assert len(steps) == 5 and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert checkpoint.load(tmp_path / "last.safetensors").step == 5
    assert_equal(checkpoint.load(train(prepared, tmp_path, CONFIG, TINY, QUIET, resume=True)), unbroken)


def test_training_off_the_main_thread(prepared, unbroken, tmp_path):
    """Where no signal can be handled."""
    thread = threading.Thread(target=train, args=(prepared, tmp_path, CONFIG, TINY, QUIET))
    thread.start()
    thread.join()
    assert_equal(checkpoint.load(tmp_path / "last.safetensors"), unbroken)


def test_files_of_a_run(prepared, unbroken, tmp_path):
    train(prepared, tmp_path, CONFIG, TINY, QUIET)
    assert {path.name for path in tmp_path.iterdir()} == {"last.safetensors", "plateau.safetensors", "tensorboard"}
    plateau = checkpoint.load(tmp_path / "plateau.safetensors")
    assert plateau.step == plateau_step(CONFIG) == 6
    assert [step for step, _ in unbroken.curve] == [6, 12] and unbroken.step == 12
    assert unbroken.training["rate"] == CONFIG.rate and unbroken.training["data"] == "d" * 64
    assert unbroken.training["crops"] == 8
    (tmp_path / "longer").mkdir()                       # a longer run can start from the plateau
    (tmp_path / "plateau.safetensors").rename(tmp_path / "longer" / "last.safetensors")
    longer = train(prepared, tmp_path / "longer", replace(CONFIG, steps=20), TINY, QUIET, resume=True)
    assert checkpoint.load(longer).step == 20


def test_a_run_is_not_overwritten(prepared, tmp_path):
    config = replace(CONFIG, steps=1)
    train(prepared, tmp_path, config, TINY, QUIET)
    before = (tmp_path / "last.safetensors").read_bytes()
    with pytest.raises(FileExistsError, match="last.safetensors exists: resume the run"):
        train(prepared, tmp_path, config, TINY, QUIET)
    with pytest.raises(CheckpointError, match="channels=16"):
        train(prepared, tmp_path, config, replace(TINY, channels=16), QUIET, resume=True)
    with pytest.raises(CheckpointError, match="trained on data dddddddddddd, not eeeeeeeeeeee"):
        train(replace(prepared, digest="e" * 64), tmp_path, config, TINY, QUIET, resume=True)
    assert (tmp_path / "last.safetensors").read_bytes() == before


@pytest.mark.parametrize(("change", "message"), [
    (dict(holdout=8), "8 crops are too few to hold 8 out"),
    (dict(window=33), "windows of 33 from crops of 32 pixels"),
    (dict(crop=64), "from crops of 64 pixels cannot be cut: the prepared crops have 32")])
def test_data_that_does_not_fit(prepared, tmp_path, change, message):
    with pytest.raises(DataError, match=message):
        train(prepared, tmp_path, replace(CONFIG, **change), TINY, QUIET)


def test_bfloat16_learns_too(prepared):
    trainer = Trainer(prepared, replace(CONFIG, steps=20), TINY, replace(QUIET, precision="bf16"))
    assert trainer.bf16
    before = trainer.evaluate()
    for step in range(20):
        trainer.train_step(*trainer.batch(step))
    assert trainer.evaluate() < before


BLOCKED = ("click", "onnx", "onnxruntime", "onnxscript", "constriction")


def run_script(*arguments, **options):
    """tools/train_photo.py in a fresh interpreter, from elsewhere, without what is not on the training machine."""
    script = str(ROOT / "tools" / "train_photo.py")
    code = (f"import runpy, sys; sys.modules.update(dict.fromkeys({BLOCKED!r})); sys.argv[0] = {script!r}; "
            f"runpy.run_path({script!r}, run_name='__main__')")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True,
                          timeout=300, env=environment, **options)


@pytest.fixture
def photographs(tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    for index in range(6):
        pixels = smooth_crops(1, 192 * 3, index)[0, :, :192 * 2].transpose(1, 2, 0)
        Image.fromarray(pixels).save(folder / f"{index}.png", compress_level=1)
    return folder


def test_the_script_runs_from_a_checkout(photographs, tmp_path, monkeypatch):
    config = TrainConfig()
    with monkeypatch.context() as patch:                # predictions are not what is tested here
        patch.setattr(data, "predict_picture", lambda crop, _: crop.astype(np.int16) * 64)
        data.prepare(photographs, tmp_path / "cache", config.crop, config.variants, workers=1, progress=False,
                     altered=True)
    arguments = [photographs, tmp_path / "run", "--cache", tmp_path / "cache", "--batch", 1, "--window", 8,
                 "--threads", 1, "--device", "cpu", "--precision", "fp32", "--minutes", 0.02]
    for turn in range(2):                               # and resumes
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
