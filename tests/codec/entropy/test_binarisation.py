"""Binary decisions: complete, without waste, short near the centre; every centre, every ladder, every value."""

import numpy as np
import pytest

from codec.entropy.binarisation import (
    HALVING,
    LADDER,
    MOST_DECISIONS,
    RUNGS,
    UNDECIDED,
    Node,
    decision_for,
    first_node,
    moves_up,
    next_node,
)
from runtime.kernels import kernel
from tests.reference import mixture
from tests.reference.range_coder import Answers

DEVIATIONS = (0, 97, 193, 385, 769)  # one of each class
MOST = 1 + 15 + 6  # sign, the finest ladder up to 192, and halving what is left above
ROOM = 32


@kernel
def walk(mean, deviation, depths, paths, splits, rungs):
    """Follows the decisions to every value; True if each ends there. Fills [256] and [256, ROOM]."""
    for value in range(256):
        node, depth = first_node(mean, deviation), 0
        while node.high - node.low > 1:
            decision = decision_for(node, value)
            if moves_up(node, decision) != (value >= node.split):
                return False
            paths[value, depth], splits[value, depth], rungs[value, depth] = decision, node.split, node.rung
            node = next_node(node, decision)
            depth += 1
        depths[value] = depth
        if node.low != value or node.high != value + 1:
            return False
    return True


@kernel
def opened(mean, deviation):
    return first_node(mean, deviation)


@pytest.fixture(scope="module")
def walks():
    """(centre, deviation) -> depths, paths, splits and rungs of every value."""
    found = {}
    for centre in range(1, 256):
        for deviation in DEVIATIONS:
            depths, (paths, splits, rungs) = np.zeros(256, int), np.full((3, 256, ROOM), -1)
            assert walk((centre - 1) * 64, deviation, depths, paths, splits, rungs), (centre, deviation)
            found[centre, deviation] = depths, paths, splits, rungs
    return found


def test_decisions_end_at_the_value(walks):
    assert len(walks) == 255 * 5


def test_codes_are_prefix_free_and_complete(walks):
    for depths, paths, *_ in walks.values():
        assert (2.0**-depths).sum() == 1  # exact: every term is a power of two above 2^-32
        codes = {tuple(path[:depth]) for path, depth in zip(paths.tolist(), depths)}
        assert len(codes) == 256
        assert not any(code[:n] in codes for code in codes for n in range(1, len(code)))


def test_no_value_takes_long(walks):
    assert max(depths.max() for depths, *_ in walks.values()) == MOST <= MOST_DECISIONS


def test_few_decisions_near_the_centre(walks):
    """As many as a good code of the distance would take: near values few, at the scale that the ladder is made for."""
    for (centre, deviation), (depths, *_) in walks.items():
        if 40 <= centre <= 216:
            near = {0: 2, 97: 2, 193: 3, 385: 4, 769: 5}[deviation]
            assert depths[centre - 1] <= near and depths[centre] <= near
            scale = max(deviation / 64, 0.5)
            distance = np.abs(np.arange(256) - centre + 0.5)
            weight = np.exp(-distance / scale) / np.exp(-distance / scale).sum()
            entropy = -(weight * np.log2(np.maximum(weight, 1e-300))).sum()
            assert (weight * depths).sum() <= entropy + 1.1, (centre, deviation)


def test_decision_one_moves_away_from_the_centre(walks):
    for (centre, _), (depths, paths, splits, _) in walks.items():
        for value in (0, 1, centre - 1, centre, min(centre + 5, 255), 255):
            assert splits[value, 0] == centre and paths[value, 0] == (value >= centre)
            for path, split in zip(paths[value, 1 : depths[value]], splits[value, 1 : depths[value]]):
                assert path == (value >= split if value >= centre else value < split)


def test_equal_to_the_reference(walks):
    for (centre, deviation), (depths, paths, splits, _) in walks.items():
        if centre in (1, 2, 3, 7, 64, 127, 128, 200, 253, 254, 255):
            for value in range(256):
                told = Answers(paths[value].tolist())
                assert mixture.decoded((centre - 1) * 64, deviation, told) == value
                assert [at.split for at in told.asked] == splits[value, : depths[value]].tolist()


def test_rungs_rise_until_the_ladder_ends(walks):
    """Then they stay past it: contexts tell climbing from halving by them."""
    for (centre, deviation), (depths, _, splits, rungs) in walks.items():
        kind = DEVIATIONS.index(deviation)
        for value in (0, centre - 1, centre, 255):
            climbed = [rung for rung in rungs[value, 1 : depths[value]].tolist() if rung != HALVING]
            assert climbed == list(range(len(climbed))) and len(climbed) < RUNGS
            assert rungs[value, 1 + len(climbed) : depths[value]].tolist() == [HALVING] * (
                depths[value] - 1 - len(climbed)
            )
            for rung, split in zip(climbed, splits[value, 1:].tolist()):
                assert abs(split - centre) == LADDER[kind, rung]


@pytest.mark.parametrize("mean", [-(2**40), -32767, -65, -64, -1, 0, 63, 64, 254 * 64 - 1, 254 * 64, 255 * 64, 2**40])
def test_the_centre_is_limited(mean):
    centre = min(max(mean // 64 + 1, 1), 255)
    assert opened(mean, 0) == Node(0, 256, centre, 0, 0, UNDECIDED, centre)


@pytest.mark.parametrize(
    ("deviation", "kind"),
    [(0, 0), (96, 0), (97, 1), (192, 1), (193, 2), (384, 2), (385, 3), (768, 3), (769, 4), (2**40, 4)],
)
def test_ladder_classes(deviation, kind):
    assert opened(128 * 64, deviation).deviation == kind


def test_ladders_grow():
    assert (LADDER[:, 0] == [1, 1, 2, 4, 8]).all() and (LADDER <= 256).all() and (LADDER[:, -1] == 256).all()
    assert (np.diff(LADDER) >= 0).all()
