"""What flat tiles start from (docs/format.md, 16.6): the numbers of flat_start.npz, by what they belong to."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from tests.reference.colours import OPENING
from tests.reference.estimates import Chance
from tests.reference.numbers import clip, squash

FILE = Path(__file__).parents[2] / "codec" / "modelling" / "flat_start.npz"
KINDS = (1, True), (1, False), (2, True), (2, False)  # of questions about stretches, in the file's order


@cache
def numbers() -> dict[str, np.ndarray]:
    with np.load(FILE) as found:
        return {name: found[name].astype(int) for name in found.files}


def chance(name: str, place: int) -> Chance:
    found, number = Chance(), int(numbers()[f"{name}.logits"][place])
    if number != -128:
        found.p, found.visits = squash(clip(16 * number, -2047, 2047)) << 6, 5
    return found


def weights(name: str, vector: int, inputs: int) -> list[int]:
    """Of a vector; beyond the inputs and the constant come zeros."""
    return [256 * int(number) for number in numbers()[f"{name}.weights"][vector][:inputs]]


def final(name: str, place: int) -> list[int]:
    return [32 * int(number) for number in numbers()[f"{name}.final"][place]]


def digits(parts: tuple, base: int) -> int:
    """One number of several, the first the highest."""
    found = 0
    for part in parts:
        found = base * found + int(part)
    return found


def flags(equal: tuple) -> int:
    """One number of several bits, the first the lowest."""
    return digits(equal[::-1], 2)


def colour_chance(about: tuple) -> int:
    """The place of what an input of exact colours is about."""
    if about[0] == OPENING:
        return 6144 + 32 * about[1] + 4 * about[2] + about[3]
    if about[0] == "mask":
        return 6400 + 64 * about[1] + flags(about[2])
    if about[0] == "grid":
        return 6656 + 64 * (64 * about[1] + flags(about[2])) + 8 * about[3][0] + about[3][1]
    if about[0] == "runs":
        return 23040 + 256 * (16 * about[1] + flags(about[2])) + 16 * about[3] + about[4]
    if about[0] == "copy":
        return 31232 + 256 * (2 * about[1] + about[2]) + 16 * about[3] + about[4]
    if about[0] == "number":
        return 33280 + about[1]
    if about[0] == "candidates":
        return 33312 + about[1]
    if about[0] == "around":
        return 33328 + digits(about[1], 3)
    if about[0] == "pattern":
        return 33409 + 65536 * about[1] + about[2]
    k, phase, mine, first, others = about
    return 192 * (4 * k + phase) + 8 * (2 * mine + first) + others


def colour_vector(vector: tuple) -> int:
    if vector[0] == 0:
        if vector[1] == OPENING:
            return 160
        return 128 + vector[1][1] if vector[1][0] == "palette" else 16 * vector[1][0] + flags(vector[1][1])
    if vector[0] == 1:
        if vector[1] == OPENING:
            return 385
        phase, supported, alone, copied, alike = vector[1:]
        return 161 + 8 * (4 * supported + phase) + 4 * alone + 2 * copied + alike
    return 386 + 5 * digits(vector[2], 3) + (4 if vector[1] == OPENING else vector[1])


def stretch_chance(about: tuple) -> int:
    kind, number, *rest = about
    first = 4096 * (4 * KINDS.index(kind) + number)
    if number == 0:
        return first + 3 * rest[0] + rest[1]
    if number == 1:
        return first + 3 * (16 * rest[0] + rest[1]) + rest[2]
    if number == 2:
        return first + 4 * rest[0] + rest[1]
    return first + 3 * (16 * (4 * rest[0] + rest[1]) + rest[2]) + rest[3]


def stretch_vector(vector: tuple) -> int:
    kind, which, *rest = vector
    if which == "size":
        return 32 * KINDS.index(kind) + rest[0]
    return 128 + 16 * (3 * KINDS.index(kind) + rest[0]) + rest[1]


def value_vector(vector: tuple) -> int:
    k, which, number = vector
    if which == "seen":
        return 40 * k + 24 + digits(number, 4)
    return 40 * k + number + (8 if which == "width" else 0)
