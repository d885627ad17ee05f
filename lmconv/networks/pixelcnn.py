"""The paper's network: PixelCNN++ in one stream, of locally masked convolutions (Jain et al. 2020, section 4).

Images float [B, C, H, W] in [-1, 1] (distributions.centred) -> parameters [B, P, H, W] of a distribution; a position
depends on those of smaller rank alone. All but the masked convolutions works position by position over axis 1, the
channels, and these see their neighbours only through `masks.convolve`. So the same `forward` also runs on rows [N, C]
of single positions: an incremental sampler passes, in place of OrderMasks, an object with the two methods of
`Neighbours` that keeps each layer's inputs and gathers the taps from them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Literal, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm
from torch.utils.checkpoint import checkpoint

from lmconv.config import PixelCnnConfig
from lmconv.errors import LmconvError
from lmconv.layers import LocallyMaskedConv2d, TorchMask, mask_from_rank
from lmconv.networks.distributions import centred, distribution
from lmconv.networks.lists import module_list
from lmconv.networks.model import ImageNetwork
from lmconv.networks.precision import in_single

EPSILON = 1e-5  # added to variances

Kind = Literal["A", "B"]  # of a mask: A reads the past alone, B also the position itself


class Neighbours(Protocol):
    """How a network sees the neighbours of the positions that it computes: all it knows of an order."""

    def convolve(self, layer: LocallyMaskedConv2d, x: Tensor, kind: Kind) -> Tensor:
        """The layer's output at the positions where its input is x; kind A, of pixels, reads the past alone."""

    def open_taps(self, dilations: Sequence[int]) -> Tensor:
        """How many taps layers of these dilations may read at each position, the centre included: divides x by
        broadcasting."""

    def given(self, network: nn.Module) -> Tensor:
        """What a network without masks makes, at the positions, of the planes that are given with the images."""


@dataclass(frozen=True, eq=False)
class OrderMasks:
    """An order on whole images [H, W]: the masks of all layers. Build it once, move it by `to`.

    `masks` by kind and dilation; `taps` [H, W] int32 count by dilation the open taps of kind B, for the norm
    order_rescale. `planes` uint8 [B, P, H, W] are those given with a batch of images (`beside`).
    """

    masks: dict[tuple[Kind, int], TorchMask]
    taps: dict[int, Tensor]
    planes: Tensor | None = None

    def convolve(self, layer: LocallyMaskedConv2d, x: Tensor, kind: Kind) -> Tensor:
        """[B, Cin, H, W] -> [B, Cout, H, W]. Raises ValueError if the masks are for another network or size."""
        if (kind, layer.dilation) not in self.masks:
            raise ValueError(f"the masks are for a network without layers of kind {kind}, dilation {layer.dilation}")
        return layer(x, self.masks[kind, layer.dilation])

    def open_taps(self, dilations: Sequence[int]) -> Tensor:
        """[H, W] int32. The first layers' kind A may have none open: they are rescaled as those of kind B are."""
        return added(self.taps[dilation] for dilation in dilations)

    def given(self, network: nn.Module) -> Tensor:
        """[B, F, H, W]. Raises LmconvError where no planes are given."""
        if self.planes is None:
            raise LmconvError("the network is for images with planes or labels, and none are given")
        weights = next(network.parameters())
        return network(centred(self.planes.to(weights.device, non_blocking=True), 8, weights.dtype))

    def beside(self, planes: Tensor | None) -> OrderMasks:
        """The same masks for images with which planes are given, uint8 [B, P, H, W]."""
        return self if planes is None else replace(self, planes=planes)

    def to(self, device: torch.device | str) -> OrderMasks:
        """The same masks on another device."""
        masks = {sort: mask.to(device) for sort, mask in self.masks.items()}
        taps = {dilation: count.to(device) for dilation, count in self.taps.items()}
        return OrderMasks(masks, taps, None if self.planes is None else self.planes.to(device))

    def turned(self, variant: int) -> OrderMasks:
        """The masks for images in a variant (lmconv.layers.oriented), for which the network computes what it would of
        the images themselves in that variant of the order. Nothing but numbers differs between variants, so one
        compiled graph serves all of them."""
        return replace(self, masks={sort: mask.turned(variant) for sort, mask in self.masks.items()})


def added(parts: Iterable[Tensor]) -> Tensor:
    """The sum of what layers of several dilations give, or may read; there is one at least."""
    return reduce(torch.add, parts)


def sorts(config: PixelCnnConfig) -> tuple[tuple[Kind, int], ...]:
    """The kinds and dilations of a network's masked layers, each once."""
    first: list[tuple[Kind, int]] = [("A", dilation) for dilation in (1, *config.far)]
    later: list[tuple[Kind, int]] = [("B", 1), *(("B", dilation) for dilation in config.dilations)]
    return tuple(dict.fromkeys(first + later))


