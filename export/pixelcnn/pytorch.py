"""The quantised paper's network in PyTorch: whole images in one order, the same integers as the runtime's steps.

Patches are gathered by padding and slicing, closed taps hold the code of 0, and products are products of matrices, not
convolutions: libraries may compute those by Winograd's method or FFT.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from export.pixelcnn.network import (
    REST_UNIT,
    REST_ZERO,
    SIGMOID_RANGE,
    SIGMOID_UNIT,
    Codes,
    IntegerPixelCnn,
    Product,
    Which,
)
from export.pixelcnn.outputs import floats
from lmconv.networks import kinds
from lmconv.networks.distributions import distribution
from lmconv.networks.pixelcnn import order_masks
from lmconv.orders.masks import masks
from runtime.pixelcnn import INSIDE


class IntegerPixelCnnNet(nn.Module):
    """forward(levels uint8 [B, C, H, W]) -> parameters int32 [B, P, H, W], under one rank map [H, W].

    The machine of IntegerPixelCnn.run on images [B, C, H, W]. dtype is that of all but norms, which are float64:
    float32 and float64 give the same integers.
    """

    def __init__(self, integer: IntegerPixelCnn, rank: np.ndarray, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.integer, self.dtype, config = integer, dtype, integer.config
        self.dilation = {"first": 1, "plain": 1, "dilated": config.dilation}
        self.open = {
            which: torch.from_numpy(masks(rank, config.kernel, dilation, "A" if which == "first" else "B"))
            for which, dilation in self.dilation.items()
        }
        self.elu, self.sigmoid, self.tanh = (
            torch.from_numpy(table) for table in (integer.elu, integer.sigmoid, integer.tanh)
        )

    @torch.no_grad()
    def forward(self, levels: Tensor) -> Tensor:
        """Of whole images."""
        pixels = levels.to(self.dtype) * (255 if self.integer.config.binary else 1)
        self.inputs = torch.cat([pixels, torch.full_like(pixels[:, :1], INSIDE)], 1)
        return self.integer.run(self)

    def first(self, product: Product) -> Tensor:
        taps = self._taps(self.inputs, torch.zeros(self.inputs.shape[1]), "first")
        del taps[len(taps) // 2]
        return torch.round(self.whole(torch.cat(taps, 1), product))

    def convolve(self, x: Tensor, product: Product, which: Which) -> Tensor:
        taps = self._taps(self._encoded(x, product.entry()), torch.from_numpy(product.entry().zero), which)
        if self.integer.config.mask_weight:
            opens = self.open[which].view(1, -1, *x.shape[2:]).to(self.dtype) * INSIDE
            taps.append(opens.expand(len(x), -1, -1, -1))
        return torch.round(self.whole(torch.cat(taps, 1), product))

    def norm(self, x: Tensor, product: Product, which: Which) -> Tensor:
        n, x = self.integer, x.clamp(-product.limit, product.limit).double()
        if n.config.norm == "pono":
            divisor, epsilon = n.variance(product)
            x = n.config.filters * x - x.sum(1, keepdim=True)
            x = torch.round(x / torch.sqrt(x.square().sum(1, keepdim=True) / divisor + epsilon))
        if n.config.norm == "order_rescale":
            count = self.open["dilated" if which == "dilated" else "plain"].sum(0).view(x.shape[2:])
            x = torch.round(x / count)
        return x.clamp(-n.limit, n.limit).to(self.dtype)

    def concat_elu(self, x: Tensor) -> Tensor:
        return self._elu(torch.cat([x, -x], 1))

    def add_skip(self, x: Tensor, skip: Tensor, product: Product) -> Tensor:
        limit = self.integer.limit
        skip = torch.round(self.whole(self._encoded(skip, product.entry()), product)).clamp(-limit, limit)
        return (x + skip).clamp(-limit, limit)

    def gate(self, h: Tensor, x: Tensor, product: Product, which: Which) -> Tensor:
        n, ends = self.integer, SIGMOID_RANGE * SIGMOID_UNIT
        a, b = x.chunk(2, 1)
        sigmoid = self.sigmoid[b.clamp(-ends, ends).long()].to(self.dtype) * 2.0**-n.sigmoid_bits
        return (h + torch.round(self.norm(a, product, which) * sigmoid)).clamp(-n.limit, n.limit)

    def result(self, h: Tensor, product: Product) -> Tensor:
        n = self.integer
        h = self._moved(self._elu(h), product.entry())
        codes = torch.round(h).clamp(0, 255)
        rest = (torch.round((h - codes) * REST_UNIT) + REST_ZERO).clamp(0, 255)
        x = torch.floor(self.whole(torch.cat([codes, rest], 1), product)).double()
        lowest, highest = (torch.from_numpy(end).view(-1, 1, 1) for end in (n.lowest, n.highest))
        x = x.clamp(lowest, highest).long()
        if n.couplings:
            x[:, -n.couplings :] = self.tanh[x[:, -n.couplings :]]
        return x.to(torch.int32)

    def whole(self, x: Tensor, product: Product) -> Tensor:
        """(sum + bias) * 2^-shift of inputs [B, inputs, H, W]."""
        parts = (product.layer.weight, product.layer.bias, product.layer.shift)
        weight, bias, shift = (torch.from_numpy(part).to(self.dtype) for part in parts)
        total = torch.einsum("bihw,io->bohw", x, weight) + bias.view(-1, 1, 1)
        return total * 2.0 ** -shift.view(-1, 1, 1)

    def _elu(self, x: Tensor) -> Tensor:
        """x where it is positive, and the table where it is negative and the larger of the two."""
        return torch.maximum(x, self.elu[x.clamp(1 - len(self.elu), 0).long()].to(self.dtype))

    def _encoded(self, x: Tensor, codes: Codes) -> Tensor:
        return torch.round(self._moved(x, codes)).clamp(0, 255)

    def _moved(self, x: Tensor, codes: Codes) -> Tensor:
        """Codes before they are rounded."""
        scale, zero = (torch.from_numpy(each).to(self.dtype).view(-1, 1, 1) for each in (codes.scale, codes.zero))
        return x * scale + zero

    def _taps(self, x: Tensor, padding: Tensor, which: Which) -> list[Tensor]:
        """[B, C, H, W] -> for each tap what is there, or the padding [C] where it is closed."""
        (h, w), kernel, dilation = x.shape[2:], self.integer.config.kernel, self.dilation[which]
        padding, padded = padding.to(self.dtype).view(-1, 1, 1), F.pad(x, (dilation * (kernel // 2),) * 4)
        taps = []
        for tap, mask in enumerate(self.open[which]):
            row, col = (dilation * part for part in divmod(tap, kernel))
            taps.append(torch.where(mask.view(h, w), padded[:, :, row : row + h, col : col + w], padding))
        return taps


@torch.no_grad()
def bits_per_dim(
    net: kinds.Forward, integer: IntegerPixelCnn, ranks: list[np.ndarray], levels: np.ndarray, batch: int = 16
) -> tuple[float, float]:
    """Of images, levels uint8 [N, C, H, W]: under the float network and its integers, means over the rank maps."""
    totals, config = np.zeros(2), integer.config
    for rank in ranks:
        masks, rounded = order_masks(rank, config), IntegerPixelCnnNet(integer, rank)
        for part in torch.from_numpy(levels).split(batch):
            totals[0] += kinds.nll(net, config, part, masks).double().sum().item()
            parameters = floats(config, rounded(part))
            totals[1] += distribution(config).nll(parameters, part).sum().item()
    float_bits, integer_bits = totals / (len(ranks) * levels.size * math.log(2))
    return float(float_bits), float(integer_bits)
