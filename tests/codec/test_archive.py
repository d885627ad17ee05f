"""Files through the command line and back: the same bytes, or the same samples and metadata, or a clear no."""

import io
import json
import os
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image as Pillow

from codec import archive, images
from codec.archive import Wishes
from codec.cli import cli
from codec.errors import CodecError, PixelsDiffer, UnreadableImage, UnsupportedImage
from codec.format import container
from codec.format.kept import STORED
from codec.format.source import SourceFile
from codec.images.samples import Samples
from tests.pictures import noise, photograph, screen

PIXELS = np.ascontiguousarray(photograph(40, 52).transpose(1, 2, 0))


def saved(picture, kind, **options) -> bytes:
    stream = io.BytesIO()
    image = picture if isinstance(picture, Pillow.Image) else Pillow.fromarray(picture)
    image.save(stream, kind, **options)
    return stream.getvalue()


def with_chunk(png: bytes, kind: bytes, body: bytes, before: bytes = b"IDAT") -> bytes:
    """A PNG with one more chunk before the first of that type."""
    at = png.index(before) - 4
    return png[:at] + struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) + png[at:]


def otherwise_packed(png: bytes) -> bytes:
    """The same PNG, packed as no usual program does: flushed in the middle."""
    at = png.index(b"IDAT")
    (length,) = struct.unpack(">I", png[at - 4 : at])
    rows = zlib.decompress(png[at + 4 : at + 4 + length])
    packer = zlib.compressobj(9)
    stream = packer.compress(rows[:77]) + packer.flush(zlib.Z_FULL_FLUSH) + packer.compress(rows[77:]) + packer.flush()
    chunk = b"IDAT" + stream
    return (
        png[: at - 4]
        + struct.pack(">I", len(stream))
        + chunk
        + struct.pack(">I", zlib.crc32(chunk))
        + png[at + 8 + length :]
    )


