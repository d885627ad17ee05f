"""The container: what goes in comes out, no damaged byte of a header goes unnoticed, and nothing large is taken on its
word."""

import hashlib
import mmap
import re
import tempfile
import tracemalloc
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.errors import CodecError, DamagedFile, ImageTooLarge, NotAnLmcFile, UnknownVersion
from codec.format import container, picture
from codec.format.container import Contents
from codec.format.kept import JPEG, STORED, KeptFile
from codec.format.method import MADE, METHODS, NEEDS_JPEG, NEEDS_MODEL, Independent
from codec.format.numbers import varint
from codec.format.picture import AS_THEY_ARE, COLOURS, KINDS, RANKS, Group, Header, Picture, Tile
from codec.format.source import SourceFile

MODEL_ID = bytes(range(6))
DIGEST = bytes.fromhex("88776655 44332211")
TILES = (Tile(b"first", 0x11223344, 3), Tile(b"", 0xFFFFFFFF, 34), Tile(b"abc", 1, 18), Tile(b"", 0x80, 33))
EXAMPLE = Contents(
    Picture(
        Header(width=9, height=300, kind="rgb+alpha", depth=8, model_id=MODEL_ID, variant=6, tile=256),
        (Group(TILES[:2]), Group(TILES[2:])),
        DIGEST,
    ),
    source=SourceFile(suffix=".PNG"),
)
GOLDEN = bytes.fromhex(
    "894c4d 01"  # magic, version
    "66 07 00 08 04 2e504e47 31817570"  # chunk f: its length, no format, a suffix; CRC-32
    "50 2c"  # chunk P and its length
    "73 27 00 000102030405 09 ac02"  # kind + 8 variant + 64 model, depth - 1 + 16 shift, forms, model, sides
    "03 44332211 05  22 ffffffff 00"  # tiles of the colours: method, CRC-32 of samples, length
    "12 01000000 03  21 80000000 00"  # of alpha
    "8877665544332211"  # digest
    "a21a7c08"  # CRC-32 of the chunk
    "6669727374 616263"  # payloads
)


def chunk(kind: bytes, body: bytes) -> bytes:
    data = kind + varint(len(body)) + body
    return data + zlib.crc32(data).to_bytes(4, "little")


def entry(method: int = 33, crc: int = 7, length: int | bytes = 0) -> bytes:
    return bytes([method]) + crc.to_bytes(4, "little") + (length if isinstance(length, bytes) else varint(length))


def body_of(first=0, second=0x77, forms=0, model=b"", width=1, height=1, between=b"", index=None, digest=b"") -> bytes:
    """The body of a picture's chunk, put together by hand so that any field can be made wrong. width and height may be
    bytes."""
    sides = b"".join(side if isinstance(side, bytes) else varint(side) for side in (width, height))
    return bytes([first, second, forms]) + model + sides + between + (entry() if index is None else index) + digest


def file_of(body: bytes, payloads: bytes = b"", before: bytes = b"") -> bytes:
    return b"\x89LM\1" + before + chunk(b"P", body) + payloads


def refused(data: bytes, error: type[CodecError] = DamagedFile, words: str | None = None, **options) -> None:
    for kind in (bytes, memoryview):
        with pytest.raises(error, match=words):
            container.read(kind(data), **options)


@st.composite
def pictures(draw, with_jpeg: bool = False):
    kind = draw(st.sampled_from(list(KINDS)))
    palette = draw(st.binary(max_size=20)) * 3 if kind.startswith("palette") else None
    sides = draw(st.integers(1, 40) | st.integers(1, 200)), draw(st.integers(1, 30))
    header = Header(
        *sides,
        kind,
        draw(st.integers(1, 16)),
        draw(st.binary(min_size=6, max_size=6)),
        draw(st.integers(0, 7)),
        draw(st.sampled_from(picture.TILES)),
        palette,
    )
    groups = []
    for at in range(len(KINDS[kind].groups)):
        codes = [code for code, method in METHODS.items() if with_jpeg and at == 0 or method not in NEEDS_JPEG]
        tile = st.builds(
            Tile, st.binary(max_size=20) | st.just(bytes(200)), st.integers(0, 2**32 - 1), st.sampled_from(codes)
        )
        tiles = draw(st.lists(tile, min_size=1, max_size=5))
        tiles = [replace(tile, payload=b"") if tile.code == MADE.code else tile for tile in tiles]
        form = draw(st.sampled_from([AS_THEY_ARE, RANKS, *([COLOURS] if palette is not None and at == 0 else [])]))
        used = draw(st.binary(max_size=20)) if form == RANKS else b""
        groups.append(Group(tuple(tiles[i % len(tiles)] for i in range(header.tile_count)), form, used))
    several = len(groups) * header.tile_count > 1
    found = Picture(header, tuple(groups), draw(st.binary(min_size=8, max_size=8)) if several else None)
    if not found.needs_model and draw(st.booleans()):
        found = replace(found, header=replace(header, model_id=None))
    return found


