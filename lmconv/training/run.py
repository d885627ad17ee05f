"""A run: a trainer's steps from beginning to end, with what is written, shown and looked at on the way.

RUN/last.safetensors is the newest state, best.safetensors the one of the lowest held-out loss, step_*.safetensors the
last `keep` evaluated ones, plateau.safetensors the one from just before a linear schedule falls (a longer run can start
from it), curve.png what was held out so far, config.json what was asked for, tensorboard/ scalars and samples. Of
several processes the first alone writes; checkpoints are written while the training goes on.
"""

import importlib.metadata
import json
import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from lmconv.checkpoints import checkpoint as checkpoints
from lmconv.checkpoints.checkpoint import Checkpoint
from lmconv.config import Machine
from lmconv.networks import kinds
from lmconv.processes import Processes
from lmconv.training import plots
from lmconv.training.optimisation import plateau_step, schedule
from lmconv.training.tasks import Task
from lmconv.training.trainer import Trainer
from runtime.files import whole

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

LAST = plots.LAST
EVERY = 20  # steps between the scalars, for which the device is waited for

# Draws samples of a network, in evaluation mode, into a new PNG. Must not train it.
Sheet = Callable[[nn.Module, Path], object]


def resume_point(run: Path, resume: str | Path | None) -> Path | None:
    """The checkpoint that a run starts from: with "auto" RUN's last one if there is one, or a given one, or none.

    Raises FileExistsError where RUN holds a checkpoint that would be lost, FileNotFoundError if the given is not there.
    """
    last = Path(run) / LAST
    if resume is not None and resume != "auto":
        if not Path(resume).exists():
            raise FileNotFoundError(f"no checkpoint {resume}")
        if not last.exists() or last.resolve() == Path(resume).resolve():
            return Path(resume)
    elif not last.exists():
        return None
    elif resume == "auto":
        return last
    raise FileExistsError(f"{last} exists: go on with --resume, or choose another folder")


def train(
    task: Task,
    run: Path,
    machine: Machine = Machine(),
    resume: str | Path | None = None,
    processes: Processes = Processes(),
    sheet: Sheet | None = None,
    init: Checkpoint | None = None,
) -> Path:
    """Runs or resumes a training and returns the path of its last checkpoint.

    `init`: what a run that has not begun takes its weights from. `sheet` is called after each evaluation with the
    averaged network and RUN/samples/step_*.png. Raises what `resume_point` does, CheckpointError if the checkpoint is
    of another network or data, TrainingError.
    """
    run = Path(run)
    start = resume_point(run, resume)
    if machine.threads:
        torch.set_num_threads(machine.threads)
    trainer = Trainer(task, machine, processes)
    if start is not None:
        trainer.restore(checkpoints.load(start))
    elif init is not None:
        trainer.begin_from(init)
    if processes.rank == 0:
        run.mkdir(parents=True, exist_ok=True)
        _write(run / "config.json", _resolved(trainer, start))
    _Run(trainer, run, sheet).go()
    return run / LAST


