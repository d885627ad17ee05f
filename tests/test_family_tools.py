"""The tools of the family: what they write is what they say."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lmconv.data import sounds

ROOT = Path(__file__).parents[1]


def tool(*words):
    done = subprocess.run([sys.executable, *map(str, words)], cwd=ROOT, check=True, timeout=300, stdout=subprocess.PIPE)
    return done.stdout.decode()


def digits(path):
    """Noisy squares in place of MNIST."""
    rng = np.random.default_rng(0)
    made = np.zeros((60, 28, 28), np.uint8)
    for image, at in zip(made, rng.integers(0, 16, (60, 2))):
        image[at[0] : at[0] + 12, at[1] : at[1] + 12] = 240
    np.savez(path, train_images=made[:50], test_images=made[50:])
    return path


def test_melodies(tmp_path):
    tool("tools/make_sequences.py", "sounds", tmp_path / "one", "--count", 2, "--seconds", 0.5)
    tool("tools/make_sequences.py", "sounds", tmp_path / "other", "--count", 1, "--seconds", 0.5)
    first, second = (sounds.read(tmp_path / "one" / "train" / f"{number:04}.wav") for number in range(2))
    test = sounds.read(tmp_path / "one" / "test" / "0000.wav")
    assert not np.array_equal(first, test)
    assert len(first) == len(second) == 4000 and not np.array_equal(first, second)
    assert 0.85 < np.abs(first).max() < 0.95 and np.abs(first).mean() > 0.05
    again = (tmp_path / "other" / "train" / "0000.wav").read_bytes()
    assert (tmp_path / "one" / "train" / "0000.wav").read_bytes() == again


def test_moving_digits(tmp_path):
    digits = np.zeros((3, 28, 28), np.uint8)
    digits[:, 8:20, 8:20] = 240
    np.savez(tmp_path / "digits.npz", train_images=digits, test_images=digits)
    target = tmp_path / "videos.npz"
    tool("tools/make_sequences.py", "digits", tmp_path / "digits.npz", target, "--count", 20, "--frames", 6)
    with np.load(target) as videos:
        train, test = videos["train_images"], videos["test_images"]
    assert train.shape == (20, 6 * 32, 32) and test.shape == (2, 6 * 32, 32)
    area = (train.reshape(20, 6, -1) == 240).sum(2)
    assert ((36 <= area) & (area <= 72)).all()  # two squares of 6 x 6, perhaps one behind the other
    moved = (train.reshape(20, 6, -1)[:, 1:] != train.reshape(20, 6, -1)[:, :-1]).any(2)
    assert moved.mean() > 0.9


def test_sight_is_drawn(tmp_path):
    tool("tools/draw_sight.py", tmp_path, "--models", "masked_pixelcnn,gated_pixelcnn")
    orange = {}
    for name in ("masked_pixelcnn", "gated_pixelcnn"):
        cells = np.asarray(Image.open(tmp_path / f"{name}.png").convert("RGB"))[4::8, 4::8]
        assert cells.shape == (15, 15, 3) and tuple(cells[8, 6]) == (214, 69, 65)
        assert (cells[9:] == 225).all() and (cells[8, 7:] == 225).all()
        orange[name] = (cells == (244, 165, 96)).all(2)
    assert orange["masked_pixelcnn"][:8, 7:].any() and not orange["masked_pixelcnn"][:, :7].any()
    assert not orange["gated_pixelcnn"].any()


def test_the_table_of_images(tmp_path):
    words = ["tools/family_table.py", digits(tmp_path / "digits.npz"), tmp_path / "out", "--minutes", 0.02]
    words += ["--models", "fvsbn,made_8", "--images", 6]
    lines = tool(*words).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| `fvsbn`", "| `made_8`", "| (DARN)"]
    written = sorted(path.name for path in (tmp_path / "out").iterdir() if path.is_file())
    sheets = [f"samples_{name}.png" for name in ("fvsbn", "made_8")]
    assert written == ["curves.png", "fvsbn.json", "made_8.json", *sheets]
    made = json.loads((tmp_path / "out" / "made_8.json").read_text())
    assert made["images"] == 6 and made["orders"] == 8 and 0 < made["ensemble"] < made["nats"] + np.log(8)
    assert tool(*words).splitlines() == lines  # from what is kept


@pytest.mark.slow
def test_the_table_of_sequences(tmp_path):
    words = ["tools/sequence_table.py", digits(tmp_path / "digits.npz"), tmp_path, "--minutes", 0.01, "--count", 3]
    words += ["--images", 2]
    rows = {row["name"]: row for row in json.loads(tool(*words, "--json"))}
    assert list(rows) == ["wavenet", "wavenet_mixture", "parallel_wavenet", "video_pixel"]
    assert [row["calls"] for row in rows.values()] == [4000, 4000, 1, 8192]
    assert "from its teacher's distribution" in rows["parallel_wavenet"]["test"]
    assert "nats the first frame" in rows["video_pixel"]["test"]
    for name in list(rows)[:3]:
        assert len(sounds.read(tmp_path / f"{name}.wav")) == 4 * 4800
    assert Image.open(tmp_path / "video_pixel.png").size > (4 * 32, 256)
