"""Pictures of an order: its ranks and path, its levels, and its masks with how many positions use each.

Pages are uint8 [H, W, 3]. Colours run from dark violet (first) to yellow (last); what is given is grey.
"""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lmconv.orders import masks
from runtime.schedule import Kernel, levels

SIDE = 512  # of a map, about; every position is a square of one pixel at least
MARGIN = 12
LINE = 16  # of text
MOST_PATTERNS = 60  # drawn; the rest are counted
CELL = 10  # of a pattern's tap
PATH_CELL = 6  # the path is drawn where positions are at least as large
RAMP = np.array([(68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37)], float)
GIVEN = (127, 127, 127)
OPEN, CLOSED, CENTRE, INK = (33, 100, 140), (225, 225, 225), (214, 69, 65), (30, 30, 30)


def kernels(kernel: int, dilation: int) -> tuple[Kernel, ...]:
    """The layers of a network with this kernel, whose widest ones have the dilation."""
    return tuple(Kernel(kernel, each) for each in sorted({1, dilation}))


def page(rank: np.ndarray, kernel: int = 3, dilation: int = 1, title: str = "") -> np.ndarray:
    """An order [H, W] for layers of this kernel and dilation: its ranks, its levels, then its masks of both."""
    level = levels(rank, kernels(kernel, dilation))
    maps = [
        (f"ranks {max(0, int(rank.min()))} to {int(rank.max())}", ranks(rank)),
        (f"levels: {int(level.max()) + 1} steps for {int((level >= 0).sum())} positions", colours(level)),
    ]
    rows = [_beside([_titled(*each) for each in maps])] + [
        patterns(rank, kernel, each) for each in sorted({1, dilation})
    ]
    drawn = _titled(title, _below(rows)) if title else _below(rows)
    return np.pad(drawn, ((MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)), constant_values=255)


def colours(values: np.ndarray) -> np.ndarray:
    """A map [H, W] of whole numbers, each position a square: uint8 [H * side, W * side, 3]."""
    mixed = ramp(values.clip(0) / max(1, int(values.max())))
    mixed[values < 0] = GIVEN
    side = _side(values)
    return mixed.repeat(side, 0).repeat(side, 1)


def ramp(values: np.ndarray) -> np.ndarray:
    """The colours of values from 0 to 1, uint8 [..., 3]."""
    place = values * (len(RAMP) - 1)
    low = np.minimum(place.astype(int), len(RAMP) - 2)
    share = (place - low)[..., None]
    return np.round((1 - share) * RAMP[low] + share * RAMP[low + 1]).astype(np.uint8)


def ranks(rank: np.ndarray) -> np.ndarray:
    """The ranks' colours, and the path of an order without ties where there is room for it."""
    drawn, side = colours(rank), _side(rank)
    ordered = np.sort(rank[rank >= 0])
    if side < PATH_CELL or (np.diff(ordered) == 0).any():
        return drawn
    path = np.argsort(rank, axis=None)[rank.size - ordered.size :]
    row, column = np.unravel_index(path, rank.shape)
    points = [(int(x), int(y)) for x, y in zip(column * side + side // 2, row * side + side // 2)]
    image = Image.fromarray(drawn)
    if len(points) > 1:
        ImageDraw.Draw(image).line(points, fill=(255, 255, 255), width=max(1, side // 12))
    return np.asarray(image)


def patterns(rank: np.ndarray, kernel: int, dilation: int) -> np.ndarray:
    """The tap patterns of kind A (without the centre), the most used first, each with its number of positions."""
    height, width = rank.shape
    found = masks.patterns(masks.masks(rank, kernel, dilation), height, width, kernel, dilation)
    counts = np.bincount(found.index, minlength=len(found.taps))
    shown = np.argsort(-counts, kind="stable")[:MOST_PATTERNS]
    title = f"masks {kernel}x{kernel}, dilation {dilation}: {len(counts)} pattern{'s' * (len(counts) > 1)}"
    if len(shown) < len(counts):
        title += f", the {len(shown)} most used"
    drawn = [_titled(str(counts[i]), _pattern(found.taps[i].reshape(kernel, kernel)), below=True) for i in shown]
    per_row = max(1, 2 * SIDE // (drawn[0].shape[1] + MARGIN))
    return _titled(title, _below([_beside(drawn[i : i + per_row]) for i in range(0, len(drawn), per_row)]))


def _pattern(taps: np.ndarray) -> np.ndarray:
    cells = np.where(taps[:, :, None], np.array(OPEN, np.uint8), np.array(CLOSED, np.uint8))
    middle = len(taps) // 2
    cells[middle, middle] = CENTRE
    drawn = cells.repeat(CELL, 0).repeat(CELL, 1)
    drawn[::CELL] = drawn[:, ::CELL] = 255
    return drawn


def _side(values: np.ndarray) -> int:
    return max(1, SIDE // max(values.shape))


def _titled(text: str, drawn: np.ndarray, below: bool = False) -> np.ndarray:
    font = ImageFont.load_default()
    width = max(drawn.shape[1], int(font.getlength(text)) + 1)
    line = Image.new("RGB", (width, LINE), (255, 255, 255))
    ImageDraw.Draw(line).text((0, 1), text, fill=INK, font=font)
    parts = [_widened(drawn, width), np.asarray(line)]
    return np.concatenate(parts if below else parts[::-1])


def _beside(parts: list[np.ndarray]) -> np.ndarray:
    height = max(len(part) for part in parts)
    space = np.full((height, MARGIN, 3), 255, np.uint8)
    parts = [np.pad(part, ((0, height - len(part)), (0, 0), (0, 0)), constant_values=255) for part in parts]
    return np.concatenate([piece for part in parts for piece in (part, space)][:-1], 1)


def _below(parts: list[np.ndarray]) -> np.ndarray:
    width = max(part.shape[1] for part in parts)
    space = np.full((MARGIN, width, 3), 255, np.uint8)
    parts = [_widened(part, width) for part in parts]
    return np.concatenate([piece for part in parts for piece in (part, space)][:-1])


def _widened(drawn: np.ndarray, width: int) -> np.ndarray:
    return np.pad(drawn, ((0, 0), (0, width - drawn.shape[1]), (0, 0)), constant_values=255)
