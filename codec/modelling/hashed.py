"""Hashed contexts: how decisions went wherever the same few exact values stood around.

Each context has a table of slots. A hash of the context's values and of the centre of a value's decisions finds eight
of them, without a check, so that a value's decisions share a line of memory; how far a decision's split is from the
centre tells which of the eight is its own. A slot's probability moves by 1 / (n + 1.5) of its error, n counting up to
60; how much it says grows with n.
"""

from typing import NamedTuple

import numpy as np

from codec.modelling.mixer import stretch
from runtime.kernels import inlined, prefetch
from runtime.least_squares import LEFT, TOP

CONTEXTS = 4
_SLOT_BITS = 20
_ABOVE, _BELOW = 4, 4  # of a value's slots: for splits at or above the centre, and below
_SHARED_BITS = 3
_LINE = 16  # slots in a line of memory
_COUNTED = 60
_COUNT_BITS = 10  # of a slot; above it stands its probability out of 2^22
_NUMBERS = np.arange(_COUNTED + 1)
_RECIPROCAL = 131072 // (2 * _NUMBERS + 3)
_CONFIDENCE = 4096 * _NUMBERS // (_NUMBERS + 3)
_LEAST = 1 << 12  # probability
_MULTIPLIER = np.uint32(0x9E3779B1)  # odd, as in xxHash


class Hashed(NamedTuple):
    """State of a tile, and of the value at hand."""

    slots: np.ndarray  # uint32 [CONTEXTS, 2^20], or no contexts at all
    keys: np.ndarray  # uint32 [CONTEXTS]: hashes of their values
    places: np.ndarray  # int64 [CONTEXTS]: the first of the value's slots


def hashed(contexts: int) -> Hashed:
    """Slots that have seen nothing; contexts: how many of the CONTEXTS."""
    room = np.full(_LINE + (contexts << _SLOT_BITS), 1 << 31, np.uint32)
    first = -(room.ctypes.data // room.itemsize) % _LINE  # so that no value's slots lie in two lines
    slots = room[first : first + (contexts << _SLOT_BITS)].reshape(contexts, 1 << _SLOT_BITS)
    return Hashed(slots, np.zeros(CONTEXTS, np.uint32), np.zeros(contexts, np.int64))


@inlined
def open_contexts(k, row, c, centre, members, pixels, hashed):
    """Hashes what stands around a value and finds its slots.

    centre: of its decisions; members: the blend's predictions, in 1/64 grey level.
    """
    if len(hashed.places) == 0:
        return
    y, x, own = row + TOP, c + LEFT, pixels[k]
    w, n, nw = np.int64(own[y, x - 1]), np.int64(own[y - 1, x]), np.int64(own[y - 1, x - 1])
    blend, network = (members[0] + 32) >> 6, (members[4] + 32) >> 6
    a = np.int64(pixels[k - 1, y, x]) if k > 0 else np.int64(blend)
    b = np.int64(pixels[0, y, x]) if k == 2 else np.int64(blend if k == 1 else network)
    hashed.keys[0] = _joined(_joined(np.uint32(k), a), b)
    hashed.keys[1] = _joined(_joined(np.uint32(3 + k), w), a)
    hashed.keys[2] = _joined(_joined(np.uint32(6 + k), (w + n - nw) >> 1), a)
    hashed.keys[3] = _joined(_joined(_joined(np.uint32(9 + k), blend), a), b)
    find_slots(centre, hashed)


@inlined
def find_slots(centre, hashed):
    """Finds the slots of a value whose contexts are hashed, and asks for their memory."""
    for h in range(len(hashed.places)):
        found = _joined(hashed.keys[h], np.int64(centre)) >> np.uint32(32 - _SLOT_BITS + _SHARED_BITS)
        hashed.places[h] = np.int64(found) << _SHARED_BITS
        prefetch(hashed.slots, (h << _SLOT_BITS) + hashed.places[h])


@inlined
def _joined(key, value):
    key = np.uint32(np.uint32(key + np.uint32(value + 1)) * _MULTIPLIER)
    return np.uint32(key ^ (key >> np.uint32(15)))


@inlined
def slot_for(node):
    """Which of a value's slots is that of a decision."""
    away = node.split - node.centre
    return min(away, _ABOVE - 1) if away >= 0 else _ABOVE - 1 + min(-away, _BELOW)


@inlined
def recall(which, hashed, out):
    """The inputs for a decision, int16: of each context a logit and what the probability is above one half, doubled.
    which: of a value's slots."""
    for h in range(len(hashed.places)):
        slot = np.int64(hashed.slots[h, hashed.places[h] + which])
        probability, confidence = slot >> 16, _CONFIDENCE[slot & ((1 << _COUNT_BITS) - 1)]
        out[2 * h] = (stretch(probability) * confidence) >> 14
        out[2 * h + 1] = ((probability - (1 << 15)) * confidence) >> 15


@inlined
def remember_decision(which, decision, hashed):
    """Learns how a decision went. which: of a value's slots."""
    for h in range(len(hashed.places)):
        slot = np.int64(hashed.slots[h, hashed.places[h] + which])
        probability, number = slot >> _COUNT_BITS, slot & ((1 << _COUNT_BITS) - 1)
        probability += (((decision << 22) - decision - probability) * _RECIPROCAL[number]) >> 16
        probability = min(max(probability, _LEAST), (1 << 22) - _LEAST)
        hashed.slots[h, hashed.places[h] + which] = np.uint32((probability << _COUNT_BITS) + min(number + 1, _COUNTED))
