"""Pictures kept as the JPEGs that made them: the same pixels, far fewer bytes; what is damaged is told."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image as Pillow

from codec import analyse, compress, decompress
from codec.errors import CodecError, DamagedFile, ImageTooLarge, WrongModel
from codec.format import container
from codec.format.container import Contents
from codec.format.method import MADE, NEEDS_JPEG
from codec.format.picture import Group
from codec.format.tiles import Box
from codec.images.samples import Samples
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


def back(image: Samples, model, **options) -> bytes:
    """Its file, which gives the same picture."""
    data = compress(image, model, **options).data
    assert image.difference(decompress(data, model)) is None
    return data


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("quality", [50, 80, 92])
def test_whole_pictures_need_no_model(tiny_model, quality, subsampling):
    pixels, seen = picture(quality, subsampling), []
    image = Samples.of(pixels)
    coded = compress(image, tiny_model, progress=lambda done, total: seen.append((done, total)))
    name = ("4:4:4", "4:2:2", "4:2:0")[subsampling]
    assert coded.methods == {MADE: 1} and str(coded.origin) == f"was a JPEG, quality {quality}, {name}"
    assert container.read(coded.data).picture.header.model_id is None and seen[-1][0] == seen[-1][1]
    assert image.difference(decompress(coded.data)) is None
    assert len(coded.data) < pixels.size / 8 and 0 <= 8 * len(coded.data) - coded.nll_bits < 8 * 64


@pytest.mark.parametrize("effort", ["fast", "normal", "best"])
def test_what_the_jpeg_does_not_make_comes_back_too(tiny_model, effort):
    whole, image = Samples.of(picture()), Samples.of(altered(picture()))
    data = back(image, tiny_model, effort=effort)
    (tile,) = container.read(data).picture.tiles
    assert tile.method.reconstruction and tile.method != MADE
    assert (
        len(back(whole, tiny_model, effort=effort)) < len(data) < 0.75 * len(back(image, tiny_model, order="wavefront"))
    )
    with pytest.raises(WrongModel):
        decompress(data)


def test_tiles_that_are_made_stand_beside_others(tiny_model):
    pixels = picture(75, 2, (80, 1100))
    changed = pixels.copy()
    changed[10:20, 700:720] = 0
    coded = compress(Samples.of(changed), tiny_model)
    assert coded.methods[MADE] == 1 and len(coded.methods) == 2
    assert Samples.of(changed).difference(decompress(coded.data, tiny_model)) is None


def test_alpha_is_kept_beside_it(tiny_model):
    pixels = np.dstack([picture(), photograph(96, 144, 3)[0]])
    data = back(Samples.of(pixels), tiny_model)
    contents = container.read(data)
    colours, alpha = contents.picture.groups
    assert contents.jpeg is not None
    assert contents.picture.needs_model == (contents.picture.header.model_id is not None)
    assert colours.tiles[0].method == MADE and alpha.tiles[0].method not in NEEDS_JPEG


def test_other_pictures_have_no_source(tiny_model):
    assert find_source(photograph(64, 64)) is None
    assert compress(Samples.of(picture()), tiny_model, order="wavefront").origin is None


def test_where_bits_go_is_that_of_the_walk(tiny_model):
    image = Samples.of(picture(90, 0, (32, 40)))
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
    image = Samples.of(picture(75, 2, (48, 64)))
    data = compress(image, tiny_model).data
    contents = container.read(data)
    for i in range(len(data)):
        with pytest.raises(CodecError):
            decompress(data[:i] + bytes([data[i] ^ 1]) + data[i + 1 :])
    for i in range(0, len(contents.jpeg), 3):
        harmless = i == 3  # the percentage
        jpeg = bytearray(contents.jpeg)
        jpeg[i] ^= 1
        for changed in (bytes(jpeg), contents.jpeg[:i]):
            if harmless and changed == bytes(jpeg):
                continue
            with pytest.raises(DamagedFile):
                decompress(container.pack(replace(contents, jpeg=changed)))
    with pytest.raises(ImageTooLarge):
        decompress(data, max_pixels=48 * 64 - 1)


def test_what_does_not_fit_together_is_damaged(tiny_model):
    contents = container.read(compress(Samples.of(picture(75, 2, (48, 64))), tiny_model).data)
    held, jpeg = contents.picture, contents.jpeg
    with pytest.raises(DamagedFile, match="needs a JPEG"):
        container.read(container.pack(Contents(held)))
    grey = replace(held, header=replace(held.header, kind="grey"))
    with pytest.raises(DamagedFile, match="3 components for a picture of 1"):
        decompress(container.pack(Contents(grey, jpeg)))
    others = replace(held, groups=(Group((replace(held.tiles[0], code=3),)),))
    with pytest.raises(DamagedFile, match="names no model"):
        container.read(container.pack(Contents(others, jpeg)))
    longer = replace(held, groups=(Group((replace(held.tiles[0], payload=b"1"),)),))
    with pytest.raises(DamagedFile, match="has 1 bytes of its own"):
        container.read(container.pack(Contents(longer, jpeg)))
    other = made_by(jpeg, 48, 64)
    assert other.shape == (3, 48, 64) and made_by(jpeg, 48, 64).tolist() == other.tolist()
    walked = back(Samples.of(np.ascontiguousarray(noise(8, 9).transpose(1, 2, 0))), tiny_model)
    assert container.read(walked).jpeg is None


@pytest.mark.parametrize("effort", ["fast", "normal"])
def test_progress_ends_at_its_total_however_many_ways_are_tried(tiny_model, effort):
    """The walk beside the coefficients, and what has none of them."""
    for pixels in (picture(), altered(picture()), np.dstack([altered(picture()), picture()[..., 0]])):
        calls = []
        compress(Samples.of(pixels), tiny_model, effort=effort, progress=lambda *call, calls=calls: calls.append(call))
        assert calls[-1][0] == calls[-1][1] and all(done <= total for done, total in calls)


def test_a_crop_of_what_a_jpeg_makes(tiny_model):
    pixels = picture(75, 2, (80, 1100))
    data = compress(Samples.of(pixels), tiny_model).data
    np.testing.assert_array_equal(decompress(data, tiny_model, crop=Box(9, 500, 60, 99)).values, pixels[9:69, 500:599])


def test_a_damaged_tile_beside_what_a_jpeg_makes(tiny_model):
    pixels = picture(75, 2, (80, 1100))
    contents = container.read(compress(Samples.of(pixels), tiny_model).data)
    first, second = contents.picture.tiles
    wrong = replace(contents.picture, groups=(Group((replace(first, crc=first.crc ^ 1), second)),))
    lost = []
    found = decompress(container.pack(replace(contents, held=wrong)), tiny_model, lost=lost)
    assert [(tile.box.col, tile.channels) for tile in lost] == [(0, slice(0, 3))]
    assert not found.values[:, :550].any()
    np.testing.assert_array_equal(found.values[:, 550:], pixels[:, 550:])
