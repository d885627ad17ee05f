"""The quantised photo network in PyTorch: whole pictures, the same integers as the runtime's step, at every position.

Patches are gathered by padding and slicing and multiplied in float32, which is exact because every sum stays below
2^24; no convolution operator, since those may be computed by Winograd's method or FFT.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from export.exact.integers import IntegerLayer
from export.photo.network import IntegerPhoto, output_units
from lmconv.networks.photo import KNOWN, ZERO, PhotoNet


class IntegerPhotoNet(nn.Module):
    """forward(known [B, 7, H, W] uint8, current [B, 7, H, W] uint8) -> parameters int32 [B, 10 K, H, W].

    The machine of IntegerPhoto.run on images. dtype: float32 and float64 give the same integers.
    """

    def __init__(self, integer: IntegerPhoto, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.integer, self.dtype = integer, dtype

    @torch.no_grad()
    def forward(self, known: Tensor, current: Tensor) -> Tensor:
        """Of whole pictures."""
        offsets = self.integer.first_offsets
        padding = torch.tensor([ZERO] * (KNOWN - 1) + [0], dtype=self.dtype).view(1, -1, 1, 1)
        x = patches(known.to(self.dtype) - padding, offsets) + padding.repeat(1, len(offsets), 1, 1)
        self.inputs = torch.cat([x, current.to(self.dtype)], 1)
        return self.integer.run(self)

    def value(self, x: Tensor, layer: IntegerLayer) -> Tensor:
        return self.sums(x, layer) * 2.0 ** -torch.from_numpy(layer.shift).to(self.dtype).view(-1, 1, 1)

    def activation(self, x: Tensor, name: str, exponent: int = 0) -> Tensor:
        return activation(x, exponent)

    def patches(self, x: Tensor, block: int) -> Tensor:
        return patches(x, self.integer.offsets)

    def add(self, h: Tensor, x: Tensor, name: str) -> Tensor:
        return h + x

    def result(self, x: Tensor, layer: IntegerLayer) -> Tensor:
        return finish(self.sums(x, layer).to(torch.int64), torch.from_numpy(layer.shift).view(-1, 1, 1))

    def sums(self, x: Tensor, layer: IntegerLayer) -> Tensor:
        """[B, inputs, H, W] -> [B, outputs, H, W]: sum + bias, not yet shifted."""
        weight = torch.from_numpy(layer.weight).to(self.dtype)
        return torch.einsum("bihw,io->bohw", x, weight) + torch.from_numpy(layer.bias).to(self.dtype).view(-1, 1, 1)


def activation(value: Tensor, exponent: int = 0) -> Tensor:
    """clip(round half even(value * 2^-exponent), 0, 255)."""
    return torch.round(value * 2.0**-exponent).clamp(0, 255)


def finish(sums: Tensor, shift: Tensor) -> Tensor:
    """Parameters int32 = floor(sum * 2^-shift), for shifts of either sign; sums include their bias."""
    return torch.where(shift >= 0, sums >> shift.clamp(min=0), sums << (-shift).clamp(min=0)).to(torch.int32)


def patches(x: Tensor, offsets: tuple[tuple[int, int], ...]) -> Tensor:
    """[B, C, H, W] -> [B, taps * C, H, W], zero outside."""
    reach = max(max(abs(r), abs(c)) for r, c in offsets)
    h, w = x.shape[2:]
    padded = F.pad(x, (reach,) * 4)
    return torch.cat([padded[:, :, reach + r : reach + r + h, reach + c : reach + c + w] for r, c in offsets], 1)


def float_parameters(net: PhotoNet, parameters: Tensor) -> Tensor:
    """Integer parameters as the float network would have put them out, for measuring the loss of rounding."""
    units = torch.from_numpy(output_units(net.config.components)).view(-1, 1, 1)
    return (parameters.double() / units).float()
