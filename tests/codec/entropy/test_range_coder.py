"""The range coder: what kernels code is what constriction codes; its bytes are a plain reference's, for ever."""

from fractions import Fraction

import constriction
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec.entropy.range_coder import ONE, TRACED, UNTRACED, Decoder, Encoder, as_float, code, spend_on, trace
from codec.errors import DamagedFile
from runtime.kernels import kernel
from tests.reference import range_coder as reference

MODEL = constriction.stream.model.Bernoulli(perfect=False)
EXTREME = [1, 2, 3, 15, 16, 17, ONE // 2 - 1, ONE // 2, ONE // 2 + 1, ONE - 17, ONE - 16, ONE - 15, ONE - 2, ONE - 1]
BATCH = 1 << 15  # decisions that a new encoder has room for
frequencies = st.one_of(st.sampled_from(EXTREME), st.integers(1, ONE - 1))
decisions = st.lists(st.tuples(frequencies, st.integers(0, 1)), max_size=120)


@kernel
def run(coding, frequencies, symbols):
    """Codes decisions one after another; when decoding, the symbols are put in."""
    for i in range(len(symbols)):
        symbols[i] = code(coding, np.int64(frequencies[i]), np.int64(symbols[i]))


def sample(count: int, seed: int = 0) -> np.ndarray:
    """Frequencies near both ends, near powers of two, and anywhere."""
    near = np.concatenate([np.arange(1, 2000), ONE - np.arange(1, 2000)])
    powers = np.concatenate([(1 << np.arange(2, 24)) + d for d in (-2, -1, 0, 1, 2)])
    anywhere = np.random.default_rng(seed).integers(1, ONE, count)
    return np.unique(np.concatenate([near, powers, anywhere]))


def likely(q, rng):
    """Symbols as the frequencies promise them."""
    return (rng.random(len(q)) < q / ONE).astype(np.int64)


def encoded(q, symbols) -> Encoder:
    encoder = Encoder()
    encoder.reserve(len(q))
    run(encoder.coding, np.asarray(q, np.int64), np.asarray(symbols, np.int64))
    return encoder


def encode(q, symbols) -> bytes:
    return encoded(q, symbols).finish()


def decode(payload: bytes, q) -> list[int]:
    decoder, symbols = Decoder(payload), np.full(len(q), -1, np.int64)
    run(decoder.coding, np.asarray(q, np.int64), symbols)
    decoder.check()
    return symbols.tolist()


def told(q, symbols) -> bytes:
    """The reference's."""
    encoder = reference.Encoder()
    for frequency, symbol in zip(q, symbols):
        encoder.code(int(frequency), int(symbol))
    return encoder.finish()


def constriction_words(q, symbols) -> np.ndarray:
    encoder = constriction.stream.queue.RangeEncoder()
    encoder.encode(np.asarray(symbols, np.int32), MODEL, as_float(np.asarray(q)))
    return encoder.get_compressed()


def test_conversion_is_the_formula_correctly_rounded():
    """p = 1 - (q0 - 1/2) / (2^24 - 2): one rounding of the quotient, one of the difference, in rational arithmetic."""
    q = sample(20_000)
    for found, frequency in zip(as_float(q).tolist(), q.tolist()):
        quotient = float(Fraction(2 * (ONE - frequency) - 1, 2 * (ONE - 2)))  # float() rounds correctly
        assert found == float(1 - Fraction(quotient))


def test_conversion_keeps_every_frequency_apart():
    """All 2^24 - 1 rise. Only q = 1 gets a number outside of 0 .. 1, which constriction bears."""
    last = -1.0
    for start in range(1, ONE, 1 << 20):
        p = as_float(np.arange(start, min(start + (1 << 20), ONE), dtype=np.uint32))
        assert (np.diff(p, prepend=last) > 0).all() and p[int(start == 1)] > 0 and p[-1] < 1
        last = p[-1]


@pytest.mark.parametrize("frequency", [0, ONE, -1, ONE + 1, -(2**31), 2**31 - 1])
def test_impossible_frequencies_are_refused(frequency):
    q = np.array([5, frequency, 7])
    with pytest.raises(ValueError, match="a probability of 0 or 1 reached the range coder"):
        as_float(q)
    with pytest.raises(ValueError, match="a probability of 0 or 1 reached the range coder"):
        encode(q, [0, 0, 0])


def test_intervals_split_exactly_at_the_frequency():
    """A fresh decoder's first 64 bits are a quantile: one below the split is symbol 0, the split itself symbol 1."""
    step = ((1 << 64) - 1) >> 24
    q = sample(8_000, seed=1)
    for frequency, p in zip(q.tolist(), as_float(q)):
        split = (ONE - frequency) * step
        for point, symbol in ((split - 1, 0), (split, 1)):
            words = np.array([point >> 32, point & 0xFFFFFFFF], np.uint32)
            decoder = constriction.stream.queue.RangeDecoder(words)
            assert decoder.decode(MODEL, np.array([p]))[0] == symbol, frequency
            assert decode(point.to_bytes(8, "big").rstrip(b"\0"), [frequency]) == [symbol], frequency


@pytest.mark.parametrize("kind", ["any", "near the ends", "extreme"])
def test_kernels_and_constriction_decode_each_other(kind):
    """A million decisions, as likely as they say and, for carries and long runs, as unlikely."""
    rng, count = np.random.default_rng(4), 1_000_000
    small = rng.integers(1, 40, count)
    q = {
        "any": rng.integers(1, ONE, count),
        "near the ends": np.where(rng.random(count) < 0.5, small, ONE - small),
        "extreme": rng.choice(EXTREME, count),
    }[kind]
    for symbols in (likely(q, rng), rng.integers(0, 2, count)):
        words, payload = constriction_words(q, symbols), encode(q, symbols)
        assert payload[:-8] == words.astype(">u4").tobytes()[: len(payload) - 8]
        assert decode(words.astype(">u4").tobytes().rstrip(b"\0"), q) == symbols.tolist()
        padded = payload + bytes(-len(payload) % 4)
        decoder = constriction.stream.queue.RangeDecoder(np.frombuffer(padded, ">u4").astype(np.uint32))
        np.testing.assert_array_equal(decoder.decode(MODEL, as_float(q)), symbols)


def test_every_frequency():
    """All of them in one stream, packed by constriction: one that it took for another would change every bit after."""
    q = np.arange(1, ONE) * 0x9E3779B1 % ONE  # an odd factor: each comes once
    symbols = q >> 7 & 1
    decoder, found = Decoder(encode(q, symbols)), np.zeros_like(symbols)
    run(decoder.coding, q, found)
    decoder.check()
    np.testing.assert_array_equal(found, symbols)


@settings(deadline=None, max_examples=300)
@given(decisions)
def test_bytes_are_the_references(made):
    q, symbols = [frequency for frequency, _ in made], [symbol for _, symbol in made]
    payload = encode(q, symbols)
    assert payload == told(q, symbols)
    assert decode(payload, q) == symbols
    decoder = reference.Decoder(payload)
    assert [decoder(frequency) for frequency in q] == symbols and not decoder.failed


@settings(deadline=None, max_examples=300)
@given(decisions)
def test_the_end_costs_less_than_a_byte(made):
    """One byte fewer than the payload has could miss the interval: its unit is larger."""
    payload, slow = encode([frequency for frequency, _ in made], [symbol for _, symbol in made]), reference.Encoder()
    for frequency, symbol in made:
        slow.code(frequency, symbol)
    assert not payload or slow.range << 8 * (len(payload) - 1) < 1 << (64 + 32 * slow.words)
    lost = len(made) / 128  # bits: a step, 2^8 or more, is rounded down
    information = -sum(np.log2((frequency if symbol else ONE - frequency) / ONE) for frequency, symbol in made)
    assert 8 * len(payload) < information + lost + 8


def test_carries_travel_through_words_already_made():
    """The case that a range coder gets wrong if any: low grows past a run of words of all ones."""
    carries = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        q, symbols, slow = [], [], reference.Encoder()
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
        "ffb43ca3 f75395ed 1921d887 adfd61ae aecb3f83 3e40d702 35b60a29 3a663c03 2b50f0"
    )
    assert encode([ONE // 2], [1]) == b"\x80"
    assert encode([ONE // 2] * 10, [0, 1] * 5) == b"\x55\x40"


def test_no_bytes_are_a_payload():
    """The number 0: of no decisions, and of any number of them that are all 0."""
    assert encode([], []) == b""
    assert encode([1, ONE // 2, ONE - 1] * 50, [0] * 150) == b""
    assert decode(b"", [1, ONE // 2, ONE - 1] * 50) == [0] * 150


def test_length_is_the_information():
    rng = np.random.default_rng(5)
    q = rng.integers(1, ONE, 50_000)
    symbols = likely(q, rng)
    bits = -np.log2(np.where(symbols == 1, q, ONE - q) / ONE).sum()
    assert bits <= 8 * len(encode(q, symbols)) <= 1.0003 * bits + 8
    assert len(encode(np.full(100_000, ONE - 1), np.ones(100_000))) == 1  # what is certain costs next to nothing


@pytest.mark.parametrize("count", [BATCH - 1, BATCH, BATCH + 1, 3 * BATCH + 17])
def test_batches_change_nothing(count):
    rng = np.random.default_rng(6)
    q = rng.integers(1, ONE, count)
    symbols = likely(q, rng)
    payload, words = encode(q, symbols), constriction_words(q, symbols)
    assert payload[:-8] == words.astype(">u4").tobytes()[: len(payload) - 8]
    assert decode(payload, q) == symbols.tolist()


@pytest.mark.parametrize("payload", [b"\0", b"\x80\0", b"\0\0\0\0", b"first\0\0\0"])
def test_a_payload_that_ends_in_a_zero_is_damaged(payload):
    with pytest.raises(DamagedFile, match=f"a payload of {len(payload)} bytes ends in a zero"):
        Decoder(payload)


def test_numbers_beyond_the_first_interval_are_damaged():
    """Found at the first decision, and not forgotten later."""
    for q in ([ONE // 2], [ONE // 2] * 3, EXTREME * 20):
        with pytest.raises(DamagedFile, match="does not decode"):
            decode(b"\xff" * 8, q)


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=64), st.lists(frequencies, max_size=100))
def test_any_payload_decodes_or_is_damaged_as_the_reference_says(payload, q):
    decoder = reference.Decoder(payload)
    symbols = [decoder(frequency) for frequency in q]
    if decoder.failed:
        with pytest.raises(DamagedFile):
            decode(payload, q)
    else:
        assert decode(payload, q) == symbols


@kernel
def run_traced(coding, owners, inputs, frequencies, symbols):
    for i in range(len(symbols)):
        spend_on(coding, owners[i])
        if i % 3:
            trace(coding, inputs[i])
        symbols[i] = code(coding, np.int64(frequencies[i]), np.int64(symbols[i]))


def made_up(count: int):
    """Owners, inputs of a mixer, frequencies and symbols."""
    rng = np.random.default_rng(8)
    q = rng.integers(1, ONE, count)
    inputs = rng.integers(-2047, 2048, (count, TRACED)).astype(np.int16)
    return rng.integers(0, 20, count), inputs, q, likely(q, rng)


def test_room_grows_and_keeps_what_is_there():
    """Bit by bit, room by room; owners and traces as well."""
    count, parts = 2 * BATCH + 77, (100, BATCH - 200, BATCH - 1, 178)
    made, encoder = made_up(count), Encoder(traced=True)
    plain, ends = Encoder(), np.cumsum((0, *parts))
    assert ends[-1] == count
    for start, end in zip(ends, ends[1:]):
        for coder in (encoder, plain):
            coder.reserve(end - start)
            run_traced(coder.coding, *(part[start:end] for part in made))
    owners, inputs, q, symbols = made
    payload = encode(q, symbols)
    assert encoder.finish() == plain.finish() == payload
    np.testing.assert_array_equal(encoder.symbols(), symbols)
    within = np.arange(count) - np.repeat(ends[:-1], parts)  # numbers in their part
    np.testing.assert_array_equal(encoder.traces(), np.where((within % 3 > 0)[:, None], inputs, UNTRACED))
    costs = -np.log2(np.where(symbols == 1, q, ONE - q) / ONE)
    np.testing.assert_allclose(encoder.costs(), costs, rtol=1e-12)
    assert encoder.bits == plain.bits  # whatever the parts
    np.testing.assert_allclose(encoder.bits, costs.sum(), atol=count * 2.0**-25)
    spent = encoder.owned(25)
    assert len(spent) == 25 and not spent[20:].any()
    np.testing.assert_allclose(spent[:20], [costs[owners == i].sum() for i in range(20)])


def test_a_decoder_keeps_no_traces():
    owners, inputs, q, symbols = made_up(500)
    decoder, found = Decoder(encode(q, symbols)), np.zeros(500, np.int64)
    decoder.reserve(500)
    run_traced(decoder.coding, owners, inputs, q, found)
    decoder.check()
    np.testing.assert_array_equal(found, symbols)


def test_nothing_is_coded_yet():
    encoder = Encoder(traced=True)
    assert encoder.costs().shape == encoder.symbols().shape == (0,) and encoder.traces().shape == (0, TRACED)
    assert not encoder.owned(7).any() and encoder.finish() == b""
    encoder.check()
