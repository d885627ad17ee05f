"""Codes images losslessly with any network of images in float, on one machine: a file as long as the likelihood says.

    python tools/code_images.py CHECKPOINT DATA [--count 8] [--order s_curve:3]

Compresses and restores the first test images together and compares. Floats differ between machines and versions of
PyTorch, so this is for looking, not for keeping: `lmconv-export` makes the paper's networks exact for lmconv-codec.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import constriction  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from lmconv import orders  # noqa: E402
from lmconv.checkpoints import checkpoint as checkpoints  # noqa: E402
from lmconv.checkpoints import shipped  # noqa: E402
from lmconv.checkpoints.trained import of_images, trained  # noqa: E402
from lmconv.config import ImageConfig  # noqa: E402
from lmconv.data import datasets  # noqa: E402
from lmconv.networks.distributions import Logistics, distribution  # noqa: E402
from lmconv.sampling import sampler  # noqa: E402

_LEAST = 2.0**-20  # probability: every level can be coded


class Coding:
    """Takes the place of a drawer's distribution: what it draws are the levels that a coder is given, or gives."""

    def __init__(self, config: ImageConfig, encoder: object = None, decoder: object = None) -> None:
        self.config, self.encoder, self.decoder = config, encoder, decoder

    def sample(self, parameters: Tensor, levels: Tensor, *temperatures: float) -> Tensor:
        """Levels [B, C, ...] under parameters [B, P, ...]: the given ones, encoded, or decoded ones."""
        flat = parameters.reshape(*parameters.shape[:2], -1).permute(0, 2, 1).flatten(0, 1)  # [N, P]
        found = levels.reshape(*levels.shape[:2], -1).permute(0, 2, 1).flatten(0, 1).to(torch.uint8).clone()  # [N, C]
        for channel in range(self.config.channels):
            chances = probabilities(self.config, flat, found, channel)
            model = constriction.stream.model.Categorical(perfect=False)
            if self.encoder is not None:
                self.encoder.encode(found[:, channel].numpy().astype(np.int32), model, chances)
            else:
                found[:, channel] = torch.from_numpy(self.decoder.decode(model, chances).astype(np.uint8))
        rows = found.view(len(levels), -1, self.config.channels).permute(0, 2, 1)
        return rows.reshape(levels.shape)


def probabilities(config: ImageConfig, parameters: Tensor, levels: Tensor, channel: int) -> np.ndarray:
    """Of every level of a channel, float32 [N, 2^bits], given the channels before it in levels [N, C]."""
    if not isinstance(mixture := distribution(config), Logistics):
        chances = torch.softmax(parameters.double(), 1)
    else:
        every = torch.arange(2**config.bits)
        tried = levels.repeat(len(every), 1, 1)  # [L, N, C]
        tried[:, :, channel] = every[:, None]
        rows = mixture.log_bins(parameters.double().repeat(len(every), 1), tried.flatten(0, 1))  # [L N, C, K]
        weights = torch.log_softmax(parameters.double()[:, : config.components], 1)
        logs = rows[:, : channel + 1].sum(1).unflatten(0, (len(every), -1)) + weights
        chances = torch.softmax(torch.logsumexp(logs, 2), 0).T
    return chances.clamp(min=_LEAST).to(torch.float32).numpy()


def compress(net: nn.Module, config: ImageConfig, levels: np.ndarray, order: str) -> bytes:
    """Levels uint8 [N, C, H, W] together."""
    encoder = constriction.stream.queue.RangeEncoder()
    _walk(net, Coding(config, encoder=encoder), torch.from_numpy(levels), order)
    return encoder.get_compressed().tobytes()


def restore(net: nn.Module, config: ImageConfig, data: bytes, shape: tuple[int, ...], order: str) -> np.ndarray:
    """The levels again."""
    decoder = constriction.stream.queue.RangeDecoder(np.frombuffer(data, np.uint32))
    return _walk(net, Coding(config, decoder=decoder), torch.zeros(shape, dtype=torch.uint8), order).numpy()


@torch.inference_mode()
def _walk(net: nn.Module, coding: Coding, levels: Tensor, order: str) -> Tensor:
    """One walk for both directions: what the decoder does not know yet, the encoder does not show to the network."""
    rank = orders.make(order, *levels.shape[2:])
    drawer = sampler.drawer_of(net, rank, np.ones(rank.shape, bool))
    drawer.distribution = coding  # type: ignore[assignment]
    return drawer.draw(levels, torch.zeros_like(levels))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("data")
    parser.add_argument("--count", type=int, default=8)
    parser.add_argument("--order", help="by default the first one trained on")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    state = checkpoints.load(shipped.resolve(arguments.checkpoint))
    config, net = of_images(state.network), state.net()
    known = trained(config, state.training)
    order = arguments.order or known.orders[0]
    size = (known.height, known.width)
    levels = datasets.load(arguments.data, "test", datasets.grid(config), size).first(arguments.count).levels
    data = compress(net, config, levels, order)
    if not np.array_equal(restore(net, config, data, levels.shape, order), levels):
        raise SystemExit("the images did not come back: this machine computes the same floats differently")
    with torch.no_grad():
        bits = -net.log_prob(torch.from_numpy(levels), order).sum().item() / math.log(2)
    print(f"{len(levels)} images in order {order}: {len(data)} bytes, likelihood {bits / 8:.1f} bytes")


if __name__ == "__main__":
    main()
