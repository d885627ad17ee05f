"""Files of small tiles, put together by hand: `compress` makes tiles of 1024 x 1024."""

import numpy as np

from codec.entropy.range_coder import Encoder
from codec.format import alpha, container
from codec.format.container import MODES, Header, Tile
from codec.format.method import MADE, Method
from codec.images import Image
from codec.jpeg.born import Source
from codec.tile_coders import tile_coder
from runtime import Model

ALPHA = Method(network=False, colours=True)


def tiled(image: Image, model: Model, *methods: Method, side: int = 16, source: Source | None = None) -> bytes:
    """A file whose tiles are coded by these methods in turn, its alpha plane as grey tiles. source: a JPEG that makes
    some of it, and all of the tiles whose method says so."""
    coder, model_id = tile_coder(model), container.short_id(model.manifest.model_id)
    header = Header(image.width, image.height, image.mode, model_id, tile=side)

    def cut(pixels: np.ndarray) -> list[np.ndarray]:
        return [pixels[box.row : box.row + box.height, box.col : box.col + box.width] for box in header.boxes]

    def tile(pixels: np.ndarray, method: Method, made: np.ndarray) -> Tile:
        encoder = Encoder()
        if method != MADE:
            planes, given = (part.transpose(2, 0, 1).copy() for part in (pixels, made))
            coder.code(encoder, planes, method, model.threads, lambda pixels: None, given)
        return Tile(encoder.finish(), container.pixels_crc(pixels), method.code)

    colours, nothing = MODES[image.mode].colours, np.zeros((*image.pixels.shape[:2], 0), np.uint8)
    parts, made = cut(image.pixels), cut(source.planes.transpose(1, 2, 0) if source else nothing)
    tiles = [tile(parts[at][..., :colours], methods[at % len(methods)], made[at]) for at in range(len(parts))]
    plane = alpha.pack([tile(part[..., colours:], ALPHA, none) for part, none in zip(parts, cut(nothing))])
    has_alpha = MODES[image.mode].has_alpha
    return container.pack(header, tiles, plane if has_alpha else None, source.data if source else None)
