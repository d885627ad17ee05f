"""Files kept whole: the same bytes again, whatever they are; damage is told; JPEGs get shorter."""

import hashlib
import zlib
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from codec import decompress
from codec.errors import CodecError, DamagedFile, ImageTooLarge, KeepsAFile, UnsupportedImage
from codec.format import container
from codec.format.container import Contents
from codec.format.kept import JPEG, STORED, KeptFile
from codec.format.packed import pack, unpack
from codec.jpeg.coder import _START as START
from codec.jpeg.coder import _learned
from codec.jpeg.keep import frame_of, keep, restore
from codec.jpeg.likely import likely_segments, standard_steps
from tests.codec.jpeg.jpegs import jpeg, jpegs
from tests.pictures import photograph

KINDS = jpegs()
SUMS = ["ccfa4655d3c7bbe4", "51fb1841029fb087", "b0ce82785d572fbc"]
DAMAGED = ("grey", "size (17, 33)", "size (16, 17) progressive", "restarts", "progressive restarts", "CMYK")
DAMAGED += ("CMYK progressive", "bytes behind its end", "EXIF with a thumbnail", "two pictures")
LEARNED = [61463907, 412557763, 3111655436, 1904549878]


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_bytes_again(kind):
    data, seen = KINDS[kind], []
    found = keep(data, progress=lambda done, total: seen.append((done, total)))
    assert found.reason is None and found.kept.form == JPEG and seen[-1][0] == seen[-1][1]
    assert restore(found.kept) == data
    frame = frame_of(found.kept)
    assert frame.width * frame.height > 0
    assert len(container.pack(Contents(found.kept))) < len(data)


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff", b"no JPEG at all" * 99, KINDS["4:2:0"][:-50]], ids=range(4))
def test_what_is_odd_is_stored(data):
    found = keep(data)
    assert found.reason and found.kept.form == STORED and frame_of(found.kept) is None
    assert restore(found.kept) == data and len(found.kept.payload) <= len(data) + 1


def test_arithmetic_coding_is_named():
    with pytest.raises(UnsupportedImage, match="arithmetically"):
        keep(KINDS["4:2:0"].replace(b"\xff\xc0", b"\xff\xc9", 1))


def test_scans_that_end_in_different_ways_are_stored():
    from codec.jpeg.file import put_together, take_apart

    found = take_apart(KINDS["grey progressive"])
    data = put_together(replace(found, pads=(0, *found.pads[1:])))
    assert take_apart(data).pads.count(0) == 1
    kept = keep(data).kept
    assert kept.form == STORED and restore(kept) == data


def test_photographs_get_shorter_by_a_fifth_and_the_usual_segments_by_most():
    data = jpeg(photograph(256, 256), quality=85)
    kept = keep(data).kept
    assert len(kept.payload) < 0.8 * len(data)
    around = int.from_bytes(kept.payload[:4], "little")
    assert around < 60 < 600 < len(data[: data.index(b"\xff\xda")])


def test_every_altered_byte_is_told():
    """Of the header by the chunk's checksum, of the payload by that of the file that is kept."""
    data = KINDS["size (16, 17)"]
    kept = keep(data).kept
    packed = container.pack(Contents(kept))
    assert container.read(packed).kept == kept
    for i in range(len(packed)):
        with pytest.raises(CodecError):
            restore(container.read(packed[:i] + bytes([packed[i] ^ 1]) + packed[i + 1 :]).kept)
    for i in range(len(kept.payload)):
        with pytest.raises((DamagedFile, ImageTooLarge)):
            restore(replace(kept, payload=kept.payload[:i] + bytes([kept.payload[i] ^ 4]) + kept.payload[i + 1 :]))
    for i in range(0, len(kept.payload), 3):
        with pytest.raises(DamagedFile):
            restore(replace(kept, payload=kept.payload[:i]))
    for wrong in ({"size": kept.size + 1}, {"crc": kept.crc ^ 1}, {"form": STORED}):
        with pytest.raises(DamagedFile):
            restore(replace(kept, **wrong))


