"""The codec for Zarr."""

from importlib.metadata import entry_points

import numpy as np
import pytest

from tests.codec.golden import TINY
from tests.pictures import photograph

numcodecs = pytest.importorskip("numcodecs")
PIXELS = np.ascontiguousarray(photograph(20, 33).transpose(1, 2, 0))
PICTURES = np.stack([PIXELS, PIXELS[::-1], PIXELS[:, ::-1]])


@pytest.mark.parametrize(
    ("array", "channels"),
    [
        (PIXELS[..., 0], 1),
        (PICTURES, 3),
        (PICTURES[..., 0], 1),
        (PICTURES[None, ..., :2], 2),
        (PICTURES.astype(np.uint16) * 17, 3),
    ],
    ids=["picture", "pictures", "planes", "two channels", "deep"],
)
def test_there_and_back(array, channels):
    from codec.zarr import Lmc

    codec = numcodecs.get_codec(Lmc(channels=channels, model=str(TINY)).get_config())
    data = codec.encode(array)
    found = np.frombuffer(codec.decode(data), array.dtype)
    np.testing.assert_array_equal(found.reshape(array.shape), array)
    out = np.empty_like(array, order="C")
    codec.decode(data, out)
    np.testing.assert_array_equal(out, array)


def test_it_is_found_by_its_name():
    assert [point.load().codec_id for point in entry_points(group="numcodecs.codecs", name="lmconv")] == ["lmconv"]


@pytest.mark.parametrize(
    "array", [np.zeros((2, 3)), np.zeros(5, np.uint8), np.zeros((2, 2, 2), np.uint8), np.zeros((0, 2, 3), np.uint8)]
)
def test_other_arrays_are_refused(array):
    from codec.zarr import Lmc

    with pytest.raises(TypeError):
        Lmc(channels=3).encode(array)


def test_settings_that_there_are_not():
    from codec.zarr import Lmc

    for settings in ({"effort": "most"}, {"channels": 5}):
        with pytest.raises(ValueError):
            Lmc(**settings)


def test_an_array_of_zarr(tmp_path):
    zarr = pytest.importorskip("zarr")
    from codec.zarr import Lmc

    lmc = Lmc(channels=3, model=str(TINY))
    array = zarr.create_array(
        store=str(tmp_path / "x.zarr"),
        shape=PICTURES.shape,
        chunks=(2, 20, 33, 3),
        dtype="uint8",
        zarr_format=2,
        compressors=lmc,
    )
    array[:] = PICTURES
    np.testing.assert_array_equal(zarr.open_array(str(tmp_path / "x.zarr"))[:], PICTURES)
