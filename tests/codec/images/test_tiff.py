"""TIFF: against files that a plain writer here made of samples it chose, and against what Pillow (libtiff) writes."""

import io
import itertools
import mmap
import struct
import zlib
from dataclasses import dataclass, field

import numpy as np
import pytest
from PIL import Image

from codec.errors import ImageTooLarge, UnreadableImage, UnsupportedImage
from codec.images import tiff
from codec.images.tiff import compressions

MOST = 10**7
KINDS = {"grey": 1, "white": 1, "palette": 1, "rgb": 3, "cmyk": 4, "lab": 3}
PHOTOMETRIC = {"white": 0, "grey": 1, "rgb": 2, "palette": 3, "cmyk": 5, "lab": 8}
CODES = {1: "B", 2: "s", 3: "H", 4: "I", 5: "Q", 12: "d", 16: "Q"}


def lzw(data):
    """Codes of TIFF's LZW by a plain encoder, which clears its table with 4094 entries and looks at nothing else."""
    codes, table, text = [(256, 9)], {bytes([i]): i for i in range(256)}, b""
    free, width = 258, 9
    for byte in data:
        longer = text + bytes([byte])
        if longer in table:
            text = longer
            continue
        codes.append((table[text], width))
        table[longer] = free
        free, text = free + 1, bytes([byte])
        if free == 4094:
            codes.append((256, width))
            table, free, width = {bytes([i]): i for i in range(256)}, 258, 9
        elif free == 1 << width:
            width += 1
    codes.append((table[text], width))
    if free + 1 == 4094:
        codes.append((256, width))
        width = 9
    elif free + 1 == 1 << width:
        width += 1
    codes.append((257, width))
    bits = "".join(f"{code:0{size}b}" for code, size in codes)
    return np.packbits(np.frombuffer(bits.encode(), np.uint8) - ord("0")).tobytes()


def packbits(row, least=3):
    """A row packed by the rule that a run of so many bytes ends literals."""
    packed, literals = b"", b""

    def flush():
        nonlocal packed, literals
        for at in range(0, len(literals), 128):
            packed += bytes([len(literals[at : at + 128]) - 1]) + literals[at : at + 128]
        literals = b""

    for byte, group in itertools.groupby(row):
        left = len(list(group))
        while left:
            run = min(left, 128)
            left -= run
            if run >= least:
                flush()
                packed += bytes([257 - run, byte])
            else:
                literals += bytes([byte]) * run
    flush()
    return packed


