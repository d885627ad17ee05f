"""Pictures kept as the JPEGs that made them: the same pixels, far fewer bytes; what is damaged is told."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from codec.errors import DamagedFile, ImageTooLarge
from codec.format.container import DECODED
from codec.jpeg.born import description, keep_pixels, pixels_of, shape_of
from tests.codec.jpeg.jpegs import jpeg
from tests.pictures import photograph

MOST = 1 << 20


def picture(quality: int = 85, subsampling: int = 2, size: tuple[int, int] = (96, 144)) -> np.ndarray:
    """A decoded JPEG of a photograph."""
    planes = (40 + photograph(*size, 2) * 0.7).astype(np.uint8)
    data = jpeg(planes, quality=quality, subsampling=subsampling)
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("quality", [50, 80, 92])
def test_the_same_pixels_again(quality, subsampling):
    pixels, seen = picture(quality, subsampling), []
    kept = keep_pixels(pixels, lambda done, total: seen.append((done, total)))
    assert kept.form == DECODED and shape_of(kept) == pixels.shape[:2] and seen[-1][0] == seen[-1][1]
    np.testing.assert_array_equal(pixels_of(kept, MOST), pixels)
    assert len(kept.payload) < pixels.size / 8
    assert description(kept) == f"was a JPEG, quality {quality}, {('4:4:4', '4:2:2', '4:2:0')[subsampling]}"


def test_what_the_jpeg_does_not_make_comes_back_too():
    pixels = picture(90).copy()
    pixels[40, 50] ^= 255
    pixels[5:9, 100:104] += 1
    kept = keep_pixels(pixels)
    np.testing.assert_array_equal(pixels_of(kept, MOST), pixels)
    assert len(kept.payload) > len(keep_pixels(picture(90)).payload)


def test_a_part_of_a_picture():
    pixels = np.ascontiguousarray(picture(80, 0, (240, 320))[3:, 5:])
    kept = keep_pixels(pixels)
    np.testing.assert_array_equal(pixels_of(kept, MOST), pixels)


def test_what_is_not_made_by_a_jpeg_is_left_to_others():
    assert keep_pixels(np.ascontiguousarray(photograph(64, 64).transpose(1, 2, 0))) is None
    altered = picture(85).copy()
    altered[:40] = photograph(40, 144).transpose(1, 2, 0)
    assert keep_pixels(altered) is None


def test_damage_is_told():
    kept = keep_pixels(picture(75, 2, (48, 64)))
    for i in range(len(kept.payload)):
        damaged = kept.payload[:i] + bytes([kept.payload[i] ^ 1]) + kept.payload[i + 1 :]
        with pytest.raises((DamagedFile, ImageTooLarge)):
            pixels_of(replace(kept, payload=damaged), MOST)
    for i in range(0, len(kept.payload), 5):
        with pytest.raises(DamagedFile):
            pixels_of(replace(kept, payload=kept.payload[:i]), MOST)
    for wrong in ({"size": kept.size + 3}, {"crc": kept.crc ^ 1}, {"size": 0}):
        with pytest.raises(DamagedFile):
            pixels_of(replace(kept, **wrong), MOST)
    with pytest.raises(ImageTooLarge):
        pixels_of(kept, 48 * 64 - 1)
