"""The eight variants of an order, applied to pictures: transpose first, then flip rows, then flip columns.

Variant 4 * transpose + 2 * flip columns + flip rows: 0 as it is, 1 rows flipped, 2 columns flipped, 3 both,
4 to 7 the same after transposing. Coding a picture in variant v of an order is coding its oriented copy in the order.
"""
import numpy as np


def orient(picture: np.ndarray, variant: int) -> np.ndarray:
    """A view of [..., H, W] in one of the 8 variants; shape [..., W, H] for variants 4 to 7."""
    if variant & 4:
        picture = np.swapaxes(picture, -1, -2)
    if variant & 1:
        picture = picture[..., ::-1, :]
    if variant & 2:
        picture = picture[..., ::-1]
    return picture


def unorient(picture: np.ndarray, variant: int) -> np.ndarray:
    """The inverse of orient: orient(unorient(x, v), v) equals x."""
    if variant & 2:
        picture = picture[..., ::-1]
    if variant & 1:
        picture = picture[..., ::-1, :]
    if variant & 4:
        picture = np.swapaxes(picture, -1, -2)
    return picture
