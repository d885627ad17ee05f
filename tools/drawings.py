"""Drawings of the kinds that flat tiles are for, each from a number alone: icons, sprites, pages, line art, maps.

Every function gives planes, uint8 [C, H, W]. Text is set in DejaVu, which Debian has in fonts-dejavu.
"""

from __future__ import annotations

import random

import numpy as np
from PIL import Image, ImageDraw, ImageFont

FONTS = "DejaVuSans.ttf", "DejaVuSerif.ttf", "DejaVuSansMono.ttf"
BOLD = "DejaVuSans-Bold.ttf"
WHITE, BLACK = (255, 255, 255), (0, 0, 0)
WORDS = (
    "the quick brown fox jumps over a lazy dog and then runs away from all those who would follow it through woods "
    "rivers hills numbers 1234 5678 (90) Section 3.1 Introduction, conclusions; method: results - we find that "
    "compression of text depends on fonts."
).split()


def planes(picture: Image.Image) -> np.ndarray:
    """One plane of a grey picture, three of one in colour."""
    array = np.array(picture)
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


def _colour(rng: random.Random) -> tuple[int, int, int]:
    return rng.randrange(256), rng.randrange(256), rng.randrange(256)


def _shape(rng: random.Random, pen: ImageDraw.ImageDraw, side: int, unit: int) -> None:
    """One of six, some with a black outline. unit: a pixel of the icon, side: all of its pixels."""
    fill = _colour(rng) if rng.random() < 0.7 else (rng.choice([0, 46, 85, 136]),) * 3
    kind, outline, width = rng.randrange(6), BLACK if rng.random() < 0.3 else None, unit * rng.choice([1, 1, 2])
    left, right = sorted(rng.randrange(side + 1) for _ in range(2))
    top, bottom = sorted(rng.randrange(side + 1) for _ in range(2))
    points = [(rng.randrange(side), rng.randrange(side)) for _ in range(3)]
    if kind == 0:
        box = [edge // unit * unit for edge in (left, top, right, bottom)]
        pen.rectangle(box, fill=fill, outline=outline, width=width)
    elif kind == 1:
        pen.ellipse((left, top, right, bottom), fill=fill, outline=outline, width=width)
    elif kind == 2:
        pen.polygon(points, fill=fill)
    elif kind == 3:
        pen.line(points[:2], fill=fill, width=width)
    elif kind == 4:
        box = (left, top, right + 1, bottom + 1)
        pen.rounded_rectangle(box, radius=side // 8, fill=fill, outline=outline, width=width)
    else:
        font = ImageFont.truetype(BOLD, max(6, side * 2 // 3))
        pen.text((left // 2, top // 2), rng.choice("ABCXYZ+?!&#"), font=font, fill=fill)


def _sheen(rng: random.Random, picture: Image.Image) -> None:
    """An ellipse with a gradient down."""
    side, first, last = picture.width, np.array(_colour(rng)), np.array(_colour(rng))
    down = np.arange(side)[:, None] / side
    gradient = np.broadcast_to((first * (1 - down) + last * down).astype(np.uint8)[:, None], (side, side, 3))
    mask = Image.new("L", picture.size)
    (left, right), (top, bottom) = (sorted(rng.randrange(side + 1) for _ in range(2)) for _ in range(2))
    ImageDraw.Draw(mask).ellipse((left, top, right, bottom), fill=255)
    picture.paste(Image.fromarray(np.ascontiguousarray(gradient)), mask=mask)


def icon(number: int) -> np.ndarray:
    """A few shapes on a plain ground, 16 to 48 pixels wide; most are antialiased, some grey, some like alpha."""
    rng, side = random.Random(10000 + number), (16, 16, 24, 32, 16, 48, 20)[number % 7]
    unit = 8 if number % 5 else 1
    ground = rng.choice([WHITE, WHITE, BLACK, (240, 240, 240), _colour(rng)])
    picture = Image.new("RGB", (side * unit, side * unit), ground)
    pen = ImageDraw.Draw(picture)
    for _ in range(rng.randrange(1, 6)):
        _shape(rng, pen, side * unit, unit)
        if rng.random() < 0.25:
            _sheen(rng, picture)
    if unit > 1:
        picture = picture.resize((side, side), rng.choice([Image.Resampling.BOX, Image.Resampling.LANCZOS]))
    if number % 11 == 0:
        return 255 - planes(picture.convert("L"))
    return planes(picture.convert("L") if number % 9 == 0 else picture)


def sprites(number: int) -> np.ndarray:
    """Tiles of 16 x 16 that are symmetrical, in 4 to 15 colours."""
    rng = np.random.default_rng(7000 + number)
    kinds, count = int(rng.integers(4, 16)), 1 + number % 3
    palette = rng.integers(0, 256, (kinds, 3), dtype=np.uint8)
    tiles = []
    for _ in range(2):
        half = rng.integers(0, kinds, (16, 8))
        if rng.random() < 0.6:
            half = np.where(rng.random((16, 8)) < 0.6, rng.integers(0, kinds), half)
        tiles.append(np.concatenate([half, half[:, ::-1]], 1))
    sheet = np.block([[tiles[rng.integers(2)] for _ in range(count)] for _ in range(count)])
    return palette[sheet].transpose(2, 0, 1)


def page(number: int) -> np.ndarray:
    """Lines of text, grey or in colours; every third without antialiasing."""
    rng, soft, size = random.Random(500 + number), number % 3 != 0, (9, 11, 14, 18, 10, 12, 16)[number % 7]
    grey = number % 2 == 0
    ground, ink = (255, 0) if grey else (rng.choice([WHITE, (240, 240, 230)]), rng.choice([BLACK, (20, 40, 120)]))
    picture = Image.new("L" if grey else "RGB", (200, 120), ground)
    pen, font = ImageDraw.Draw(picture), ImageFont.truetype(FONTS[number % 3], size)
    pen.fontmode = "L" if soft else "1"
    for top in range(size, 120 - 2 * size, int(size * 1.4)):
        line = ""
        while rng.random() > 0.02 and pen.textlength(line, font=font) < 180 - 4 * size:
            line += rng.choice(WORDS) + " "
        pen.text((2 * size, top), line, font=font, fill=ink)
    return planes(picture)


def line_art(number: int) -> np.ndarray:
    """Lines, circles, arcs and outlines on white; every other one antialiased."""
    rng, unit, grey = random.Random(800 + number), 1 + 3 * (number % 2), number % 3 > 0
    width, height = 120 * unit, 90 * unit
    picture = Image.new("L" if grey else "RGB", (width, height), 255 if grey else WHITE)
    pen = ImageDraw.Draw(picture)
    for _ in range(25):
        ink = 0 if grey else tuple(rng.randrange(0, 256, 51) for _ in range(3))
        points = [(rng.randrange(width), rng.randrange(height)) for _ in range(3)]
        (x, y), radius, kind = points[0], rng.randrange(5, height // 4), rng.randrange(4)
        box = (x - radius, y - radius, x + radius, y + radius)
        if kind == 0:
            pen.line(points, fill=ink, width=unit * rng.choice([1, 2, 3]))
        elif kind == 1:
            pen.ellipse(box, outline=ink, width=unit * rng.choice([1, 2]))
        elif kind == 2:
            pen.arc(box, rng.randrange(360), rng.randrange(360), fill=ink, width=unit * 2)
        else:
            pen.polygon(points, outline=ink)
    return planes(picture.resize((120, 90), Image.Resampling.BOX))


def map(number: int) -> np.ndarray:
    """Areas of land, roads with a rim, names."""
    rng, pick, unit = np.random.default_rng(900 + number), random.Random(number), 1 + number % 2
    width, height = 120 * unit, 90 * unit
    heights = np.zeros((height, width), np.float32)
    for step, share in ((32, 1.0), (8, 0.4)):
        coarse = rng.normal(size=(height // step + 3, width // step + 3)).astype(np.float32)
        smooth = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        heights += np.float32(share) * np.array(smooth)
    land = [(170, 211, 223), (242, 239, 233), (205, 235, 176), (173, 209, 158), (224, 223, 223)]
    picture = Image.fromarray(np.array(land, np.uint8)[np.digitize(heights, [-0.4, 0.2, 0.7, 1.2])])
    pen = ImageDraw.Draw(picture)
    for _ in range(6):
        road = [(pick.randrange(width), pick.randrange(height)) for _ in range(5)]
        pen.line(road, fill=(120, 120, 120), width=6 * unit)
        pen.line(road, fill=pick.choice([WHITE, (252, 214, 164), (249, 178, 156)]), width=4 * unit)
    picture = picture.resize((120, 90), Image.Resampling.BOX)
    pen, font = ImageDraw.Draw(picture), ImageFont.truetype(FONTS[0], 10)
    for _ in range(8):
        pen.text((pick.randrange(120), pick.randrange(90)), pick.choice(WORDS), font=font, fill=(40, 40, 40))
    return planes(picture)


DRAWINGS = {"icon": icon, "sprites": sprites, "page": page, "line_art": line_art, "map": map}
