"""QOI: against a plain encoder written from the format's page, and against Pillow's."""

import io

import numpy as np
import pytest
from PIL import Image

from codec.errors import DamagedFile, ImageTooLarge, UnreadableImage
from codec.images import qoi
from tests.codec.images.round_trips import (
    MOST,
    check_damage,
    check_hostile_rests,
    checked,
    file_of,
    items,
    noise,
)

END = bytes(7) + b"\1"


def signed(difference: int) -> int:
    return (difference + 128) % 256 - 128


def chunk(pixel: tuple[int, ...], last: tuple[int, ...], seen: list[tuple[int, ...]]) -> bytes:
    """The chunk of one pixel, as the reference encoder chooses it."""
    place = (3 * pixel[0] + 5 * pixel[1] + 7 * pixel[2] + 11 * pixel[3]) % 64
    if seen[place] == pixel:
        return bytes([place])
    seen[place] = pixel
    if pixel[3] != last[3]:
        return bytes([0xFF, *pixel])
    red, green, blue = (signed(a - b) for a, b in zip(pixel[:3], last[:3]))
    if all(-2 <= change <= 1 for change in (red, green, blue)):
        return bytes([0x40 | red + 2 << 4 | green + 2 << 2 | blue + 2])
    red, blue = signed(red - green), signed(blue - green)
    if -32 <= green <= 31 and -8 <= red <= 7 and -8 <= blue <= 7:
        return bytes([0x80 | green + 32, red + 8 << 4 | blue + 8])
    return bytes([0xFE, *pixel[:3]])


def header(height: int, width: int, channels: int, space: int = 0) -> bytes:
    return b"qoif" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([channels, space])


def build(values: np.ndarray, channels: int, space: int = 0) -> bytes:
    pixels = values if values.shape[2] == 4 else np.dstack([values, np.full(values.shape[:2], 255, np.uint8)])
    written, last, run, seen = b"", (0, 0, 0, 255), 0, [(0, 0, 0, 0)] * 64
    for pixel in map(tuple, pixels.reshape(-1, 4).tolist()):
        if run and (pixel != last or run == 62):
            written, run = written + bytes([0xC0 | run - 1]), 0
        if pixel == last:
            run += 1
        else:
            written += chunk(pixel, last, seen)
        last = pixel
    return header(*values.shape[:2], channels, space) + written + (bytes([0xC0 | run - 1]) if run else b"") + END


def smooth(height: int, width: int, channels: int) -> np.ndarray:
    """Values that change by a little, so that every kind of chunk is used."""
    rows, cols = np.mgrid[:height, :width]
    steps = np.random.default_rng(1).integers(-2, 3, (height, width, channels))
    values = (rows * 3 + cols * 5)[:, :, None] // 2 + steps * (cols % 7 > 2)[:, :, None]
    if channels == 4:
        values[:, :, 3] = np.where(cols % 11 > 8, 128, 255)
    return values.astype(np.uint8)