kept_files = st.builds(
    KeptFile,
    st.sampled_from([STORED, JPEG]),
    st.integers(0, 2**63 - 1),
    st.integers(0, 2**32 - 1),
    st.binary(max_size=40),
)
sources = st.none() | st.builds(
    SourceFile, suffix=st.sampled_from([None, "", ".jpeg"]), modified=st.none() | st.integers(0, 9)
)
contents = (
    st.builds(Contents, pictures(), source=sources)
    | st.builds(Contents, pictures(with_jpeg=True), st.binary(max_size=200), sources)
    | st.builds(Contents, kept_files, source=sources)
)


@given(contents)
def test_what_is_packed_is_read(file):
    data = container.pack(file)
    for kind in (bytes, memoryview):
        found = container.read(kind(data))
        assert found == file and container.pack(found) == data
    held, none = (found.picture, found.kept) if isinstance(file.held, Picture) else (found.kept, found.picture)
    assert held == file.held and none is None


@given(contents, st.binary(min_size=1, max_size=3))
def test_bytes_too_many_and_too_few_are_refused(file, surplus):
    data = container.pack(file)
    for wrong in (data + surplus, data[: -len(surplus)]):
        refused(wrong)


@given(st.binary(max_size=200))
def test_other_bytes_raise_nothing_but_codec_errors(data):
    for start in (b"", b"\x89LM", b"\x89LM\1", b"\x89LM\1P", b"\x89LM\1K"):
        refused(start + data, CodecError)


@given(st.binary(max_size=80), st.binary(max_size=8))
def test_other_bytes_under_a_right_checksum_are_read_as_they_were_packed(body, payloads):
    """A second file is never read as the first: whatever is accepted is what `pack` would write."""
    for start in (b"", body_of(index=b""), b"\6\x77\0\1\1\1abc", b"\1\x37\0\x09\x09"):
        for kind in (b"P", b"K"):
            forged = b"\x89LM\1" + chunk(kind, start + body) + payloads
            try:
                found = container.read(forged)
            except CodecError:
                continue
            assert container.pack(found) == forged


def test_golden_bytes():
    assert container.pack(EXAMPLE).hex() == GOLDEN.hex()
    assert container.read(GOLDEN) == EXAMPLE


def test_the_example_of_the_specification_is_a_file():
    text = (Path(__file__).parents[2] / "docs" / "format.md").read_text().split("## Example")[1]
    example = bytes.fromhex("".join(re.findall(r"^ {4}((?:[0-9a-f]{2} )+)", text, re.MULTILINE)))
    assert container.read(example) == EXAMPLE
    assert "methods {}, {}, {} and {}".format(*(tile.code for tile in EXAMPLE.picture.tiles)) in text


def test_a_kept_file_in_bytes():
    kept = KeptFile(JPEG, 300, 0x11223344, b"payload")
    data = bytes.fromhex("894c4d01") + chunk(b"K", bytes.fromhex("01 ac02 44332211 07")) + b"payload"
    assert container.pack(Contents(kept)) == data and container.read(data) == Contents(kept)


