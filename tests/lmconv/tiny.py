"""A data set, networks and trainings that take milliseconds, for the tests of training and evaluation."""

from dataclasses import replace

import numpy as np
import torch

from lmconv.config import ImageTraining, Machine, PixelCnnConfig
from lmconv.data.datasets import ImageSet, grid
from lmconv.training.tasks import ImageTask

CPU = torch.device("cpu")
QUIET = Machine(device="cpu", precision="fp32", progress=False)
COLOUR = PixelCnnConfig(filters=4, resnets=1, components=2)
BINARY = PixelCnnConfig(channels=1, bits=1, binary=True, filters=4, resnets=1)
SIDES = (6, 5)
CONFIG = ImageTraining(
    steps=8,
    batch=4,
    rate=5e-3,
    schedule="cosine",
    warmup=2,
    clip=10.0,
    ema=0.5,
    evaluate_every=3,
    keep=2,
    height=6,
    width=5,
    variants=(1, 4),
    holdout=7,
)

# The same for the command line.
IMAGE_OPTIONS = (
    "--steps 3 --batch 4 --holdout 5 --evaluate-every 1 --height 6 --width 5 --filters 4 --resnets 1 "
    "--samples 0 --variants 1,4 --threads 1 --device cpu --precision fp32 -q"
).split()
PHOTO_OPTIONS = (
    "--steps 2 --batch 1 --window 16 --crop 32 --holdout 2 --channels 4 --blocks 1 --components 1 "
    "--variants 3,0 --threads 1 --device cpu --precision fp32"
).split()


def pixels(count: int = 20, channels: int = 3, height: int = 6, width: int = 5, seed: int = 0) -> np.ndarray:
    """uint8 [count, channels, H, W]: ramps in all directions and some noise."""
    rng = np.random.default_rng(seed)
    row, column = np.indices((height, width))
    slopes = rng.normal(0, 20, (3, count, channels, 1, 1))
    field = 128 + 2 * slopes[0] + slopes[1] * (row - height / 2) + slopes[2] * (column - width / 2)
    return (field + rng.normal(0, 4, field.shape)).clip(0, 255).astype(np.uint8)


def image_set(network: PixelCnnConfig, count: int = 20, binarisation: str = "stochastic", **size) -> ImageSet:
    return ImageSet(pixels(count, network.channels, **size), "ramps", "train", grid(network, binarisation))


def image_task(network: PixelCnnConfig = COLOUR, count: int = 20, **changes) -> ImageTask:
    config = replace(CONFIG, **changes)
    return ImageTask(image_set(network, count, config.binarisation), config, network, CPU)


def random_net(network: PixelCnnConfig, seed: int = 0) -> torch.nn.Module:
    """In evaluation mode, its head not near zero."""
    from lmconv.networks.kinds import build

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build(network).eval()
