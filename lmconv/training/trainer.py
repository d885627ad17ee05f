"""One training's state and its step: network, optimisers, averaged weights; exact to stop and to go on with.

A step is a function of the state before it, the data and (seed, step): a resumed run is an unbroken one, bit for bit
on a CPU, and several processes make the same steps as one with the same global batch, to rounding.
"""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from lmconv.checkpoints.checkpoint import Checkpoint, CheckpointError
from lmconv.config import Machine
from lmconv.errors import LmconvError
from lmconv.networks import kinds
from lmconv.processes import Processes
from lmconv.training import optimisation
from lmconv.training.tasks import Task

COMPILATIONS = 64  # an order and a size compile on their own; PyTorch gives up after 8
IN_A_ROW = 3  # steps without a finite gradient that end a run


class TrainingError(LmconvError):
    """A training that cannot begin as it is set up, or cannot go on."""


class Trainer:
    """Network, optimisers and averages of one run, and the step."""

    def __init__(self, task: Task, machine: Machine = Machine(), processes: Processes = Processes()) -> None:
        config = task.config
        self.parts = config.accumulate * processes.world
        if config.batch % self.parts:
            raise TrainingError(
                f"a batch of {config.batch} cannot be cut into {self.parts} equal parts, for "
                f"{processes.world} processes that accumulate {config.accumulate} each"
            )
        self.task, self.config, self.machine, self.processes = task, config, machine, processes
        self.device, self.bf16 = machine.resolved_device(), machine.bf16()
        if self.device.type == "cuda":
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = machine.precision != "fp32"
        torch.manual_seed(config.seed)
        self.net = task.build()
        self.ema = self._weights()
        self.optimisers = optimisation.optimisers(self.net, config)
        self.model = self._wrapped()
        self.step = 0
        self.curve: list[list[float]] = []
        self.norm = torch.zeros((), device=self.device)  # of the last step's gradient, before it was clipped
        self.skipped = torch.zeros((), dtype=torch.int64, device=self.device)  # steps without a finite gradient
        self._in_a_row, self._worst = self.skipped.clone(), self.skipped.clone()
        self.by_order: dict[str, float] = {}  # the last evaluation
        self.whole = True  # false while a step changes the weights

    def batches(self, step: int) -> list[Any]:
        """This process's parts of a step's batch."""
        first = self.processes.rank * self.config.accumulate
        return [self.task.batch(step, part, self.parts) for part in range(first, first + self.config.accumulate)]

    def train_step(self, batches: list[Any]) -> Tensor:
        """One step on this process's parts; their mean loss.

        A step whose gradient is not finite is one without gradient, and counted: the device is not waited for to find
        that out. `check` says when there were too many.
        """
        self.net.zero_grad(set_to_none=True)
        losses = []
        for index, batch in enumerate(batches):
            self._seed(index)
            last = index == len(batches) - 1
            model = self.model
            with model.no_sync() if isinstance(model, DistributedDataParallel) and not last else nullcontext():
                loss = self.task.loss(self._autocast(self.model), batch)
                (loss / len(batches)).backward()
            losses.append(loss.detach())
        loss = torch.stack(losses).mean()
        self.norm = nn.utils.clip_grad_norm_(self.net.parameters(), self.config.clip)
        self.whole = False
        self._skip_unless(torch.isfinite(self.norm))
        optimisation.set_rates(self.optimisers, optimisation.schedule(self.config, self.step))
        for optimiser in self.optimisers:
            optimiser.step()
        self._average()
        self.step += 1
        self.whole = True
        return loss

    def check(self) -> None:
        """Waits for the device. Raises TrainingError if several steps in a row had no finite gradient."""
        if self._worst >= IN_A_ROW:
            raise TrainingError(
                f"{IN_A_ROW} steps in a row, the last of them before step {self.step}, had no finite gradient: "
                f"go on from the last checkpoint with a lower rate or a smaller clip"
            )

    def _skip_unless(self, finite: Tensor) -> None:
        """Makes the gradient zero unless it is finite."""
        for parameter in self.net.parameters():
            if parameter.grad is not None:
                parameter.grad.nan_to_num_(0.0, 0.0, 0.0).mul_(finite)
        self.skipped += ~finite
        self._in_a_row = torch.where(finite, 0, self._in_a_row + 1)
        self._worst = torch.maximum(self._worst, self._in_a_row)

    @torch.no_grad()
    def evaluate(self) -> float:
        """The loss of the averaged weights on what is held out, in the task's unit; `by_order` is that of each order
        that has a share of it."""
        net = self._autocast(self.averaged())
        found = self.task.evaluate(net, self.processes.rank, self.processes.world)
        rows = self.processes.sum(torch.tensor(found, dtype=torch.float64)).tolist()
        self.by_order = {order: total / count for order, (total, count) in zip(self.task.orders, rows) if count}
        return sum(total for total, _ in rows) / sum(count for _, count in rows)

    def averaged(self) -> nn.Module:
        """The network with the averaged weights, in evaluation mode."""
        net = kinds.build(self.task.network).to(self.device)
        net.load_state_dict(self.ema)
        return net.eval()

    def snapshot(self) -> Checkpoint:
        """The run's state as a checkpoint."""
        optimiser = {f"{key}/{name}": value for name, state in self._states().items() for key, value in state.items()}
        training = asdict(self.config) | {"data": self.task.digest, "skipped": int(self.skipped)} | self.task.about()
        return Checkpoint(
            self.task.network, self.net.state_dict(), self.ema, optimiser, training, self.step, list(self.curve)
        )

    def restore(self, state: Checkpoint) -> None:
        """Goes on from a checkpoint. Raises CheckpointError if it is of another network or data set."""
        if state.network != self.task.network:
            raise CheckpointError(f"the checkpoint's network is {state.network}, not {self.task.network}")
        trained_on = str(state.training.get("data"))
        if trained_on != self.task.digest:
            raise CheckpointError(f"the checkpoint was trained on data {trained_on[:12]}, not {self.task.digest[:12]}")
        optimiser = state.training.get("optimiser")
        if optimiser != self.config.optimiser:
            raise CheckpointError(f"the checkpoint's optimiser is {optimiser}, not {self.config.optimiser}")
        self.net.load_state_dict(state.model)
        self.ema = {name: tensor.to(self.device, copy=True) for name, tensor in state.ema.items()}
        states = self._states()
        for entry, value in state.optimiser.items():
            key, _, name = entry.partition("/")
            if name not in states:
                raise CheckpointError(f"the checkpoint has a state of {name}, which the network has not")
            states[name][key] = value.clone() if key == "step" else value.to(self.device, copy=True)
        self.step, self.curve = state.step, list(state.curve)
        self.skipped.fill_(state.training.get("skipped", 0))

    def begin_from(self, state: Checkpoint) -> None:
        """Takes the averaged weights of a checkpoint, of a network with the same tensors; steps, optimiser and curve
        begin anew. Raises CheckpointError."""
        found, wanted = ({n: t.shape for n, t in tensors.items()} for tensors in (state.ema, self.net.state_dict()))
        wrong = sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))
        if wrong:
            raise CheckpointError(
                f"the checkpoint is of {state.network}, whose tensors are not those of {self.task.network}: "
                f"{', '.join(wrong[:3])}"
            )
        self.net.load_state_dict(state.ema)
        self.ema = self._weights()

    def _weights(self) -> dict[str, Tensor]:
        """A copy of the network's state."""
        return {name: tensor.clone() for name, tensor in self.net.state_dict().items()}

    def _average(self) -> None:
        keep = min(self.config.ema, (self.step + 1) / (self.step + 20))
        with torch.no_grad():
            for name, tensor in self.net.state_dict().items():
                if tensor.is_floating_point():
                    self.ema[name].lerp_(tensor, 1 - keep)

    def _states(self) -> dict[str, dict[str, Tensor]]:
        """Each parameter's state in the optimiser that it belongs to."""
        owners = {
            id(parameter): optimiser
            for optimiser in self.optimisers
            for group in optimiser.param_groups
            for parameter in group["params"]
        }
        return {name: owners[id(parameter)].state[parameter] for name, parameter in self.net.named_parameters()}

    def _seed(self, index: int) -> None:
        """What a network draws while it learns (dropout) comes from the step and the part too."""
        part = self.processes.rank * self.config.accumulate + index
        torch.manual_seed(int(np.random.SeedSequence([self.config.seed, self.step, part]).generate_state(1)[0]))

    def _autocast(self, net: nn.Module) -> Callable[..., Tensor]:
        """The network in bf16 if the machine computes so. The likelihood stays outside, in float32."""

        def forward(*inputs: Any) -> Tensor:
            with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bf16):
                return net(*inputs)

        return forward

    def _wrapped(self) -> nn.Module:
        """What the step calls: the network itself, compiled, or one whose gradients are averaged over processes."""
        model = self.net
        if self.machine.compile:
            torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, COMPILATIONS)
            model = cast(nn.Module, torch.compile(model))
        if self.processes.world > 1:
            model = DistributedDataParallel(model)
        return model
