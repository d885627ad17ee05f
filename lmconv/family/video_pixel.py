"""Video pixel network (Kalchbrenner et al. 2017): the frames before through an LSTM of maps, pixels by a PixelCNN.

A video is an image of its frames one below the other, so that raster order is frame by frame. An encoder looks at each
frame without a mask, a convolutional LSTM goes through the frames, and what it knows after the frames before is given
to the masked layers of the frame at hand (figure 2). The paper's blocks are of multiplicative units with dilation; here
they are residual ones.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmconv.errors import LmconvError
from lmconv.family.masked_pixelcnn import Stack
from lmconv.family.row_lstm import cell
from lmconv.family.settings import VideoPixelConfig
from lmconv.networks.model import ImageNetwork, View, outputs


class Residual(nn.Module):
    """h + two convolutions of it."""

    def __init__(self, filters: int, dilation: int) -> None:
        super().__init__()
        self.inner = nn.Conv2d(filters, filters, 3, padding="same", dilation=dilation)
        self.outer = nn.Conv2d(filters, filters, 3, padding="same")

    def forward(self, h: Tensor) -> Tensor:
        """[B, F, H, W] -> the same shape."""
        return h + self.outer(F.relu(self.inner(F.relu(h))))


class Network(ImageNetwork[VideoPixelConfig]):
    """`enter`, `encoder`, the LSTM's `of_frame` and `of_state`, `told`, and a PixelCNN's `stack`."""

    def __init__(self, config: VideoPixelConfig) -> None:
        super().__init__(config)
        f = config.filters
        self.enter = nn.Conv2d(config.channels, f, 3, padding="same")
        self.encoder = nn.Sequential(*(Residual(f, 2**number) for number in range(config.blocks)))
        self.of_frame = nn.Conv2d(f, 4 * f, 3, padding="same")
        self.of_state = nn.Conv2d(f, 4 * f, 3, padding="same", bias=False)
        self.told = nn.Conv2d(f, f, 1)
        self.stack = Stack(config.channels, f, config.kernel, config.blocks, outputs(config))

    @staticmethod
    def view(config: VideoPixelConfig, rank: np.ndarray) -> View:
        """Raises LmconvError for images that are not so many frames."""
        if rank.shape[0] % config.frames:
            raise LmconvError(f"images of {config.frames} frames have a multiple of so many rows, not {rank.shape[0]}")
        return ImageNetwork.view(config, rank)

    def forward(self, x: Tensor, view: View) -> Tensor:
        """[B, C, frames H, W] -> [B, P, frames H, W]."""
        frames = x.unflatten(2, (self.config.frames, -1)).transpose(1, 2)  # [B, T, C, H, W]
        context = self._context(frames)
        out = self.stack(frames.flatten(0, 1), self.told(context.flatten(0, 1))).unflatten(0, (-1, self.config.frames))
        return self.full(out.transpose(1, 2).flatten(2, 3))

    def _context(self, frames: Tensor) -> Tensor:
        """What is known before each frame, [B, T, F, H, W]."""
        seen = self.of_frame(self.encoder(self.enter(frames[:, :-1].flatten(0, 1)))).unflatten(
            0, (-1, self.config.frames - 1)
        )
        h = c = seen.new_zeros(frames.shape[0], self.config.filters, *frames.shape[3:])
        states = [h]
        for time in range(seen.shape[1]):
            h, c = cell(seen[:, time] + self.of_state(h), c)
            states.append(h)
        return torch.stack(states, 1)
