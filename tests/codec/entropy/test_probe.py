"""The probe of the range coder: the plain reference decodes its words to its decisions, and other words are refused."""

from types import SimpleNamespace

import constriction
import numpy as np
import pytest

from codec.entropy import probe
from codec.entropy.range_coder import as_float
from codec.errors import CodecError, InexactCoder
from tests.reference import range_coder


@pytest.fixture
def unchecked(monkeypatch):
    """As in a new process."""
    probe.check_range_coder.cache_clear()
    yield monkeypatch
    probe.check_range_coder.cache_clear()


def test_the_installed_coder_passes(unchecked):
    probe.check_range_coder()


def test_the_words_are_those_of_the_decisions():
    decoder = range_coder.Decoder(b"".join(word.to_bytes(4, "big") for word in probe.WORDS))
    assert [decoder(int(q)) for q in probe.FREQUENCIES] == probe.SYMBOLS.tolist()


def test_every_decision_counts():
    """One symbol changed, and the words are others: nothing in the probe is idle."""
    for i in range(len(probe.SYMBOLS)):
        encoder = constriction.stream.queue.RangeEncoder()
        changed = probe.SYMBOLS ^ (np.arange(len(probe.SYMBOLS)) == i)
        encoder.encode(changed, constriction.stream.model.Bernoulli(perfect=False), probe.probabilities())
        assert tuple(encoder.get_compressed().tolist()) != probe.WORDS


class Downwards:
    """Another rounding of a probability, by one in 2^24."""

    def __init__(self):
        self._coder = constriction.stream.queue.RangeEncoder()

    def encode(self, symbols, model, probabilities):
        self._coder.encode(symbols, model, probabilities - 2.0**-24)

    def get_compressed(self):
        return self._coder.get_compressed()


class Deaf:
    def __init__(self, words):
        pass

    def decode(self, model, probabilities):
        return np.zeros(len(probabilities), np.int32)


@pytest.mark.parametrize(
    ("name", "other", "words"),
    [("RangeEncoder", Downwards, "codes otherwise"), ("RangeDecoder", Deaf, "does not decode what it coded")],
)
def test_another_coder_is_refused(unchecked, name, other, words):
    queue = SimpleNamespace(
        RangeEncoder=constriction.stream.queue.RangeEncoder, RangeDecoder=constriction.stream.queue.RangeDecoder
    )
    setattr(queue, name, other)
    stream = SimpleNamespace(queue=queue, model=constriction.stream.model)
    unchecked.setattr(probe, "constriction", SimpleNamespace(stream=stream))
    for _ in range(2):
        with pytest.raises(InexactCoder, match=words):
            probe.check_range_coder()
    assert issubclass(InexactCoder, CodecError)


def test_the_conversion_is_the_coder_s():
    np.testing.assert_array_equal(as_float(probe.FREQUENCIES), probe.probabilities())