class _Run:
    """What goes on round the steps."""

    def __init__(self, trainer: Trainer, folder: Path, sheet: Sheet | None) -> None:
        self.trainer, self.folder, self.sheet = trainer, folder, sheet
        self.task, self.config, self.processes = trainer.task, trainer.config, trainer.processes
        self.writes = self.processes.rank == 0
        self.saved = time.monotonic()
        self.deadline = self.saved + 60 * trainer.machine.minutes
        self.smooth: float | None = None
        before = plots.losses(folder) if self.writes and trainer.step else []
        self.losses = [each for each in before if each[0] <= trainer.step]  # for curve.png
        self.speed = _Speed(trainer.step)

    def go(self) -> None:
        """Trains to the last step or the last minute. However it ends, the last whole step is saved."""
        from torch.utils.tensorboard import SummaryWriter

        trainer, shown = self.trainer, self.writes and self.trainer.machine.progress
        bar = tqdm(
            total=self.config.steps, initial=trainer.step, unit="step", disable=None if shown else True
        )  # None: only on a terminal
        writer = SummaryWriter(str(self.folder / plots.FOLDER), purge_step=trainer.step) if self.writes else None
        with (
            _Interrupts(alone=self.processes.world == 1) as interrupts,
            ThreadPoolExecutor(1) as ahead,
            _Disk(self.folder) as self.disk,
            bar,
        ):
            try:
                batches = ahead.submit(trainer.batches, trainer.step)
                while trainer.step < self.config.steps and not self._stopped(interrupts):
                    current = batches.result()
                    batches = ahead.submit(trainer.batches, trainer.step + 1)
                    with interrupts.step():
                        loss = trainer.train_step(current)
                    self._after_step(loss, writer, bar)
                if self.processes.any(interrupts.arrived):
                    raise KeyboardInterrupt
            finally:
                if trainer.whole:
                    self._save(LAST)
                if writer:
                    writer.close()

    def _stopped(self, interrupts: "_Interrupts") -> bool:
        """All processes stop together, or those that go on would wait for the others for ever."""
        return self.processes.any(interrupts.arrived or time.monotonic() > self.deadline)

    def _after_step(self, loss: torch.Tensor, writer: "SummaryWriter | None", bar: tqdm) -> None:
        step, config = self.trainer.step, self.config
        rate = config.rate * schedule(config, step - 1)
        if step % EVERY == 0:
            value = self.processes.sum(loss).item() / self.processes.world
            self.losses.append((step, value))
            self.smooth = value if self.smooth is None else 0.9 * self.smooth + 0.1 * value
            if writer:
                scalars = {"loss": value, "rate": rate, "gradient": self.trainer.norm.item()}
                for name, scalar in scalars.items():
                    writer.add_scalar(name, scalar, step)
            bar.set_postfix_str(f"{self.smooth:.4f} {self.task.unit}", refresh=False)
        if step % EVERY == 0 or self.trainer.device.type == "cpu" or step == config.steps:
            self.trainer.check()
        if step % self.trainer.machine.log_every == 0:
            seconds = self.speed.per_step(step)
            if self.writes and self.trainer.machine.progress and bar.disable:
                self._say(
                    f"step {step} of {config.steps}: {loss.item():.4f} {self.task.unit}, rate {rate:.2g}, gradient "
                    f"{self.trainer.norm.item():.3g}, {config.batch / seconds:.1f} images/s, "
                    f"{_in_words((config.steps - step) * seconds)} left",
                    bar,
                )
        if step % config.evaluate_every == 0 or step == config.steps:
            self._evaluate(writer, bar)
        if step == plateau_step(config):
            self._save("plateau.safetensors")
        if time.monotonic() - self.saved > 60 * config.save_minutes:
            self._save(LAST)
            self.saved = time.monotonic()
        bar.update()

    def _evaluate(self, writer: "SummaryWriter | None", bar: tqdm) -> None:
        trainer, step = self.trainer, self.trainer.step
        value = round(trainer.evaluate(), 5)
        best = all(value < before for _, before in trainer.curve)
        trainer.curve.append([step, value])
        if writer is None:
            return
        writer.add_scalar("heldout", value, step)
        for order, of_it in trainer.by_order.items() if len(trainer.by_order) > 1 else ():
            writer.add_scalar(f"heldout/{order}", of_it, step)
        if trainer.machine.progress:
            training = "" if self.smooth is None else f", {self.smooth:.4f} training"
            skipped = f", {int(trainer.skipped)} steps skipped" if trainer.skipped else ""
            self._say(f"step {step}: {value:.4f} {self.task.unit} held out{training}{skipped}", bar)
        if best:
            self._save("best.safetensors")
        if self.config.keep:
            self._save(f"step_{step:08d}.safetensors", self.config.keep)
        if self.sheet is not None:
            self._draw_samples(writer)
        writer.flush()
        curves = plots.Curves(self.folder.resolve().name, self.task.unit, trainer.curve, self.losses)
        plots.draw([curves], self.folder / "curve.png")
        self.speed.pause(step)

    def _draw_samples(self, writer: "SummaryWriter") -> None:
        from PIL import Image

        assert self.sheet is not None
        step, folder = self.trainer.step, self.folder / "samples"
        folder.mkdir(exist_ok=True)
        path = folder / f"step_{step:08d}.png"
        self.sheet(self.trainer.averaged(), path)
        if path.exists():
            with Image.open(path) as image:
                writer.add_image("samples", np.asarray(image.convert("RGB")), step, dataformats="HWC")

    def _save(self, name: str, keep: int = 0) -> None:
        if self.writes:
            self.disk.save(name, self.trainer.snapshot(), keep)

    @staticmethod
    def _say(text: str, bar: tqdm) -> None:
        bar.write(text, file=sys.stderr)
        sys.stderr.flush()


