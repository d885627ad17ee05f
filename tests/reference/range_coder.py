"""Section 3: the range coder, constriction's queue of 32-bit words, 64-bit state and 24-bit probabilities.

Here the encoder's low is one number of any length, so carries need no care. q is the frequency of decision 1 out of
2^24, and decision 0 comes first.
"""

ONE = 1 << 24
WORD = 1 << 32


class Encoder:
    def __init__(self):
        self.low, self.range, self.words = 0, (1 << 64) - 1, 0

    def code(self, q: int, decision: int) -> None:
        step = self.range // ONE
        if decision:
            self.low, self.range = self.low + step * (ONE - q), step * q
        else:
            self.range = step * (ONE - q)
        if self.range < WORD:
            self.low, self.range, self.words = self.low * WORD, self.range * WORD, self.words + 1

    def finish(self) -> bytes:
        """The shortest string of bytes, and the smallest of those, that is a number of the interval."""
        for length in range(4 * self.words + 9):
            unit = 256 ** (4 * self.words + 8 - length)  # what its last byte counts
            number = (self.low + unit - 1) // unit
            if number * unit < self.low + self.range:
                return number.to_bytes(length, "big")


class Decoder:
    def __init__(self, payload: bytes):
        self.rest = iter(payload)
        self.range, self.failed = (1 << 64) - 1, payload.endswith(b"\0")
        self.point = self.read() * WORD + self.read()  # relative to the interval's low end

    def read(self) -> int:
        """The next 32 bits; zeros behind the last byte."""
        return int.from_bytes([next(self.rest, 0) for _ in range(4)], "big")

    def __call__(self, q: int) -> int:
        """A decision; `failed` from where no encoder can have written it."""
        step = self.range // ONE
        self.failed = self.failed or self.point >= step * ONE
        decision = int(self.point >= step * (ONE - q))
        if decision:
            self.point, self.range = self.point - step * (ONE - q), step * q
        else:
            self.range = step * (ONE - q)
        if self.range < WORD:
            self.point, self.range = self.point * WORD + self.read(), self.range * WORD
        return decision


class Answers:
    """Stands in the decoder's place: gives decisions that are known, and keeps what it was asked."""

    def __init__(self, decisions):
        self.rest, self.asked = iter(decisions), []

    def __call__(self, asked) -> int:
        self.asked.append(asked)
        return next(self.rest)