PICTURES = {
    "noise": noise(20, 31, 3),
    "noise with alpha": noise(20, 31, 4),
    "few values": noise(40, 31, 4, 1) * np.uint8(255),
    "smooth": smooth(40, 50, 3),
    "smooth with alpha": smooth(40, 50, 4),
    "one black pixel": np.zeros((1, 1, 3), np.uint8),
    "black run": np.zeros((9, 14, 3), np.uint8),
    "runs of 62 and 63": np.repeat([[1, 2, 3], [4, 5, 9], [9, 8, 7]], [62, 63, 124], axis=0)[None].astype(np.uint8),
    "first pixel clear": np.zeros((3, 5, 4), np.uint8),
    "black, then another, then black": np.array([[[0, 0, 0], [9, 99, 7], [0, 0, 0]]], np.uint8),
    "longer than a step": np.tile(smooth(64, 64, 3), (5, 5, 1)),
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_file_of_the_reference_encoder_comes_back(name):
    values = PICTURES[name]
    channels = values.shape[2]
    parts = checked(qoi, build(values, channels), values, "rgb" if channels == 3 else "rgb+alpha", 8)
    assert len(parts.rest) <= 7


def test_every_kind_of_chunk_is_tried():
    data = b"".join(build(values, values.shape[2])[14:] for values in PICTURES.values())
    assert {0, 0x40, 0x80, 0xC0} <= {byte & 0xC0 for byte in data} and {0xFD, 0xFE, 0xFF} <= set(data)


def test_pillow_s_file_comes_back():
    values, file = smooth(33, 47, 4), io.BytesIO()
    Image.fromarray(values).save(file, "QOI")
    checked(qoi, file.getvalue(), values, "rgb+alpha", 8)
    assert qoi.second_opinion(file.getvalue()) is not None


def test_runs_that_cross_steps(monkeypatch):
    values = np.repeat(noise(1, 40, 3), 9, axis=1)
    data = build(values, 3)
    monkeypatch.setattr("codec.images.qoi_chunks._STEP", 7)
    checked(qoi, data, values, "rgb", 8)


def test_header_and_trailing_bytes_are_kept():
    values = smooth(5, 6, 4)
    parts = checked(qoi, build(values, 4, 1) + b"more", values, "rgb+alpha", 8)
    assert items(qoi, parts) == {"trailing bytes": b"more"}
    assert file_of(qoi, parts.samples, qoi.stripped(parts.rest)) == build(values, 4, 1)


@pytest.mark.parametrize("alpha", [255, 254])
def test_alpha_that_the_header_does_not_announce(alpha):
    values = smooth(5, 6, 4)
    values[:, :, 3] = alpha
    kind = "rgb" if alpha == 255 else "rgb+alpha"
    checked(qoi, build(values, 3), values[:, :, : 3 if alpha == 255 else 4], kind, 8)


def test_another_encoder_s_chunks_are_rewritten():
    values = smooth(6, 7, 3)
    chunks = b"".join(bytes([0xFE, *pixel]) for pixel in values.reshape(-1, 3).tolist())
    parts = checked(qoi, header(6, 7, 3, 1) + chunks + END + b"tail", values, "rgb", 8, exact=False)
    assert file_of(qoi, parts.samples, parts.rest) == build(values, 3, 1) + b"tail"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"qoif" + bytes(8), "are due"),
        (header(1, 1, 5) + b"\xc0" + END, "5 channels"),
        (header(0, 1, 3) + END, "1 x 0 pixels"),
        (header(1, 2, 3) + b"\xc2" + END, "past the last pixel"),
        (header(1, 2, 3) + b"\xfe\1", "before its last pixel"),
        (header(1, 2, 3) + b"\xc1" + bytes(8), "no mark of the end"),
        (header(3000, 3000, 3) + b"\xc1" + END, "hold no 3000 x 3000 pixels"),
    ],
)
def test_damage_is_named(data, message):
    with pytest.raises(UnreadableImage, match=message):
        qoi.take_apart(data, MOST)


def test_too_large():
    with pytest.raises(ImageTooLarge):
        qoi.take_apart(build(PICTURES["smooth"], 3), 1999)


def test_samples_of_another_size_are_refused():
    parts = qoi.take_apart(build(smooth(4, 5, 3), 3), MOST)
    other = qoi.take_apart(build(smooth(5, 4, 3), 3), MOST)
    with pytest.raises(DamagedFile, match="does not fit"):
        file_of(qoi, other.samples, parts.rest)


def test_damage():
    check_damage(qoi, build(smooth(12, 13, 4), 4) + b"tail", 300)


def test_hostile_rests():
    check_hostile_rests(qoi, build(smooth(12, 13, 3), 3) + b"tail", 300)


def test_other_files_are_not_taken():
    assert not qoi.recognises(b"qoi") and not qoi.recognises(b"PNG" + bytes(20))