@pytest.mark.parametrize(("kind", "size", "model"), [("rgb", 21, False), ("grey", 21, False), ("rgb", 27, True)])
def test_what_a_picture_of_one_tile_costs(kind, size, model):
    header = Header(127, 1, kind, model_id=MODEL_ID if model else None)
    data = container.pack(Contents(Picture(header, (Group((Tile(b"", 0, 33),)),))))
    assert len(data) == size
    wider = replace(header, width=128)
    assert len(container.pack(Contents(Picture(wider, (Group((Tile(b"", 0, 33),)),))))) == size + 1


def test_every_changed_byte_of_the_header_is_noticed():
    """Payloads have the checksums of their samples."""
    for position in range(len(GOLDEN) - len(b"firstabc")):
        for change in (0x01, 0x80, 0xFF):
            data = bytearray(GOLDEN)
            data[position] ^= change
            refused(bytes(data), CodecError)
            try:
                found = container.read(bytes(data), whole=False)
            except CodecError:
                continue
            assert position < GOLDEN.index(b"P,") and found.damaged and found.source is None
            assert found.held == container.read(GOLDEN).held


def test_every_truncation_is_noticed():
    for length in range(len(GOLDEN)):
        refused(GOLDEN[:length], CodecError)


def test_what_a_file_that_was_cut_off_still_has():
    """Headers cannot be done without; tiles whose payload is not all there are told by None."""
    ends, start = [5, 5, 8, 8], len(GOLDEN) - 8
    for length in range(len(GOLDEN) + 1):
        if length < start:
            with pytest.raises(CodecError):
                container.read(GOLDEN[:length], whole=False)
            continue
        found = container.read(GOLDEN[:length], whole=False).picture
        expected = [tile.payload if end <= length - start else None for tile, end in zip(TILES, ends)]
        assert [tile.payload for tile in found.tiles] == expected
        assert [(tile.crc, tile.code) for tile in found.tiles] == [(tile.crc, tile.code) for tile in TILES]
    assert container.read(GOLDEN + b"more", whole=False) == EXAMPLE


# Chunks


def test_chunks_may_stand_in_any_order_but_the_last():
    about, jpeg, held = chunk(b"f", b"\0\0"), chunk(b"J", b"jpeg"), chunk(b"P", body_of())
    for order in ((about, jpeg), (jpeg, about)):
        found = container.read(b"\x89LM\1" + b"".join(order) + held)
        assert found.jpeg == b"jpeg" and found.source == SourceFile()
    refused(b"\x89LM\1" + held + about, words="bytes follow the header")


@pytest.mark.parametrize("kind", [b"a", b"m", b"z", b"p", b"j", b"k"])
def test_unknown_chunks_of_lower_case_are_passed_over(kind):
    before = chunk(kind, b"whatever") + chunk(b"f", b"\0\0") + chunk(kind, b"")
    found = container.read(file_of(body_of(), before=before))
    assert found.passed_over == (kind.decode(),) * 2 and found.source == SourceFile()
    assert replace(found, passed_over=(), source=None) == container.read(file_of(body_of()))
    wrong = bytearray(file_of(body_of(), before=before))
    wrong[8] ^= 1
    refused(bytes(wrong), words=f"the checksum of the chunk of type {kind!r}")


@pytest.mark.parametrize("kind", [b"A", b"F", b"Z", b"X", b"\0", b"0", b"~", b"\xe9", b"\xff"])
def test_other_unknown_chunks_are_those_of_a_newer_version(kind):
    refused(file_of(body_of(), before=chunk(kind, b"")), UnknownVersion, "a newer version of this program reads")


@pytest.mark.parametrize("kind", [b"f", b"J"])
def test_a_chunk_that_comes_twice(kind):
    refused(file_of(body_of(), before=2 * chunk(kind, b"\0\0")), words="two chunks of type")


def test_each_chunk_has_a_checksum_of_its_own():
    for before in (b"", chunk(b"f", b"\0\0"), chunk(b"J", b"1234")):
        data = bytearray(file_of(body_of(), before=before))
        data[-1] ^= 1
        refused(bytes(data), words="the checksum of the chunk of type b'P' is not that of its bytes")


def test_a_length_of_a_chunk_beyond_the_end_takes_no_memory():
    tracemalloc.start()
    for kind in (b"P", b"K", b"f", b"J", b"x", b"X"):
        refused(b"\x89LM\1" + kind + varint(2**40) + b"body", words="are left where 1099511627776 are due")
    assert tracemalloc.get_traced_memory()[1] < 10**6
    tracemalloc.stop()


