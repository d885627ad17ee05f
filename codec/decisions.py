"""Values through a coder: rounds of binary decisions, one for each row that has any left."""

from typing import Protocol

import numpy as np

from .coder import Decoder, Encoder

Coder = Encoder | Decoder
Asked = tuple[np.ndarray, np.ndarray]  # frequencies and symbols of a round, int32 [m]


class Source(Protocol):
    """What asks the decisions of a round."""

    def decide(self, count: int, values: np.ndarray) -> Asked:
        """Follows `count` coded symbols and gives the next round; empty when every value is known."""


class Distribution(Source, Protocol):
    """The distributions of one level's values, channel after channel."""

    def open(self, channel: int, bases: np.ndarray, values: np.ndarray, fixed: np.ndarray) -> Asked:
        """The first round of a channel; see Mixture.open."""

    def learn(self, channel: int, bases: np.ndarray, out: np.ndarray) -> None:
        """Ends a channel: its values go to out uint8 [n]."""


def rounds(coder: Coder, source: Source, asked: Asked, known: np.ndarray) -> None:
    """Rounds of decisions, frequencies and symbols, until none is left."""
    frequencies, symbols = asked
    while len(symbols):
        coder.code(frequencies, symbols)
        frequencies, symbols = source.decide(len(symbols), known)


def channel_values(
    coder: Coder, source: Distribution, channel: int, bases: np.ndarray, known: np.ndarray, fixed: np.ndarray
) -> np.ndarray:
    """One channel of one level: values uint8 [n]. known: the true ones for an Encoder, anything for a Decoder."""
    rounds(coder, source, source.open(channel, bases, known, fixed), known)
    values = np.empty(len(known), np.uint8)
    source.learn(channel, bases, values)
    return values
