"""How many bits photographs take under a photo network, in float: what the codec's files come near to."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from lmconv.data import pictures
from lmconv.networks import likelihood
from lmconv.networks.kinds import Forward
from runtime.least_squares import UNIT, predict_picture
from runtime.variants import TRANSPOSED, orient


@dataclass(frozen=True)
class Picture:
    """A picture's bits per subpixel under a photo network."""

    name: str
    height: int
    width: int
    bits_per_subpixel: float


@torch.no_grad()
def photographs(net: Forward, source: Path, device: torch.device) -> Iterator[Picture]:
    """Each picture of a folder, a zip or a file under the float network, whole, the longer side along the columns."""
    for name, picture in pictures.pictures(source):
        height, width = picture.shape[:2]
        variant = TRANSPOSED if height > width else 0
        pixels = np.ascontiguousarray(orient(picture.transpose(2, 0, 1), variant))
        bases = torch.from_numpy(predict_picture(pixels))[None].to(device)
        known = torch.from_numpy(pixels)[None].to(device)
        found = likelihood.nll(known.float(), bases.float() / UNIT, net(known, bases))
        yield Picture(name, height, width, likelihood.bits_per_subpixel(found.double()).item())
