"""Ratio tables: equal to a plain reference for any counts, distributions all along, and they see sparse colours."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from codec.entropy.binarisation import first_node
from codec.entropy.range_coder import Encoder
from codec.format.method import Learning, Method
from codec.modelling.ratio_tables import STAGES, correct_window, corrected_below, count, ratio_tables
from codec.modelling.window import WINDOW, open_window, window
from codec.tile_coders import How
from codec.tile_coders.photo import PhotoCoder
from runtime.kernels import kernel
from tests.codec.modelling.test_experts import TABLES, entries_of, model
from tests.pictures import photograph
from tests.reference.mixture import Mixture, integers
from tests.reference.ratio_tables import Counts, Window, contexts

CAME, EXPECTED = (1 << 12) - 1, (1 << 20) - 1  # the most of N and E
HISTORIES = [0, 1, 2, CAME - 1, CAME], [0, 1, 1023, 1024, EXPECTED - 1, EXPECTED]
numbers = [st.one_of(st.sampled_from(levels), st.integers(0, levels[-1])) for levels in HISTORIES]
LOGISTIC = TABLES["logistic"]


@kernel
def walk(tables, mean, spread, given, mixture, logistic, values, window, found):
    """Opens the window of a plane, reads F of all values by every stage, int64 [257, 1 + STAGES], and learns values."""
    open_window(first_node(mean, spread).split, mixture, logistic, window)
    correct_window(tables, given, window)
    for v in range(257):
        corrected_below(tables, v, window, mixture, logistic, found[v])
    for value in values:
        count(tables, given, value, window)


def opened(tables, position: Mixture, given: tuple[int, int, int], values=()) -> np.ndarray:
    mixture = np.array(list(zip(position.weights, position.means, position.inverses)), np.int64)
    found = np.zeros((257, 1 + STAGES), np.int64)
    walk(tables, position.mean, position.spread, given, mixture, LOGISTIC, np.array(values, np.int64), window(), found)
    return found


def network(base: int, log_scale: int) -> Mixture:
    """One component."""
    position = Mixture([0] * 4 + [log_scale] * 3 + [0] * 3, integers(TABLES))
    position.open(base)
    return position


@pytest.fixture(scope="module")
def tables():
    return ratio_tables(True)


@settings(deadline=None, max_examples=80)
@given(
    channel=st.integers(0, 2),
    base=st.one_of(st.sampled_from([0, 63, 8160, 255 * 64]), st.integers(0, 255 * 64)),
    log_scale=st.integers(-128, 192),
    history=st.lists(st.tuples(*numbers * 2), min_size=1, max_size=2 * WINDOW),
    value=st.integers(0, 255),
)
@example(1, 8160, -128, [(CAME, 0) * 2], 0)  # all mass on one value, the largest ratio
@example(2, 8160, -128, [(CAME, 0) * 2], 127)
@example(2, 8160, 192, [(0, EXPECTED) * 2], 128)  # what is left of it all is next to nothing
@example(2, 8160, 192, [(CAME, 0) * 2, (0, EXPECTED) * 2], 128)
def test_equals_the_reference_for_any_counts(tables, channel, base, log_scale, history, value):
    """History: N and E of each stage, in turns for all values."""
    position, given, counts = network(base, log_scale), (channel, 3 * min(channel, 1), 4 * (channel == 2)), Counts()
    for v in range(256):
        for stage, context in enumerate(contexts(channel, list(given[1:]), v)):
            came, expected = history[v % len(history)][2 * stage : 2 * stage + 2]
            counts.came[context], counts.expected[context] = came, expected
            entries_of(tables, context)[v] = (came << 20) + expected
    told = Window(counts, position, channel, list(given[1 : 1 + channel]))
    found = opened(tables, position, given, [value])
    assert found.tolist() == [told.masses(v) for v in range(257)]
    assert (found[0] == 0).all() and (np.diff(found, axis=0) >= 0).all()
    assert (found[256] == found[256, 0]).all() and 1 << 21 < found[256, 0] < 1 << 23
    told.learn(value)
    for context, came in counts.came.items():
        assert divmod(int(entries_of(tables, context)[context[-1]]), 1 << 20) == (came, counts.expected[context])


def test_tables_that_are_not_asked_take_no_room():
    assert sum(array.nbytes for array in ratio_tables(False)) < 1000 and ratio_tables(True).second.nbytes > 1 << 25


def test_fresh_tables_change_next_to_nothing():
    """A ratio of 1: what is lost to rounding, a unit or so a value, stands with the window's last."""
    for channel, base, log_scale in ((0, 8160, 0), (1, 100, 60), (2, 255 * 64, 120)):
        found = opened(ratio_tables(True), network(base, log_scale), (channel, 0, 0))
        assert abs(found - found[:, :1]).max() <= 4 * WINDOW


def through_ycc(planes: np.ndarray) -> np.ndarray:
    """What a JPEG's colours are: 8-bit YCbCr and back."""
    from PIL import Image

    picture = Image.fromarray(np.ascontiguousarray(planes.transpose(1, 2, 0)))
    return np.ascontiguousarray(np.asarray(picture.convert("YCbCr").convert("RGB")).transpose(2, 0, 1))


def test_colours_of_ycbcr_cost_much_less():
    """Only a quarter of all triples comes out of 8-bit YCbCr: what ratio tables are for."""
    field = 73 + photograph(64, 64, 2) / 3 + np.random.default_rng(1).normal(0, 1, (3, 64, 64))
    spent = {}
    for name, picture in (("RGB", field.astype(np.uint8)), ("YCbCr", through_ycc(field.astype(np.uint8)))):
        for method in (Method(False, tables=True), Method(False, Learning.NONE)):
            encoder = Encoder()
            PhotoCoder(model(np.zeros((64, 64, 10), np.int32))).code(
                encoder, picture, method, How(1, lambda pixels: None)
            )
            encoder.finish()
            spent[name, method.learning] = encoder.bits
    assert spent["YCbCr", True] < 0.88 * spent["YCbCr", False]
    assert spent["RGB", True] > 0.94 * spent["RGB", False]  # nothing of the kind
