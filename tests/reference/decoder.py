"""The whole format again, slowly: a .lmc file and its model's bundle become a picture.

Plain Python with NumPy's arrays, written from docs/format.md, section by section; nothing of codec or runtime is
imported. `decoded` is the way in. What a payload says comes through a callable, decide(frequency) -> decision, so that
tests can answer in the place of the range coder and look at every frequency.

    section    1  numbers.py, bundle.py     8  experts.py; ratio_tables.py, blend.py, predictors.py, histograms.py,
            2, 12  container.py                hashed.py, selectors.py, mixer.py
                3  range_coder.py           9  colours.py; estimates.py; palette.py
                4  tile.py                 10  squares.py; pixelcnn.py
                5  least_squares.py        11  forms.py
                6  network.py              14  packed.py, jpeg_file.py, jpeg_pixels.py, reconstruction.py
                7  mixture.py              15  jpeg.py; jpeg_contexts.py, jpeg_continuity.py, jpeg_decisions.py
                                       16, 17  flat.py, deep.py
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable

import numpy as np

from tests.reference import container, squares
from tests.reference.bundle import Bundle
from tests.reference.container import ALONE, CONSTANT, MADE, ORDERS, WITHOUT_MODEL, File, Group, Tile, check
from tests.reference.deep import DeepTile
from tests.reference.flat import FlatTile
from tests.reference.forms import Form, constant
from tests.reference.range_coder import Decoder
from tests.reference.reconstruction import Reconstruction
from tests.reference.tile import PhotoTile, oriented_as, restored

Make = Callable[[bytes, int, int], np.ndarray]


def decoded(data: bytes, bundle: Bundle, make: Make | None = None) -> np.ndarray:
    """[H, W, C], uint8 or uint16. make(jpeg, height, width): the planes of a JPEG. Raises container.Refused."""
    file = container.read(data)
    needed = {tile.method for group in file.groups for tile in group.tiles} - WITHOUT_MODEL
    check(not needed or file.model_id == bundle.model_id[:6], "another model")
    made = None
    if file.jpeg is not None:
        made, size = make(file.jpeg, file.height, file.width), (file.height, file.width)
        check(len(made) in (1, file.groups[0].planes), "a JPEG of too many components")
        made = np.broadcast_to(made, (file.groups[0].planes, *size))
    parts, sums = [], hashlib.sha256()
    for group in file.groups:
        parts.append(filled(group, file, bundle, made if not parts else None))
        for row, col, height, width in container.places(file.height, file.width, file.tile):
            sums.update(parts[-1][row : row + height, col : col + width].tobytes())
    check(file.digest in (None, sums.digest()[:8]), "other samples than were coded")
    return np.concatenate(parts, 2)


def filled(group: Group, file: File, bundle: Bundle, jpeg: np.ndarray | None) -> np.ndarray:
    """The samples of a group, [H, W, C]. jpeg: what the file's JPEG makes, [C, H, W]."""
    form, found = (
        Form(group, file),
        np.zeros((file.height, file.width, group.planes), "<u2" if file.depth > 8 else "u1"),
    )
    for tile, (row, col, height, width) in zip(group.tiles, container.places(file.height, file.width, file.tile)):
        made, oriented = None, (width, height) if file.variant & 4 else (height, width)
        if tile.method in MADE:
            check(len(jpeg) == form.planes and form.depth <= 8, "a JPEG of other planes")
            made = oriented_as(jpeg[:, row : row + height, col : col + width], file.variant)
        planes = tile_of(tile, (form.planes, *oriented), form.depth, bundle, made)
        samples = form.samples(restored(planes, file.variant))
        check(zlib.crc32(samples.tobytes()) == tile.crc, "other samples than were coded")
        found[row : row + height, col : col + width] = samples
    return found


def tile_of(tile: Tile, shape: tuple[int, int, int], depth: int, bundle: Bundle, made: np.ndarray | None) -> np.ndarray:
    """The planes of an oriented tile."""
    coder, method = Decoder(tile.payload), tile.method
    check(depth <= 8 or method in (CONSTANT, container.DEEP), "a method that is not for so many bits")
    if method == 192:
        return made
    if method in ALONE:
        found = alone(method, shape, depth, coder)
    elif method in ORDERS:
        check(bundle.kind == "pixelcnn", "a method that the model has not")
        found = squares.decoded(bundle, shape, method - 64, coder)
    else:
        check(bundle.kind == "photo", "a method that the model has not")
        found = PhotoTile(bundle, shape, method, None if made is None else Reconstruction(made)).decoded(coder)
    check(not coder.failed, "a payload that no encoder has written")
    return found


def alone(method: int, shape: tuple[int, int, int], depth: int, decide: Callable[[int], int]) -> np.ndarray:
    """The planes of a tile that needs no model."""
    if method == CONSTANT:
        return constant(shape, depth, decide)
    if method == container.FLAT:
        return FlatTile(*shape).decoded(decide)
    check(depth > 8, "a method that is for more bits")
    return DeepTile(shape, depth).decoded(decide)
