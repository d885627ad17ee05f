"""The script for a day with a GPU, on a CPU: it must be right the first time."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.pictures import photographs

ROOT = Path(__file__).parents[1]
TRAIN = "--steps 2 --batch 1 --window 16 --crop 32 --holdout 2 --channels 8 --blocks 1 --components 1 --variants 0"


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pack")
    for number, planes in enumerate(photographs(4, 64, 64)):
        Image.fromarray(np.ascontiguousarray(planes.transpose(1, 2, 0))).save(folder / f"{number}.png")
    return folder


def gpu_day(*words):
    line = [sys.executable, "tools/gpu_day.py", *map(str, words), "--provider", "cpu"]
    return subprocess.run(line, cwd=ROOT, env=os.environ | {"PYTHONPATH": ""}, capture_output=True, text=True)


def test_a_gpus_day_on_a_cpu(pack, tmp_path):
    options = ["--minutes", 5, "--count", 2, "--train", f"{TRAIN} --cache {tmp_path}"]
    done = gpu_day(pack, pack, tmp_path / "out", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [name for name, part in report.items() if part["failed"] is None] == ["exact", "train", "export"]
    names = ("digits", "photo", "photo-small", "tiny32")
    assert report["exact"]["found"] == {name: {"pictures": 2, "files": 2} for name in names}
    assert (tmp_path / "out" / "photo" / "last.safetensors").exists()
    rows = json.loads((tmp_path / "out" / "export.json").read_text())["rows"]
    assert {row["form"] for row in rows} >= {"eager", "onnx", "torchscript", "pt2", "bundle"}


def test_what_fails_does_not_stop_the_rest(pack, tmp_path):
    (tmp_path / "none").mkdir()
    options = ["--minutes", 1, "--count", 1, "--train", f"{TRAIN} --cache {tmp_path} --bogus"]
    done = gpu_day(pack, tmp_path / "none", tmp_path / "out", *options, "--checkpoint", tmp_path / "no.safetensors")
    assert done.returncode == 1
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["exact"]["failed"] is None and report["exact"]["found"]["photo"]["pictures"] == 0
    assert "CalledProcessError" in report["train"]["failed"] and "CalledProcessError" in report["export"]["failed"]
