"""Binary decisions: complete, without waste, short near the centre; every centre, every ladder, every value."""
import numpy as np
import pytest
from numba import njit

from codec.binarisation import HIGH, LADDER, LOW, NODE, SIDE, SPLIT, answer, follow, open_node
from tests.codec import reference_mixture

DEVIATIONS = (0, 97, 193, 385, 769)         # one of each class
MOST = 1 + 15 + 6                           # sign, the finest ladder up to 192, and halving what is left above


@njit
def walk(centre, deviation, depths, paths, splits):
    """Follows the answers to every value; True if each ends there. Fills [256] and [256, 32]."""
    nodes = np.zeros((1, NODE), np.int64)
    for value in range(256):
        open_node(nodes, 0, (centre - 1) * 64, deviation)
        more, depth = True, 0
        while more:
            if not nodes[0, LOW] < nodes[0, SPLIT] < nodes[0, HIGH] or depth == 32:
                return False
            splits[value, depth] = nodes[0, SPLIT]
            paths[value, depth] = answer(nodes, 0, value)
            more = follow(nodes, 0, paths[value, depth])
            depth += 1
        depths[value] = depth
        if nodes[0, LOW] != value or nodes[0, HIGH] != value + 1:
            return False
    return True


@pytest.fixture(scope="module")
def walks():
    """(centre, deviation) -> depths, paths and splits of every value."""
    found = {}
    for centre in range(1, 256):
        for deviation in DEVIATIONS:
            depths, paths, splits = np.zeros(256, int), np.full((256, 32), -1), np.full((256, 32), -1)
            assert walk(centre, deviation, depths, paths, splits), (centre, deviation)
            found[centre, deviation] = depths, paths, splits
    return found


def test_answers_end_at_the_value(walks):
    assert len(walks) == 255 * 5


def test_codes_are_prefix_free_and_complete(walks):
    for depths, paths, _ in walks.values():
        assert (2.0 ** -depths).sum() == 1          # exact: every term is a power of two above 2^-32
        codes = {tuple(path[:depth]) for path, depth in zip(paths.tolist(), depths)}
        assert len(codes) == 256
        assert not any(code[:n] in codes for code in codes for n in range(1, len(code)))


def test_no_value_takes_long(walks):
    assert max(depths.max() for depths, _, _ in walks.values()) == MOST


def test_few_decisions_near_the_centre(walks):
    """As many as a good code of the distance would take: near values few, at the scale that the ladder is made for."""
    for (centre, deviation), (depths, _, _) in walks.items():
        if 40 <= centre <= 216:
            near = {0: 2, 97: 2, 193: 3, 385: 4, 769: 5}[deviation]
            assert depths[centre - 1] <= near and depths[centre] <= near
            scale = max(deviation / 64, 0.5)
            distance = np.abs(np.arange(256) - centre + 0.5)
            weight = np.exp(-distance / scale) / np.exp(-distance / scale).sum()
            entropy = -(weight * np.log2(np.maximum(weight, 1e-300))).sum()
            assert (weight * depths).sum() <= entropy + 1.1, (centre, deviation)


def test_decision_one_moves_away_from_the_centre(walks):
    for (centre, _), (depths, paths, splits) in walks.items():
        for value in (0, 1, centre - 1, centre, min(centre + 5, 255), 255):
            assert splits[value, 0] == centre and paths[value, 0] == (value >= centre)
            for path, split in zip(paths[value, 1:depths[value]], splits[value, 1:depths[value]]):
                assert path == (value >= split if value >= centre else value < split)


def test_equal_to_the_reference(walks):
    for (centre, deviation), (depths, paths, splits) in walks.items():
        if centre in (1, 2, 3, 7, 64, 127, 128, 200, 253, 254, 255):
            for value in range(256):
                steps = list(reference_mixture.splits(value, (centre - 1) * 64, deviation))
                assert [step[1] for step in steps] == splits[value, :depths[value]].tolist()
                assert [step[-1] for step in steps] == paths[value, :depths[value]].tolist()
                low, split, high, upper, decision = steps[-1]
                assert ((split, high) if upper == bool(decision) else (low, split)) == (value, value + 1)


@pytest.mark.parametrize("mean", [-(2**40), -32767, -65, -64, -1, 0, 63, 64, 254 * 64 - 1, 254 * 64, 255 * 64, 2**40])
def test_the_centre_is_limited(mean):
    nodes = np.zeros((1, NODE), np.int64)
    open_node(nodes, 0, mean, 0)
    assert nodes[0, SPLIT] == min(max(mean // 64 + 1, 1), 255) and (nodes[0, LOW], nodes[0, HIGH]) == (0, 256)
    assert nodes[0, SIDE] not in (0, 1)


@pytest.mark.parametrize(("deviation", "kind"), [(0, 0), (96, 0), (97, 1), (192, 1), (193, 2), (384, 2), (385, 3),
                                                 (768, 3), (769, 4), (2**40, 4)])
def test_ladder_classes(deviation, kind):
    nodes = np.zeros((1, NODE), np.int64)
    open_node(nodes, 0, 128 * 64, deviation)
    follow(nodes, 0, 1)
    assert nodes[0, SPLIT] == 129 + LADDER[kind, 0]


def test_ladders_grow():
    assert (LADDER[:, 0] == [1, 1, 2, 4, 8]).all() and (LADDER <= 256).all() and (LADDER[:, -1] == 256).all()
    assert (np.diff(LADDER) >= 0).all()
