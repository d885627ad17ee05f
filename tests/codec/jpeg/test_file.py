"""JPEGs taken apart and put together: the same bytes, and what cannot be is said to be odd."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from codec.jpeg.file import empty, outline, put_together, take_apart
from codec.jpeg.segments import ZIGZAG, ArithmeticJpeg, OddJpeg
from tests.codec.jpeg.jpegs import jpeg, jpegs
from tests.pictures import photograph

KINDS = list(jpegs())


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_bytes_again(kind):
    data = jpegs()[kind]
    found = take_apart(data)
    assert put_together(found) == data
    assert len(found.around) < len(data) and set(found.pads) == {1}
    assert outline(found.around).frame == found.frame


@pytest.mark.parametrize("kind", ["4:4:4", "4:4:4 progressive", "grey", "size (17, 33) progressive"])
def test_coefficients_are_the_pictures(kind):
    """Dequantised and transformed in floating point they give what Pillow decodes, but for rounding."""
    data = jpegs()[kind]
    found, cosines = take_apart(data), np.cos(np.outer(np.arange(8), 2 * np.arange(8) + 1) * np.pi / 16) / 2
    cosines[0] *= np.sqrt(0.5)
    frame, first, planes = found.frame, 0, []
    for component, steps in zip(frame.components, found.steps):
        blocks = found.coefficients[first : first + component.blocks] * steps
        blocks = np.einsum("uy,buv,vx->byx", cosines, blocks.reshape(-1, 8, 8), cosines) + 128
        grid = blocks.reshape(component.rows, component.stride, 8, 8).swapaxes(1, 2)
        planes.append(grid.reshape(8 * component.rows, -1)[: frame.height, : frame.width])
        first += component.blocks
    image = Image.open(io.BytesIO(data))
    image.draft("YCbCr", None)
    pixels = np.asarray(image).reshape(frame.height, frame.width, -1)
    assert abs(np.stack(planes, -1).clip(0, 255) - pixels).max() < 1.5


def test_both_ways_to_write_it_have_the_same_coefficients():
    for subsampling in (0, 2):
        one, other = (
            take_apart(jpeg(photograph(50, 61), subsampling=subsampling, progressive=progressive))
            for progressive in (False, True)
        )
        seen = []
        for found in (one, other):  # a progressive file need not say what lies outside of the picture
            parts, first = [], 0
            for component in found.frame.components:
                grid = found.coefficients[first : first + component.blocks].reshape(
                    component.rows, component.stride, 64
                )
                parts.append(grid[: component.height, : component.width].tolist())
                first += component.blocks
            seen.append(parts)
        assert seen[0] == seen[1]


def test_zigzag_is_the_standards():
    assert sorted(ZIGZAG) == list(range(64)) and ZIGZAG[:6].tolist() == [0, 1, 8, 16, 9, 2]
    sums = ZIGZAG // 8 + ZIGZAG % 8
    assert (np.diff(sums) >= 0).all()


def altered(data: bytes, marker: int, other: int) -> bytes:
    return data.replace(bytes([0xFF, marker]), bytes([0xFF, other]), 1)


def test_what_is_odd_is_said_to_be():
    data = jpegs()["4:2:0"]
    start = data.index(b"\xff\xda")
    odd = {
        "nothing": b"",
        "a PNG": b"\x89PNG\r\n\x1a\n",
        "cut in its header": data[:300],
        "cut in its scan": data[:-40],
        "without its end": data[:-2],
        "twelve bits": data.replace(b"\xff\xc0\x00\x11\x08", b"\xff\xc0\x00\x11\x0c"),
        "lossless": altered(data, 0xC0, 0xC3),
        "no size": data.replace(b"\xff\xc0\x00\x11\x08\x00\x2d", b"\xff\xc0\x00\x11\x08\x00\x00"),
        "a huge frame": data.replace(b"\xff\xc0\x00\x11\x08\x00\x2d\x00\x46", b"\xff\xc0\x00\x11\x08\xff\xff\xff\xff"),
        "no tables": data[:2] + data[start:],
        "zeros in its scan": data[: start + 100] + bytes(60) + data[start + 160 :],
        "a marker in its scan": data[: start + 100] + b"\xff\xd0" + data[start + 100 :],
        "bytes behind its scan": data[:-2] + b"between" + data[-2:],
    }
    for name, bytes_ in odd.items():
        with pytest.raises(OddJpeg):
            take_apart(bytes_)
            pytest.fail(name)
    with pytest.raises(ArithmeticJpeg):
        take_apart(altered(data, 0xC0, 0xC9))
    with pytest.raises(OddJpeg, match="larger than its bytes"):
        empty(take_apart(data).frame, 10)


def test_bits_that_fill_bytes_may_be_zeros():
    data = jpegs()["grey"]
    found = take_apart(data)
    zeros = put_together(type(found)(found.frame, found.steps, found.coefficients, found.around, (0,)))
    assert zeros != data and take_apart(zeros).pads == (0,)


def test_parts_that_do_not_fit_are_refused():
    found = take_apart(jpegs()["grey"])
    with pytest.raises(OddJpeg):
        put_together(type(found)(found.frame, found.steps, found.coefficients, found.around, (1, 1)))
    coefficients = found.coefficients.copy()
    coefficients[0, 0] = 30000  # no Huffman code is long enough
    with pytest.raises(OddJpeg):
        put_together(type(found)(found.frame, found.steps, coefficients, found.around, found.pads))


@settings(deadline=None, max_examples=300)
@given(kind=st.sampled_from(KINDS), seed=st.integers(0, 2**32 - 1), changes=st.integers(1, 8))
def test_damaged_files_come_back_or_are_odd(kind, seed, changes):
    rng, data = np.random.default_rng(seed), bytearray(jpegs()[kind])
    for _ in range(changes):
        at = int(rng.integers(len(data)))
        way = rng.integers(4)
        if way == 0:
            data[at] = rng.integers(256)
        elif way == 1:
            data[at] ^= 1 << rng.integers(8)
        elif way == 2:
            del data[at : at + int(rng.integers(1, 9))]
        else:
            data[at:at] = rng.bytes(int(rng.integers(1, 9)))
    try:
        assert put_together(take_apart(bytes(data))) == bytes(data)
    except OddJpeg:
        pass
