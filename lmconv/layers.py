"""Locally masked convolution: a convolution that masks its patches, a different mask at every position.

out[b, :, l] = sum over taps t of weight[:, :, t] @ (mask[t, l] * patch[b, :, t, l]) + bias, zero padding.
Two ways to the same numbers: where few tap patterns cover all positions (masks.py), ordinary convolutions of
masked weights, selected per position; otherwise one product a tap of those positions alone that may read it, so
that what a mask closes costs nothing, and only the input is kept for the backward pass. Nothing here but torch
and lmconv.orders.masks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from lmconv.orders import masks
from runtime.variants import TRANSPOSED

# Up to so many patterns a GPU is given convolutions. On a CPU a second one costs more than going by taps: s-curves,
# with 2, take 1.8 to 2.2 times the time of a convolution without masks so, and 0.8 to 1.3 times by taps.
FEW_PATTERNS = 4
ROWS, COLUMNS = 2, 3  # axes of images
CHUNK = 1 << 20  # bytes of the input that a CPU goes through at a time, by taps: what its caches hold


@dataclass(frozen=True, eq=False)
class TorchMask:
    """One layer's mask as tensors: what `LocallyMaskedConv2d.forward` takes. Build it once, move it by `to`.

    `taps [P, k, k] bool` are the patterns, none where they were not looked for, and `boxes` the (top, bottom, left,
    right) ends of the taps that each of them computes: the smallest box round its allowed taps and the centre. A box is
    four bytes, not a tuple, because torch.compile makes integers that change from call to call into variables, and
    shapes must stay constants. `size` is (H, W), and `index [H, W] int32` and `dense [k*k, H*W] bool` are each
    position's pattern and mask. `reads` has for each tap the positions that may read it and those that they read there,
    [2, n] int64. The four are None in a mask for any size, and `index` also where P is 0 or 1. `alternate` are the axis
    along which two patterns take turns, ROWS or COLUMNS, and the first and the second of them; None where they do not.
    `turn [k*k] int64` is for images that were turned or flipped (`turned`): which tap of a layer's kernel stands at
    each tap of these; None where images are as the layer has learned them.
    """

    kernel: int
    dilation: int
    taps: Tensor
    boxes: tuple[bytes, ...]
    size: tuple[int, int] | None = None
    index: Tensor | None = None
    dense: Tensor | None = None
    reads: tuple[Tensor, ...] | None = None
    alternate: bytes | None = None
    turn: Tensor | None = None

    def to(self, device: torch.device | str) -> TorchMask:
        """The same mask on another device; itself if it is there."""
        if self.taps.device == torch.device(device):
            return self
        return replace(
            self,
            taps=self.taps.to(device),
            index=None if self.index is None else self.index.to(device),
            dense=None if self.dense is None else self.dense.to(device),
            reads=None if self.reads is None else tuple(tap.to(device) for tap in self.reads),
            turn=None if self.turn is None else self.turn.to(device),
        )

    def turned(self, variant: int) -> TorchMask:
        """The mask for images in a variant (`oriented`): layers turn their kernels as the images were
        turned, so that they compute what they would of the images themselves in that variant of the order."""
        return replace(self, turn=_turn(self.kernel, variant, self.taps.device))

    def at_positions(self) -> Tensor:
        """`dense`. Raises ValueError in a mask for any size."""
        if self.dense is None:
            raise ValueError("a mask for any size has no list of its taps: build one with mask_from_rank")
        return self.dense


@cache
def _turn(kernel: int, variant: int, device: torch.device) -> Tensor:
    """[k*k] int64: `turn` of TorchMask."""
    taps = oriented(torch.arange(kernel**2).view(kernel, kernel), variant)
    return taps.flatten().to(device)


def oriented(images: Tensor, variant: int) -> Tensor:
    """Images [..., H, W] in one of the 8 variants, as runtime.variants.orient has arrays; [..., W, H] for 4 to 7."""
    if flipped := [axis for axis, bit in ((-1, 2), (-2, 1)) if variant & bit]:
        images = images.flip(flipped)
    return images.transpose(-1, -2).contiguous() if variant & TRANSPOSED else images


def mask_from_rank(
    rank: np.ndarray, kernel: int, dilation: int = 1, kind: str = "A", patterns: bool = True
) -> TorchMask:
    """The mask of a rank map [H, W] for layers of one kernel size and dilation, on images of that size.

    patterns: whether to look for the few that cover it, which pays where a mask is used more than once.
    """
    height, width = rank.shape
    dense = masks.masks(rank, kernel, dilation, kind)
    found = masks.patterns(dense, height, width, kernel, dilation) if patterns else None
    taps = found.taps.reshape(-1, kernel, kernel) if found else np.zeros((0, kernel, kernel), bool)
    several = found if len(taps) > 1 else None
    return TorchMask(
        kernel=kernel,
        dilation=dilation,
        taps=torch.from_numpy(taps),
        boxes=tuple(_box(pattern) for pattern in taps),
        size=(height, width),
        index=torch.from_numpy(several.index.reshape(height, width)) if several else None,
        dense=torch.from_numpy(dense),
        reads=reads(dense, width, kernel, dilation),
        alternate=_alternate(several.index.reshape(height, width), len(taps)) if several else None,
    )


def _alternate(index: np.ndarray, patterns: int) -> bytes | None:
    """The axis along which patterns [H, W] take turns, and their numbers; None where they do not."""
    for axis, lines in ((ROWS, index), (COLUMNS, index.T)):
        turns = lines[:2, 0]
        if patterns == 2 and len(turns) == 2 and (lines == turns[np.arange(len(lines)) % 2, None]).all():
            return bytes((axis, *turns.tolist()))
    return None


def reads(dense: np.ndarray, width: int, kernel: int, dilation: int = 1) -> tuple[Tensor, ...]:
    """Of a mask [k*k, H*W] bool, which positions read each tap, and where it is: k*k of [2, n] int64."""
    found = []
    for tap, mask in enumerate(dense):
        row, col = (dilation * (part - kernel // 2) for part in divmod(tap, kernel))
        readers = np.flatnonzero(mask)
        found.append(torch.from_numpy(np.stack((readers, readers + row * width + col))))
    return tuple(found)


def single_pattern(order: str, kernel: int, dilation: int = 1, kind: str = "A") -> TorchMask:
    """The mask of "raster" or "wavefront", in any variant, for images of any size."""
    pattern = masks.single_pattern(order, kernel, dilation, kind).reshape(kernel, kernel)
    return TorchMask(kernel, dilation, torch.from_numpy(pattern)[None], (_box(pattern),))


class Masks(nn.Module):
    """Masks by name that move with the network that holds them, as buffers do, and are none of its state.

    >>> from lmconv import orders
    >>> rank = orders.make("s_curve", 8, 8)
    >>> masks = Masks(first=mask_from_rank(rank, 3, kind="A"), later=mask_from_rank(rank, 3, kind="B"))
    >>> masks["later"].size, len(masks.state_dict())
    ((8, 8), 0)
    """

    def __init__(self, **masks: TorchMask) -> None:
        super().__init__()
        self._masks = masks
        for name, mask in masks.items():
            for part, tensor in _tensors(mask).items():
                self.register_buffer(f"{name}_{part}", tensor, persistent=False)

    def __getitem__(self, name: str) -> TorchMask:
        mask = self._masks[name]
        parts = {part: getattr(self, f"{name}_{part}") for part in _tensors(mask)}
        if mask.reads is not None:
            parts["reads"] = tuple(parts.pop(f"reads{tap}") for tap in range(len(mask.reads)))
        return replace(mask, **parts)


def _tensors(mask: TorchMask) -> dict[str, Tensor]:
    """A mask's by name."""
    found = {name: getattr(mask, name) for name in ("taps", "index", "dense", "turn")}
    found |= {f"reads{tap}": tensor for tap, tensor in enumerate(mask.reads or ())}
    return {name: tensor for name, tensor in found.items() if tensor is not None}


