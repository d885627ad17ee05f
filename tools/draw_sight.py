"""Draws what a pixel sees in networks of the family: the size of the gradients of its parameters, with random weights.

    python tools/draw_sight.py FOLDER [--models masked_pixelcnn,gated_pixelcnn]

FOLDER/NAME.png: the pixel red, what it sees the brighter the more it depends on it, what comes before it and is not
seen orange, what comes later grey. For networks of any order an s-curve, for others their own. PixelVAE's latent
numbers are drawn from the whole image, so it all shows.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, fields, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np  # noqa: E402
import torch  # noqa: E402
from PIL import Image  # noqa: E402

from lmconv import orders  # noqa: E402
from lmconv.config import PRESETS, ImageConfig  # noqa: E402
from lmconv.family.settings import CONFIGS, FAMILY  # noqa: E402
from lmconv.networks import kinds  # noqa: E402
from lmconv.orders import drawing  # noqa: E402

SIDE, CELL = 15, 8  # positions, and pixels of one
HIDDEN, LATER, HERE = (244, 165, 96), (225, 225, 225), drawing.CENTRE
DECADES = 4  # of gradients, from dark to bright
TRIES = 4  # random networks
OURS = "tiny_mnist_binary"


@dataclass(frozen=True)
class Scene:
    """A network, an order on a size, and the position that looks."""

    network: ImageConfig
    order: str
    height: int
    width: int
    position: tuple[int, int]


def scene(name: str) -> Scene:
    """Of a network by its name."""
    network = (FAMILY | PRESETS)[name].network
    if {field.name for field in fields(network)} >= {"height", "width"}:
        network = replace(network, height=SIDE, width=SIDE)
    if name == "video_pixel":
        return Scene(replace(network, frames=3), "raster", 3 * SIDE, SIDE, (2 * SIDE + 8, 6))
    if "wavenet" in name:
        return Scene(replace(network, layers=4, cycles=1), "raster", 1, 2 * SIDE, (0, 2 * SIDE - 4))
    order = "multiscale=8" if name == "multiscale" else "raster" if network.raster_only else "s_curve"
    return Scene(network, order, SIDE, SIDE, (8, 6))


def strength(of: Scene) -> np.ndarray:
    """The mean size of the gradients of the position's parameters [H, W], over random networks and images."""
    rank, found = orders.make(of.order, of.height, of.width), np.zeros((of.height, of.width))
    row, column = of.position
    for seed in range(TRIES):
        torch.manual_seed(seed)
        net = kinds.build(of.network).double().eval()
        for parameter in net.parameters():
            if not parameter.any():  # where training begins with zeros
                torch.nn.init.normal_(parameter, std=0.1)
        x = (2 * torch.rand(1, of.network.channels, of.height, of.width, dtype=torch.double) - 1).requires_grad_()
        parameters = net(x, kinds.view(of.network, rank))[0, :, row, column]
        (parameters * torch.randn(len(parameters), dtype=torch.double)).sum().backward()
        assert x.grad is not None
        found += x.grad[0].abs().sum(0).numpy()
    return found


def drawn(of: Scene) -> np.ndarray:
    """The picture, uint8 [CELL H, CELL W, 3]."""
    rank, found = orders.make(of.order, of.height, of.width), strength(of)
    bright = np.log10(found, where=found > 0, out=np.full(found.shape, -np.inf))
    bright = np.clip((bright - bright.max()) / DECADES + 1, 0, 1)
    past, seen = rank < rank[of.position], found > 0
    cells = np.empty((*rank.shape, 3), np.uint8)
    cells[:] = LATER
    cells[past] = HIDDEN
    cells[seen] = drawing.ramp(bright)[seen]
    cells[of.position] = HERE
    picture = cells.repeat(CELL, 0).repeat(CELL, 1)
    picture[::CELL] = picture[:, ::CELL] = 255
    return picture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", help="some of them, between commas")
    given = parser.parse_args()
    names = given.models.split(",") if given.models else [*CONFIGS, OURS]
    given.folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        if name != "parallel_wavenet":  # which has parameters of a whole sound alone
            Image.fromarray(drawn(scene(name))).save(given.folder / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
