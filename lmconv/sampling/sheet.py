"""Sheets: many small images in one PNG, each pixel a square that can be seen.

Tiles are uint8 [N, H, W, 3] with 8 bits; a file is written whole or not at all.
"""

from pathlib import Path

import numpy as np

from runtime.files import whole

BACKGROUND = 255
HIDDEN = 127  # what stands for pixels that are not given
PADDING = 2  # between tiles, in pixels of the sheet
SIDE = 128  # tiles are magnified to about so many pixels


def grey_levels(levels: np.ndarray, bits: int) -> np.ndarray:
    """Levels of so many bits -> uint8 of 8 bits, the same shape. `datasets.Grid` gives the levels back."""
    return np.round(levels * (255 / (2**bits - 1))).astype(np.uint8)


def tiles(levels: np.ndarray, bits: int) -> np.ndarray:
    """Levels uint8 [N, C, H, W], grey or colour -> [N, H, W, 3]."""
    pixels = grey_levels(levels, bits).transpose(0, 2, 3, 1)
    return np.broadcast_to(pixels, (*pixels.shape[:3], 3))


def completions(images: np.ndarray, completed: np.ndarray, hidden: np.ndarray, bits: int) -> np.ndarray:
    """Four tiles an image: what is given, its completion, the truth, and how far these two are apart.

    Levels uint8 [N, C, H, W] and the hidden positions [H, W] bool -> [4 N, H, W, 3].
    """
    truth, guess = tiles(images, bits), tiles(completed, bits)
    given = np.where(hidden[:, :, None], np.uint8(HIDDEN), truth)
    apart = np.abs(truth.astype(np.int16) - guess).astype(np.uint8)
    return np.stack([given, guess, truth, apart], 1).reshape(-1, *truth.shape[1:])


def sheet(pictures: np.ndarray, columns: int) -> np.ndarray:
    """Tiles [N, H, W, 3] in rows of so many, magnified by a whole number: uint8 [H', W', 3]."""
    count, height, width, _ = pictures.shape
    zoom = max(1, SIDE // max(height, width))
    columns = min(columns, count)
    rows = -(-count // columns)
    down, across = height * zoom + PADDING, width * zoom + PADDING
    page = np.full((rows * down + PADDING, columns * across + PADDING, 3), BACKGROUND, np.uint8)
    for index, picture in enumerate(pictures):
        top, left = PADDING + index // columns * down, PADDING + index % columns * across
        page[top : top + height * zoom, left : left + width * zoom] = picture.repeat(zoom, 0).repeat(zoom, 1)
    return page


def write(path: Path, pixels: np.ndarray) -> None:
    """A PNG of uint8 [H, W] or [H, W, 3]."""
    from PIL import Image

    with whole(path) as file:
        Image.fromarray(pixels).save(file, "png")


def write_array(path: Path, array: np.ndarray) -> None:
    """A .npy."""
    with whole(path) as file:
        np.save(file, array)