def test_a_file_of_no_picture_ends_too_early():
    refused(b"\x89LM\1" + chunk(b"f", b"\0\0"), words="0 bytes are left where 1 are due")
    refused(b"\x89LM", words="0 bytes are left where 1 are due")


def test_a_text_file_is_named_as_such():
    refused(b"Dear sir or madam", NotAnLmcFile, "starts with b'Dea'")
    refused(b"", NotAnLmcFile)


@pytest.mark.parametrize("version", [0, 2, 67, 255])
def test_a_file_of_another_version_is_named_whatever_follows(version):
    for more in (b"", b"C", bytes(50)):
        words = f"version {version}; this program reads version 1"
        refused(b"\x89LM" + bytes([version]) + more, UnknownVersion, words)


def test_a_file_of_memory_that_is_mapped_is_not_copied():
    with tempfile.TemporaryFile() as file:
        large = KeptFile(STORED, 0, 0, bytes(2**22))
        held = Picture(Header(1, 1, "grey"), (Group((Tile(bytes(2**22), 0, 34),)),))
        file.write(container.pack(Contents(held)))
        file.flush()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            tracemalloc.start()
            view = memoryview(mapped)
            found = container.read(view)
            assert tracemalloc.get_traced_memory()[1] < 10**6
            tracemalloc.stop()
            assert found == Contents(held) and container.read(container.pack(Contents(large))).kept == large
            del found
            view.release()


# Fields of the header


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("depth", [1, 2, 4, 8, 12, 16])
def test_kinds_and_depths_have_these_codes(name, depth):
    code = ["grey", "grey+alpha", "rgb", "rgb+alpha", "cmyk", "cmyk+alpha", "palette", "palette+alpha"].index(name)
    groups = {"grey": 1, "rgb": 1, "palette": 1, "cmyk": 2}[name.removesuffix("+alpha")] + name.endswith("+alpha")
    palette, digest = (b"\2abcdef" if code > 5 else b""), DIGEST if groups > 1 else b""
    body = body_of(first=code, second=depth - 1, between=palette, index=entry() * groups, digest=digest)
    held = container.read(file_of(body)).picture
    assert (held.header.kind, held.header.depth) == (name, depth) and len(held.groups) == groups
    assert held.header.palette == (b"abcdef" if palette else None)
    channels = [KINDS[name].colours] + [1] * (groups - 1)
    assert [group.stop - group.start for group in KINDS[name].groups] == channels
    assert sum(channels) == KINDS[name].channels


@pytest.mark.parametrize("shift", range(8))
@pytest.mark.parametrize("variant", range(8))
def test_tiles_and_variants(shift, variant):
    header = container.read(
        file_of(body_of(first=8 * variant, second=7 + 16 * shift, width=8, height=5))
    ).picture.header
    assert (header.tile, header.variant) == (1024 >> shift, variant)
    assert (header.width, header.height, len(header.boxes)) == (8, 5, 1)


