"""The range coder: constriction's queue coder with one Bernoulli model per decision, probabilities as integers.

A probability is the integer frequency q of symbol 1 out of 2^24, 0 < q < 2^24. It reaches constriction through one
documented conversion to float64 that reproduces q exactly. Encoder and Decoder have the same method, `code`: the
encoder reads the symbols, the decoder fills them in. Nothing else differs between the two directions.

A payload is a number in base 256, most significant byte first: the shortest one within the coder's last interval.
Behind its last byte a decoder reads zeros.
"""

import constriction
import numpy as np

from runtime.kernels import kernel

from .errors import DamagedFile

PRECISION = 24
ONE = 1 << PRECISION
_MODEL = constriction.stream.model.Bernoulli(perfect=False)
_BATCH = 1 << 16  # decisions encoded in one call


@kernel
def as_float(frequencies, out):
    """constriction's p of symbol 1 for integer frequencies of symbol 1: symbol 0 gets exactly 2^24 - q.

    p = 1 - (q0 - 0.5) / (2^24 - 2) with q0 = 2^24 - q, every operation correctly rounded. Returns False for a
    frequency outside 1 .. 2^24 - 1, which constriction would accept in silence.
    """
    good = True
    for i in range(len(frequencies)):
        q0 = ONE - frequencies[i]
        good &= 0 < q0 < ONE
        out[i] = 1.0 - (q0 - 0.5) / (ONE - 2.0)
    return good


def _probabilities(frequencies: np.ndarray) -> np.ndarray:
    p = np.empty(len(frequencies))
    if not as_float(frequencies, p):
        raise AssertionError("a probability of 0 or 1 reached the range coder")
    return p


class Encoder:
    """Collects decisions; `finish` gives the payload."""

    def __init__(self) -> None:
        self._coder = constriction.stream.queue.RangeEncoder()
        self._symbols, self._frequencies = np.empty(_BATCH, np.int32), np.empty(_BATCH, np.int32)
        self._count = 0

    def code(self, frequencies: np.ndarray, symbols: np.ndarray) -> None:
        """Encodes symbols int32 [n] with frequencies of 1, int32 [n]."""
        start, n = 0, len(symbols)
        while start < n:
            take = min(n - start, _BATCH - self._count)
            here = slice(self._count, self._count + take)
            self._symbols[here] = symbols[start : start + take]
            self._frequencies[here] = frequencies[start : start + take]
            self._count += take
            start += take
            if self._count == _BATCH:
                self._flush()

    def _flush(self) -> None:
        if self._count:
            self._coder.encode(self._symbols[: self._count], _MODEL, _probabilities(self._frequencies[: self._count]))
            self._count = 0

    def finish(self) -> bytes:
        """The payload, at most ceil(b / 8) bytes for an interval of size 2^-b."""
        self._flush()
        words = self._coder.get_compressed().astype(">u4").tobytes()
        count, (low, size) = self._coder.pos()
        return _shortest(words.ljust(4 * count + 8, b"\0"), low, size)


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


class Decoder:
    """Decodes a payload decision by decision. Raises DamagedFile for one that ends in a zero byte."""

    def __init__(self, payload: bytes) -> None:
        if payload.endswith(b"\0"):
            raise DamagedFile(f"a payload of {len(payload)} bytes ends in a zero, as none does: get the file again")
        words = payload + bytes(-len(payload) % 4)
        self._coder = constriction.stream.queue.RangeDecoder(np.frombuffer(words, ">u4").astype(np.uint32))

    def code(self, frequencies: np.ndarray, symbols: np.ndarray) -> None:
        """Decodes as many symbols as there are frequencies of 1, into `symbols` int32 [n].

        Raises DamagedFile when no encoder can have written the words.
        """
        probabilities = _probabilities(frequencies)
        try:
            symbols[:] = self._coder.decode(_MODEL, probabilities)
        except AssertionError as error:  # constriction's way to say so
            raise DamagedFile("a payload does not decode: get the file again") from error
