"""Draws images from the paper's network: whole ones, or the hidden part of given ones.

`Sampler` goes level by level (runtime.schedule): one small step for all positions of a level, in which each layer is
computed at these alone, because the inputs that it had at earlier positions are kept. What is given is computed first,
in one pass over whole images. `Naive` is the definition: the whole network again for every rank.
Both are functions of `noise` (distributions.py), so they draw the same pixels, to the rounding of floats.
Images are levels uint8 [B, C, H, W], 0 .. 2^bits - 1; `hidden` [H, W] bool says which positions are drawn.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lmconv.config import ImageConfig, ImageTraining, PixelCnnConfig, fixed
from lmconv.errors import LmconvError
from lmconv.layers import LocallyMaskedConv2d
from lmconv.networks import kinds
from lmconv.networks.distributions import centred, distribution
from lmconv.networks.model import ImageNetwork
from lmconv.networks.pixelcnn import Kind, OrderMasks, PixelCnn, added, order_masks
from lmconv.orders import OBSERVED, make
from lmconv.sampling import sheet
from lmconv.sampling.plan import plan
from runtime.progress import Progress

BATCH = 16  # images at a time


class SampleError(LmconvError):
    """A network, an order or images that cannot be drawn from."""


@dataclass(frozen=True)
class Temperatures:
    """1 is the network's own distribution, 0 the likeliest component and its mean; see distributions.py."""

    mixture: float = 1.0
    logistic: float = 1.0


def sample(
    net: nn.Module,
    rank: np.ndarray,
    count: int,
    seed: int = 0,
    temperatures: Temperatures = Temperatures(),
    batch: int = BATCH,
    progress: Progress | None = None,
    given: np.ndarray | None = None,
) -> np.ndarray:
    """Draws whole images: uint8 [count, C, H, W]. Raises what `complete` does."""
    nothing = np.zeros((count, _config(net).channels, *rank.shape), np.uint8)
    return complete(net, rank, nothing, np.ones(rank.shape, bool), seed, temperatures, batch, progress, given)


