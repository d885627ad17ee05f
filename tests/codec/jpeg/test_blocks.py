"""The walk through blocks: what was coded is decoded, for any coefficients and steps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec.errors import DamagedFile
from codec.jpeg.coder import decode, encode
from codec.jpeg.continuity import (
    UNIT,
    begin,
    continuity,
    foretold_at_edge,
    foretold_inside,
    in_samples,
    reciprocals,
    take_out,
    transform,
)
from codec.jpeg.file import take_apart
from codec.jpeg.segments import Component, Frame
from runtime.kernels import kernel
from tests.codec.jpeg.jpegs import jpegs

SAMPLINGS = {"4:4:4": [(1, 1)] * 3, "4:2:0": [(2, 2), (1, 1), (1, 1)], "odd": [(1, 2), (2, 1), (1, 1), (2, 2)]}


def frame(width: int, height: int, factors: list[tuple[int, int]]) -> Frame:
    across, down = (max(factor) for factor in zip(*factors))
    mcus = -(-width // (8 * across)), -(-height // (8 * down))
    parts = [
        Component(i, h, v, 0, mcus[0] * h, mcus[1] * v, mcus[0] * h, mcus[1] * v) for i, (h, v) in enumerate(factors)
    ]
    return Frame(width, height, False, tuple(parts), mcus)


def again(coefficients: np.ndarray, of: Frame, steps: tuple[np.ndarray, ...]) -> bytes:
    """The payload of coefficients that it has been found to hold."""
    told = []
    payload = encode(coefficients.copy(), of, steps, told.append)
    room = np.zeros_like(coefficients)
    decode(payload, of, steps, room, told.append)
    np.testing.assert_array_equal(room, coefficients)
    assert sum(told) == 2 * len(coefficients)
    return payload


@settings(deadline=None, max_examples=60)
@given(
    sampling=st.sampled_from(list(SAMPLINGS)),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    most=st.sampled_from([1, 2, 30, 1000, 32767]),
    filled=st.sampled_from([0.02, 0.3, 1]),
    step=st.sampled_from([0, 1, 16, 255, 65535]),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_coefficients_come_back(sampling, size, most, filled, step, seed):
    of, rng = frame(*size, SAMPLINGS[sampling]), np.random.default_rng(seed)
    blocks = sum(component.blocks for component in of.components)
    coefficients = rng.integers(-most, most + 1, (blocks, 64)) * (rng.random((blocks, 64)) < filled)
    again(coefficients.astype(np.int16), of, tuple(np.full(64, step, np.int64) for _ in of.components))


def test_a_file_is_coded_the_same_whatever_was_coded_before():
    found = take_apart(jpegs()["4:2:0"])
    first = again(found.coefficients, found.frame, found.steps)
    other = take_apart(jpegs()["noise"])
    again(other.coefficients, other.frame, other.steps)
    assert again(found.coefficients, found.frame, found.steps) == first


def test_what_no_encoder_wrote_is_told_or_decodes_to_something():
    found, rng = take_apart(jpegs()["grey"]), np.random.default_rng(0)
    for _ in range(50):
        room = np.zeros_like(found.coefficients)
        try:
            decode(rng.bytes(200) + b"\1", found.frame, found.steps, room, lambda blocks: None)
        except DamagedFile:
            pass


@kernel
def foretell(above, left, block, steps, reciprocals, continuity, out):
    begin(above, left, steps, continuity)
    out[0, 0], out[0, 1] = foretold_inside(9, reciprocals, continuity)
    for k in range(64):
        if k >= 8 and k % 8:
            take_out(k, in_samples(block[k], steps[k]), continuity)
    for at in range(1, 8):
        out[at, 0], out[at, 1] = foretold_at_edge(0, at, at, reciprocals, continuity)
        out[at, 2], out[at, 3] = foretold_at_edge(1, at, 8 * at, reciprocals, continuity)
    transform(block, steps, continuity)


COSINES = np.cos(np.outer(np.arange(8), 2 * np.arange(8) + 1) * np.pi / 16) / 2
COSINES[0] *= np.sqrt(0.5)


def samples(block: np.ndarray, steps: np.ndarray) -> np.ndarray:
    return np.einsum("uy,uv,vx->yx", COSINES, (block * steps).reshape(8, 8), COSINES)


@pytest.mark.parametrize("seed", range(5))
def test_continuity_is_that_of_samples(seed):
    """A smooth surface over three blocks: what is foretold of the corner one is what it has; and its samples are
    those of the floating-point transform."""
    rng, steps = np.random.default_rng(seed), np.arange(3, 67)
    r, c = np.mgrid[-8:8, -8:8] / 8
    surface = 40 * np.sin(rng.uniform(-1, 1) * r + rng.uniform(0, 6)) + 300 * np.cos(rng.uniform(0.5, 1.5) * c + r)

    def coefficients(part: np.ndarray) -> np.ndarray:
        return np.rint((COSINES @ part @ COSINES.T).ravel() / steps).astype(np.int16)

    above, left, block = (coefficients(part) for part in (surface[:8, 8:], surface[8:, :8], surface[8:, 8:]))
    state, out = continuity(), np.zeros((8, 4), np.int64)
    foretell(above, left, block, steps, reciprocals(steps), state, out)
    block[0] = 0
    assert abs(state.samples / 8 - samples(block, steps)).max() < 0.3
    edges = np.concatenate([np.arange(1, 8), 8 * np.arange(1, 8)])
    flat, sloped = (np.concatenate([out[1:, i], out[1:, i + 2]]) / UNIT for i in range(2))
    size = (abs(block[edges]) * steps[edges]).sum()
    assert (abs(sloped - block[edges]) * steps[edges]).sum() < 0.5 * size
    assert (abs(flat - block[edges]) * steps[edges]).sum() < 0.9 * size
