"""Many arrays as one argument: kernels see what they would see without, and write to the same arrays."""

from typing import NamedTuple

import numpy as np
import pytest

from runtime.kept import Kept
from runtime.kernels import kernel


class Inner(NamedTuple):
    counts: np.ndarray
    factor: float


class Outer(NamedTuple):
    flag: bool
    inner: Inner
    planes: np.ndarray
    number: int


@kernel
def worked(state, times):
    total = 0.0
    for _ in range(times):
        for i in range(len(state.inner.counts)):
            state.inner.counts[i] += state.number
            total += state.inner.counts[i] * state.inner.factor + state.planes[1, i]
    return total if state.flag else -total


def made(flag: bool = True) -> Outer:
    return Outer(flag, Inner(np.arange(5), 0.5), np.arange(10, dtype=np.float32).reshape(2, 5), 3)


@pytest.mark.parametrize("flag", [True, False])
def test_a_kernel_does_the_same(flag):
    plain, kept = made(flag), Kept(made(flag))
    for times in (1, 2):
        assert worked(plain, times) == worked(kept, times)
    np.testing.assert_array_equal(plain.inner.counts, kept.value.inner.counts)
    assert plain.inner.counts[0] == 9


def test_two_of_one_type_are_apart():
    first, second = Kept(made()), Kept(made())
    worked(first, 1)
    assert first.value.inner.counts[0] == 3 and second.value.inner.counts[0] == 0
    assert first.address != second.address


def test_arrays_live_as_long_as_what_keeps_them():
    kept = Kept(Outer(True, Inner(np.full(100_000, 7), 1.0), np.zeros((2, 100_000)), 0))
    others = [np.ones(100_000, np.int64) for _ in range(10)]  # would take freed memory
    assert worked(kept, 1) == 700_000 and len(others) == 10


@pytest.mark.parametrize("value", [np.zeros(3), (np.zeros(3), 1), 5])
def test_only_named_tuples_are_kept(value):
    with pytest.raises(TypeError, match="NamedTuple"):
        Kept(value)
