"""What each part of the mixing is worth: bits without it, over crops of pictures, with the network and without.

    python tools/bench_parts.py PICTURES --methods [--colours]
    python tools/bench_parts.py PICTURES LEARNED_FROM [--model PHOTO] [--crop 320] [--count 16] [--no-network]

The first form codes whole pictures by every method: bits per subpixel and seconds. The second records every decision's
inputs at full learning, then mixes them anew in floating point with some experts or contexts left out. Start weights of
every variant are learned from the last 32 crops of LEARNED_FROM, as the shipped ones are. Tables are Markdown.
"""

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np  # noqa: E402
from numba import njit  # noqa: E402
from tqdm import tqdm  # noqa: E402

import runtime  # noqa: E402
from codec import mixing, models  # noqa: E402
from codec.codec import code_tile, distribution  # noqa: E402
from codec.coder import Encoder  # noqa: E402
from codec.method import Learning, Method  # noqa: E402
from lmconv.data import crops, pictures  # noqa: E402

NETWORK, LATTICE, STACK, OWN, FAST, SLOW, CONSTANT = 0, (1, 2, 3), 4, 5, 6, 7, 8
_ALL = tuple(range(9))
VARIANTS = {
    "everything": (_ALL, (0, 1)),
    "without the lattice": (tuple(e for e in _ALL if e not in LATTICE), (0, 1)),
    "only the lattice's last stage": (tuple(e for e in _ALL if e not in LATTICE[:2]), (0, 1)),
    "without the stack's distribution": (tuple(e for e in _ALL if e != STACK), (0, 1)),
    "without the own predictor's": (tuple(e for e in _ALL if e != OWN), (0, 1)),
    "without the fast predictor's": (tuple(e for e in _ALL if e != FAST), (0, 1)),
    "without the slow predictor's": (tuple(e for e in _ALL if e != SLOW), (0, 1)),
    "without the network's": (tuple(e for e in _ALL if e != NETWORK), (0, 1)),
    "the stack of the rivals alone": ((NETWORK, *LATTICE, STACK, CONSTANT), (0, 1)),
    "no rivals (light)": ((NETWORK, *LATTICE, CONSTANT), (0, 1)),
    "no rivals, no lattice": ((NETWORK, CONSTANT), (0, 1)),
    "contexts of the kind alone": (_ALL, (0,)),
    "contexts of the errors alone": (_ALL, (1,)),
}


@dataclass
class Record:
    """A picture's decisions: inputs [n, 9] logits, answers [n], vectors [n, 2], finals [n], sizes of the rounds."""

    inputs: np.ndarray
    answers: np.ndarray
    vectors: np.ndarray
    finals: np.ndarray
    rounds: np.ndarray
    subpixels: int


def record(model: runtime.Model, picture: np.ndarray, method: Method) -> Record:
    """Codes a picture, uint8 [3, H, W], and keeps what every decision was mixed from."""
    notes = []

    class Noting(mixing.Mixing):
        def open(self, *arguments):
            return self._note(super().open(*arguments))

        def decide(self, *arguments):
            return self._note(super().decide(*arguments))

        def _note(self, asked):
            rows = self._active[: len(asked[0])]
            chosen = self._chosen[rows]
            notes.append((self._inputs[rows].astype(np.int16), asked[1].astype(np.int8), chosen[:, :2], chosen[:, -1]))
            return asked

    def start(model, predictor, rows, method):
        mixture = distribution(model, predictor, rows, method)
        mixture.__class__ = Noting
        return mixture

    code_tile(model, Encoder(), picture, method, start=start)
    parts = [np.concatenate(part) for part in zip(*notes, strict=True)]
    return Record(*parts, np.array([len(note[1]) for note in notes]), picture.size)


