"""A file's coefficients as one payload of the range coder, and back.

What the walk learns from, before it sees a file's own blocks, are the photographs in start/: short files have little to
learn from.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

from codec.entropy.range_coder import Coder, Decoder, Encoder, Rehearsal
from codec.jpeg.blocks import MOST_DECISIONS, Blocks, blocks, code_level, planes
from codec.jpeg.file import take_apart
from codec.jpeg.segments import Frame
from runtime.least_squares import rows_of
from runtime.progress import Progress

Report = Callable[[int], None]  # told of blocks that are done
_START = Path(__file__).with_name("start")


def encode(coefficients: np.ndarray, frame: Frame, steps: tuple[np.ndarray, ...], report: Report) -> bytes:
    """The payload of a frame's coefficients, int16 [blocks, 64]."""
    encoder = Encoder()
    _walk(encoder, _begin(coefficients), frame, steps, report)
    return encoder.finish()


def decode(payload: bytes, frame: Frame, steps: tuple[np.ndarray, ...], room: np.ndarray, report: Report) -> None:
    """Fills the room for a frame's coefficients, zeros. Raises DamagedFile."""
    state = _begin(room)
    _walk(Decoder(payload), state, frame, steps, report)
    room[:] = state.coefficients[:-1]


def _walk(coder: Coder, state: Blocks, frame: Frame, steps: tuple[np.ndarray, ...], report: Report) -> None:
    for plane in planes(frame, steps):
        for level in range(plane.size.levels):
            first, end = rows_of.py_func(level, plane.size)
            coder.reserve((end - first) * MOST_DECISIONS)
            code_level(level, plane, state, coder.coding)
            coder.check()
            report(end - first)


def _begin(coefficients: np.ndarray) -> Blocks:
    """The state before a file's first block."""
    state = _fresh(coefficients)
    for ours, learned in zip(_what_learns(state), _learned()):
        ours[:] = learned
    return state


def _fresh(coefficients: np.ndarray) -> Blocks:
    outside = np.zeros((1, 64), np.int16)
    return blocks(np.concatenate([coefficients, outside]))


def _what_learns(state: Blocks) -> tuple[np.ndarray, ...]:
    return state.lines.slots, state.mixer.weights, state.mixer.final, state.refined.knots


@cache
def _learned() -> tuple[np.ndarray, ...]:
    """What learns, after the photographs in start/."""
    learned: tuple[np.ndarray, ...] = ()
    for path in sorted(_START.glob("*.jpg")):
        jpeg = take_apart(path.read_bytes())
        state = _fresh(jpeg.coefficients)
        for ours, before in zip(_what_learns(state), learned):
            ours[:] = before
        _walk(Rehearsal(), state, jpeg.frame, jpeg.steps, lambda blocks: None)
        learned = _what_learns(state)
    return learned


def block_report(frame: Frame, progress: Progress | None) -> Report:
    """What is told of a frame's blocks, and tells `progress`."""
    done, total = 0, sum(component.blocks for component in frame.components)

    def report(blocks: int) -> None:
        nonlocal done
        done += blocks
        if progress:
            progress(min(done, total), total)

    return report
