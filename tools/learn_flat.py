"""Learns what flat tiles start from, out of drawings made here, and writes codec/modelling/flat_start.npz.

    python tools/learn_flat.py [--output FILE]

The drawings are icons, pixel art, pages of text, line art and maps, each from a number alone; fonts are DejaVu's. They
go through the coder one after the other, each starting from what the ones before have taught.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import numpy as np
from drawings import DRAWINGS

from codec.entropy.range_coder import Rehearsal
from codec.modelling.flat_start import FILE, UNKNOWN, mixers, probabilities
from codec.modelling.logistic import STRETCH
from codec.tile_coders.flat import Flat, flat, run

PASSES = 2
COUNTS = {"icon": 700, "sprites": 60, "page": 24, "line_art": 12, "map": 12}
LEAST, LEAST_PATTERN = 4, 100  # visits from which on a probability is kept; of those by patterns
PATTERNS = 33409  # the first of those by patterns


def drawings() -> list[np.ndarray]:
    """Planes uint8 [C, H, W], in a fixed order that mixes the kinds."""
    found = [np.ascontiguousarray(DRAWINGS[kind](number)) for kind, count in COUNTS.items() for number in range(count)]
    random.Random(5).shuffle(found)
    return found


def learn(pictures: list[np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays of the file: means of weights over all but the first third, the last of what is counted."""
    before: Flat | None = None
    means, seen = dict[str, np.ndarray](), 0
    for number, planes in enumerate(pictures * PASSES):
        tile = flat(planes.copy(), learned=False)
        parts = tile.colours, tile.new, tile.stretches
        if before is not None:
            _carry_on((before.colours, before.new, before.stretches), parts)
        run(Rehearsal(), tile, lambda pixels: None)
        before = tile
        if number >= len(pictures) * PASSES // 3:
            seen += 1
            for name, array in _weights(parts):
                means[name] = means.get(name, 0) + (array - means.get(name, 0)) / seen
    assert before is not None
    found = {name: _rounded(name, mean) for name, mean in means.items()}
    for name, adaptive in probabilities(before.colours, before.new, before.stretches):
        least = np.full(len(adaptive.visits), LEAST)
        if name == "colours":
            least[PATTERNS:] = LEAST_PATTERN
        logits = np.rint(STRETCH[adaptive.probabilities >> 10] / 16).clip(-127, 127)
        found[f"{name}.logits"] = np.where(adaptive.visits < least, UNKNOWN, logits).astype(np.int8)
    return found


def _carry_on(before: tuple, after: tuple) -> None:
    """Weights and probabilities; the former go on learning fast."""
    for (_, old), (_, new) in zip(mixers(*before), mixers(*after)):
        new.weights[:], new.final[:] = old.weights, old.final
    for (_, old), (_, new) in zip(probabilities(*before), probabilities(*after)):
        new.probabilities[:], new.visits[:] = old.probabilities, old.visits


def _weights(parts: tuple) -> list[tuple[str, np.ndarray]]:
    found = [("errors", parts[1].errors)]
    for name, mixer in mixers(*parts):
        found += [(f"{name}.weights", mixer.weights), (f"{name}.final", mixer.final)]
    return [(name, array.astype(np.float64)) for name, array in found]


def _rounded(name: str, mean: np.ndarray) -> np.ndarray:
    if name.endswith("weights"):
        return np.rint(mean / 256).clip(-127, 127).astype(np.int8)
    return np.rint(mean / 32 if name.endswith("final") else mean).astype(np.int16)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=FILE)
    output = parser.parse_args().output
    np.savez_compressed(output, **learn(drawings()))
    print(output, output.stat().st_size, "bytes")
