"""compare and bench: other codecs beside ours, all of whose samples come back."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image as Pillow

from codec import peers
from codec.cli import cli
from codec.errors import PixelsDiffer
from codec.images.samples import Samples
from tests.pictures import photograph

PIXELS = np.ascontiguousarray(photograph(20, 33).transpose(1, 2, 0))


@pytest.fixture
def pictures(tmp_path):
    Pillow.fromarray(PIXELS).save(tmp_path / "a.png")
    Pillow.fromarray(PIXELS[..., 0]).save(tmp_path / "grey.png")
    return tmp_path


def run(*arguments, code=0):
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


def test_compare(pictures, tiny_bundle):
    rows = json.loads(
        run("compare", pictures / "a.png", pictures / "grey.png", "--model", tiny_bundle, "--json").stdout
    )
    assert [coder["coder"] for coder in rows[0]["coders"]] == ["lmconv", "png", "webp", "jxl e7", "jxl e9"]
    assert all(coder["bytes"] > 0 for row in rows for coder in row["coders"])
    assert rows[1]["width"] == 33 and rows[0]["input_bytes"] == (pictures / "a.png").stat().st_size
    result = run("compare", pictures / "a.png", "--model", tiny_bundle, "-e", "fast", "-e", "normal", "--peers", "png")
    name, *lines = result.stdout.splitlines()
    assert "33 x 20" in name and [line.split()[0] for line in lines] == ["lmconv", "lmconv", "png"]
    assert sorted(path.name for path in pictures.iterdir()) == ["a.png", "grey.png"]


def test_bench(pictures, tiny_bundle):
    lines = run("bench", pictures, "--model", tiny_bundle, "--peers", "png").stdout.splitlines()
    assert lines[2].startswith("2 files  0.00 megapixels") and len(lines) == 5
    assert "no" in run("compare", pictures / "a.png", "--peers", "gif", code=2).stderr


def test_a_peer_that_loses_something_is_named():
    wrong = peers.Coder("wrong", lambda samples: (b"", None), lambda data: Samples.of(PIXELS[::-1]))
    with pytest.raises(PixelsDiffer, match="wrong gives back others"):
        peers.measure(wrong, Samples.of(PIXELS))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_peers_give_back_what_they_are_given(channels):
    samples = Samples.of(np.dstack([PIXELS, PIXELS[..., :1]])[..., :channels])
    for peer in peers.peers(peers.PEERS, 1):
        assert peers.measure(peer, samples).bytes > 0
