"""Parts of an image, and which orders visit them last or first.

A region is a map [H, W] bool. The likelihood of a region given the rest of the image is read off a network whose order
visits it last (it then has all the context there is); an order that visits it first is the adversary, without context.
"""

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from lmconv import orders
from lmconv.errors import LmconvError

NAMES = ("top", "bottom", "left", "right", "centre")


class RegionError(LmconvError):
    """A region that does not exist or lies outside the image."""


def make(spec: str, height: int, width: int) -> np.ndarray:
    """The region [H, W] bool of a specification: a half of the image, its middle H/2 x W/2, a box, or a mask's.

    A name of NAMES, "box=TOP,LEFT,HEIGHT,WIDTH", or "mask=PATH" of an image [H, W] that is not black in the region.
    Raises RegionError.
    """
    h, w = height // 2, width // 2
    boxes = {
        "top": (0, 0, h, width),
        "bottom": (height - h, 0, h, width),
        "left": (0, 0, height, w),
        "right": (0, width - w, height, w),
        "centre": ((height - h) // 2, (width - w) // 2, h, w),
    }
    if spec.startswith("mask="):
        return from_image(Path(spec.removeprefix("mask=")), height, width)
    if spec in boxes:
        top, left, rows, columns = boxes[spec]
    elif match := re.fullmatch(r"box=(\d+),(\d+),(\d+),(\d+)", spec, re.ASCII):
        top, left, rows, columns = map(int, match.groups())
    else:
        raise RegionError(
            f"there is no region {spec!r}; known are {', '.join(NAMES)}, box=TOP,LEFT,HEIGHT,WIDTH and mask=PATH"
        )
    if rows < 1 or columns < 1 or top + rows > height or left + columns > width:
        raise RegionError(f"region {spec} is empty or not inside an image of {height}x{width}")
    region = np.zeros((height, width), bool)
    region[top : top + rows, left : left + columns] = True
    return region


def from_image(path: Path, height: int, width: int) -> np.ndarray:
    """The region [H, W] bool where an image of that size is not black. Raises RegionError."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            region = np.asarray(image.convert("RGB")).any(2)
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        raise RegionError(f"{path} cannot be read as a mask: {error}") from error
    if region.shape != (height, width):
        raise RegionError(f"the mask {path} is {region.shape[0]}x{region.shape[1]}, the image {height}x{width}")
    if not region.any():
        raise RegionError(f"the mask {path} is black everywhere: what it is to mark must not be")
    return region


def max_context(specs: Iterable[str], region: np.ndarray) -> list[str]:
    """Those of the orders (names as in orders.make) that visit a region [H, W] bool last. Raises OrderError."""
    return [spec for spec in specs if visited_last(orders.make(spec, *region.shape), region)]


def ending_in(specs: Iterable[str], region: str, height: int, width: int) -> list[str]:
    """Those of the orders that visit a region (as in `make`) last; where none does, all of them with the region moved
    to their end. Raises OrderError and RegionError."""
    specs = list(specs)
    found = max_context(specs, make(region, height, width))
    if found:
        return found
    bases = [(orders.parse_region(base)[0], variant) for base, variant in map(orders.parse_variant, specs)]
    return [f"{base}@{region}:{variant}" for base, variant in bases]


def visited_last(rank: np.ndarray, region: np.ndarray) -> bool:
    """Whether an order [H, W] visits all else before the region."""
    return rank[~region].max(initial=-2) < rank[region].min()


def visited_first(rank: np.ndarray, region: np.ndarray) -> bool:
    """Whether an order [H, W] visits the region before all else."""
    return visited_last(rank, ~region) if not region.all() else True
