"""The range coder again, slowly: constriction's queue coder (32-bit words, 64-bit state, 24-bit probabilities).

The state is an interval [low, low + range); here low is one number of any length, so carries need no care. q is the
frequency of symbol 1 out of 2^24 and symbol 0 comes first.
"""
ONE = 1 << 24
WORD = 1 << 32


class Encoder:
    def __init__(self):
        self.low, self.range, self.words = 0, (1 << 64) - 1, 0
        self.empty = True

    def code(self, q: int, symbol: int) -> None:
        step = self.range // ONE
        if symbol:
            self.low, self.range = self.low + step * (ONE - q), step * q
        else:
            self.range = step * (ONE - q)
        if self.range < WORD:
            self.low, self.range, self.words = self.low * WORD, self.range * WORD, self.words + 1
        self.empty = False

    def finish(self) -> list[int]:
        """The fewest words (rounded up to whole ones) that lie in the interval whatever follows them."""
        if self.empty:
            return []
        point = (self.low + WORD - 1) // WORD
        words = [point // WORD ** (self.words - i) % WORD for i in range(self.words + 1)]
        if (self.low + self.range) // WORD == point:        # a decoder that reads on must find zeros
            words.append(0)
        return words


class Decoder:
    def __init__(self, words: list[int]):
        self.rest = iter(words)
        self.range = (1 << 64) - 1
        self.point = next(self.rest, 0) * WORD + next(self.rest, 0)     # relative to the interval's low end

    def code(self, q: int) -> int:
        step = self.range // ONE
        symbol = int(self.point // step >= ONE - q)
        if symbol:
            self.point, self.range = self.point - step * (ONE - q), step * q
        else:
            self.range = step * (ONE - q)
        if self.range < WORD:
            self.point, self.range = self.point * WORD + next(self.rest, 0), self.range * WORD
        return symbol
