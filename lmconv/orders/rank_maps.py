"""Pixel orders as rank maps.

An order on an H x W grid is one array `rank[H, W] int32`: a position may see the positions of smaller rank.
Equal ranks are independent of each other; rank -1 marks what is given from the start.
`make("s_curve:5", H, W)` builds any of them from its name; ":V" picks a variant, right also when H != W:

    0 base | 1 rows flipped | 2 columns flipped | 3 both | 4 transposed | 5..7 transposed, then as 1..3

"@REGION" before it moves a part of the image to the end, as in "s_curve@centre:5": orders that fill holes.
"""

from __future__ import annotations

import re
import tokenize
from functools import lru_cache
from pathlib import Path

import numpy as np

from lmconv.errors import LmconvError
from runtime import schedule
from runtime.variants import TRANSPOSED, VARIANTS

OBSERVED = -1  # the rank of a position that is given

_NPY_MAGIC = b"\x93NUMPY"
_BROKEN_HEADER = (SyntaxError, TypeError, tokenize.TokenError)  # what numpy lets through besides ValueError
_INT32_MAX = np.iinfo(np.int32).max


class OrderError(LmconvError):
    """An order that does not exist, a size it cannot have, or a file that does not hold one."""


def raster(height: int, width: int) -> np.ndarray:
    """Row by row, left to right: [H, W] int32."""
    _check_size(height, width)
    return np.arange(height * width, dtype=np.int32).reshape(height, width)


def s_curve(height: int, width: int) -> np.ndarray:
    """Row by row, even rows left to right and odd rows right to left: [H, W] int32."""
    rank = raster(height, width)
    rank[1::2] = rank[1::2, ::-1].copy()
    return rank


