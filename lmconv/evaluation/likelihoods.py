"""How likely pictures are under a network: in single orders, averaged over orders, coded, given the rest of an image.

The paper's ensemble averages JOINT likelihoods: log of the mean over orders of p(image). A coder that takes each
image's best order and says which, in log2(n) bits, is never below the ensemble, and above it by log2(n) bits at most.
Every image counts, the last incomplete batch too. Likelihoods are negative logarithms, nats in float64.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from lmconv import orders
from lmconv.config import ImageConfig
from lmconv.data.datasets import ImageSet
from lmconv.networks import kinds
from lmconv.orders import regions
from lmconv.processes import Processes

Done = Callable[[int], object]  # told how many images are done since the last call


@dataclass(frozen=True)
class Evaluation:
    """Means over images, nats an image (or its region of `values` values): of each order, ensemble and coded."""

    orders: tuple[str, ...]
    images: int
    values: int
    nats: tuple[float, ...]
    ensemble: float
    coded: float

    def bits_per_dim(self, nats: float) -> float:
        """Nats an image in bits a value."""
        return nats / (self.values * math.log(2))

    def about(self) -> dict:
        """For JSON: every mean in nats and in bits/dim."""

        def both(nats: float) -> dict:
            return {"nats": nats, "bits_per_dim": self.bits_per_dim(nats)}

        return {
            "images": self.images,
            "values": self.values,
            "orders": [{"order": order, **both(nats)} for order, nats in zip(self.orders, self.nats)],
            "ensemble": both(self.ensemble),
            "coded": both(self.coded),
        }


def ensemble(nats: np.ndarray) -> np.ndarray:
    """[orders, N] -> [N]: -log of the mean over orders of the likelihoods exp(-nats)."""
    best = nats.min(0)
    return best - np.log(np.exp(best - nats).mean(0))


def coded(nats: np.ndarray) -> np.ndarray:
    """[orders, N] -> [N]: the best order of each image and the index that says which."""
    return nats.min(0) + math.log(len(nats))


def summary(specs: Sequence[str], nats: np.ndarray, values: int) -> Evaluation:
    """The means of nats [orders, N]."""
    return Evaluation(
        tuple(specs),
        nats.shape[1],
        values,
        tuple(map(float, nats.mean(1))),
        float(ensemble(nats).mean()),
        float(coded(nats).mean()),
    )


@torch.no_grad()
def image_nats(
    net: kinds.Forward,
    network: ImageConfig,
    levels: np.ndarray,
    view: Any,
    device: torch.device,
    region: np.ndarray | None = None,
    batch: int = 64,
    done: Done | None = None,
    given: np.ndarray | None = None,
    nats: Callable[..., torch.Tensor] = kinds.nll,
) -> np.ndarray:
    """-log p of each image of levels [N, C, H, W], or of its region [H, W] bool under the order: [N] float64. given:
    planes with the images, uint8 [N, P, H, W]. nats: of pixels, kinds.nll or kinds.objective; what these draw is the
    same each time."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(0)
        return _image_nats(net, network, levels, view, device, region, batch, done, given, nats)


def _image_nats(
    net: kinds.Forward,
    network: ImageConfig,
    levels: np.ndarray,
    view: Any,
    device: torch.device,
    region: np.ndarray | None,
    batch: int,
    done: Done | None,
    given: np.ndarray | None,
    nats: Callable[..., torch.Tensor],
) -> np.ndarray:
    where = torch.ones(levels.shape[2:], device=device) if region is None else torch.from_numpy(region).to(device)
    found = np.zeros(len(levels))
    for start in range(0, len(levels), batch):
        part = torch.from_numpy(levels[start : start + batch]).to(device)
        beside = None if given is None else torch.from_numpy(np.ascontiguousarray(given[start : start + batch]))
        each = nats(net, network, part, view, beside).double() * where
        found[start : start + batch] = each.sum((1, 2)).cpu().numpy()
        if done:
            done(len(part))
    return found


def joint(
    net: nn.Module,
    network: ImageConfig,
    levels: np.ndarray,
    specs: Sequence[str],
    device: torch.device,
    region: np.ndarray | None = None,
    batch: int = 64,
    processes: Processes = Processes(),
    done: Done | None = None,
    given: np.ndarray | None = None,
) -> np.ndarray:
    """`image_nats` under each of the orders, [orders, N]; several processes share the images. Raises OrderError.

    `net` is in evaluation mode, on the device.
    """
    if network.raster_only and any(orders.parse_variant(spec) != ("raster", 0) for spec in specs):
        raise orders.OrderError(f"the network knows the order raster alone, not {', '.join(specs)}")
    found = np.zeros((len(specs), len(levels)))
    mine = slice(processes.rank, None, processes.world)
    for index, spec in enumerate(specs):
        rank = orders.make(spec, *levels.shape[2:])
        view = kinds.view(network, rank).to(device)
        beside = None if given is None else given[mine]
        found[index, mine] = image_nats(net, network, levels[mine], view, device, region, batch, done, beside)
    return processes.sum(torch.from_numpy(found)).cpu().numpy()


def groups(specs: Sequence[str], region: str | None = None, height: int = 0, width: int = 0) -> dict[str, list[str]]:
    """Which orders to evaluate together: all, as `likelihood`; for a region (regions.make) those that read it off.

    `max_context` are those that visit it last, and know the rest of the image; where none does, all with the region
    moved to their end. `adversarial` are those that visit it first, and know nothing else. Raises OrderError and
    RegionError.
    """
    if region is None:
        return {"likelihood": list(specs)}
    where = regions.make(region, height, width)
    last = regions.ending_in(specs, region, height, width)
    first = [spec for spec in specs if regions.visited_first(orders.make(spec, height, width), where)]
    return {"max_context": last, "adversarial": first} if first else {"max_context": last}


def measure(
    net: nn.Module,
    network: ImageConfig,
    images: ImageSet,
    of: dict[str, list[str]],
    device: torch.device,
    region: np.ndarray | None = None,
    batch: int = 64,
    processes: Processes = Processes(),
    done: Done | None = None,
) -> dict[str, Evaluation]:
    """Evaluates every image of a set, or its region, under each of the groups of orders."""
    values = images.levels[0].size if region is None else int(region.sum()) * network.channels
    found, given = {}, images.given(slice(None))
    for name, specs in of.items():
        nats = joint(net, network, images.levels, specs, device, region, batch, processes, done, given)
        found[name] = summary(specs, nats, values)
    return found
