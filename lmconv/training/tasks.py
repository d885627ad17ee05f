"""What a trainer trains: the network, its batches, its loss and its evaluation.

All that is random in a batch comes from (seed, step) and is drawn for the whole of it; part `p` of `parts` gets its
share of the rows. So several processes, or one that accumulates, see together what one process would see alone.
"""

import math
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from lmconv import orders
from lmconv.config import (
    ANY,
    ImageConfig,
    ImageTraining,
    PhotoConfig,
    PhotoTraining,
    PixelCnnConfig,
    TrainConfig,
    fixed,
)
from lmconv.data.crops import Prepared
from lmconv.data.datasets import ImageSet, resize
from lmconv.data.pictures import DataError
from lmconv.errors import LmconvError
from lmconv.evaluation import likelihoods
from lmconv.layers import oriented
from lmconv.networks import kinds, likelihood
from lmconv.networks.anatomy import masked_layers
from lmconv.networks.photo import PhotoNet
from lmconv.orders import masks
from runtime.least_squares import UNIT
from runtime.schedule import Kernel
from runtime.variants import orient


class Task(Protocol):
    """What a Trainer asks for. Losses are means over what is given, in `unit`."""

    @property
    def config(self) -> TrainConfig:
        """How it is trained."""

    @property
    def network(self) -> kinds.Network:
        """What is trained."""

    @property
    def unit(self) -> str:
        """Of the losses."""

    @property
    def digest(self) -> str:
        """Of the data."""

    @property
    def orders(self) -> tuple[str, ...]:
        """Those that it is evaluated in, named as in orders.make."""

    def build(self) -> nn.Module:
        """A new network on the device."""

    def batch(self, step: int, part: int = 0, parts: int = 1) -> Any:
        """A part's rows of a step's batch, on the CPU."""

    def loss(self, net: kinds.Forward, batch: Any) -> Tensor:
        """The mean loss of a part's rows."""

    def evaluate(self, net: kinds.Forward, part: int = 0, parts: int = 1) -> list[tuple[float, int]]:
        """Of each order, the sum of the losses of its held-out pictures among a part's, and how many these are."""

    def about(self) -> dict:
        """The data in words, for a checkpoint."""


