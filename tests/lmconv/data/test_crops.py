"""Preparing training pictures: the same crops from a folder and a zip, predictions computed once and only once."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from lmconv.data import alteration, crops
from lmconv.data import pictures as reading
from lmconv.data.pictures import DataError
from runtime.least_squares import Settings, predict_picture
from runtime.variants import orient, unorient

NAMES = ["b/one.png", "b-two.webp", "B.png", "b/c/three.PNG", "notes.txt", "z.bmp"]
CROPS = 10  # of 16 x 16 in the pictures of these names


def pictures():
    """Name -> uint8 [H, W, 3]; one is too small for a crop of 16."""
    rng = np.random.default_rng(0)
    sizes = [(33, 40), (16, 16), (48, 17), (20, 35), (1, 1), (15, 99)]
    return {name: rng.integers(0, 256, (*size, 3), dtype=np.uint8) for name, size in zip(NAMES, sizes)}


def encoded(name, pixels):
    file = io.BytesIO()
    kind = {"png": "png", "webp": "webp", "bmp": "bmp", "txt": "png"}[name.rpartition(".")[2].lower()]
    Image.fromarray(pixels).save(file, kind, **({"lossless": True, "exact": True} if kind == "webp" else {}))
    return file.getvalue()


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "folder"
    for name, pixels in pictures().items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(encoded(name, pixels))
    (root / "album.png").mkdir()  # a folder, whatever its name says
    return root


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "pack.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("album.png/", b"")
        for name, pixels in reversed(pictures().items()):
            file.writestr(name, encoded(name, pixels))
    return path


def prepare(source, tmp_path, **more):
    usual = {"variants": (0, 4, 3), "workers": 1, "progress": False}
    return crops.prepare(source, tmp_path / "cache", 16, **usual | more)


def test_altered_crops_have_bases_of_their_own_and_are_kept(folder, tmp_path, monkeypatch):
    assert prepare(folder, tmp_path).altered is None
    prepared = prepare(folder, tmp_path, altered=True)
    pixels, bases = prepared.altered
    drawn = alteration.altered(prepared.pixels)
    turned = [orient(crop, (0, 4, 3)[number // 4 % 3]) for number, crop in enumerate(drawn)]
    np.testing.assert_array_equal(pixels, np.stack(turned))
    for crop, base in zip(pixels[:3], bases):
        np.testing.assert_array_equal(base, predict_picture(np.array(crop)))
    window = prepared.window(1, None, 2, 3, 8)
    np.testing.assert_array_equal(window[0], pixels[1, :, 2:10, 3:11])
    np.testing.assert_array_equal(window[1], bases[1, :, 2:10, 3:11])
    monkeypatch.setattr(crops, "predict_picture", None)
    np.testing.assert_array_equal(prepare(folder, tmp_path, altered=True).altered[1], bases)


def test_pictures_come_in_order_of_their_names(folder, archive):
    from_folder, from_zip = dict(reading.pictures(folder)), dict(reading.pictures(archive))
    assert list(from_folder) == list(from_zip) == sorted(set(NAMES) - {"notes.txt"})
    for name, pixels in pictures().items():
        if name != "notes.txt":
            np.testing.assert_array_equal(from_folder[name], pixels)
            np.testing.assert_array_equal(from_zip[name], pixels)


def test_crops_are_the_grids_squares(folder, archive):
    found = crops.crops(folder, 16)
    np.testing.assert_array_equal(found, crops.crops(archive, 16))
    whole = [pictures()[name] for name in sorted(set(NAMES) - {"notes.txt"})]
    expected = [
        picture[r : r + 16, c : c + 16].transpose(2, 0, 1)
        for picture in whole
        for r in range(0, picture.shape[0] - 15, 16)
        for c in range(0, picture.shape[1] - 15, 16)
    ]
    assert len(expected) == CROPS
    np.testing.assert_array_equal(found, expected)


def test_bases_are_the_runtimes(folder, tmp_path):
    prepared = prepare(folder, tmp_path)
    assert len(prepared) == CROPS and prepared.pixels.dtype == np.uint8
    for variant, bases in prepared.bases.items():
        assert bases.shape == prepared.pixels.shape and bases.dtype == np.int16
        for crop, base in zip(prepared.pixels, bases):
            np.testing.assert_array_equal(base, predict_picture(np.ascontiguousarray(orient(crop, variant))))


def test_windows(folder, tmp_path):
    prepared = prepare(folder, tmp_path)
    for variant in (0, 4, 3):
        pixels, bases = prepared.window(5, variant, 3, 7, 8)
        assert pixels.shape == bases.shape == (3, 8, 8)
        whole = np.zeros((3, 16, 16), np.uint8)
        whole[:, 3:11, 7:15] = pixels
        inside = np.zeros((16, 16), bool)
        inside[3:11, 7:15] = True
        back, where = unorient(whole, variant), unorient(inside, variant)
        np.testing.assert_array_equal(back[:, where], prepared.pixels[5][:, where])
        np.testing.assert_array_equal(bases, prepared.bases[variant][5, :, 3:11, 7:15])


def forbidden(*_):
    raise AssertionError("computed again")


def test_the_cache_is_used(folder, archive, tmp_path, monkeypatch):
    first = prepare(folder, tmp_path)
    monkeypatch.setattr(crops, "predict_picture", forbidden)
    for source in (folder, archive):
        again = prepare(source, tmp_path)
        assert again.digest == first.digest
        np.testing.assert_array_equal(again.bases[3], first.bases[3])
    with pytest.raises(AssertionError, match="computed again"):
        prepare(folder, tmp_path, variants=(7,))
    with pytest.raises(AssertionError, match="computed again"):
        prepare(folder, tmp_path, settings=Settings(decay=0.9))
    (folder / "one_more.png").write_bytes(encoded("x.png", np.zeros((16, 16, 3), np.uint8)))
    with pytest.raises(AssertionError, match="computed again"):
        prepare(folder, tmp_path)


def test_an_interrupted_preparation_goes_on(folder, tmp_path, monkeypatch):
    left = CROPS + 5  # the first variant and a part of the second

    def until_interrupted(*arguments):
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        return predict_picture(*arguments)

    monkeypatch.setattr(crops, "predict_picture", until_interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare(folder, tmp_path)
    (cached,) = (tmp_path / "cache").iterdir()
    assert [path.name for path in cached.iterdir()] == ["bases_0.npy"]
    left = 2 * CROPS  # enough for the other two, not for all
    assert set(prepare(folder, tmp_path).bases) == {0, 4, 3}
    assert left == 0


def test_a_write_that_fails_leaves_nothing(folder, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match="No space"):
        prepare(folder, tmp_path)
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_several_processes_give_the_same(folder, tmp_path):
    alone = prepare(folder, tmp_path, variants=(3,))
    together = crops.prepare(folder, tmp_path / "other", 16, (3,), workers=2, progress=False)
    assert together.digest == alone.digest
    np.testing.assert_array_equal(together.bases[3], alone.bases[3])


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[:50],
        lambda whole: whole[:-1],
        lambda whole: b"",
        lambda whole: whole.replace(b"<i2", b"<u2"),
    ],
)
def test_damaged_cache(folder, tmp_path, damage):
    prepare(folder, tmp_path)
    (path,) = (tmp_path / "cache").rglob("bases_4.npy")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=r"bases_4\.npy .*delete it"):
        prepare(folder, tmp_path)


def test_sources_that_are_none(tmp_path):
    (tmp_path / "text.txt").write_text("hello")
    for source in (tmp_path / "missing", tmp_path / "text.txt"):
        with pytest.raises(DataError, match=f"{source.name} is neither a folder nor a zip"):
            crops.crops(source, 16)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no picture of at least 16 x 16"):
        crops.crops(tmp_path / "empty", 16)


@pytest.mark.parametrize(
    "spoil",
    [lambda png: b"not an image", lambda png: png[:100], lambda png: b"", lambda png: png[:60] + bytes(20) + png[80:]],
)
def test_pictures_that_cannot_be_read_are_named(folder, spoil):
    path = folder / "b" / "one.png"
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(DataError, match=r"b/one\.png in .*folder cannot be read as an image"):
        crops.crops(folder, 16)


def test_pictures_too_large_to_be_true(folder, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(DataError, match="cannot be read as an image"):
        crops.crops(folder, 16)


def test_damaged_zip(archive):
    with zipfile.ZipFile(archive) as file:
        middle = file.getinfo("b/one.png").header_offset + 200
    spoiled = bytearray(archive.read_bytes())
    spoiled[middle : middle + 4] = b"\xff\x00\xff\x00"
    archive.write_bytes(spoiled)
    with pytest.raises(DataError, match=r"b/one\.png in .*pack\.zip cannot be unpacked"):
        crops.crops(archive, 16)


def test_grey_and_transparent_pictures_become_rgb(tmp_path):
    for mode in ("L", "RGBA", "P"):
        Image.new(mode, (16, 16), 7 if mode != "RGBA" else (7, 7, 7, 7)).save(tmp_path / f"{mode}.png")
    assert crops.crops(tmp_path, 16).shape == (3, 3, 16, 16)
