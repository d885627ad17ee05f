"""Two threads in one tile: nothing is foreseen before what it needs is coded, and nobody waits for ever."""

from dataclasses import replace

import numpy as np
import pytest

from codec.entropy.range_coder import Decoder, Encoder
from codec.format.method import Learning, Method
from codec.tile_coders import How, parts, tile_coder
from codec.tile_coders.parts import Part, Parts
from runtime.least_squares import Size
from tests.pictures import noise, photograph

SIZES = [(1, 1), (1, 300), (300, 1), (40, 60), (61, 40), (129, 64), (200, 64), (64, 200), (100, 101)]


@pytest.fixture
def short(monkeypatch):
    """Parts of eight rows, so that small tiles have some."""
    monkeypatch.setattr(parts, "_SHORTEST", 8)


def rows_of(level: int, height: int, width: int) -> set[int]:
    return {r for r in range(height) if 0 <= level - 2 * r < width}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_every_position_has_its_turn(short, size, threads):
    """Once, level by level, downwards, in parts that have some; a row that has just ended is in the first of them."""
    found = Parts(Size(*size), threads)
    levels = [part.level for part in found.parts]
    assert levels == sorted(levels) and (threads == 2 or len(levels) == Size(*size).levels)
    for level in range(Size(*size).levels):
        here = [part for part in found.parts if part.level == level]
        inside = [[r for r in range(*part.rows) if r in rows_of(level, *size)] for part in here]
        assert [len(rows) for rows in inside] == [part.positions for part in here]
        assert min(map(len, inside)) > 0 or len(here) == 1 and not rows_of(level, *size)
        assert all(part.rows[0] % 8 == 0 for part in here)
        assert sum(inside, []) == sorted(rows_of(level, *size))
        ended = rows_of(level - 1, *size) - rows_of(level, *size)
        assert all(r in range(*here[0].rows) for r in ended)
    assert found.steps() == tuple((part.level, part.rows) for part in found.parts)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_what_is_foreseen_needs_nothing_that_is_not_coded(short, size):
    """Whatever the level before has in the part's rows, those above and the next one is coded; and no part more than
    that, so that parts can be foreseen before the level before is done."""
    turns = Parts(Size(*size), 2).parts
    number_of = {(part.level, row): number for number, part in enumerate(turns) for row in range(*part.rows)}
    for number, part in enumerate(turns):
        assert part.needed <= number
        below = part.rows[1]
        wanted = [number_of[part.level - 1, row] for row in rows_of(part.level - 1, *size) if row <= below]
        assert all(other < part.needed for other in wanted)
        if wanted and part.needed and turns[part.needed - 1].level == part.level - 1:
            assert max(wanted) == part.needed - 1
    most = max(len([part for part in turns if part.level == level]) for level in range(Size(*size).levels))
    assert most < 3 or max(number - part.needed for number, part in enumerate(turns)) > 0


def test_levels_are_cut_into_as_many_parts_as_pay():
    """By their own rows: one for few, four at most."""
    turns = Parts(Size(512, 768), 2).parts
    counts = np.bincount([part.level for part in turns])
    assert counts[0] == counts[62] == 1 and counts[130] == 2 and counts.max() == 4 == counts[800]


@pytest.mark.parametrize("method", [Method(), Method(learning=Learning.NONE), Method(network=False)], ids=str)
def test_parts_change_no_bit(short, tiny_model, method):
    for planes in (photograph(61, 48), noise(16, 70), photograph(70, 33)[:1]):
        payloads = []
        for threads in (1, 2):
            encoder, coder = Encoder(), tile_coder(replace(tiny_model, threads=threads))
            coder.code(encoder, planes.copy(), method, How(threads, lambda pixels: None))
            payloads.append(encoder.finish())
        assert payloads[0] == payloads[1]
        size = Size(*planes.shape[1:])
        assert len(Parts(size, 2).parts) > size.levels
        for threads in (1, 2):
            found = np.zeros_like(planes)
            coder.code(Decoder(payloads[0]), found, method, How(threads, lambda pixels: None))
            np.testing.assert_array_equal(found, planes)


def test_what_goes_wrong_ends_both_threads(short):
    """In what runs ahead, it is raised where the parts are asked for; there, the other thread ends."""

    def fails(number: int, part: Part) -> int:
        if part.level == 30:
            raise ValueError("in what is foreseen")
        return number

    with pytest.raises(ValueError, match="foreseen"):
        list(Parts(Size(61, 48), 2).ahead(fails))
    walk = Parts(Size(61, 48), 2).ahead(lambda number, part: part.level)
    with pytest.raises(KeyError):
        for part, found in walk:
            assert part.level == found
            if part.level == 20:
                raise KeyError
    walk.close()
