"""Locally masked convolution: a convolution that masks its patches, a different mask at every position.

out[b, :, l] = sum over taps t of weight[:, :, t] @ (mask[t, l] * patch[b, :, t, l]) + bias, zero padding.
Two ways to the same numbers: where few tap patterns cover all positions (masks.py), ordinary convolutions of
masked weights, selected per position; otherwise unfolded patches times the mask, recomputed in the backward
pass instead of saved. Nothing here but torch and lmconv.masks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from lmconv import masks

# Time grows with the patterns, while unfolding costs the same for any mask. Forward and backward, 3x3, one
# CPU core: 4 patterns take 0.5 (64 channels) to 0.9 (160) of unfolding's time. Larger kernels gain more.
FEW_PATTERNS = 4


@dataclass(frozen=True, eq=False)
class TorchMask:
    """One layer's mask as tensors: what `LocallyMaskedConv2d.forward` takes. Build it once, move it by `to`.

    `taps [P, k, k] bool` are the patterns and `boxes` the (top, bottom, left, right) ends of the taps that
    each of them computes: the smallest box round its allowed taps and the centre. A box is four bytes, not a
    tuple, because torch.compile makes integers that change from call to call into variables, and shapes must
    stay constants. `size` is (H, W), and `index [H, W] int32` and `dense [k*k, H*W] bool` are each position's
    pattern and mask. The three are None in a mask for any size, and `index` also where P = 1.
    """

    kernel: int
    dilation: int
    taps: Tensor
    boxes: tuple[bytes, ...]
    size: tuple[int, int] | None = None
    index: Tensor | None = None
    dense: Tensor | None = None

    def to(self, device: torch.device | str) -> TorchMask:
        """The same mask on another device; itself if it is there."""
        if self.taps.device == torch.device(device):
            return self
        moved = {
            name: None if tensor is None else tensor.to(device)
            for name, tensor in (("taps", self.taps), ("index", self.index), ("dense", self.dense))
        }
        return replace(self, **moved)


def mask_from_rank(rank: np.ndarray, kernel: int, dilation: int = 1, kind: str = "A") -> TorchMask:
    """The mask of a rank map [H, W] for layers of one kernel size and dilation, on images of that size."""
    height, width = rank.shape
    dense = masks.masks(rank, kernel, dilation, kind)
    found = masks.patterns(dense, height, width, kernel, dilation)
    taps = found.taps.reshape(-1, kernel, kernel)
    return TorchMask(
        kernel=kernel,
        dilation=dilation,
        taps=torch.from_numpy(taps),
        boxes=tuple(_box(pattern) for pattern in taps),
        size=(height, width),
        index=torch.from_numpy(found.index.reshape(height, width)) if len(taps) > 1 else None,
        dense=torch.from_numpy(dense),
    )


def single_pattern(order: str, kernel: int, dilation: int = 1, kind: str = "A") -> TorchMask:
    """The mask of "raster" or "wavefront", in any variant, for images of any size."""
    pattern = masks.single_pattern(order, kernel, dilation, kind).reshape(kernel, kernel)
    return TorchMask(kernel, dilation, torch.from_numpy(pattern)[None], (_box(pattern),))


class LocallyMaskedConv2d(nn.Module):
    """A k x k convolution, same size out, whose mask is given at call time (Jain et al. 2020, LMConv).

    Parameters: `weight [Cout, Cin, k, k]`, `bias [Cout]` and, if asked for, `mask_weight [Cout, k, k]`, which
    acts as if the mask itself were one more input channel. Stride 1. The mask gets no gradient.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        dilation: int = 1,
        bias: bool = True,
        mask_weight: bool = False,
    ) -> None:
        super().__init__()
        masks.check_layer(kernel_size, dilation, "A")
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.dilation = kernel_size, dilation
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        self.mask_weight = (
            nn.Parameter(torch.empty(out_channels, kernel_size, kernel_size)) if mask_weight else None
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the parameters as torch's convolutions do."""
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.mask_weight is not None:
            nn.init.kaiming_uniform_(self.mask_weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_channels * self.kernel_size**2)
            nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Tensor, mask: TorchMask) -> Tensor:
        """[B, Cin, H, W] -> [B, Cout, H, W]. Raises ValueError if the mask is for another layer or size."""
        self._check(x, mask)
        if len(mask.boxes) <= FEW_PATTERNS:
            return self.by_patterns(x, mask)
        return self.by_unfolding(x, mask)

    def by_patterns(self, x: Tensor, mask: TorchMask) -> Tensor:
        """One convolution a pattern, cropped to the taps it allows; then the right one at each position."""
        out = self._one_pattern(x, mask, 0)
        for pattern in range(1, len(mask.boxes)):
            out = torch.where(mask.index == pattern, self._one_pattern(x, mask, pattern), out)
        return out

    def by_unfolding(self, x: Tensor, mask: TorchMask) -> Tensor:
        """Unfolded patches times the mask, then one matrix product: any mask, memory k*k times the input."""
        if mask.dense is None:
            raise ValueError(
                "a mask for any size has no dense form to unfold with: build one with mask_from_rank"
            )
        weight = self.weight
        if torch.is_autocast_enabled(x.device.type):  # autocast does not see inside an autograd function
            dtype = torch.get_autocast_dtype(x.device.type)
            x, weight = x.to(dtype), weight.to(dtype)
        out = _MaskedPatches.apply(x, mask.dense, weight, self.dilation)  # [B, Cout, H*W]
        if self.bias is not None:
            out = out + self.bias[:, None].to(out.dtype)
        if self.mask_weight is not None:
            of_mask = self.mask_weight.flatten(1) @ mask.dense.to(self.mask_weight.dtype)  # [Cout, H*W]
            out = out + of_mask.to(out.dtype)
        return out.unflatten(2, x.shape[2:])

    def _one_pattern(self, x: Tensor, mask: TorchMask, pattern: int) -> Tensor:
        top, bottom, left, right = mask.boxes[pattern]
        taps = mask.taps[pattern, top:bottom, left:right]
        weight = self.weight[:, :, top:bottom, left:right] * taps
        out = self._cropped(x, weight, self.bias, mask.boxes[pattern])
        if self.mask_weight is not None:
            # The mask is 0 outside the image, the pattern need not be: zero padding round ones makes it so.
            weight = self.mask_weight[:, None, top:bottom, left:right] * taps
            out = out + self._cropped(torch.ones_like(x[:1, :1]), weight, None, mask.boxes[pattern])
        return out

    def _cropped(self, x: Tensor, weight: Tensor, bias: Tensor | None, box: bytes) -> Tensor:
        """The convolution with the part of a k x k kernel that lies in `box`, padded to keep the size."""
        top, bottom, left, right = box
        centre, d = self.kernel_size // 2, self.dilation
        rows = (d * (centre - top), d * (bottom - 1 - centre))  # padding above, below
        cols = (d * (centre - left), d * (right - 1 - centre))
        both = (min(rows), min(cols))  # what the convolution itself pads
        more = (cols[0] - both[1], cols[1] - both[1], rows[0] - both[0], rows[1] - both[0])
        if any(more):
            x = F.pad(x, more)
        return F.conv2d(x, weight, bias, padding=both, dilation=d)

    def _check(self, x: Tensor, mask: TorchMask) -> None:
        if (mask.kernel, mask.dilation) != (self.kernel_size, self.dilation):
            raise ValueError(
                f"the mask is for kernel {mask.kernel} and dilation {mask.dilation}, "
                f"the layer has kernel {self.kernel_size} and dilation {self.dilation}"
            )
        if mask.size is not None and mask.size != tuple(x.shape[2:]):
            raise ValueError(f"the mask is for images of (H, W) = {mask.size}, not {tuple(x.shape[2:])}")

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"dilation={self.dilation}, bias={self.bias is not None}, "
            f"mask_weight={self.mask_weight is not None}"
        )


