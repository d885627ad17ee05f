"""PixelRNN with diagonal LSTMs from both sides (van den Oord, Kalchbrenner and Kavukcuoglu 2016, section 3.2).

An LSTM goes over the diagonals of the image: rows are moved to the right by their number, so that a diagonal is a
column, and a 2 x 1 convolution of the column before sees the pixels to the left and above (figure 3). A second one goes
from the right; its result is moved down by a row, so that it has seen nothing after the pixel. Together they see what
came before, but for the last pixel of the row above, which is in the first layer's features of later pixels alone.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmconv.family import row_lstm
from lmconv.family.gated_pixelcnn import down


def skewed(x: Tensor) -> Tensor:
    """[B, C, H, W] -> [B, C, H, W + H - 1]: row r begins in column r."""
    rows, width = x.shape[2], x.shape[3] + x.shape[2] - 1
    return F.pad(x, (0, rows)).flatten(2)[:, :, : rows * width].unflatten(2, (rows, width))


def unskewed(x: Tensor, width: int) -> Tensor:
    """The inverse of skewed."""
    return F.pad(x.flatten(2), (0, x.shape[2])).unflatten(2, (x.shape[2], -1))[..., :width]


class DiagonalLstm(nn.Module):
    """[B, 2 K, H, W] -> [B, K, H, W], from the left."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.of_input = nn.Conv2d(2 * hidden, 4 * hidden, 1)
        self.of_state = nn.Conv1d(hidden, 4 * hidden, 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Diagonal by diagonal."""
        inputs = skewed(self.of_input(x))
        h = c = inputs.new_zeros(x.shape[0], self.of_state.in_channels, x.shape[2])
        columns = []
        for column in inputs.permute(3, 0, 1, 2).contiguous():
            h, c = row_lstm.cell(column + self.of_state(F.pad(h, (1, 0))), c)
            columns.append(h)
        return unskewed(torch.stack(columns, 3), x.shape[3])


class DiagonalBilstm(nn.Module):
    """From both sides."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.left, self.right = DiagonalLstm(hidden), DiagonalLstm(hidden)

    def forward(self, x: Tensor) -> Tensor:
        """[B, 2 K, H, W] -> [B, K, H, W]."""
        return self.left(x) + down(self.right(x.flip(3)).flip(3))


class Network(row_lstm.Network):
    """As the one of row LSTMs, of these layers."""

    layer = DiagonalBilstm
