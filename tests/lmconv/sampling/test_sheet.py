"""Sheets of images: where each tile is, what a completion shows, and files that are whole or not there."""

import os

import numpy as np
import pytest
from PIL import Image

from lmconv.data.datasets import Grid
from lmconv.sampling import sheet
from lmconv.sampling.sheet import BACKGROUND, HIDDEN, PADDING


@pytest.mark.parametrize("bits", range(1, 9))
def test_levels_as_grey_give_the_levels_back(bits):
    levels = np.arange(2**bits, dtype=np.uint8)
    grey = sheet.grey_levels(levels, bits)
    assert grey[0] == 0 and grey[-1] == 255
    np.testing.assert_array_equal(Grid(1, bits).levels(grey), levels)
    if bits == 1:
        for binarisation in ("stochastic", "threshold"):
            np.testing.assert_array_equal(Grid(1, 1, binarisation).levels(grey), levels)


def test_tiles_of_grey_and_colour():
    levels = np.arange(2 * 3 * 2 * 4, dtype=np.uint8).reshape(2, 3, 2, 4)
    np.testing.assert_array_equal(sheet.tiles(levels, 8), levels.transpose(0, 2, 3, 1))
    grey = sheet.tiles(levels[:, :1] % 2, 1)
    assert grey.shape == (2, 2, 4, 3) and grey.dtype == np.uint8
    np.testing.assert_array_equal(grey, np.repeat(levels[:, 0, :, :, None] % 2 * 255, 3, 3))


def test_a_sheet_has_its_tiles_in_rows():
    tiles = np.arange(5 * 2 * 4 * 3, dtype=np.uint8).reshape(5, 2, 4, 3)
    page = sheet.sheet(tiles, 2)
    zoom = sheet.SIDE // 4
    down, across = 2 * zoom + PADDING, 4 * zoom + PADDING
    assert page.shape == (3 * down + PADDING, 2 * across + PADDING, 3)
    for index, tile in enumerate(tiles):
        top, left = PADDING + index // 2 * down, PADDING + index % 2 * across
        found = page[top : top + 2 * zoom, left : left + 4 * zoom]
        np.testing.assert_array_equal(found, tile.repeat(zoom, 0).repeat(zoom, 1))
    assert (page[-down:, -across:] == BACKGROUND).all() and (page[:PADDING] == BACKGROUND).all()
    assert sheet.sheet(tiles[:1], 4).shape[1] == 4 * zoom + 2 * PADDING
    large = np.zeros((1, 200, 300, 3), np.uint8)
    assert sheet.sheet(large, 1).shape == (200 + 2 * PADDING, 300 + 2 * PADDING, 3)


def test_a_completion_shows_input_completion_truth_and_difference():
    truth = np.array([[[[10, 200], [30, 40]]]], np.uint8)
    drawn = np.array([[[[10, 250], [30, 20]]]], np.uint8)
    hidden = np.array([[False, True], [False, True]])
    found = sheet.completions(truth, drawn, hidden, 8)
    assert found.shape == (4, 2, 2, 3)
    expected = [[[10, HIDDEN], [30, HIDDEN]], drawn[0, 0], truth[0, 0], [[0, 50], [0, 20]]]
    for channel in range(3):
        np.testing.assert_array_equal(found[..., channel], expected)


def test_files_are_whole_or_not_there(tmp_path, monkeypatch):
    pixels = np.random.default_rng(0).integers(256, size=(5, 7, 3)).astype(np.uint8)
    sheet.write(tmp_path / "a.png", pixels)
    sheet.write_array(tmp_path / "a.npy", pixels)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), pixels)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), pixels)
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("no space left")))
    with pytest.raises(OSError, match="no space"):
        sheet.write(tmp_path / "a.png", pixels[:2])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npy", "a.png"]
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), pixels)
