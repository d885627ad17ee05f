"""What tests/golden holds: pictures made by integer arithmetic alone, and how each is coded by the tiny model there."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import codec
from codec import images
from codec.codec import compress
from codec.format.container import MODES
from codec.format.method import MADE, METHODS, Learning, Method
from codec.images import Image
from codec.jpeg.born import Source, made_by
from codec.jpeg.coder import encode
from codec.jpeg.origin import Origin
from runtime import Model
from tests.small_tiles import tiled

FOLDER = Path(__file__).parents[1] / "golden"
TINY = FOLDER / "tiny.lmconv"
SHIPPED = FOLDER / "shipped.json"  # by a shipped model's id: its name, and by effort the SHA-256 of the corner's file
WITH_SOURCE = [Method(learning=learning, reconstruction=True) for learning in (Learning.QUICK, Learning.FULL)]
ALL = [METHODS[code] for code in sorted(METHODS) if isinstance(METHODS[code], Method) and code < 192]


@dataclass(frozen=True)
class Case:
    effort: str
    mode: str
    height: int
    width: int
    screen: bool = False  # few colours that repeat
    order: str = "wavefront:0"
    every_method: bool = False  # in tiles of 16 x 16, else as `compress` has it
    made: bool = False  # by a JPEG, all of it or most, in such tiles


CASES = {
    "fast": Case("fast", "RGB", 20, 31),
    "normal": Case("normal", "RGB", 33, 24, order="auto"),
    "turned": Case("best", "RGB", 19, 37, order="wavefront:6"),
    "grey": Case("normal", "L", 24, 26),
    "alpha": Case("normal", "RGBA", 22, 21),
    "screen": Case("normal", "RGB", 40, 41, screen=True),
    "screen_fast": Case("fast", "RGB", 30, 40, screen=True),
    "pixel": Case("normal", "RGB", 1, 1),
    "every_method": Case("normal", "RGBA", 76, 124, every_method=True),
    "made": Case("normal", "RGB", 37, 51, made=True),
}


def case_file(name: str) -> Path:
    return FOLDER / f"{name}.lmc"


def case_image(name: str) -> Image:
    """Slopes with a little noise, or rectangles, by a linear congruence."""
    case = CASES[name]
    rows, cols, planes = np.ogrid[: case.height, : case.width, : MODES[case.mode].channels]
    if case.made:
        pixels = source(case.height, case.width).planes.transpose(1, 2, 0).copy()
        pixels[20:25, 14:19] ^= 1
        pixels[5:9, 20:24] = 200
        return Image(pixels, case.mode)
    if case.screen:
        pixels = (rows // 7 * 3 + cols // 9 * 5) % 4 * 60 + 20 * planes
    else:
        mixed = (rows * 7919 + cols * 104729 + planes * 1299709) * 1103515245 + 12345
        pixels = 40 + 3 * rows + 2 * cols + 25 * planes + (mixed >> 16) % 7
    return Image(pixels.clip(0, 255).astype(np.uint8), case.mode)


def case_data(name: str, model: Model) -> bytes:
    """Today's bytes of the file."""
    case, image = CASES[name], case_image(name)
    if case.every_method:
        return tiled(image, model, *ALL)
    if case.made:
        return tiled(image, model, MADE, *WITH_SOURCE, source=source(case.height, case.width))
    return compress(image, model, effort=case.effort, order=case.order).data


def source(height: int, width: int) -> Source:
    """A JPEG of coefficients by a linear congruence, with tables of its own, of which a picture is a part."""
    steps = np.arange(3, 67)
    origin = Origin(3, 13, (2, 2), True, steps, steps[::-1], 97)
    frame = origin.frame(height, width)
    blocks, k = np.ogrid[: sum(component.blocks for component in frame.components), :64]
    mixed = ((blocks * 104729 + k * 1299709) * 1103515245 + 12345) >> 16
    coefficients = ((mixed % 41 - 20) // (1 + k * k)).astype(np.int16)
    data = origin.pack() + encode(coefficients, frame, origin.steps, lambda blocks: None)
    return Source(data, origin, made_by(data, height, width))


def shipped_hash(model: Model, effort: str) -> str:
    """SHA-256 of the file of 64 x 64 pixels of the photograph that the package carries."""
    whole = images.read(Path(codec.__file__).parent / "demo" / "photo.png")
    corner = Image(np.ascontiguousarray(whole.pixels[:64, :64]), whole.mode)
    return hashlib.sha256(compress(corner, model, effort=effort).data).hexdigest()