@njit(cache=True)
def mixed(inputs, answers, vectors, finals, rounds, weights, visits, final, floor):
    """Bits of a record; weights, visits and final change."""
    sets, bits, at = vectors.shape[1], 0.0, 0
    dots, chances = np.zeros((4096, sets)), np.zeros(4096)
    for n in rounds:
        for i in range(n):
            total = 0.0
            for s in range(sets):
                dot = 0.0
                for e in range(inputs.shape[1]):
                    dot += weights[vectors[at + i, s], e] * inputs[at + i, e]
                dots[i, s] = min(max(dot, -8.0), 8.0)
                total += final[finals[at + i], s] * dots[i, s]
            chances[i] = 1 / (1 + np.exp(-min(max(total, -8.0), 8.0)))
        for i in range(n):
            answer = answers[at + i]
            bits -= np.log2(chances[i] if answer else 1 - chances[i])
            for s in range(sets):
                final[finals[at + i], s] += 0.002 * (answer - chances[i]) * dots[i, s]
                vector = vectors[at + i, s]
                rate = max(0.02 / (1 + 0.02 * visits[vector]), floor)
                visits[vector] += 1
                step = rate * (answer - 1 / (1 + np.exp(-dots[i, s])))
                for e in range(inputs.shape[1]):
                    weights[vector, e] += step * inputs[at + i, e]
        at += n
    return bits


def bits(records: list[Record], experts: tuple, sets: tuple, start: tuple | None = None, floor: float = 0.004):
    """Bits per subpixel of each record, and the state after the last; `start` (None: plain, carried) begins each."""
    state, found = start, []
    for one in records:
        if start or state is None:
            weights = start[0].copy() if start else np.tile(np.array([0.5] + 8 * [0.07])[list(experts)], (6000, 1))
            state = weights, np.zeros(6000, int), start[1].copy() if start else np.full((180, len(sets)), 1 / len(sets))
        inputs = one.inputs[:, list(experts)] / 256.0
        spent = mixed(inputs, one.answers, one.vectors[:, list(sets)], one.finals, one.rounds, *state, floor)
        found.append(spent / one.subpixels)
    return found, (state[0], state[2])


def compare_methods(model: runtime.Model, tested: list[np.ndarray], with_colours: bool) -> None:
    """Prints a row for every method: bits per subpixel over all pictures, uint8 [H, W, 3], and seconds of encoding."""
    print("| method | bits per subpixel | bytes | seconds a picture |\n|---|---:|---:|---:|")
    for colours in (False, True)[: 1 + with_colours]:
        for network in (True, False):
            for learning in Learning:
                method, spent, seconds, subpixels = Method(learning, colours, network), 0.0, 0.0, 0
                for picture in tested:
                    tile = np.ascontiguousarray(picture.transpose(2, 0, 1))
                    if tile.shape[1] > tile.shape[2]:
                        tile = np.ascontiguousarray(tile.transpose(0, 2, 1))
                    started = time.perf_counter()
                    spent += code_tile(model, Encoder(), tile, method).bits
                    seconds += time.perf_counter() - started
                    subpixels += tile.size
                row = f"{spent / subpixels:.4f} | {spent / 8:.0f} | {seconds / len(tested):.1f}"
                print(f"| {method} | {row} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("learned_from", type=Path, nargs="?")
    parser.add_argument("--methods", action="store_true", help="whole pictures, every method")
    parser.add_argument("--colours", action="store_true", help="methods that ask for exact colours first too")
    parser.add_argument("--model", default=models.DEFAULT)
    parser.add_argument("--crop", type=int, default=320)
    parser.add_argument("--count", type=int, default=16)
    parser.add_argument("--no-network", action="store_true")
    given = parser.parse_args()
    model = runtime.load(models.resolve(given.model), threads=1)
    if given.methods:
        compare_methods(model, [picture for _, picture in pictures(given.pictures)], given.colours)
        return
    if given.learned_from is None:
        parser.error("LEARNED_FROM is needed, or --methods")
    method = Method(Learning.FULL, network=not given.no_network)

    def centre(picture: np.ndarray) -> np.ndarray:
        row, column = (max(0, (side - given.crop) // 2) for side in picture.shape[:2])
        part = picture[row : row + given.crop, column : column + given.crop]
        return np.ascontiguousarray(part.transpose(2, 0, 1))

    tested = [centre(picture) for _, picture in pictures(given.pictures)][: given.count]
    learned = crops(given.learned_from, 192)[-32:]
    tested, learned = ([record(model, p, method) for p in tqdm(part)] for part in (tested, learned))
    print("| experts and contexts | bits per subpixel | against everything |\n|---|---:|---:|")
    whole = None
    for name, (experts, sets) in VARIANTS.items():
        _, start = bits(learned, experts, sets, floor=0.001)
        mean = float(np.mean(bits(tested, experts, sets, start)[0]))
        whole = whole or mean
        print(f"| {name} | {mean:.4f} | {100 * (mean / whole - 1):+.2f} % |", flush=True)


if __name__ == "__main__":
    main()
