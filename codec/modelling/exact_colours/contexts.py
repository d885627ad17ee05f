"""The contexts of a position: its neighbours' colours hashed, how its row and column went on, and which are alike."""

from typing import NamedTuple

import numpy as np

from codec.modelling.exact_colours.memory import CONTEXTS, WAYS, bucket_of, longest_of
from runtime.kernels import inlined

_SEED = 0x1E3779B1
_ORDERS = np.array([2, 4, 6, 10, 16, 28])  # neighbours in a plain context; two more take runs and breaks
PLAIN = len(_ORDERS)
_PATTERNS = np.array([8, 14, 22])  # neighbours in a pattern
PATTERNS = len(_PATTERNS)
LABELS = 8


def classes(thresholds: tuple[int, ...], size: int) -> np.ndarray:
    """How many thresholds each of 0 .. size - 1 reaches."""
    return np.searchsorted(thresholds, np.arange(size), side="right")


_BREAKS = classes((1, 2, 3, 5, 9, 17, 33), 256)


class Around(NamedTuple):
    """What stands around a position: colours, breaks and runs of its row and column, outcomes of the neighbours."""

    w: int
    n: int
    nw: int
    ne: int
    ww: int
    nn: int
    breaks: int  # of 64 classes, the column's and the row's
    run_w: int
    run_n: int
    outcomes: int  # of 81


class Contexts(NamedTuple):
    """The contexts of the position at hand."""

    buckets: np.ndarray  # int64 [CONTEXTS]
    checks: np.ndarray  # int64 [CONTEXTS]
    seen: np.ndarray  # int64 [CONTEXTS, WAYS]: what each remembers, count 2^24 + colour; 0 none, or refused already
    patterns: np.ndarray  # int64 [PATTERNS]: hashes of which neighbours are alike, whatever their colours
    labels: np.ndarray  # int64 [LABELS]: colours in the order of their appearance in a pattern


def contexts() -> Contexts:
    """Room for them."""
    return Contexts(
        np.zeros(CONTEXTS, np.int64),
        np.zeros(CONTEXTS, np.int64),
        np.zeros((CONTEXTS, WAYS), np.int64),
        np.zeros(PATTERNS, np.int64),
        np.zeros(LABELS, np.int64),
    )


@inlined
def hashed(h, v):
    """32 bits of h and v; the product stays below 2^62."""
    h = ((h ^ v) * 0x2C1B3C6D) & 0xFFFFFFFF
    return h ^ (h >> 15)


@inlined
def look(memory, row, c, here):
    """What stands around a position."""
    pixels, above = memory.pixels, here - memory.stride
    breaks = _BREAKS[memory.column_breaks[c]] * 8 + _BREAKS[memory.row_breaks[row]]
    own, north, ring = memory.outcomes[(row + 1) & memory.rows], memory.outcomes[row & memory.rows], memory.columns
    east = north[(c + 1) & ring] if c + 1 < len(memory.column_runs) else 0
    outcomes = own[(c - 1) & ring] * 27 + north[c & ring] * 9 + north[(c - 1) & ring] * 3 + east
    return Around(
        np.int64(pixels[here - 1]),
        np.int64(pixels[above]),
        np.int64(pixels[above - 1]),
        np.int64(pixels[above + 1]),
        np.int64(pixels[here - 2]),
        np.int64(pixels[above - memory.stride]),
        np.int64(breaks),
        np.int64(memory.row_runs[row]),
        np.int64(memory.column_runs[c]),
        np.int64(outcomes),
    )


@inlined
def find_contexts(memory, here, around, contexts):
    """Sets the position's buckets and what they remember; returns the entry of the longest context in `places`."""
    h, j = np.int64(_SEED), 0
    for k in range(PLAIN):
        while j < _ORDERS[k]:
            h = hashed(h, np.int64(memory.pixels[here + memory.offsets[j]]))
            j += 1
        _recall(memory, k, h, contexts)
        if k == 1:
            _recall(memory, PLAIN, hashed(hashed(h, around.run_w), around.run_n), contexts)
            _recall(memory, PLAIN + 1, hashed(h, around.breaks), contexts)
    return longest_of(h)


@inlined
def _recall(memory, k, h, contexts):
    contexts.buckets[k], contexts.checks[k] = bucket_of(k, h)
    bucket = memory.buckets[contexts.buckets[k]]
    mine = bucket[0] == contexts.checks[k]
    for i in range(WAYS):
        contexts.seen[k, i] = np.int64(bucket[1 + i]) if mine else 0


@inlined
def find_patterns(memory, here, contexts):
    """Sets the patterns of which neighbours are alike: labels in order of appearance; returns how many there are."""
    h, j, labels, label, last = np.int64(_SEED), 0, 0, 0, np.int64(-1)
    for m in range(PATTERNS):
        while j < _PATTERNS[m]:
            colour = np.int64(memory.pixels[here + memory.offsets[j]])
            if colour != last:  # else it has the same label
                label, last = label_of(contexts, labels, colour), colour
                if label == labels and labels < LABELS:
                    contexts.labels[label] = colour
                    labels += 1
            h = hashed(h, label)
            j += 1
        contexts.patterns[m] = h
    return labels


@inlined
def label_of(contexts, labels, colour):
    """A colour's label in the patterns, or how many labels there are if it has none."""
    label = 0
    while label < labels and contexts.labels[label] != colour:
        label += 1
    return label


@inlined
def strike_out(contexts, colour):
    """Removes a colour that was refused from what the contexts remember."""
    for k in range(CONTEXTS):
        for i in range(WAYS):
            if (contexts.seen[k, i] & 0xFFFFFF) == colour:
                contexts.seen[k, i] = 0
