import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.format import tiles
from codec.format.tiles import Box

sides = st.integers(1, 80)


def test_an_image_that_fits_is_one_tile():
    assert tiles.layout(1024, 768) == [Box(0, 0, 1024, 768)]
    assert tiles.layout(1, 1, tile=1) == [Box(0, 0, 1, 1)]


def test_a_side_is_cut_into_balanced_parts_longer_ones_first():
    assert tiles.layout(1025, 10) == [Box(0, 0, 513, 10), Box(513, 0, 512, 10)]
    assert tiles.layout(2, 11, tile=4) == [Box(0, 0, 2, 4), Box(0, 4, 2, 4), Box(0, 8, 2, 3)]


@given(sides, sides, st.integers(1, 70))
def test_tiles_cover_the_image_once_in_row_major_order(height, width, tile):
    boxes = tiles.layout(height, width, tile)
    seen = [
        (row, col)
        for box in boxes
        for row in range(box.row, box.row + box.height)
        for col in range(box.col, box.col + box.width)
    ]
    assert len(seen) == len(set(seen)) == height * width
    assert all(0 <= row < height and 0 <= col < width for row, col in seen)
    assert [(box.row, box.col) for box in boxes] == sorted((box.row, box.col) for box in boxes)


@given(sides, sides, st.integers(1, 70))
def test_tiles_are_as_few_and_as_even_as_they_can_be(height, width, tile):
    boxes = tiles.layout(height, width, tile)
    for lengths, side in (({b.height for b in boxes}, height), ({b.width for b in boxes}, width)):
        assert max(lengths) - min(lengths) <= 1
        assert max(lengths) <= tile or side <= tile
        assert max(lengths) == -(-side // -(-side // tile))
    assert len(boxes) == tiles.count(height, width, tile)


def test_count_needs_no_list():
    assert tiles.count(2**31, 2**31, 1) == 2**62


@pytest.mark.parametrize("size", [(0, 1, 1), (1, 0, 1), (1, 1, 0), (-1, 1, 1)])
def test_sizes_without_pixels_are_refused(size):
    with pytest.raises(ValueError, match="no tiles"):
        tiles.layout(*size)
