"""The plugin for Pillow: what its own tests ask of a format, and that an image is as the original file's."""

import io
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile, UnidentifiedImageError

import codec
import codec.pillow
from codec import models
from tests.codec.golden import TINY
from tests.codec.test_archive import FILES
from tests.pictures import photograph

MODEL = str(TINY)
PIXELS = np.ascontiguousarray(photograph(20, 33).transpose(1, 2, 0))


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """The tiny model in place of the shipped ones."""
    load = models.load
    monkeypatch.setattr(models, "load", lambda bundle, threads=0: load(TINY, 1))
    monkeypatch.setattr(models, "find", lambda model_id, extra: TINY)


def kept(data: bytes) -> io.BytesIO:
    return io.BytesIO(codec.encode(data))


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "x.lmc"
    Image.fromarray(PIXELS).save(path)
    return path


@pytest.fixture
def no_decoding(monkeypatch):
    """Nothing may be decoded."""

    def decode(*_, **__):
        raise AssertionError("decoded")

    monkeypatch.setattr(codec.pillow, "decode", decode)


def test_open(path):
    with Image.open(path) as image:
        assert isinstance(image, codec.pillow.LmcImageFile)
        assert (image.format, image.size, image.mode) == ("LMC", (33, 20), "RGB")
        assert Image.MIME[image.format] == image.get_format_mimetype() == "image/x-lmc"
        np.testing.assert_array_equal(np.asarray(image), PIXELS)
    assert Image.registered_extensions()[".lmc"] == "LMC"


def test_opening_decodes_nothing(path, no_decoding):
    with Image.open(path) as image:
        assert image.size == (33, 20)
        with pytest.raises(AssertionError, match="decoded"):
            image.load()


@pytest.mark.parametrize("name", FILES)
def test_an_image_is_as_the_original(name):
    before = FILES[name]()
    original = Image.open(io.BytesIO(before))
    with Image.open(kept(before)) as image:
        assert (image.size, image.mode) == (original.size, original.mode)
        told = {key: value for key, value in original.info.items() if key != "version"}
        assert {key: value for key, value in image.info.items() if key != "version"} == told
        if name == "odd.jpeg":  # neither is decoded
            for each in (image, original):
                with pytest.raises(OSError, match="truncated"):
                    each.load()
            return
        image.load(), original.load()
        assert (image.size, image.mode, image.info) == (original.size, original.mode, original.info)
        assert image.tobytes() == original.tobytes() and image.getpalette() == original.getpalette()


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_a_jpeg(mode, no_decoding):
    stream = io.BytesIO()
    Image.fromarray(PIXELS).convert(mode).save(stream, "JPEG", dpi=(300, 300), exif=b"Exif\0\0II*\0rest")
    with Image.open(stream) as original, Image.open(kept(stream.getvalue())) as image:
        assert (image.size, image.mode, image.info) == (original.size, original.mode, original.info)


def test_a_jpeg_is_decoded():
    stream = io.BytesIO()
    Image.fromarray(PIXELS).save(stream, "JPEG")
    with Image.open(stream) as original, Image.open(kept(stream.getvalue())) as image:
        np.testing.assert_array_equal(np.asarray(image), np.asarray(original))


def test_metadata_and_settings(tmp_path):
    exif = Image.Exif()
    exif[0x010E] = "described"
    image = Image.fromarray(PIXELS)
    image.info["icc_profile"] = b"profile"
    image.save(tmp_path / "x.lmc", effort="fast", exif=exif, dpi=(300, 300), xmp=b"<x:xmpmeta/>")
    assert "exif" not in image.info
    with Image.open(tmp_path / "x.lmc") as found:
        assert found.info["icc_profile"] == b"profile" and found.getexif()[0x010E] == "described"
        assert found.info["xmp"] == b"<x:xmpmeta/>" and round(found.info["dpi"][0]) == 300
        np.testing.assert_array_equal(np.asarray(found), PIXELS)
        found.save(tmp_path / "again.lmc")
    with Image.open(tmp_path / "again.lmc") as again:
        assert again.info["icc_profile"] == b"profile" and again.getexif()[0x010E] == "described"


def test_streams_and_modes():
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK"):
        before, stream = Image.fromarray(PIXELS).convert(mode), io.BytesIO()
        before.save(stream, "LMC")
        stream.seek(0)
        after = Image.open(stream)
        assert after.mode == mode and after.tobytes() == before.tobytes()
    for mode in ("F", "HSV", "LAB"):
        with pytest.raises(OSError, match=f"cannot write mode {mode}"):
            Image.new(mode, (3, 2)).save(io.BytesIO(), "LMC")


