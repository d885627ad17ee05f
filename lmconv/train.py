"""Training of the photo network on prepared crops: random windows, Muon and Adam, averaged weights, exact resume.

Every batch is drawn from (seed, step) alone, so a run that is stopped and resumed sees what an unbroken run sees.
The learning rate rises for `warmup` steps, stays, and falls linearly to zero over the last `cooldown` of the run.
The checkpoint from just before the fall is kept (plateau.safetensors): a longer run can start from it.
"""
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from lmconv import checkpoint as checkpoints
from lmconv import data, likelihood
from lmconv.config import Machine, PhotoConfig, TrainConfig
from lmconv.muon import Muon
from lmconv.photo import PhotoNet

__all__ = ["Machine", "PhotoConfig", "TrainConfig", "Trainer", "plateau_step", "schedule", "train"]


def schedule(config: TrainConfig, step: int) -> float:
    """The factor of the learning rates at `step`, 0 to 1."""
    falling = (config.steps - step) / max(1.0, config.cooldown * config.steps)
    return max(0.0, min(1.0, (step + 1) / max(1, config.warmup), falling))


def optimisers(net: PhotoNet, config: TrainConfig) -> list[torch.optim.Optimizer]:
    """Muon for the hidden layers' weights, Adam for all other parameters."""
    matrices = net.matrices()
    hidden = {id(weight) for weight in matrices}
    others = [parameter for parameter in net.parameters() if id(parameter) not in hidden]
    return [Muon(matrices, config.matrix_rate), torch.optim.Adam(others, lr=config.rate, betas=config.betas)]


def plateau_step(config: TrainConfig) -> int:
    """The step at which the learning rate begins to fall."""
    return int(config.steps * (1 - config.cooldown))


def train(prepared: data.Prepared, run: Path, config: TrainConfig, network: PhotoConfig = PhotoConfig(),
          machine: Machine = Machine(), resume: bool = False) -> Path:
    """Runs or resumes a training and returns the path of its last checkpoint, RUN/last.safetensors.

    Raises FileExistsError if RUN holds a checkpoint and `resume` is not asked for.
    """
    run = Path(run)
    last = run / "last.safetensors"
    if last.exists() and not resume:
        raise FileExistsError(f"{last} exists: resume the run, or choose another folder")
    if machine.threads:
        torch.set_num_threads(machine.threads)
    trainer = Trainer(prepared, config, network, machine)
    if last.exists():
        trainer.restore(checkpoints.load(last))
    run.mkdir(parents=True, exist_ok=True)
    trainer.run(run)
    return last


