"""The range coder: binary decisions with integer probabilities, 24 bits of precision, 64 bits of state, 32-bit words.

A kernel asks `code` for one decision after another; the two directions differ nowhere else. Encoding, it records them,
and constriction's RangeEncoder packs the records now and then; decoding, it takes them from the words as constriction's
RangeDecoder does. A probability is the frequency q of symbol 1 out of 2^24, 0 < q < 2^24. A payload is a number in
base 256, most significant byte first: the shortest one within the coder's last interval; behind its last byte a
decoder reads zeros.
"""

from typing import NamedTuple

import constriction
import numpy as np

from codec.entropy.probe import check_range_coder
from codec.errors import DamagedFile
from runtime.kernels import inlined, kernel

PRECISION = 24
ONE = 1 << PRECISION
_MODEL = constriction.stream.model.Bernoulli(perfect=False)
_BATCH = 1 << 15  # decisions that there is room for at least: packed while a level is coded; more would take longer
TRACED, UNTRACED = 3, -32768  # inputs of a mixer that are kept, and what stands for none
_COUNT, _OWNER, _RANGE, _POINT, _WORD, _FAILED = range(6)  # of `state`
_ALL, _HALF = np.uint64(2**64 - 1), np.uint64(32)
_LEAST = np.uint64(2**32)  # of the range


class Coding(NamedTuple):
    """What a kernel needs of a coder of either direction."""

    encodes: bool
    decisions: np.ndarray  # uint32 [N], when encoding: 2 (q - 1) + symbol, in order
    owners: np.ndarray  # int32 [N], or [0] where nobody asks: what each decision was spent on
    traces: np.ndarray  # int16 [N, TRACED], or [0, TRACED]: what a mixer saw of it
    words: np.ndarray  # uint32, when decoding: the payload, and two words of zeros
    state: np.ndarray  # uint64 [6]: decisions so far, their owner; range, point in it, next word; whether it failed


@inlined
def code(coding, frequency, symbol):
    """Codes a decision with this frequency of 1: the symbol that was asked for, or when decoding the one found."""
    if coding.encodes:
        at = coding.state[_COUNT]
        coding.decisions[at] = 2 * (frequency - 1) + symbol
        if len(coding.owners):
            coding.owners[at] = coding.state[_OWNER]
        coding.state[_COUNT] = at + np.uint64(1)
        return symbol
    state = coding.state
    step, zeros = state[_RANGE] >> np.uint64(PRECISION), np.uint64(ONE - frequency)
    if state[_POINT] >= step << np.uint64(PRECISION):
        state[_FAILED] = np.uint64(1)
    found = state[_POINT] >= step * zeros
    if found:
        state[_POINT] -= step * zeros
        state[_RANGE] = step * np.uint64(frequency)
    else:
        state[_RANGE] = step * zeros
    if state[_RANGE] < _LEAST:
        state[_RANGE] <<= _HALF
        word = min(state[_WORD], np.uint64(len(coding.words) - 1))
        state[_POINT] = state[_POINT] << _HALF | np.uint64(coding.words[word])
        state[_WORD] = word + np.uint64(1)
    return np.int64(found)


@inlined
def spend_on(coding, owner):
    """Names what the next decisions are spent on, a number from 0."""
    coding.state[_OWNER] = owner


@inlined
def refuse(coding):
    """Notes that no encoder can have written what was decoded."""
    coding.state[_FAILED] = np.uint64(1)


@inlined
def trace(coding, inputs):
    """Keeps what a mixer sees of the next decision, int16, where somebody asks."""
    if len(coding.traces):
        for i in range(TRACED):
            coding.traces[coding.state[_COUNT], i] = inputs[i]


class _Decisions(NamedTuple):
    """Some decisions, as a Coding has them."""

    decisions: np.ndarray
    owners: np.ndarray
    traces: np.ndarray


