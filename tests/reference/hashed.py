"""Section 8.5: hashed contexts, slot by slot."""

from __future__ import annotations

from tests.reference.numbers import Table, clip, stretch

ONE = 0x9E3779B1


class Slot:
    """A probability p out of 2^22, and how often it has learned."""

    def __init__(self):
        self.p, self.visits = 1 << 21, 0

    def inputs(self) -> list[int]:
        confidence = 4096 * self.visits // (self.visits + 3)
        return [(16 * stretch(self.p >> 10) * confidence) >> 14, (((self.p >> 6) - 2**15) * confidence) >> 15]

    def learn(self, d: int) -> None:
        self.p += (((d << 22) - d - self.p) * (131072 // (2 * self.visits + 3))) >> 16
        self.p, self.visits = clip(self.p, 2**12, 2**22 - 2**12), min(self.visits + 1, 60)


def joined(key: int, *values: int) -> int:
    for value in values:
        key = (key + value + 1) * ONE % 2**32
        key ^= key >> 15
    return key


def group(key: int, u: int) -> int:
    """Which eight slots of a context are those of a value whose decisions have the centre u."""
    return joined(key, u) >> 15


def which(away: int) -> int:
    """Which of them is that of a decision whose split is so far from the centre."""
    return min(away, 3) if away >= 0 else 3 + min(-away, 4)


class Hashed:
    """The first `count` contexts."""

    def __init__(self, count: int):
        self.count, self.slots = count, Table(lambda at: Slot())  # by (context, place)

    def open(self, k: int, u: int, about: dict[str, int]) -> None:
        """u: the centre of the value's decisions; about: what stands around by name."""
        w, n, nw, blend, a, b = (about[name] for name in ("W", "N", "NW", "blend", "A", "B"))
        self.u = u
        self.keys = [
            joined(k, a, b),
            joined(3 + k, w, a),
            joined(6 + k, (w + n - nw) >> 1, a),
            joined(9 + k, blend, a, b),
        ][: self.count]
        self.places = [(h, 8 * group(key, u)) for h, key in enumerate(self.keys)]

    def inputs(self, split: int) -> list[int]:
        self.used = [self.slots[h, place + which(split - self.u)] for h, place in self.places]
        return [number for slot in self.used for number in slot.inputs()]

    def learn(self, d: int) -> None:
        """From the decision whose inputs were asked for last."""
        for slot in self.used:
            slot.learn(d)
