"""Methods: one byte each, and what they are called."""

import pytest

from codec.format.method import INDEXED, METHODS, InOrder, Method


def test_codes_are_these():
    assert sorted(METHODS) == [*range(9), *range(64, 128)]
    assert all(method.code == code for code, method in METHODS.items())
    assert len(set(METHODS.values())) == len(set(map(str, METHODS.values()))) == 9 + 64


@pytest.mark.parametrize(
    ("code", "method", "words"),
    [
        (0, Method(network=False, learning=False), "predictor"),
        (1, Method(learning=False), "network"),
        (2, Method(network=False), "learning"),
        (3, Method(), "network + learning"),
        (4, Method(network=False, learning=False, colours=True), "colours"),
        (6, Method(network=False, colours=True), "colours + learning"),
        (7, Method(colours=True), "colours + network + learning"),
        (8, INDEXED, "palette"),
        (64, InOrder(0), "order 0"),
        (127, InOrder(63), "order 63"),
    ],
)
def test_codes_and_words(code, method, words):
    assert METHODS[code] == method and str(method) == words
