"""codec.encode, decode and probe: what people hold goes in and comes back."""

import io
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import codec
from codec import archive, models
from codec.compression import compress
from codec.errors import CodecError, DamagedFile, ImageTooLarge, PixelsDiffer
from tests.codec.golden import TINY
from tests.codec.test_archive import FILES
from tests.pictures import photograph

MODEL = str(TINY)
PIXELS = np.ascontiguousarray(photograph(20, 33).transpose(1, 2, 0))


def encode(picture, **more) -> bytes:
    return codec.encode(picture, model=MODEL, **more)


def decode(data) -> codec.Picture:
    return codec.decode(data, model=MODEL)


ARRAYS = {
    "grey": PIXELS[..., 0],
    "grey, one channel": PIXELS[..., :1],
    "grey and alpha": PIXELS[..., :2],
    "rgb": PIXELS,
    "rgb, a view": PIXELS[::-1, ::2],
    "rgb and alpha": np.concatenate([PIXELS, PIXELS[..., :1]], 2),
    "deep grey": PIXELS[..., 0].astype(np.uint16) * 257,
    "deep rgb": PIXELS.astype(np.uint16) * 37,
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays(name):
    array = ARRAYS[name]
    found = decode(encode(array, verify=True))
    assert found.array.dtype == array.dtype
    np.testing.assert_array_equal(found.array, array[..., 0] if name.endswith("one channel") else array)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_images_of_pillow(mode):
    image = Image.fromarray(PIXELS).convert(mode) if mode != "I;16" else Image.fromarray(ARRAYS["deep grey"])
    found = decode(encode(image)).image
    assert found.mode == image.mode
    np.testing.assert_array_equal(np.asarray(found), np.asarray(image))
    if mode == "P":
        assert found.getpalette() == image.getpalette()


def test_metadata():
    profile, exif, xmp = b"profile" * 40, b"II*\0rest", b"<x:xmpmeta/>"
    given = {"icc_profile": profile, "exif": exif, "xmp": xmp}
    of_array = decode(encode(PIXELS, metadata=given))
    assert of_array.metadata == given | {"exif": b"Exif\0\0" + exif}
    assert codec.probe(encode(PIXELS, metadata=given)).metadata == ("ICC profile", "EXIF", "XMP")
    image = Image.fromarray(PIXELS)
    image.info |= {"icc_profile": profile, "xmp": xmp, "dpi": (300, 300)}
    of_image = decode(encode(image, metadata={"exif": exif}))
    assert of_image.metadata == of_array.metadata and round(of_image.image.info["dpi"][0]) == 300


@pytest.mark.parametrize("name", FILES)
def test_files_come_back(name):
    before = FILES[name]()
    for given in (before, bytearray(before), memoryview(before), io.BytesIO(before)):
        data = encode(given)
    found = decode(io.BytesIO(data))
    if found.exact:
        assert found.file == before
    about = codec.probe(data)
    assert (about.width, about.height) == found.image.size or about.kind is None


def test_a_jpeg_is_kept():
    stream = io.BytesIO()
    Image.fromarray(PIXELS).save(stream, "JPEG")
    data = encode(stream.getvalue())
    found = decode(data)
    assert found.exact and found.file == stream.getvalue() and found.array.shape == PIXELS.shape
    assert codec.probe(data) == codec.Probe(33, 20, None, None, "jpeg", ".jpg", ())


def test_what_is_none_of_these():
    for wrong in ("photo.png", 3, None, [1, 2], Image.new("F", (2, 2)), io.StringIO("x")):
        with pytest.raises(TypeError):
            encode(wrong)
    for wrong in ("x.lmc", 3, None, PIXELS, io.StringIO("x")):
        with pytest.raises(TypeError):
            decode(wrong)
    for wrong in (np.zeros((2, 2)), np.zeros((2, 2, 5), np.uint8), np.zeros((0, 2), np.uint8)):
        with pytest.raises(ValueError):
            encode(wrong)
    for metadata in ({"comment": b""}, {"exif": "text"}):
        with pytest.raises((ValueError, TypeError)):
            encode(PIXELS, metadata=metadata)
    with pytest.raises(ValueError):
        encode(FILES["rgb.png"](), metadata={})
    with pytest.raises(ValueError, match="effort"):
        encode(PIXELS, effort="most")
    with pytest.raises(CodecError):
        encode(b"no picture")
    with pytest.raises(DamagedFile):
        decode(encode(PIXELS)[:-1])
    with pytest.raises(ImageTooLarge):
        codec.decode(encode(PIXELS), model=MODEL, max_pixels=33 * 20 - 1)


def test_a_model_is_loaded_once_by_all_threads(monkeypatch):
    import runtime

    loaded, load = [], runtime.load
    monkeypatch.setattr(models, "_loaded", {})
    monkeypatch.setattr(runtime, "load", lambda *given, **more: loaded.append(given) or load(*given, **more))
    with ThreadPoolExecutor(4) as pool:
        files = list(pool.map(lambda _: encode(PIXELS), range(8)))
    assert len(loaded) == 1 and len(set(files)) == 1


def test_they_can_be_pickled():
    data = pickle.loads(pickle.dumps(codec.encode))(PIXELS, model=MODEL)
    found = pickle.loads(pickle.dumps(decode(data)))
    np.testing.assert_array_equal(found.array, PIXELS)
    assert pickle.loads(pickle.dumps(codec.probe(data))).kind == "rgb"


def test_the_same_bytes_as_by_the_command_line(tmp_path, tiny_model):
    path = tmp_path / "a.png"
    path.write_bytes(FILES["text.png"]())
    found = archive.archive(path, lambda samples: [models.load(TINY)], archive.Wishes())
    assert decode(found.data).file == decode(encode(path.read_bytes())).file


def test_what_does_not_decode_to_the_same_is_refused(monkeypatch):
    """Of arrays as of files, where that is asked for."""

    def spoilt(samples, *given, **more):
        values = samples.values.copy()
        values[0, 0, 0] ^= 1
        return compress(replace(samples, values=values), *given, **more)

    monkeypatch.setattr(archive, "compress", spoilt)
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "PNG")
    for picture in (PIXELS, Image.fromarray(PIXELS), file.getvalue()):
        encode(picture)
        with pytest.raises(PixelsDiffer):
            encode(picture, verify=True)
