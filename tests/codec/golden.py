"""What tests/golden holds: pictures made by integer arithmetic alone, and how each is coded."""
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import codec
from codec import images
from codec.images import Image

FOLDER = Path(__file__).parents[1] / "golden"
SHIPPED = FOLDER / "shipped.json"           # by effort: the model's id, and the SHA-256 of the corner's file


@dataclass(frozen=True)
class Case:
    effort: str
    mode: str
    height: int
    width: int
    screen: bool = False                    # few colours that repeat


CASES = {
    "fast": Case("fast", "RGB", 20, 31),
    "normal": Case("normal", "RGB", 33, 24),
    "best": Case("best", "RGB", 19, 37),
    "grey": Case("normal", "L", 24, 26),
    "alpha": Case("normal", "RGBA", 22, 21),
    "screen": Case("normal", "RGB", 40, 41, screen=True),
    "screen_fast": Case("fast", "RGB", 30, 40, screen=True),
    "pixel": Case("normal", "RGB", 1, 1),
}


def case_file(name: str) -> Path:
    return FOLDER / f"{name}.lmc"


def case_image(name: str) -> Image:
    """Slopes with a little noise, or rectangles, by a linear congruence."""
    case = CASES[name]
    channels = {"L": 1, "RGB": 3, "RGBA": 4}[case.mode]
    rows, cols, planes = np.ogrid[:case.height, :case.width, :channels]
    if case.screen:
        pixels = (rows // 7 * 3 + cols // 9 * 5) % 4 * 60 + 20 * planes
    else:
        mixed = (rows * 7919 + cols * 104729 + planes * 1299709) * 1103515245 + 12345
        pixels = 40 + 3 * rows + 2 * cols + 25 * planes + (mixed >> 16) % 7
    return Image(pixels.clip(0, 255).astype(np.uint8), case.mode)


def corner() -> Image:
    """64 x 64 pixels of the photograph that the package carries."""
    whole = images.read(Path(codec.__file__).parent / "demo" / "photo.png")
    return Image(np.ascontiguousarray(whole.pixels[:64, :64]), whole.mode)
