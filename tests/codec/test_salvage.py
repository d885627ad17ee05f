"""Parts of a picture, decoded by the tiles that they touch alone; and what a damaged file still has."""

from dataclasses import replace

import numpy as np
import pytest

from codec import compress, decompress, decompression
from codec.decompression import Lost
from codec.errors import DamagedFile, WrongModel
from codec.format import container
from codec.format.method import Independent, Method
from codec.format.picture import Group
from codec.format.tiles import Box
from codec.images.samples import Samples
from tests.pictures import noise, photograph
from tests.small_tiles import tiled

FLAT = Independent.FLAT


def image(height: int, width: int, kind: str = "rgb") -> Samples:
    planes = np.concatenate([photograph(height, width), noise(height, width)[:1] | 3])
    channels = {"grey": [1], "rgb": [0, 1, 2], "rgb+alpha": [0, 1, 2, 3]}[kind]
    return Samples.of(np.ascontiguousarray(planes[channels].transpose(1, 2, 0)))


@pytest.fixture
def decoded(monkeypatch) -> list[tuple[int, Box]]:
    """Which tiles are decoded: their planes and boxes."""
    found, before = [], decompression._Decoding._decoded

    def note(self, tile, box, form, how):
        found.append((form.count, box))
        return before(self, tile, box, form, how)

    monkeypatch.setattr(decompression._Decoding, "_decoded", note)
    return found


def touched(boxes: list[Box], crop: Box, shape: tuple[int, int]) -> list[Box]:
    """Pixel by pixel."""
    wanted = np.zeros(shape, bool)
    wanted[crop.row : crop.row + crop.height, crop.col : crop.col + crop.width] = True
    return [box for box in boxes if wanted[box.row : box.row + box.height, box.col : box.col + box.width].any()]


CROPS = [
    Box(0, 0, 1, 1),
    Box(13, 12, 2, 2),
    Box(14, 0, 13, 50),
    Box(39, 48, 1, 2),
    Box(0, 20, 40, 3),
    Box(0, 0, 40, 50),
]


@pytest.mark.parametrize("crop", CROPS, ids=str)
@pytest.mark.parametrize("kind", ["grey", "rgb+alpha"])
def test_a_crop_decodes_the_tiles_that_it_touches_and_no_others(tiny_model, decoded, kind, crop):
    picture = image(40, 50, kind)
    data = tiled(picture, tiny_model, FLAT, of_others=(FLAT,))
    expected = touched(container.read(data).picture.header.boxes, crop, (40, 50))
    for threads in (1, 3):
        decoded.clear()
        found = decompress(data, replace(tiny_model, threads=threads), crop=crop)
        part = picture.values[crop.row : crop.row + crop.height, crop.col : crop.col + crop.width]
        assert found.difference(Samples.of(np.ascontiguousarray(part))) is None
        wanted = [(count, box) for count in ([1] if kind == "grey" else [3, 1]) for box in expected]
        assert sorted(decoded, key=str) == sorted(wanted, key=str)


@pytest.mark.parametrize("variant", [0, 3, 5])
def test_a_crop_by_a_model_in_any_variant(tiny_model, variant):
    picture = image(20, 34)
    data = tiled(picture, tiny_model, Method(), variant=variant)
    found = decompress(data, tiny_model, crop=Box(5, 9, 13, 20))
    np.testing.assert_array_equal(found.values, picture.values[5:18, 9:29])


def test_a_crop_of_a_palette_keeps_it(tiny_model):
    palette = np.arange(48, dtype=np.uint8).reshape(16, 3)
    picture = Samples(noise(40, 50)[:1].transpose(1, 2, 0) >> 4, 4, "palette", palette)
    found = decompress(compress(picture, tiny_model).data, tiny_model, crop=Box(7, 8, 9, 10))
    assert (found.kind, found.depth) == ("palette", 4) and np.array_equal(found.palette, palette)
    np.testing.assert_array_equal(found.values, picture.values[7:16, 8:18])


def test_what_a_crop_does_not_touch_may_be_damaged(tiny_model):
    picture = image(32, 48)
    contents = container.read(tiled(picture, tiny_model, FLAT))
    (group,) = contents.picture.groups
    broken = tuple(replace(tile, crc=tile.crc ^ (at != 4)) for at, tile in enumerate(group.tiles))
    data = container.pack(replace(contents, held=replace(contents.picture, groups=(Group(broken),))))
    found = decompress(data, crop=Box(17, 18, 15, 14))
    np.testing.assert_array_equal(found.values, picture.values[17:32, 18:32])
    with pytest.raises(DamagedFile, match="tile at row 0, column 16"):
        decompress(data, crop=Box(15, 18, 15, 14))


def test_a_crop_reports_its_own_pixels(tiny_model):
    data, calls = tiled(image(32, 48, "rgb+alpha"), tiny_model, FLAT, of_others=(FLAT,)), []
    decompress(data, crop=Box(0, 0, 3, 17), progress=lambda *call: calls.append(call))
    assert calls[-1] == (2 * 2 * 256, 2 * 2 * 256)  # two tiles of two groups


