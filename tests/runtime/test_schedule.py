"""Levels and slots: minimal, complete, and every tap finds the features it should, for any order and size."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmconv import orders
from lmconv.orders import masks
from runtime.schedule import Kernel, all_at_once, levels, open_taps, schedule

ANY_SIZE = [
    "raster",
    "s_curve",
    "s_curve:1",
    "s_curve:2",
    "s_curve:5",
    "s_curve:6",
    "gilbert",
    "gilbert:7",
    "wavefront",
    "wavefront:3",
    "wavefront:4",
    "multiscale=4",
    "multiscale=8:6",
    "random=0",
    "random=5:4",
]
KERNELS = [Kernel(3), Kernel(3, kind="A"), Kernel(5), Kernel(3, dilation=2), Kernel(7, kind="A"), Kernel(1)]
sides = st.integers(1, 13)
specs = st.sampled_from(ANY_SIZE)
kernels = st.sampled_from(KERNELS)
property_test = settings(max_examples=60)


def slow_levels(rank, kernels):
    """1 + the longest chain of positions that read each other, from the definition and the layers' own masks."""
    height, width = rank.shape
    level = np.full(rank.shape, -1)
    reads = {kernel: masks.masks(rank, kernel.size, kernel.dilation).reshape(-1, height, width) for kernel in kernels}
    for r, c in sorted(np.ndindex(height, width), key=lambda position: rank[position]):
        if rank[r, c] < 0:
            continue
        below = [
            level[r + dr, c + dc]
            for kernel in kernels
            for t, (dr, dc) in enumerate(kernel.offsets())
            if reads[kernel][t, r, c]
        ]
        level[r, c] = 1 + max(below, default=-1)
    return level


def check(plan, rank, kernel):
    """Runs the schedule with positions in place of features and looks at what every tap finds."""
    height, width = rank.shape
    given = {int(p) for p in np.flatnonzero(rank < 0)}
    assert sorted(plan.positions.tolist()) == [p for p in range(rank.size) if p not in given]
    assert plan.starts[0] == 0 and plan.starts[-1] == len(plan.positions) and (np.diff(plan.starts) > 0).all()
    assert plan.taps.shape == (len(plan.positions), len(plan.offsets))
    if len(plan.slot):
        assert plan.slot.min() > 0 and plan.slot.max() < plan.slots
    mask = masks.masks(rank, kernel.size, kernel.dilation, kernel.kind).reshape(-1, height, width)
    taps = {offset: t for t, offset in enumerate(kernel.offsets())}
    assert all(offset in plan.offsets for offset, t in taps.items() if mask[t].any())
    held = {}
    for start, end in zip(plan.starts, plan.starts[1:]):
        assert (np.diff(plan.positions[start:end]) > 0).all()
        for i in range(start, end):
            held[int(plan.slot[i])] = int(plan.positions[i])
        assert len(set(plan.slot[start:end].tolist())) == end - start
        for i in range(start, end):
            r, c = divmod(int(plan.positions[i]), width)
            for slot, (dr, dc) in zip(plan.taps[i].tolist(), plan.offsets):
                there = (r + dr) * width + c + dc
                if mask[taps[dr, dc], r, c] and there not in given:
                    assert held[slot] == there
                else:
                    assert slot == 0
    assert 0 not in held


@property_test
@given(sides, sides, specs, kernels)
def test_every_tap_finds_its_position(height, width, spec, kernel):
    rank = orders.make(spec, height, width)
    open_anywhere, _ = open_taps(rank, kernel)
    for plan in (schedule(rank, (kernel,)), all_at_once(rank, (kernel,))):
        assert plan.offsets == open_anywhere
        check(plan, rank, kernel)


@property_test
@given(sides, sides, specs, kernels, st.randoms(use_true_random=False))
def test_taps_in_a_wanted_order(height, width, spec, kernel, random):
    """All taps of the kernel, shuffled; those that are closed everywhere read the padding."""
    rank = orders.make(spec, height, width)
    wanted = kernel.offsets()
    random.shuffle(wanted)
    for plan in (schedule(rank, (kernel,), offsets=tuple(wanted)), all_at_once(rank, (kernel,), tuple(wanted))):
        assert plan.offsets == tuple(wanted)
        check(plan, rank, kernel)


@property_test
@given(sides, sides, specs, kernels, kernels)
def test_two_kernels(height, width, spec, kernel, other):
    """Features are read through one kernel; the other's inputs must be there too, so it takes part in the levels."""
    rank = orders.make(spec, height, width)
    plan = schedule(rank, (kernel,), (other,))
    check(plan, rank, kernel)
    assert plan.steps == slow_levels(rank, [kernel, other]).max() + 1
    step_of = np.empty(rank.size, int)
    step_of[plan.positions] = np.repeat(np.arange(plan.steps), np.diff(plan.starts))
    for (dr, dc), seen in zip(*open_taps(rank, other)):
        for r, c in np.argwhere(seen) if (dr, dc) != (0, 0) else ():
            assert step_of[(r + dr) * width + c + dc] < step_of[r * width + c]


@property_test
@given(sides, sides, specs, st.lists(kernels, min_size=1, max_size=2))
def test_levels_are_minimal(height, width, spec, kernels):
    rank = orders.make(spec, height, width)
    found = levels(rank, tuple(kernels))
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, slow_levels(rank, kernels))


@pytest.mark.parametrize("side", [1, 2, 4, 8, 16])
def test_hilbert(side):
    rank = orders.make("hilbert", side, side)
    np.testing.assert_array_equal(levels(rank, (Kernel(3),)), slow_levels(rank, [Kernel(3)]))
    check(schedule(rank, (Kernel(3),)), rank, Kernel(3))


def test_ranks_may_have_gaps_and_any_size():
    rank = (10**6 * orders.make("random=3", 6, 7).astype(np.int64) + 5).astype(np.int64)
    check(schedule(rank, (Kernel(3),)), rank, Kernel(3))


@property_test
@given(st.integers(1, 9), st.integers(1, 9), specs, st.integers(0, 2**32 - 1))
def test_given_positions_are_never_computed(height, width, spec, seed):
    """They count as known from the start; their taps point to the padding, since they have no features."""
    region = np.random.default_rng(seed).integers(0, 2, (height, width)).astype(bool)
    rank = np.where(region, orders.OBSERVED, orders.make(spec, height, width))
    np.testing.assert_array_equal(levels(rank, (Kernel(3),)), slow_levels(rank, [Kernel(3)]))
    check(schedule(rank, (Kernel(3),)), rank, Kernel(3))
    check(all_at_once(rank, (Kernel(3),)), rank, Kernel(3))


@given(st.integers(1, 40), st.integers(1, 40))
@settings(max_examples=30)
def test_wavefront_numbers(height, width):
    """A step for every rank that occurs, and few slots: four levels' worth or so."""
    rank = orders.wavefront(height, width)
    plan = schedule(rank, (Kernel(3),), (Kernel(7, kind="A"),))
    assert plan.steps == len(np.unique(rank))
    widest = np.bincount(rank.ravel()).max()
    assert plan.slots <= 6 * widest + 8


def test_raster_takes_the_wavefronts_steps():
    assert schedule(orders.raster(20, 30), (Kernel(3),)).steps == 30 + 2 * 19
    assert schedule(orders.s_curve(20, 30), (Kernel(3),)).steps > 500


def test_slots_are_reused():
    plan = schedule(orders.wavefront(64, 96), (Kernel(3),), (Kernel(7, kind="A"),))
    assert plan.slots < 300  # of 6144 positions
    assert all_at_once(orders.wavefront(64, 96), (Kernel(3),)).slots > 6144
