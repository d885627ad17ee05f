"""Checkpoints: one safetensors file with weights, averaged weights and optimiser state, and a JSON header of the rest.

Tensors are named model/..., ema/..., optimiser/...; the header holds the network's kind and configuration, the
training's configuration, the step and the curve. Nothing is ever unpickled. Files are written whole or not at all.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from lmconv.errors import LmconvError
from lmconv.networks import kinds
from runtime.files import beside

FORMAT = "lmconv checkpoint 1"


class CheckpointError(LmconvError):
    """A file that is not a checkpoint of ours, or does not fit the network it names."""


@dataclass
class Checkpoint:
    """Everything a run needs to go on, or an export to start from. curve: [step, loss held out], in the task's unit."""

    network: kinds.Network
    model: dict[str, torch.Tensor]
    ema: dict[str, torch.Tensor]
    optimiser: dict[str, torch.Tensor]
    training: dict
    step: int = 0
    curve: list = field(default_factory=list)

    def net(self) -> nn.Module:
        """The network with its averaged weights, in evaluation mode."""
        net = kinds.build(self.network)
        net.load_state_dict(self.ema)
        return net.eval()

    def slim(self) -> "Checkpoint":
        """The averaged weights alone, in half precision: an eighth of the file, for passing on."""
        half = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in self.ema.items()}
        return replace(self, model={}, ema=half, optimiser={})

    def copied(self) -> "Checkpoint":
        """The same, whose tensors nobody else changes, on the CPU."""

        def copies(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            return {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}

        return replace(
            self,
            model=copies(self.model),
            ema=copies(self.ema),
            optimiser=copies(self.optimiser),
            curve=list(self.curve),
        )


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Writes the file, whole or not at all."""
    path = Path(path)
    tensors, places = {}, set()
    for group in ("model", "ema", "optimiser"):
        for name, tensor in getattr(checkpoint, group).items():
            tensor = tensor.detach().cpu().contiguous()
            if tensor.data_ptr() in places:  # weights may be their own average, the file holds both
                tensor = tensor.clone()
            places.add(tensor.data_ptr())
            tensors[f"{group}/{name}"] = tensor
    header = {
        "format": FORMAT,
        "kind": kinds.kind(checkpoint.network),
        "network": asdict(checkpoint.network),
        "training": checkpoint.training,
        "step": checkpoint.step,
        "curve": checkpoint.curve,
    }
    with beside(path) as part:
        part.touch()
        mode = part.stat().st_mode  # as any new file has it here; safetensors would shut everybody else out
        save_file(tensors, part, metadata={"lmconv": json.dumps(header)})
        part.chmod(mode)


def load(path: Path) -> Checkpoint:
    """Raises CheckpointError for anything but a checkpoint of ours, FileNotFoundError where there is none."""
    if not Path(path).exists():
        raise FileNotFoundError(f"no checkpoint {path}")
    groups: dict[str, dict[str, torch.Tensor]] = {"model": {}, "ema": {}, "optimiser": {}}
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("lmconv", "{}"))
            if header.get("format") != FORMAT:
                raise CheckpointError(f"{path} is not an LMConv checkpoint: format {header.get('format')!r}")
            for name in file.keys():
                group, _, rest = name.partition("/")
                tensor = file.get_tensor(name)
                groups[group][rest] = tensor.float() if tensor.dtype == torch.float16 else tensor
        settings = {
            name: tuple(value) if isinstance(value, list) else value for name, value in header["network"].items()
        }
        network = kinds.KINDS[header["kind"]](**settings)
        checkpoint = Checkpoint(
            network,
            groups["model"] or groups["ema"],  # a slim one's
            groups["ema"],
            groups["optimiser"],
            dict(header["training"]),
            int(header["step"]),
            list(header["curve"]),
        )
    except (SafetensorError, OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path} is not an LMConv checkpoint: {error}") from error
    if kinds.depth(network) > len(checkpoint.model):  # before time is spent on building it
        raise CheckpointError(f"{path} does not fit its own configuration: it is too small for {network}")
    expected = kinds.shapes(network)
    for tensors in (checkpoint.ema, checkpoint.model):
        found = {name: tensor.shape for name, tensor in tensors.items()}
        if found != expected:
            wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
            raise CheckpointError(f"{path} does not fit its own configuration: {', '.join(wrong[:3])}")
    return checkpoint


def average(paths: Iterable[Path]) -> Checkpoint:
    """The mean of several checkpoints of one network, weights and averaged weights each with their like.

    All but the weights is that of the last one; its optimiser state is left, and its curve where there are several, as
    they are of other weights. Raises CheckpointError where networks differ, and what `load` raises.
    """
    paths = list(paths)
    states = (load(path) for path in paths)  # one in memory at a time
    first = next(states)
    sums = {
        group: {
            name: tensor.double() if tensor.is_floating_point() else tensor.clone()
            for name, tensor in getattr(first, group).items()
        }
        for group in ("model", "ema")
    }
    last, steps = first, [first.step]
    for path, last in zip(paths[1:], states):
        if last.network != first.network:
            raise CheckpointError(f"{path} is of another network than {paths[0]}: {last.network}, not {first.network}")
        for group, tensors in sums.items():
            for name, total in tensors.items():
                if total.is_floating_point():
                    total += getattr(last, group)[name]
        steps.append(last.step)
    means = {
        group: {
            name: (total / len(paths)).to(getattr(first, group)[name].dtype) if total.is_floating_point() else total
            for name, total in tensors.items()
        }
        for group, tensors in sums.items()
    }
    curve = first.curve if len(paths) == 1 else []
    return Checkpoint(
        first.network, means["model"], means["ema"], {}, last.training | {"averaged": steps}, last.step, curve
    )
