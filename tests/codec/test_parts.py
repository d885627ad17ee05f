"""Two threads in one tile: nothing is foreseen before what it needs is coded, and nobody waits for ever."""

from dataclasses import replace

import numpy as np
import pytest

from codec.entropy.range_coder import Decoder, Encoder
from codec.format.method import Learning, Method
from codec.tile_coders import parts, tile_coder
from codec.tile_coders.parts import Parts
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
    """Once, level by level, downwards."""
    found = Parts(Size(*size), threads)
    turns = [(level, part) for level, part, _ in found._order()]
    assert turns == sorted(turns) and (threads == 2 or found.count == 1)
    for level in range(Size(*size).levels):
        rows = [range(*found.of(part)) for at, part in turns if at == level]
        inside = [[r for r in part if r in rows_of(level, *size)] for part in rows]
        assert [len(part) for part in inside] == [found.positions(level, part) for at, part in turns if at == level]
        assert sum(inside, []) == sorted(rows_of(level, *size))
        ended = rows_of(level - 1, *size) - rows_of(level, *size)
        assert all(any(r in part for part in rows) for r in ended)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_what_is_foreseen_needs_nothing_that_is_not_coded(short, size):
    """Whatever the level before has in the part's rows, those above and the next one is coded; and as little more is
    waited for as can be: the last part but one of a level can be foreseen before the level before is done."""
    found, coded = Parts(Size(*size), 2), []
    turns = list(found._order())
    for number, (level, part, needed) in enumerate(turns):
        assert needed <= number
        done = {(at, row) for at, which, _ in turns[:needed] for row in range(*found.of(which))}
        below = found.of(part)[1]
        wanted = {(level - 1, row) for row in rows_of(level - 1, *size) if row <= below}
        assert wanted <= done
        coded.append(number - needed)
    assert found.count < 3 or max(coded) > 0


@pytest.mark.parametrize("method", [Method(), Method(learning=Learning.NONE), Method(network=False)], ids=str)
def test_parts_change_no_bit(short, tiny_model, method):
    for planes in (photograph(61, 48), noise(16, 70), photograph(70, 33)[:1]):
        payloads = []
        for threads in (1, 2):
            encoder, coder = Encoder(), tile_coder(replace(tiny_model, threads=threads))
            coder.code(encoder, planes.copy(), method, threads, lambda pixels: None)
            payloads.append(encoder.finish())
        assert payloads[0] == payloads[1]
        assert Parts(Size(*planes.shape[1:]), 2).count > 1
        for threads in (1, 2):
            found = np.zeros_like(planes)
            coder.code(Decoder(payloads[0]), found, method, threads, lambda pixels: None)
            np.testing.assert_array_equal(found, planes)


def test_what_goes_wrong_ends_both_threads(short):
    """In what runs ahead, it is raised where the parts are asked for; there, the other thread ends."""

    def fails(level: int, part: int) -> int:
        if level == 30:
            raise ValueError("in what is foreseen")
        return level

    with pytest.raises(ValueError, match="foreseen"):
        list(Parts(Size(61, 48), 2).ahead(fails))
    walk = Parts(Size(61, 48), 2).ahead(lambda level, part: level)
    with pytest.raises(KeyError):
        for level, _, found in walk:
            assert level == found
            if level == 20:
                raise KeyError
    walk.close()