@dataclass
class Picture:
    """What the plain writer writes: values [H, W, C] as the file stores them, negative ones where it is signed."""

    values: np.ndarray
    kind: str = "grey"
    depth: int = 8
    extra: int | None = None
    signed: bool = False
    planar: bool = False
    tile: tuple[int, int] | None = None
    rows: int | None = None
    compression: int = 1
    level: int = 6
    predictor: int = 1
    order: str = "<"
    big: bool = False
    padding: object = 0  # of tiles: a number, "edge" or a function of a shape
    end: int = 0  # bits of row ends
    tags: list = field(default_factory=list)
    first_data: bool = False  # data before the directory
    changed: dict = field(default_factory=dict)  # tag: (type, values) or None for none
    count_type: int = 4
    tail: bytes = b""
    gap: bytes = b""  # behind each block
    next: int = 0

    def raw_rows(self, samples):
        """Bytes of each row of a block [h, w, c]."""
        mask = (1 << self.depth) - 1
        samples = samples.astype(np.int64)
        if self.predictor == 2:
            samples = np.concatenate([samples[:, :1], np.diff(samples, axis=1)], axis=1)
        samples = samples & mask
        flat = samples.reshape(len(samples), -1)
        if self.depth in (8, 16):
            return [row.astype(f"{self.order}u{self.depth // 8}").tobytes() for row in flat]
        rows = []
        for row in flat.tolist():
            number = 0
            for value in row:
                number = number << self.depth | value
            spare = -len(row) * self.depth % 8
            number = number << spare | self.end & ((1 << spare) - 1)
            rows.append(number.to_bytes((len(row) * self.depth + 7) // 8, "big"))
        return rows

    def compressed(self, rows):
        if self.compression == 5:
            return lzw(b"".join(rows))
        if self.compression in (8, 32946):
            return zlib.compress(b"".join(rows), self.level)
        return b"".join(packbits(row) if self.compression == 32773 else row for row in rows)

    def blocks(self):
        height, width, channels = self.values.shape
        planes = [self.values[..., i : i + 1] for i in range(channels)] if self.planar else [self.values]
        tall, wide = self.tile or (self.rows or height, width)
        for plane, y, x in itertools.product(planes, range(0, height, tall), range(0, width, wide)):
            block = plane[y : y + tall, x : x + wide]
            if self.tile:
                missing = ((0, tall - block.shape[0]), (0, wide - block.shape[1]), (0, 0))
                if self.padding == "edge":
                    block = np.pad(block, missing, "edge")
                else:
                    full = np.zeros((tall, wide, block.shape[2]), np.int64)
                    full[...] = self.padding(full.shape) if callable(self.padding) else self.padding
                    full[: block.shape[0], : block.shape[1]] = block
                    block = full
            yield self.compressed(self.raw_rows(block))

    def directory(self, offsets, counts):
        height, width, channels = self.values.shape
        found = {
            256: (4, [width]),
            257: (4, [height]),
            258: (3, [self.depth] * channels),
            259: (3, [self.compression]),
            262: (3, [PHOTOMETRIC[self.kind]]),
            277: (3, [channels]),
            284: (3, [2 if self.planar else 1]),
            (324 if self.tile else 273): (4, offsets),
            (325 if self.tile else 279): (self.count_type, counts),
        }
        if self.tile:
            found |= {322: (3, [self.tile[1]]), 323: (3, [self.tile[0]])}
        elif self.rows:
            found[278] = (3, [self.rows])
        if self.predictor == 2:
            found[317] = (3, [2])
        if self.signed:
            found[339] = (3, [2] * channels)
        if self.extra is not None:
            found[338] = (3, [self.extra])
        if self.kind == "palette":
            found[320] = (3, [i * 257 % 65536 for i in range(3 << self.depth)])
        found |= {tag: (type_, values) for tag, type_, values in self.tags}
        found |= self.changed
        return sorted((tag, *value) for tag, value in found.items() if value is not None)

    def file(self, at=0):
        """The file; at: where it stands itself, for a page behind another (then without its header)."""
        blocks = list(self.blocks())
        head = 16 if self.big else 8
        word, each, inline = ("Q", 20, 8) if self.big else ("I", 12, 4)
        start = at or head
        sizes = [len(block) for block in blocks]

        def build(offsets):
            entries = self.directory(offsets, sizes)
            values, table = b"", b""
            table_at = start + (0 if not self.first_data else sum(sizes) + len(self.gap) * len(sizes))
            values_at = table_at + (8 if self.big else 2) + each * len(entries) + inline
            for tag, type_, numbers in entries:
                if isinstance(numbers, bytes):
                    data, count = numbers, len(numbers)
                else:
                    data = b"".join(struct.pack(self.order + CODES[type_], number) for number in numbers)
                    count = len(numbers)
                table += struct.pack(self.order + "HH" + word, tag, type_, count)
                if len(data) <= inline:
                    table += data.ljust(inline, b"\0")
                else:
                    table += struct.pack(self.order + word, values_at + len(values))
                    values += data + bytes(len(data) % 2)
            count = struct.pack(self.order + ("Q" if self.big else "H"), len(entries))
            return table_at, count + table + struct.pack(self.order + word, self.next) + values

        _, dry = build([1 << 20] * len(blocks))
        data_at = start + (0 if self.first_data else len(dry))
        ends = itertools.accumulate((size + len(self.gap) for size in sizes), initial=data_at)
        offsets = list(ends)[: len(sizes)]
        table_at, table = build(offsets)
        data = b"".join(block + self.gap for block in blocks)
        mark = b"II" if self.order == "<" else b"MM"
        header = mark + struct.pack(self.order + "H", 42 if not self.big else 43)
        header += (
            struct.pack(self.order + "HHQ", 8, 0, table_at) if self.big else struct.pack(self.order + "I", table_at)
        )
        return (b"" if at else header) + (data + table if self.first_data else table + data) + self.tail


def samples(kind="grey", depth=8, extra=None, size=(19, 37), signed=False, seed=0):
    """Values [H, W, C] with runs, ramps and noise."""
    rng = np.random.default_rng(seed)
    channels = KINDS[kind] + (extra is not None)
    ramp = np.add.outer(np.arange(size[0]) * 3, np.arange(size[1]))[..., None] * np.arange(1, channels + 1)
    values = (ramp * (1 << max(0, depth - 8)) + rng.integers(0, 3, (*size, channels))) % (1 << depth)
    values[: size[0] // 2, 5:20] = values[0, 0]
    return values - (1 << depth - 1) if signed else values


def as_read(picture):
    """The values that are read of a picture: signed ones from 0 on."""
    shift = 1 << picture.depth - 1 if picture.signed else 0
    return (picture.values + shift).astype(np.uint8 if picture.depth <= 8 else np.uint16)


def check(picture, exact=True):
    """That a picture's samples are read, and its file is made again, as it was or of the same contents."""
    data = picture.file()
    parts = tiff.take_apart(data, MOST)
    kind = {"white": "grey", "lab": "rgb"}.get(picture.kind, picture.kind)
    assert parts.samples.kind == kind + ("+alpha" if picture.extra is not None else "")
    assert parts.samples.depth == picture.depth
    np.testing.assert_array_equal(parts.samples.values, as_read(picture))
    assert parts.exact is exact
    made = b"".join(tiff.put_together(parts.samples, parts.rest))
    assert (made == data) is exact
    bare = tiff.stripped(parts.rest)
    assert tiff.metadata(bare) == []
    for file in (made, b"".join(tiff.put_together(parts.samples, bare))):
        again = tiff.take_apart(file, MOST)
        assert again.samples.same(parts.samples)
        opinion = tiff.second_opinion(file)
        assert opinion is None or opinion.same(parts.samples)
    assert tiff.metadata(tiff.take_apart(made, MOST).rest) == tiff.metadata(parts.rest)
    return parts


@pytest.mark.parametrize("depth", range(1, 17))
@pytest.mark.parametrize("kind", ["grey", "white", "rgb", "palette"])
def test_depths(kind, depth):
    if kind == "palette" and depth > 8:
        pytest.skip("refused, which another test tries")
    check(Picture(samples(kind, depth), kind, depth, rows=4))


@pytest.mark.parametrize("compression", [1, 5, 8, 32946, 32773])
@pytest.mark.parametrize("tile", [None, (16, 32)])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize(("depth", "predictor"), [(8, 1), (8, 2), (16, 1), (16, 2), (12, 1)])
def test_layouts(compression, tile, planar, depth, predictor):
    if predictor == 2 and compression in (1, 32773):
        pytest.skip("refused, which another test tries")
    for order, big in (("<", True), (">", False)):
        values = samples("rgb", depth)
        common = dict(planar=planar, tile=tile, rows=None if tile else 7, order=order, big=big)
        check(Picture(values, "rgb", depth, compression=compression, predictor=predictor, **common))


@pytest.mark.parametrize("order", "<>")
def test_strips_in_another_order(order):
    picture = Picture(samples("rgb"), "rgb", rows=1, order=order)
    data = picture.file()
    (at,) = struct.unpack(
        order + "I", data[(entry := data.find(struct.pack(order + "HHI", 273, 4, 19)) + 8) : entry + 4]
    )
    offsets = np.frombuffer(data, order + "u4", 19, at)
    turned = data[:at] + offsets[::-1].tobytes() + data[at + 76 :]
    parts = tiff.take_apart(turned, MOST)
    np.testing.assert_array_equal(parts.samples.values, picture.values[::-1])
    assert parts.exact and b"".join(tiff.put_together(parts.samples, parts.rest)) == turned


@pytest.mark.parametrize("extra", [0, 1, 2])
@pytest.mark.parametrize("kind", ["grey", "white", "rgb", "palette", "cmyk"])
def test_extra_channels(kind, extra):
    check(Picture(samples(kind, 8, extra), kind, extra=extra))


@pytest.mark.parametrize("depth", [4, 8, 12, 16])
@pytest.mark.parametrize("predictor", [1, 2])
@pytest.mark.parametrize("order", "<>")
def test_signed(depth, predictor, order):
    if predictor == 2 and depth not in (8, 16):
        pytest.skip("refused, which another test tries")
    values = samples("rgb", depth, signed=True)
    assert values.min() < 0 <= values.max()
    check(Picture(values, "rgb", depth, signed=True, predictor=predictor, compression=8, order=order, tile=(16, 16)))


def test_cmyk_and_lab():
    check(Picture(samples("cmyk", 16), "cmyk", 16, planar=True))
    check(Picture(samples("lab", 8), "lab"))


def test_palette_colours():
    wide = Picture(samples("palette", 4), "palette", 4)
    parts = check(wide)
    stored = [i * 257 % 65536 for i in range(48)]
    assert parts.samples.palette.T.reshape(-1).tolist() == [number >> 8 for number in stored]
    narrow = Picture(samples("palette", 2), "palette", 2, changed={320: (3, list(range(12)))})
    assert check(narrow).samples.palette.T.reshape(-1).tolist() == list(range(12))


@pytest.mark.parametrize("padding", [0, "edge", 5])
@pytest.mark.parametrize("depth", [1, 8, 16])
def test_padding_of_tiles(padding, depth):
    value = 1 if padding == 5 and depth == 1 else padding
    for planar in (False, True):
        check(Picture(samples("rgb", depth), "rgb", depth, tile=(16, 16), padding=value, planar=planar))


def test_padding_that_is_noise_is_left_out():
    noise = np.random.default_rng(1)
    picture = Picture(samples(), tile=(64, 64), padding=lambda shape: noise.integers(0, 256, shape))
    check(picture, exact=False)


def test_row_ends():
    picture = Picture(samples(depth=1, size=(40, 33)), depth=1, end=0x55, tile=(16, 13), rows=None)
    check(picture)
    assert len(check(Picture(samples(depth=1, size=(40, 33)), depth=1)).rest) < len(check(picture).rest)


@pytest.mark.parametrize("level", range(10))
def test_deflate_levels(level):
    check(Picture(samples("rgb", size=(60, 90)), "rgb", compression=8, level=level, rows=16))


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "raw"])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_files_of_libtiff(compression, mode):
    rng = np.random.default_rng(2)
    flat = np.kron(rng.integers(0, 256, (20, 15, 3)), np.ones((8, 12, 1), int)) + rng.integers(0, 2, (160, 180, 3))
    pixels = flat.clip(0, 255).astype(np.uint8)
    picture = Image.fromarray(pixels[..., 0].astype(np.uint16) * 200 if mode == "I;16" else pixels)
    picture = picture if mode in ("RGB", "I;16") else picture.convert(mode)
    stream = io.BytesIO()
    picture.save(stream, "TIFF", compression=compression)
    data = stream.getvalue()
    parts = tiff.take_apart(data, MOST)
    truth = np.array(picture).reshape(160, 180, -1)
    np.testing.assert_array_equal(parts.samples.values, truth)
    assert parts.exact and b"".join(tiff.put_together(parts.samples, parts.rest)) == data
    opinion = tiff.second_opinion(data)
    assert opinion is None or opinion.same(parts.samples)


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (300, 400), (800, 500)])
@pytest.mark.parametrize("noise", [1, 3, 256])
def test_lzw_as_libtiff_writes_it(size, noise):
    """Long enough that its encoder clears the table for its ratio, too."""
    rng = np.random.default_rng(noise)
    halves = rng.integers(0, noise, size), rng.integers(0, 256, size) if noise < 256 else np.zeros(size)
    pixels = np.concatenate(halves).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "TIFF", compression="tiff_lzw", tiffinfo={278: 2 * size[0]})
    parts = tiff.take_apart(stream.getvalue(), MOST)
    np.testing.assert_array_equal(parts.samples.values[..., 0], pixels)
    assert parts.exact