class _Disk:
    """Writes checkpoints into a folder, one after the other, while others work."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._pool, self._last = ThreadPoolExecutor(1), Future[None]()
        self._last.set_result(None)

    def __enter__(self) -> "_Disk":
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown()
        self.wait()

    def save(self, name: str, state: Checkpoint, keep: int = 0) -> None:
        """Begins to write a checkpoint as it is now; `keep`: how many numbered ones are left. Raises what the last
        one's writing raised."""
        self.wait()
        self._last = self._pool.submit(self._write, name, state.copied(), keep)

    def wait(self) -> None:
        """Until all is written. Raises what the writing raised."""
        self._last.result()

    def _write(self, name: str, state: Checkpoint, keep: int) -> None:
        checkpoints.save(self.folder / name, state)
        if keep:
            for path in sorted(self.folder.glob("step_*.safetensors"))[:-keep]:
                path.unlink()


class _Speed:
    """How long a step takes, evaluations left out."""

    def __init__(self, step: int) -> None:
        self._since, self._first = time.monotonic(), step

    def per_step(self, step: int) -> float:
        """Seconds, since it was last asked for."""
        now = time.monotonic()
        found = (now - self._since) / max(step - self._first, 1)
        self._since, self._first = now, step
        return max(found, 1e-9)

    def pause(self, step: int) -> None:
        """Counts from here on."""
        self._since, self._first = time.monotonic(), step


def _in_words(seconds: float) -> str:
    """A duration, as in 2 h 05 min."""
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"


class _Interrupts:
    """While it is entered, an interrupt or a request to end waits for the end of the step: half a one is not saved.

    Between steps a process that is `alone` stops at once. One of several only notes it, for them to agree. Signals that
    are ignored or handled by others stay so, and all of them off the main thread.
    """

    USUAL: dict[signal.Signals, Callable[[int, FrameType | None], object] | signal.Handlers] = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
    }

    def __init__(self, alone: bool) -> None:
        self.alone, self.arrived, self._inside = alone, False, False
        self._taken: list[signal.Signals] = []

    def __enter__(self) -> "_Interrupts":
        if threading.current_thread() is threading.main_thread():
            self._taken = [number for number, usual in self.USUAL.items() if signal.getsignal(number) is usual]
            for number in self._taken:
                signal.signal(number, self._note)
        return self

    def __exit__(self, *error: object) -> None:
        for number in self._taken:
            signal.signal(number, self.USUAL[number])

    def _note(self, *_: object) -> None:
        self.arrived = True
        if self.alone and not self._inside:
            raise KeyboardInterrupt

    @contextmanager
    def step(self) -> Iterator[None]:
        self._inside = True
        try:
            yield
        finally:
            self._inside = False
        if self.alone and self.arrived:
            raise KeyboardInterrupt


def _resolved(trainer: Trainer, start: Path | None) -> dict:
    """All that decided a run, for a reader."""
    packages = {name: importlib.metadata.version(name) for name in ("torch", "numpy")}
    machine = asdict(trainer.machine) | {"resolved": str(trainer.device), "bf16": trainer.bf16}
    if math.isinf(trainer.machine.minutes):  # which JSON cannot say
        machine["minutes"] = None
    return {
        "kind": kinds.kind(trainer.task.network),
        "network": asdict(trainer.task.network),
        "training": trainer.snapshot().training,
        "unit": trainer.task.unit,
        "machine": machine,
        "processes": trainer.processes.world,
        "resumed_from": None if start is None else str(start),
        "versions": packages,
    }


def _write(path: Path, content: dict) -> None:
    with whole(path) as file:
        file.write(f"{json.dumps(content, indent=2)}\n".encode())
