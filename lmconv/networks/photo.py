"""The photo network: a small residual stack of locally masked convolutions on the online least-squares predictor.

It reads integer codes only (uint8, the same in training and on the exact path): the known pixels, their residuals
x - base through a companding table, a plane that marks the inside, and at the current position the red base with its
differences to six neighbours. Wavefront order, one mask pattern per layer. Output: mixture parameters relative to
the bases (likelihood.py). Only additions, products and ReLU, so that it quantises to exact integers.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmconv.config import PhotoConfig
from lmconv.layers import LocallyMaskedConv2d, Masks, TorchMask, single_pattern
from lmconv.networks import likelihood
from lmconv.networks.lists import module_list
from lmconv.networks.precision import in_single
from runtime.least_squares import FILL, UNIT
from runtime.rules import CODE_BITS, CODE_INSIDE, CODE_RANGE, CODE_ZERO, KNOWN, NEIGHBOURS

CURRENT = len(NEIGHBOURS) + 1
ZERO, INSIDE = CODE_ZERO, CODE_INSIDE
KNOWN_SCALE = (64.0, 64.0, 64.0, 32.0, 32.0, 32.0, 64.0)  # codes per unit of the network's input
CURRENT_SCALE = (32.0,) * len(NEIGHBOURS) + (64.0,)


def residual_codes() -> np.ndarray:
    """The companding table, uint8 [8192]: entry (e >> 2) + 4096 codes a residual e in 1/64 grey level.

    128 + sign(e) 18 ln(1 + 2 |e|), e in grey levels at the middle of the step: every residual within 8 bits, symmetric,
    so that a residual of zero has code 129 and the code of zero, 128, stands for the outside alone.
    """
    e = (np.arange(-CODE_RANGE, CODE_RANGE) + 0.5) * (1 << CODE_BITS) / UNIT
    return np.round(ZERO + np.sign(e) * 18 * np.log1p(2 * np.abs(e))).astype(np.uint8)


class Block(nn.Module):
    """h + narrow(relu(wide(relu(h)))), wide a masked k x k convolution, narrow a 1 x 1."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.wide = LocallyMaskedConv2d(channels, channels, kernel)
        self.narrow = nn.Conv2d(channels, channels, 1)
        nn.init.normal_(self.narrow.weight, std=0.3 / channels**0.5)
        nn.init.zeros_(self.narrow.get_parameter("bias"))

    def forward(self, h: Tensor, mask: TorchMask) -> Tensor:
        """[B, C, H, W] -> the same shape."""
        return h + self.narrow(F.relu(self.wide(F.relu(h), mask)))


