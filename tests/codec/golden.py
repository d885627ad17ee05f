"""What tests/golden holds: pictures made by integer arithmetic alone, and how each is coded by the tiny model there."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import codec
from codec import images
from codec.codec import compress
from codec.format.container import MODES
from codec.format.method import METHODS, Method
from codec.images import Image
from runtime import Model
from tests.small_tiles import tiled

FOLDER = Path(__file__).parents[1] / "golden"
TINY = FOLDER / "tiny.lmconv"
SHIPPED = FOLDER / "shipped.json"  # by a shipped model's id: its name, and by effort the SHA-256 of the corner's file
ALL = [METHODS[code] for code in sorted(METHODS) if isinstance(METHODS[code], Method)]


@dataclass(frozen=True)
class Case:
    effort: str
    mode: str
    height: int
    width: int
    screen: bool = False  # few colours that repeat
    order: str = "wavefront:0"
    every_method: bool = False  # in tiles of 16 x 16, else as `compress` has it


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
}


def case_file(name: str) -> Path:
    return FOLDER / f"{name}.lmc"


def case_image(name: str) -> Image:
    """Slopes with a little noise, or rectangles, by a linear congruence."""
    case = CASES[name]
    rows, cols, planes = np.ogrid[: case.height, : case.width, : MODES[case.mode].channels]
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
    return compress(image, model, effort=case.effort, order=case.order).data


def shipped_hash(model: Model, effort: str) -> str:
    """SHA-256 of the file of 64 x 64 pixels of the photograph that the package carries."""
    whole = images.read(Path(codec.__file__).parent / "demo" / "photo.png")
    corner = Image(np.ascontiguousarray(whole.pixels[:64, :64]), whole.mode)
    return hashlib.sha256(compress(corner, model, effort=effort).data).hexdigest()
