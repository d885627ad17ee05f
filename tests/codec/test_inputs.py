"""Files that people hand in, each through the command line: all samples as they are stored and all bytes back, or a no
that says why."""

import io
import json
import struct
import tracemalloc
import zlib
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image as Pillow

from codec import archive, images
from codec.cli import cli
from codec.format import container
from codec.images.samples import Samples
from tests.codec.images.test_png import (
    COLOUR_TYPES,
    SIGNATURE,
    VARIANTS,
    chunk,
    file,
    header,
    packed,
    scanlines,
    two_flushes,
    values,
)
from tests.codec.images.test_tiff import Picture
from tests.pictures import noise, photograph

MOST = 10**6  # pixels
PIXELS = np.ascontiguousarray(photograph(40, 52).transpose(1, 2, 0))
GREY = PIXELS[..., 0]
FEW16 = (PIXELS.astype(np.uint16) * 257) ^ 3  # at most 256 values in a channel
DEEP16 = FEW16 ^ noise(40, 52).transpose(1, 2, 0)  # and thousands


@dataclass(frozen=True)
class Result:
    """What `compress` says of a file, the samples that were read of it, and what `decompress` made."""

    row: dict
    samples: Samples
    restored: bytes

    @property
    def coded(self) -> bool:
        """Whether samples were coded, not the file kept whole."""
        return self.row["kind"] is not None


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(folder, tiny_bundle):
    def run(command, *arguments, code=0):
        model = [] if command == "info" else ["--model", str(tiny_bundle)]
        result = CliRunner().invoke(cli, [command, *map(str, arguments), *model])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    return run


@pytest.fixture
def there_and_back(run):
    """Compresses files and restores them, all at once: to the same bytes, or to others that say the same."""

    def there_and_back(data: dict[str, bytes], *options: str) -> dict[str, Result]:
        for name, each in data.items():
            Path(name).write_bytes(each)
        compressed = json.loads(run("compress", *data, "-e", "fast", "--json", *options).stdout)
        before = {name: archive.read(Path(name)) for name in data if not name.endswith(".jpg")}
        for name in data:
            Path(name).unlink()
        decompressed = json.loads(run("decompress", *(row["output"] for row in compressed), "--json").stdout)
        assert [row["output"] for row in decompressed] == list(data)
        found = {}
        for row, back in zip(compressed, decompressed):
            name = row["input"]
            assert row["verified"] and back["exact"] in ((True,) if row["exact"] else (None,))
            found[name] = Result(row, before.get(name), Path(name).read_bytes())
            if row["exact"]:
                assert found[name].restored == data[name], name
            else:
                (_, old), (_, new) = (images.take_apart(each, MOST) for each in (data[name], found[name].restored))
                assert old.samples.same(new.samples), name
        return found

    return there_and_back


def saved(picture, kind, **options) -> bytes:
    stream = io.BytesIO()
    Pillow.fromarray(picture).save(stream, kind, **options)
    return stream.getvalue()


def assert_samples(samples: Samples, stored: np.ndarray, kind: str, depth: int) -> None:
    assert (samples.kind, samples.depth) == (kind, depth)
    np.testing.assert_array_equal(samples.values, stored.reshape(samples.values.shape))


def refused(run, name: str, data: bytes, words: str) -> None:
    """One line that has these words, and no output."""
    Path(name).write_bytes(data)
    said = run("compress", name, code=1).stderr
    assert said.startswith(f"lmconv-codec: {name}: ") and len(said.splitlines()) == 1
    assert words in said
    assert not Path(name).with_suffix(".lmc").exists()


# Samples, as they are stored


