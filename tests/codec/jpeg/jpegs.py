"""JPEG files of many kinds, made in memory."""

import io
from functools import cache

import numpy as np
from PIL import Image

from tests.pictures import checker, constant, noise, photograph, ramp


def jpeg(planes: np.ndarray, mode: str = "RGB", **options: object) -> bytes:
    """Planes, uint8 [C, H, W], as Pillow writes them."""
    pixels = planes.transpose(1, 2, 0)
    image = Image.fromarray(np.ascontiguousarray(pixels if len(planes) == 3 else pixels[..., 0]))
    stream = io.BytesIO()
    image.convert(mode).save(stream, "JPEG", **options)
    return stream.getvalue()


def exif(thumbnail: bytes = b"") -> bytes:
    """An EXIF block with a description, and a thumbnail's bytes behind it."""
    found = Image.Exif()
    found[270] = "a picture"
    found[274] = 6
    return found.tobytes() + thumbnail


@cache
def jpegs() -> dict[str, bytes]:
    """Files by what is special about them."""
    picture, small = photograph(45, 70), photograph(17, 33, 3)
    found = {f"quality {quality}": jpeg(picture, quality=quality) for quality in (1, 30, 75, 90, 98, 100)}
    for name, subsampling in (("4:4:4", 0), ("4:2:2", 1), ("4:2:0", 2)):
        found[name] = jpeg(picture, subsampling=subsampling, quality=85)
        found[f"{name} progressive"] = jpeg(picture, subsampling=subsampling, progressive=True)
    for size in ((1, 1), (1, 9), (8, 8), (9, 1), (16, 17), (17, 33)):
        found[f"size {size}"] = jpeg(photograph(*size, 7))
        found[f"size {size} progressive"] = jpeg(photograph(*size, 7), progressive=True, subsampling=0)
    found |= {
        "optimised": jpeg(picture, optimize=True, quality=92),
        "grey": jpeg(picture[:1], "L"),
        "grey progressive": jpeg(picture[:1], "L", progressive=True),
        "CMYK": jpeg(picture, "CMYK"),
        "CMYK progressive": jpeg(picture, "CMYK", progressive=True),
        "restarts": jpeg(picture, restart_marker_blocks=1),
        "restarts of rows": jpeg(picture, restart_marker_rows=1, subsampling=0),
        "progressive restarts": jpeg(picture, restart_marker_blocks=3, progressive=True),
        "keeps RGB": jpeg(picture, keep_rgb=True, quality=90),
        "EXIF with a thumbnail": jpeg(small, exif=exif(jpeg(small, quality=20))),
        "ICC in several markers": jpeg(small, icc_profile=np.random.default_rng(0).bytes(150_000)),
        "a comment": jpeg(small, comment=b"\xff\xd8 a comment \xff\xda"),
        "bytes behind its end": jpeg(small) + b"\xff\xda and more \x00\xff",
        "two pictures": jpeg(small) + jpeg(small[:, :9]),
        "noise": jpeg(noise(40, 40), quality=100, subsampling=0),
        "checkers": jpeg(checker(33, 31), quality=100, subsampling=0, progressive=True),
        "one colour": jpeg(constant(40, 24)),
        "a ramp": jpeg(ramp(24, 60), quality=100),
    }
    return found