def test_load_twice_and_closing(path):
    image = Image.open(path)
    image.load()
    image.load()
    assert image.fp is None
    image.close()
    with open(path, "rb") as stream:
        Image.open(stream).load()
        assert not stream.closed
    path.unlink()


def test_what_images_are_used_for(path):
    with Image.open(path) as image:
        whole = Image.open(path)
        assert pickle.loads(pickle.dumps(image)) == whole
        assert image.copy() == whole.copy()
        assert image.crop((1, 2, 10, 9)).size == (9, 7)
        image.thumbnail((10, 10))
        assert max(image.size) == 10
        image.putpixel((0, 0), (1, 2, 3))
    with Image.open(path) as image:
        assert image.n_frames == 1 if hasattr(image, "n_frames") else True
        image.seek(0)
        assert image.tell() == 0
        with pytest.raises(EOFError):
            image.seek(1)
    resized = Image.open(path).resize((5, 5))
    assert resized.size == (5, 5)


def test_threads(path):
    image = Image.open(path)
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda _: np.asarray(Image.open(path)), range(16)):
            np.testing.assert_array_equal(found, PIXELS)
        for found in pool.map(lambda _: np.asarray(image), range(16)):
            np.testing.assert_array_equal(found, PIXELS)


def test_verify(path):
    image = Image.open(path)
    image.verify()
    whole = path.read_bytes()
    image = Image.open(io.BytesIO(whole[:-1]))
    with pytest.raises(OSError, match="damaged"):
        image.verify()


def test_damaged_files(path, monkeypatch):
    whole = path.read_bytes()
    for size in (3, 4, 10, 20):
        with pytest.raises(UnidentifiedImageError):
            Image.open(io.BytesIO(whole[:size]))
    image = Image.open(io.BytesIO(whole[:-1]))
    assert image.size == (33, 20)
    with pytest.raises(OSError, match="damaged"):
        image.load()
    with monkeypatch.context() as patch:
        patch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
        image = Image.open(io.BytesIO(whole[:-1]))
        assert not np.asarray(image).any()
    for data in (b"\x89LM\x02" + whole[4:], whole[:5] + b"\xff" * 20):
        with pytest.raises(UnidentifiedImageError):
            Image.open(io.BytesIO(data))


def test_a_bound_on_pixels(path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 33 * 20 // 2 - 1)
    with pytest.raises(Image.DecompressionBombError):
        Image.open(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 33 * 20 - 1)
    with pytest.warns(Image.DecompressionBombWarning):
        Image.open(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    Image.open(path).load()


def test_a_long_header_is_read_as_far_as_it_goes(no_decoding):
    image = Image.fromarray(PIXELS)
    noise = np.random.default_rng(0).integers(0, 256, 100_000, dtype=np.uint8).tobytes()
    stream = io.BytesIO()
    image.save(stream, "LMC", icc_profile=noise)
    with Image.open(stream) as found:
        assert found.info["icc_profile"] == noise


def test_imageio(path):
    iio = pytest.importorskip("imageio.v3")
    np.testing.assert_array_equal(iio.imread(path, plugin="pillow"), PIXELS)
    assert iio.improps(path, plugin="pillow").shape == (20, 33, 3)
    iio.imwrite(path.with_name("y.lmc"), PIXELS, plugin="pillow", extension=".lmc")
    np.testing.assert_array_equal(np.asarray(Image.open(path.with_name("y.lmc"))), PIXELS)


def test_skimage(path):
    io = pytest.importorskip("skimage.io")
    np.testing.assert_array_equal(io.imread(path), PIXELS)


def test_a_folder_of_classes_for_torchvision(tmp_path):
    torchvision = pytest.importorskip("torchvision")
    for name in ("cats", "dogs"):
        (tmp_path / name).mkdir()
        Image.fromarray(PIXELS).save(tmp_path / name / "x.lmc")
    found = torchvision.datasets.ImageFolder(tmp_path, is_valid_file=lambda path: path.endswith(".lmc"))
    image, label = found[1]
    assert (found.classes, label, image.mode) == (["cats", "dogs"], 1, "RGB")
    np.testing.assert_array_equal(np.asarray(image), PIXELS)


def test_images_of_datasets(path):
    """As a column of them has them, by name or by their bytes."""
    image = pytest.importorskip("datasets").Image()
    for item in ({"path": str(path), "bytes": None}, {"path": None, "bytes": path.read_bytes()}):
        np.testing.assert_array_equal(np.asarray(image.decode_example(item)), PIXELS)


def test_the_default_path_opens_by_name(tmp_path):
    Path(tmp_path / "text.lmc").write_text("Dear sir or madam")
    with pytest.raises(UnidentifiedImageError):
        Image.open(tmp_path / "text.lmc")
