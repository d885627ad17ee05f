"""PixelCNN (van den Oord, Kalchbrenner and Kavukcuoglu 2016, "Pixel recurrent neural networks", section 3.5).

Masked convolutions in raster order: a 7 x 7 of mask A, residual blocks of 1 x 1, 3 x 3 of mask B and 1 x 1 (figure 5),
then two 1 x 1 layers. A 3 x 3 of mask B sees nothing to the right in its own row and what is above it: what lies above
and far to the right stays hidden from any depth of them, the blind spot. Colours of a pixel see each other through the
distribution (distributions.Logistics) and not through masks on channels.
"""

import itertools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmconv.family.settings import MaskedPixelCnnConfig
from lmconv.layers import LocallyMaskedConv2d, Masks, single_pattern
from lmconv.networks.lists import module_list
from lmconv.networks.model import Choose, ImageNetwork, View, outputs


class Block(nn.Module):
    """h + a block of half its width."""

    def __init__(self, filters: int) -> None:
        super().__init__()
        half = max(1, filters // 2)
        self.down, self.up = nn.Conv2d(filters, half, 1), nn.Conv2d(half, filters, 1)
        self.masked = LocallyMaskedConv2d(half, half, 3)

    def forward(self, h: Tensor, masks: Masks) -> Tensor:
        """[B, F, H, W] -> the same shape."""
        inner = self.masked(F.relu(self.down(F.relu(h))), masks["later"])
        return h + self.up(F.relu(inner))


class Stack(nn.Module):
    """`first`, `blocks`, `last` and `out`: of each pixel `count` numbers, from those before it in raster order."""

    def __init__(self, channels: int, filters: int, kernel: int, blocks: int, count: int) -> None:
        super().__init__()
        first = single_pattern("raster", kernel, kind="A")
        self.masks = Masks(first=first, later=single_pattern("raster", 3, kind="B"))
        self.first = LocallyMaskedConv2d(channels, filters, kernel)
        self.blocks = module_list(Block(filters) for _ in range(blocks))
        self.last = nn.Conv2d(filters, filters, 1)
        self.out = nn.Conv2d(filters, count, 1)

    def forward(self, x: Tensor, told: Tensor | None = None) -> Tensor:
        """[B, C, H, W] -> [B, count, H, W]; told: features [B, F, H, W] that are known of each pixel besides."""
        h = self.first(x, self.masks["first"])
        h = h if told is None else h + told
        for block in self.blocks:
            h = block(h, self.masks)
        return self.out(F.relu(self.last(F.relu(h))))

    @torch.no_grad()
    def walk(self, x: Tensor, told: Tensor | None, value: Callable[[Tensor, int], Tensor]) -> None:
        """Pixel by pixel: `value` makes of the outputs [B, count] at a position, row-major, its values [B, C], which go
        into x. Each is computed from what lies so near that it is seen."""
        reach, (height, width) = self.first.kernel_size // 2 + len(self.blocks), x.shape[2:]
        for row, column in itertools.product(range(height), range(width)):
            top, left = max(0, row - reach), max(0, column - reach)
            near = (..., slice(top, row + 1), slice(left, column + reach + 1))
            out = self(x[near], None if told is None else told[near])[:, :, row - top, column - left]
            x[:, :, row, column] = value(out, row * width + column)


class Network(ImageNetwork[MaskedPixelCnnConfig]):
    """A `stack`."""

    def __init__(self, config: MaskedPixelCnnConfig) -> None:
        super().__init__(config)
        self.stack = Stack(config.channels, config.filters, config.kernel, config.blocks, outputs(config))

    def forward(self, x: Tensor, view: View) -> Tensor:
        """[B, C, H, W] -> [B, P, H, W]."""
        return self.full(self.stack(x))

    def draw(self, view: View, choose: Choose, x: Tensor) -> None:
        """Pixel by pixel."""
        self.stack.walk(x, None, lambda out, position: choose(self.full(out), position))