def _both(name: str, value: int | tuple[int, int]) -> int:
    """A number that is the same for rows and columns. Raises MaskError."""
    rows, columns = (value, value) if isinstance(value, int) else value
    if rows != columns:
        raise masks.MaskError(f"a mask needs the same {name} for rows and columns, not {rows} and {columns}")
    return rows


class LocallyMaskedConv2d(nn.Module):
    """A k x k convolution, same size out, whose mask is given at call time (Jain et al. 2020, LMConv).

    Parameters: `weight [Cout, Cin, k, k]`, `bias [Cout]` and, if asked for, `mask_weight [Cout, k, k]`, which
    acts as if the mask itself were one more input channel. Stride 1; kernel and dilation are the same in rows and
    columns, whether given once or twice. The mask gets no gradient. Raises MaskError.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        dilation: int | tuple[int, int] = 1,
        bias: bool = True,
        mask_weight: bool = False,
    ) -> None:
        super().__init__()
        kernel_size, dilation = _both("kernel_size", kernel_size), _both("dilation", dilation)
        masks.check_layer(kernel_size, dilation, "A")
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.dilation = kernel_size, dilation
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        self.mask_weight = nn.Parameter(torch.empty(out_channels, kernel_size, kernel_size)) if mask_weight else None
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
        if 1 <= len(mask.boxes) <= (1 if x.device.type == "cpu" else FEW_PATTERNS):
            return self.by_patterns(x, mask)
        return self.by_taps(x, mask)

    def by_patterns(self, x: Tensor, mask: TorchMask) -> Tensor:
        """One convolution a pattern, cropped to the taps it allows; then the right one at each position. Where two
        patterns alternate, as an s-curve's do from row to row, each is computed where it is used alone."""
        if mask.alternate is not None:
            axis, *turns = mask.alternate
            parts = [self._one_pattern(x, mask, pattern, _Every(axis, at)) for at, pattern in enumerate(turns)]
            if x.shape[axis] % 2:  # the first has one more
                parts[1] = F.pad(parts[1], (0, 0, 0, 1) if axis == ROWS else (0, 1))
            return torch.stack(parts, axis + 1).flatten(axis, axis + 1).narrow(axis, 0, x.shape[axis])
        out = self._one_pattern(x, mask, 0)
        for pattern in range(1, len(mask.boxes)):
            assert mask.index is not None  # as there are several patterns
            out = torch.where(mask.index == pattern, self._one_pattern(x, mask, pattern), out)
        return out

    def by_taps(self, x: Tensor, mask: TorchMask) -> Tensor:
        """One product a tap, of the positions that may read it: any mask, and no more work than it leaves open."""
        if mask.reads is None:
            raise ValueError("a mask for any size has no list of its taps: build one with mask_from_rank")
        weight = _turned(self.weight, mask)
        if torch.is_autocast_enabled(x.device.type):  # autocast does not see inside an autograd function
            dtype = torch.get_autocast_dtype(x.device.type)
            x, weight = x.to(dtype), weight.to(dtype)
        out = _Taps.apply(x, weight, *mask.reads)
        if self.bias is not None:
            out = out + self.bias[:, None, None].to(out.dtype)
        if self.mask_weight is not None:
            weight = _turned(self.mask_weight, mask)
            of_mask = weight.flatten(1) @ mask.at_positions().to(weight.dtype)  # [Cout, H*W]
            out = out + of_mask.view(-1, *out.shape[2:]).to(out.dtype)
        return out

    def _one_pattern(self, x: Tensor, mask: TorchMask, pattern: int, every: _Every | None = None) -> Tensor:
        """By one pattern, everywhere, or in every other row or column."""
        top, bottom, left, right = mask.boxes[pattern]
        taps = mask.taps[pattern, top:bottom, left:right]
        weight = _turned(self.weight, mask)[:, :, top:bottom, left:right] * taps
        out = self._cropped(x, weight, self.bias, mask.boxes[pattern], every)
        if self.mask_weight is not None:
            # The mask is 0 outside the image, the pattern need not be: zero padding round ones makes it so.
            weight = _turned(self.mask_weight, mask)[:, None, top:bottom, left:right] * taps
            out = out + self._cropped(torch.ones_like(x[:1, :1]), weight, None, mask.boxes[pattern], every)
        return out

    def _cropped(self, x: Tensor, weight: Tensor, bias: Tensor | None, box: bytes, every: _Every | None) -> Tensor:
        """The convolution with the part of a k x k kernel that lies in `box`, padded to keep the size."""
        top, bottom, left, right = box
        centre, d = self.kernel_size // 2, self.dilation
        rows = (d * (centre - top), d * (bottom - 1 - centre))  # padding above, below
        cols = (d * (centre - left), d * (right - 1 - centre))
        if every is not None:
            x = F.pad(x, (*cols, *rows))
            x = x.narrow(every.axis, every.first, x.shape[every.axis] - every.first)
            return F.conv2d(x, weight, bias, (2, 1) if every.axis == ROWS else (1, 2), dilation=d)
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
        """The settings, for `print`."""
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"dilation={self.dilation}, bias={self.bias is not None}, "
            f"mask_weight={self.mask_weight is not None}"
        )