class Trainer:
    """Network, optimiser and averages of one run, and the step."""

    def __init__(self, prepared: data.Prepared, config: TrainConfig, network: PhotoConfig, machine: Machine):
        if len(prepared) <= config.holdout:
            raise data.DataError(f"{len(prepared)} crops are too few to hold {config.holdout} out")
        if config.crop != prepared.pixels.shape[-1] or config.window > config.crop:
            raise data.DataError(f"windows of {config.window} from crops of {config.crop} pixels cannot be cut: "
                                 f"the prepared crops have {prepared.pixels.shape[-1]}")
        if config.altered and prepared.altered is None:
            raise data.DataError("altered crops are asked for, and none are prepared")
        self.prepared, self.config, self.machine = prepared, config, machine
        self.device, self.bf16 = machine.resolved_device(), machine.bf16()
        torch.manual_seed(config.seed)
        self.net = PhotoNet(network).to(self.device)
        if self.device.type == "cpu":
            self.net = self.net.to(memory_format=torch.channels_last)
        self.ema = {name: tensor.clone() for name, tensor in self.net.state_dict().items()}
        self.optimisers = optimisers(self.net, config)
        self.step, self.curve = 0, []

    def batch(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Pixels uint8 and bases int16 [B, 3, window, window] of one step, from (seed, step) alone."""
        c, rng = self.config, np.random.default_rng([self.config.seed, step])
        windows = []
        for _ in range(c.batch):
            index = rng.integers(len(self.prepared) - c.holdout)
            row, column = rng.integers(c.crop - c.window + 1, size=2)
            variant, altered = int(rng.choice(c.variants)), rng.random() < c.altered
            windows.append(self.prepared.window(index, None if altered else variant, row, column, c.window))
        pixels, bases = (torch.from_numpy(np.stack(part)) for part in zip(*windows))
        return pixels, bases

    def loss(self, net: PhotoNet, pixels: torch.Tensor, bases: torch.Tensor) -> torch.Tensor:
        """Bits per subpixel of a batch."""
        pixels, bases = pixels.to(self.device, non_blocking=True), bases.to(self.device, non_blocking=True)
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bf16):
            parameters = net(pixels, bases)
        nats = likelihood.nll(pixels.float(), bases.float() / 64, parameters)
        return likelihood.bits_per_subpixel(nats)

    def train_step(self, pixels: torch.Tensor, bases: torch.Tensor) -> torch.Tensor:
        loss = self.loss(self.net, pixels, bases)
        self.net.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), self.config.clip)
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = optimiser.defaults["lr"] * schedule(self.config, self.step)
            optimiser.step()
        keep = min(self.config.ema, (self.step + 1) / (self.step + 20))
        with torch.no_grad():
            for name, tensor in self.net.state_dict().items():
                if tensor.is_floating_point():
                    self.ema[name].lerp_(tensor, 1 - keep)
        self.step += 1
        return loss.detach()

    @torch.no_grad()
    def evaluate(self) -> float:
        """Bits per subpixel of the averaged weights on the held-out crops, whole."""
        net = PhotoNet(self.net.config).to(self.device)
        net.load_state_dict(self.ema)
        first = len(self.prepared) - self.config.holdout
        losses = []
        for start in range(first, len(self.prepared), 8):
            part = slice(start, min(start + 8, len(self.prepared)))
            bases = self.prepared.bases[self.config.variants[0]][part]
            oriented = data.orient(self.prepared.pixels[part], self.config.variants[0])
            pixels = torch.from_numpy(np.ascontiguousarray(oriented))
            losses.append(self.loss(net, pixels, torch.from_numpy(np.array(bases))).item() * len(bases))
        return sum(losses) / self.config.holdout

    def run(self, folder: Path) -> None:
        """Trains to the last step or the last minute. However it ends, last.safetensors holds the last whole step."""
        from torch.utils.tensorboard import SummaryWriter
        progress = self.machine.progress
        bar = tqdm(total=self.config.steps, initial=self.step, unit="step",
                   disable=None if progress else True)          # None: only on a terminal
        with SummaryWriter(str(folder / "tensorboard"), purge_step=self.step) as writer, bar:
            try:
                self._steps(folder, writer, bar)
            finally:
                checkpoints.save(folder / "last.safetensors", self.snapshot())

    def _steps(self, folder: Path, writer, bar: tqdm) -> None:
        started = saved = time.monotonic()
        smooth, plateau = None, plateau_step(self.config)
        with ThreadPoolExecutor(1) as ahead:
            future = ahead.submit(self.batch, self.step)
            while self.step < self.config.steps and time.monotonic() - started < 60 * self.machine.minutes:
                pixels, bases = future.result()
                future = ahead.submit(self.batch, self.step + 1)
                with _whole():
                    loss = self.train_step(pixels, bases)
                if self.step % 20 == 0:
                    value = loss.item()
                    smooth = value if smooth is None else 0.9 * smooth + 0.1 * value
                    writer.add_scalar("loss", value, self.step)
                    bar.set_postfix(bpsp=f"{smooth:.4f}", refresh=False)
                if self.step % self.config.evaluate_every == 0 or self.step == self.config.steps:
                    bits = self.evaluate()
                    self.curve.append([self.step, round(bits, 5)])
                    writer.add_scalar("heldout", bits, self.step)
                    if self.machine.progress:
                        bar.write(f"step {self.step}: {bits:.4f} bits per subpixel held out, "
                                  f"{smooth or bits:.4f} training", file=sys.stderr)
                if self.step == plateau:
                    checkpoints.save(folder / "plateau.safetensors", self.snapshot())
                if time.monotonic() - saved > 60 * self.config.save_minutes:
                    checkpoints.save(folder / "last.safetensors", self.snapshot())
                    saved = time.monotonic()
                bar.update()

    def snapshot(self) -> checkpoints.Checkpoint:
        """The run's state as a checkpoint."""
        optimiser = {}
        for name, parameter in self.net.named_parameters():
            for key, value in self._state(parameter).items():
                optimiser[f"{key}/{name}"] = value
        training = asdict(self.config) | {"data": self.prepared.digest, "crops": len(self.prepared)}
        return checkpoints.Checkpoint(self.net.config, self.net.state_dict(), self.ema, optimiser, training, self.step,
                                      self.curve)

    def restore(self, state: checkpoints.Checkpoint) -> None:
        """Goes on from a checkpoint. Raises CheckpointError if it is of another network or data set."""
        if state.network != self.net.config:
            raise checkpoints.CheckpointError(f"the checkpoint's network is {state.network}, not {self.net.config}")
        trained_on = str(state.training.get("data"))
        if trained_on != self.prepared.digest:
            raise checkpoints.CheckpointError(
                f"the checkpoint was trained on data {trained_on[:12]}, not {self.prepared.digest[:12]}")
        self.net.load_state_dict(state.model)
        self.ema = {name: tensor.to(self.device, copy=True) for name, tensor in state.ema.items()}
        parameters = dict(self.net.named_parameters())
        for entry, value in state.optimiser.items():
            key, _, name = entry.partition("/")
            value = value.clone() if key == "step" else value.to(self.device, copy=True)
            self._state(parameters[name])[key] = value
        self.step, self.curve = state.step, list(state.curve)

    def _state(self, parameter: torch.nn.Parameter) -> dict[str, torch.Tensor]:
        """The state of the optimiser that a parameter belongs to."""
        muon, adam = self.optimisers
        hidden = any(parameter is weight for weight in muon.param_groups[0]["params"])
        return (muon if hidden else adam).state[parameter]


@contextmanager
def _whole():
    """Holds an interrupt back until the block is done: half a step cannot be saved. A second one is not held back."""
    usual, pending = signal.getsignal(signal.SIGINT), []
    if usual is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield                           # interrupts are ignored or handled by others
        return

    def hold(number, frame):
        pending.append(number)
        signal.signal(signal.SIGINT, usual)

    signal.signal(signal.SIGINT, hold)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
    if pending:
        raise KeyboardInterrupt
