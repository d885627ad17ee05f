"""The entry `jpeg` of docs/format_vectors.json: compiled code has the same numbers."""

import json

import numpy as np

from codec.entropy.range_coder import Encoder
from codec.jpeg import blocks as walk
from codec.jpeg import coder
from codec.jpeg.blocks import _COUNTS as COUNTS
from codec.jpeg.blocks import _ORDER as ORDER
from codec.jpeg.continuity import begin, continuity, in_samples, reciprocals, take_out
from codec.jpeg.lines import SLOTS, find_lines, learn, lines
from codec.jpeg.segments import frame
from runtime.kernels import kernel
from tests.codec.jpeg.test_blocks import foretell
from tools import make_vectors

TOLD = json.loads(make_vectors.OUTPUT.read_text("utf-8"))["jpeg"]
STEPS = tuple(np.array(steps) for steps in TOLD["s"])
COEFFICIENTS = np.array(TOLD["x"], np.int16)
FRAME = frame(24, 16, [(i, columns, rows, 0) for i, (rows, columns) in enumerate(TOLD["rows_columns"])])
PLANES = walk.planes(FRAME, STEPS)
P, ROW, COLUMN = TOLD["at"]
PARTS = [order[:count].tolist() for order, count in zip(ORDER, COUNTS)]


def around(row: int, column: int) -> int:
    """Where a block of the component of which all is told stands among all."""
    return PLANES[P].first + row * PLANES[P].size.width + column


NORTH, WEST, HERE = (COEFFICIENTS[around(*at)] for at in ((ROW - 1, COLUMN), (ROW, COLUMN - 1), (ROW, COLUMN)))


@kernel
def classed(value):
    return walk._class(value)


def test_classes():
    assert [[i, int(classed(i))] for i, _ in TOLD["class"]] == TOLD["class"]


@kernel
def found(state, salt):
    find_lines(state, salt)


@kernel
def learned(state, decision):
    learn(state, 0, decision)


def test_lines():
    state = lines()
    for key, salt, line in TOLD["key_salt_line"]:
        state.keys[:] = key
        found(state, salt)
        assert (state.places // SLOTS % (1 << 15) == line).all()
    steps = []
    for d in (1, 1, 0, 1, *[0] * (TOLD["slot"]["steps"] - 4)):
        learned(state, d)
        slot = int(state.slots[state.places[0]])
        steps.append([d, slot >> 10, slot & 1023])
    assert steps[:6] + steps[-2:] == TOLD["slot"]["d_q_n"]


def test_continuity():
    told, steps = TOLD["continuity"], STEPS[P]
    state, out = continuity(), np.zeros((8, 4), np.int64)
    foretell(NORTH, WEST, HERE, steps, reciprocals(steps), state, out)
    assert [sums.tolist() for sums in state.flat[:, 1:]] == told["F"]
    assert [sums.tolist() for sums in state.sloped[:, 1:]] == told["G"]
    assert out[0, :2].tolist() == told["k_up_back"][0][1:]
    edges = [[at, *out[at, :2].tolist()] for at in range(1, 8)] + [
        [8 * at, *out[at, 2:].tolist()] for at in range(1, 8)
    ]
    assert edges == told["k_flat_sloped"] and state.samples.tolist() == told["a"]


@kernel
def note(state, out, count):
    for j in range(8):
        out[count, j] = state.lines.keys[j]
    out[count, 8] = state.found[0]
    return count + 1


@kernel
def keys_of_block(row, column, plane, state, truth, out):
    """Keys and t of all that is asked of a block, in its order; how often that is, and what is foretold of the DC."""
    here, count = walk._look_around(row, column, plane, state), 0
    block, near, found = state.coefficients[here], state.near, state.found
    block[:] = 0
    begin(state.coefficients[near[1]], state.coefficients[near[0]], plane.steps, state.continuity)
    for part in range(3):
        walk._expect_number(here, part, plane, state)
        count, left, found[1] = note(state, out, count), 0, 0
        for i in range(COUNTS[part]):
            left += truth[ORDER[part, i]] != 0
        state.numbers[here, part] = found[2] = left
        for i in range(COUNTS[part]):
            k = ORDER[part, i]
            if left == 0:
                break
            if part == 0:
                walk._expect_inside(k, left, 49 - i, plane, block, state)
                take_out(k, in_samples(truth[k], plane.steps[k]), state.continuity)
            else:
                walk._expect_at_edge(part, i + 1, k, left, plane, block, state)
            count = note(state, out, count)
            block[k] = truth[k]
            left, found[1] = left - (truth[k] != 0), found[1] + abs(truth[k])
    foretold = walk._expect_dc(here, row, column, plane, state)
    return note(state, out, count), foretold


def test_keys():
    state, out = walked(Encoder(), ()), np.zeros((100, 9), np.int64)
    count, foretold = keys_of_block(ROW, COLUMN, PLANES[P], state, HERE.astype(np.int64), out)
    expected = []
    for j, part in enumerate(PARTS):
        expected += [about for number, *about in TOLD["j_keys_t"] if number == j]
        expected += [about for k, *about in TOLD["k_keys_t"] if k in part]
    assert [[keys, t] for *keys, t in out[:count].tolist()] == expected
    assert foretold == TOLD["continuity"]["foretold"]


def walked(encoder, learned) -> walk.Blocks:
    """The state after the small JPEG, coded after what was learned before."""
    state = coder._fresh(COEFFICIENTS)
    for ours, theirs in zip(coder._what_learns(state), learned):
        ours[:] = theirs
    coder._walk(encoder, state, FRAME, STEPS, lambda blocks: None)
    return state


def test_payloads():
    """Every decision and its frequency, of those that are told; and the payloads, once with something learned."""
    encoder, again = Encoder(traced=True), Encoder()
    state = walked(encoder, ())
    coded = [[int(each) // 2 + 1, int(each) % 2] for each in encoder.decisions()]
    assert len(coded) == TOLD["count"] and encoder.finish().hex() == TOLD["payload"]
    told = [each[-2:] for each in TOLD["kind_t_slot_k_stage_frequency_decision"]]
    assert coded[:8] + coded[-16:] == told
    walked(again, coder._what_learns(state))
    assert again.finish().hex() == TOLD["payload_after_itself"]
