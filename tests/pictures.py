"""Pictures made up for tests: like photographs, and as unlike them as can be. All uint8 [3, H, W], from a seed."""

import numpy as np


def photograph(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A smooth random field whose planes follow each other, an edge, and a little noise."""
    rng = np.random.default_rng(seed)
    r, c = np.mgrid[:height, :width]
    fields = np.zeros((4, height, width))
    for frequency in (0.02, 0.05, 0.11, 0.23):
        for field in fields:
            angle, phase = rng.uniform(0, 2 * np.pi, 2)
            field += 0.7 / frequency * np.sin(frequency * (r * np.sin(angle) + c * np.cos(angle)) + phase)
    light = fields[0] + 60 * (r + 2 * c > height + rng.integers(0, 2 * width + 1))
    planes = 110 + light + 0.3 * fields[1:] + rng.normal(0, 1.5, (3, height, width))
    return planes.clip(0, 255).astype(np.uint8)


def photographs(count: int, height: int, width: int) -> np.ndarray:
    """uint8 [count, 3, H, W]."""
    return np.stack([photograph(height, width, seed) for seed in range(count)])


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (3, height, width), dtype=np.uint8)


def two_values(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Black and white noise: every prediction is wrong."""
    return noise(height, width, seed) // 128 * 255


def constant(height: int, width: int, value: int = 255) -> np.ndarray:
    return np.full((3, height, width), value, np.uint8)


def checker(height: int, width: int) -> np.ndarray:
    return np.broadcast_to(np.indices((height, width)).sum(0) % 2 * 255, (3, height, width)).astype(np.uint8)


def ramp(height: int, width: int) -> np.ndarray:
    r, c = np.mgrid[:height, :width]
    return np.stack([c, 255 - r, 2 * c + r]).astype(np.uint8)


def lines(height: int, width: int) -> np.ndarray:
    """White lines one pixel wide, across and down, on black."""
    picture = constant(height, width, 0)
    picture[:, ::5] = 255
    picture[:, :, ::7] = 255
    return picture


def magnified(height: int, width: int, times: int, kinds: int = 5, seed: int = 0) -> np.ndarray:
    """Pixel art: cells of a few colours."""
    rng = np.random.default_rng(seed)
    palette = rng.integers(0, 256, (kinds, 3), dtype=np.uint8)
    cells = palette[rng.integers(0, kinds, (height // times + 1, width // times + 1))]
    return cells.repeat(times, 0).repeat(times, 1)[:height, :width].transpose(2, 0, 1).copy()


def text(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Four glyphs of 7 x 5, again and again, in soft grey on white."""
    rng = np.random.default_rng(seed)
    glyphs = rng.choice(np.array([0, 90, 255, 255], np.uint8), (4, 7, 5))
    glyphs[:, :, 0], glyphs[:, 0] = 255, 255
    page = glyphs[rng.integers(0, 4, (height // 7 + 1, width // 5 + 1))].transpose(0, 2, 1, 3)
    page = page.reshape(page.shape[0] * 7, -1)[:height, :width]
    return np.stack([page] * 3)


def screen(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Rectangles of few colours."""
    rng, planes = np.random.default_rng(seed), constant(height, width, 240)
    colours = np.array([[0, 0, 0], [30, 90, 200], [255, 255, 255], [200, 40, 40]], np.uint8)
    for _ in range(max(3, height * width // 60)):
        row, col = rng.integers(0, height), rng.integers(0, width)
        planes[:, row : row + rng.integers(1, 7), col : col + rng.integers(1, 9)] = rng.choice(colours)[:, None, None]
    return planes


KINDS = {
    "photograph": photograph,
    "noise": noise,
    "two values": two_values,
    "white": constant,
    "black": lambda height, width: constant(height, width, 0),
    "checker": checker,
    "ramp": ramp,
    "lines": lines,
}
