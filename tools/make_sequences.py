"""Makes what networks of sequences learn from, the same wherever it runs.

    python tools/make_sequences.py sounds FOLDER [--count 200] [--seconds 4]
    python tools/make_sequences.py digits MNIST.npz FILE.npz [--count 4000] [--frames 8]

`sounds`: melodies of plucked strings (Karplus and Strong 1983) of a pentatonic scale, one to three voices, as .wav of
8,000 samples a second, in FOLDER/train, and a tenth as many in FOLDER/test. `digits`: two digits that move in a square
of 32 x 32 and come back from its sides (Srivastava, Mansimov and Salakhutdinov 2015, of half its size), each image the
frames of a video one below the other; train_images are of training digits, and a tenth as many test_images of test
digits.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np  # noqa: E402

from lmconv.data import sounds  # noqa: E402

SCALE = 110 * 2 ** (np.array([0, 3, 5, 7, 10, 12, 15, 17, 19, 22]) / 12)  # hertz
BEAT = 0.25  # seconds
SIDE, DIGIT = 32, 14


def plucked(frequency: float, count: int, rng: np.random.Generator) -> np.ndarray:
    """A string's sound, [count] in [-1, 1]: noise that goes round a delay line and is averaged on the way."""
    period = max(2, round(sounds.RATE / frequency))
    line = rng.uniform(-1, 1, period)
    rounds = [line]
    while len(rounds) * period < count:
        line = 0.498 * (line + np.roll(line, 1))
        rounds.append(line)
    return np.concatenate(rounds)[:count]


def melody(seconds: float, rng: np.random.Generator) -> np.ndarray:
    """[seconds * RATE] in [-1, 1]."""
    count = round(seconds * sounds.RATE)
    found = np.zeros(count)
    for _ in range(rng.integers(1, 4)):
        note, at = int(rng.integers(len(SCALE))), 0
        while at < count:
            length = min(count - at, round(sounds.RATE * BEAT * rng.choice([1, 2, 4])))
            found[at : at + length] += plucked(SCALE[note], length, rng)
            note, at = int(np.clip(note + rng.integers(-2, 3), 0, len(SCALE) - 1)), at + length
    return 0.9 * found / np.abs(found).max()


def make_sounds(folder: Path, count: int, seconds: float) -> None:
    """Writes melodies into folder/train, and a tenth as many into folder/test."""
    for split, wanted in (("train", count), ("test", max(1, count // 10))):
        (folder / split).mkdir(parents=True, exist_ok=True)
        for number in range(wanted):
            samples = melody(seconds, np.random.default_rng([len(split), number]))
            sounds.write(folder / split / f"{number:04}.wav", sounds.encoded(samples)[None], pause=0)


def video(digits: np.ndarray, frames: int, rng: np.random.Generator) -> np.ndarray:
    """Two of the digits uint8 [N, 14, 14] on their way: uint8 [frames * SIDE, SIDE]."""
    found, room = np.zeros((frames, SIDE, SIDE), np.uint8), SIDE - DIGIT
    for digit in digits[rng.integers(len(digits), size=2)]:
        place, step = rng.uniform(0, room, 2), rng.uniform(-4, 4, 2)
        for frame in range(frames):
            row, column = np.abs((place + frame * step + room) % (2 * room) - room).round().astype(int)
            window = found[frame, row : row + DIGIT, column : column + DIGIT]
            np.maximum(window, digit, out=window)
    return found.reshape(-1, SIDE)


def make_digits(source: Path, target: Path, count: int, frames: int) -> None:
    """Writes videos into a .npz."""
    made = {}
    with np.load(source) as images:
        for split, wanted in (("train", count), ("test", max(1, count // 10))):
            whole, rng = images[f"{split}_images"].astype(np.uint16), np.random.default_rng(len(split))
            half = whole.reshape(len(whole), DIGIT, 2, DIGIT, 2).sum((2, 4)) // 4
            made[f"{split}_images"] = np.stack([video(half.astype(np.uint8), frames, rng) for _ in range(wanted)])
    np.savez_compressed(target, **made)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sets = parser.add_subparsers(dest="set", required=True)
    of_sounds, of_digits = sets.add_parser("sounds"), sets.add_parser("digits")
    of_sounds.add_argument("folder", type=Path)
    of_sounds.add_argument("--count", type=int, default=200)
    of_sounds.add_argument("--seconds", type=float, default=4)
    of_digits.add_argument("source", type=Path)
    of_digits.add_argument("target", type=Path)
    of_digits.add_argument("--count", type=int, default=4000)
    of_digits.add_argument("--frames", type=int, default=8)
    given = parser.parse_args()
    if given.set == "sounds":
        make_sounds(given.folder, given.count, given.seconds)
    else:
        make_digits(given.source, given.target, given.count, given.frames)


if __name__ == "__main__":
    main()