WRONG = [Box(0, 0, 0, 1), Box(0, 0, 1, 0), Box(-1, 0, 2, 2), Box(0, -1, 2, 2), Box(5, 0, 1, 1), Box(0, 1, 5, 6)]


@pytest.mark.parametrize("crop", WRONG, ids=str)
def test_a_crop_lies_within_the_picture(tiny_model, decoded, crop):
    data = compress(image(5, 6), tiny_model).data
    with pytest.raises(ValueError, match="is not within 6 x 5 pixels"):
        decompress(data, tiny_model, crop=crop)
    assert decoded == []


def exact_but_for(found: Samples, expected: Samples, lost: list[Lost]) -> bool:
    """Whether all samples are right, and those that are lost 0."""
    values = expected.values.copy()
    for tile in lost:
        box = tile.box
        values[box.row : box.row + box.height, box.col : box.col + box.width, tile.channels] = 0
    return found.difference(replace(expected, values=values)) is None


@pytest.mark.parametrize("threads", [1, 3])
def test_damaged_tiles_are_named_and_all_others_exact(tiny_model, threads):
    picture, model = image(32, 48, "rgb+alpha"), replace(tiny_model, threads=threads)
    data = bytearray(tiled(picture, tiny_model, FLAT, Method(False), of_others=(FLAT,)))
    held = container.read(bytes(data)).picture
    sizes = [len(tile.payload) for tile in held.tiles]
    start, boxes = len(data) - sum(sizes), held.header.boxes
    assert len(sizes) == 12 and min(sizes) > 20
    for number, size in enumerate(sizes):
        at, lost = start + sum(sizes[:number]) + size // 2, []
        data[at] ^= 16
        found = decompress(bytes(data), model, lost=lost)
        assert lost == [Lost(boxes[number % 6], slice(0, 3) if number < 6 else slice(3, 4))]
        assert exact_but_for(found, picture, lost)
        with pytest.raises(DamagedFile):
            decompress(bytes(data), model)
        data[at] ^= 16
    lost = []
    assert exact_but_for(decompress(bytes(data), model, lost=lost), picture, []) and lost == []


def test_several_damaged_tiles(tiny_model):
    picture = image(32, 48, "rgb+alpha")
    contents = container.read(tiled(picture, tiny_model, FLAT, of_others=(FLAT,)))
    held, lost = contents.picture, []
    wrong = [tuple(replace(tile, crc=tile.crc ^ (at in bad)) for at, tile in enumerate(group.tiles))
             for group, bad in zip(held.groups, ((0, 5), (2, 3, 4)))]  # fmt: skip
    groups = tuple(map(Group, wrong))
    found = decompress(replace(contents, held=replace(held, groups=groups)), lost=lost)
    boxes = held.header.boxes
    expected = [*(Lost(boxes[at], slice(0, 3)) for at in (0, 5)), *(Lost(boxes[at], slice(3, 4)) for at in (2, 3, 4))]
    assert lost == expected and exact_but_for(found, picture, lost)


def test_a_file_that_was_cut_off_has_the_tiles_before(tiny_model):
    picture = image(32, 48, "rgb+alpha")
    data = tiled(picture, tiny_model, FLAT, of_others=(FLAT,))
    sizes = [len(tile.payload) for tile in container.read(data).picture.tiles]
    start = len(data) - sum(sizes)
    for length in [*range(start, len(data), 97), len(data) - 1]:
        with pytest.raises(DamagedFile, match="bytes follow the header"):
            decompress(data[:length])
        lost = []
        found = decompress(data[:length], lost=lost)
        there = sum(sum(sizes[: at + 1]) <= length - start for at in range(12))
        assert len(lost) == 12 - there and exact_but_for(found, picture, lost)
    for length in (0, 3, 20, start - 1):
        with pytest.raises((DamagedFile, container.chunks.NotAnLmcFile)):
            decompress(data[:length], lost=[])


def test_a_crop_of_a_damaged_file_names_what_it_has_lost(tiny_model):
    picture, lost = image(32, 48), []
    data = tiled(picture, tiny_model, FLAT)
    found = decompress(data[:-1], crop=Box(8, 0, 24, 48), lost=lost)
    assert lost == [Lost(Box(16, 32, 16, 16), slice(0, 3))]
    right = picture.values[8:].copy()
    right[8:, 32:] = 0
    np.testing.assert_array_equal(found.values, right)
    decompress(data[:-1], crop=Box(0, 0, 16, 48), lost=lost)
    assert len(lost) == 1


def test_without_its_model_nothing_is_lost_but_refused(tiny_model):
    data = tiled(image(5, 6), tiny_model, Method())
    with pytest.raises(WrongModel):
        decompress(data, lost=[])


def test_faults_of_the_program_are_not_taken_for_damage(tiny_model):
    data = tiled(image(5, 6), tiny_model, Method())
    with pytest.raises((TypeError, KeyError, AttributeError)):
        decompress(data, replace(tiny_model, network=None, tables={}), lost=[])
