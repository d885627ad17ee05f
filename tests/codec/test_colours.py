"""Exact colours: every frequency equals a plain reference's, both directions give the picture, hostile pictures."""
import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec import colours
from codec.coder import ONE, Decoder, Encoder
from codec.colours import Colours
from codec.errors import DamagedFile
from runtime.least_squares import rows_of
from tests.codec import reference_colours
from tests.pictures import checker, constant, lines, noise, photograph, ramp, two_values


def magnified(height: int, width: int, times: int, kinds: int = 5, seed: int = 0) -> np.ndarray:
    """Pixel art: cells of a few colours."""
    rng = np.random.default_rng(seed)
    palette = rng.integers(0, 256, (kinds, 3), dtype=np.uint8)
    cells = palette[rng.integers(0, kinds, (height // times + 1, width // times + 1))]
    return cells.repeat(times, 0).repeat(times, 1)[:height, :width].transpose(2, 0, 1).copy()


def text(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Four glyphs of 7 x 5, again and again, in soft grey on white."""
    rng = np.random.default_rng(seed)
    glyphs = rng.choice(np.array([0, 90, 255, 255], np.uint8), (4, 7, 5))
    glyphs[:, :, 0], glyphs[:, 0] = 255, 255
    page = glyphs[rng.integers(0, 4, (height // 7 + 1, width // 5 + 1))].transpose(0, 2, 1, 3)
    page = page.reshape(page.shape[0] * 7, -1)[:height, :width]
    return np.stack([page] * 3)


def many_colours(height: int, width: int) -> np.ndarray:
    """More than are kept in the list, again and again."""
    return noise(7, 8).repeat(3, 2)[:, np.arange(height)[:, None] % 7, np.arange(width) % 24]


PICTURES = {
    "noise": lambda: noise(12, 17), "photograph": lambda: photograph(12, 17), "white": lambda: constant(18, 60),
    "black": lambda: constant(9, 12, 0), "checker": lambda: checker(12, 17), "ramp": lambda: ramp(8, 17),
    "lines": lambda: lines(12, 17), "black and white noise": lambda: two_values(9, 12),
    "row": lambda: magnified(1, 60, 3), "column": lambda: magnified(60, 1, 3), "pixel": lambda: noise(1, 1),
    "row of noise": lambda: noise(1, 50), "column of noise": lambda: noise(50, 1), "two rows": lambda: text(2, 40),
    "narrow": lambda: magnified(30, 2, 2), "pixel art": lambda: magnified(30, 40, 4), "text": lambda: text(30, 45),
    "palette": lambda: magnified(14, 20, 1, 20), "many colours": lambda: many_colours(22, 40),
    "long runs": lambda: magnified(4, 300, 90),
}


class Watched(Colours):
    """Keeps every round and checks what must always hold."""

    def __init__(self, height, width, channels):
        rows = max(last - first for first, last in (rows_of(t, height, width) for t in range(width + 2 * height - 2)))
        super().__init__(height, width, rows, channels)
        self.rounds = []

    def _views(self, n):
        frequencies, symbols = super()._views(n)
        assert ((frequencies >= 16) & (frequencies <= ONE - 16)).all()
        assert (self._chances[:, 0] >= 0).all() and (self._chances[:, 0] < 1 << 22).all()
        assert (np.abs(self._weights[:, :-1]) <= 1 << 20).all()
        return frequencies, symbols


class Nothing:
    """A coder that leaves the symbols as they are."""

    def code(self, frequencies, symbols):
        pass


def code(picture: np.ndarray, coder, decoding: bool = False, made=Watched):
    """Runs a picture through a coder: (state, rounds by level, picture). Escaped values are taken from the picture."""
    channels, height, width = picture.shape
    state, found = made(height, width, channels), []
    out = np.zeros_like(picture)
    for level in range(width + 2 * (height - 1)):
        rows = np.arange(*rows_of(level, height, width))
        at = (slice(None), rows, level - 2 * rows)
        known = np.full((channels, len(rows)), 77, np.uint8) if decoding else picture[at]
        frequencies, symbols = state.open(level, known)
        rounds = []
        while len(symbols):
            coder.code(frequencies, symbols)
            rounds.append(list(zip(frequencies.tolist(), symbols.tolist())))
            frequencies, symbols = state.decide(len(symbols), known)
        solved, values = state.found()
        assert solved.shape == (len(rows),) and values.shape == (channels, len(rows)) and values.dtype == np.uint8
        out[at] = np.where(solved, values, picture[at])
        state.learn(level, out[at])
        found.append(rounds)
    return state, found, out


def as_colours(picture: np.ndarray) -> list[list[int]]:
    if len(picture) == 1:
        return picture[0].tolist()
    r, g, b = picture.astype(int)
    return (r * 65536 + g * 256 + b).tolist()


def agree(picture: np.ndarray) -> None:
    """Compiled code and reference give the same rounds."""
    state, found, out = code(picture, Nothing())
    expected, values = reference_colours.code_tile(as_colours(picture))
    assert found == expected
    assert values == as_colours(out) == as_colours(picture)
    bits = -sum(np.log2((f if yes else ONE - f) / ONE) for level in found for round in level for f, yes in round)
    np.testing.assert_allclose(state.bits.sum(), bits, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("channels", [1, 3], ids=["grey", "colour"])
@pytest.mark.parametrize("name", PICTURES)
def test_equals_the_reference(name, channels):
    agree(PICTURES[name]()[:channels])


@settings(deadline=None, max_examples=40)
@given(height=st.integers(1, 12), width=st.integers(1, 14), channels=st.sampled_from([1, 3]),
       kinds=st.integers(1, 60), times=st.integers(1, 4), seed=st.integers(0, 2**32 - 1))
def test_equals_the_reference_for_anything(height, width, channels, kinds, times, seed):
    agree(magnified(height, width, times, kinds, seed)[:channels])


@pytest.mark.parametrize("channels", [1, 3], ids=["grey", "colour"])
@pytest.mark.parametrize("name", PICTURES)
def test_decoding_gives_the_picture_back(name, channels):
    picture = PICTURES[name]()[:channels]
    encoder = Encoder()
    _, coded, _ = code(picture, encoder)
    _, decoded, out = code(picture, Decoder(encoder.finish()), decoding=True)
    assert decoded == coded
    np.testing.assert_array_equal(out, picture)


def test_the_reference_decodes():
    """From the symbols alone, and the values that escaped."""
    values = as_colours(text(14, 20))
    coded, _ = reference_colours.code_tile(values)
    rounds = iter([[yes for _, yes in round] for level in coded for round in level])
    state = reference_colours.State(14, 20)
    reference_colours.code_tile(values, state=state)
    escaped = [[values[r][c] if state.outcomes[r, c] == 2 else -1 for c in range(20)] for r in range(14)]
    assert reference_colours.code_tile(escaped, lambda frequencies: next(rounds)) == (coded, values)


class Liar:
    """A coder whose answers are chance, as a damaged payload's may be."""

    def __init__(self, seed):
        self.rng, self.share = np.random.default_rng(seed), seed % 5 / 4

    def code(self, frequencies, symbols):
        symbols[:] = self.rng.random(len(symbols)) < self.share


@pytest.mark.parametrize("seed", range(10))
def test_any_answers_are_survived(seed):
    """Every colour found is one that came before, whatever the answers."""
    picture = (magnified(25, 30, 2, 40), noise(25, 30))[seed % 2]
    code(picture, Liar(seed), decoding=True)


def test_a_damaged_payload_ends():
    picture = text(30, 40)
    encoder = Encoder()
    code(picture, encoder)
    payload = bytearray(encoder.finish())
    payload[len(payload) // 2] ^= 1
    try:
        _, _, out = code(picture, Decoder(bytes(payload)), decoding=True)
    except DamagedFile:
        return
    assert (out != picture).any()


def test_a_level_is_asked_from_one_state_and_the_levels_before():
    """What comes in later levels changes nothing before."""
    first, second = text(20, 30), text(20, 30)
    second[:, 10:] = noise(10, 30)
    same = 2 * 10                               # the first level that reaches row 10
    (_, found, _), (_, other, _) = code(first, Nothing()), code(second, Nothing())
    assert found[:same] == other[:same] and found != other


def test_golden_frequencies():
    digest = hashlib.sha256()
    for picture in (magnified(40, 60, 4), text(40, 60)[:1], photograph(40, 60)):
        _, found, _ = code(picture, Nothing())
        for level in found:
            for round in level:
                digest.update(np.array(round, "<i4").tobytes())
    assert digest.hexdigest()[:16] == "fb98652552a23241"


@pytest.mark.parametrize("picture, limit", [
    (constant(200, 200), 150), (magnified(120, 160, 8, 6), 300 * 6), (noise(100, 100), 0.1 * 10000),
], ids=["white", "300 cells of 6 colours", "noise"])
def test_it_costs_little(picture, limit):
    """In bits: where colours repeat, and where they never do."""
    state = Colours(*picture.shape[1:], picture.shape[1], 3)
    code(picture, Nothing(), made=lambda *size: state)
    assert state.bits.sum() < limit


def test_neighbours_are_of_levels_before_and_the_state_stays_small():
    assert all(dc + 2 * dr < 0 for dr, dc in colours._NEAR) and len(set(colours._NEAR)) == colours._REACH
    assert all(-dr <= colours._TOP and abs(dc) <= colours._SIDE for dr, dc in colours._NEAR)
    state = Colours(1024, 1024, 512, 3)
    held = sum(array.nbytes for array in vars(state).values() if isinstance(array, np.ndarray))
    assert held < 13 << 20