def test_lzw_of_another_encoder_than_libtiff():
    parts = check(Picture(samples("rgb", size=(200, 120)), "rgb", compression=5))
    assert parts.samples.values.nbytes > 50_000


PRIVATE = [
    (270, 2, b"a picture\0"),
    (305, 2, b"a writer\0"),
    (700, 1, b"<x:xmpmeta/>"),
    (34675, 7, bytes(range(200))),
    (33550, 12, [1.5, 2.5, 0.0]),
    (34735, 3, [1, 1, 0, 7]),
    (282, 5, [72]),
    (65000, 77, b"type"),  # one that nobody knows
    (65001, 7, b"odd"),
]


def with_tags(**changes):
    return Picture(samples("rgb"), "rgb", tags=PRIVATE, tail=b"bytes behind it all", **changes)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("first_data", [False, True])
@pytest.mark.parametrize("gap", [b"", b"\0", b"between"])
def test_tags_and_bytes_stay(order, first_data, gap):
    parts = check(with_tags(order=order, first_data=first_data, gap=gap, rows=5))
    found = {item.name: item.data for item in tiff.metadata(parts.rest)}
    assert found["ICC profile"] == bytes(range(200))
    assert found["XMP"] == b"<x:xmpmeta/>"
    assert found["ImageDescription"] == b"a picture\0"
    assert found["ModelPixelScale"] == struct.pack(order + "3d", 1.5, 2.5, 0)
    assert found["tag 65001"] == b"odd"
    assert "tag 65000" in found and "XResolution" in found and "GeoKeyDirectory" in found
    assert found["other bytes"].endswith(b"bytes behind it all")


