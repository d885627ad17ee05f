"""Checkpoints: one safetensors file with weights, averaged weights and optimiser state, and a JSON header of the rest.

Tensors are named model/..., ema/..., optimiser/...; the header holds the network's configuration, the training's
configuration, the step and the curve. Nothing is ever unpickled. Files are written whole or not at all.
"""
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from lmconv.config import PhotoConfig
from lmconv.errors import LmconvError
from lmconv.photo import PhotoNet

FORMAT = "lmconv checkpoint 1"


class CheckpointError(LmconvError):
    """A file that is not a checkpoint of ours, or does not fit the network it names."""


@dataclass
class Checkpoint:
    """Everything a run needs to go on, or an export to start from."""
    network: PhotoConfig
    model: dict[str, torch.Tensor]
    ema: dict[str, torch.Tensor]
    optimiser: dict[str, torch.Tensor]
    training: dict
    step: int = 0
    curve: list = field(default_factory=list)

    def net(self) -> PhotoNet:
        """The network with its averaged weights, in evaluation mode."""
        net = PhotoNet(self.network)
        net.load_state_dict(self.ema)
        return net.eval()


def save(path: Path, checkpoint: Checkpoint) -> None:
    path = Path(path)
    groups = {"model": checkpoint.model, "ema": checkpoint.ema, "optimiser": checkpoint.optimiser}
    tensors = {f"{group}/{name}": tensor.detach().cpu().contiguous()
               for group, of in groups.items() for name, tensor in of.items()}
    header = {"format": FORMAT, "network": asdict(checkpoint.network), "training": checkpoint.training,
              "step": checkpoint.step, "curve": checkpoint.curve}
    partial = path.with_name(path.name + ".partial")
    try:
        save_file(tensors, partial, metadata={"lmconv": json.dumps(header)})
        with open(partial, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


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
                groups[group][rest] = file.get_tensor(name)
        checkpoint = Checkpoint(PhotoConfig(**header["network"]), groups["model"], groups["ema"], groups["optimiser"],
                                dict(header["training"]), int(header["step"]), list(header["curve"]))
    except (SafetensorError, OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path} is not an LMConv checkpoint: {error}") from error
    network = checkpoint.network
    if 4 * (network.blocks + 1) * network.channels**2 > Path(path).stat().st_size:
        raise CheckpointError(f"{path} does not fit its own configuration: it is too small for {network}")
    expected = {name: tensor.shape for name, tensor in PhotoNet(network).state_dict().items()}
    for tensors in (checkpoint.ema, checkpoint.model):
        found = {name: tensor.shape for name, tensor in tensors.items()}
        if found != expected:
            wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
            raise CheckpointError(f"{path} does not fit its own configuration: {', '.join(wrong[:3])}")
    return checkpoint
