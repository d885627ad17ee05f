"""tools/make_sequences.py and tools/draw_sight.py: what they write is what they say."""

import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from lmconv.data import sounds

ROOT = Path(__file__).parents[1]


def tool(*words):
    subprocess.run([sys.executable, *map(str, words)], cwd=ROOT, check=True, timeout=300)


def test_melodies(tmp_path):
    tool("tools/make_sequences.py", "sounds", tmp_path / "one", "--count", 2, "--seconds", 0.5)
    tool("tools/make_sequences.py", "sounds", tmp_path / "other", "--count", 1, "--seconds", 0.5)
    first, second = (sounds.read(tmp_path / "one" / f"{number:04}.wav") for number in range(2))
    assert len(first) == len(second) == 4000 and not np.array_equal(first, second)
    assert 0.85 < np.abs(first).max() < 0.95 and np.abs(first).mean() > 0.05
    again = (tmp_path / "other" / "0000.wav").read_bytes()
    assert (tmp_path / "one" / "0000.wav").read_bytes() == again


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