class _Every(NamedTuple):
    """Every other line along an axis, ROWS or COLUMNS, from the first (0) or the second one (1) on."""

    axis: int
    first: int


def _turned(weight: Tensor, mask: TorchMask) -> Tensor:
    """Kernels [..., k, k] as they stand in images that the mask is for."""
    return weight if mask.turn is None else weight.flatten(-2)[..., mask.turn].view_as(weight)


class _Taps(torch.autograd.Function):
    """The sum over taps of weight[:, :, tap] @ what its readers read there; keeps only x, weight and reads for later.

    A few images at a time, as rows [H*W, n, C]. Half precision is summed in single.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, *reads: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight, *reads)
        taps = weight.flatten(2).permute(2, 1, 0).contiguous()  # [k*k, Cin, Cout]
        out = _empty(x, len(weight))
        for chunk in _chunks(x):
            out[chunk] = _images(_sum(_rows(x[chunk]), taps, reads), x)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, *reads = ctx.saved_tensors
        grad_x = grad_weight = None
        if ctx.needs_input_grad[0]:  # the same sum, by the positions that were read
            taps = weight.flatten(2).permute(2, 0, 1).contiguous()  # [k*k, Cout, Cin]
            read_by = [pair.flip(0) for pair in reads]
            grad_x = _empty(x, x.shape[1])
            for chunk in _chunks(x):
                grad_x[chunk] = _images(_sum(_rows(grad[chunk]), taps, read_by), x)
        if ctx.needs_input_grad[1]:
            total = weight.new_zeros(len(reads), *weight.shape[:2], dtype=_wide(weight))
            for chunk in _chunks(x):
                rows, grads = _rows(x[chunk]), _rows(grad[chunk])
                for tap, (here, there) in enumerate(reads):
                    total[tap] += _take(grads, here).flatten(0, 1).T @ _take(rows, there).flatten(0, 1)
            grad_weight = total.permute(1, 2, 0).reshape(weight.shape).to(weight.dtype)
        return grad_x, grad_weight, *(None for _ in reads)


def _sum(rows: Tensor, taps: Tensor, reads: Sequence[Tensor]) -> Tensor:
    """[H*W, n, Cin] -> [H*W, n, Cout]: at the first positions of each pair what the tap makes of the second."""
    centre = len(reads) // 2
    if reads[centre].shape[1] == len(rows):  # kind B: the centre is read everywhere, and is where the sum starts
        total = (rows @ taps[centre]).to(_wide(rows))
    else:
        total = rows.new_zeros(*rows.shape[:2], taps.shape[2], dtype=_wide(rows))
    for tap, (here, there) in enumerate(reads):
        if 0 < len(here) < len(rows):
            total.index_add_(0, here, (rows.index_select(0, there) @ taps[tap]).to(total.dtype))
    return total


def _take(rows: Tensor, positions: Tensor) -> Tensor:
    """The rows at some positions; where these are as many as there are, they are all of them, in order."""
    return rows if len(positions) == len(rows) else rows.index_select(0, positions)


def _chunks(x: Tensor) -> list[slice]:
    """Slices of images: what a CPU's caches hold, all of them on a GPU and in a compiled graph."""
    step = len(x)
    if x.device.type == "cpu" and not torch.compiler.is_compiling():
        step = max(1, CHUNK // max(1, x[:1].numel() * x.element_size()))
    return [slice(start, start + step) for start in range(0, len(x), max(1, step))]


def _rows(x: Tensor) -> Tensor:
    """[n, C, H, W] -> [H*W, n, C]."""
    return x.flatten(2).permute(2, 0, 1).contiguous()


def _images(rows: Tensor, like: Tensor) -> Tensor:
    """[H*W, n, C] -> [n, C, H, W]."""
    return rows.permute(1, 2, 0).unflatten(2, like.shape[2:])


def _empty(x: Tensor, channels: int) -> Tensor:
    """Room for [B, channels, H, W] laid out in memory as x is."""
    last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    form = torch.channels_last if last else torch.contiguous_format
    return torch.empty((len(x), channels, *x.shape[2:]), dtype=x.dtype, device=x.device, memory_format=form)


def _wide(x: Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)


def _box(pattern: np.ndarray) -> bytes:
    """The ends (top, bottom, left, right) of the box round the allowed taps of [k, k] bool and the centre.

    With the centre in it no padding is negative, and a pattern that allows nothing still has a kernel.
    """
    centre = len(pattern) // 2
    row, col = (np.append(found, centre) for found in np.nonzero(pattern))
    return bytes((row.min(), row.max() + 1, col.min(), col.max() + 1))
