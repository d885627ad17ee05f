"""The whole format again, slowly: a .lmc file and its model's bundle become a picture.

Plain Python with NumPy's arrays, written from docs/format.md, section by section; nothing of codec or runtime is
imported. `decoded` is the way in. What a payload says comes through a callable, decide(frequency) -> decision, so that
tests can answer in the place of the range coder and look at every frequency.

    section    1  numbers.py, bundle.py     7  mixture.py
            2, 12  container.py              8  experts.py; ratio_tables.py, blend.py, predictors.py, histograms.py,
                3  range_coder.py               hashed.py, selectors.py, mixer.py
                                             9  colours.py; estimates.py
                4  tile.py                  10  squares.py; pixelcnn.py
                5  least_squares.py         11  alpha.py
                6  network.py               14  jpeg_file.py, jpeg_pixels.py, reconstruction.py
                                            15  jpeg.py; jpeg_contexts.py, jpeg_continuity.py, jpeg_decisions.py
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np

from tests.reference import alpha, container, squares
from tests.reference.bundle import Bundle
from tests.reference.container import MADE, ORDERS, Bytes, File, check
from tests.reference.range_coder import Decoder
from tests.reference.reconstruction import Reconstruction
from tests.reference.tile import PhotoTile, oriented_as, restored

Make = Callable[[bytes, int, int], np.ndarray]


def decoded(data: bytes, bundle: Bundle, make: Make | None = None) -> np.ndarray:
    """uint8 [H, W, C]. make(source, height, width): the planes of a JPEG. Raises container.Refused."""
    file = container.read(data)
    check(file.model_id in (bytes(6), bundle.model_id[:6]), "another model")
    colours = 1 if file.mode == 0 else 3
    made = None
    if file.source is not None:
        made = np.broadcast_to(make(file.source, file.height, file.width), (colours, file.height, file.width))
    picture = np.zeros((file.height, file.width, container.CHANNELS[file.mode]), np.uint8)
    fill(picture[:, :, :colours], file.tiles, file, bundle, made)
    if file.alpha is not None:
        kind, rest = file.alpha[:1], Bytes(file.alpha[1:])
        check(kind == b"\0" or kind == b"\1" and bundle.kind == "photo", "an unknown kind of alpha plane")
        if kind == b"\0":
            picture[:, :, 3] = alpha.decoded(rest.data, file.height, file.width)
        else:
            tiles = container.tiles(rest, len(file.tiles), len(file.tiles) - 1)
            check(not {tile.method for tile in tiles} & set(MADE), "a tile of alpha that a JPEG makes")
            fill(picture[:, :, 3:], tiles, file, bundle, None)
    return picture


def fill(
    picture: np.ndarray, tiles: list[container.Tile], file: File, bundle: Bundle, planes: np.ndarray | None
) -> None:
    """Decodes tiles into a picture, [H, W, C]. planes: what the file's JPEG makes, [C, H, W]."""
    for tile, (row, col, height, width) in zip(tiles, container.places(file.height, file.width, file.tile)):
        oriented = (width, height) if file.variant & 4 else (height, width)
        coder, shape = Decoder(tile.payload), (picture.shape[2], *oriented)
        check((tile.method in ORDERS) == (bundle.kind == "pixelcnn"), "a method that the model has not")
        made = None
        if tile.method in MADE:
            made = oriented_as(planes[:, row : row + height, col : col + width], file.variant)
        if tile.method == 192:
            found = made
        elif bundle.kind == "photo":
            found = PhotoTile(bundle, shape, tile.method, Reconstruction(made) if made is not None else None)
            found = found.decoded(coder)
        else:
            found = squares.decoded(bundle, shape, tile.method - 64, coder)
        check(not coder.failed, "a payload that no encoder has written")
        found = restored(found, file.variant).transpose(1, 2, 0)
        check(zlib.crc32(found.tobytes()) == tile.crc, "other pixels than were coded")
        picture[row : row + height, col : col + width] = found
