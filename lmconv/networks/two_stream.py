"""The baseline: two-stream PixelCNN++ (Salimans et al. 2017), raster order, of shifted convolutions without masks.

Its layout is that of the repositories which the paper compares with (pclucas14/pixel-cnn-pp and its copy in the
paper's code): 53,659,080 parameters for colours and 160 filters. The stream u sees the rows above, ul these and the
pixels to the left; ul reads u, and the output comes from ul. Two halvings and two doublings of the resolution, so
heights and widths are multiples of 4. Weight norm everywhere; no initialisation from data; published with dropout 0.5.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm
from torch.utils.checkpoint import checkpoint

from lmconv.config import PixelCnnConfig
from lmconv.errors import LmconvError
from lmconv.networks.distributions import distribution
from lmconv.networks.lists import module_list
from lmconv.networks.model import ImageNetwork, View
from lmconv.networks.pixelcnn import concat_elu, pointwise

U_KERNEL, UL_KERNEL = (2, 3), (2, 2)  # rows, columns


class ShiftedConv(nn.Module):
    """A convolution over this row and those above: down-shifted (centred columns) or down-right-shifted.

    A down-right-shifted one reads this column and those to the left. Same size out, or half with `stride` 2.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: tuple[int, int], right: bool = False, stride: int = 1
    ) -> None:
        super().__init__()
        rows, columns = kernel
        side = (columns - 1) // 2
        self.padding = (columns - 1, 0, rows - 1, 0) if right else (side, side, rows - 1, 0)
        self.conv = weight_norm(nn.Conv2d(in_channels, out_channels, kernel, stride))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, self.padding))


class ShiftedDeconv(nn.Module):
    """The transposed convolution that doubles the size, cropped so that it reads what a ShiftedConv reads."""

    def __init__(self, channels: int, kernel: tuple[int, int]) -> None:
        super().__init__()
        self.left = (kernel[1] - 1) // 2  # centred columns for 3, the left ones for 2
        self.deconv = weight_norm(nn.ConvTranspose2d(channels, channels, kernel, stride=2, output_padding=1))

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        return self.deconv(x)[:, :, : 2 * height, self.left : self.left + 2 * width]


class ShiftedResnet(nn.Module):
    """x + a * sigmoid(b), a gated resnet of shifted convolutions; `aux` times F channels of the other inputs."""

    def __init__(self, config: PixelCnnConfig, right: bool, aux: int) -> None:
        super().__init__()
        f, kernel = config.filters, UL_KERNEL if right else U_KERNEL
        self.conv_input = ShiftedConv(2 * f, f, kernel, right)
        self.nin_skip = pointwise(2 * aux * f, f) if aux else None
        self.dropout = nn.Dropout2d(config.dropout)
        self.conv_out = ShiftedConv(2 * f, 2 * f, kernel, right)

    def forward(self, x: Tensor, aux: Tensor | None = None) -> Tensor:
        h = self.conv_input(concat_elu(x))
        if self.nin_skip is not None:
            assert aux is not None
            h = h + self.nin_skip(concat_elu(aux))
        a, b = self.conv_out(self.dropout(concat_elu(h))).chunk(2, 1)
        return x + a * torch.sigmoid(b)


class Pair(nn.Module):
    """One block of each stream: u with its skip, then ul, which also reads u."""

    def __init__(self, config: PixelCnnConfig, skips: bool) -> None:
        super().__init__()
        self.u = ShiftedResnet(config, right=False, aux=int(skips))
        self.ul = ShiftedResnet(config, right=True, aux=1 + int(skips))

    def forward(
        self, u: Tensor, ul: Tensor, u_skip: Tensor | None = None, ul_skip: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        u = self.u(u, u_skip)
        return u, self.ul(ul, u if ul_skip is None else torch.cat((u, ul_skip), 1))


class Resize(nn.Module):
    """Halves or doubles both streams."""

    def __init__(self, u: nn.Module, ul: nn.Module) -> None:
        super().__init__()
        self.u, self.ul = u, ul

    def forward(self, u: Tensor, ul: Tensor) -> tuple[Tensor, Tensor]:
        return self.u(u), self.ul(ul)


class TwoStreamPixelCnn(ImageNetwork[PixelCnnConfig]):
    """forward(x float [B, C, H, W] in [-1, 1]) -> parameters [B, P, H, W] of `distributions.distribution`.

    A position depends on those before it in raster order alone. Raises LmconvError for the config of a one-stream
    network and for sizes that are no multiples of 4.
    """

    def __init__(self, config: PixelCnnConfig = PixelCnnConfig(norm="weight_norm", two_stream=True)) -> None:
        super().__init__(config)
        if not config.two_stream:
            raise LmconvError("a one-stream network is lmconv.networks.pixelcnn.PixelCnn, not TwoStreamPixelCnn")
        c, f, n = config.channels + 1, config.filters, config.resnets
        self.u_first = ShiftedConv(c, f, (2, 3))
        self.ul_above = ShiftedConv(c, f, (1, 3))
        self.ul_left = ShiftedConv(c, f, (2, 1), right=True)
        self.up = _groups(config, (n, n, n), skips=False)
        self.down = _groups(config, (n, n + 1, n + 1), skips=True)
        self.halving = module_list(
            Resize(ShiftedConv(f, f, U_KERNEL, stride=2), ShiftedConv(f, f, UL_KERNEL, right=True, stride=2))
            for _ in range(2)
        )
        self.doubling = module_list(Resize(ShiftedDeconv(f, U_KERNEL), ShiftedDeconv(f, UL_KERNEL)) for _ in range(2))
        self.head = pointwise(f, distribution(config).parameters)

    def forward(self, x: Tensor, view: View | None = None) -> Tensor:
        height, width = x.shape[2:]
        if height % 4 or width % 4:
            raise LmconvError(f"a two-stream network needs multiples of 4 as height and width, not {height}x{width}")
        x = torch.cat((x, torch.ones_like(x[:, :1])), 1)  # the ones mark the inside of the image
        # Each first result is moved down or right by one, so that no position sees itself.
        u = _down(self.u_first(x))
        ul = _down(self.ul_above(x)) + _right(self.ul_left(x))
        skips = [(u, ul)]
        for i, group in enumerate(self.up):
            if i > 0:
                skips.append(self.halving[i - 1](*skips[-1]))
            for pair in group:
                skips.append(self._pair(pair, *skips[-1]))
        u, ul = skips.pop()
        for i, group in enumerate(self.down):
            if i > 0:
                u, ul = self.doubling[i - 1](u, ul)
            for pair in group:
                u, ul = self._pair(pair, u, ul, *skips.pop())
        return self.head(F.elu(ul))

    def _pair(self, pair: Pair, *streams: Tensor) -> tuple[Tensor, Tensor]:
        if self.config.checkpointing and torch.is_grad_enabled():
            return checkpoint(pair, *streams, use_reentrant=False)
        return pair(*streams)


def _groups(config: PixelCnnConfig, sizes: tuple[int, ...], skips: bool) -> Sequence[Sequence[Pair]]:
    return module_list(module_list(Pair(config, skips) for _ in range(size)) for size in sizes)


def _down(x: Tensor) -> Tensor:
    return F.pad(x, (0, 0, 1, -1))


def _right(x: Tensor) -> Tensor:
    return F.pad(x, (1, -1, 0, 0))