def rows_of(part: int, parts: int, count: int) -> slice:
    """A part's rows of `count`; parts differ by one row at most."""
    return slice(part * count // parts, (part + 1) * count // parts)


class PhotoTask:
    """The photo network on windows of prepared crops; the loss is in bits per subpixel."""

    unit = "bits per subpixel"

    def __init__(self, prepared: Prepared, config: PhotoTraining, network: PhotoConfig, device: torch.device) -> None:
        if len(prepared) <= config.holdout:
            raise DataError(f"{len(prepared)} crops are too few to hold {config.holdout} out")
        if config.crop != prepared.pixels.shape[-1]:
            raise DataError(
                f"the training is for crops of {config.crop} pixels, "
                f"the prepared crops have {prepared.pixels.shape[-1]}"
            )
        if config.altered and prepared.altered is None:
            raise DataError("altered crops are asked for, and none are prepared")
        self.prepared, self.config, self.network, self.device = prepared, config, network, device
        self.digest, self.orders = prepared.digest, (f"wavefront:{config.variants[0]}",)

    def build(self) -> PhotoNet:
        net = PhotoNet(self.network).to(self.device)
        if self.device.type == "cpu":
            net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # PyTorch's types leave it out
        return net

    def batch(self, step: int, part: int = 0, parts: int = 1) -> tuple[Tensor, Tensor]:
        """Pixels uint8 and bases int16 [B / parts, 3, window, window]."""
        c, rng = self.config, np.random.default_rng([self.config.seed, step])
        drawn: list[tuple[int, int | None, int, int, int]] = []
        for _ in range(c.batch):
            index = int(rng.integers(len(self.prepared) - c.holdout))
            row, column = map(int, rng.integers(c.crop - c.window + 1, size=2))
            variant, altered = int(rng.choice(c.variants)), rng.random() < c.altered
            drawn.append((index, None if altered else variant, row, column, c.window))
        windows = [self.prepared.window(*where) for where in drawn[rows_of(part, parts, c.batch)]]
        pixels, bases = (torch.from_numpy(np.stack(planes)) for planes in zip(*windows))
        return pixels, bases

    def loss(self, net: kinds.Forward, batch: tuple[Tensor, Tensor]) -> Tensor:
        pixels, bases = (planes.to(self.device, non_blocking=True) for planes in batch)
        nats = likelihood.nll(pixels.float(), bases.float() / UNIT, net(pixels, bases))
        return likelihood.bits_per_subpixel(nats)

    def evaluate(self, net: kinds.Forward, part: int = 0, parts: int = 1) -> list[tuple[float, int]]:
        """On whole crops in the first variant."""
        variant, total, count = self.config.variants[0], 0.0, 0
        for start in range(len(self.prepared) - self.config.holdout, len(self.prepared), 8)[part::parts]:
            chosen = slice(start, min(start + 8, len(self.prepared)))
            pixels = np.ascontiguousarray(orient(self.prepared.pixels[chosen], variant))
            bases = np.array(self.prepared.bases[variant][chosen])
            loss = self.loss(net, (torch.from_numpy(pixels), torch.from_numpy(bases)))
            total, count = total + loss.item() * len(bases), count + len(bases)
        return [(total, count)]

    def about(self) -> dict:
        return {"crops": len(self.prepared)}


def _check(order: str, height: int, width: int, network: ImageConfig, layers: list[list[Kernel]] | None) -> None:
    """Raises OrderError, and LmconvError for an order that a network cannot have, or in which one of those masked
    layers could learn nothing at some levels. layers: None of a network without an order's masks."""
    rank = orders.make(order, height, width)
    if layers is None:
        kinds.view(network, rank)
    elif blind := masks.blind(rank, layers):
        raise LmconvError(
            f"order {order} on {height}x{width}: its levels {', '.join(map(str, blind))} have no pixel before them "
            "within the network's reach, so nothing could be learned there: take a smaller step, a larger kernel "
            "or far dilations"
        )


class ImageTask:
    """The paper's network on a data set; the loss is in bits/dim, of binary images in nats an image.

    A batch is of one order and one size, as a network computes it in one pass. `turned`: its images are turned and
    flipped so that all variants of an order are the order itself, of kernels that are turned and flipped likewise: what
    differs between batches is numbers alone, a compiled network is compiled once for all variants, and no variant goes
    through memory across its rows.
    """

    def __init__(
        self,
        images: ImageSet,
        config: ImageTraining,
        network: ImageConfig,
        device: torch.device,
        turned: bool = True,
    ) -> None:
        if len(images) <= config.holdout:
            raise DataError(f"{len(images)} images are too few to hold {config.holdout} out")
        if images.pixels.shape[2:] != (config.height, config.width):
            raise DataError(
                f"the images have {images.pixels.shape[2]}x{images.pixels.shape[3]} pixels, "
                f"the training is for {config.height}x{config.width}"
            )
        if network.raster_only and config.orders != ("raster:0",):
            raise LmconvError(
                f"the network has the order raster, variants 0, not {config.order}, "
                f"variants {','.join(map(str, config.variants))}"
            )
        if network.categorical and config.sizes:
            raise LmconvError("images of numbers cannot be resized: leave the sizes")
        if network.planes and config.sizes:
            raise LmconvError("planes that are given cannot be resized: leave the sizes")
        self.images, self.config, self.network, self.device = images, config, network, device
        self.digest = images.digest
        self.unit = "nats" if network.binary else "bits/dim"
        self.orders = tuple(map(fixed, config.orders))
        masked = network if isinstance(network, PixelCnnConfig) and not network.raster_only else None
        layers = masked_layers(masked) if masked else None
        self._turned = turned and layers is not None and not network.given
        self._bases = {orders.parse_variant(order)[0] for order in self.orders}
        self._views: dict[tuple[str, tuple[int, ...]], Any] = {}
        self._epochs: dict[int, np.ndarray] = {}
        for order in self.orders:
            for height in {config.height, *config.sizes}:
                _check(order, *self._size(height), network, layers)

    def build(self) -> nn.Module:
        return kinds.build(self.network).to(self.device)

    def batch(self, step: int, part: int = 0, parts: int = 1) -> tuple[Tensor, str, Tensor | None]:
        """Levels uint8 [B / parts, C, H, W], the order's name, and what is given with the images."""
        c, rng = self.config, np.random.default_rng([self.config.seed, step])
        order = c.orders[int(rng.choice(len(c.orders)))]
        height = int(rng.choice(c.sizes)) if c.sizes else c.height
        rows, mine = self._rows(step), rows_of(part, parts, c.batch)
        levels = self.images.grid.levels(resize(self.images.pixels[rows], *self._size(height)), rng)
        given = self.images.given(rows[mine], levels.shape[2:])
        if order.startswith(f"{ANY}:"):
            order = order.replace(ANY, f"{ANY}={rng.integers(2**31)}")
        return (
            torch.from_numpy(np.ascontiguousarray(levels[mine])),
            order,
            None if given is None else torch.from_numpy(np.ascontiguousarray(given)),
        )

    def loss(self, net: kinds.Forward, batch: tuple[Tensor, str, Tensor | None]) -> Tensor:
        levels, order, given = batch
        order, variant = self._turn(order)
        levels = oriented(levels.to(self.device, non_blocking=True), variant)
        view = self._view(order, levels.shape[2:])
        if self._turned:
            view = view.turned(variant)  # by 0 too: one graph for all
        nats = kinds.objective(net, self.network, levels, view, given)
        return nats.sum() / (len(levels) * self._unit(levels.shape[1:]))

    def evaluate(self, net: kinds.Forward, part: int = 0, parts: int = 1) -> list[tuple[float, int]]:
        """At the images' own size, with fixed draws of whatever is drawn. The orders take the images in turn: each has
        a share of them, so that all of them are looked at in the time of one."""
        c = self.config
        held = self.images.grid.levels(self.images.pixels[len(self.images) - c.holdout :])
        mine, found = np.arange(len(held))[rows_of(part, parts, len(held))], []
        for index, order in enumerate(self.orders):
            rows = mine[mine % len(self.orders) == index]
            view = self._view(order, (c.height, c.width))
            given = self.images.given(len(self.images) - c.holdout + rows)
            how = kinds.objective if kinds.sort(self.network).estimated else kinds.nll
            nats = likelihoods.image_nats(
                net, self.network, held[rows], view, self.device, batch=c.batch, given=given, nats=how
            )
            found.append((float(nats.sum() / self._unit(held.shape[1:])), len(rows)))
        return found

    def about(self) -> dict:
        return {"source": self.images.name, "split": self.images.split, "images": len(self.images), "unit": self.unit}

    def _rows(self, step: int) -> np.ndarray:
        """Which images make a step's batch: all of them come once in an epoch, in a new order in each."""
        count = len(self.images) - self.config.holdout
        places = range(step * self.config.batch, (step + 1) * self.config.batch)
        epochs = range(places[0] // count, places[-1] // count + 1)
        self._epochs = {
            epoch: self._epochs[epoch] if epoch in self._epochs else self._permutation(epoch, count) for epoch in epochs
        }
        return np.array([self._epochs[place // count][place % count] for place in places])

    def _permutation(self, epoch: int, count: int) -> np.ndarray:
        return np.random.default_rng([self.config.seed, epoch, count]).permutation(count)

    def _size(self, height: int) -> tuple[int, int]:
        return height, max(1, round(self.config.width * height / self.config.height))

    def _turn(self, order: str) -> tuple[str, int]:
        """The order in which images of an order are computed, and the variant in which they are turned for it."""
        base, variant = orders.parse_variant(order)
        return (f"{base}:0", variant) if self._turned and orders.parse_region(base)[1] is None else (order, 0)

    def _view(self, order: str, size: tuple[int, ...]) -> Any:
        """What the network is told of an order at a size."""
        if (order, size) in self._views:
            return self._views[order, size]
        kept = orders.parse_variant(order)[0] in self._bases  # else it is for one batch
        found = kinds.view(self.network, orders.make(order, *size), once=not kept).to(self.device)
        if kept:
            self._views[order, size] = found
        return found

    def _unit(self, shape: tuple[int, ...]) -> float:
        """Nats of an image of that shape that make one of the unit."""
        return 1.0 if self.network.binary else math.log(2) * math.prod(shape)
