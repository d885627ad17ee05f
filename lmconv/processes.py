"""The processes of one training or evaluation: alone, or started by torchrun (gloo on CPUs, nccl on CUDA).

torchrun --nproc-per-node 2 -m lmconv train cifar10 --data cifar10 -o RUN
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist

from lmconv.config import Machine

TIMEOUT = timedelta(hours=3)  # while the first process prepares data, the others wait


@dataclass(frozen=True)
class Processes:
    """This process's place among `world`, and what they tell each other; alone by default."""

    rank: int = 0
    world: int = 1
    device: torch.device = torch.device("cpu")

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """The sum of every process's values, the same shape, everywhere."""
        if self.world > 1:
            values = values.to(self.device, copy=True)
            dist.all_reduce(values)
        return values

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process."""
        return flag if self.world == 1 else self.sum(torch.tensor(float(flag))).item() > 0

    @contextmanager
    def first(self) -> Iterator[None]:
        """The block runs in the first process, then in the others: they find what it downloaded or cached."""
        if self.rank > 0:
            dist.barrier()
        yield
        if self.rank == 0 and self.world > 1:
            dist.barrier()


@contextmanager
def started(machine: Machine) -> Iterator[Processes]:
    """Joins the processes that torchrun started; without torchrun the only one."""
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        yield Processes()
        return
    device = machine.resolved_device()
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=TIMEOUT)
    try:
        yield Processes(dist.get_rank(), dist.get_world_size(), device)
    finally:
        dist.destroy_process_group()
