"""The range coder: integer frequencies arrive exactly, its bytes are those of a plain reference and fixed for ever."""
from fractions import Fraction

import constriction
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec import coder
from codec.coder import ONE, Decoder, Encoder, as_float
from codec.errors import DamagedFile
from tests.codec import reference_coder

MODEL = constriction.stream.model.Bernoulli(perfect=False)
EXTREME = [1, 2, 3, 15, 16, 17, ONE // 2 - 1, ONE // 2, ONE // 2 + 1, ONE - 17, ONE - 16, ONE - 15, ONE - 2, ONE - 1]
frequencies = st.one_of(st.sampled_from(EXTREME), st.integers(1, ONE - 1))
decisions = st.lists(st.tuples(frequencies, st.integers(0, 1)), max_size=120)


def sample(count: int, seed: int = 0) -> np.ndarray:
    """Frequencies near both ends, near powers of two, and anywhere, int32."""
    near = np.concatenate([np.arange(1, 2000), ONE - np.arange(1, 2000)])
    powers = np.concatenate([(1 << np.arange(2, 24)) + d for d in (-2, -1, 0, 1, 2)])
    anywhere = np.random.default_rng(seed).integers(1, ONE, count)
    return np.unique(np.concatenate([near, powers, anywhere])).astype(np.int32)


def floats(q: np.ndarray) -> np.ndarray:
    p = np.empty(len(q))
    assert as_float(q, p)
    return p


def encode(q, symbols, *splits) -> bytes:
    encoder = Encoder()
    for part in np.split(np.arange(len(q)), splits):
        encoder.code(np.asarray(q, np.int32)[part], np.asarray(symbols, np.int32)[part])
    return encoder.finish()


def decode(payload, q) -> list[int]:
    symbols = np.full(len(q), -1, np.int32)
    Decoder(payload).code(np.asarray(q, np.int32), symbols)
    return symbols.tolist()


def test_conversion_is_the_formula_correctly_rounded():
    """p = 1 - (q0 - 1/2) / (2^24 - 2): one rounding of the quotient, one of the difference, in rational arithmetic."""
    q = sample(20_000)
    for found, frequency in zip(floats(q).tolist(), q.tolist()):
        quotient = float(Fraction(2 * (ONE - frequency) - 1, 2 * (ONE - 2)))        # float() rounds correctly
        assert found == float(1 - Fraction(quotient))


def test_conversion_is_the_same_in_numpy_for_every_frequency():
    """All 2^24 - 1: compiled code adds no fused or reordered operations, and no two frequencies share a number.

    Only q = 1 gets a number outside of 0 .. 1, which constriction bears; the mixture never goes below 16.
    """
    last = -1.0
    for start in range(1, ONE, 1 << 20):
        q = np.arange(start, min(start + (1 << 20), ONE), dtype=np.int32)
        p = floats(q)
        np.testing.assert_array_equal(p, 1.0 - ((ONE - q) - 0.5) / (ONE - 2.0))
        assert (np.diff(p, prepend=last) > 0).all() and p[int(start == 1)] > 0 and p[-1] < 1
        last = p[-1]


def test_constriction_splits_exactly_at_the_frequency():
    """A fresh decoder's first 64 bits are a quantile: one below the split is symbol 0, the split itself symbol 1."""
    step = ((1 << 64) - 1) >> 24
    q = sample(15_000, seed=1)
    for frequency, p in zip(q.tolist(), floats(q)):
        split = (ONE - frequency) * step
        for point, symbol in ((split - 1, 0), (split, 1)):
            payload = np.array([point >> 32, point & 0xFFFFFFFF], np.uint32)
            decoder = constriction.stream.queue.RangeDecoder(payload)
            assert decoder.decode(MODEL, np.array([p]))[0] == symbol, frequency


@pytest.mark.slow
def test_constriction_reproduces_every_frequency():
    """All of them in one stream: a single one off by one would change every byte after it."""
    q = np.random.default_rng(2).permutation(np.arange(1, ONE)).astype(np.int32)
    symbols = np.random.default_rng(3).integers(0, 2, len(q)).astype(np.int32)
    payload = encode(q, symbols)
    decoder = reference_coder.Decoder(payload)
    assert all(decoder.code(frequency) == symbol for frequency, symbol in zip(q.tolist(), symbols.tolist()))


@pytest.mark.parametrize("frequency", [0, ONE, -1, ONE + 1, -(2**31), 2**31 - 1])
def test_impossible_frequencies_are_refused(frequency):
    q = np.array([5, frequency, 7], np.int32)
    assert not as_float(q, np.empty(3))
    encoder = Encoder()
    with pytest.raises(AssertionError, match="a probability of 0 or 1 reached the range coder"):
        encoder.code(q, np.zeros(3, np.int32))
        encoder.finish()
    with pytest.raises(AssertionError, match="a probability of 0 or 1 reached the range coder"):
        decode(b"", q)


def reference(q, symbols) -> bytes:
    encoder = reference_coder.Encoder()
    for frequency, symbol in zip(q, symbols):
        encoder.code(int(frequency), int(symbol))
    return encoder.finish()


@settings(deadline=None, max_examples=300)
@given(decisions)
def test_bytes_are_the_references(made):
    q, symbols = [frequency for frequency, _ in made], [symbol for _, symbol in made]
    payload = encode(q, symbols)
    assert payload == reference(q, symbols)
    assert decode(payload, q) == symbols
    decoder = reference_coder.Decoder(payload)
    assert [decoder.code(frequency) for frequency in q] == symbols


@settings(deadline=None, max_examples=300)
@given(decisions)
def test_the_end_costs_less_than_a_byte(made):
    """One byte fewer than the payload has could miss the interval: its unit is larger."""
    q, symbols = [frequency for frequency, _ in made], [symbol for _, symbol in made]
    payload, slow = encode(q, symbols), reference_coder.Encoder()
    for frequency, symbol in made:
        slow.code(frequency, symbol)
    assert not payload or slow.range << 8 * (len(payload) - 1) < 1 << (64 + 32 * slow.words)
    lost = len(made) / 128                      # bits: a step, 2^8 or more, is rounded down
    information = -sum(np.log2((frequency if symbol else ONE - frequency) / ONE) for frequency, symbol in made)
    assert 8 * len(payload) < information + lost + 8


def likely(q, rng):
    """Symbols as the frequencies promise them."""
    return (rng.random(len(q)) < q / ONE).astype(np.int32)


@pytest.mark.parametrize("kind", ["extreme", "tiny", "any"])
def test_long_streams_are_the_references(kind):
    rng = np.random.default_rng(4)
    q = {"extreme": rng.choice(EXTREME, 1500), "tiny": rng.integers(1, 40, 1500),
         "any": rng.integers(1, ONE, 4000)}[kind]
    for symbols in (likely(q, rng), rng.integers(0, 2, len(q)).astype(np.int32), np.ones(len(q), np.int32)):
        payload = encode(q, symbols)
        assert payload == reference(q, symbols)
        assert decode(payload, q) == symbols.tolist()


def test_carries_travel_through_words_already_made():
    """The case that a range coder gets wrong if any: low grows past a run of words of all ones."""
    carries = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        q, symbols, slow = [], [], reference_coder.Encoder()
        for _ in range(60):
            # Aim at the place where the next word would overflow: the split nearest to it from below.
            top = (slow.low // (1 << 64) + 1) * (1 << 64)
            split = (top - slow.low) * ONE // slow.range if slow.low + slow.range > top else 0
            q0 = min(max(split, 1), ONE - 1) if split else int(rng.integers(1, ONE))
            before, count = slow.low >> 64, slow.words
            q.append(ONE - q0)
            symbols.append(int(rng.integers(0, 2)))
            slow.code(q[-1], symbols[-1])
            carries += slow.low >> (64 + 32 * (slow.words - count)) != before
        assert encode(q, symbols) == slow.finish()
        assert decode(encode(q, symbols), q) == symbols
    assert carries > 5


def test_golden_bytes():
    """Streams must stay decodable for ever: these bytes never change."""
    mixed = [i * 0x9E3779B97F4A7C15 % 2**64 for i in range(1, 201)]
    assert encode([max(x >> 40, 1) for x in mixed], [x >> 13 & 1 for x in mixed]) == bytes.fromhex(
        "ffb43ca3 f75395ed 1921d887 adfd61ae aecb3f83 3e40d702 35b60a29 3a663c03 2b50f0")
    assert encode([ONE // 2], [1]) == b"\x80"
    assert encode([ONE // 2] * 10, [0, 1] * 5) == b"\x55\x40"


def test_no_bytes_are_a_payload():
    """The number 0: of no decisions, and of any number of them that are all 0."""
    assert encode([], []) == b""
    assert encode([1, ONE // 2, ONE - 1] * 50, [0] * 150) == b""
    assert decode(b"", [1, ONE // 2, ONE - 1] * 50) == [0] * 150


def test_a_certain_stream_costs_next_to_nothing():
    q = np.full(100_000, ONE - 1)
    assert len(encode(q, np.ones(100_000))) == 1
    assert len(encode(ONE - q, np.ones(100_000))[:10]) == 10                # and an unlikely one 24 bits a decision


def test_length_is_the_information():
    rng = np.random.default_rng(5)
    q = rng.integers(1, ONE, 50_000)
    symbols = likely(q, rng)
    bits = -np.log2(np.where(symbols == 1, q, ONE - q) / ONE).sum()
    assert bits <= 8 * len(encode(q, symbols)) <= 1.0003 * bits + 8


def test_short_messages_cost_a_third_of_a_byte_more_than_their_information():
    """On the average; less than half a byte, since a number's last bytes may be zeros."""
    rng, spent = np.random.default_rng(7), []
    for _ in range(2000):
        q = rng.integers(1, ONE, rng.integers(0, 300))
        symbols = likely(q, rng)
        spent.append(len(encode(q, symbols)) + np.log2(np.where(symbols == 1, q, ONE - q) / ONE).sum() / 8)
    assert 0.3 < np.mean(spent) < 0.36 and max(spent) < 1.02


@pytest.mark.parametrize("splits", [[1], [5, 5, 9], list(range(1, 300, 7)), [65535, 65536, 65537, 100_000]], ids=len)
def test_batches_change_nothing(splits):
    rng = np.random.default_rng(6)
    q = rng.integers(1, ONE, 140_000).astype(np.int32)
    symbols = likely(q, rng)
    whole = constriction.stream.queue.RangeEncoder()
    whole.encode(symbols, MODEL, floats(q))
    payload = encode(q, symbols, *splits)
    assert payload[:-8] == whole.get_compressed().astype(">u4").tobytes()[: len(payload) - 8]
    found, decoder = [], Decoder(payload)
    for part in np.split(q, splits):
        symbols_here = np.empty(len(part), np.int32)
        decoder.code(part, symbols_here)
        found.append(symbols_here)
    np.testing.assert_array_equal(np.concatenate(found), symbols)


def test_the_encoder_keeps_nothing_of_the_callers_arrays():
    """The mixture hands over views of arrays that it overwrites for the next decisions."""
    q, symbols = np.full(10, 1000, np.int32), np.zeros(10, np.int32)
    encoder = Encoder()
    encoder.code(q, symbols)
    q[:], symbols[:] = 77, 1
    encoder.code(q, symbols)
    assert encoder.finish() == reference([1000] * 10 + [77] * 10, [0] * 10 + [1] * 10)


def test_a_full_batch_is_flushed(monkeypatch):
    monkeypatch.setattr(coder, "_BATCH", 4)
    q, symbols = list(range(1, 14)), [0] * 13
    for splits in ([], [4], [3, 8], [1, 2, 3, 4, 12]):
        assert encode(q, symbols, *splits) == reference(q, symbols)


@pytest.mark.parametrize("payload", [b"\0", b"\x80\0", b"\0\0\0\0", b"first\0\0\0"])
def test_a_payload_that_ends_in_a_zero_is_damaged(payload):
    with pytest.raises(DamagedFile, match=f"a payload of {len(payload)} bytes ends in a zero"):
        Decoder(payload)


def test_numbers_beyond_the_first_interval_are_damaged():
    with pytest.raises(DamagedFile, match="does not decode"):
        decode(b"\xff" * 8, [ONE // 2] * 3)


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=64), st.lists(frequencies, max_size=100))
def test_any_payload_decodes_or_is_damaged(payload, q):
    try:
        assert set(decode(payload, q)) <= {0, 1}
    except DamagedFile:
        pass
