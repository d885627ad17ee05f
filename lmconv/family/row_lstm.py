"""PixelRNN with row LSTMs (van den Oord, Kalchbrenner and Kavukcuoglu 2016, section 3.1).

A 7 x 7 convolution of mask A, then layers, each an LSTM that goes from row to row (equation 3): what comes from the
input is a masked 1 x 3 convolution of all rows at once, what comes from the state a 1 x 3 convolution of the row above.
So a pixel sees a triangle above it, not all of it. Residual connections go over each layer (figure 5), twice as wide as
a state.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmconv.family.settings import RowLstmConfig
from lmconv.layers import LocallyMaskedConv2d, Masks, single_pattern
from lmconv.networks.lists import module_list
from lmconv.networks.model import ImageNetwork, View, outputs


def cell(gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """An LSTM's new state (h, c) from the sums of its gates o, f, i and g, side by side in axis 1 (equation 3)."""
    o, f, i, g = gates.chunk(4, 1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


class RowLstm(nn.Module):
    """[B, 2 K, H, W] -> [B, K, H, W]."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.of_input = nn.Conv2d(2 * hidden, 4 * hidden, (1, 2))  # of 3 columns, the right one masked
        self.of_state = nn.Conv1d(hidden, 4 * hidden, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Row by row."""
        inputs = self.of_input(F.pad(x, (1, 0)))
        h = c = inputs.new_zeros(x.shape[0], self.of_state.in_channels, x.shape[3])
        rows = []
        for row in inputs.permute(2, 0, 1, 3).contiguous():
            h, c = cell(row + self.of_state(h), c)
            rows.append(h)
        return torch.stack(rows, 2)


class Network(ImageNetwork[RowLstmConfig]):
    """`first`, `layers` with their `up`, 1 x 1 to the residual, `last` and `out`."""

    def __init__(self, config: RowLstmConfig) -> None:
        super().__init__(config)
        hidden = config.hidden
        self.masks = Masks(first=single_pattern("raster", config.kernel, kind="A"))
        self.first = LocallyMaskedConv2d(config.channels, 2 * hidden, config.kernel)
        self.layers = module_list(self.layer(hidden) for _ in range(config.layers))
        self.up = module_list(nn.Conv2d(hidden, 2 * hidden, 1) for _ in range(config.layers))
        self.last, self.out = nn.Conv2d(2 * hidden, 2 * hidden, 1), nn.Conv2d(2 * hidden, outputs(config), 1)

    layer: type[nn.Module] = RowLstm  # what a layer is

    def forward(self, x: Tensor, view: View) -> Tensor:
        """[B, C, H, W] -> [B, P, H, W]."""
        h = self.first(x, self.masks["first"])
        for layer, up in zip(self.layers, self.up):
            h = h + up(layer(h))
        return self.full(self.out(F.relu(self.last(F.relu(h)))))
