"""Pictures of orders: colours in the order of ranks, the path, and every pattern of a mask."""

import numpy as np
import pytest

from lmconv import orders
from lmconv.orders import drawing, masks
from lmconv.orders.drawing import CELL, CENTRE, CLOSED, GIVEN, OPEN, RAMP


def centres(drawn: np.ndarray, height: int, width: int) -> np.ndarray:
    """The colour at a corner of each position's square, where no path is."""
    side = drawn.shape[0] // height
    assert drawn.shape == (height * side, width * side, 3)
    return drawn[::side, ::side]


def test_colours_run_from_first_to_last():
    rank = orders.make("gilbert:6", 4, 7)
    drawn = drawing.colours(rank)
    found = centres(drawn, 4, 7)
    np.testing.assert_array_equal(found.repeat(73, 0).repeat(73, 1), drawn)
    in_order = found.reshape(-1, 3)[np.argsort(rank, axis=None)].astype(int)
    assert tuple(in_order[0]) == tuple(RAMP[0]) and tuple(in_order[-1]) == tuple(RAMP[-1])
    assert (np.diff(in_order[:, 1]) > 0).all()  # green only grows along the ramp


def test_what_is_given_is_grey():
    region = np.zeros((4, 4), bool)
    region[:2] = True
    found = centres(drawing.ranks(np.where(region, orders.OBSERVED, orders.raster(4, 4))), 4, 4)
    assert (found[:2] == GIVEN).all() and not (found[2:] == GIVEN).all(2).any()


@pytest.mark.parametrize(("spec", "has_path"), [("s_curve", True), ("wavefront", False), ("multiscale=4", False)])
def test_the_path_of_orders_without_ties(spec, has_path):
    rank = orders.make(spec, 8, 8)
    assert (drawing.ranks(rank) != drawing.colours(rank)).any() == has_path
    large = orders.make(spec, 128, 8)  # squares too small for a path
    np.testing.assert_array_equal(drawing.ranks(large), drawing.colours(large))


def test_a_pattern_shows_its_taps():
    taps = masks.single_pattern("raster", 3).reshape(3, 3)
    found = drawing._pattern(taps)[CELL // 2 :: CELL, CELL // 2 :: CELL]
    expected = [[OPEN] * 3, [OPEN, CENTRE, CLOSED], [CLOSED] * 3]
    np.testing.assert_array_equal(found, expected)


def test_patterns_are_counted(monkeypatch):
    titles = []
    monkeypatch.setattr(drawing, "_titled", lambda text, drawn, below=False: titles.append(text) or drawn)
    drawing.patterns(orders.make("s_curve", 8, 6), 3, 1)
    assert titles[-1] == "masks 3x3, dilation 1: 2 patterns" and titles[:-1] == ["24", "24"]
    titles.clear()
    monkeypatch.setattr(drawing, "MOST_PATTERNS", 5)
    drawing.patterns(orders.make("random=1", 16, 16), 3, 2)
    assert len(titles) == 6 and titles[-1].endswith(", the 5 most used")
    assert [int(count) for count in titles[:-1]] == sorted(map(int, titles[:-1]), reverse=True)


@pytest.mark.parametrize(("spec", "size"), [("hilbert:2", (8, 8)), ("raster", (1, 1)), ("random=3:7", (3, 40))])
def test_pages(spec, size):
    page = drawing.page(orders.make(spec, *size), 5, 2, "a title")
    assert page.dtype == np.uint8 and page.shape[2] == 3 and min(page.shape[:2]) > 100
    assert (page[0] == 255).all() and (page[:, -1] == 255).all()