class _MaskedPatches(torch.autograd.Function):
    """weight @ (mask * unfold(x)), keeping only x, mask and weight for the backward pass."""

    @staticmethod
    def forward(ctx, x: Tensor, mask: Tensor, weight: Tensor, dilation: int) -> Tensor:
        ctx.save_for_backward(x, mask, weight)
        ctx.dilation = dilation
        return weight.flatten(1) @ _masked_patches(x, mask, weight.shape[-1], dilation)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, None, Tensor | None, None]:
        x, mask, weight = ctx.saved_tensors
        grad_x = grad_weight = None
        if ctx.needs_input_grad[0]:
            patches = weight.flatten(1).T @ grad  # [B, Cin k*k, H*W]
            _apply_mask(patches, mask)
            kernel, d = weight.shape[-1], ctx.dilation
            grad_x = F.fold(patches, x.shape[2:], kernel, dilation=d, padding=d * (kernel // 2))
            del patches
        if ctx.needs_input_grad[2]:
            patches = _masked_patches(x, mask, weight.shape[-1], ctx.dilation)
            grad_weight = (grad @ patches.mT).sum(0).view_as(weight)
        return grad_x, None, grad_weight, None


def _masked_patches(x: Tensor, mask: Tensor, kernel: int, dilation: int) -> Tensor:
    """[B, Cin, H, W] -> [B, Cin k*k, H*W]."""
    patches = F.unfold(x, kernel, dilation=dilation, padding=dilation * (kernel // 2))
    _apply_mask(patches, mask)
    return patches


def _apply_mask(patches: Tensor, mask: Tensor) -> None:
    """Multiplies [B, Cin k*k, H*W] by [k*k, H*W] in place, the same for every channel."""
    patches.unflatten(1, (-1, mask.shape[0])).mul_(mask.to(patches.dtype))


def _box(pattern: np.ndarray) -> bytes:
    """The ends (top, bottom, left, right) of the box round the allowed taps of [k, k] bool and the centre.

    With the centre in it no padding is negative, and a pattern that allows nothing still has a kernel.
    """
    centre = len(pattern) // 2
    row, col = (np.append(found, centre) for found in np.nonzero(pattern))
    return bytes((row.min(), row.max() + 1, col.min(), col.max() + 1))