@pytest.mark.parametrize("side", [1, 127, 128, 2**14 - 1, 2**14, 2**21 - 1, 2**21])
def test_sides_of_every_length(side):
    header = Header(side, 1, "grey")
    held = Picture(header, (Group((Tile(b"", 0, 33),) * header.tile_count),), DIGEST if side > 1024 else None)
    data = container.pack(Contents(held))
    assert varint(side) + b"\1\x21\0\0\0\0\0" in data and container.read(data) == Contents(held)


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({"first": 128}, DamagedFile, "bits that mean nothing"),
        ({"second": 0x87}, DamagedFile, "bits that mean nothing"),
        ({"width": 0}, DamagedFile, "width is 0"),
        ({"height": 0}, DamagedFile, "height is 0"),
        ({"width": 2**32, "max_pixels": 2**40}, DamagedFile, "width is 4294967296, outside"),
        ({"height": 2**32, "max_pixels": None}, DamagedFile, "height is 4294967296, outside"),
        ({"width": 2**62, "height": 2**62}, ImageTooLarge, "4611686018427387904 x 4611686018427387904"),
        ({"width": 2**31, "height": 2**31}, ImageTooLarge, "2147483648 x 2147483648"),
        ({"width": 2**14, "height": 2**14 + 1}, ImageTooLarge, "--max-pixels"),
        ({"width": 2**14, "height": 2**14}, DamagedFile, "an index of 4194304 tiles does not fit"),
        (
            {"width": 2**32 - 1, "height": 2**32 - 1, "max_pixels": None},
            DamagedFile,
            "an index of 288230376151711744 tiles",
        ),
        ({"width": b"\x81\0"}, DamagedFile, "a number is not written as it should be"),
        ({"height": b"\x80" * 9}, DamagedFile, "a number is not written as it should be"),
        ({"forms": 4}, DamagedFile, "forms of groups that there are not"),
        ({"forms": 64}, DamagedFile, "forms of groups that there are not"),
        ({"forms": 2}, DamagedFile, "a form that it cannot have"),
        ({"forms": 3}, DamagedFile, "a form that it cannot have"),
        ({"forms": 1, "between": b"\4abc"}, DamagedFile, "bytes are left where|does not fit"),
        ({"first": 6, "between": b"\2abc"}, DamagedFile, "bytes are left where|does not fit"),
        ({"first": 6, "between": varint(2**16 + 1) + bytes(9)}, DamagedFile, "a palette of 65537 colours"),
        ({"first": 6, "between": varint(2**60)}, DamagedFile, "a palette of 1152921504606846976 colours"),
        ({"first": 6, "between": varint(2**16)}, DamagedFile, "where 196608 are due"),
        ({"first": 7, "forms": 8, "between": b"\1abc"}, DamagedFile, "a form that it cannot have"),
        ({"first": 64, "model": bytes(2)}, DamagedFile, None),
        ({"index": entry(length=1)}, DamagedFile, "0 bytes follow the header, which asks for 1"),
        ({"index": entry(length=2**63 - 1)}, DamagedFile, "which asks for 9223372036854775807"),
        ({"index": entry(length=b"\x80\0")}, DamagedFile, "is not written as it should be"),
        ({"index": entry(length=b"")}, DamagedFile, "does not fit into the header"),
        ({"index": entry() + b"\0"}, DamagedFile, "1 bytes too many"),
        ({"index": entry(), "digest": DIGEST}, DamagedFile, "8 bytes too many"),
        ({"first": 1, "index": entry() * 2}, DamagedFile, "0 bytes are left where 8 are due"),
        ({"first": 1, "index": entry() * 2, "digest": DIGEST[1:]}, DamagedFile, "7 bytes are left where 8 are due"),
        ({"index": entry(3)}, DamagedFile, "names no model, but needs one"),
        ({"index": entry(195)}, DamagedFile, "names no model, but needs one"),
        ({"index": entry(192)}, DamagedFile, "needs a JPEG that the file has not"),
        ({"index": entry(192, length=1)}, DamagedFile, "a tile that a JPEG makes has 1 bytes of its own"),
        ({"first": 1, "index": entry() + entry(192), "digest": DIGEST}, DamagedFile, "a tile that is no colour"),
        ({"first": 4, "index": entry() + entry(192), "digest": DIGEST}, DamagedFile, "a tile that is no colour"),
    ],
)
def test_headers_that_lie_are_refused(fields, error, words):
    options = {"max_pixels": fields["max_pixels"]} if "max_pixels" in fields else {}
    fields = {name: value for name, value in fields.items() if name != "max_pixels"}
    tracemalloc.start()
    refused(file_of(body_of(**fields)), error, words, **options)
    assert tracemalloc.get_traced_memory()[1] < 10**6
    tracemalloc.stop()


@pytest.mark.parametrize("side", [2**28 - 1, 2**28, 2**32 - 1])
def test_sides_that_no_file_is_long_enough_for(side):
    words = f"an index of {-(-side // 8)} tiles does not fit"
    refused(file_of(body_of(width=side)), words=words, max_pixels=2**32)


def test_the_bound_on_pixels_is_the_caller_s():
    data = file_of(body_of(width=2, height=3))
    assert container.read(data, max_pixels=6).picture.header.height == 3
    refused(data, ImageTooLarge, "2 x 3 pixels, more than 5", max_pixels=5)


