"""Gated PixelCNN (van den Oord et al. 2016, "Conditional image generation with PixelCNN decoders", section 2).

Two stacks: the vertical one sees all rows above, the horizontal one its own row to the left and, moved down by a row,
the vertical one; together they see all that came before, without a blind spot. Activations are tanh of one half of the
features times the sigmoid of the other (equation 2); a label adds V^T h to both (equation 4). Residuals are in the
horizontal stack alone (figure 2).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmconv.family.settings import GatedPixelCnnConfig
from lmconv.networks.distributions import centred
from lmconv.networks.lists import module_list
from lmconv.networks.model import ImageNetwork, View, outputs


def gate(x: Tensor) -> Tensor:
    """tanh of the first half of axis 1 times the sigmoid of the second."""
    a, b = x.chunk(2, 1)
    return torch.tanh(a) * torch.sigmoid(b)


def down(x: Tensor) -> Tensor:
    """[B, C, H, W] moved down by a row, zeros in the first."""
    return F.pad(x, (0, 0, 1, 0))[:, :, :-1]


class Layer(nn.Module):
    """A layer of both stacks; the first one's horizontal stack does not see the pixel itself."""

    def __init__(self, inputs: int, filters: int, kernel: int, given: int, first: bool) -> None:
        super().__init__()
        self.first, self.reach = first, kernel // 2
        self.vertical = nn.Conv2d(inputs, 2 * filters, (self.reach + 1, kernel))
        self.horizontal = nn.Conv2d(inputs, 2 * filters, (1, self.reach if first else self.reach + 1))
        self.link, self.result = nn.Conv2d(2 * filters, 2 * filters, 1), nn.Conv2d(filters, filters, 1)
        self.labels = nn.Conv2d(given, 4 * filters, 1, bias=False) if given else None

    def forward(self, v: Tensor, h: Tensor, planes: Tensor | None) -> tuple[Tensor, Tensor]:
        """Both stacks [B, C, H, W] -> [B, F, H, W] each."""
        above = self.vertical(F.pad(v, (self.reach, self.reach, self.reach, 0)))
        left = F.pad(h, (self.reach, 0, 0, 0))
        beside = self.horizontal(left[:, :, :, :-1] if self.first else left)
        if self.labels is not None:
            assert planes is not None
            one, other = self.labels(planes).chunk(2, 1)
            above, beside = above + one, beside + other
        beside = beside + self.link(down(above))
        out = self.result(gate(beside))
        return gate(above), out if self.first else h + out


class Network(ImageNetwork[GatedPixelCnnConfig]):
    """`layers`, then `last` and `out`, 1 x 1, from the horizontal stack."""

    def __init__(self, config: GatedPixelCnnConfig) -> None:
        super().__init__(config)
        f = config.filters
        self.layers = module_list(
            Layer(config.channels if number == 0 else f, f, config.kernel, config.given, number == 0)
            for number in range(config.layers)
        )
        self.last, self.out = nn.Conv2d(f, f, 1), nn.Conv2d(f, outputs(config), 1)

    def forward(self, x: Tensor, view: View) -> Tensor:
        """[B, C, H, W] -> [B, P, H, W]."""
        planes = None if view.planes is None else centred(view.planes.to(x.device), 8, x.dtype)
        v = h = x
        for layer in self.layers:
            v, h = layer(v, h, planes)
        return self.full(self.out(F.relu(self.last(F.relu(h)))))