def test_laid_out_anew_all_else_is_the_same():
    """Blocks of an encoder that is not known, in a file with tags, bytes behind it and counts of a short type."""
    rows = np.random.default_rng(3).integers(0, 256, (300, 400, 1))
    picture = with_tags(compression=8, first_data=True, count_type=3, rows=100, gap=b"gap!")
    picture.values, picture.kind = rows, "grey"
    picture.compressed = lambda rows: zlib.compress(b"".join(rows), 1)
    exact = check(picture)

    def odd(rows):
        coder = zlib.compressobj(6)
        data = b"".join(rows)
        return coder.compress(data[:50]) + coder.flush(zlib.Z_SYNC_FLUSH) + coder.compress(data[50:]) + coder.flush()

    picture.compressed = odd
    anew = check(picture, exact=False)
    names = [[item.name for item in tiff.metadata(parts.rest)] for parts in (exact, anew)]
    assert names[0] == names[1]


def test_counts_that_get_too_long_for_their_type():
    noise = np.random.default_rng(3).integers(0, 256, (255, 257, 1))  # 65535 bytes, which deflate makes longer
    rows = noise.copy()
    rows[:2] = 0
    for big in (False, True):
        picture = Picture(np.concatenate([rows, rows]), compression=8, count_type=3, rows=255, big=big)
        parts = tiff.take_apart(picture.file(), MOST)
        assert parts.exact
        worse = parts.samples.values.copy()
        worse[:255] = noise
        changed = type(parts.samples)(worse, 8, "grey")
        made = b"".join(tiff.put_together(changed, parts.rest))
        assert tiff.take_apart(made, MOST).samples.same(changed)
        entry = struct.pack("<HH", 279, 16 if big else 4)
        assert entry in made and entry not in picture.file()