@pytest.mark.parametrize("method", sorted(set(range(256)) - set(METHODS)))
def test_a_method_that_does_not_exist_is_refused(method):
    data = file_of(body_of(first=64, model=MODEL_ID, index=entry(method)))
    refused(data, words=f"a tile is coded by method {method}, which does not exist")
    with pytest.raises(ValueError, match=f"code is {method}, not one of 0, 1, 2, 3, 4, 5, 10"):
        Tile(b"", 0, method)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_is_one_byte_of_the_index_and_says_what_it_needs(method):
    jpeg = chunk(b"J", b"")
    body = body_of(first=64, model=MODEL_ID, index=entry(method))
    (tile,) = container.read(file_of(body, before=jpeg)).picture.tiles
    assert tile.code == method and tile.method == METHODS[method]
    if METHODS[method] in NEEDS_JPEG:
        refused(file_of(body), words="needs a JPEG that the file has not")
    else:
        assert container.read(file_of(body)).jpeg is None
    without = file_of(body_of(index=entry(method)), before=jpeg)
    if METHODS[method] in NEEDS_MODEL:
        refused(without, words="names no model")
    else:
        assert container.read(without).picture.header.model_id is None
    assert (METHODS[method] not in NEEDS_MODEL) == (METHODS[method] == MADE or isinstance(METHODS[method], Independent))


def test_every_length_in_the_index_is_held_against_the_file():
    """With right checksums, as an attacker would write them."""
    for length in (0, 1, 2):
        body = body_of(width=16, index=entry(33, 7, length) + entry(34, 8, 2 - length), digest=DIGEST)
        tiles = (Tile(b"xy"[:length], 7, 33), Tile(b"xy"[length:], 8, 34))
        assert container.read(file_of(body, b"xy")).picture.groups == (Group(tiles),)
    for lengths in ((3, 0), (0, 3), (1, 0), (127, 0), (2**62, 2**62), (0, 2**63 - 1)):
        body = body_of(width=16, index=entry(33, 7, lengths[0]) + entry(34, 8, lengths[1]), digest=DIGEST)
        refused(file_of(body, b"xy"), words=f"2 bytes follow the header, which asks for {sum(lengths)}")


def test_an_index_that_runs_into_the_digest_is_refused():
    two = entry() * 2
    assert len(container.read(file_of(body_of(width=16, index=two, digest=DIGEST))).picture.tiles) == 2
    for end in range(len(two)):
        refused(file_of(body_of(width=16, index=two[:end])))
        refused(file_of(body_of(width=16, index=two[:end], digest=DIGEST)))


def test_palettes_of_any_number_of_colours():
    for count in (0, 1, 256, 300, 2**16):
        header = Header(1, 1, "palette", palette=bytes(3 * count))
        held = Picture(header, (Group((Tile(b"", 0, 33),)),))
        assert container.read(container.pack(Contents(held))).picture == held


@pytest.mark.parametrize("forms", [(COLOURS, RANKS), (RANKS, AS_THEY_ARE), (RANKS, RANKS), (AS_THEY_ARE, RANKS)])
def test_forms_of_groups_stand_before_the_index(forms):
    header = Header(1, 1, "palette+alpha", palette=b"abc")
    used = [b"one" if form == RANKS else b"" for form in forms]
    groups = tuple(Group((Tile(b"", 0, 33),), form, text) for form, text in zip(forms, used))
    data = container.pack(Contents(Picture(header, groups, DIGEST)))
    blobs = b"".join(b"\3one" for form in forms if form == RANKS)
    expected = body_of(7, 7, forms[0] + 4 * forms[1], b"", 1, 1, b"\1abc" + blobs, b"\x21\0\0\0\0\0" * 2, DIGEST)
    assert data == file_of(expected) and container.read(data).picture.groups == groups


# Kept files


@pytest.mark.parametrize("form", [2, 7, 255])
def test_a_form_that_does_not_exist(form):
    refused(container.pack(Contents(KeptFile(form, 1, 0, b""))), words=f"form {form}, which does not exist")


