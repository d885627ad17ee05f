"""The ladder of decisions: every value by a way of its own, and steps as long as the expected error asks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.modelling.deep.ladder import (
    KINDS,
    MOST_DECISIONS,
    STEPS,
    UNDECIDED,
    first_node,
    is_fine,
    kind_of,
    next_node,
)
from runtime.kernels import kernel


@kernel
def way(value, mean, error, top, out):
    """Walks to a value; writes its kinds and returns how many decisions it took, or -1 if something is wrong."""
    node, count = first_node(mean, top), 0
    while node.high - node.low > 1:
        if not node.low < node.split < node.high:
            return -1
        kind, step = kind_of(node)
        if not (0 <= kind < KINDS and 0 <= step < STEPS):
            return -1
        out[count] = kind
        above = value >= node.split
        decision = int(above if node.side != 0 else not above)
        if is_fine(node, error) and node.side == UNDECIDED:
            return -1
        node = next_node(node, decision, error)
        count += 1
    return count if node.low == value else -1


def walked(value: int, mean: int, error: int, depth: int) -> list[int]:
    out = np.zeros(MOST_DECISIONS, np.int64)
    count = way(value, mean, error, 1 << depth, out)
    assert 0 < count <= MOST_DECISIONS
    return out[:count].tolist()


@given(st.data(), st.integers(9, 16), st.integers(8, 1 << 22))
def test_every_value_is_reached(data, depth, error):
    most = 2**depth - 1
    walked(data.draw(st.integers(0, most)), data.draw(st.integers(0, 64 * most)), error, depth)


@pytest.mark.parametrize("error", [8, 64, 5000])
def test_all_values_of_a_range(error):
    for value in range(512):
        walked(value, 64 * 300 + 20, error, 9)


def test_decisions_mean_the_same_whatever_the_noise():
    """A value three expected errors above the centre is met by the same rungs."""
    for shift in (4, 6, 8):
        error = 64 << shift
        kinds = walked(20001 + (3 << shift), 64 * 20000, error, 16)
        assert kinds[:8] == [0, 2, 4, 6, 8, 10, 12, 64]
