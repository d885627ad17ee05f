"""Sounds: codes there and back, .wav files of all widths, rows of one length."""

import wave

import numpy as np
import pytest

from lmconv.data import datasets, sounds
from lmconv.data.pictures import DataError


def wav(path, samples, width=2, channels=1, rate=8000):
    """A file of samples in [-1, 1], the same in all channels."""
    whole = np.round(np.repeat(samples[:, None], channels, 1) * (2 ** (8 * width - 1) - 1)).astype(np.int64)
    if width == 1:
        whole += 128
    data = (whole[..., None] >> 8 * np.arange(width) & 255).astype(np.uint8).tobytes()
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels), file.setsampwidth(width), file.setframerate(rate)
        file.writeframes(data)
    return path


def test_all_codes_come_back():
    codes = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(sounds.encoded(sounds.decoded(codes)), codes)
    samples = np.linspace(-1, 1, 1001)
    back = sounds.decoded(sounds.encoded(samples))
    assert (np.diff(back) >= 0).all() and np.abs(back - samples).max() < 0.03
    quiet = np.abs(samples) < 0.01
    assert np.abs(back - samples)[quiet].max() < 5e-4  # a finer step where it is quiet


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 2])
def test_files_of_all_widths(tmp_path, width, channels):
    samples = np.sin(np.arange(400) / 9) * 0.9
    found = sounds.read(wav(tmp_path / "x.wav", samples, width, channels))
    assert found.shape == (400,) and np.abs(found - samples).max() < 2.0 ** (2 - 8 * width)


def test_rows_of_a_folder(tmp_path):
    (tmp_path / "in").mkdir()
    wav(tmp_path / "b.wav", np.full(25, 0.5)), wav(tmp_path / "in" / "a.wav", np.full(10, -0.5))
    found = sounds.rows(tmp_path, 10)
    assert found.shape == (3, 1, 1, 10) and (found[:2] > 200).all() and (found[2] < 50).all()
    with pytest.raises(DataError, match="holds no sound of 99 samples"):
        sounds.rows(tmp_path, 99)
    (tmp_path / "c.wav").write_bytes(b"RIFF")
    with pytest.raises(DataError, match="c.wav cannot be read as a sound"):
        sounds.rows(tmp_path, 10)


def test_a_data_set_of_sounds(tmp_path):
    (tmp_path / "train").mkdir(), (tmp_path / "test").mkdir()
    wav(tmp_path / "train" / "a.wav", np.zeros(40)), wav(tmp_path / "test" / "a.wav", np.ones(20))
    grid = datasets.Grid(1, 8, numbers=True)
    train, test = (datasets.load(tmp_path, split, grid, (1, 10)) for split in ("train", "test"))
    assert (len(train), len(test), train.split) == (4, 2, "train") and train.pixels.shape == (4, 1, 1, 10)
    single = datasets.load(tmp_path / "train" / "a.wav", "train", grid, (1, 20))
    assert (len(single), single.split) == (2, "all")
    with pytest.raises(DataError, match="rows of samples: ask for images of one row"):
        datasets.load(tmp_path, "train", grid, (8, 8))
    with pytest.raises(DataError, match="rows of samples: ask for images of one row"):
        datasets.load(tmp_path, "train", grid)


def test_written_sounds_are_read_again(tmp_path):
    codes = np.random.default_rng(0).integers(256, size=(3, 50), dtype=np.uint8)
    sounds.write(tmp_path / "x.wav", codes, 1000)
    found = sounds.encoded(sounds.read(tmp_path / "x.wav")).reshape(3, 150)
    np.testing.assert_array_equal(found[:, :50], codes)
    assert len(np.unique(found[:, 50:])) == 1
