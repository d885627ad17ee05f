"""The eight variants of pictures, and how they correspond to the variants of orders."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmconv import orders
from runtime.variants import orient, unorient

ROOT = Path(__file__).resolve().parents[2]
sides = st.integers(1, 7)
variants = st.integers(0, 7)
specs = st.sampled_from(["raster", "s_curve", "gilbert", "wavefront", "random=2"])


@given(sides, sides, variants)
def test_unorient_undoes_orient(height, width, variant):
    picture = np.arange(2 * height * width).reshape(2, height, width)
    np.testing.assert_array_equal(unorient(orient(picture, variant), variant), picture)
    np.testing.assert_array_equal(orient(unorient(picture, variant), variant), picture)
    oriented = orient(picture, variant)
    assert oriented.shape == ((2, width, height) if variant & 4 else (2, height, width))
    assert np.shares_memory(oriented, picture)


def test_variants_are_all_different():
    picture = np.arange(9).reshape(3, 3)
    assert len({orient(picture, variant).tobytes() for variant in range(8)}) == 8


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        (0, [[1, 2], [3, 4], [5, 6]]),
        (1, [[5, 6], [3, 4], [1, 2]]),
        (2, [[2, 1], [4, 3], [6, 5]]),
        (3, [[6, 5], [4, 3], [2, 1]]),
        (4, [[1, 3, 5], [2, 4, 6]]),
        (5, [[5, 3, 1], [6, 4, 2]]),
        (6, [[2, 4, 6], [1, 3, 5]]),
        (7, [[6, 4, 2], [5, 3, 1]]),
    ],
)
def test_variants_by_hand(variant, expected):
    assert orient(np.array([[1, 2], [3, 4], [5, 6]]), variant).tolist() == expected


@given(sides, sides, variants)
def test_docs_format_s_rule(h, w, v):
    """Its words and its formula, one after the other."""
    text = " ".join((ROOT / "docs" / "format.md").read_text("utf-8").split())
    assert "rows are put in reverse order if v & 1, its columns if v & 2, and the result is transposed if v & 4" in text
    tile = np.arange(h * w).reshape(h, w)
    expected = tile[::-1] if v & 1 else tile
    expected = expected[:, ::-1] if v & 2 else expected
    expected = expected.T if v & 4 else expected
    np.testing.assert_array_equal(orient(tile, v), expected)
    assert "with (i, j) = (c, r) if v & 4, otherwise (r, c)" in text
    assert "(h - 1 - i if v & 1, otherwise i; w - 1 - j if v & 2, otherwise j)" in text
    for r, c in np.ndindex(*expected.shape):
        i, j = (c, r) if v & 4 else (r, c)
        assert expected[r, c] == tile[h - 1 - i if v & 1 else i, w - 1 - j if v & 2 else j]


@given(sides, sides, variants, specs)
def test_an_orders_variant_is_its_base_turned_back(height, width, variant, spec):
    base = orders.make(spec, *((width, height) if variant & 4 else (height, width)))
    np.testing.assert_array_equal(unorient(base, variant), orders.make(f"{spec}:{variant}", height, width))


@given(sides, sides, variants, specs)
def test_coding_the_oriented_picture_is_coding_in_the_orders_variant(height, width, variant, spec):
    picture = np.arange(height * width).reshape(height, width)
    oriented = orient(picture, variant)
    base = orders.make(spec, *oriented.shape)
    turned = orders.make(f"{spec}:{variant}", height, width)
    np.testing.assert_array_equal(unorient(base, variant), turned)
    for rank in np.unique(base):
        assert sorted(oriented[base == rank]) == sorted(picture[turned == rank])
