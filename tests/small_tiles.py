"""Files of small tiles, put together by hand: `compress` makes tiles of 1024 x 1024."""

import numpy as np

from codec.entropy.range_coder import Encoder
from codec.format import alpha, container
from codec.format.container import MODES, Header, Tile
from codec.format.method import Method
from codec.images import Image
from codec.tile_coders import tile_coder
from runtime import Model

ALPHA = Method(network=False, colours=True)


def tiled(image: Image, model: Model, *methods: Method, side: int = 16) -> bytes:
    """A file whose tiles are coded by these methods in turn, its alpha plane as grey tiles."""
    coder, model_id = tile_coder(model), container.short_id(model.manifest.model_id)
    header = Header(image.width, image.height, image.mode, model_id, tile=side)

    def tile(pixels: np.ndarray, method: Method) -> Tile:
        encoder = Encoder()
        coder.code(encoder, pixels.transpose(2, 0, 1).copy(), method, model.threads, lambda pixels: None)
        return Tile(encoder.finish(), container.pixels_crc(pixels), method.code)

    parts = [image.pixels[box.row : box.row + box.height, box.col : box.col + box.width] for box in header.boxes]
    colours = MODES[image.mode].colours
    tiles = [tile(part[..., :colours], methods[at % len(methods)]) for at, part in enumerate(parts)]
    plane = alpha.pack([tile(part[..., colours:], ALPHA) for part in parts]) if MODES[image.mode].has_alpha else None
    return container.pack(header, tiles, plane)
