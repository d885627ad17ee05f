"""Hashed contexts: equal to a plain reference, probabilities that stay inside, slots that are apart."""

import numpy as np
import pytest

from codec.entropy.binarisation import HALVING, Node
from codec.modelling.hashed import find_slots, hashed, open_contexts, recall, remember_decision, slot_for
from runtime.kernels import kernel
from runtime.least_squares import LEFT, TOP, canvas
from tests.reference.hashed import Hashed


@kernel
def opened(k, row, c, centre, members, pixels, state):
    open_contexts(k, row, c, centre, members, pixels, state)


@kernel
def found_for(key, centre, state):
    state.keys[:] = key
    find_slots(centre, state)


@kernel
def asked(node, decision, state, out):
    recall(slot_for(node), state, out)
    remember_decision(slot_for(node), decision, state)


def node(centre: int, split: int) -> Node:
    return Node(0, 256, centre, 0, HALVING, 0, split)


def about(k: int, pixels: np.ndarray, members: list[int]) -> dict[str, int]:
    own, here = pixels[k].astype(int), pixels[:, TOP, LEFT].astype(int).tolist()
    blend, network = (members[0] + 32) >> 6, (members[4] + 32) >> 6
    around = {"W": own[TOP, LEFT - 1], "N": own[TOP - 1, LEFT], "NW": own[TOP - 1, LEFT - 1], "blend": blend}
    pair = [(blend, network), (here[0], blend), (here[1], here[0])][k]
    return {name: int(value) for name, value in around.items()} | {"A": pair[0], "B": pair[1]}


@pytest.mark.parametrize("count", [0, 1, 4])
def test_equals_the_reference(count):
    """Values and means of any kind, negative ones among them; decisions that agree and that do not."""
    rng, state, told = np.random.default_rng(count), hashed(count), Hashed(count)
    pixels, out = canvas(1, 1).pixels, np.zeros(2 * count, np.int16)
    for step in range(400):
        pixels[:] = rng.choice([0, 1, 200, 255], pixels.shape) if step % 20 == 0 else pixels
        members = rng.choice([0, 16320, -32767, 49087, -33, 8160], 5).astype(np.int32)
        k, u, split = step % 3, int(rng.choice([1, 100, 255])), int(rng.choice([1, 97, 99, 100, 101, 104, 255]))
        opened(k, 0, 0, u, members, pixels, state)
        told.open(k, u, about(k, pixels, members.tolist()))
        assert state.keys.tolist()[:count] == told.keys
        decision = int(rng.integers(2)) if step > 200 else k % 2
        expected = told.inputs(split)
        asked(node(u, split), decision, state, out)
        assert out.tolist() == expected and state.places.tolist() == [at for _, at in told.places]
        told.learn(decision)
    for (h, place), slot in told.slots.items():
        assert divmod(int(state.slots[h, place]), 1 << 10) == (slot.p, slot.visits)


@pytest.mark.parametrize("decision", [0, 1])
def test_nothing_becomes_certain(decision):
    state, out = hashed(1), np.zeros(2, np.int16)
    asked(node(10, 10), decision, state, out)
    assert out.tolist() == [0, 0]  # of what has seen nothing
    for _ in range(3000):
        asked(node(10, 10), decision, state, out)
    p, visits = divmod(int(state.slots[0, state.places[0]]), 1 << 10)
    assert visits == 60 and p == ((1 << 22) - (1 << 12) if decision else 1 << 12)
    assert 0 < abs(out[0]) < 1 << 13 and 0 < abs(out[1]) < 1 << 12 and (out > 0).all() == decision


def test_what_decides_a_value_lies_in_one_line_of_memory():
    """Every value's eight slots, whatever the hash; the three nearest splits of each side are apart."""
    state, out, seen = hashed(4), np.zeros(8, np.int16), set()
    for centre in range(1, 256):
        found_for(np.uint32(12345), centre, state)
        seen.add(int(state.places[0]))
        assert (state.places % 8 == 0).all() and state.places.max() < state.slots.shape[1]
    assert len(seen) > 250  # hardly two centres meet
    assert state.slots.ctypes.data % 64 == 0
    for split in range(125, 132):
        asked(node(128, split), 1, state, out)
    assert (state.slots[:, state.places[0] + np.arange(8)] != 1 << 31).sum(1).tolist() == [7] * 4
