"""Regions of an image, and which orders visit them last or first."""

import numpy as np
import pytest
from PIL import Image

from lmconv import orders
from lmconv.orders import regions
from lmconv.orders.regions import RegionError

SPECS = [f"s_curve:{variant}" for variant in range(8)]


@pytest.mark.parametrize(
    ("spec", "rows", "columns"),
    [
        ("top", slice(0, 4), slice(0, 7)),
        ("bottom", slice(4, 8), slice(0, 7)),
        ("left", slice(0, 8), slice(0, 3)),
        ("right", slice(0, 8), slice(4, 7)),
        ("centre", slice(2, 6), slice(2, 5)),
        ("box=1,2,3,4", slice(1, 4), slice(2, 6)),
        ("box=0,0,8,7", slice(0, 8), slice(0, 7)),
    ],
)
def test_regions(spec, rows, columns):
    expected = np.zeros((8, 7), bool)
    expected[rows, columns] = True
    np.testing.assert_array_equal(regions.make(spec, 8, 7), expected)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("middle", "there is no region 'middle'; known are top, bottom"),
        ("box=1,2,3", "no region"),
        ("box=0,0,9,7", "region box=0,0,9,7 is empty or not inside an image of 8x7"),
        ("box=7,6,1,2", "not inside"),
        ("box=0,0,0,7", "is empty"),
        ("box=-1,0,2,2", "no region"),
    ],
)
def test_regions_that_are_none(spec, message):
    with pytest.raises(RegionError, match=message):
        regions.make(spec, 8, 7)
    with pytest.raises(RegionError, match="empty"):
        regions.make("top", 1, 7)


@pytest.mark.parametrize(
    ("spec", "last", "first"),
    [
        ("top", (1, 3), (0, 2)),
        ("bottom", (0, 2), (1, 3)),
        ("left", (6, 7), (4, 5)),
        ("right", (4, 5), (6, 7)),
        ("centre", (), ()),
    ],
)
def test_variants_of_the_s_curve(spec, last, first):
    """Those that the paper takes for its completions."""
    region = regions.make(spec, 8, 8)
    ranks = [orders.make(order, 8, 8) for order in SPECS]
    assert tuple(v for v, rank in enumerate(ranks) if regions.visited_last(rank, region)) == last
    assert tuple(v for v, rank in enumerate(ranks) if regions.visited_first(rank, region)) == first


def test_the_whole_image_is_first_and_last():
    region = np.ones((3, 4), bool)
    assert regions.visited_last(orders.raster(3, 4), region) and regions.visited_first(orders.raster(3, 4), region)


def test_what_is_given_comes_before_all():
    region = regions.make("top", 6, 4)
    rank = np.where(~region, orders.OBSERVED, orders.raster(6, 4))
    assert regions.visited_last(rank, region)


@pytest.mark.parametrize(
    ("spec", "variants"), [("bottom", (0, 2)), ("top", (1, 3)), ("right", (4, 5)), ("left", (6, 7)), ("centre", ())]
)
def test_max_context(spec, variants):
    """The lists of the paper's code, for sizes of all its data sets."""
    for side in (28, 32, 64):
        found = regions.max_context(SPECS, regions.make(spec, side, side))
        assert found == [f"s_curve:{variant}" for variant in variants]
    assert regions.max_context(["s_curve_center_quarter_last"], regions.make("centre", 28, 32))


@pytest.mark.parametrize(
    ("mode", "colour"), [("1", 255), ("L", 1), ("RGB", (0, 0, 1)), ("RGBA", (9, 0, 0, 255)), ("I;16", 7)]
)
def test_masks(tmp_path, mode, colour):
    """Whatever is not black, however dark."""
    image = Image.new(mode, (4, 5))
    for place in ((1, 1), (2, 1), (0, 4)):
        image.putpixel(place, colour)
    image.save(tmp_path / "mask.png")
    found = regions.make(f"mask={tmp_path / 'mask.png'}", 5, 4)
    assert np.argwhere(found).tolist() == [[1, 1], [1, 2], [4, 0]]


def test_masks_that_are_none(tmp_path):
    Image.fromarray(np.zeros((5, 4), np.uint8)).save(tmp_path / "black.png")
    (tmp_path / "text.png").write_text("hello")
    for name, size, message in (
        ("black", (5, 4), "black everywhere"),
        ("black", (4, 5), "is 5x4, the image 4x5"),
        ("text", (5, 4), "cannot be read as a mask"),
        ("no", (5, 4), "cannot be read"),
    ):
        with pytest.raises(RegionError, match=message):
            regions.make(f"mask={tmp_path / name}.png", *size)