def test_another_zlib_makes_another_file_of_the_same_contents(monkeypatch):
    picture = with_tags(compression=8, rows=5, level=9)
    parts = check(picture)
    real = zlib.compressobj
    monkeypatch.setattr(compressions.zlib, "compressobj", lambda level, *more: real(1, *more))
    made = b"".join(tiff.put_together(parts.samples, parts.rest))
    assert made != picture.file()
    again = tiff.take_apart(made, MOST)
    assert again.samples.same(parts.samples)
    assert tiff.metadata(again.rest) == tiff.metadata(parts.rest)


def pages(order="<", sub=False, **changes):
    """A file of two pages, or of a page with another picture in its SubIFDs."""
    first = Picture(samples("rgb"), "rgb", order=order, next=0 if sub else 1, **changes)
    if sub:
        first.tags.append((330, 4, [1 << 20]))
    at = len(first.file())
    second = Picture(samples("grey", seed=9), order=order, compression=8)
    if sub:
        first.tags[-1] = (330, 4, [at])
    else:
        first.next = at
    return first, first.file() + second.file(at)


@pytest.mark.parametrize("sub", [False, True])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("compression", [1, 5, 8])
def test_other_pages_stay_as_bytes(sub, order, compression):
    first, data = pages(order, sub, compression=compression)
    parts = tiff.take_apart(data, MOST)
    np.testing.assert_array_equal(parts.samples.values, first.values)
    assert parts.exact and b"".join(tiff.put_together(parts.samples, parts.rest)) == data
    found = {item.name: item.data for item in tiff.metadata(parts.rest)}
    assert (
        zlib.compress(b"".join(first.raw_rows(samples("grey", seed=9))))
        in found["picture 1 in SubIFDs" if sub else "page 2"]
    )
    alone = b"".join(tiff.put_together(parts.samples, tiff.stripped(parts.rest)))
    assert tiff.metadata(tiff.take_apart(alone, MOST).rest) == []


