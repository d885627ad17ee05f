"""A network for one order at one size, of constants and standard operators alone: what is written to float formats.

Levels uint8 [B, C, H, W] of the paper's networks, or pixels uint8 and bases int16 [B, 3, H, W] of the photo network ->
parameters float32 [B, P, H, W]. The network's own `forward` runs, on layers whose weight norm is multiplied out and
whose masks are constants. `fp16` computes in float16, the statistics of norms in float32.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lmconv.checkpoints.checkpoint import Checkpoint
from lmconv.config import ImageConfig, PhotoConfig, PixelCnnConfig
from lmconv.family.settings import FamilyConfig
from lmconv.layers import LocallyMaskedConv2d, TorchMask, mask_from_rank
from lmconv.networks import kinds
from lmconv.networks.distributions import centred
from lmconv.networks.pixelcnn import Kind, PixelCnn, added, order_masks

Precision = Literal["fp32", "fp16"]
DTYPES = {"fp32": torch.float32, "fp16": torch.float16}


class BakedConv(nn.Module):
    """A masked convolution as ordinary ones: forward(x [B, Cin, H, W]) -> [B, Cout, H, W] in the weights' type.

    Taps that are open at the same positions share a convolution, of a kernel cut to them. Where these are not all
    positions, its result is multiplied by a plane [H, W] of ones and zeros. Beyond the border zeros are read, as a
    mask would have it. An order of one pattern needs one convolution, an s-curve three, any other order one a tap.
    """

    constant: Tensor  # what is added to the convolutions

    def __init__(self, layer: LocallyMaskedConv2d, mask: TorchMask, groups: list[tuple[Tensor, Tensor | None]]) -> None:
        super().__init__()
        self.dilation = layer.dilation
        self.padding: list[tuple[int, ...]] = []
        self.weights = nn.ParameterList()
        for index, (taps, plane) in enumerate(groups):
            (top, bottom), (left, right) = (_ends(taps.any(axis)) for axis in (1, 0))
            centre, weight = layer.kernel_size // 2, layer.weight * taps
            sides = (centre - left, right - 1 - centre, centre - top, bottom - 1 - centre)
            self.padding.append(tuple(layer.dilation * side for side in sides))
            self.weights.append(weight[:, :, top:bottom, left:right].detach().clone())
            self.register_buffer(f"plane_{index}", plane)
        constant = layer.weight.new_zeros(layer.out_channels, 1, 1)
        if layer.bias is not None:
            constant = constant + layer.bias[:, None, None]
        if layer.mask_weight is not None:
            assert mask.size is not None
            of_mask = layer.mask_weight.flatten(1) @ mask.at_positions().float()
            constant = constant + of_mask.view(-1, *mask.size)
        self.register_buffer("constant", constant.detach())

    def forward(self, x: Tensor, mask: TorchMask | None = None) -> Tensor:
        """`mask` is what the photo network gives its layers; here it is known already."""
        x, total = x.to(self.constant.dtype), self.constant
        for index, (weight, padding) in enumerate(zip(self.weights, self.padding)):
            part = F.conv2d(F.pad(x, padding), weight, dilation=self.dilation)
            plane = getattr(self, f"plane_{index}")
            total = total + (part if plane is None else part * plane)
        return total


class BakedImages(nn.Module):
    """forward(levels uint8 [B, C, H, W], and planes uint8 [B, P, H, W] where the network is given some) -> parameters.
    Its network's Neighbours (pixelcnn.py)."""

    def __init__(self, net: nn.Module, config: ImageConfig, rank: np.ndarray, dtype: torch.dtype) -> None:
        super().__init__()
        self.net, self.config, self.dtype = net, config, dtype
        self._view = None if isinstance(net, PixelCnn) else kinds.view(config, rank)
        self.inputs = ("levels", "planes") if config.given else ("levels",)
        self._planes: Tensor | None = None
        if isinstance(config, PixelCnnConfig) and not config.two_stream:
            for dilation, taps in order_masks(rank, config).taps.items():
                self.register_buffer(f"taps_{dilation}", taps.to(dtype))

    def convolve(self, layer: BakedConv, x: Tensor, kind: Kind) -> Tensor:
        """As Neighbours; the layer has its mask."""
        return layer(x)

    def open_taps(self, dilations: Sequence[int]) -> Tensor:
        """As Neighbours."""
        return added(self.get_buffer(f"taps_{dilation}") for dilation in dilations)

    def given(self, network: nn.Module) -> Tensor:
        """As Neighbours."""
        assert self._planes is not None
        return network(self._planes)

    def forward(self, levels: Tensor, planes: Tensor | None = None) -> Tensor:
        """Of whole images."""
        if planes is not None:
            self._planes = centred(planes, 8).to(self.dtype)
        x = centred(levels, self.config.bits).to(self.dtype)
        return self.net(x, self if self._view is None else self._view).float()


