"""What a network is made of: its layers, their arithmetic, and what a position sees through all of them.

Nothing is computed but shapes, on PyTorch's meta device, and masks. A multiply-add counts for every weight that a
position uses: once with whole kernels, once with those taps alone that the masks of an order leave open, on average
over the positions whose kernels lie inside the image.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lmconv import orders
from lmconv.config import PixelCnnConfig
from lmconv.layers import LocallyMaskedConv2d
from lmconv.networks.kinds import Network, build
from lmconv.networks.photo import PhotoNet
from lmconv.networks.pixelcnn import Kind, PixelCnn, Pointwise
from lmconv.networks.two_stream import TwoStreamPixelCnn
from lmconv.orders import masks
from runtime.schedule import Kernel, levels

_Layer = LocallyMaskedConv2d | Pointwise | nn.Conv2d | nn.ConvTranspose2d


@dataclass(frozen=True)
class Layers:
    """`count` layers of one sort: a window "3x3" of a mask's kind, "A", "B" or "" for none, and a dilation.

    Sums over them of parameters, of those `used` by some position, of multiply-adds a pixel with whole kernels, and
    of those for `open` taps.
    """

    window: str
    kind: str
    dilation: int
    inputs: int
    outputs: int
    count: int
    parameters: int
    used: int
    multiply_adds: float
    open: float


@dataclass(frozen=True)
class Sight:
    """What the middle position of an image sees through all layers: `seen` of the `before` positions of smaller rank.

    How far these reach, in rows and columns.
    """

    row: int
    column: int
    seen: int
    before: int
    above: int
    below: int
    left: int
    right: int


@dataclass(frozen=True)
class Anatomy:
    """A network with an order on images of a size. `sight` is None for the two-stream network, which has no masks.

    `steps`: in so many an image is drawn; a two-stream network takes one for each pixel.
    """

    layers: tuple[Layers, ...]
    order: str
    height: int
    width: int
    steps: int
    sight: Sight | None

    @property
    def parameters(self) -> int:
        """All."""
        return sum(each.parameters for each in self.layers)

    @property
    def used(self) -> int:
        """Parameters that some position uses under this order."""
        return sum(each.used for each in self.layers)

    @property
    def multiply_adds(self) -> int:
        """A pixel, whole kernels."""
        return round(sum(each.multiply_adds for each in self.layers))

    @property
    def open(self) -> int:
        """A pixel, open taps alone."""
        return round(sum(each.open for each in self.layers))


@dataclass(frozen=True)
class _Conv:
    """One layer: its module, how often a pixel uses each weight, and its mask's window, None for one without. beside:
    it reads what the layer before it reads, and not that one's result."""

    module: _Layer
    uses: float
    kernel: Kernel | None = None
    beside: bool = False


def anatomy(network: Network, order: str, height: int, width: int) -> Anatomy:
    """Takes a network apart, for an order (orders.make) on images of a size. Raises OrderError."""
    rank = orders.make(order, height, width)
    with torch.device("meta"), torch.no_grad():
        net = build(network)
        if type(net) not in _CONVS:
            return Anatomy(_matrices(net, rank), order, height, width, len(np.unique(rank)), None)
        convs = _CONVS[type(net)](net, height, width)
    stages = _stages(convs)
    distinct = tuple(dict.fromkeys(kernel for stage in stages for kernel in stage))
    steps = int(levels(rank, distinct).max()) + 1 if stages else rank.size
    return Anatomy(_layers(convs, rank), order, height, width, steps, sight(rank, stages) if stages else None)


def masked_layers(network: PixelCnnConfig) -> list[list[Kernel]]:
    """The masked layers of the paper's network, from the first to the last; those side by side are together."""
    with torch.device("meta"), torch.no_grad():
        return _stages(_of_pixelcnn(PixelCnn(network), 1, 1))


def _stages(convs: list["_Conv"]) -> list[list[Kernel]]:
    stages: list[list[Kernel]] = []
    for conv in convs:
        if conv.kernel and conv.beside:
            stages[-1].append(conv.kernel)
        elif conv.kernel:
            stages.append([conv.kernel])
    return stages


