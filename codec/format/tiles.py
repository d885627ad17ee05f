"""Cutting an image into tiles, the unit of parallel work, of adaptation and of damage.

Both sides of the coder derive the tiles from the image's size, so a file does not list them. A side longer
than `tile` is cut into as few parts as possible, whose lengths differ by at most one; an image that fits is
one tile.
"""

from dataclasses import dataclass

TILE = 1024


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels: rows row .. row + height - 1, columns col .. col + width - 1."""

    row: int
    col: int
    height: int
    width: int


def layout(height: int, width: int, tile: int = TILE) -> list[Box]:
    """The tiles of a height x width image, row by row; none is larger than tile x tile.

    >>> layout(3, 5, tile=4)
    [Box(row=0, col=0, height=3, width=3), Box(row=0, col=3, height=3, width=2)]
    """
    if min(height, width, tile) < 1:
        raise ValueError(f"no tiles for {height} rows, {width} columns and tile side {tile}")
    return [
        Box(row, col, box_height, box_width)
        for row, box_height in _cuts(height, tile)
        for col, box_width in _cuts(width, tile)
    ]


def count(height: int, width: int, tile: int = TILE) -> int:
    """len(layout(height, width, tile)) without making the list, for sizes that are not trusted yet."""
    return -(-height // tile) * -(-width // tile)


def _cuts(length: int, tile: int) -> list[tuple[int, int]]:
    """(start, length) of the parts of one side; the longer parts come first."""
    parts = -(-length // tile)
    short, longer = divmod(length, parts)
    starts = [part * short + min(part, longer) for part in range(parts + 1)]
    return [(start, end - start) for start, end in zip(starts, starts[1:], strict=False)]
