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
from lmconv.networks.model import Choose, ImageNetwork, View, outputs


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
        frames = x.chunk(self.config.frames, 2)
        states = [self._start(frames[0])]
        for frame in frames[:-1]:
            states.append(self._after(frame, states[-1]))
        told = self.told(torch.cat([h for h, _ in states]))
        out = self.stack(torch.cat(frames), told).unflatten(0, (len(frames), -1))
        return self.full(torch.cat(out.unbind(), 2))

    @torch.no_grad()
    def draw(self, view: View, choose: Choose, x: Tensor) -> None:
        """Frame by frame, each pixel by pixel."""
        frames = x.chunk(self.config.frames, 2)
        state = self._start(frames[0])
        for time, frame in enumerate(frames):
            start = time * frame[0, 0].numel()

            def value(out: Tensor, position: int, start: int = start) -> Tensor:
                return choose(self.full(out), start + position)

            self.stack.walk(frame, self.told(state[0]), value)
            state = self._after(frame, state)

    def _start(self, frame: Tensor) -> tuple[Tensor, Tensor]:
        """The LSTM's state (h, c), [B, F, H, W] each, before the first frame."""
        zeros = frame.new_zeros(frame.shape[0], self.config.filters, *frame.shape[2:])
        return zeros, zeros

    def _after(self, frame: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """The state after a frame [B, C, H, W]."""
        seen = self.of_frame(self.encoder(self.enter(frame)))
        return cell(seen + self.of_state(state[0]), state[1])