def complete(
    net: nn.Module,
    rank: np.ndarray,
    images: np.ndarray,
    hidden: np.ndarray,
    seed: int = 0,
    temperatures: Temperatures = Temperatures(),
    batch: int = BATCH,
    progress: Progress | None = None,
    given: np.ndarray | None = None,
) -> np.ndarray:
    """Copies of images [N, C, H, W] uint8 whose hidden positions are drawn in the order `rank` [H, W].

    `net` is in evaluation mode. What is drawn for an image depends on the seed and its number, not on `batch`, and
    not on the device, to rounding. `given` are planes with the images, uint8 [N, P, H, W], for a network that has
    learned with such. `orders.move_last` makes an order that visits hidden positions last of any other.
    Raises SampleError for an order that does not, for images of other sizes or levels, LmconvError for temperatures.
    """
    drawer = drawer_of(net, rank, hidden)
    generator, (height, width) = torch.Generator().manual_seed(seed), rank.shape
    steps = itertools.count(1)
    total = drawer.steps * -(-len(images) // batch)
    found = []
    for start in range(0, len(images), batch):
        part = torch.from_numpy(images[start : start + batch])
        planes = None if given is None else torch.from_numpy(np.ascontiguousarray(given[start : start + batch]))
        drawn_from = [drawer.noise(height, width, generator) for _ in part]
        noise, latents = (torch.cat(each) for each in zip(*drawn_from))

        def stepped() -> None:
            if progress:
                progress(next(steps), total)

        drawn = drawer.draw(noise, part, temperatures, stepped, planes, latents)
        found.append(drawn.cpu().numpy())
    return np.concatenate(found) if found else images.copy()


def sheets(
    network: ImageConfig,
    training: ImageTraining,
    count: int = BATCH,
    seed: int = 0,
    given: np.ndarray | None = None,
) -> Callable[[nn.Module, Path], None] | None:
    """For `train.train`: draws samples of a network into a PNG, in the first order that it learns, with planes given.

    None for networks that have no way but the naive one, and would draw for longer than they train.
    """
    sort = kinds.sort(network)
    if not (sort is PixelCnn or sort.draw or sort.from_noise):
        return None
    rank = make(fixed(training.orders[0]), training.height, training.width)

    def draw(net: nn.Module, path: Path) -> None:
        images = sample(net, rank, count, seed, given=given)
        sheet.write(path, sheet.sheet(sheet.tiles(images, network.bits), columns=round(count**0.5)))

    return draw


def drawer_of(net: nn.Module, rank: np.ndarray, hidden: np.ndarray) -> Drawer:
    """What draws from this network: level by level, as it says itself, or naively."""
    if isinstance(net, PixelCnn):
        return Sampler(net, rank, hidden)
    if isinstance(net, ImageNetwork) and net.from_noise:
        return AtOnce(net, rank, hidden)
    return Walk(net, rank, hidden) if isinstance(net, ImageNetwork) and net.draw else Naive(net, rank, hidden)


class Drawer:
    """Draws images of a network in an order, in so many `steps`. Raises SampleError."""

    steps: int

    def __init__(self, net: nn.Module, rank: np.ndarray, hidden: np.ndarray | None = None) -> None:
        self.hidden, self.config = _checked(net, rank, hidden), _config(net)
        self.distribution = distribution(self.config)
        weights = next(net.parameters())
        self.device, self.dtype = weights.device, weights.dtype
        self.latents = net.latents if isinstance(net, ImageNetwork) else 0

    def noise(self, height: int, width: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """All that an image is drawn from: numbers of its pixels [1, U, H, W], and latent ones [1, L]."""
        return self.distribution.noise(1, height, width, generator), torch.randn(1, self.latents, generator=generator)

    @torch.inference_mode()
    def draw(
        self,
        noise: Tensor,
        images: Tensor,
        temperatures: Temperatures = Temperatures(),
        stepped: Callable[[], object] | None = None,
        planes: Tensor | None = None,
        latents: Tensor | None = None,
    ) -> Tensor:
        """uint8 [B, C, H, W] from noise [B, U, H, W] and images [B, C, H, W], whose hidden levels count for nothing.
        planes: uint8 [B, P, H, W], given with the images. latents: [B, L], by default 0."""
        _check_images(images, noise, self.config, planes)
        latents = torch.zeros(len(images), self.latents) if latents is None else latents
        drawing = Drawing(
            images.to(self.device, copy=True),
            noise.to(self.device),
            planes,
            latents.to(self.device, self.dtype),
            lambda parameters, noise: self.distribution.sample(
                parameters, noise, temperatures.mixture, temperatures.logistic
            ),
            stepped or (lambda: None),
        )
        return self._drawn(drawing)

    def _drawn(self, drawing: Drawing) -> Tensor:
        """Draws: what `draw` returns."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class Drawing:
    """What is drawn: images whose hidden levels are to be replaced, and what they are drawn from and with. levels: of
    parameters and noise. stepped: to be called after each step."""

    images: Tensor
    noise: Tensor
    planes: Tensor | None
    latents: Tensor
    levels: Callable[[Tensor, Tensor], Tensor]
    stepped: Callable[[], object]


class Naive(Drawer):
    """The whole network once for every rank."""

    def __init__(self, net: nn.Module, rank: np.ndarray, hidden: np.ndarray | None = None) -> None:
        super().__init__(net, rank, hidden)
        self.net, self.view = net, kinds.view(self.config, rank).to(self.device)
        self.groups = [torch.from_numpy(self.hidden & (rank == value)) for value in np.unique(rank[self.hidden])]
        self.steps = len(self.groups)

    def _drawn(self, drawing: Drawing) -> Tensor:
        drawn, view = drawing.images, self.view.beside(drawing.planes)
        for here in self.groups:
            parameters = self.net(centred(drawn, self.config.bits, self.dtype), view)
            drawn[:, :, here] = drawing.levels(parameters[:, :, here], drawing.noise[:, :, here])
            drawing.stepped()
        return drawn


class Walk(Drawer):
    """By a network that goes through the positions of an order by itself."""

    def __init__(self, net: ImageNetwork, rank: np.ndarray, hidden: np.ndarray | None = None) -> None:
        super().__init__(net, rank, hidden)
        self.net, self.view = net, kinds.view(self.config, rank).to(self.device)
        self.steps = rank.size

    def _drawn(self, drawing: Drawing) -> Tensor:
        drawn, noise, hidden = drawing.images.flatten(2), drawing.noise.flatten(2), self.hidden.ravel()

        def choose(parameters: Tensor, position: int) -> Tensor:
            if hidden[position]:
                drawn[:, :, position] = drawing.levels(parameters, noise[:, :, position])
            drawing.stepped()
            return centred(drawn[:, :, position], self.config.bits, self.dtype)

        values = torch.zeros(drawing.images.shape, dtype=self.dtype, device=self.device)
        latents = (drawing.latents,) if self.latents else ()
        self.net.draw(self.view.beside(drawing.planes), choose, values, *latents)
        return drawn.view(drawing.images.shape)


class AtOnce(Drawer):
    """By a network that makes whole images of noise, in one step, without temperatures."""

    steps = 1

    def __init__(self, net: ImageNetwork, rank: np.ndarray, hidden: np.ndarray | None = None) -> None:
        super().__init__(net, rank, hidden)
        if not self.hidden.all():
            raise SampleError("a network that draws all at once cannot complete what is given")
        self.net, self.view = net, kinds.view(self.config, rank).to(self.device)

    def _drawn(self, drawing: Drawing) -> Tensor:
        drawn = self.net.from_noise(drawing.noise, self.view.beside(drawing.planes))
        drawing.stepped()
        return drawn


class Sampler(Drawer):
    """Level by level; `steps` levels. The weights of `net` must stay as they are meanwhile."""

    def __init__(self, net: nn.Module, rank: np.ndarray, hidden: np.ndarray | None = None) -> None:
        super().__init__(net, rank, hidden)
        if not isinstance(net, PixelCnn):
            raise SampleError(f"drawn level by level is the paper's network, not {type(net).__name__}")
        self.net = _folded(net, net.config)
        self.plan = plan(rank, self.hidden, net.config).to(self.device)
        self.masks = None if self.hidden.all() else order_masks(rank, net.config).to(self.device)
        self.products: dict[LocallyMaskedConv2d, tuple[Tensor, Tensor]] = {}
        self.steps = len(self.plan.levels)

    def _drawn(self, drawing: Drawing) -> Tensor:
        images, batch, hidden = drawing.images, len(drawing.images), self.plan.hidden
        noise, drawn = self.rows(drawing.noise), self.rows(images)
        rows = _Rows(self, batch, drawing.planes)
        if self.masks is not None:
            rows.keep_given(images, self.masks.beside(drawing.planes))
        for level in range(self.steps):
            here = rows.enter(level)
            drawn[here] = drawing.levels(self.net(rows.current(), rows), noise[here])
            rows.learn(drawn[here])
            drawing.stepped()
        out = images.flatten(2)
        positions = self.plan.positions[:hidden]
        out[:, :, positions] = drawn[: hidden * batch].view(hidden, batch, -1).permute(1, 2, 0)
        return out.view_as(images)

    def product(self, layer: LocallyMaskedConv2d, kind: Kind) -> tuple[Tensor, Tensor]:
        """A layer as a matrix [T Cin, Cout] for the taps open anywhere, and what is added, [1, Cout] or [N, Cout]."""
        if layer not in self.products:
            taps = self.plan.taps[kind, layer.dilation]
            weight = layer.weight.flatten(2)[:, :, taps.columns]  # [Cout, Cin, T]
            added = weight.new_zeros(1, layer.out_channels) if layer.bias is None else layer.bias[None]
            if layer.mask_weight is not None:
                added = added + taps.open.to(weight.dtype) @ layer.mask_weight.flatten(1).T
            self.products[layer] = weight.permute(2, 1, 0).flatten(0, 1).contiguous(), added
        return self.products[layer]

    def rows(self, planes: Tensor) -> Tensor:
        """[B, C, H, W] -> rows [N B, C], the positions in the plan's order, the images of a position side by side."""
        return planes.flatten(2).permute(2, 0, 1)[self.plan.positions].flatten(0, 1)


@dataclass(frozen=True, eq=False)
class _Layer:
    """A layer on rows: its inputs so far, [(1 + N) B, Cin], and its product. `added` is [1, Cout] or [N B, Cout]."""

    cache: Tensor
    weight: Tensor
    added: Tensor


class _Rows:
    """The neighbours (pixelcnn.Neighbours) of the rows of one level.

    In a cache the B images of a slot are side by side, so that a level writes one piece of it.
    """

    def __init__(self, sampler: Sampler, batch: int, planes: Tensor | None = None) -> None:
        self.sampler, self.plan, self.batch = sampler, sampler.plan, batch
        self.told: Tensor | None = None  # what the planes tell, [N B, F]
        if planes is not None:
            assert sampler.net.given is not None  # as planes are checked
            self.told = sampler.rows(sampler.net.given(centred(planes.to(sampler.device), 8, sampler.dtype)))
        images = torch.arange(batch, device=sampler.device)
        self.levels = self.plan.levels
        self.taps: dict[tuple[Kind, int], list[Tensor]] = {}  # of each sort and level the rows of all taps, flat
        for sort, taps in self.plan.taps.items():
            rows = taps.slots[:, None] * batch + images[:, None]  # [N, B, T]
            self.taps[sort] = [rows[start:end].flatten() for start, end in self.levels]
        self.counts = {at: count.repeat_interleave(batch)[:, None] for at, count in self.plan.counts.items()}
        self.layers: dict[LocallyMaskedConv2d, _Layer] = {}
        self.pixels = self._empty(sampler.config.channels + 1)
        self.pixels[batch:, -1] = 1  # the plane that marks the inside of the image

    def keep_given(self, images: Tensor, masks: OrderMasks) -> None:
        """Computes every layer at the given positions, in one pass over whole images, and keeps their inputs."""
        given = slice(self.plan.hidden * self.batch, None)
        x = centred(images, self.sampler.config.bits, self.pixels.dtype)
        self.pixels[self.batch :][given, :-1] = self.sampler.rows(x)[given]
        self.sampler.net(x, _Given(self, given, masks))

    def enter(self, level: int) -> slice:
        """Goes on to a level; its rows among all [N B]."""
        start, end = (each * self.batch for each in self.levels[level])
        self.here, self.slots = slice(start, end), slice(start + self.batch, end + self.batch)
        self.reads = {sort: taps[level] for sort, taps in self.taps.items()}
        return self.here

    def current(self) -> Tensor:
        """The level's own pixels [n B, C], which nothing reads: they are not known yet."""
        return self.pixels[self.slots, :-1]

    def learn(self, drawn: Tensor) -> None:
        """The level's pixels are known now: [n B, C] levels."""
        self.pixels[self.slots, :-1] = centred(drawn, self.sampler.config.bits, self.pixels.dtype)

    def convolve(self, layer: LocallyMaskedConv2d, x: Tensor, kind: Kind) -> Tensor:
        """[n B, Cin] -> [n B, Cout]."""
        of = self.layer(layer, kind)
        if kind == "B":
            of.cache[self.slots] = x
        seen = of.cache.index_select(0, self.reads[kind, layer.dilation]).view(x.shape[0], -1)
        return torch.addmm(of.added if len(of.added) == 1 else of.added[self.here], seen, of.weight)

    def open_taps(self, dilations: Sequence[int]) -> Tensor:
        """[n B, 1]."""
        return added(self.counts[dilation][self.here] for dilation in dilations)

    def given(self, network: nn.Module) -> Tensor:
        """[n B, F]: computed before, of whole images."""
        assert self.told is not None
        return self.told[self.here]

    def layer(self, layer: LocallyMaskedConv2d, kind: Kind) -> _Layer:
        """A layer's part, made when it is first met."""
        if layer not in self.layers:
            weight, added = self.sampler.product(layer, kind)
            if len(added) > 1:
                added = added.repeat_interleave(self.batch, 0)
            cache = self.pixels if kind == "A" else self._empty(layer.in_channels)
            self.layers[layer] = _Layer(cache, weight, added)
        return self.layers[layer]

    def _empty(self, channels: int) -> Tensor:
        rows = (1 + len(self.plan.positions)) * self.batch
        return torch.zeros(rows, channels, dtype=self.sampler.dtype, device=self.sampler.device)


@dataclass(frozen=True, eq=False)
class _Given:
    """The neighbours of given positions: the order's masks on whole images, whose inputs are kept."""

    rows: _Rows
    at: slice  # of all rows [N B]
    masks: OrderMasks

    def convolve(self, layer: LocallyMaskedConv2d, x: Tensor, kind: Kind) -> Tensor:
        if kind == "B":
            rows = self.rows
            rows.layer(layer, kind).cache[rows.batch :][self.at] = rows.sampler.rows(x)[self.at]
        return self.masks.convolve(layer, x, kind)

    def open_taps(self, dilations: Sequence[int]) -> Tensor:
        return self.masks.open_taps(dilations)

    def given(self, network: nn.Module) -> Tensor:
        return self.masks.given(network)


def _folded(net: nn.Module, config: PixelCnnConfig) -> PixelCnn:
    """The network, in evaluation mode, with its weight norms computed once: a level takes about a millisecond.

    A new one of the same tensors, because removing parametrisations from a deep copy breaks the original, too: they
    share a class, and torch changes that.
    """
    with torch.device("meta"):
        folded = PixelCnn(config)
    folded.load_state_dict(net.state_dict(), assign=True)
    for module in list(folded.modules()):
        if parametrize.is_parametrized(module, "weight"):
            parametrize.remove_parametrizations(module, "weight")
    return folded.eval()


def _checked(net: nn.Module, rank: np.ndarray, hidden: np.ndarray | None) -> np.ndarray:
    """The hidden positions, by default all. Raises SampleError unless the order visits them last."""
    _config(net)
    hidden = np.ones(rank.shape, bool) if hidden is None else hidden
    if hidden.shape != rank.shape:
        raise SampleError(f"the hidden region has shape {list(hidden.shape)}, the order {list(rank.shape)}")
    if not hidden.any():
        raise SampleError("nothing is hidden, so there is nothing to draw")
    if rank[hidden].min() < 0:
        raise SampleError("the order has the rank -1, which stands for what is given, where pixels are to be drawn")
    if rank[~hidden].max(initial=OBSERVED) >= rank[hidden].min():
        raise SampleError(
            "the order visits some given pixels after hidden ones: these would be drawn without knowing them"
        )
    return hidden


def _config(net: nn.Module) -> ImageConfig:
    """Raises SampleError for another network than one of images."""
    config = getattr(net, "config", None)
    if not isinstance(config, ImageConfig):
        raise SampleError(f"images are drawn from networks of images, not from {type(net).__name__}")
    return config


def _check_images(images: Tensor, noise: Tensor, config: ImageConfig, planes: Tensor | None) -> None:
    wanted = (noise.shape[0], config.given, *noise.shape[2:]) if config.given else None
    if (None if planes is None else tuple(planes.shape)) != wanted:
        told = "nothing" if planes is None else list(planes.shape)
        raise SampleError(f"with the images are to be given {list(wanted) if wanted else 'no planes'}, not {told}")
    expected = (noise.shape[0], config.channels, *noise.shape[2:])
    if images.dtype != torch.uint8 or tuple(images.shape) != expected:
        raise SampleError(f"images are uint8 {list(expected)}, not {images.dtype} {list(images.shape)}")
    if len(images) and int(images.max()) >= 2**config.bits:
        raise SampleError(f"images of {config.bits} bits have no level {int(images.max())}")
