"""Runs and literals: how a usual encoder divides pixels into packets, and where a file does otherwise.

A packet is some pixels that are all alike, written once, or some that are written one by one. A Rule says which
packet an encoder makes at a pixel, given those that follow. A file's packets are found again by a rule and the packets
that it gets wrong, so that a file by any usual encoder needs a few bytes beside its samples.

Pixels are words, counted in the order of the file. Packets of a rule that keeps rows end with their row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from codec.errors import DamagedFile
from codec.format.numbers import Reader, varint

STEP = 1 << 17  # pixels looked at together
Words = Callable[[int, int], np.ndarray]  # from a first to a last pixel, that one not


@dataclass(frozen=True)
class Rule:
    """How packets are chosen. At a pixel from which `start` or more are alike, as many as are alike, at most `most`;
    else a literal up to the next pixel from which `stop` or more are alike; one of fewer than `shortest` pixels is
    instead a packet of as many as are alike. keeps_rows: both end with the row. With a period of 2, pixels are alike
    if each is the one before the last: a b a b.
    """

    start: int
    stop: int
    most: int
    keeps_rows: bool = True
    shortest: int = 1
    period: int = 1


@dataclass(frozen=True, eq=False)
class Packets:
    """Packets that follow each other: the first pixel of each and its number of pixels, [N] int64, and whether they
    are all alike, [N] bool.
    """

    first: np.ndarray
    count: np.ndarray
    alike: np.ndarray


Exceptions = tuple[tuple[int, int], ...]  # packets before it that are by the rule, and 2 * pixels + alike


def predict(words: np.ndarray, at: int, row: int, rule: Rule) -> tuple[np.ndarray, np.ndarray]:
    """The packet that a rule makes at each pixel: its number of pixels, [N] int64, and whether they are alike.

    words: [N], of which the first is pixel `at`; row: pixels after which a packet must end.
    """
    count = words.size
    places = np.arange(count)
    row_ends = np.minimum((at + places) // row * row + row - at, count)
    differs = np.ones(count + rule.period, bool)
    differs[rule.period : count] = words[rule.period :] != words[: -rule.period]
    ends = _next(differs)[rule.period :]  # where pixels stop to be alike; of other rows they may seem to be
    alike = np.minimum(ends, row_ends) - places
    repeats = np.append(alike >= rule.stop, True)
    literal = np.minimum(_next(repeats)[1:], row_ends) - places
    is_alike = (alike >= rule.start) | (np.minimum(literal, rule.most) < rule.shortest)
    return np.minimum(np.where(is_alike, alike, literal), rule.most), is_alike


def _next(flags: np.ndarray) -> np.ndarray:
    """For each place the first from it on whose flag is set, or the number of places."""
    places = np.where(flags, np.arange(flags.size), flags.size)
    return np.minimum.accumulate(places[::-1])[::-1]


def divide(words: Words, size: tuple[int, int], rule: Rule, exceptions: Exceptions) -> Iterator[Packets]:
    """The packets of a picture's pixels by a rule, some at a time.

    size: rows and pixels of each. Raises DamagedFile where exceptions do not fit.
    """
    total, row = size[0] * size[1], size[1] if rule.keeps_rows else size[0] * size[1]
    odd, at = iter(exceptions), 0
    skip, code = next(odd, (total, 0))
    while at < total:
        base, end = at, min(at + STEP, total)
        counts, alike = predict(words(base, min(end + 2 * rule.most + 2, total)), base, row, rule)
        steps = counts.astype(np.uint8).tobytes()
        firsts: list[int] = []
        instead: list[tuple[int, int]] = []
        while at < end:
            step = steps[at - base]
            if not skip:
                step = code >> 1
                instead.append((len(firsts), code))
                skip, code = next(odd, (total, 0))
                if not 0 < step <= min(rule.most, total - at):
                    raise DamagedFile("packets of pixels do not fit the picture: get the file again")
            else:
                skip -= 1
            firsts.append(at)
            at += step
        yield _packets(np.array(firsts), base, counts, alike, instead)
    if next(odd, None) is not None or code:
        raise DamagedFile("more packets of pixels than the picture has: get the file again")


def _packets(
    first: np.ndarray, base: int, counts: np.ndarray, alike: np.ndarray, instead: list[tuple[int, int]]
) -> Packets:
    found = Packets(first, counts[first - base], alike[first - base])
    for index, code in instead:
        found.count[index], found.alike[index] = code >> 1, code & 1
    return found


def find_rule(
    packets: Iterable[Packets], words: Words, size: tuple[int, int], rules: tuple[Rule, ...], most: int
) -> tuple[int, Exceptions] | None:
    """The rule, by its index, that gets the fewest packets wrong, and those; None if all get more than `most` wrong."""
    total, before = size[0] * size[1], 0
    wrong: dict[int, list[tuple[int, int]]] = {index: [] for index in range(len(rules))}
    for some in packets:
        base = int(some.first[0])
        end = int(some.first[-1] + some.count[-1])
        pixels = words(base, min(end + 2 * max(rule.most for rule in rules) + 2, total))
        places = some.first - base
        for index in wrong:
            counts, alike = predict(pixels, base, size[1] if rules[index].keeps_rows else total, rules[index])
            misses = np.flatnonzero((counts[places] != some.count) | (alike[places] != some.alike))
            codes = 2 * some.count[misses] + some.alike[misses]
            wrong[index] += zip((before + misses).tolist(), codes.tolist())
        before += some.first.size
        fewest = min(map(len, wrong.values()))
        wrong = {index: found for index, found in wrong.items() if len(found) <= min(most, 4 * fewest + 16)}
        if not wrong:
            return None
    best = min(wrong, key=lambda index: len(wrong[index]))
    places_before = [-1, *(place for place, _ in wrong[best])]
    return best, tuple((place - last - 1, code) for last, (place, code) in zip(places_before, wrong[best]))


def written(exceptions: Exceptions) -> bytes:
    """Exceptions as a varint that counts them and two varints for each."""
    return varint(len(exceptions)) + b"".join(varint(skip) + varint(code) for skip, code in exceptions)


def read(reader: Reader) -> Exceptions:
    """Exceptions as a rest goes on with them. Raises DamagedFile where it does not."""
    return tuple((reader.varint(), reader.varint()) for _ in range(reader.varint()))
