"""Methods: one byte each, and what they are called."""

import pytest

from codec.format.method import INDEXED, MADE, METHODS, NEEDS_JPEG, NEEDS_MODEL, Independent, InOrder, Learning, Method

NONE, FULL = Learning.NONE, Learning.FULL


def test_codes_are_these():
    photo = [0, 1, 2, 3, 4, 5, 10, 11, 12, 13]
    lattices = [128 + 16 * number + code for number in range(4) for code in (3, 5, 11, 13)]
    made = [192, 195, 197, 203, 205]
    alone = [33, 34, 35]
    assert sorted(METHODS) == [*photo, *(16 + code for code in photo), 32, *alone, *range(64, 128), *lattices, *made]
    assert all(method.code == code for code, method in METHODS.items())
    assert len(set(METHODS.values())) == len(set(map(str, METHODS.values()))) == 20 + 1 + 3 + 64 + 16 + 5


@pytest.mark.parametrize(
    ("code", "method", "words"),
    [
        (0, Method(network=False, learning=NONE), "predictor"),
        (1, Method(learning=NONE), "network"),
        (2, Method(network=False), "quick learning"),
        (3, Method(), "network + quick learning"),
        (4, Method(network=False, learning=FULL), "full learning"),
        (13, Method(learning=FULL, tables=True), "network + full learning + tables"),
        (10, Method(network=False, tables=True), "quick learning + tables"),
        (16, Method(network=False, learning=NONE, colours=True), "colours"),
        (18, Method(network=False, colours=True), "colours + quick learning"),
        (29, Method(learning=FULL, colours=True, tables=True), "colours + network + full learning + tables"),
        (32, INDEXED, "palette"),
        (131, Method(lattice=1), "network + quick learning + lattice 1"),
        (189, Method(learning=FULL, tables=True, lattice=4), "network + full learning + tables + lattice 4"),
        (192, MADE, "reconstruction"),
        (195, Method(reconstruction=True), "reconstruction + network + quick learning"),
        (33, Independent.CONSTANT, "constant"),
        (34, Independent.FLAT, "flat"),
        (35, Independent.DEEP, "deep"),
        (64, InOrder(0), "order 0"),
        (127, InOrder(63), "order 63"),
    ],
)
def test_codes_and_words(code, method, words):
    assert METHODS[code] == method and str(method) == words


def test_what_methods_need():
    """A model all but four, a JPEG the five of one."""
    assert {method.code for method in NEEDS_JPEG} == {192, 195, 197, 203, 205}
    assert {method.code for method in set(METHODS.values()) - NEEDS_MODEL} == {33, 34, 35, 192}
