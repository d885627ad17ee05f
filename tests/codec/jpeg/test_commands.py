"""Commands on JPEG files: kept byte for byte, described, restored; and what cannot be done says so."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image as Pillow

from codec.cli import cli
from tests.codec.golden import TINY
from tests.codec.jpeg.jpegs import jpeg
from tests.pictures import photograph


def run(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def photo(tmp_path, monkeypatch):
    """A JPEG file's bytes; the file is photo.jpg, and beside it is a.png."""
    monkeypatch.chdir(tmp_path)
    Pillow.fromarray(np.zeros((2, 3, 3), np.uint8)).save("a.png")
    data = jpeg(photograph(40, 56), quality=90)
    Path("photo.jpg").write_bytes(data)
    return data


def test_a_jpeg_is_kept_byte_for_byte(photo):
    result = run("compress", "photo.jpg", "a.png", "--json", "--verify", "--model", str(TINY), "-o", "out/")
    row, other = json.loads(result.stdout)
    size = Path("out/photo.lmc").stat().st_size
    assert row["methods"] == {"JPEG coefficients": 1} and row["model"] is None and other["model"] == "tiny"
    assert (row["input_bytes"], row["bytes"]) == (len(photo), size) and size < len(photo)
    assert row["bpsp"] is None and row["exact"]
    assert "%" in run("compress", "photo.jpg").stdout
    run("decompress", "photo.lmc", "-o", "again.JPG")
    assert Path("again.JPG").read_bytes() == photo
    run("decompress", "out/photo.lmc", "out/a.lmc", "--model", str(TINY))
    assert Path("out/photo.jpg").read_bytes() == photo and Path("out/a.png").exists()
    assert "the bytes of photo.jpg" in run("verify", "photo.lmc", "--against", "photo.jpg").stdout


def test_a_kept_jpeg_is_described(photo):
    run("compress", "photo.jpg")
    (row,) = json.loads(run("info", "photo.lmc", "--json").stdout)
    assert (row["width"], row["height"], row["kind"], row["kept_bytes"]) == (56, 40, None, len(photo))
    assert row["methods"] == {"JPEG coefficients": 1} and row["model_id"] is None
    assert f"of a file of {len(photo)}" in run("info", "photo.lmc").stdout


def test_pixels_of_a_jpeg(photo):
    (row,) = json.loads(run("compress", "photo.jpg", "--pixels", "--model", str(TINY), "--json").stdout)
    assert row["model"] and row["raw_bytes"] == 40 * 56 * 3


def test_an_odd_jpeg_is_stored_with_a_warning(photo):
    Path("cut.jpg").write_bytes(photo[:-100])
    result = run("compress", "cut.jpg")
    assert result.stderr.startswith(
        "lmconv-codec: cut.jpg: warning: stored without its coefficients: a scan is damaged"
    )
    assert run("compress", "cut.jpg", "--force", "-q").stderr == ""
    assert "stored bytes" in run("info", "cut.lmc").stdout
    Path("cut.jpg").unlink()
    assert "stored bytes" in run("decompress", "cut.lmc").stdout
    assert Path("cut.jpg").read_bytes() == photo[:-100]


def test_what_cannot_be_done_with_a_jpeg_says_so(photo):
    Path("arithmetic.jpg").write_bytes(photo.replace(b"\xff\xc0", b"\xff\xc9", 1))
    assert "arithmetically" in run("compress", "arithmetic.jpg", code=1).stderr
    run("compress", "photo.jpg")
    assert "end b.png with .jpg" in run("decompress", "photo.lmc", "-o", "b.png", code=1).stderr
    assert "not the same bytes as a.png" in run("verify", "photo.lmc", "--against", "a.png", code=1).stderr
    assert "more than 100 in all" in run("compress", "photo.jpg", "--max-pixels", "100", "-o", "c.lmc", code=1).stderr
    assert (
        run("decompress", "photo.lmc", "--max-pixels", "100", "-o", "c.jpg", code=1).stderr.count("--max-pixels") == 1
    )
    data = bytearray(Path("photo.lmc").read_bytes())
    data[-9] ^= 1
    Path("damaged.lmc").write_bytes(data)
    assert "does not decode" in run("decompress", "damaged.lmc", code=1).stderr
    assert not Path("damaged.jpg").exists()


def test_a_picture_that_was_a_jpeg(photo):
    planes = (40 + photograph(96, 144, 2) * 0.7).astype(np.uint8)
    Pillow.open(io.BytesIO(jpeg(planes, quality=85))).save("was.png")
    (row,) = json.loads(run("compress", "was.png", "--verify", "--json", "--model", str(TINY)).stdout)
    assert row["methods"] == {"reconstruction": 1} and row["bpsp"] < 1
    assert row["was_jpeg"] == "was a JPEG, quality 85, 4:2:0"
    (about,) = json.loads(run("info", "was.lmc", "--json").stdout)
    assert about["was_jpeg"] == row["was_jpeg"] and about["model_id"] is None
    assert (about["kind"], about["width"], about["kept_bytes"]) == ("rgb", 144, None)
    assert "was a JPEG" in run("info", "was.lmc").stdout
    assert "the bytes of was.png" in run("verify", "was.lmc", "--against", "was.png").stdout
    assert "144 x 96 rgb" in run("verify", "was.lmc", "--against", "a.png", code=1).stderr
    run("decompress", "was.lmc", "-o", "again.png")
    np.testing.assert_array_equal(np.asarray(Pillow.open("again.png")), np.asarray(Pillow.open("was.png")))
    assert "it holds a .png file" in run("decompress", "was.lmc", "-o", "again.jpg", code=1).stderr
    options = "--order", "wavefront", "--force", "--json", "--model", str(TINY)
    assert json.loads(run("compress", "was.png", *options).stdout)[0]["was_jpeg"] is None
