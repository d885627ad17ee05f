"""Simple predictions: what each name says in rational numbers, within 16 bits, and what is kept of their errors."""

from fractions import Fraction

import numpy as np
import pytest

from codec.modelling import predictors
from codec.modelling.simple import KNOWN, foretell, nearest, settle_simple, simple
from runtime.kernels import kernel
from runtime.least_squares import Size, rows_of
from tests.pictures import KINDS, noise
from tests.reference.least_squares import Canvas
from tests.reference.least_squares import rows_of as rows_of_level
from tests.reference.predictors import Simple, away

NAMES = predictors.names()
COUNT = 96


@kernel
def predicted(k, row, c, width, members, state):
    foretell(k, row, c, width, members, state)
    return nearest(state)


@kernel
def settled(k, row, c, width, value, state):
    settle_simple(k, row, c, width, value, state)


@kernel
def walk(pixels, members, state, found):
    """Every value in order; found: int32 [3, H, W, 2 Q], predictions and errors nearby."""
    channels, height, width = pixels.shape
    for level in range(width + 2 * (height - 1)):
        first, end = rows_of(level, Size(height, width))
        for row in range(first, end):
            c = level - 2 * row
            for k in range(channels):
                foretell(k, row, c, width, members[k, row, c], state)
                for q in range(len(state.predictions)):
                    found[k, row, c, q] = state.predictions[q]
                    found[k, row, c, len(state.predictions) + q] = state.near[q]
                settle_simple(k, row, c, width, np.int64(pixels[k, row, c]), state)


def some_members(shape: tuple[int, ...], least=-32767, most=49087) -> np.ndarray:
    """int32 [3, H, W, 5]: the blend's are grey levels, the network's mean is anything."""
    rng = np.random.default_rng(7)
    members = rng.integers(0, 255 * 64 + 1, (*shape, 5)).astype(np.int32)
    members[..., 4] = rng.integers(least, most + 1, shape)
    return members


def test_the_list():
    assert len(NAMES) == len(set(NAMES)) and len(NAMES) + KNOWN >= COUNT
    for name in NAMES:
        form = predictors.form(name)
        assert sum(form.values()) == 1, name
        quarters = {tap: factor * predictors.UNIT for tap, factor in form.items()}
        assert all(factor.denominator in (1, 3) for factor in quarters.values()), name  # nothing to round to even
        assert sum(map(round, quarters.values())) == predictors.UNIT, name
        assert sum(abs(round(factor)) for factor in quarters.values()) * 512 <= 18432 < 1 << 15, name


def own_form(name: str, planes: dict[str, np.ndarray], r: int, c: int) -> Fraction:
    """What a name says, term by term; planes: x, A and B, padded by 9 on each side."""
    own, _, changes = name.strip("[]").partition(" | ")
    found, terms = Fraction(0), []
    for term in own.replace("-", "+-").split("+"):
        letters = term.lstrip("-/0123456789")
        number = term[: len(term) - len(letters)]
        factor = Fraction(number if number.strip("-") else number + "1")
        terms.append((factor, letters))
        dr, dc = away(letters)
        plane = letters if letters in ("A", "B") else "x"
        found += factor * int(planes[plane][r + dr + 9, c + dc + 9])
    for change in filter(None, changes.split(", ")):
        share, _, letter = change.rpartition(" ")
        plane, share = planes[letter], Fraction(share or 1)
        found += share * int(plane[r + 9, c + 9])
        for factor, letters in terms:
            dr, dc = away(letters)
            found -= share * factor * int(plane[r + dr + 9, c + dc + 9])
    return found


def test_each_name_means_its_form():
    """Deep inside a picture, of green: A is red, B what the blend says; thirds are rounded to quarters, no more."""
    pixels, size = noise(12, 14), (3, 12, 14)
    members, state, found = some_members(size), simple(12, 14, COUNT), np.zeros((*size, 2 * COUNT), np.int32)
    walk(pixels, members, state, found)
    blend = (members[1, :, :, 0] + 8) >> 4
    planes = {"x": 4 * pixels[1].astype(int), "A": 4 * pixels[0].astype(int), "B": blend}
    padded = {name: np.pad(plane, 9) for name, plane in planes.items()}
    for r, c in ((5, 6), (8, 7), (11, 5)):
        w, n, nw, ne = (4 * int(pixels[1, r + dr, c + dc]) for dr, dc in ((0, -1), (-1, 0), (-1, -1), (-1, 1)))
        for q, name in enumerate(NAMES[: COUNT - KNOWN], KNOWN):
            exact = own_form(name, padded, r, c)
            exact = min(max(exact, -800), 1824)
            if name[0] == "[":
                exact = min(max(exact, min(w, n, nw, ne)), max(w, n, nw, ne))
            allowed = Fraction(1, 2) + (512 * Fraction(2, 3) if "/3" in name else 0)
            assert abs(found[1, r, c, q] - exact) <= allowed, name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (5, 7)], ids=str)
@pytest.mark.parametrize("count", [12, COUNT])
def test_equals_the_reference(kind, size, count):
    """Predictions, errors nearby and which was best, at all edges, whatever the network says."""
    pixels = KINDS[kind](*size)
    members, state, found = some_members(pixels.shape), simple(*size, count), np.zeros((*pixels.shape, 2 * count), int)
    found = found.astype(np.int32)
    walk(pixels, members, state, found)
    canvas = Canvas(*size)
    told = Simple(canvas, count)
    for level in range(size[1] + 2 * (size[0] - 1)):
        for r in rows_of_level(level, *size):
            c = level - 2 * r
            for k in range(3):
                told.predict(k, r, c, members[k, r, c].tolist())
                assert found[k, r, c].tolist() == told.predictions + told.near
                told.learn(k, r, c, int(pixels[k, r, c]))
    for (k, r, c), best in told.best.items():
        if c >= size[1] - 7:  # still kept
            assert state.best[k, r + 2, c & 7] == best


def test_the_first_of_several_is_the_nearest():
    state = simple(2, 3, 12)
    assert predicted(0, 0, 0, 3, np.full(5, 8160, np.int32), state) == 0
    settled(0, 0, 0, 3, 128, state)
    assert state.best[0, 2, 0] == min(
        q for q, e in enumerate(state.errors[0, 2, 0]) if e == state.errors[0, 2, 0].min()
    )
