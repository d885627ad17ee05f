"""The paper's networks through the command line: a bundle of three orders, a picture of many tiles."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from codec.cli import cli
from tests.pictures import photograph


@pytest.fixture
def run(tmp_path, monkeypatch, square_bundles):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(photograph(21, 30).transpose(1, 2, 0)).save("a.png")

    def invoke(line: str, code: int = 0):
        words = [str(square_bundles["colour"]) if word == "MODEL" else word for word in line.split()]
        result = CliRunner().invoke(cli, words)
        assert result.exit_code == code, result.output
        return result

    return invoke


@pytest.mark.parametrize("order", ["hilbert:3", "auto"])
def test_there_and_back(run, order):
    [made] = json.loads(run(f"compress a.png --model MODEL --order {order} --strip --json").stdout)
    [told] = json.loads(run("info a.lmc --model MODEL --json").stdout)
    assert told["methods"] == made["methods"] and told["model"] == made["model"] == "colour"
    [(name, count)] = made["methods"].items()
    assert count == 1 and name.startswith("order ") and (order == "auto" or name == f"order {order}")
    run("decompress a.lmc -o b.png --model MODEL")
    assert np.array_equal(np.asarray(Image.open("a.png")), np.asarray(Image.open("b.png")))
    run("verify a.lmc --model MODEL --against a.png")


def test_without_the_model_orders_have_numbers(run):
    run("compress a.png --model MODEL --order hilbert:3 --strip")
    [told] = json.loads(run("info a.lmc --json").stdout)
    assert told["methods"] == {"order 1": 1} and told["model"] is None
    assert "not at hand" in run("decompress a.lmc -o b.png", code=1).stderr


def test_an_installed_model_is_found_and_tried(run, square_bundles, tmp_path, monkeypatch):
    """A small picture is coded by whichever makes it smallest; what was coded by an installed one opens by itself."""
    monkeypatch.setenv("LMCONV_MODELS", str(tmp_path / "own"))
    run("models --install MODEL")
    run("compress a.png --model colour --order hilbert:3 -o b.lmc --json")
    run("decompress b.lmc -o b.png")
    assert np.array_equal(np.asarray(Image.open("a.png")), np.asarray(Image.open("b.png")))
    Image.open("a.png").crop((0, 0, 16, 16)).save("s.png")
    sizes = {}
    for model in ("photo-small", "colour", "auto"):
        [made] = json.loads(run(f"compress s.png --model {model} -o {model}.lmc --json").stdout)
        sizes[model] = made["bytes"], made["model"]
    assert sizes["auto"] == min(sizes["photo-small"], sizes["colour"])


def test_an_unknown_order_leaves_no_file(run, tmp_path):
    assert "no order 'raster'" in run("compress a.png --model MODEL --order raster", code=1).stderr
    assert "no order 's_curve'" in run("compress a.png --order s_curve", code=1).stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
