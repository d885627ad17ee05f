"""The eight variants of an order, applied to pictures instead: coding orient(picture, v) in an order is coding the
picture in variant v of that order.

Variant 4 * transposed + 2 * columns flipped + rows flipped. An order's variant transposes first and then flips;
bringing a picture to the order goes the other way round.
"""

import numpy as np

VARIANTS = 8
TRANSPOSED = 4  # the bit of a variant that swaps rows and columns


def orient(picture: np.ndarray, variant: int) -> np.ndarray:
    """A view of [..., H, W] in one of the 8 variants; shape [..., W, H] for variants 4 to 7."""
    if variant & 2:
        picture = picture[..., ::-1]
    if variant & 1:
        picture = picture[..., ::-1, :]
    return np.swapaxes(picture, -1, -2) if variant & TRANSPOSED else picture


def unorient(picture: np.ndarray, variant: int) -> np.ndarray:
    """The inverse of orient: orient(unorient(x, v), v) equals x."""
    if variant & TRANSPOSED:
        picture = np.swapaxes(picture, -1, -2)
    if variant & 1:
        picture = picture[..., ::-1, :]
    return picture[..., ::-1] if variant & 2 else picture
