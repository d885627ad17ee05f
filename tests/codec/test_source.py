"""What is said of the file that was compressed: it comes back, and hostile files are held in bounds."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.errors import CodecError, DamagedFile
from codec.format import container
from codec.format.container import Contents
from codec.format.numbers import blob, varint
from codec.format.packed import pack, unpack
from codec.format.picture import Group, Header, Picture, Tile
from codec.format.source import FORMATS, SourceFile, pack_source, read_source

suffixes = st.just("") | st.text(st.characters(exclude_characters="./\\\0", codec="utf-8"), min_size=1, max_size=9).map(
    ".".__add__
)
sources = st.builds(
    SourceFile,
    st.none(),
    exact=st.none() | st.tuples(st.integers(0, 2**63 - 1), st.integers(0, 2**32 - 1)),
    suffix=st.none() | suffixes,
    modified=st.none() | st.integers(-(2**63) + 1, 2**63 - 1),
    permissions=st.none() | st.integers(0, 0o777),
    stripped=st.booleans(),
)
with_rest = st.builds(
    lambda source, name, rest: SourceFile(name, rest, *list(vars(source).values())[2:]),
    sources,
    st.sampled_from(FORMATS),
    st.binary(max_size=300) | st.just(bytes(3000)),
)


@given(sources | with_rest, st.binary(max_size=40))
def test_what_is_said_comes_back(source, likely):
    body = pack_source(source, likely)
    assert read_source(body, likely) == source
    for length in range(min(len(body), 40)):
        with pytest.raises(DamagedFile):
            read_source(body[:length], likely)
    if source.format is None:
        with pytest.raises(DamagedFile, match="1 bytes too many"):
            read_source(body + b"\0")


@given(st.binary(max_size=60))
def test_any_bytes_raise_nothing_but_codec_errors(body):
    try:
        found = read_source(body)
    except CodecError:
        return
    assert read_source(pack_source(found)) == found


def test_golden_bytes():
    said = SourceFile("png", b"rest", (300, 0x11223344), ".PNG", -1_000_000_007, 0o644)
    expected = "01 1f  ac02 44332211  01 07  a403  04 2e504e47  04 00 72657374"
    assert pack_source(said) == bytes.fromhex(expected) and read_source(bytes.fromhex(expected)) == said
    assert pack_source(SourceFile()) == b"\0\0" and read_source(b"\0\0") == SourceFile()
    assert read_source(b"\0\x20") == SourceFile(stripped=True)


def test_formats_have_these_numbers():
    """For ever."""
    assert FORMATS == ("png", "tiff", "bmp", "pnm", "tga", "qoi", "gif", "webp")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"\x09\0\0\0", "a format that this program does not know"),
        (b"\0\x40", "a format that this program does not know"),
        (b"\0\x10", "a format that this program does not know"),  # before 1970, but no time
        (b"\0\2" + varint(1) + varint(10**9), "no time of a file"),
        (b"\0\2" + varint(2**63 // 10**9 + 1) + b"\0", "no time of a file"),
        (b"\0\4" + varint(0o1000), "permissions 1000 are none"),
        (b"\0\4" + varint(0o4755), "permissions 4755 are none"),
        *((b"\0\x08" + blob(text), "no ending of a name") for text in (b"png", b"/..", b"./x", b".x/../../y", b".\\x")),
        *((b"\0\x08" + blob(text), "no ending of a name") for text in (b".", b"..", b".tar.gz", b".\0", b"." * 300)),
        (b"\0\x08" + blob(b".\xff"), "no text"),
        (b"\1\0" + varint(5) + b"\0abcd", "does not unpack to its size"),
        (b"\1\0" + varint(3) + b"\0abcd", "do not end where they should"),
        (b"\1\0" + varint(2**40) + b"\0", "1099511627776 bytes are said of a file"),
        (b"\1\0" + varint(4) + b"\3abcd", "in a way that does not exist"),
    ],
)
def test_wrong_values_are_told(body, words):
    with pytest.raises(DamagedFile, match=words):
        read_source(body)


def test_the_rest_is_bounded_by_the_caller_before_it_is_unpacked():
    bomb = b"\1\0" + varint(2**30) + pack(bytes(2**24))
    tracemalloc.start()
    with pytest.raises(DamagedFile, match="1073741824 bytes are said of a file besides its samples"):
        read_source(bomb, most=2**29)
    assert tracemalloc.get_traced_memory()[1] < 10**6
    tracemalloc.stop()


@pytest.mark.parametrize("way", [b"\1", b"\2"])
def test_no_more_is_unpacked_than_is_said(way):
    packed = pack(bytes(2**25))
    assert packed[:1] == b"\2" and len(packed) < 6000
    body = b"\1\0" + varint(1000) + (packed if way == b"\2" else pack(bytes(4000)))
    tracemalloc.start()
    with pytest.raises(DamagedFile):
        read_source(body)
    assert tracemalloc.get_traced_memory()[1] < 2**24 + 10**6  # LZMA's dictionary
    tracemalloc.stop()


def test_packing_little_takes_little_memory():
    """LZMA's encoder takes eleven times its dictionary, which is no longer than what is packed."""
    data = bytes(range(256)) * 20
    tracemalloc.start()
    packed = pack(data)
    assert packed[:1] == b"\2" and tracemalloc.get_traced_memory()[1] < 2**21
    tracemalloc.stop()
    assert unpack(packed, len(data)) == data


def picture(width: int, height: int, **header) -> Picture:
    about = Header(width, height, **{"kind": "grey"} | header)
    digest = bytes(8) if about.tile_count > 1 else None
    return Picture(about, (Group((Tile(b"", 0, 33),) * about.tile_count),), digest)


def test_a_small_picture_has_no_large_rest():
    """As many bytes as `most_rest` allows, and not one more."""
    held = picture(3, 5)
    most = container.most_rest(held)
    assert most == 2**26 + 16 * 15
    source = SourceFile("gif", b"")
    data = container.pack(Contents(held, source=source))
    assert container.read(data).source == source
    for size, words in ((most + 1, "bytes are said of a file"), (most, "do not end|does not unpack")):
        body = b"\7\0" + varint(size) + pack(b"a")
        forged = container.chunks.pack_chunks({b"f": body, b"P": container.pack_picture(held)})
        with pytest.raises(DamagedFile, match=words):
            container.read(forged)


def test_the_bound_does_not_grow_with_a_claim_that_nobody_has_checked():
    held = picture(2**20, 2**10)
    assert container.most_rest(held) == 2**26 + 16 * 2**28
    assert container.most_rest(held, 100) == 2**26 + 1600


def test_a_palette_is_likely_to_be_repeated_and_is_that_of_the_picture():
    colours = bytes(range(250)) + b"ab"
    held = Picture(Header(1, 1, "palette", palette=colours), (Group((Tile(b"", 0, 33),)),))
    rest = SourceFile("png", colours)
    data = container.pack(Contents(held, source=rest))
    assert container.read(data).source == rest and len(data) < 350
