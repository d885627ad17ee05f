"""Numbers and lengths in bytes: what is written is read, in one form alone, and never beyond the end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.errors import DamagedFile
from codec.format.numbers import Reader, blob, varint

NOT_VARINTS = [b"\x80\0", b"\x81\x80\0", b"\xff" * 8 + b"\x80\0", b"\x80" * 30, b"\xff" * 9 + b"\1", b"\xff" * 10]


@given(st.integers(0, 2**63 - 1) | st.integers(0, 300))
def test_a_varint_is_seven_bits_a_byte(number):
    groups = [number >> shift & 0x7F for shift in range(0, max(number.bit_length(), 1), 7)]
    data = bytes(group | 0x80 for group in groups[:-1]) + bytes(groups[-1:])
    assert varint(number) == data
    reader = Reader(data + b"\1")
    assert reader.varint() == number and reader.left == 1
    for length in range(len(data)):
        with pytest.raises(DamagedFile, match="0 bytes are left where 1 are due"):
            Reader(data[:length]).varint()


@pytest.mark.parametrize(("number", "data"), [(0, "00"), (127, "7f"), (128, "8001"), (300, "ac02"), (2**63 - 1, None)])
def test_golden_varints(number, data):
    assert varint(number) == (bytes.fromhex(data) if data else b"\xff" * 8 + b"\x7f")


@pytest.mark.parametrize("number", [-1, 2**63, 2**64])
def test_numbers_that_no_varint_is(number):
    with pytest.raises(ValueError, match=f"{number} is not from 0"):
        varint(number)


@pytest.mark.parametrize("wrong", NOT_VARINTS, ids=bytes.hex)
def test_numbers_have_one_form(wrong):
    with pytest.raises(DamagedFile, match="is not written as it should be"):
        Reader(wrong).varint()


@given(st.binary(max_size=300), st.binary(max_size=20))
def test_a_blob_has_its_length_before_it(data, more):
    for kind in (bytes, memoryview):
        reader = Reader(kind(blob(data) + more))
        assert reader.blob() == data and reader.left == len(more)
    with pytest.raises(DamagedFile, match=f"{len(data)} bytes are left where {len(data) + 1} are due"):
        Reader(varint(len(data) + 1) + data).blob()


def test_a_length_beyond_the_end_takes_no_memory():
    with pytest.raises(DamagedFile, match="2 bytes are left where 9223372036854775807 are due"):
        Reader(varint(2**63 - 1) + b"ab").blob()


def test_fixed_numbers_are_little_endian():
    reader = Reader(bytes.fromhex("01 0203 04050607"))
    assert [reader.byte(), reader.number(2), reader.number(4)] == [1, 0x0302, 0x07060504]
    with pytest.raises(DamagedFile):
        reader.byte()


def test_what_is_left_is_told():
    reader = Reader(b"abcd")
    assert bytes(reader.view(3)) == b"abc" and reader.at == 3
    with pytest.raises(DamagedFile, match="1 bytes too many"):
        reader.done()
    assert reader.take(1) == b"d"
    reader.done()
