"""What tests/golden holds: pictures made by integer arithmetic alone, and how each is coded by the tiny model there."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

import codec
from codec import compress
from codec.format.method import MADE, METHODS, Independent, Learning, Method
from codec.format.picture import KINDS
from codec.images.samples import Samples
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
    kind: str
    height: int
    width: int
    screen: bool = False  # few colours that repeat
    order: str = "wavefront:0"
    every_method: bool = False  # in tiles of 16 x 16, else as `compress` has it
    made: bool = False  # by a JPEG, all of it or most, in such tiles
    depth: int = 8
    few: bool = False  # some tens of all values occur


CASES = {
    "fast": Case("fast", "rgb", 20, 31),
    "normal": Case("normal", "rgb", 33, 24, order="auto"),
    "turned": Case("best", "rgb", 19, 37, order="wavefront:6"),
    "grey": Case("normal", "grey", 24, 26),
    "alpha": Case("normal", "rgb+alpha", 22, 21),
    "grey_alpha": Case("normal", "grey+alpha", 5, 9, order="wavefront:3"),
    "cmyk": Case("fast", "cmyk", 12, 13),
    "cmyk_alpha": Case("fast", "cmyk+alpha", 9, 7, screen=True),
    "screen": Case("normal", "rgb", 70, 71, screen=True),
    "screen_fast": Case("fast", "rgb", 30, 40, screen=True),
    "palette": Case("normal", "palette", 26, 30, screen=True),
    "palette_repeats": Case("normal", "palette", 26, 30, screen=True, depth=4),
    "palette_alpha": Case("fast", "palette+alpha", 11, 14, screen=True, depth=2),
    "black_and_white": Case("normal", "grey", 17, 23, screen=True, depth=1),
    "two_bits": Case("fast", "grey", 8, 9, depth=2),
    "four_bits": Case("normal", "rgb", 14, 15, depth=4),
    "ranks": Case("normal", "rgb", 20, 16, depth=12, few=True),
    "deep": Case("normal", "rgb", 21, 33, order="auto", depth=16),
    "deep_grey": Case("normal", "grey", 30, 19, order="auto", depth=10),
    "deep_alpha": Case("fast", "rgb+alpha", 13, 12, order="auto", depth=12),
    "pixel": Case("normal", "rgb", 1, 1),
    "every_method": Case("normal", "rgb+alpha", 76, 124, every_method=True),
    "made": Case("normal", "rgb", 37, 51, made=True),
}


def case_file(name: str) -> Path:
    return FOLDER / f"{name}.lmc"


def case_image(name: str) -> Samples:
    """Slopes with a little noise, or rectangles, by a linear congruence."""
    case = CASES[name]
    rows, cols, planes = np.ogrid[: case.height, : case.width, : KINDS[case.kind].channels]
    if case.made:
        pixels = source(case.height, case.width).planes.transpose(1, 2, 0).copy()
        pixels[20:25, 14:19] ^= 1
        pixels[5:9, 20:24] = 200
        return Samples.of(pixels)
    if case.screen:
        pixels = (rows // 7 * 3 + cols // 9 * 5) % 4 * 60 + 20 * planes
    else:
        mixed = (rows * 7919 + cols * 104729 + planes * 1299709) * 1103515245 + 12345
        pixels = 40 + 3 * rows + 2 * cols + 25 * planes + (mixed >> 16) % 7
    values = pixels.clip(0, 255)
    if case.few:
        values = values * 13 + planes
    elif case.depth > 8:
        values = (values << case.depth - 8) + (mixed >> 9) % (1 << case.depth - 8)
    elif case.kind.startswith("palette"):
        values = values // 60
    else:
        values = values >> 8 - case.depth
    dtype = np.uint8 if case.depth <= 8 else np.uint16
    return Samples(values.astype(dtype), case.depth, case.kind, case_palette(case))


def case_palette(case: Case) -> np.ndarray | None:
    """Six colours; of four bits but three, of which the second stands for two, and one index has none."""
    if not case.kind.startswith("palette"):
        return None
    return np.array([[i * 40, 9, 255 - i * i] for i in (range(6) if case.depth != 4 else (0, 1, 1))], np.uint8)


def case_data(name: str, model: Model) -> bytes:
    """Today's bytes of the file."""
    case, image = CASES[name], case_image(name)
    if case.every_method:
        return tiled(image, model, *ALL, Independent.FLAT)
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
    whole = np.asarray(Pillow.open(Path(codec.__file__).parent / "demo" / "photo.png"))
    corner = Samples.of(np.ascontiguousarray(whole[:64, :64]))
    return hashlib.sha256(compress(corner, model, effort=effort).data).hexdigest()
