"""A picture of where the bits of a picture go: dark where it was foreseen, bright where it was not, and a scale.

Costs are bits per pixel, float [H, W]; the scale runs from 0 to about their 99.5th percentile, beyond which all is
equally bright. Small pictures are enlarged by a whole factor, so that every pixel stays a square.
"""

import math

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

SHORTEST = 256  # pixels of the shorter side, unless the longer one would pass LONGEST
LONGEST = 8192  # only pictures that are as large themselves pass it
_PERCENTILE = 99.5
_TICKS = 6  # parts of the scale at most
_STEPS = (1, 2, 2.5, 5)  # times a power of ten
_PAPER, _INK = (255, 255, 255), (0, 0, 0)
# Equal steps of the scale, equally far apart to the eye: eight points of matplotlib's "inferno" (CC0).
_ANCHORS = (
    (0, 0, 4),
    (40, 11, 84),
    (101, 21, 110),
    (159, 42, 99),
    (212, 72, 66),
    (245, 125, 21),
    (250, 193, 39),
    (252, 255, 164),
)


def draw(costs: np.ndarray) -> np.ndarray:
    """Costs in bits per pixel, float [H, W] -> the map with its scale below, uint8 [H', W', 3]."""
    step, parts = scale(float(np.percentile(costs, _PERCENTILE)))
    shades = np.minimum(costs * (255 / (step * parts)), 255).astype(np.uint8)
    factor = enlargement(*costs.shape)
    picture = colours()[shades.repeat(factor, 0).repeat(factor, 1)]
    height, width = picture.shape[:2]
    bar = _bar(max(width, SHORTEST), step, parts)
    page = np.full((height + len(bar), bar.shape[1], 3), _PAPER, np.uint8)
    page[:height, :width], page[height:] = picture, bar
    return page


def colours() -> np.ndarray:
    """The colour table from black over purple and orange to yellow, uint8 [256, 3]."""
    at = np.linspace(0, len(_ANCHORS) - 1, 256)
    channels = [np.interp(at, range(len(_ANCHORS)), channel) for channel in zip(*_ANCHORS)]
    return np.round(np.stack(channels, axis=1)).astype(np.uint8)


def scale(highest: float) -> tuple[float, int]:
    """Step between ticks, and how many reach `highest` bits: a round number of at most 6 steps.

    >>> scale(21.7)
    (5.0, 5)
    """
    if highest <= 0:
        return 1.0, 1
    power = 10.0 ** math.floor(math.log10(highest / _TICKS))
    step = next(power * times for times in (*_STEPS, 10) if power * times * _TICKS >= highest)
    return step, math.ceil(highest / step)


def enlargement(height: int, width: int) -> int:
    """The whole factor that brings the shorter side to SHORTEST, less for strips whose longer side would pass LONGEST.

    >>> enlargement(100, 200), enlargement(512, 768), enlargement(1, 5000)
    (3, 1, 1)
    """
    return max(1, min(-(-SHORTEST // min(height, width)), LONGEST // max(height, width)))


def _bar(width: int, step: float, parts: int) -> np.ndarray:
    """The scale over a picture's whole width with its labels, uint8 [h, width, 3]."""
    size = max(14, width // 55)
    page = Pillow.new("RGB", (width, 5 * size), _PAPER)
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(size)
    shades = np.arange(width) * 255 // max(width - 1, 1)
    page.paste(Pillow.fromarray(colours()[shades][None].repeat(size, 0)), (0, size // 2))
    for tick in range(parts + 1):
        x, bottom = tick * (width - 1) // parts, 3 * size // 2
        pen.line((x, bottom, x, bottom + size // 3), _INK, max(1, size // 14))
        label = f"{tick * step:g}" + "+" * (tick == parts)
        anchor = "la" if tick == 0 else "ra" if tick == parts else "ma"
        pen.text((x, 2 * size), label, _INK, font, anchor)
    pen.text((width // 2, 3 * size + size // 2), "bits per pixel", _INK, font, "ma")
    return np.asarray(page)