def test_what_a_kept_file_says_is_checked():
    good = bytes.fromhex("00 05 44332211 03")
    for body, words in (
        (good + b"\0", "1 bytes too many"),
        (good[:-1], "0 bytes are left"),
        (good[:-1] + b"\4", "3 bytes follow the header, which asks for 4"),
        (good[:-1] + varint(2**62), "3 bytes follow the header"),
        (b"\0\x80\0" + good[2:], "is not written as it should be"),
    ):
        refused(b"\x89LM\1" + chunk(b"K", body) + b"abc", words=words)
    assert container.read(b"\x89LM\1" + chunk(b"K", good) + b"abc").kept == KeptFile(0, 5, 0x11223344, b"abc")


def test_a_jpeg_belongs_to_no_kept_file():
    kept = chunk(b"K", bytes.fromhex("00 00 00000000 00"))
    refused(b"\x89LM\1" + chunk(b"J", b"jpeg") + kept, words="a JPEG stands before a file that is kept")


# What the program puts in


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"width": 0}, "width is 0"),
        ({"height": 2**32}, "height is 4294967296"),
        ({"kind": "CMYK"}, "'CMYK'"),
        ({"depth": 0}, "depth is 0"),
        ({"depth": 17}, "depth is 17"),
        ({"model_id": bytes(32)}, "32 bytes instead of 6"),
        ({"tile": 0}, "tile is 0, not one of 1024, 512, 256, 128, 64, 32, 16, 8"),
        ({"tile": 1000}, "tile is 1000"),
        ({"variant": -1}, "variant is -1"),
        ({"variant": 8}, "variant is 8"),
        ({"palette": b"abc"}, "kind grey does not go with that palette"),
        ({"kind": "palette"}, "kind palette does not go with that palette"),
        ({"kind": "palette", "palette": b"abcd"}, "kind palette does not go with that palette"),
    ],
)
def test_headers_check_what_the_program_puts_in(fields, words):
    with pytest.raises(ValueError, match=words):
        Header(**{"width": 1, "height": 1, "kind": "grey"} | fields)


def test_tiles_and_digests_have_to_fit_the_header():
    header, tile = Header(9, 1, "grey+alpha", tile=8), Tile(b"", 0)
    two = Group((tile, tile))
    assert Picture(header, (two, two), DIGEST).tiles == [tile] * 4
    for groups in ((two,), (Group((tile,)), two), (two, Group((tile,) * 3)), (two, two, two), ()):
        with pytest.raises(ValueError, match="tiles for 2 groups of 2 each"):
            Picture(header, groups, DIGEST)
    for digest in (None, b"", DIGEST[1:], DIGEST + b"\0"):
        with pytest.raises(ValueError, match="is no digest of 4 tiles"):
            Picture(header, (two, two), digest)
    with pytest.raises(ValueError, match="is no digest of 1 tiles"):
        Picture(Header(1, 1, "grey"), (Group((tile,)),), DIGEST)


def test_boxes_are_the_layout_s():
    header = EXAMPLE.picture.header
    assert [(box.row, box.height) for box in header.boxes] == [(0, 150), (150, 150)] and header.tile_count == 2


def test_short_id_is_the_start_of_the_identity():
    assert picture.short_id("00ff" * 16) == bytes.fromhex("00ff" * 3)


def test_checksums_are_those_of_the_row_major_bytes():
    samples = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    assert picture.crc_of(samples) == zlib.crc32(bytes(range(12)))
    assert picture.crc_of(samples[:, ::-1]) == zlib.crc32(bytes([3, 4, 5, 0, 1, 2, 9, 10, 11, 6, 7, 8]))
    assert picture.digest_of([samples[:1], samples[1:]]) == hashlib.sha256(bytes(range(12))).digest()[:8]


@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_deep_samples_are_little_endian_in_them(order):
    samples = np.array([0x0102, 0x03, 0xFF00, 0x1234], order).reshape(2, 2, 1)
    data = bytes.fromhex("0201 0300 00ff 3412")
    assert picture.crc_of(samples) == zlib.crc32(data)
    assert picture.digest_of([samples]) == hashlib.sha256(data).digest()[:8]