def damaged(data: bytearray, rng: np.random.Generator) -> None:
    """Changes a JPEG in one of eight ways: a bit, a byte, a run of zeros, bytes cut off, inserted or removed, a segment
    that comes twice, a marker that is another."""
    at, count, way = int(rng.integers(len(data))), int(rng.integers(1, 17)), rng.integers(8)
    markers = [i for i in range(len(data) - 1) if data[i] == 0xFF and data[i + 1] not in (0x00, 0xFF)]
    if way == 0:
        data[at] ^= 1 << int(rng.integers(8))
    elif way == 1:
        data[at] = rng.integers(256)
    elif way == 2:
        data[at : at + count] = bytes(len(data[at : at + count]))
    elif way == 3:
        del data[at:]
    elif way == 4:
        data[at:at] = rng.bytes(count)
    elif way == 5:
        del data[at : at + count]
    elif markers:
        number = int(rng.integers(len(markers)))
        first, end = [*markers, len(data)][number : number + 2]
        if way == 6:
            data[first:first] = data[first:end]
        else:
            data[first + 1] = rng.integers(0xC0, 0xE0)


def test_damaged_files_come_back_or_are_refused():
    outcomes = Counter()
    for seed in range(2000):
        rng, data = np.random.default_rng(seed), bytearray(KINDS[DAMAGED[seed % len(DAMAGED)]])
        for _ in range(rng.integers(1, 4)):
            if data:
                damaged(data, rng)
        try:
            kept = keep(bytes(data), max_pixels=1 << 14).kept
        except CodecError:
            outcomes["refused"] += 1
        else:
            outcomes[kept.form] += 1
            assert restore(kept) == data
    assert min(outcomes[outcome] for outcome in (JPEG, STORED, "refused")) > 0


def test_forms_that_do_not_exist_and_pictures_are_told_apart():
    packed = container.pack(Contents(KeptFile(7, 1, 0, b"")))
    with pytest.raises(DamagedFile, match="form 7"):
        container.read(packed)
    kept = container.pack(Contents(keep(b"").kept))
    assert container.read(kept).picture is None
    for lost in (None, []):
        with pytest.raises(KeepsAFile):
            decompress(kept, lost=lost)


def test_sizes_are_bounded_before_anything_is_allocated():
    data = KINDS["4:2:0"]
    with pytest.raises(ImageTooLarge):
        keep(data, max_pixels=70 * 45 - 1)
    kept = keep(data, max_pixels=70 * 45).kept
    with pytest.raises(ImageTooLarge):
        restore(kept, max_pixels=1000)
    with pytest.raises(ImageTooLarge, match="claims"):
        restore(replace(kept, size=2**32 - 1))
    bomb = KeptFile(STORED, 1000, 0, pack(bytes(10**7)))
    with pytest.raises(DamagedFile):
        restore(bomb)


@pytest.mark.parametrize("data", [b"", b"a", b"ab" * 5000, np.random.default_rng(0).bytes(500)], ids=range(4))
def test_packed_bytes(data):
    for dictionary in (b"", b"ab" * 40):
        packed = pack(data, dictionary)
        assert unpack(packed, len(data), dictionary) == data and len(packed) <= len(data) + 1
        if packed[0]:  # bytes that stand as they are have no end
            with pytest.raises(DamagedFile):
                unpack(packed[:-1], len(data), dictionary)
        if data:
            with pytest.raises(DamagedFile):
                unpack(packed, len(data) - 1, dictionary)
    with pytest.raises(DamagedFile, match="does not exist"):
        unpack(b"\x03abc", 10)


def test_likely_segments_are_those_of_libjpeg():
    for quality in (1, 25, 50, 75, 95, 100):
        data = jpeg(photograph(16, 16), quality=quality)
        start = data.index(b"\xff\xdb")
        assert data[start : start + 69] in likely_segments()
        assert data[data.index(b"\xff\xc4") : data.index(b"\xff\xda")] in likely_segments()
        assert standard_steps(quality, True).min() >= 1


def test_what_is_learned_beforehand_is_the_formats():
    """Another state would not decode files that are kept."""
    sums = [hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in sorted(START.glob("*.jpg"))]
    assert sums == SUMS
    learned = [zlib.crc32(np.ascontiguousarray(array)) for array in _learned()]
    assert learned == LEARNED
