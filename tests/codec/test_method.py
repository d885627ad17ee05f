"""Methods: one byte each, and what an encoder tries on a photograph, on something tiny and on a screen."""

import numpy as np
import pytest

from codec import method
from codec.method import METHODS, InOrder, Learning, Method, candidates, learning_of, repetition
from tests.pictures import constant, lines, noise, photograph


def test_codes_round_trip():
    assert sorted(METHODS) == [0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, *range(64, 128)]
    assert all(found.code == code for code, found in METHODS.items())
    assert len(set(METHODS.values())) == 12 + 64
    for learning in Learning:
        for colours in (False, True):
            for network in (False, True):
                made = Method(learning, colours, network)
                assert METHODS[made.code] == made and isinstance(METHODS[made.code].colours, bool)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (0, Method()),
        (1, Method(Learning.LIGHT)),
        (2, Method(Learning.FULL)),
        (4, Method(colours=True)),
        (8, Method(network=False)),
        (14, Method(Learning.FULL, colours=True, network=False)),
        (64, InOrder(0)),
        (127, InOrder(63)),
    ],
)
def test_codes_are_these_for_ever(code, expected):
    assert METHODS[code] == expected


def test_words():
    assert [str(METHODS[code]) for code in (0, 1, 6, 8, 13)] == [
        "network",
        "network + light learning",
        "colours + network + full learning",
        "no network",
        "colours + no network + light learning",
    ]
    assert len(set(map(str, METHODS.values()))) == 76 and str(METHODS[69]) == "order 5"


def test_efforts():
    assert [int(learning_of(effort)) for effort in range(1, method.MAX_EFFORT + 1)] == [0, 1, 1, 1, 1, 2, 2, 2, 2]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("effort", range(1, 10))
def test_a_photograph_has_one_method(effort, channels):
    tile = (photograph if channels == 3 else noise)(129, 128)[:channels]
    assert candidates(tile, effort) == [Method(learning_of(effort))]


@pytest.mark.parametrize("effort", range(1, 10))
def test_what_is_tiny_may_not_be_worth_learning(effort):
    plain, learned = Method(Learning.NONE), Method(learning_of(effort))
    for tile in (noise(1, 1), photograph(20, 30), photograph(128, 128)):
        assert candidates(tile, effort) == ([plain] if effort == 1 else [learned, plain])


@pytest.mark.parametrize("effort", range(1, 10))
def test_a_flat_screen_has_exact_colours_with_and_without_a_network(effort):
    learning = learning_of(effort)
    with_network, without = Method(learning, colours=True), Method(Learning.FULL, colours=True, network=False)
    for tile in (constant(40, 50), lines(200, 200)[:1]):
        assert repetition(tile) >= 0.6
        small = [Method(colours=True)] if tile[0].size <= 128 * 128 else []
        assert candidates(tile, effort) == ([with_network] if effort == 1 else [with_network, without, *small])


@pytest.mark.parametrize("effort", [1, 5, 9])
def test_what_repeats_a_little_is_tried_both_ways(effort):
    tile, learning = noise(200, 300), learning_of(effort)
    tile[:, :, :150] = 7
    assert 0.4 < repetition(tile) < 0.6
    found = candidates(tile, effort)
    assert found[:2] == [Method(learning), Method(learning, colours=True)]
    assert found[2:] == ([Method(Learning.FULL, colours=True, network=False)] if learning else [])


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (6, 9)], ids=str)
@pytest.mark.parametrize("channels", [1, 3])
def test_repetition_is_the_share_of_pixels_like_a_neighbour(size, channels):
    tile = np.random.default_rng(3).integers(0, 2, (channels, *size), dtype=np.uint8)
    colours = [[tuple(tile[:, r, c]) for c in range(size[1])] for r in range(size[0])]
    same = [
        (c > 0 and colours[r][c - 1] == colours[r][c]) or (r > 0 and colours[r - 1][c] == colours[r][c])
        for r in range(size[0])
        for c in range(size[1])
    ]
    assert repetition(tile) == pytest.approx(sum(same) / len(same))