class PhotoNet(nn.Module):
    """forward(pixels uint8, bases int16 in 1/64 grey level, [B, 3, H, W]) -> mixture parameters [B, 10 K, H, W]."""

    codes: Tensor  # the companding table

    def __init__(self, config: PhotoConfig = PhotoConfig()) -> None:
        super().__init__()
        self.config = config
        c, k = config.channels, config.components
        self.masks = Masks(
            first=single_pattern("wavefront", config.first_kernel, kind="A"),
            later=single_pattern("wavefront", config.kernel, kind="B"),
        )
        self.first = LocallyMaskedConv2d(KNOWN, c, config.first_kernel)
        self.current = nn.Conv2d(CURRENT, c, 1, bias=False)
        self.blocks = module_list(Block(c, config.kernel) for _ in range(config.blocks))
        self.head = nn.Conv2d(c, c, 1)
        self.out = nn.Conv2d(c, likelihood.PARAMETERS * k, 1)
        self.register_buffer("codes", torch.from_numpy(residual_codes()))
        self._initialise()

    def _initialise(self) -> None:
        with torch.no_grad():
            for layer, mask in self._masked():
                layer.weight.mul_((mask.taps[0].numel() / mask.taps[0].sum().item()) ** 0.5)  # fan-in is the open taps
            nn.init.zeros_(self.out.weight)
            bias = self.out.get_parameter("bias")
            nn.init.zeros_(bias)
            spread = torch.arange(self.config.components) * 1.5 - 2.0
            bias.view(likelihood.PARAMETERS, -1)[4:7] = spread

    def _masked(self) -> list[tuple[LocallyMaskedConv2d, TorchMask]]:
        """The masked layers with their masks."""
        first, later = self.masks["first"], self.masks["later"]
        return [(self.first, first), *((block.wide, later) for block in self.blocks)]

    def matrices(self) -> list[nn.Parameter]:
        """The weights of the hidden layers."""
        blocks = [
            weight for block in self.blocks for weight in (block.wide.weight, block.narrow.get_parameter("weight"))
        ]
        return [*blocks, self.head.get_parameter("weight")]

    def size(self) -> tuple[int, int]:
        """Parameters in use and multiply-adds per pixel; weights that the masks close count for neither."""
        closed = sum(layer.weight[:, :, ~mask.taps[0]].numel() for layer, mask in self._masked())
        parameters = sum(parameter.numel() for parameter in self.parameters()) - closed
        return parameters, parameters - sum(p.numel() for name, p in self.named_parameters() if name.endswith("bias"))

    def code(self, residual: Tensor) -> Tensor:
        """Residuals in 1/64 grey level, any integer tensor -> codes uint8."""
        steps = (residual.int() >> CODE_BITS).clamp(-CODE_RANGE, CODE_RANGE - 1)
        return self.codes[steps.long() + CODE_RANGE]  # ONNX gathers by int64 alone

    def inputs(self, pixels: Tensor, bases: Tensor) -> tuple[Tensor, Tensor]:
        """Codes of the known past [B, 7, H, W] and of the current position [B, 7, H, W], uint8."""
        x, base = pixels.int(), bases.int()
        inside = torch.full_like(pixels[:, :1], INSIDE)
        known = torch.cat([pixels, self.code(x * UNIT - base), inside], 1)
        red, base = extend(x[:, 0]), base[:, 0]
        h, w = base.shape[1:]
        near = [red[:, 2 + dr : 2 + dr + h, 2 + dc : 2 + dc + w] * UNIT - base for dr, dc in NEIGHBOURS]
        current = torch.cat([self.code(torch.stack(near, 1)), (base >> 6).to(torch.uint8)[:, None]], 1)
        return known, current

    def forward(self, pixels: Tensor, bases: Tensor) -> Tensor:
        """Of whole pictures."""
        known, current = self.inputs(pixels, bases)
        zero = known.new_tensor([ZERO] * 6 + [0]).view(1, -1, 1, 1)
        known = (known.float() - zero) / known.new_tensor(KNOWN_SCALE, dtype=torch.float32).view(1, -1, 1, 1)
        current = (current.float() - ZERO) / current.new_tensor(CURRENT_SCALE, dtype=torch.float32).view(1, -1, 1, 1)
        if pixels.device.type == "cpu":
            known = known.contiguous(memory_format=torch.channels_last)
        mask = self.masks["later"]
        h = self.first(known, self.masks["first"]) + self.current(current)
        for block in self.blocks:
            h = block(h, mask)
        return in_single(self.out, F.relu(self.head(F.relu(h))))


def extend(plane: Tensor) -> Tensor:
    """[B, H, W] -> [B, H + 2, W + 3] (two above, two to the left, one to the right), as the predictor extends pictures.

    Left of a row stands the first pixel of the row above, right of it its own last, above the picture FILL.
    """
    b, h, w = plane.shape
    body = torch.cat([plane.new_full((b, 2, w), FILL), plane], 1)
    left = torch.cat([plane.new_full((b, 3, 1), FILL), plane[:, :-1, :1]], 1)
    right = body[:, :, -1:]
    return torch.cat([left, left, body, right], 2)