def palette_picture() -> Pillow.Image:
    image = Pillow.fromarray(np.ascontiguousarray(screen(40, 52)[0] // 37))
    image = image.convert("P")
    image.putpalette([value for colour in range(8) for value in (colour * 30, 255 - colour * 20, colour * 7 % 256)])
    return image


GREY16 = (PIXELS[..., 0].astype(np.uint16) * 257) ^ 3
FILES = {
    "rgb.png": lambda: saved(PIXELS, "PNG"),
    "grey.png": lambda: saved(PIXELS[..., 0], "PNG", compress_level=9),
    "grey_alpha.png": lambda: saved(PIXELS[..., :2], "PNG"),
    "alpha.png": lambda: saved(np.dstack([PIXELS, PIXELS[..., 0] // 64 * 85]), "PNG"),
    "bits.png": lambda: saved(Pillow.fromarray(PIXELS[..., 0] > 120), "PNG"),
    "palette.png": lambda: saved(palette_picture(), "PNG", bits=4, transparency=3),
    "profile.png": lambda: saved(PIXELS, "PNG", icc_profile=b"profile" * 99, dpi=(300, 300)),
    "text.png": lambda: with_chunk(saved(PIXELS, "PNG"), b"tEXt", b"Comment\0a long story" * 9),
    "private.png": lambda: with_chunk(saved(PIXELS, "PNG"), b"prVt", bytes(range(256))) + b"after the end",
    "deep.png": lambda: saved(Pillow.fromarray(GREY16), "PNG"),
    "other.png": lambda: otherwise_packed(saved(PIXELS, "PNG")),
    "rgb.tif": lambda: saved(PIXELS, "TIFF", compression="tiff_deflate"),
    "lzw.tiff": lambda: saved(PIXELS, "TIFF", compression="tiff_lzw"),
    "cmyk.tif": lambda: saved(Pillow.fromarray(PIXELS).convert("CMYK"), "TIFF"),
    "deep.tif": lambda: saved(Pillow.fromarray(GREY16), "TIFF"),
    "rgb.bmp": lambda: saved(PIXELS, "BMP"),
    "palette.bmp": lambda: saved(palette_picture(), "BMP"),
    "rgb.ppm": lambda: saved(PIXELS, "PPM"),
    "deep.pgm": lambda: b"P5\n# a comment\n52 40\n4096\n" + (GREY16 % 4097).astype(">u2").tobytes(),
    "rgb.qoi": lambda: saved(PIXELS, "QOI"),
    "rgb.tga": lambda: saved(PIXELS, "TGA", compression="tga_rle"),
    "palette.gif": lambda: saved(palette_picture(), "GIF", comment=b"made here"),
    "rgb.webp": lambda: saved(PIXELS, "WEBP", lossless=True, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0"),
    "photo.jpg": lambda: saved(PIXELS, "JPEG", quality=90),
    "odd.jpeg": lambda: saved(PIXELS, "JPEG", quality=90)[:-40],
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(tiny_bundle):
    def run(command, *arguments, code=0):
        model = [] if command == "info" else ["--model", str(tiny_bundle)]
        result = CliRunner().invoke(cli, [command, *map(str, arguments), *model])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    return run


@pytest.fixture
def put(tiny_model):
    """Archives the bytes of a file of that name."""

    def put(name, data, **wishes):
        Path(name).write_bytes(data)
        return archive.archive(Path(name), lambda samples: [tiny_model], Wishes(**wishes))

    return put


@pytest.mark.parametrize("name", FILES)
def test_a_file_comes_back(folder, run, name):
    data, path = FILES[name](), folder / name
    path.write_bytes(data)
    os.utime(path, ns=(10**18 + 1, 10**18 + 1))
    os.chmod(path, 0o604)
    (row,) = json.loads(run("compress", name, "--json").stdout)
    packed = path.with_suffix(".lmc")
    (about,) = json.loads(run("info", packed.name, "--json").stdout)
    assert row["exact"] == about["exact"] and row["verified"]
    assert f"of {name}" in run("verify", packed.name, "--against", name).stdout
    path.rename("original")
    (back,) = json.loads(run("decompress", packed.name, "--json").stdout)
    assert back["output"] == name
    restored = path.read_bytes()
    assert path.stat().st_mtime_ns == 10**18 + 1 and path.stat().st_mode & 0o777 == 0o604
    assert back["exact"] in ((True,) if row["exact"] else (None,))
    if row["exact"]:
        assert restored == data
        return
    (kind, before), (again, after) = (images.take_apart(each, 10**6) for each in (data, restored))
    module = images.module_of(kind)
    assert kind == again and before.samples.same(after.samples)
    assert module.metadata(before.rest) == module.metadata(after.rest)


def test_most_files_come_back_byte_for_byte(put, folder):
    inexact = {name for name, make in FILES.items() if not put(name, make()).exact}
    assert inexact <= {"other.png", "rgb.webp", "lzw.tiff", "rgb.tif"}
    assert "other.png" in inexact


@pytest.mark.parametrize("name", [name for name in FILES if not name.startswith(("photo", "odd"))])
def test_stripped_files_have_the_same_samples(folder, run, name):
    Path(name).write_bytes(FILES[name]())
    before = archive.read(Path(name))
    (row,) = json.loads(run("compress", name, "--strip", "--json").stdout)
    packed = Path(name).with_suffix(".lmc").name
    (about,) = json.loads(run("info", packed, "--json").stdout)
    assert about["stripped"] and not about["kept"] and not row["kept"]
    run("decompress", packed, "--force")
    assert before.same(archive.read(Path(name)))
    assert not archive.metadata_of(put_again(name))


def put_again(name):
    """What a file would say, taken apart once more."""
    kind, parts = images.take_apart(Path(name).read_bytes(), 10**6)
    source = SourceFile(format=kind, rest=parts.rest)
    return container.Contents(None, source=source)


def test_exact_files_or_none(put, folder):
    assert put("a.png", FILES["rgb.png"](), exact=True).exact
    with pytest.raises(UnsupportedImage, match="leave --exact-file"):
        put("b.png", FILES["other.png"](), exact=True)


LOSSY = {"a.webp": ("WEBP", "a lossy WebP"), "a.avif": ("AVIF", "an AVIF")}


@pytest.mark.parametrize("name", LOSSY)
def test_lossy_files_are_refused_with_both_sizes(folder, run, name):
    data = saved(PIXELS, LOSSY[name][0], quality=50)
    Path(name).write_bytes(data)
    said = run("compress", name, code=1).stderr
    assert LOSSY[name][1] in said and f"of {len(data)} bytes" in said and f"some {40 * 52 * 9 // 8} bytes" in said
    run("compress", name, "--pixels")
    run("decompress", "a.lmc")
    with Pillow.open("a.png") as back, Pillow.open(name) as original:
        np.testing.assert_array_equal(np.asarray(back), np.asarray(original))


def test_pixels_of_a_jpeg_come_with_its_profile_and_exif(folder, run):
    exif = Pillow.Exif()
    exif[0x010E] = "a tiger"
    Path("a.jpg").write_bytes(saved(PIXELS, "JPEG", exif=exif, icc_profile=b"profile" * 30))
    (row,) = json.loads(run("compress", "a.jpg", "--pixels", "--json").stdout)
    assert {"ICC profile", "EXIF"} <= set(row["kept"])
    run("decompress", "a.lmc")
    with Pillow.open("a.png") as back, Pillow.open("a.jpg") as original:
        np.testing.assert_array_equal(np.asarray(back), np.asarray(original))
        assert back.getexif()[0x010E] == "a tiger" and back.info["icc_profile"] == b"profile" * 30


@pytest.mark.parametrize("cut", ["end", "zeroed"])
def test_a_damaged_jpeg_is_kept_and_never_repaired(folder, run, cut):
    data = bytearray(saved(np.ascontiguousarray(noise(80, 90).transpose(1, 2, 0)), "JPEG"))
    if cut == "end":
        del data[len(data) // 2 :]
    else:
        data[len(data) // 2 : len(data) // 2 + 200] = bytes(200)
    Path("a.jpg").write_bytes(data)
    run("compress", "a.jpg")
    Path("a.jpg").unlink()
    run("decompress", "a.lmc")
    assert Path("a.jpg").read_bytes() == data
    assert run("compress", "a.jpg", "--pixels", "--force", code=1).stderr.startswith("lmconv-codec: a.jpg: ")


def test_a_file_that_is_smaller_as_it_is(put, folder):
    rng = np.random.default_rng(0)
    data = saved(rng.integers(0, 256, (1, 1, 3), dtype=np.uint8), "PNG")
    found = put("dot.png", data)
    assert found.exact and len(found.data) < len(data) + 40
    if found.contents.kept is not None:
        assert found.contents.kept.form == STORED and archive.suffix_of(found.contents) == ".png"


def test_two_programs_that_read_other_samples(put, folder, monkeypatch):
    wrong = Samples.of(PIXELS[::-1].copy())
    monkeypatch.setattr(images.module_of("png"), "second_opinion", lambda data: wrong)
    with pytest.raises(UnreadableImage, match="two programs read other samples of this png"):
        put("a.png", FILES["rgb.png"]())


def test_a_rest_that_makes_another_file(put, folder, monkeypatch):
    module = images.module_of("png")
    made = module.put_together
    monkeypatch.setattr(module, "put_together", lambda samples, rest: [*made(samples, rest), b"more"])
    with pytest.raises(PixelsDiffer, match="is another one"):
        put("a.png", FILES["rgb.png"]())
    with pytest.raises(CodecError):
        put("b.png", FILES["other.png"]())
    assert put("a.png", FILES["rgb.png"](), verify=False).exact


def test_another_format_needs_to_be_asked_for(folder, run):
    Path("a.tif").write_bytes(FILES["rgb.tif"]())
    run("compress", "a.tif")
    said = run("decompress", "a.lmc", "-o", "b.png", code=1).stderr
    assert "it holds a .tif file: end b.png with .tif or .tiff, or write a new PNG with --as-png" in said
    run("decompress", "a.lmc", "-o", "b.png", "--as-png")
    np.testing.assert_array_equal(np.asarray(Pillow.open("b.png")), PIXELS)


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.tif", saved(Pillow.fromarray(PIXELS[..., 0]), "TIFF", tiffinfo={262: 0}), "0 is white"),
        ("a.pgm", b"P5\n52 40\n100\n" + (PIXELS[..., 0] // 3).tobytes(), "the largest is 100"),
        ("a.pbm", b"P4\n48 40\n" + np.packbits(PIXELS[:, :48, 0] > 120).tobytes(), "1 is black"),
        ("cmyk.tif", FILES["cmyk.tif"](), "is not composed of cmyk"),
    ],
)
def test_a_png_that_would_show_something_else(folder, run, name, data, reason):
    Path(name).write_bytes(data)
    run("compress", name)
    packed = Path(name).with_suffix(".lmc").name
    assert reason in run("decompress", packed, "-o", "b.png", "--as-png", code=1).stderr
    run("decompress", packed, "--force")
    assert Path(name).read_bytes() == data


def test_the_name_comes_back(folder, run):
    for name in ("UPPER.PNG", "a.b.png", "noending", "x.jpe"):
        Path(name).write_bytes(FILES["photo.jpg" if name == "x.jpe" else "rgb.png"]())
        before = Path(name).read_bytes()
        run("compress", name)
        Path(name).unlink()
        run("decompress", Path(name).with_suffix(".lmc").name)
        assert Path(name).read_bytes() == before


def test_a_crop(folder, run):
    Path("a.png").write_bytes(FILES["rgb.png"]())
    run("compress", "a.png")
    run("decompress", "a.lmc", "--crop", "7,3,20,11", "-o", "c.png")
    np.testing.assert_array_equal(np.asarray(Pillow.open("c.png")), PIXELS[3:14, 7:27])
    assert (
        "is not within 52 x 40 pixels"
        in run("decompress", "a.lmc", "--crop", "40,3,20,11", "-o", "d.png", code=2).stderr
    )


def test_salvage(folder, run, tiny_model):
    wide = np.ascontiguousarray(photograph(3, 2100).transpose(1, 2, 0))
    Path("a.png").write_bytes(saved(wide, "PNG"))
    run("compress", "a.png")
    data = bytearray(Path("a.lmc").read_bytes())
    picture = container.read(bytes(data)).picture
    sizes = [len(tile.payload) for tile in picture.tiles]
    data[-sizes[2] - 5] ^= 1  # in the second of three
    Path("a.lmc").write_bytes(data)
    assert "column 700, row 0" in run("verify", "a.lmc", code=1).stderr
    run("decompress", "a.lmc", "-o", "b.png", code=1)
    assert not Path("b.png").exists()
    result = run("decompress", "a.lmc", "-o", "b.png", "--salvage", "--json", code=1)
    (row,) = json.loads(result.stdout)
    assert len(row["lost"]) == 1 and "column 700" in row["lost"][0] and "lost: 700 x 3 pixels" in result.stderr
    back = np.asarray(Pillow.open("b.png"))
    assert (back[:, 700:1400] == 0).all()
    np.testing.assert_array_equal(back[:, :700], wide[:, :700])
    np.testing.assert_array_equal(back[:, 1400:], wide[:, 1400:])
    Path("a.lmc").write_bytes(data[: -sizes[2]])
    (row,) = json.loads(run("decompress", "a.lmc", "-o", "c.png", "--salvage", "--json", code=1).stdout)
    assert len(row["lost"]) == 2


DAMAGES = {
    "checksum": lambda body: None,
    "format": lambda body: b"\x63" + body[1:],
    "flags": lambda body: b"\1\xff" + body[2:],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_pictures_outlive_what_is_said_of_their_files(folder, run, damage):
    Path("a.png").write_bytes(FILES["rgb.png"]())
    run("compress", "a.png")
    data = Path("a.lmc").read_bytes()
    length, body = data[5], data[6 : 6 + data[5]]
    assert data[4:5] == b"f" and length < 128
    wrong = DAMAGES[damage](body)
    chunk = data[4 : 6 + length] if wrong is None else data[4:6] + wrong
    crc = zlib.crc32(chunk) ^ (wrong is None)
    Path("b.lmc").write_bytes(data[:4] + chunk + crc.to_bytes(4, "little") + data[10 + length :])
    for command in (("decompress", "b.lmc", "-o", "b.png"), ("verify", "b.lmc"), ("info", "b.lmc")):
        run(*command, code=1)
    assert not Path("b.png").exists()
    result = run("decompress", "b.lmc", "-o", "b.png", "--salvage", "--json", code=1)
    assert json.loads(result.stdout)[0]["lost"] == ["what came with the samples"]
    np.testing.assert_array_equal(np.asarray(Pillow.open("b.png")), PIXELS)


def test_chunks_of_newer_programs(folder, run):
    Path("a.png").write_bytes(FILES["rgb.png"]())
    run("compress", "a.png")
    data = Path("a.lmc").read_bytes()

    def with_type(kind):
        chunk = kind + bytes([3]) + b"new"
        return data[:4] + chunk + zlib.crc32(chunk).to_bytes(4, "little") + data[4:]

    Path("b.lmc").write_bytes(with_type(b"x"))
    run("decompress", "b.lmc", "-o", "b.png")
    (about,) = json.loads(run("info", "b.lmc", "--json").stdout)
    assert about["chunks"] == ["x"] and Path("b.png").read_bytes() == Path("a.png").read_bytes()
    Path("c.lmc").write_bytes(with_type(b"X"))
    assert "which a newer version of this program reads" in run("decompress", "c.lmc", "-o", "c.png", code=1).stderr


def test_a_hostile_rest_is_a_clear_error(put, folder, tiny_model):
    found = put("a.png", FILES["text.png"]())
    rng, source = np.random.default_rng(1), found.contents.source
    samples = found.samples
    for _ in range(300):
        rest = bytearray(source.rest)
        rest[rng.integers(len(rest))] = rng.integers(256)
        contents = replace(found.contents, source=replace(source, rest=bytes(rest)))
        try:
            made = b"".join(archive.pieces_of(contents.source, samples))
        except CodecError:
            continue
        assert len(made) < 10**6
