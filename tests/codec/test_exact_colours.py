"""Exact colours: every decision equals a plain reference's, decoding finds the same, and hostile payloads end."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec.entropy.range_coder import ONE, Decoder, Encoder, spend_on
from codec.modelling.exact_colours import memory
from codec.modelling.exact_colours.memory import colour_of
from codec.modelling.exact_colours.question import MOST_DECISIONS, ExactColours, ask, exact_colours, take_over
from runtime.kernels import kernel
from runtime.least_squares import Size, rows_of
from tests.pictures import checker, constant, lines, magnified, noise, photograph, ramp, text, two_values
from tests.reference import colours as reference
from tests.reference.least_squares import rows_of as rows_of_level
from tests.reference.range_coder import Answers


def many_colours(height: int, width: int) -> np.ndarray:
    """More than are kept in the list, again and again."""
    return noise(7, 8).repeat(3, 2)[:, np.arange(height)[:, None] % 7, np.arange(width) % 24]


PICTURES = {
    "noise": noise(12, 17),
    "photograph": photograph(12, 17),
    "white": constant(18, 60),
    "black": constant(9, 12, 0),
    "checker": checker(12, 17),
    "ramp": ramp(8, 17),
    "lines": lines(12, 17),
    "black and white noise": two_values(9, 12),
    "row": magnified(1, 60, 3),
    "column": magnified(60, 1, 3),
    "pixel": noise(1, 1),
    "row of noise": noise(1, 50),
    "column of noise": noise(50, 1),
    "two rows": text(2, 40),
    "narrow": magnified(30, 2, 2),
    "pixel art": magnified(30, 40, 4),
    "text": text(30, 45),
    "palette": magnified(14, 20, 1, 20),
    "many colours": many_colours(22, 40),
    "long runs": magnified(4, 300, 90),
}


@kernel
def _walk(asked, escaped, found, colours, coding):
    """Every position in order: asks, fills in what escapes, takes over. All uint8 [C, H, W]; `asked` is the truth that
    `ask` is given, `escaped` where the values come from that it does not find."""
    channels, height, width = found.shape
    for level in range(width + 2 * (height - 1)):
        first, end = rows_of(level, Size(height, width))
        for row in range(first, end):
            c = level - 2 * row
            spend_on(coding, row * width + c)
            colour = ask(row, c, colour_of(asked, row, c), colours, coding)
            for k in range(channels):
                found[k, row, c] = escaped[k, row, c] if colour < 0 else colour >> (8 * (channels - 1 - k)) & 255
            take_over(row, c, colour_of(found, row, c), colours)


def encoded(picture: np.ndarray) -> tuple[Encoder, ExactColours]:
    encoder, colours, found = Encoder(traced=True), exact_colours(*picture.shape), np.zeros(picture.shape, np.uint8)
    picture = np.ascontiguousarray(picture)
    encoder.reserve(picture[0].size * MOST_DECISIONS)
    _walk(picture, picture, found, colours, encoder.coding)
    np.testing.assert_array_equal(found, picture)
    return encoder, colours


def decoded(payload: bytes, escaped: np.ndarray) -> tuple[np.ndarray, ExactColours]:
    """What a payload gives, where the values that escape are those of a picture."""
    decoder, colours, found = Decoder(payload), exact_colours(*escaped.shape), np.zeros(escaped.shape, np.uint8)
    _walk(np.full(escaped.shape, 77, np.uint8), np.ascontiguousarray(escaped), found, colours, decoder.coding)
    return found, colours


def decisions(encoder: Encoder) -> list[tuple[int, int, int]]:
    """(position, frequency, symbol) of each."""
    frequencies = (encoder.decisions() >> 1).astype(int) + 1
    return list(zip(encoder.owners().tolist(), frequencies.tolist(), encoder.symbols().tolist()))


def check_range(colours: ExactColours) -> None:
    """Of what is learned, whatever came."""
    probabilities, weights = colours.probabilities.probabilities, colours.mixer.weights
    assert (probabilities >= 0).all() and (probabilities < 1 << 22).all()
    assert (np.abs(weights) <= 1 << 20).all()
    assert (colours.refined.knots >= 0).all() and (colours.refined.knots <= ONE).all()


def told(values: list[list[int]], symbols: list[int]) -> list[tuple[int, int, int]]:
    """The reference's decisions (position, frequency, symbol) where it is answered by these symbols; `values` are what
    becomes known of a position that escapes."""
    height, width, found, answers = len(values), len(values[0]), [], Answers(symbols)
    state = reference.State(height, width)
    for level in range(width + 2 * (height - 1)):
        for r in rows_of_level(level, height, width):
            c = level - 2 * r
            position = reference.Position(state, r, c)
            assert position.ask(state, answers) in (None, values[r][c])
            found += [r * width + c] * (len(answers.asked) - len(found))
            position.take_over(state, values[r][c])
    return list(zip(found, answers.asked, symbols))


def agree(picture: np.ndarray) -> None:
    """Compiled code and reference make the same decisions, and a decoder finds the picture by them."""
    encoder, colours = encoded(picture)
    planes = picture.astype(int)
    values = planes[0] if len(planes) == 1 else planes[0] * 65536 + planes[1] * 256 + planes[2]
    assert decisions(encoder) == told(values.tolist(), encoder.symbols().tolist())
    check_range(colours)
    found, learned = decoded(encoder.finish(), picture)
    np.testing.assert_array_equal(found, picture)
    np.testing.assert_array_equal(learned.mixer.weights, colours.mixer.weights)


@pytest.mark.parametrize("channels", [1, 3], ids=["grey", "colour"])
@pytest.mark.parametrize("name", PICTURES)
def test_equals_the_reference(name, channels):
    agree(PICTURES[name][:channels])


@settings(deadline=None, max_examples=25)
@given(
    height=st.integers(1, 12),
    width=st.integers(1, 14),
    channels=st.sampled_from([1, 3]),
    kinds=st.integers(1, 60),
    times=st.integers(1, 4),
    seed=st.integers(0, 2**32 - 1),
)
def test_equals_the_reference_for_anything(height, width, channels, kinds, times, seed):
    agree(magnified(height, width, times, kinds, seed)[:channels])


@pytest.mark.parametrize("seed", range(6))
def test_any_payload_is_survived(seed):
    """Whatever a damaged file answers, the colours that are found came before, and what is learned keeps its range."""
    rng = np.random.default_rng(seed)
    picture = (magnified(25, 30, 2, 40), noise(25, 30))[seed % 2]
    payload = (rng.bytes(3000) + b"\1", b"\xff" * 3000, b"\1")[seed // 2]
    found, colours = decoded(payload, picture)
    check_range(colours)
    assert {tuple(pixel) for pixel in found.reshape(3, -1).T} <= {tuple(pixel) for pixel in picture.reshape(3, -1).T}


def test_what_comes_later_changes_nothing_before():
    first, second = text(20, 30), text(20, 30)
    second[:, 10:] = noise(10, 30)
    found, other = (decisions(encoded(picture)[0]) for picture in (first, second))
    before = next(at for at, (position, *_) in enumerate(found) if position // 30 == 10)
    assert found[:before] == other[:before] and found[before:] != other[before:]


@pytest.mark.parametrize(
    ("picture", "limit"),
    [(constant(200, 200), 150), (magnified(120, 160, 8, 6), 300 * 6), (noise(100, 100), 0.1 * 10000)],
    ids=["white", "300 cells of 6 colours", "noise"],
)
def test_it_costs_little(picture, limit):
    """In bits: where colours repeat, and where they never do."""
    assert encoded(picture)[0].costs().sum() < limit


def test_the_state_stays_small():
    """13 MB of the largest tile, a picture of 3."""

    def held(part) -> int:
        return part.nbytes if isinstance(part, np.ndarray) else sum(map(held, part)) if isinstance(part, tuple) else 0

    assert held(exact_colours(3, 1024, 1024)) < 13 << 20
    assert all(dc + 2 * dr < 0 for dr, dc in memory.NEAR) and len(set(memory.NEAR)) == len(memory.NEAR)
