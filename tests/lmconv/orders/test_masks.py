"""Masks against a walk along the order, and patterns against the masks they stand for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmconv import orders
from lmconv.orders.masks import MaskError, Patterns, blind, inside, masks, patterns, single_pattern
from runtime.schedule import Kernel

SPECS = ["raster", "s_curve", "gilbert", "wavefront", "multiscale=4", "random=5"]
specs = st.builds("{}:{}".format, st.sampled_from(SPECS), st.integers(0, 7))
sides = st.integers(1, 10)
kernels = st.sampled_from([1, 3, 5, 7])
dilations = st.integers(1, 3)
kinds = st.sampled_from("AB")


def walk(rank: np.ndarray, kernel: int, dilation: int, kind: str) -> np.ndarray:
    """The mask [k*k, H*W] by walking along the order with the set of positions generated so far."""
    height, width = rank.shape
    mask = np.zeros((kernel * kernel, height * width), bool)
    generated = set()
    for level in np.unique(rank):
        here = [(r, c) for r in range(height) for c in range(width) if rank[r, c] == level]
        for r, c in here:
            for tap in range(kernel * kernel):
                dr, dc = tap // kernel - kernel // 2, tap % kernel - kernel // 2
                seen = (r + dr * dilation, c + dc * dilation) in generated
                mask[tap, r * width + c] = kind == "B" if (dr, dc) == (0, 0) else seen
        generated.update(here)
    return mask


def spread(found: Patterns, height: int, width: int, kernel: int, dilation: int) -> np.ndarray:
    """The mask that a layer with zero padding makes of patterns."""
    return found.taps[found.index].T & inside(height, width, kernel, dilation)


@given(specs, sides, sides, kernels, dilations, kinds)
def test_masks_equal_a_walk(spec, height, width, kernel, dilation, kind):
    rank = orders.make(spec, height, width)
    mask = masks(rank, kernel, dilation, kind)
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, walk(rank, kernel, dilation, kind))


@given(st.data(), sides, sides, kinds)
def test_observed_positions_are_seen_by_all_others(data, height, width, kind):
    region = np.array(data.draw(st.lists(st.booleans(), min_size=height * width, max_size=height * width)))
    rank = np.where(region.reshape(height, width), orders.OBSERVED, orders.s_curve(height, width))
    mask = masks(rank, 3, 1, kind)
    np.testing.assert_array_equal(mask, walk(rank, 3, 1, kind))
    neighbours = np.delete(mask, 4, axis=0)
    assert not neighbours[:, region].any()  # what is given needs no context
    for tap, (dr, dc) in enumerate(np.ndindex(3, 3)):
        for r, c in np.ndindex(height, width):
            y, x = r + dr - 1, c + dc - 1
            if tap != 4 and 0 <= y < height and 0 <= x < width and rank[y, x] == -1 and rank[r, c] >= 0:
                assert mask[tap, r * width + c]


@pytest.mark.parametrize("kind", ["A", "B"])
@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
def test_raster_is_the_classic_pixelcnn_mask(kernel, kind):
    classic = np.ones((kernel, kernel), bool)
    classic[kernel // 2, kernel // 2 + (kind == "B") :] = False
    classic[kernel // 2 + 1 :] = False
    mask = masks(orders.raster(9, 9), kernel, 1, kind).reshape(kernel, kernel, 9, 9)
    np.testing.assert_array_equal(mask[..., 4, 4], classic)
    found = patterns(mask.reshape(kernel * kernel, 81), 9, 9, kernel)
    np.testing.assert_array_equal(found.taps.reshape(1, kernel, kernel), classic[None])


def test_wavefront_3x3_has_the_context_of_raster():
    wavefront, raster = (masks(make(6, 8), 3, 1, "A") for make in (orders.wavefront, orders.raster))
    np.testing.assert_array_equal(wavefront, raster)


@given(specs, sides, sides, kernels, dilations, kinds)
def test_patterns_agree_inside_the_image(spec, height, width, kernel, dilation, kind):
    mask = masks(orders.make(spec, height, width), kernel, dilation, kind)
    found = patterns(mask, height, width, kernel, dilation)
    assert found.taps.dtype == bool and found.index.dtype == np.int32
    np.testing.assert_array_equal(np.unique(found.index), np.arange(len(found.taps)))
    np.testing.assert_array_equal(spread(found, height, width, kernel, dilation), mask)


@given(st.integers(1, 40), st.integers(1, 40), kernels, dilations, kinds, st.integers(0, 7))
def test_pattern_counts(height, width, kernel, dilation, kind, variant):
    for base, most in (("raster", 1), ("wavefront", 1), ("s_curve", 2)):
        mask = masks(orders.make(f"{base}:{variant}", height, width), kernel, dilation, kind)
        assert len(patterns(mask, height, width, kernel, dilation).taps) <= most


@pytest.mark.parametrize("height, width", [(1, 300), (300, 1), (2, 300), (1, 1)])
def test_pattern_counts_of_thin_images(height, width):
    for base, count in (("raster", 1), ("wavefront", 1), ("s_curve", 1 + (height == 2))):
        for kernel in (3, 5, 7):
            mask = masks(orders.make(base, height, width), kernel)
            assert len(patterns(mask, height, width, kernel).taps) == count


def test_pattern_counts_of_the_published_orders():
    for spec, count in (("raster", 1), ("s_curve", 2), ("gilbert", 48)):
        for dilation in (1, 2):
            for kind in "AB":
                mask = masks(orders.make(spec, 28, 28), 3, dilation, kind)
                assert len(patterns(mask, 28, 28, 3, dilation).taps) == count


@given(sides, sides, kernels, dilations, kinds, st.sampled_from(["raster", "wavefront"]), st.integers(0, 7))
def test_single_pattern_serves_every_size(height, width, kernel, dilation, kind, base, variant):
    order = f"{base}:{variant}"
    taps = single_pattern(order, kernel, dilation, kind)
    everywhere = Patterns(taps[None], np.zeros(height * width, np.int32))
    mask = masks(orders.make(order, height, width), kernel, dilation, kind)
    np.testing.assert_array_equal(spread(everywhere, height, width, kernel, dilation), mask)


def test_errors():
    rank = orders.raster(4, 4)
    for arguments, message in (
        ((2, 1, "A"), "odd kernel size, not 2"),
        ((-1, 1, "A"), "not -1"),
        ((3, 0, "A"), "dilation of 1 or more, not 0"),
        ((3, 1, "C"), "not 'C'"),
    ):
        with pytest.raises(MaskError, match=message):
            masks(rank, *arguments)
    with pytest.raises(MaskError, match="not 's_curve'"):
        single_pattern("s_curve", 3)
    with pytest.raises(MaskError, match=r"4x5 has shape \[9, 20\], not \[9, 16\]"):
        patterns(masks(rank, 3), 4, 5, 3)


@pytest.mark.parametrize(
    ("order", "kernel", "dilation", "wanted"),
    [
        ("multiscale=8", 3, 2, [1, 2, 3, 4, 5, 6]),
        ("multiscale=4", 3, 1, [1, 2, 3]),
        ("multiscale=4", 5, 1, []),
        ("multiscale=2", 3, 1, []),
        ("wavefront", 3, 1, []),
        ("random=1", 3, 1, []),
        ("s_curve", 3, 2, []),
    ],
)
def test_levels_that_see_no_pixel(order, kernel, dilation, wanted):
    """As many layers as in a network: only the first of them sees pixels."""
    chain = [Kernel(kernel, 1, "A")] + 3 * [Kernel(kernel, 1), Kernel(kernel, dilation)]
    rank = orders.make(order, 16, 16)
    assert blind(rank, [[kernel] for kernel in chain]) == wanted
    seen = np.array([[position_sees(rank, chain, row, column) for column in range(16)] for row in range(16)])
    dark = [level for level in range(1, rank.max() + 1) if not seen[rank == level].any() and (rank == level).sum() > 1]
    assert dark == wanted


def position_sees(rank, chain, row, column) -> bool:
    """Goes back through the layers from one position."""
    reached = {(row, column)}
    for kernel in reversed(chain):
        found = set()
        for r, c in reached:
            for down, right in kernel.offsets():
                at = r + down, c + right
                inside = 0 <= at[0] < len(rank) and 0 <= at[1] < rank.shape[1]
                own = at == (r, c) and kernel.kind == "B"
                if inside and (own or rank[at] < rank[r, c]):
                    found.add(at)
        reached = found
    return bool(reached)