def s_curve_center_quarter_last(height: int, width: int) -> np.ndarray:
    """The s-curve without its middle, rows H/4 to H - H/4 and columns likewise, then the middle: [H, W] int32."""
    middle = np.zeros((height, width), bool)
    middle[height // 4 : height - height // 4, width // 4 : width - width // 4] = True
    return move_last(s_curve(height, width), middle)


def hilbert(height: int, width: int) -> np.ndarray:
    """Hilbert's curve, for squares whose side is a power of two, from corner (0, 0) along the columns to (0, W - 1), as
    the paper's authors have it: [H, W] int32."""
    _check_size(height, width)
    if height != width or height & (height - 1):
        raise OrderError(f"hilbert needs a square whose side is a power of two, not {height}x{width}; use gilbert")
    return np.ascontiguousarray(gilbert(height, width).T)


def gilbert(height: int, width: int) -> np.ndarray:
    """Generalised Hilbert curve for any rectangle: [H, W] int32.

    The idea is J. Cerveny's (gilbert): split like Hilbert's curve, but where halves are unequal prefer even
    ones. Successive positions touch, but for at most one diagonal step (longer side odd, shorter even). It
    runs along the longer side, down the rows of a square, from corner (0, 0) to the next corner.
    """
    _check_size(height, width)
    if height >= width:
        along, across = _curve(height, width).T
        row, col = along, across
    else:
        along, across = _curve(width, height).T
        row, col = across, along
    rank = np.empty((height, width), np.int32)
    rank[row, col] = np.arange(height * width, dtype=np.int32)
    _curve.cache_clear()
    return rank


def wavefront(height: int, width: int) -> np.ndarray:
    """Rank c + 2 r: W + 2 (H - 1) levels of independent positions, [H, W] int32."""
    _check_size(height, width)
    return schedule.wavefront(height, width)


def multiscale(height: int, width: int, step: int) -> np.ndarray:
    """Every `step`-th pixel first, then halves: 1 + 3 log2(step) levels, [H, W] int32.

    Each halving of the grid adds three levels: right of, below, and diagonal to the pixels known so far
    (Reed et al. 2017, "Parallel multiscale autoregressive density estimation"). `step` is a power of two.
    """
    _check_size(height, width)
    if step < 1 or step & (step - 1):
        raise OrderError(f"multiscale needs a step that is a power of two, not {step}")
    rank = np.zeros((height, width), np.int32)
    level = 1
    while step > 1:
        half = step // 2
        for row, col in ((0, half), (half, 0), (half, half)):
            rank[row::step, col::step] = level
            level += 1
        step = half
    return rank


def random(height: int, width: int, seed: int) -> np.ndarray:
    """A permutation drawn by numpy's default generator: [H, W] int32."""
    _check_size(height, width)
    if seed < 0:
        raise OrderError(f"random needs a seed of 0 or more, not {seed}")
    return np.random.default_rng(seed).permutation(height * width).astype(np.int32).reshape(height, width)


def from_file(path: str | Path) -> np.ndarray:
    """A rank map from a .npy file or from text (one row a line, whole numbers between blanks): [H, W] int32.

    Raises OrderError where the file cannot be read, is not a two-dimensional array of whole numbers, or holds
    ranks below -1. Ties are allowed; `check_permutation` refuses them.
    """
    try:
        with open(path, "rb") as file:
            binary = file.read(len(_NPY_MAGIC)) == _NPY_MAGIC
        if binary:
            # Mapping checks the declared size against the file's before anything is allocated.
            rank = np.load(path, mmap_mode="r", allow_pickle=False)
        else:
            lines = Path(path).read_text(encoding="utf-8").splitlines()
            rank = np.array([[int(word) for word in line.split()] for line in lines if line.strip()])
    except (OSError, ValueError, OverflowError, *_BROKEN_HEADER) as error:
        raise OrderError(f"cannot read an order from {path}: {error}") from error
    if rank.ndim != 2 or rank.size == 0 or rank.dtype.kind not in "iu":
        raise OrderError(
            f"{path} holds {rank.dtype} of shape {list(rank.shape)}, an order is a map [H, W] of whole numbers"
        )
    low, high = int(rank.min()), int(rank.max())
    if low < OBSERVED or high > _INT32_MAX:
        raise OrderError(f"{path} has ranks from {low} to {high}, they must be from -1 to {_INT32_MAX}")
    return np.array(rank, np.int32)


def check_permutation(rank: np.ndarray) -> None:
    """Raises OrderError unless `rank` [H, W] holds each of 0 .. H W - 1 once."""
    wrong = np.flatnonzero(np.sort(rank, axis=None) != np.arange(rank.size))
    if wrong.size:
        raise OrderError(
            f"not a permutation of 0..{rank.size - 1}: rank {wrong[0]} is missing or one before it repeats"
        )


def move_last(rank: np.ndarray, region: np.ndarray) -> np.ndarray:
    """The order [H, W] that visits `region` [H, W] bool after all else, and each part as `rank` does: [H, W] int32.

    Ranks become 0, 1, 2 ... without gaps; a permutation that ends in the region stays as it is. Positions of rank -1
    are given from the start: raises OrderError where the region has one.
    """
    if region.shape != rank.shape:
        raise OrderError(f"the region has shape {list(region.shape)}, the order {list(rank.shape)}")
    given = rank == OBSERVED
    if (given & region).any():
        raise OrderError("the order has the rank -1, which stands for what is given, inside the region")
    last = np.full(rank.shape, OBSERVED, np.int32)
    start = 0
    for part in (~given & ~region, region):
        ranks, number = np.unique(rank[part], return_inverse=True)
        last[part] = start + number
        start += len(ranks)
    return last


def make(spec: str, height: int, width: int) -> np.ndarray:
    """The rank map [H, W] int32 that a specification names.

    "raster", "s_curve", "s_curve_center_quarter_last", "hilbert", "gilbert", "wavefront", "multiscale=STEP",
    "random=SEED" or "file=PATH", each with an optional ":VARIANT" from 0 to 7. Variants 4 to 7 build (or read) the
    base for [W, H] and transpose it. "@REGION" before the variant visits a region (regions.make) last, which stays
    where it is whatever the variant. Raises OrderError, with the offending part in its sentence, and RegionError.
    """
    _check_size(height, width)
    base, variant = parse_variant(spec)
    base, region = parse_region(base)
    transposed = bool(variant & TRANSPOSED)
    rank = _base(base, *((width, height) if transposed else (height, width)))
    if transposed:
        rank = rank.T
    if variant & 1:
        rank = rank[::-1]
    if variant & 2:
        rank = rank[:, ::-1]
    rank = np.ascontiguousarray(rank)
    if region is None:
        return rank
    from lmconv.orders import regions

    return move_last(rank, regions.make(region, height, width))


def parse_variant(spec: str) -> tuple[str, int]:
    """Splits "s_curve:5" into ("s_curve", 5); without ":VARIANT" the variant is 0."""
    match = re.fullmatch(r"(.*):(-?\d+)", spec, re.DOTALL)
    if match is None:
        return spec, 0
    variant = int(match[2])
    if not 0 <= variant < VARIANTS:
        raise OrderError(f"variant {variant} in order {spec!r} does not exist, it must be from 0 to 7")
    return match[1], variant


def parse_region(base: str) -> tuple[str, str | None]:
    """Splits "s_curve@centre" into ("s_curve", "centre"); without "@REGION" the region is None."""
    match = re.fullmatch(r"([^@]*|file=.*)@((?:top|bottom|left|right|centre)|(?:box|mask)=.*)", base, re.DOTALL)
    return (match[1], match[2]) if match else (base, None)


def _base(spec: str, height: int, width: int) -> np.ndarray:
    name, _, argument = spec.partition("=")
    plain = {
        "raster": raster,
        "s_curve": s_curve,
        "s_curve_center_quarter_last": s_curve_center_quarter_last,
        "hilbert": hilbert,
        "gilbert": gilbert,
        "wavefront": wavefront,
    }
    if name in plain:
        if "=" in spec:
            raise OrderError(f"order {name} takes no argument, but {spec!r} gives one")
        return plain[name](height, width)
    if name == "multiscale":
        return multiscale(height, width, _whole_number(spec, argument))
    if name == "random":
        return random(height, width, _whole_number(spec, argument))
    if name == "file":
        rank = from_file(argument)
        if rank.shape != (height, width):
            raise OrderError(f"{argument} holds an order for {rank.shape[0]}x{rank.shape[1]}, not {height}x{width}")
        return rank
    raise OrderError(
        f"there is no order {spec!r}; known are {', '.join(plain)}, multiscale=STEP, random=SEED and file=PATH"
    )


def _whole_number(spec: str, argument: str) -> int:
    if not re.fullmatch(r"\d{1,18}", argument, re.ASCII):
        raise OrderError(f"order {spec!r} needs a whole number after '=', as in multiscale=8 or random=7")
    return int(argument)


def _check_size(height: int, width: int) -> None:
    if height < 1 or width < 1:
        raise OrderError(f"an order needs at least one row and one column, not {height}x{width}")
    if height * width > _INT32_MAX:
        raise OrderError(f"an order has at most {_INT32_MAX} positions, {height}x{width} is more")


@lru_cache(maxsize=256)  # a curve meets few different part sizes; the cache makes the recursion linear
def _curve(length: int, depth: int) -> np.ndarray:
    """Points (along, across) [length * depth, 2] of the curve from corner (0, 0) to (length - 1, 0)."""
    if depth == 1 or length == 1:
        along, across = np.indices((length, depth), dtype=np.int32)
        return np.stack((along.ravel(), across.ravel()), axis=1)
    first = length // 2
    if 2 * length > 3 * depth:  # too long for three parts: two, end to end
        if first % 2 and length > 2:
            first += 1
        rest = _curve(length - first, depth) + np.array((first, 0), np.int32)
        return np.concatenate((_curve(first, depth), rest))
    low = depth // 2
    if low % 2 and depth > 2:
        low += 1
    up = _curve(low, first)[:, ::-1]  # starts at (0, 0), climbs to (0, low - 1)
    over = _curve(length, depth - low) + np.array((0, low), np.int32)  # ends at (length - 1, low)
    down = np.array((length - 1, low - 1), np.int32) - _curve(low, length - first)[:, ::-1]
    return np.concatenate((up, over, down))