def order_masks(rank: np.ndarray, config: PixelCnnConfig, patterns: bool = True) -> OrderMasks:
    """The masks of a rank map [H, W] (orders.py) for a network, on the CPU. patterns: as in `mask_from_rank`."""
    made = {
        (kind, dilation): mask_from_rank(rank, config.kernel, dilation, kind, patterns)
        for kind, dilation in sorts(config)
    }
    taps = {
        dilation: mask.at_positions().sum(0, dtype=torch.int32).view(rank.shape)
        for (kind, dilation), mask in made.items()
        if kind == "B"
    }
    return OrderMasks(made, taps)


def concat_elu(x: Tensor) -> Tensor:
    """elu of x and -x: twice the channels, axis 1 (PixelCNN++, after Shang et al. 2016)."""
    return F.elu(torch.cat((x, -x), 1))


def pono(x: Tensor) -> Tensor:
    """Positional normalisation (Li et al. 2019): zero mean and unit unbiased variance over the channels, axis 1."""
    if x.ndim == 2:  # rows: one call instead of eight, where a sampler's time is calls
        c = x.shape[1]  # layer_norm has the biased variance, smaller by (c - 1) / c
        return F.layer_norm(x, (c,), eps=EPSILON * (c - 1) / c) * math.sqrt((c - 1) / c)
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    wide = wide - wide.mean(1, keepdim=True)
    variance = wide.square().sum(1, keepdim=True) / (x.shape[1] - 1)  # torch.var is many times slower on CPUs here
    return (wide * torch.rsqrt(variance + EPSILON)).to(x.dtype)


class Norm(nn.Module):
    """What follows a masked convolution, without parameters of its own: pono, order_rescale or nothing."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, x: Tensor, open_taps: Tensor) -> Tensor:
        """The same shape."""
        if self.kind == "pono":
            return pono(x)
        return x / open_taps if self.kind == "order_rescale" else x

    def extra_repr(self) -> str:
        """The kind, for `print`."""
        return self.kind


class Pointwise(nn.Linear):
    """The same linear map at every position: rows [N, Cin] or images [B, Cin, H, W], channels in axis 1."""

    def forward(self, x: Tensor) -> Tensor:
        """[N, Cin] -> [N, Cout], or [B, Cin, H, W] -> [B, Cout, H, W]."""
        if x.ndim == 2:
            return F.linear(x, self.weight, self.bias)
        return F.conv2d(x, self.weight[:, :, None, None], self.bias)


def pointwise(in_channels: int, out_channels: int) -> Pointwise:
    """Weight-normalised whatever the config says, as published."""
    return weight_norm(Pointwise(in_channels, out_channels))


def masked_conv(config: PixelCnnConfig, in_channels: int, out_channels: int, dilation: int = 1) -> LocallyMaskedConv2d:
    """A masked convolution as the config says, weight-normalised (Salimans & Kingma 2016) if it says so."""
    conv = LocallyMaskedConv2d(in_channels, out_channels, config.kernel, dilation, config.bias, config.mask_weight)
    return weight_norm(conv) if config.norm == "weight_norm" else conv


class GatedResnet(nn.Module):
    """x + norm_out(a) * sigmoid(b), where a and b are the halves of conv_out.

    concat_elu -> conv_input -> `middle` (norm, skip, concat_elu, dropout) -> conv_out -> `gate`. A block of the down
    half has `nin_skip` and takes a skip from the up half.
    """

    def __init__(self, config: PixelCnnConfig, skip: bool) -> None:
        super().__init__()
        f = config.filters
        self.conv_input = masked_conv(config, 2 * f, f)
        self.norm_input = Norm(config.norm)
        self.nin_skip = pointwise(2 * f, f) if skip else None
        self.dropout = nn.Dropout2d(config.dropout)
        self.conv_out = masked_conv(config, 2 * f, 2 * f)
        self.norm_out = Norm(config.norm)

    def middle(self, h: Tensor, skip: Tensor | None, open_taps: Tensor) -> Tensor:
        """From conv_input's output [B, F, ...] to conv_out's input [B, 2 F, ...]."""
        h = self.norm_input(h, open_taps)
        if self.nin_skip is not None:
            assert skip is not None
            h = h + self.nin_skip(concat_elu(skip))
        h = concat_elu(h)
        return self.dropout(h) if self.training else h  # rows [N, C] are no input for Dropout2d

    def gate(self, x: Tensor, h: Tensor, open_taps: Tensor) -> Tensor:
        """From the block's input [B, F, ...] and conv_out's output [B, 2 F, ...] to the block's output."""
        a, b = h.chunk(2, 1)
        return x + self.norm_out(a, open_taps) * torch.sigmoid(b)

    def forward(self, x: Tensor, masks: Neighbours, skip: Tensor | None = None) -> Tensor:
        """[B, F, ...] -> the same shape."""
        open_taps = masks.open_taps((1,))
        h = masks.convolve(self.conv_input, concat_elu(x), "B")
        h = masks.convolve(self.conv_out, self.middle(h, skip, open_taps), "B")
        return self.gate(x, h, open_taps)


