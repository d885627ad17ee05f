"""A run: a trainer's steps from beginning to end, with what is written, shown and looked at on the way.

RUN/last.safetensors is the newest state, best.safetensors the one of the lowest held-out loss, step_*.safetensors the
last `keep` evaluated ones, plateau.safetensors the one from just before a linear schedule falls (a longer run can start
from it), config.json what was asked for, tensorboard/ the scalars. Of several processes the first alone writes.
"""

import importlib.metadata
import json
import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import torch
from torch import nn
from tqdm import tqdm

from lmconv.checkpoints import checkpoint as checkpoints
from lmconv.config import Machine
from lmconv.networks import kinds
from lmconv.processes import Processes
from lmconv.training.optimisation import plateau_step, schedule
from lmconv.training.tasks import Task
from lmconv.training.trainer import Trainer
from runtime.files import whole

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

LAST = "last.safetensors"
EVERY = 20  # steps between the scalars

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
) -> Path:
    """Runs or resumes a training and returns the path of its last checkpoint.

    `sheet` is called after each evaluation with the averaged network and RUN/samples/step_*.png. Raises what
    `resume_point` does, CheckpointError if the checkpoint is of another network or data, TrainingError.
    """
    run = Path(run)
    start = resume_point(run, resume)
    if machine.threads:
        torch.set_num_threads(machine.threads)
    trainer = Trainer(task, machine, processes)
    if start is not None:
        trainer.restore(checkpoints.load(start))
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

    def go(self) -> None:
        """Trains to the last step or the last minute. However it ends, the last whole step is saved."""
        from torch.utils.tensorboard import SummaryWriter

        trainer, shown = self.trainer, self.writes and self.trainer.machine.progress
        bar = tqdm(
            total=self.config.steps, initial=trainer.step, unit="step", disable=None if shown else True
        )  # None: only on a terminal
        writer = SummaryWriter(str(self.folder / "tensorboard"), purge_step=trainer.step) if self.writes else None
        with _Interrupts(alone=self.processes.world == 1) as interrupts, ThreadPoolExecutor(1) as ahead, bar:
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
        if step % EVERY == 0:
            value = self.processes.sum(loss).item() / self.processes.world
            self.smooth = value if self.smooth is None else 0.9 * self.smooth + 0.1 * value
            if writer:
                writer.add_scalar("loss", value, step)
                writer.add_scalar("rate", config.rate * schedule(config, step - 1), step)
            bar.set_postfix_str(f"{self.smooth:.4f} {self.task.unit}", refresh=False)
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
        if trainer.machine.progress:
            training = "" if self.smooth is None else f", {self.smooth:.4f} training"
            bar.write(f"step {step}: {value:.4f} {self.task.unit} held out{training}", file=sys.stderr)
        if best:
            self._save("best.safetensors")
        if self.config.keep:
            self._save(f"step_{step:08d}.safetensors")
            for path in sorted(self.folder.glob("step_*.safetensors"))[: -self.config.keep]:
                path.unlink()
        if self.sheet is not None:
            samples = self.folder / "samples"
            samples.mkdir(exist_ok=True)
            self.sheet(trainer.averaged(), samples / f"step_{step:08d}.png")

    def _save(self, name: str) -> None:
        if self.writes:
            checkpoints.save(self.folder / name, self.trainer.snapshot())


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
