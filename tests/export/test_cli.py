"""lmconv-export: what it makes, what it prints, and one line for what cannot be."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import runtime
from export.cli import cli
from export.floats import file as floats
from lmconv.checkpoints import checkpoint as checkpoints
from tests.export.checkpoints import COLOUR, PHOTO, checkpoint_of
from tests.pictures import photographs

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def given(tmp_path_factory, tiny_checkpoint):
    """A folder of checkpoints, pictures and a card."""
    folder = tmp_path_factory.mktemp("given")
    checkpoints.save(folder / "colour.safetensors", checkpoint_of(COLOUR))
    checkpoints.save(folder / "small_photo.safetensors", checkpoint_of(PHOTO, {"crop": 7}))
    checkpoints.save(folder / "photo.safetensors", tiny_checkpoint)
    (folder / "pictures").mkdir()
    for index, picture in enumerate(photographs(2, 36, 36)):
        Image.fromarray(picture.transpose(1, 2, 0)).save(folder / "pictures" / f"{index}.png")
    (folder / "card.json").write_text('{"licence": "CC0-1.0"}')
    (folder / "list.json").write_text("[1]")
    (folder / "other.safetensors").write_bytes(b"\x00" * 64)
    return folder


@pytest.fixture
def run(given, tmp_path, monkeypatch):
    """Runs `lmconv-export` where the checkpoints are; OUT stands for a new folder."""
    monkeypatch.chdir(given)

    def invoke(line: str, code: int = 0):
        words = [word.replace("OUT", str(tmp_path)) for word in line.split()]
        result = CliRunner().invoke(cli, words, prog_name="lmconv-export")
        assert result.exit_code == code, result.output
        if code == 1:
            assert result.stdout == "" and result.stderr.count("\n") == 1
            assert result.stderr.startswith("lmconv-export: ")
        return result

    return invoke


def test_a_torchscript_file_of_another_order_and_size(run, tmp_path):
    result = run(
        "colour.safetensors -o OUT/a.pt --format torchscript --order gilbert:2 --size 4x7 --precision fp16 "
        "--card card.json --name small --pictures pictures --json"
    )
    report, extra = json.loads(result.stdout), {"lmconv.json": ""}
    module = torch.jit.load(tmp_path / "a.pt", _extra_files=extra)
    assert module(torch.zeros(2, 3, 4, 7, dtype=torch.uint8)).shape == (2, 20, 4, 7)
    told = json.loads(extra["lmconv.json"])
    assert (told["order"], told["size"], told["name"], told["licence"]) == ("gilbert:2", "4x7", "small", "CC0-1.0")
    assert (report["model_id"], report["precision"]) == (told["model_id"], "fp16")
    assert [each["inputs"] for each in report["parity"]] == ["random 1", "random 3", "pictures"]


def test_by_default_as_trained_and_in_words(run, tmp_path):
    lines = run("small_photo.safetensors -o OUT/a.pt --format torchscript").stdout.splitlines()
    assert lines[0] == f"torchscript, fp32: order wavefront:0, 7x7, {(tmp_path / 'a.pt').stat().st_size} bytes"
    assert lines[1].startswith("random 1   differs from PyTorch by ") and lines[-1].startswith("model id ")
    assert len(lines) == 4


def test_photographs_try_a_photo_network(run):
    result = run("small_photo.safetensors -o OUT/a.pt --format torchscript --pictures pictures --json")
    assert json.loads(result.stdout)["parity"][2]["batch"] == 2


def test_without_a_format_a_bundle(run, tmp_path):
    result = run("photo.safetensors -o OUT/a.lmconv --pictures pictures --crop 36 --count 2 --card card.json --json")
    manifest = runtime.read_manifest(tmp_path / "a.lmconv")
    assert json.loads(result.stdout)["model_id"] == manifest.model_id and manifest.name == "a"
    assert manifest.card["licence"] == "CC0-1.0" and manifest.card["steps"] == 0


def test_nothing_is_overwritten_by_accident(run, tmp_path):
    (tmp_path / "a.pt").write_text("before")
    line = "small_photo.safetensors -o OUT/a.pt --format torchscript --size 3x4"
    assert "a.pt exists: use --force" in run(line, code=1).stderr
    assert (tmp_path / "a.pt").read_text() == "before"
    run(f"{line} --force")
    zeros = torch.zeros(1, 3, 3, 4, dtype=torch.uint8)
    assert torch.jit.load(tmp_path / "a.pt")(zeros, zeros.short()).shape == (1, 20, 3, 4)


@pytest.mark.parametrize(
    "line, message",
    [
        ("colour.safetensors --format onnx --precision exact", "onnx is fp32 or fp16, not exact: only a bundle is"),
        ("photo.safetensors --pictures pictures --precision fp16", "a bundle is exact, not fp16"),
        ("photo.safetensors --pictures pictures --order s_curve", "leave --order out"),
        ("photo.safetensors --pictures pictures --size 4x4", "leave --size out"),
        ("other.safetensors --format onnx", "other.safetensors is not an LMConv checkpoint"),
        ("none.safetensors --format onnx", "no checkpoint none.safetensors"),
        ("colour.safetensors --format pt2 --order zigzag", "there is no order 'zigzag"),
        ("colour.safetensors --format pt2 --order hilbert", "square whose side is a power of two, not 5x6"),
        ("small_photo.safetensors --format pt2 --order raster", "knows the order wavefront alone, not raster"),
        ("colour.safetensors --format pt2 --card none.json", "none.json"),
        ("colour.safetensors --format pt2 --card list.json", "list.json is not a JSON object"),
        ("colour.safetensors --format pt2 --size 40x40 --pictures pictures", "36x36 pixels, fewer than the 40x40"),
        ("colour.safetensors --format pt2 --pictures nowhere", "there is no data set 'nowhere'"),
    ],
)
def test_one_line_for_what_cannot_be(run, tmp_path, line, message):
    assert message in run(f"{line} -o OUT/a.out", code=1).stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_seen_before_the_work(run, monkeypatch):
    monkeypatch.setattr(floats, "bake", lambda *a: pytest.fail("worked for nothing"))
    assert "is no folder that exists" in run("colour.safetensors -o OUT/none/a.pt --format pt2", code=1).stderr


def test_a_failed_parity_is_one_line(run, tmp_path, monkeypatch):
    monkeypatch.setitem(floats.TOLERANCE, "fp16", 0.0)
    said = run("small_photo.safetensors -o OUT/a.pt --format torchscript --precision fp16", code=1).stderr
    assert "differs from PyTorch" in said and list(tmp_path.iterdir()) == []


def test_missing_packages_are_one_line(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "export.floats.file", None)
    said = run("colour.safetensors -o OUT/a.pt --format torchscript", code=1).stderr
    assert said.endswith("pip install 'lmconv[cpu,export]' brings what is needed\n")


@pytest.mark.parametrize(
    "line, message",
    [
        ("photo.safetensors", "Missing option '--pictures'"),
        ("photo.safetensors --pictures pictures --count 1", "--count must be at least 2"),
        ("colour.safetensors --format onnx --size 0x4", "no height and width of 1 to 9999 pixels"),
        ("colour.safetensors --format onnx --size 4", "as in 32x48"),
        ("colour.safetensors --format gguf", "gguf"),
    ],
)
def test_wrong_usage(run, line, message):
    assert message in run(f"{line} -o OUT/a.out", code=2).stderr


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from export.cli import cli; cli(['--help'], standalone_mode=False); "
        "print([name for name in ('torch', 'numpy', 'onnx') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Usage:") and done.stdout.splitlines()[-1] == "[]"
