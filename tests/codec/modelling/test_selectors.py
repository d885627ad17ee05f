"""Selectors: every context within its set, every decision's vector its own, for whatever picture and state."""

from itertools import product

import numpy as np
import pytest

from codec.entropy import binarisation
from codec.entropy.binarisation import first_node, next_node
from codec.modelling.experts import FULL, expect, experts, take_in
from codec.modelling.selectors import ALL, PARTS, PLACES, SETS, select, selectors, vectors
from runtime.kernels import kernel
from runtime.least_squares import Settings, canvas, draw, learn, predict, predictor, refer, refit, rows_of
from tests.pictures import KINDS, magnified

PICTURES = KINDS | {"palette": lambda height, width: magnified(height, width, 1, 7)}
SIZES = [(1, 1), (1, 7), (5, 1), (2, 2), (3, 4), (5, 7)]
MEANS = {"off": (-32767, 49087, 65536), "near": (0, 16320, 50), "narrow": (8000, 8300, 0)}  # from, to, spread


@kernel
def walk(pixels, means, spreads, cost, own, state, canvas, seen):
    """Every value; seen: int64 [3, H, W, sets], its contexts."""
    channels, height, width = pixels.shape
    for level in range(width + 2 * (height - 1)):
        first, end = rows_of(level, canvas.size)
        for k in range(3):
            refit(level, canvas.size, k, own.fits)
        for row in range(first, end):
            c = level - 2 * row
            for k in range(channels):
                base, origin = predict(level, k, row, canvas, own)
                mean, spread = means[k, row, c], spreads[k, row, c]
                node = first_node(mean, spread)
                expect(level, k, row, (np.int64(base), mean, spread, node.deviation, node.centre), canvas, state)
                for s in range(len(state.selectors.contexts)):
                    seen[k, row, c, s] = state.selectors.contexts[s]
                state.spent[0] = cost
                value = np.int64(pixels[k, row, c])
                take_in(level, k, row, value, width, state)
                draw(k, row, c, value, canvas)
                learn(level, k, row, value, (base, origin), own.fits)
        refer(level + 1, canvas)


@pytest.mark.parametrize("kind", PICTURES)
@pytest.mark.parametrize("means", MEANS)
def test_contexts_are_within_their_sets(kind, means):
    """In colour and grey, whatever the network says and values cost."""
    counts = np.array([contexts for _, contexts, _ in SETS])
    low, high, most = MEANS[means]
    for size, channels, cost in product(SIZES, (1, 3), (0, 10400)):
        pixels, rng = np.ascontiguousarray(PICTURES[kind](*size)[:channels]), np.random.default_rng(1)
        given = rng.integers(low, high + 1, pixels.shape), rng.integers(0, most + 1, pixels.shape)
        empty, seen = canvas(*size), np.full((*pixels.shape, len(SETS)), -1, np.int64)
        walk(pixels, *given, cost, predictor(empty, Settings()), experts(empty, {}, FULL, False), empty, seen)
        for k in range(channels):
            assert (seen[k] >= k * counts).all() and (seen[k] < (k + 1) * counts).all()


@kernel
def selected(node, state, out):
    return select(node, state, out)


@kernel
def opened(mean, spread):
    return first_node(mean, spread)


@kernel
def behind(node, decision):
    return next_node(node, decision)


def nodes(spread: int) -> set[tuple]:
    """All that a value's decisions may come to, from some centres."""
    found, left = set(), [binarisation.Node(*opened(mean, spread)) for mean in (-99, 64, 6400, 16000, 99999)]
    while left:
        node = left.pop()
        if node.high - node.low > 1 and node not in found:
            found.add(node)
            left += [binarisation.Node(*behind(node, decision)) for decision in (0, 1)]
    return found


def test_every_decision_selects_within_the_sets():
    """With the lowest and the highest contexts; no two sets share a vector, and all places of the second layer come."""
    state, out, places = selectors(ALL), np.zeros(len(ALL), np.int64), set()
    sizes = np.array(vectors(ALL))
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    for z, spread in enumerate((0, 100, 200, 500, 1000)):
        for node in nodes(spread):
            assert node.deviation == z
            for k in (0, 2):
                for last in (0, 1):
                    state.contexts[:] = [(k + last) * contexts - last for _, contexts, _ in SETS]
                    state.contexts[0] = 5 * k + z
                    places.add(int(selected(node, state, out)))
                    assert (out >= starts).all() and (out < starts + sizes).all()
                    assert (state.parts < PARTS).all() and (state.parts >= 0).all()
    assert 0 <= min(places) and max(places) < PLACES
    assert {place % 12 for place in places} == set(range(12))