class BakedPhoto(nn.Module):
    """forward(pixels uint8, bases int16 in 1/64 grey level, [B, 3, H, W]) -> parameters."""

    inputs = ("pixels", "bases")

    def __init__(self, net: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.net = net
        current = net.get_submodule("current")
        net.set_submodule("current", nn.Sequential(_Cast(dtype), current))  # the network itself makes float32 of codes

    def forward(self, pixels: Tensor, bases: Tensor) -> Tensor:
        """Of whole pictures."""
        return self.net(pixels, bases).float()


class _Cast(nn.Module):
    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def forward(self, x: Tensor) -> Tensor:
        return x.to(self.dtype)


Baked = BakedImages | BakedPhoto


@torch.no_grad()
def bake(checkpoint: Checkpoint, rank: np.ndarray, precision: Precision = "fp32") -> Baked:
    """The checkpoint's network, with its averaged weights, for a rank map [H, W] (orders.py)."""
    dtype, net = DTYPES[precision], checkpoint.net()
    for module in list(net.modules()):
        if parametrize.is_parametrized(module):
            for name in [name for name, _ in module.get_submodule("parametrizations").named_children()]:
                parametrize.remove_parametrizations(module, name)
    made = {}
    first = {getattr(net, "first", None), *getattr(net, "first_far", ())}
    own = isinstance(checkpoint.network, FamilyConfig)  # these networks' masks are of no order, and part of them
    layers = {name: layer for name, layer in net.named_modules() if isinstance(layer, LocallyMaskedConv2d) and not own}
    for name, layer in layers.items():
        key = layer.kernel_size, layer.dilation, "A" if layer in first else "B"
        if key not in made:
            mask = mask_from_rank(rank, *key)
            made[key] = mask, tap_groups(mask, dtype)
        net.set_submodule(name, BakedConv(layer, *made[key]))
    net = net.to(dtype).requires_grad_(False)
    if isinstance(checkpoint.network, PhotoConfig):
        return BakedPhoto(net, dtype).eval()
    return BakedImages(net, checkpoint.network, rank, dtype).eval()


def tap_groups(mask: TorchMask, dtype: torch.dtype = torch.float32) -> list[tuple[Tensor, Tensor | None]]:
    """The taps that are open at the same positions, [k, k] bool each, and where: [H, W] of 0 and 1, None: everywhere.

    Of a tap outside the image it is undefined. A mask that opens nothing has one group, the centre, open nowhere.
    """
    patterns = mask.taps.flatten(1)
    columns, group_of = torch.unique(patterns, dim=1, return_inverse=True)
    groups = []
    for group, column in enumerate(columns.T):
        if column.any():
            plane = None
            if not column.all():
                assert mask.index is not None  # as there are several patterns
                plane = column[mask.index.long()].to(dtype)
            groups.append(((group_of == group).view(mask.kernel, mask.kernel), plane))
    if not groups:
        assert mask.size is not None
        centre = torch.zeros(mask.kernel, mask.kernel, dtype=torch.bool)
        centre[mask.kernel // 2, mask.kernel // 2] = True
        groups.append((centre, torch.zeros(mask.size, dtype=dtype)))
    return groups


def _ends(used: Tensor) -> tuple[int, int]:
    """The first index that is True, and the one after the last."""
    found = used.nonzero()
    return int(found.min()), int(found.max()) + 1
