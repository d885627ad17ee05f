"""Pictures kept as the JPEGs that made them: the same pixels, far fewer bytes; what is damaged is told."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image as Pillow

from codec.codec import analyse, compress, decompress
from codec.errors import CodecError, DamagedFile, ImageTooLarge, WrongModel
from codec.format import container
from codec.format.container import NO_MODEL
from codec.format.method import MADE, METHODS
from codec.images import Image
from codec.jpeg.born import find_source, made_by
from codec.jpeg.origin import Origin, read_origin
from tests.codec.jpeg.jpegs import jpeg
from tests.pictures import noise, photograph

TABLE = np.arange(1, 65)


def picture(quality: int = 85, subsampling: int = 2, size: tuple[int, int] = (96, 144)) -> np.ndarray:
    """A decoded JPEG of a photograph, uint8 [H, W, 3]."""
    planes = (40 + photograph(*size, 2) * 0.7).astype(np.uint8)
    data = jpeg(planes, quality=quality, subsampling=subsampling)
    return np.asarray(Pillow.open(io.BytesIO(data)).convert("RGB"))


def altered(pixels: np.ndarray) -> np.ndarray:
    """With another corner, and a pixel."""
    found = pixels.copy()
    found[:24, :32] = photograph(24, 32, 5).transpose(1, 2, 0)
    found[60, 50] ^= 255
    return found


def back(image: Image, model, **options) -> bytes:
    """Its file, which gives the same picture."""
    data = compress(image, model, **options).data
    assert image.difference(decompress(data, model)) is None
    return data


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("quality", [50, 80, 92])
def test_whole_pictures_need_no_model(tiny_model, quality, subsampling):
    pixels, seen = picture(quality, subsampling), []
    image = Image(pixels, "RGB")
    coded = compress(image, tiny_model, progress=lambda done, total: seen.append((done, total)))
    name = ("4:4:4", "4:2:2", "4:2:0")[subsampling]
    assert coded.methods == {MADE: 1} and str(coded.source) == f"was a JPEG, quality {quality}, {name}"
    assert container.unpack(coded.data).header.model_id == NO_MODEL and seen[-1][0] == seen[-1][1]
    assert image.difference(decompress(coded.data)) is None
    assert len(coded.data) < pixels.size / 8 and 0 <= 8 * len(coded.data) - coded.nll_bits < 8 * 64


@pytest.mark.parametrize("effort", ["fast", "normal", "best"])
def test_what_the_jpeg_does_not_make_comes_back_too(tiny_model, effort):
    whole, image = Image(picture(), "RGB"), Image(altered(picture()), "RGB")
    data = back(image, tiny_model, effort=effort)
    (tile,) = container.unpack(data).tiles
    assert METHODS[tile.method].reconstruction and METHODS[tile.method] != MADE
    assert (
        len(back(whole, tiny_model, effort=effort)) < len(data) < 0.75 * len(back(image, tiny_model, order="wavefront"))
    )
    with pytest.raises(WrongModel):
        decompress(data)


def test_tiles_that_are_made_stand_beside_others(tiny_model):
    pixels = picture(75, 2, (80, 1100))
    changed = pixels.copy()
    changed[10:20, 700:720] = 0
    coded = compress(Image(changed, "RGB"), tiny_model)
    assert coded.methods[MADE] == 1 and len(coded.methods) == 2
    assert Image(changed, "RGB").difference(decompress(coded.data, tiny_model)) is None


def test_alpha_is_kept_beside_it(tiny_model):
    pixels = np.dstack([picture(), photograph(96, 144, 3)[0]])
    data = back(Image(pixels, "RGBA"), tiny_model)
    assert container.unpack(data).source is not None and container.unpack(data).header.model_id != NO_MODEL


def test_other_pictures_have_no_source(tiny_model):
    assert find_source(photograph(64, 64)) is None
    assert compress(Image(picture(), "RGB"), tiny_model, order="wavefront").source is None


def test_where_bits_go_is_that_of_the_walk(tiny_model):
    image = Image(picture(90, 0, (32, 40)), "RGB")
    costs = analyse(image, tiny_model).costs
    assert costs.sum() == pytest.approx(compress(image, tiny_model, order="wavefront:0").nll_bits, rel=1e-4)


@pytest.mark.parametrize(
    "origin",
    [
        Origin(3, 15, (2, 2), True, *(read_origin(bytes([0, 0, 88, 1]))[0].steps[:2]), 99),
        Origin(0, 0, (1, 2), False, TABLE, TABLE[::-1], 100),
        Origin(7, 1, None, True, TABLE, TABLE, 0),
        Origin(15, 8, (2, 1), True, TABLE, TABLE, 50),
    ],
    ids=str,
)
def test_what_is_said_of_a_jpeg(origin):
    found, rest = read_origin(origin.pack() + b"behind")
    assert rest == b"behind" and str(found) == str(origin)
    assert found.frame(40, 50) == origin.frame(40, 50)
    for ours, theirs in zip(found.steps, origin.steps):
        np.testing.assert_array_equal(ours, theirs)
    assert (found.row, found.column, found.smooth, found.quality) == (
        origin.row,
        origin.column,
        origin.smooth,
        origin.quality,
    )
    for length in range(len(origin.pack())):
        with pytest.raises(DamagedFile):
            read_origin(origin.pack()[:length])
    assert len(find_source(picture().transpose(2, 0, 1)).origin.pack()) == 4


@pytest.mark.parametrize(
    "head", [[0, 5, 80, 0], [0, 16, 80, 0], [0, 0, 101, 0], [0, 0, 80, 101], [0, 4, 0, 0, *[0] * 64]]
)
def test_wrong_values_are_told(head):
    with pytest.raises(DamagedFile):
        read_origin(bytes(head))


def test_damage_is_told(tiny_model):
    """Under right checksums, too: whatever a JPEG's bytes say, other pixels are noticed."""
    image = Image(picture(75, 2, (48, 64)), "RGB")
    data = compress(image, tiny_model).data
    parsed = container.unpack(data)
    for i in range(len(data)):
        with pytest.raises(CodecError):
            decompress(data[:i] + bytes([data[i] ^ 1]) + data[i + 1 :])
    for i in range(0, len(parsed.source), 3):
        harmless = i == 3  # the percentage
        source = bytearray(parsed.source)
        source[i] ^= 1
        for changed in (bytes(source), parsed.source[:i]):
            if harmless and changed == bytes(source):
                continue
            with pytest.raises(DamagedFile):
                decompress(container.pack(parsed.header, parsed.tiles, None, changed))
    with pytest.raises(ImageTooLarge):
        decompress(data, max_pixels=48 * 64 - 1)


def test_what_does_not_fit_together_is_damaged(tiny_model):
    parsed = container.unpack(compress(Image(picture(75, 2, (48, 64)), "RGB"), tiny_model).data)
    with pytest.raises(DamagedFile, match="needs a JPEG"):
        container.unpack(container.pack(parsed.header, parsed.tiles))
    grey = replace(parsed.header, mode="L")
    with pytest.raises(DamagedFile, match="3 components for a picture of 1"):
        decompress(container.pack(grey, parsed.tiles, None, parsed.source))
    others = [replace(parsed.tiles[0], method=3)]
    with pytest.raises(DamagedFile, match="names no model"):
        container.unpack(container.pack(parsed.header, others, None, parsed.source))
    other = made_by(parsed.source, 48, 64)
    assert other.shape == (3, 48, 64) and made_by(parsed.source, 48, 64).tolist() == other.tolist()
    walked = back(Image(np.ascontiguousarray(noise(8, 9).transpose(1, 2, 0)), "RGB"), tiny_model)
    assert container.unpack(walked).source is None