class PixelCnn(ImageNetwork[PixelCnnConfig]):
    """forward(x float [B, C, H, W] in [-1, 1], masks) -> parameters [B, P, H, W] of `distributions.distribution`.

    Three groups of gated resnets up, three down, a dilated convolution between groups. Every result of the up half
    is a skip for one block of the down half, the last made first used. No resolution is lost. Where the config has
    `far` dilations, the first layer and those between groups look that far, too, by a layer for each. What planes given
    with the images tell is added to the first layer's features.
    Raises LmconvError for the config of a two-stream network.
    """

    def __init__(self, config: PixelCnnConfig = PixelCnnConfig()) -> None:
        super().__init__(config)
        if config.two_stream:
            raise LmconvError("a two-stream network is lmconv.networks.two_stream.TwoStreamPixelCnn, not PixelCnn")
        f, n = config.filters, config.resnets
        self.first = masked_conv(config, config.channels + 1, f)
        self.first_far = module_list(masked_conv(config, config.channels + 1, f, far) for far in config.far)
        self.up = _groups(config, (n, n, n), skip=False)
        self.up_dilated = module_list(masked_conv(config, f, f, config.dilation) for _ in range(2))
        self.up_far = _far(config)
        self.down = _groups(config, (n, n + 1, n + 1), skip=True)
        self.down_dilated = module_list(masked_conv(config, f, f, config.dilation) for _ in range(2))
        self.down_far = _far(config)
        self.norm = Norm(config.norm)
        self.given = _given(config) if config.given else None
        self.head = pointwise(f, distribution(config).parameters)

    @staticmethod
    def view(config: PixelCnnConfig, rank: np.ndarray) -> OrderMasks:
        """The masks of an order."""
        return order_masks(rank, config)

    def forward(self, x: Tensor, masks: Neighbours) -> Tensor:
        """Of whole images, or of the positions that `masks` knows."""
        h = torch.cat((x, torch.ones_like(x[:, :1])), 1)  # the ones mark the inside of the image
        if h.ndim == 4:  # features last: the layers take whole positions, on CPUs a fifth less time for a step
            h = h.contiguous(memory_format=torch.channels_last)
        h = self._together([self.first, *self.first_far], h, masks, "A")
        if self.given is not None:
            h = h + masks.given(self.given)
        skips = [h]
        for i, group in enumerate(self.up):
            if i > 0:
                layers = [self.up_dilated[i - 1], *self.up_far[i - 1]]
                skips.append(self._together(layers, skips[-1], masks, "B"))
            for block in group:
                skips.append(self._block(block, skips[-1], masks))
        h = skips.pop()
        for i, group in enumerate(self.down):
            if i > 0:
                h = self._together([self.down_dilated[i - 1], *self.down_far[i - 1]], h, masks, "B")
            for block in group:
                h = self._block(block, h, masks, skips.pop())
        return in_single(self.head, F.elu(h))

    def _together(self, layers: list[LocallyMaskedConv2d], h: Tensor, masks: Neighbours, kind: Kind) -> Tensor:
        """The sum of layers of several dilations, normalised."""
        together = added([masks.convolve(layer, h, kind) for layer in layers])
        return self.norm(together, masks.open_taps([layer.dilation for layer in layers]))

    def _block(self, block: GatedResnet, h: Tensor, masks: Neighbours, skip: Tensor | None = None) -> Tensor:
        if self.config.checkpointing and torch.is_grad_enabled():
            return checkpoint(block, h, masks, skip, use_reentrant=False)
        return block(h, masks, skip)


def _given(config: PixelCnnConfig) -> nn.Sequential:
    """What sees the planes that are given: two convolutions without masks."""
    f, around = config.filters, config.kernel // 2
    return nn.Sequential(
        nn.Conv2d(config.given, f, config.kernel, padding=around),
        nn.ELU(),
        nn.Conv2d(f, f, config.kernel, padding=around),
    )


def _far(config: PixelCnnConfig) -> Sequence[Sequence[LocallyMaskedConv2d]]:
    """What looks far beside the two dilated layers of a half."""
    f = config.filters
    return module_list(module_list(masked_conv(config, f, f, far) for far in config.dilations[1:]) for _ in range(2))


def _groups(config: PixelCnnConfig, sizes: tuple[int, ...], skip: bool) -> Sequence[Sequence[GatedResnet]]:
    return module_list(module_list(GatedResnet(config, skip) for _ in range(size)) for size in sizes)