class Encoder:
    """Collects decisions and packs them, some thousand at a time; `finish` gives the payload.

    traced: keeps all decisions, what each was spent on and what a mixer saw, for those who ask afterwards.
    """

    def __init__(self, traced: bool = False) -> None:
        check_range_coder()
        self._traced = traced
        self._packer = constriction.stream.queue.RangeEncoder()
        self._bits = 0  # in steps of 2^-24, so that it does not matter in which parts they add up
        self._kept: list[_Decisions] = []
        self.coding = Coding(True, *self._room(_BATCH), np.zeros(2, np.uint32), np.zeros(6, np.uint64))

    def _room(self, count: int) -> _Decisions:
        traced = count if self._traced else 0
        traces = np.full((traced, TRACED), UNTRACED, np.int16)
        return _Decisions(np.empty(count, np.uint32), np.empty(traced, np.int32), traces)

    def reserve(self, count: int) -> None:
        """Makes room for so many decisions more; a kernel may code as many before the next call."""
        if self._count + count > len(self.coding.decisions):
            self._pack()
            self.coding = self.coding._replace(**self._room(max(_BATCH, count))._asdict())

    def _pack(self) -> None:
        """Packs what the room holds, which must not be written over afterwards."""
        coded = self._coded()
        self.coding.state[_COUNT] = 0
        if self._traced:
            self._kept.append(coded)
        self._append(coded.decisions)

    def _append(self, decisions: np.ndarray) -> None:
        self._packer.encode((decisions & 1).astype(np.int32), _MODEL, as_float((decisions >> 1) + 1))
        self._bits += int(np.rint(_costs(decisions) * ONE).astype(np.int64).sum())

    @property
    def _count(self) -> int:
        return int(self.coding.state[_COUNT])

    def _coded(self) -> _Decisions:
        """What has not been packed yet."""
        return _Decisions(*(getattr(self.coding, name)[: self._count] for name in _Decisions._fields))

    def check(self) -> None:
        """An encoder's decisions cannot be wrong."""

    def finish(self) -> bytes:
        """The payload, at most ceil(b / 8) bytes for an interval of size 2^-b. Nothing may be coded afterwards."""
        self._pack()
        words = self._packer.get_compressed().astype(">u4").tobytes()
        count, (low, size) = self._packer.pos()
        return _shortest(words.ljust(4 * count + 8, b"\0"), low, size)

    @property
    def bits(self) -> float:
        """-log2 of the probability of all decisions that `finish` packed."""
        return self._bits / ONE

    def decisions(self) -> np.ndarray:
        """All so far, as a Coding has them, uint32 [n]. Needs `traced`, like all that follows."""
        return self._joined("decisions")

    def symbols(self) -> np.ndarray:
        """Of the decisions, uint32 [n]."""
        return self.decisions() & 1

    def costs(self) -> np.ndarray:
        """-log2 of the probability of each decision, float64 [n]."""
        return _costs(self.decisions())

    def traces(self) -> np.ndarray:
        """What a mixer saw of them, int16 [n, TRACED]; UNTRACED where there was none."""
        return self._joined("traces")

    def owners(self) -> np.ndarray:
        """What each was spent on, int32 [n], a number from 0."""
        return self._joined("owners")

    def owned(self, owners: int) -> np.ndarray:
        """Bits spent on each of so many owners, float64 [owners]."""
        return np.bincount(self.owners(), self.costs(), owners)

    def _joined(self, name: str) -> np.ndarray:
        """A field of all decisions."""
        return np.concatenate([getattr(part, name) for part in (*self._kept, self._coded())])


class Decoder:
    """Takes decisions from a payload. Raises DamagedFile for one that ends in a zero byte."""

    def __init__(self, payload: bytes) -> None:
        if payload.endswith(b"\0"):
            raise DamagedFile(f"a payload of {len(payload)} bytes ends in a zero, as none does: get the file again")
        words = np.frombuffer(payload + bytes(-len(payload) % 4 + 8), ">u4").astype(np.uint32)
        state = np.zeros(6, np.uint64)
        state[_RANGE], state[_POINT], state[_WORD] = _ALL, int(words[0]) << 32 | int(words[1]), 2
        nothing = np.zeros(0, np.uint32), np.zeros(0, np.int32), np.zeros((0, TRACED), np.int16)
        self.coding = Coding(False, *nothing, words, state)

    def reserve(self, count: int) -> None:
        """Decisions that are taken need no room."""

    def check(self) -> None:
        """Raises DamagedFile if no encoder can have written what was decoded so far."""
        if self.coding.state[_FAILED]:
            raise DamagedFile("a payload does not decode: get the file again")


class Rehearsal:
    """An encoder whose decisions nobody keeps, for a model that is to learn from what it codes."""

    def __init__(self) -> None:
        self.coding = Encoder().coding

    def reserve(self, count: int) -> None:
        """Makes room for so many decisions more, and forgets those before."""
        if count > len(self.coding.decisions):
            self.coding = self.coding._replace(decisions=np.empty(count, np.uint32))
        self.coding.state[_COUNT] = 0

    def check(self) -> None:
        """Decisions that are known cannot be wrong."""


Coder = Encoder | Decoder | Rehearsal


def as_float(frequencies: np.ndarray) -> np.ndarray:
    """constriction's p of symbol 1, float64, for integer frequencies q of symbol 1: symbol 0 gets exactly 2^24 - q.

    p = 1 - (q0 - 0.5) / (2^24 - 2) with q0 = 2^24 - q, every operation correctly rounded. Raises ValueError for a
    frequency outside 1 .. 2^24 - 1, which constriction would accept in silence.
    """
    zeros = ONE - frequencies.astype(np.int64)
    if len(zeros) and not 0 < zeros.min() <= zeros.max() < ONE:
        raise ValueError("a probability of 0 or 1 reached the range coder")
    return 1.0 - (zeros - 0.5) / (ONE - 2.0)


def _costs(decisions: np.ndarray) -> np.ndarray:
    """-log2 of the probability of each decision, float64 [n]."""
    costs = np.empty(len(decisions))
    _fill_costs(decisions, costs)
    return costs


@kernel
def _fill_costs(decisions, out):
    for i in range(len(out)):
        frequency = np.int64(decisions[i] >> np.uint32(1)) + 1
        out[i] = -np.log2((frequency if decisions[i] & np.uint32(1) else ONE - frequency) / ONE)


def _shortest(inside: bytes, low: int, size: int) -> bytes:
    """The shortest number, and the smallest of those, in an interval of that size, all at the precision of `inside`.

    `inside` is some number of the interval; its start is known by the last 64 bits alone, `low`, and size < 2^64.
    """
    point = int.from_bytes(inside, "big")
    start = point - (point - low) % 2**64
    for bits in range(64, -1, -8):
        number = -(-start >> bits) << bits
        if number < start + size:
            break
    return number.to_bytes(len(inside), "big").rstrip(b"\0")