SAMPLES = {  # file, samples, kind, depth
    "planar.tif": lambda: (Picture(FEW16, "rgb", 16, planar=True).file(), FEW16, "rgb", 16),
    "planar_deep.tif": lambda: (Picture(DEEP16, "rgb", 16, planar=True).file(), DEEP16, "rgb", 16),
    "big_endian.tif": lambda: (Picture(FEW16, "rgb", 16, order=">", rows=7).file(), FEW16, "rgb", 16),
    "grey16.png": lambda: (file(FEW16[..., :1], "grey", 16), FEW16[..., :1], "grey", 16),
    "grey16_deep.png": lambda: (file(DEEP16[..., :1], "grey", 16), DEEP16[..., :1], "grey", 16),
    "rgb16.png": lambda: (file(FEW16, "rgb", 16), FEW16, "rgb", 16),
    "rgb16_deep.png": lambda: (file(DEEP16, "rgb", 16), DEEP16, "rgb", 16),
    "grey2.png": lambda: (file(GREY[..., None] >> 6, "grey", 2), GREY >> 6, "grey", 2),
    "grey4.png": lambda: (file(GREY[..., None] >> 4, "grey", 4), GREY >> 4, "grey", 4),
    "grey2.tif": lambda: (Picture(GREY[..., None] >> 6, "grey", 2).file(), GREY >> 6, "grey", 2),
    "grey4.tif": lambda: (Picture(GREY[..., None] >> 4, "grey", 4).file(), GREY >> 4, "grey", 4),
    "white.tif": lambda: (Picture(GREY[..., None], "white").file(), GREY, "grey", 8),
    "white1.tif": lambda: (Picture(GREY[..., None] >> 7, "white", 1).file(), GREY >> 7, "grey", 1),
    "turned.tif": lambda: (Picture(PIXELS, "rgb", tags=[(274, 3, [6])]).file(), PIXELS, "rgb", 8),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_as_they_are_stored(there_and_back, name):
    data, stored, kind, depth = SAMPLES[name]()
    found = there_and_back({name: data})[name]
    assert_samples(found.samples, stored, kind, depth)
    assert found.coded and found.row["exact"] and (found.row["kind"], found.row["depth"]) == (kind, depth)


@pytest.mark.parametrize(
    ("most", "depth", "step"),
    [(15, 4, 1), (31, 5, 1), (100, 7, 1), (1023, 10, 17), (4096, 13, 64), (1023, 10, 1), (4096, 13, 1)],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_largest_values_of_pnm(there_and_back, most, depth, step, channels):
    """Kept in their own range, not as what 8 or 16 bits would make of them. step: between values that occur."""
    stored = DEEP16[..., :channels].astype(np.int64) * most // 65535 // step * step
    stored[0, 0] = most
    body = stored.astype(">u2" if most > 255 else np.uint8).tobytes()
    data = b"P%d\n52 40\n%d\n" % (5 if channels == 1 else 6, most) + body
    found = there_and_back({"a.pnm": data})["a.pnm"]
    assert found.coded and found.restored == data
    assert_samples(found.samples, stored, "grey" if channels == 1 else "rgb", depth)


@pytest.mark.parametrize("depth", [8, 16])
def test_samples_with_a_sign(there_and_back, run, depth):
    stored = GREY[..., None].astype(np.int16) - 128 << depth - 8
    data = Picture(stored, depth=depth, signed=True).file()
    found = there_and_back({"a.tif": data})["a.tif"]
    assert found.coded and found.restored == data
    assert_samples(found.samples, stored.astype(int) + (1 << depth - 1), "grey", depth)  # in their order
    tifffile = pytest.importorskip("tifffile")
    np.testing.assert_array_equal(tifffile.imread("a.tif"), stored[..., 0])
    assert "they have a sign" in run("decompress", "a.lmc", "-o", "a.png", "--as-png", code=1).stderr


def bmp32(pixels: np.ndarray, masks: bool) -> bytes:
    """Blue, green, red, alpha, the lowest row first; with masks in the header, or without any word of alpha."""
    body = pixels[::-1, :, [2, 1, 0, 3]].tobytes()
    size, height, width = 124 if masks else 40, *pixels.shape[:2]
    fields = struct.pack("<IiiHHIIiiII", size, width, height, 1, 32, 3 if masks else 0, len(body), 2835, 2835, 0, 0)
    if masks:
        fields += struct.pack("<IIII4s", 0xFF0000, 0xFF00, 0xFF, 0xFF000000, b"BGRs")
    return struct.pack("<2sIHHI", b"BM", 14 + size + len(body), 0, 0, 14 + size) + fields.ljust(size, b"\0") + body


@pytest.mark.parametrize("masks", [True, False])
def test_bmp_with_alpha(there_and_back, masks):
    stored = np.dstack([PIXELS, GREY // 64 * 85])
    found = there_and_back({"a.bmp": bmp32(stored, masks)})["a.bmp"]
    assert found.coded and found.row["exact"]
    assert_samples(found.samples, stored, "rgb+alpha", 8)


HIDDEN = np.dstack([noise(24, 30).transpose(1, 2, 0), np.where(np.arange(30) < 25, 0, 200)[None].repeat(24, 0)])
HIDDEN = HIDDEN.astype(np.uint8)
WITH_ALPHA = {
    "a.png": lambda: saved(HIDDEN, "PNG"),
    "a.tif": lambda: saved(HIDDEN, "TIFF"),
    "a.tga": lambda: saved(HIDDEN, "TGA"),
    "a.qoi": lambda: saved(HIDDEN, "QOI"),
    "a.bmp": lambda: bmp32(HIDDEN, True),
    "a.webp": lambda: saved(HIDDEN, "WEBP", lossless=True, exact=True),
}


@pytest.mark.parametrize("name", WITH_ALPHA)
def test_colours_under_alpha_0(there_and_back, name):
    found = there_and_back({name: WITH_ALPHA[name]()})[name]
    assert_samples(found.samples, HIDDEN, "rgb+alpha", 8)
    assert_samples(images.take_apart(found.restored, MOST)[1].samples, HIDDEN, "rgb+alpha", 8)


def test_the_same_samples_in_two_formats(there_and_back):
    """Make the same picture in the compressed file, which then differs in what it says of its source alone."""
    pictures = {
        "rgb": (PIXELS, 8),
        "rgb+alpha": (np.dstack([PIXELS, GREY]), 8),
        "grey": (GREY[..., None] >> 4, 4),
        "rgb16": (FEW16, 16),
    }
    for name, (stored, depth) in pictures.items():
        kind = name.removesuffix("16")
        extra = 2 if kind == "rgb+alpha" else None
        tiff = Picture(stored, kind.removesuffix("+alpha"), depth, extra=extra).file()
        one, other = there_and_back({f"{name}_1.png": file(stored, kind, depth), f"{name}_2.tif": tiff}).values()
        assert one.samples.same(other.samples)
        held = [container.read(Path(f"{name}_{i}.lmc").read_bytes()).held for i in (1, 2)]
        assert held[0] == held[1]


# Sizes


def test_small_pictures_with_alpha(there_and_back):
    sizes = [*((side, side) for side in range(2, 10)), (2, 9), (9, 2), (3, 8), (7, 4)]
    stored = {f"{h}x{w}.png": HIDDEN[:h, 20 : 20 + w] ^ PIXELS[:h, :w, :1] for h, w in sizes}
    data = {name: saved(np.ascontiguousarray(each), "PNG") for name, each in stored.items()}
    for options in ([], ["--strip", "--force"]):  # what is stripped is never kept whole
        found = there_and_back(data, *options)
        for name, each in stored.items():
            assert_samples(found[name].samples, each, "rgb+alpha", 8)
            assert found[name].coded or not options


@pytest.mark.parametrize("lying", [True, False])
def test_as_long_as_it_is_narrow(there_and_back, lying):
    """100 000 pixels in a line: some tiles of a photograph, most of one colour."""
    line = np.full((1, 100_000, 3), (200, 30, 60), np.uint8)
    line[:, 99_000:] = photograph(1, 1000).transpose(1, 2, 0)
    stored = line if lying else line.transpose(1, 0, 2)
    found = there_and_back({"a.png": saved(np.ascontiguousarray(stored), "PNG", compress_level=0)})["a.png"]
    assert found.coded and found.row["exact"] and found.row["methods"]["constant"] > 90
    assert_samples(found.samples, stored, "rgb", 8)


def size_of(stored: np.ndarray) -> int:
    """Of a compressed file, by the model that is shipped and what is usual."""
    path = Path("a.pam")
    kinds = {1: "GRAYSCALE", 2: "GRAYSCALE_ALPHA", 3: "RGB", 4: "RGB_ALPHA"}
    height, width, channels = stored.shape
    head = f"P7\nWIDTH {width}\nHEIGHT {height}\nDEPTH {channels}\nMAXVAL 255\nTUPLTYPE {kinds[channels]}\nENDHDR\n"
    path.write_bytes(head.encode() + np.ascontiguousarray(stored).tobytes())
    result = CliRunner().invoke(cli, ["compress", "a.pam", "--json", "--force", "--no-verify"])
    (row,) = json.loads(result.stdout)
    assert row["kind"] is not None
    return row["bytes"]


def test_channels_that_say_nothing_cost_next_to_nothing(folder):
    colours = photograph(48, 64).transpose(1, 2, 0)
    grey, opaque = colours[..., :1], np.full((48, 64, 1), 255, np.uint8)
    alone, coloured = size_of(grey), size_of(colours)
    assert alone + 1000 < coloured
    needless = {
        "grey as RGB": size_of(np.dstack([grey] * 3)) - alone,
        "red alone": size_of(np.dstack([grey, opaque // 51, opaque // 9])) - alone,
        "blue alone": size_of(np.dstack([opaque // 51, opaque // 9, grey])) - alone,
        "opaque grey": size_of(np.dstack([grey, opaque])) - alone,
        "opaque colours": size_of(np.dstack([colours, opaque])) - coloured,
        "invisible colours": size_of(np.dstack([colours, opaque - opaque])) - coloured,
    }
    assert max(needless.values()) <= 60, needless


# What comes with the samples


CHUNKS = {
    "gAMA": b"\0\0\xb1\x8f",
    "cICP": b"\x09\x10\0\1",
    "pHYs": struct.pack(">IIB", 2835, 2834, 1),
    "eXIf": b"MM\0*\0\0\0\x08\0\0\0\0\0\0",
    "iCCP": b"of a camera\0\0" + zlib.compress(b"profile" * 90, 3),
    "tEXt": b"Comment\0a tiger at noon",
    "iTXt": b"XML:com.adobe.xmp\0\0\0\0\0<x:xmpmeta/>",
    "vpAg": bytes(9),
}


def chunks_of(png: bytes) -> list[tuple[bytes, bytes]]:
    """Types and contents, all IDAT as one."""
    found, at = [], len(SIGNATURE)
    while at < len(png):
        (length,), kind = struct.unpack(">I", png[at : at + 4]), png[at + 4 : at + 8]
        if kind != b"IDAT":
            found.append((kind, png[at + 8 : at + 8 + length]))
        elif b"IDAT" not in {kind for kind, _ in found}:
            found.append((kind, b""))
        at += 12 + length
    return found


@pytest.mark.parametrize("pack", [packed, two_flushes])
def test_chunks_of_a_png(there_and_back, run, pack):
    """Byte for byte and in their places, also where the file is packed otherwise."""
    before = b"".join(chunk(kind.encode(), body) for kind, body in CHUNKS.items())
    after = chunk(b"tEXt", b"Author\0somebody") + chunk(b"tIME", bytes(7))
    data = file(PIXELS, "rgb", 8, before=before, after=after, pack=pack)
    found = there_and_back({"a.png": data})["a.png"]
    assert found.coded and found.row["exact"] is (pack is packed)
    assert chunks_of(found.restored) == chunks_of(data)
    assert found.row["kept"] == ["gAMA", "cICP", "pHYs", "EXIF", "ICC profile", "text", "XMP", "vpAg", "tIME"]
    (about,) = json.loads(run("info", "a.lmc", "--json").stdout)
    named = [(kind.decode(), len(body)) for kind, body in chunks_of(data) if kind not in (b"IHDR", b"IDAT", b"IEND")]
    names = {"eXIf": "EXIF", "iCCP": "ICC profile", "tEXt": "text", "iTXt": "XMP"}
    assert about["kept"] == [[names.get(kind, kind), size] for kind, size in named]


def test_bytes_behind_the_end_of_a_png(there_and_back):
    for after in (b"\0", b"\r\n", SIGNATURE, bytes(range(256)) * 9):
        data = saved(PIXELS, "PNG") + after
        found = there_and_back({"a.png": data}, "--force")["a.png"]
        assert found.coded and found.restored == data and "data after the end" in found.row["kept"]
        Path("a.png").unlink()


def test_geographic_tags(there_and_back):
    tags = [
        (33550, 12, [0.5, 0.25, 0.0]),
        (33922, 12, [0.0, 0.0, 0.0, 440720.0, 100000.0, 0.0]),
        (34735, 3, [1, 1, 0, 2, 1024, 0, 1, 1, 1026, 34737, 7, 0]),
        (34736, 12, [6378137.0, 298.257223563]),
        (34737, 2, b"WGS 84|\0"),
        (42112, 2, b"<GDALMetadata/>\0"),
        (42113, 2, b"-9999\0"),
    ]
    found = there_and_back({"a.tif": Picture(GREY[..., None], tags=tags, compression=8).file()})["a.tif"]
    assert found.coded and found.row["exact"]
    geographic = {"ModelPixelScale", "ModelTiepoint", "GeoKeyDirectory", "GeoDoubleParams", "GeoAsciiParams"}
    assert geographic | {"GDAL_METADATA", "GDAL_NODATA"} <= set(found.row["kept"])
    with Pillow.open("a.tif") as restored:
        assert restored.tag_v2[33922] == (0, 0, 0, 440720, 100000, 0) and restored.tag_v2[42113] == "-9999"


@pytest.mark.parametrize("strip", [False, True])
def test_an_orientation_is_said_and_not_done(there_and_back, strip):
    """Also of a stripped picture: it says how the samples are to be shown."""
    data = Picture(PIXELS, "rgb", tags=[(274, 3, [6]), (305, 2, b"a scanner\0")]).file()
    found = there_and_back({"a.tif": data}, *["--strip"] * strip)["a.tif"]
    assert_samples(found.samples, PIXELS, "rgb", 8)
    with Pillow.open("a.tif") as restored:
        assert restored.tag_v2[274] == 6 and (305 in restored.tag_v2) is not strip


@pytest.mark.parametrize("kind", ["tEXt", "zTXt", "iTXt"])
def test_a_text_of_megabytes(there_and_back, kind):
    rng = np.random.default_rng(0)
    text = bytes(rng.choice(np.frombuffer(b"abcdef ", np.uint8), 1_100_000))
    body = {"tEXt": b"Raw\0" + text, "zTXt": b"Raw\0\0" + zlib.compress(text, 1), "iTXt": b"Raw\0\0\0\0\0" + text}[kind]
    data = file(PIXELS, "rgb", 8, before=chunk(kind.encode(), body))
    found = there_and_back({"a.png": data})["a.png"]
    assert found.coded and found.row["exact"] and found.row["kept"] == ["text"]


BOMBS = {
    "zTXt": b"Comment\0\0",
    "iTXt": b"XML:com.adobe.xmp\0\1\0\0\0",
    "iCCP": b"profile\0\0",
}


@cache
def bomb() -> bytes:
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(2**20)) for _ in range(100)) + packer.flush()


@pytest.mark.parametrize("kind", BOMBS)
def test_what_would_unpack_to_very_much_stays_packed(there_and_back, run, kind):
    data = file(PIXELS, "rgb", 8, before=chunk(kind.encode(), BOMBS[kind] + bomb()))
    there_and_back({"first.png": file(PIXELS, "rgb", 8)})  # what is loaded once is
    tracemalloc.start()
    try:
        found = there_and_back({"a.png": data})["a.png"]
        run("info", "a.lmc")
        run("verify", "a.lmc", "--against", "a.png")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.coded and found.row["exact"] and len(bomb()) > 90_000
    assert peak < 2**25


# Every variant of a PNG

TRANSPARENT = {"grey": b"\0\1", "rgb": b"\0\1\0\2\0\3", "palette": bytes(range(0, 255, 20))}
MORE = chunk(b"gAMA", CHUNKS["gAMA"]), chunk(b"pHYs", CHUNKS["pHYs"]) + chunk(b"tEXt", CHUNKS["tEXt"])
PACKS = packed, lambda rows: packed(rows, 0), two_flushes
PAIRS = [(kind, depth, few) for kind, depth in VARIANTS for few in ((True, False) if depth == 16 else (True,))]


@pytest.mark.parametrize(("kind", "depth", "few"), PAIRS)
def test_every_variant_of_a_png(there_and_back, kind, depth, few):
    """Interlaced or not, with a transparent colour or not, with chunks or without, packed as is usual or not. few: of
    at most 256 values."""
    stored = values(kind, depth, 16, 18)
    if depth == 16 and few:
        stored = stored >> 8 << 8
    data, exact = {}, {}
    for interlaced, transparent, more in product((False, True), (False, True), (False, True)):
        if transparent and kind not in TRANSPARENT:
            continue
        colour = TRANSPARENT.get(kind, b"")[: 1 << depth]
        before = MORE[0] * more + (b"" if kind != "palette" else chunk(b"PLTE", bytes(range(3 << min(depth, 4)))))
        before += chunk(b"tRNS", colour) * transparent + MORE[1] * more
        name, pack = f"{len(data)}.png", PACKS[len(data) % len(PACKS)]
        data[name] = file(stored, kind, depth, interlaced, before, pack=pack)
        exact[name] = pack is not two_flushes
    for name, found in there_and_back(data).items():
        assert_samples(found.samples, stored, kind, depth)
        assert found.row["exact"] is exact[name] or not found.coded
        if not found.row["exact"]:
            assert chunks_of(found.restored) == chunks_of(data[name])  # size, palette, transparent colour and all
            assert_samples(images.take_apart(found.restored, MOST)[1].samples, stored, kind, depth)
        assert found.coded or len(data[name]) < 1000


SMALL = values("rgb", 8)
ROWS = scanlines(SMALL, 8, False, lambda row: 0)


def png(start=SIGNATURE, head=None, image=None, end=chunk(b"IEND", b"")) -> bytes:
    head = header(13, 11, 8, COLOUR_TYPES["rgb"]) if head is None else head
    return start + head + (chunk(b"IDAT", packed(ROWS)) if image is None else image) + end


def damaged(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


BROKEN = {
    "not a PNG": (png(b"\x98PNG\r\n\x1a\n"), "no picture in a format that is read"),
    "line ends": (png(b"\x89PNG\n\x1a\n"), "no picture in a format that is read"),
    "no depth": (png(head=header(13, 11, 0, 2)), "0 bits"),
    "3 bits": (png(head=header(13, 11, 3, 2)), "3 bits"),
    "99 bits": (png(head=header(13, 11, 99, 2)), "99 bits"),
    "colour type 1": (png(head=header(13, 11, 8, 1)), "colour type 1"),
    "colour type 9": (png(head=header(13, 11, 8, 9)), "colour type 9"),
    "no rows": (png(head=header(13, 0, 8, 2)), "13 x 0"),
    "interlaced by 2": (png(head=header(13, 11, 8, 2, 2)), "interlac"),
    "header's checksum": (png(head=damaged(header(13, 11, 8, 2))), "IHDR at byte 8 is not as its CRC says"),
    "image's checksum": (png(image=damaged(chunk(b"IDAT", packed(ROWS)))), "IDAT at byte 33 is not as its CRC says"),
    "no image": (png(image=b""), "IDAT"),
    "no end": (png(end=b""), "ends"),
    "cut": (png()[:90], "IDAT at byte 33 is cut off"),
    "filter 5": (png(image=chunk(b"IDAT", packed(b"\5" + ROWS[1:]))), "filter"),
    "a palette that is not there": (png(head=header(39, 11, 8, 3)), "PLTE is missing"),
    "rows too many": (png(image=chunk(b"IDAT", packed(ROWS * 2))), "image data"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_pngs(run, name):
    data, words = BROKEN[name]
    refused(run, "a.png", data, words)


def test_a_png_with_20_of_30_rows(run):
    whole = np.ascontiguousarray(photograph(30, 40).transpose(1, 2, 0))
    rows = scanlines(whole[:20], 8, False, lambda row: row % 5)
    data = png(head=header(40, 30, 8, 2), image=chunk(b"IDAT", packed(rows)))
    refused(run, "a.png", data, "image data ends 1210 bytes too early")  # of 121 a row


# Damaged JPEGs


def damaged_jpegs() -> dict[str, bytes]:
    data = saved(np.ascontiguousarray(noise(80, 90).transpose(1, 2, 0)), "JPEG")
    middle = len(data) // 2
    return {
        "cut.jpg": data[:middle],
        "cut_behind_the_header.jpg": data[: data.index(b"\xff\xda") + 20],
        "without_an_end.jpg": data[:-2],
        "zeroed.jpg": data[:middle] + bytes(200) + data[middle + 200 :],
        "zeroed_to_the_end.jpg": data[:middle] + bytes(len(data) - middle),
        "middle_gone.jpg": data[:middle] + data[middle + 200 :],
    }


def test_damaged_jpegs_come_back_as_they_are(there_and_back):
    data = damaged_jpegs()
    for name, found in there_and_back(data).items():
        assert found.row["exact"] and found.restored == data[name]
        assert found.row["bytes"] <= len(data[name]) + 60


@pytest.mark.parametrize("name", damaged_jpegs())
def test_the_pixels_of_a_damaged_jpeg_are_refused(run, name):
    Path("a.jpg").write_bytes(damaged_jpegs()[name])
    said = run("compress", "a.jpg", "--pixels", code=1).stderr
    assert said.startswith("lmconv-codec: a.jpg: ") and len(said.splitlines()) == 1
