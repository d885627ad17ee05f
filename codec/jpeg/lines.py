"""Lines of adaptive probabilities: what came in contexts like this one.

Every context of a coefficient is a number; its hash finds a line of 16 probabilities in a table of the context's own,
one for each kind of decision about the coefficient, so that all of them share a line of the processor's memory. They
are not checked: contexts whose hashes are the same share a line. A probability moves by 1 / (n + 1.5) of its error, n
counting up.
"""

from typing import NamedTuple

import numpy as np

from codec.modelling.mixer import stretch
from runtime.kernels import inlined, prefetch

CONTEXTS = 8
SLOTS = 16  # of a line, 64 bytes
_LINE_BITS = 15  # of the number of lines that a context has
_COUNTED, _COUNT_BITS = 200, 10  # of a slot; above the count stands its probability out of 2^22
_RECIPROCAL = 131072 // (2 * np.arange(_COUNTED + 1) + 3)
_LEAST = 1 << 10
_MULTIPLIER = np.uint32(0x9E3779B1)  # odd, as in xxHash


class Lines(NamedTuple):
    """State of a file, and of the coefficient at hand."""

    slots: np.ndarray  # uint32 [CONTEXTS << (_LINE_BITS + 4)]
    keys: np.ndarray  # uint32 [CONTEXTS]: the contexts
    places: np.ndarray  # int64 [CONTEXTS]: the first slot of each line


def lines() -> Lines:
    """Lines that have seen nothing."""
    count = CONTEXTS * SLOTS << _LINE_BITS
    room = np.full(count + SLOTS, 1 << 31, np.uint32)
    first = -(room.ctypes.data // room.itemsize) % SLOTS  # so that no line lies in two of the processor's
    return Lines(room[first : first + count], np.zeros(CONTEXTS, np.uint32), np.zeros(CONTEXTS, np.int64))


@inlined
def find_lines(lines, salt):
    """Finds the lines of the contexts in `keys`, and asks for their memory. salt: tells kinds of contexts apart."""
    for j in range(CONTEXTS):
        key = np.uint32(lines.keys[j] * _MULTIPLIER) ^ np.uint32(salt)
        key = np.uint32(np.uint32(key ^ (key >> np.uint32(15))) * _MULTIPLIER)
        lines.places[j] = (j << (_LINE_BITS + 4)) + (np.int64(key >> np.uint32(32 - _LINE_BITS)) << 4)
    for j in range(CONTEXTS):
        prefetch(lines.slots, lines.places[j])


@inlined
def recall(lines, slot, inputs):
    """What each context says of a decision, as a mixer's inputs."""
    for j in range(CONTEXTS):
        inputs[j] = stretch(np.int64(lines.slots[lines.places[j] + slot]) >> 16)


@inlined
def learn(lines, slot, decision):
    """Learns how it went."""
    aim = (decision << 22) - decision
    for j in range(CONTEXTS):
        entry = np.int64(lines.slots[lines.places[j] + slot])
        p, n = entry >> _COUNT_BITS, entry & ((1 << _COUNT_BITS) - 1)
        p += ((aim - p) * _RECIPROCAL[n]) >> 16
        p = min(max(p, _LEAST), (1 << 22) - _LEAST)
        lines.slots[lines.places[j] + slot] = np.uint32((p << _COUNT_BITS) + min(n + 1, _COUNTED))
