"""Lattices: the colours of the reference, decisions as the reference makes them, and files that get smaller by them."""

import numpy as np
import pytest

from codec.format.method import LATTICES, Learning, Method
from codec.modelling import lattice as lattices
from codec.modelling.lattice import CONVERSIONS
from tests.codec.modelling.test_experts import Coded, agree, model, some_numbers
from tests.pictures import KINDS, noise, photograph
from tests.reference import lattice as reference

NUMBERS = range(1, LATTICES + 1)


def converted(number: int, planes: np.ndarray) -> np.ndarray:
    """A picture that came through a conversion: its planes taken for Y, Cb and Cr."""
    c = CONVERSIONS[number - 1]
    y, cb, cr = planes.astype(np.int64) - np.array([0, 128, 128])[:, None, None]
    grey = c.luma * (y - c.black) + c.rounding
    made = grey + c.red_cr * cr, grey + c.green_cb * cb + c.green_cr * cr, grey + c.blue_cb * cb
    return (np.stack(made) >> 16).clip(0, 255).astype(np.uint8)


def from_video(number: int, height: int, width: int) -> np.ndarray:
    """A photograph of weak colours that came through a conversion."""
    planes = photograph(height, width, 3)
    planes[1:] = 118 + planes[1:] // 12
    return converted(number, planes)


@pytest.mark.parametrize("number", NUMBERS)
def test_possible_colours_are_the_references(number):
    assert len(CONVERSIONS) == len(reference.CONVERSIONS) == LATTICES
    possible = lattices.lattice(number).possible
    np.testing.assert_array_equal(possible, reference.possible(number))
    assert 0.15 < possible.mean() < 0.27
    assert len(lattices.lattice(0).possible) == 0


@pytest.mark.parametrize("learning", [Learning.QUICK, Learning.FULL])
@pytest.mark.parametrize("number", NUMBERS)
def test_decisions_are_the_references(number, learning):
    """On the lattice, off it, and with edits, wherever the expected value lies."""
    method = Method(learning=learning, tables=learning == Learning.FULL, lattice=number)
    edited = from_video(number, 5, 7)
    edited[:, 2:4, 2:5] = noise(2, 3)
    for pixels in (from_video(number, 5, 7), edited, converted(number, noise(4, 5))):
        agree(pixels, some_numbers(*pixels.shape[1:]), method=method)


@pytest.mark.parametrize("kind", KINDS)
def test_decisions_are_the_references_on_hostile_pictures(kind):
    agree(KINDS[kind](5, 6), some_numbers(5, 6), method=Method(lattice=1))


def test_the_right_one_saves_bits_and_a_wrong_one_costs_few():
    """Of colours that the network foresees within a few grey levels."""
    made = model(some_numbers(40, 50))
    for number in NUMBERS:
        pixels = from_video(number, 40, 50)
        ways = [Method(lattice=lattice) for lattice in (0, number, 1 + number % 2)]
        plain, right, wrong = (Coded(made, pixels, way).encoder.costs().sum() for way in ways)
        assert right < plain - 0.3 * 2000
        assert wrong < plain + 0.4 * 2000