def test_a_small_file_has_a_small_rest():
    for compression in (1, 5, 8, 32773):
        data = Picture(samples(size=(16, 16)), compression=compression).file()
        parts = tiff.take_apart(data, MOST)
        assert len(parts.rest) < len(data) and len(zlib.compress(parts.rest, 9)) < 110


def test_many_strips_cost_next_to_nothing():
    parts = check(Picture(samples(size=(3000, 9)), rows=1))
    assert len(zlib.compress(parts.rest, 9)) < 200


def test_an_open_file_can_be_closed_afterwards(tmp_path):
    for compression in (1, 5, 8, 32773):
        data = Picture(samples("rgb", 16), "rgb", 16, compression=compression).file()
        (tmp_path / "picture.tif").write_bytes(data)
        with (
            open(tmp_path / "picture.tif", "rb") as stream,
            mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as held,
        ):
            assert tiff.recognises(held)
            parts = tiff.take_apart(held, MOST)
            opinion = tiff.second_opinion(held)  # tifffile's, where it is installed
            assert opinion is None or opinion.same(parts.samples)
        np.testing.assert_array_equal(parts.samples.values, samples("rgb", 16))


REFUSED = {
    "floating-point": {339: (3, [3])},
    "complex": {339: (3, [6])},
    "32 bits": {258: (3, [32])},
    "different bits per sample": {258: (3, [5, 6, 5])},
    "JPEG": {259: (3, [7])},
    "CCITT Group 4": {259: (3, [4])},
    "JPEG 2000": {259: (3, [34712])},
    "WebP": {259: (3, [50001])},
    "Zstandard": {259: (3, [50000])},
    "LERC": {259: (3, [34887])},
    "JPEG XL": {259: (3, [50002])},
    "number 4711": {259: (3, [4711])},
    "YCbCr": {262: (3, [6])},
    "CFA": {262: (3, [32803])},
    "interpretation 99": {262: (3, [99])},
    "fill order 2": {266: (3, [2])},
    "predictor 3": {317: (3, [3])},
    "a predictor without": {317: (3, [2])},
    "predictor 2 with 12": {317: (3, [2]), 259: (3, [8]), 258: (3, [12])},
    "2 extra channels": {277: (3, [5])},
    "ink set 2": {332: (3, [2]), 262: (3, [5]), 277: (3, [4])},
    "thumbnail": {254: (4, [1])},
    "DNG": {50706: (1, [1, 4, 0, 0])},
    "volume": {32997: (4, [2])},
    "sparse": {279: (4, [0])},
    "palette samples of 16": {262: (3, [3]), 277: (3, [1]), 258: (3, [16])},
    "tiles 70000": {322: (4, [70000]), 323: (4, [16])},
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_read_is_refused_by_name(name):
    with pytest.raises(UnsupportedImage, match=name):
        tiff.take_apart(Picture(samples("rgb"), "rgb", changed=REFUSED[name]).file(), MOST)


DAMAGED = {
    "0 x 19": {256: (4, [0])},
    "no tag 262": {262: None},
    "2 channels where": {277: (3, [2])},
    "beyond": {273: (4, [10**6])},
    "2000000 bytes": {279: (4, [2_000_000])},
    "bytes of samples": {279: (4, [20])},
    "2 strips or tiles where 1": {273: (4, [300, 400])},
    "planar": {284: (3, [3])},
    "0 bits": {258: (3, [0])},
    "names 0": {277: (3, [4]), 338: (3, [0, 0])},
    "each": {278: (3, [10]), 273: (4, [300, 300]), 279: (4, [1200, 1200])},
    "where its page 1 is": {273: (4, [20])},
}


@pytest.mark.parametrize("name", DAMAGED)
def test_what_cannot_be_is_refused_as_damaged(name):
    with pytest.raises(UnreadableImage):
        tiff.take_apart(Picture(samples("rgb"), "rgb", changed=DAMAGED[name], tail=bytes(3000)).file(), MOST)


def test_directories_in_a_circle_are_refused():
    for at in (8, None):
        picture = Picture(samples(), next=8)
        picture.next = at or len(picture.file())
        data = picture.file() if at else picture.file() + Picture(samples(), next=8).file(picture.next)
        with pytest.raises(UnreadableImage, match="circle"):
            tiff.take_apart(data, MOST)


def test_pages_that_share_samples_are_refused():
    first, data = pages()
    shared = Picture(samples(), changed={273: (4, [len(first.file()) - 100])})
    with pytest.raises(UnreadableImage, match="where its page 2 is"):
        tiff.take_apart(first.file() + shared.file(first.next), MOST)
    assert tiff.take_apart(data, MOST).exact


def test_tags_over_each_other_are_refused():
    picture = Picture(samples(size=(20, 9)), rows=5, tags=[(65001, 7, bytes(16))])
    data = picture.file()
    entry = data.find(struct.pack("<HHI", 65001, 7, 16))
    offsets = data.find(struct.pack("<HHI", 273, 4, 4))
    with pytest.raises(UnreadableImage, match="over each other"):
        tiff.take_apart(data[: entry + 8] + data[offsets + 8 : offsets + 12] + data[entry + 12 :], MOST)


def test_too_many_pixels_are_refused_before_anything_is_read():
    data = Picture(samples(), changed={256: (4, [100_000]), 257: (4, [100_000])}).file()
    with pytest.raises(ImageTooLarge, match="100000 x 100000"):
        tiff.take_apart(data, MOST)


def test_a_bomb_is_refused():
    """A few bytes that claim many samples, and deflate that goes on and on."""
    data = Picture(samples(), compression=8, changed={256: (4, [3000]), 257: (4, [3000])}).file()
    with pytest.raises(UnreadableImage, match="bytes of samples"):
        tiff.take_apart(data, MOST)
    picture = Picture(samples(), compression=8)
    picture.compressed = lambda rows: zlib.compress(b"".join(rows) + bytes(10**7))
    with pytest.raises(UnsupportedImage, match="more bytes"):
        tiff.take_apart(picture.file(), MOST)


def test_what_is_no_tiff_is_not_recognised():
    for order, big in itertools.product("<>", (False, True)):
        assert tiff.recognises(Picture(samples(), order=order, big=big).file())
    for data in (b"", b"II", b"II*", b"MM*\0", b"\x89PNG\r\n\x1a\n", b"IIU\0"):
        assert not tiff.recognises(data)
    with pytest.raises(UnreadableImage):
        tiff.take_apart(b"GIF89a..", MOST)


def test_pillow_is_asked_only_where_it_keeps_samples(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tifffile", None)
    asked = {
        "grey": (Picture(samples()), True),
        "rgb": (Picture(samples("rgb"), "rgb", compression=5), True),
        "white": (Picture(samples("white"), "white"), False),
        "planar": (Picture(samples("rgb", 16), "rgb", 16, planar=True), False),
        "turned": (Picture(samples(), changed={274: (3, [6])}), False),
        "signed": (Picture(samples(signed=True), signed=True), False),
        "packed": (Picture(samples(depth=12), depth=12), False),
    }
    for name, (picture, answers) in asked.items():
        found = tiff.second_opinion(picture.file())
        assert (found is not None) is answers, name
        assert found is None or np.array_equal(found.values, as_read(picture))