def sight(rank: np.ndarray, stages: Sequence[Sequence[Kernel]]) -> Sight:
    """Goes back from the middle position through layers, given from the first to the last, side by side or alone."""
    height, width = rank.shape
    middle = (height // 2, width // 2)
    reached = np.zeros(rank.shape, bool)
    reached[middle] = True
    opened = {
        kernel: masks.masks(rank, kernel.size, kernel.dilation, kernel.kind).reshape(-1, height, width)
        for kernel in {kernel for stage in stages for kernel in stage}
    }
    for stage in reversed(stages):
        found = np.zeros(rank.shape, bool)
        for kernel in stage:
            for (down, right), tap in zip(kernel.offsets(), opened[kernel]):
                row, column = np.nonzero(reached & tap)
                found[row + down, column + right] = True
        reached = found
    row, column = (found - at for found, at in zip(np.nonzero(reached), middle))
    return Sight(
        *middle,
        int(reached.sum()),
        int((rank < rank[middle]).sum()),
        *(int(max(0, side.max(initial=0))) for side in (-row, row, -column, column)),
    )


def _layers(convs: list[_Conv], rank: np.ndarray) -> tuple[Layers, ...]:
    """Equal layers together, in the order in which their sort is met first."""
    groups: dict[tuple, list[_Conv]] = {}
    for conv in convs:
        key = conv.kernel, tuple(conv.module.weight.shape), type(conv.module) is nn.ConvTranspose2d
        groups.setdefault(key, []).append(conv)
    found = []
    for (kernel, shape, transposed), group in groups.items():
        weights, uses = len(group) * math.prod(shape), sum(conv.uses for conv in group) * math.prod(shape)
        parameters = sum(p.numel() for conv in group for p in conv.module.parameters())
        anywhere, on_average = _open(rank, kernel) if kernel else (1.0, 1.0)
        outputs, inputs = (shape[1], shape[0]) if transposed else shape[:2]
        rows, columns = shape[2:] or (1, 1)
        found.append(
            Layers(
                f"{rows}x{columns}",
                kernel.kind if kernel else "",
                kernel.dilation if kernel else 1,
                inputs,
                outputs,
                len(group),
                parameters,
                parameters - round(weights * (1 - anywhere)),
                uses,
                uses * on_average,
            )
        )
    return tuple(found)


def _open(rank: np.ndarray, kernel: Kernel) -> tuple[float, float]:
    """Which part of a kernel's taps is open at some position, and on average over those away from the border."""
    mask = masks.masks(rank, kernel.size, kernel.dilation, kernel.kind)
    height, width = rank.shape
    whole = masks.inside(height, width, kernel.size, kernel.dilation).all(0)
    return float(mask.any(1).mean()), float((mask[:, whole] if whole.any() else mask).mean())


class _Recorder:
    """The neighbours (pixelcnn.Neighbours) of a network that is run for the names of its layers alone."""

    def __init__(self) -> None:
        self.convs: list[_Conv] = []
        self._read: Tensor | None = None

    def convolve(self, layer: LocallyMaskedConv2d, x: Tensor, kind: Kind) -> Tensor:
        self.convs.append(_Conv(layer, 1, Kernel(layer.kernel_size, layer.dilation, kind), x is self._read))
        self._read = x
        return x.new_empty(x.shape[0], layer.out_channels, *x.shape[2:])

    def open_taps(self, dilations: Sequence[int]) -> Tensor:
        return torch.ones((), device="meta")

    def given(self, network: nn.Module) -> Tensor:
        self.convs += [_Conv(module, 1) for module in network.modules() if isinstance(module, nn.Conv2d)]
        return torch.ones((), device="meta")


def _matrices(net: nn.Module, rank: np.ndarray) -> tuple[Layers, ...]:
    """Of a network of whole images: a weight is used once for each."""
    found = []
    for parameter in net.parameters():
        count = parameter.numel()
        uses = count / rank.size
        outputs, inputs = (parameter.shape[0], count // parameter.shape[0])
        found.append(Layers("1x1", "", 1, inputs, outputs, 1, count, count, uses, uses))
    return tuple(found)


def _of_pixelcnn(net: PixelCnn, height: int, width: int) -> list[_Conv]:
    recorder = _Recorder()
    net(torch.empty(1, net.config.channels, height, width), recorder)
    return recorder.convs + [_Conv(module, 1) for module in net.modules() if isinstance(module, Pointwise)]


def _of_photo(net: PhotoNet, height: int, width: int) -> list[_Conv]:
    first, inner = Kernel(net.config.first_kernel, kind="A"), Kernel(net.config.kernel)
    masked = [_Conv(net.first, 1, first)] + [_Conv(block.wide, 1, inner) for block in net.blocks]
    return masked + [_Conv(module, 1) for module in net.modules() if isinstance(module, nn.Conv2d)]


def _of_two_streams(net: TwoStreamPixelCnn, height: int, width: int) -> list[_Conv]:
    """Layers at lower resolutions use a weight less than once a pixel."""
    found: list[_Conv] = []

    def hook(module: _Layer, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        places = inputs[0] if isinstance(module, nn.ConvTranspose2d) else output
        found.append(_Conv(module, places[0, 0].numel() / (height * width)))

    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | Pointwise):
            module.register_forward_hook(hook)
    net(torch.empty(1, net.config.channels, height, width))
    return found


_CONVS: dict[type[nn.Module], Callable[[Any, int, int], list[_Conv]]] = {
    PixelCnn: _of_pixelcnn,
    PhotoNet: _of_photo,
    TwoStreamPixelCnn: _of_two_streams,
}
