"""WaveNet (van den Oord et al. 2016), the one-dimensional case: a sequence is an image of one row.

Causal convolutions of two taps whose dilation doubles from layer to layer, so that what a sample sees grows with 2 to
the number of layers; gated activations (equation 2), residual and skip connections (figure 4). Labels are given to
every sample alike, planes sample by sample: global and local conditions (section 2.5), both through 1 x 1 convolutions
in every layer. Levels are categories or a mixture's; of sounds they are mu-law codes (section 2.2).
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmconv.family.gated_pixelcnn import gate
from lmconv.family.settings import WavenetConfig
from lmconv.networks.distributions import centred
from lmconv.networks.lists import module_list
from lmconv.networks.model import Choose, ImageNetwork, View, outputs


class Layer(nn.Module):
    """[B, F, 1, T] -> what goes on, of the same shape, and to the result, [B, S, 1, T]."""

    def __init__(self, config: WavenetConfig, dilation: int, last: bool) -> None:
        super().__init__()
        f, self.dilation = config.filters, dilation
        self.causal = nn.Conv2d(f, 2 * f, (1, 2), dilation=(1, dilation))
        self.conditions = nn.Conv2d(config.given, 2 * f, 1, bias=False) if config.given else None
        self.residual = None if last else nn.Conv2d(f, f, 1)
        self.skip = nn.Conv2d(f, config.skip, 1)

    def forward(self, h: Tensor, planes: Tensor | None) -> tuple[Tensor, Tensor]:
        """Of whole sequences."""
        return self.rest(h, self.causal(F.pad(h, (self.dilation, 0))), planes)

    def rest(self, h: Tensor, inner: Tensor, planes: Tensor | None) -> tuple[Tensor, Tensor]:
        """What follows the causal convolution."""
        if self.conditions is not None:
            assert planes is not None
            inner = inner + self.conditions(planes)
        inner = gate(inner)
        return h if self.residual is None else h + self.residual(inner), self.skip(inner)


class Stack(nn.Module):
    """Of each sample the outputs, given those before it: [B, C, 1, T] -> [B, P, 1, T].

    `first`, of the samples moved by one; `layers`; `last` and `out`. Rows of larger images are sequences of their own.
    """

    def __init__(self, config: WavenetConfig, count: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(config.channels, config.filters, 1)
        dilations = [2**layer for _ in range(config.cycles) for layer in range(config.layers)]
        self.layers = module_list(
            Layer(config, each, number == len(dilations)) for number, each in enumerate(dilations, 1)
        )
        self.last, self.out = nn.Conv2d(config.skip, config.skip, 1), nn.Conv2d(config.skip, count, 1)

    def forward(self, x: Tensor, planes: Tensor | None) -> Tensor:
        """Of known sequences."""
        h, parts = self.first(F.pad(x, (1, 0))[:, :, :, :-1]), []
        for layer in self.layers:
            h, part = layer(h, planes)
            parts.append(part)
        return self._result(parts)

    def walk(self, x: Tensor, planes: Tensor | None, value: Callable[[Tensor, int], Tensor]) -> None:
        """Sample by sample: `value` makes of the outputs [B, P] at a position, row-major, its values [B, C], which go
        into x. Each layer's inputs are kept, so a step costs the same however much a sample sees."""
        for row in range(x.shape[2]):
            before, kept = torch.zeros_like(x[:, :, :1, :1]), [list[Tensor]() for _ in self.layers]
            for column in range(x.shape[3]):
                given = None if planes is None else planes[:, :, row : row + 1, column : column + 1]
                h, parts = self.first(before), []
                for layer, inputs in zip(self.layers, kept):
                    inputs.append(h)
                    past = inputs[-1 - layer.dilation] if column >= layer.dilation else torch.zeros_like(h)
                    inner = F.conv2d(torch.cat((past, h), 3), layer.causal.weight, layer.causal.bias)
                    h, part = layer.rest(h, inner, given)
                    parts.append(part)
                before = value(self._result(parts)[:, :, 0, 0], row * x.shape[3] + column)[:, :, None, None]
                x[:, :, row : row + 1, column : column + 1] = before

    def _result(self, parts: list[Tensor]) -> Tensor:
        return self.out(F.relu(self.last(F.relu(sum(parts[1:], parts[0])))))


class Network(ImageNetwork[WavenetConfig]):
    """A `stack` with a distribution's parameters."""

    def __init__(self, config: WavenetConfig) -> None:
        super().__init__(config)
        self.stack = Stack(config, outputs(config))

    def forward(self, x: Tensor, view: View) -> Tensor:
        """[B, C, 1, T] -> [B, P, 1, T]."""
        return self.full(self.stack(x, planes_of(view, x)))

    @torch.no_grad()
    def draw(self, view: View, choose: Choose, x: Tensor) -> None:
        """Sample by sample."""
        self.stack.walk(x, planes_of(view, x), lambda out, position: choose(self.full(out), position))


def planes_of(view: View, x: Tensor) -> Tensor | None:
    """What is given with sequences, as they are."""
    return None if view.planes is None else centred(view.planes.to(x.device), 8, x.dtype)
