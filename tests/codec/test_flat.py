"""Flat tiles: exact both ways whatever the picture, equal to a plain reference, and safe from hostile payloads."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec.entropy.range_coder import Decoder, Encoder
from codec.errors import DamagedFile
from codec.tile_coders.flat import code_flat
from tests.pictures import KINDS, checker, constant, lines, magnified, noise, photograph, screen, text, two_values
from tests.reference.flat import FlatTile
from tests.reference.range_coder import Answers


def windows(height: int, width: int) -> np.ndarray:
    """The same framed box again and again, wide enough for copies, on a plain ground; some boxes differ."""
    planes = constant(height, width, 200)
    for number, (row, col) in enumerate(np.ndindex(height // 12 + 1, width // 40 + 1)):
        box = planes[:, 12 * row + 2 : 12 * row + 11, 40 * col + 1 : 40 * col + 38]
        box[:] = 90
        box[:, 1:-1, 1:-1] = 240
        box[0, 3:5, 4:30:3] = 10
        if number % 3 == 0:
            box[:, 6:7, 20:25] = number % 256
    return planes


PICTURES = {
    "noise": noise(12, 17),
    "photograph": photograph(12, 17),
    "white": constant(18, 60),
    "checker": checker(12, 17),
    "lines": lines(12, 37),
    "black and white noise": two_values(9, 12),
    "pixel": noise(1, 1),
    "row": magnified(1, 60, 3),
    "column": magnified(60, 1, 3),
    "row of noise": noise(1, 50),
    "column of noise": noise(50, 1),
    "pixel art": magnified(30, 40, 4),
    "text": text(30, 45),
    "screen": screen(40, 60),
    "windows": windows(50, 120),
    "long runs": magnified(6, 400, 90),
    "wide dots": np.where(np.random.default_rng(3).random((1, 30, 90)) < 0.01, noise(30, 90), constant(30, 90)),
}


def encoded(planes: np.ndarray, traced: bool = False) -> Encoder:
    encoder = Encoder(traced)
    code_flat(encoder, planes.copy(), lambda pixels: None)
    return encoder


def decoded(payload: bytes, shape: tuple[int, ...], rubbish: int = 0) -> np.ndarray:
    planes = np.full(shape, rubbish, np.uint8)
    code_flat(Decoder(payload), planes, lambda pixels: None)
    return planes


def survives(planes: np.ndarray) -> int:
    """Comes back as it was, whatever the planes held before; returns the bytes that it took."""
    payload = encoded(planes).finish()
    np.testing.assert_array_equal(decoded(payload, planes.shape, 77), planes)
    return len(payload)


def agree(planes: np.ndarray) -> None:
    """Compiled code and reference make the same decisions."""
    encoder = encoded(planes, traced=True)
    answers = Answers(encoder.symbols().tolist())
    found = FlatTile(*planes.shape).decoded(answers)
    np.testing.assert_array_equal(found, planes)
    assert answers.asked == ((encoder.decisions() >> 1).astype(int) + 1).tolist()


@pytest.mark.parametrize("channels", [1, 3], ids=["grey", "colour"])
@pytest.mark.parametrize("name", PICTURES)
def test_equals_the_reference_and_comes_back(name, channels):
    agree(PICTURES[name][:channels])
    survives(PICTURES[name][:channels])


@settings(deadline=None, max_examples=20)
@given(
    height=st.integers(1, 12),
    width=st.integers(1, 40),
    channels=st.sampled_from([1, 3]),
    kinds=st.integers(1, 60),
    times=st.integers(1, 20),
    seed=st.integers(0, 2**32 - 1),
)
def test_equals_the_reference_for_anything(height, width, channels, kinds, times, seed):
    agree(magnified(height, width, times, kinds, seed)[:channels])


@pytest.mark.parametrize("height", range(1, 10))
def test_every_small_size(height):
    for width in range(1, 10):
        for channels in (1, 3):
            for make in (noise, text, constant):
                survives(make(height, width)[:channels])


@pytest.mark.parametrize("kind", KINDS)
def test_ordinary_sizes(kind):
    survives(KINDS[kind](70, 90))


@pytest.mark.parametrize("shape", [(1, 100000), (100000, 1), (2, 20000)])
def test_long_and_thin(shape):
    survives(magnified(*shape, 700, 9))


def test_the_same_bytes_again():
    planes = screen(60, 80)
    assert encoded(planes).finish() == encoded(planes).finish()


def test_what_comes_later_changes_nothing_before():
    first, second = screen(30, 60), screen(30, 60)
    second[:, 20:] = noise(10, 60)
    encoders = [encoded(planes, traced=True) for planes in (first, second)]
    row = 3 * 30 * 60 + 20 * 60  # the owner of the first decision about it
    ends = [next(i for i, owner in enumerate(encoder.owners()) if owner >= row) for encoder in encoders]
    assert ends[0] == ends[1] > 100
    before, other = (encoder.decisions()[: ends[0]] for encoder in encoders)
    np.testing.assert_array_equal(before, other)
    assert len(encoders[0].decisions()) != len(encoders[1].decisions())


@pytest.mark.parametrize("seed", range(12))
def test_any_payload_ends(seed):
    """Whatever a damaged file says, time is bounded by its pixels."""
    rng = np.random.default_rng(seed)
    whole = bytearray(encoded(screen(60, 90)).finish())
    whole[int(rng.integers(0, len(whole) - 1))] ^= 1 << int(rng.integers(0, 8))
    payload = (rng.bytes(5000) + b"\1", b"\xff" * 5000, b"\1", bytes(whole))[seed % 4]
    start = time.process_time()
    try:
        decoded(payload, (1 + seed % 2 * 2, 60, 90))
    except DamagedFile:
        pass
    assert time.process_time() - start < 60


def test_a_payload_that_ends_in_zero_is_refused():
    with pytest.raises(DamagedFile):
        decoded(b"\1\0", (1, 2, 2))


@pytest.mark.parametrize(
    ("planes", "limit"),
    [
        (constant(1000, 1000), 8),
        (np.zeros((1, 1000, 1000), np.uint8), 8),
        (magnified(120, 160, 8, 6), 250),
        (noise(100, 100), 30200),
    ],
    ids=["white", "black", "300 cells of 6 colours", "noise"],
)
def test_it_costs_little(planes, limit):
    """In bytes: where colours repeat, and where they never do."""
    assert survives(planes) <= limit


def test_a_plain_picture_is_quick():
    """The bound is for a busy machine; it takes a thirtieth of it where nothing else runs."""
    planes = constant(2048, 2048)
    survives(planes[:, :50, :50])
    start = time.process_time()
    survives(planes)
    assert time.process_time() - start < 4
