"""Maps of where the bits go: drawn as promised, and written by the command."""

import json
import os

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from codec import analyse, compress, heatmap
from codec.cli import cli
from codec.images.samples import Samples
from tests.pictures import photograph


def image(channels: int = 3) -> Samples:
    planes = photograph(20, 26)[:channels]
    return Samples.of(np.ascontiguousarray(planes.transpose(1, 2, 0)))


def test_colours_grow_lighter_evenly():
    """CIE lightness rises all the way, nowhere faster than three times as fast as on average."""
    table = heatmap.colours()
    assert table.shape == (256, 3) and table.dtype == np.uint8
    linear = np.where(table > 10, ((table / 255 + 0.055) / 1.055) ** 2.4, table / 255 / 12.92)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    lightness = np.where(luminance > 0.008856, 116 * np.cbrt(luminance) - 16, 903.3 * luminance)
    rises = np.diff(lightness)
    assert lightness[0] < 1 and lightness[-1] > 95
    assert rises.min() > -0.1 and rises.max() < 3 * rises.mean()  # -0.1: bytes are rounded


@given(st.floats(1e-6, 1e6))
def test_scales_are_round_and_reach_far_enough(highest):
    step, parts = heatmap.scale(highest)
    assert highest <= step * parts * (1 + 1e-12) and step * parts < 1.4 * highest
    assert 3 <= parts <= 6
    assert f"{step:.1e}"[:3] in ("1.0", "2.0", "2.5", "5.0")


@pytest.mark.parametrize(
    ("highest", "expected"),
    [(0, (1, 1)), (6, (1, 6)), (7.3, (2, 4)), (21.7, (5, 5)), (0.5, (0.1, 5)), (60, (10, 6)), (61, (20, 4))],
)
def test_some_scales(highest, expected):
    assert heatmap.scale(highest) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("size", "drawn"),
    [
        ((1, 1), (256, 256)),
        ((100, 130), (300, 390)),
        ((255, 300), (510, 600)),
        ((256, 300), (256, 300)),
        ((300, 700), (300, 700)),
        ((4, 500), (64, 8000)),
        ((9000, 2), (9000, 2)),
    ],
    ids=str,
)
def test_sizes(size, drawn):
    page = heatmap.draw(np.ones(size, np.float32))
    assert page.dtype == np.uint8 and page.shape[1:] == (max(drawn[1], 256), 3)
    assert 0 < page.shape[0] - drawn[0] <= max(80, drawn[1] // 8)
    if drawn[1] < 256:
        assert (page[: drawn[0], drawn[1] :] == 255).all()


def test_every_pixel_is_a_square_of_its_colour():
    """On a scale to 20 bits, by the costs of 99.5 % of them; the others are as bright as can be."""
    shades = np.random.default_rng(0).integers(0, 255, (100, 120))
    costs = ((shades + 0.5) / 255 * 20).astype(np.float32)
    shades[7, 11], costs[7, 11] = 255, 1000
    drawn = heatmap.draw(costs)[:300].reshape(100, 3, 120, 3, 3)
    for y, x in np.ndindex(3, 3):
        np.testing.assert_array_equal(drawn[:, y, :, x], heatmap.colours()[shades])


def test_the_bar_has_all_colours_and_labels():
    page = heatmap.draw(np.full((256, 600), 9.0, np.float32))
    bar = page[256 + 7 + 3]
    np.testing.assert_array_equal(bar[[0, -1]], heatmap.colours()[[0, -1]])
    assert len(np.unique(bar, axis=0)) == len(np.unique(heatmap.colours(), axis=0))
    labels = page[256 + 28 :].min(axis=2) < 128
    assert labels[:20, :20].any() and labels[:20, -20:].any() and labels[20:, 250:350].any()


def test_nothing_to_pay_is_dark():
    assert (heatmap.draw(np.zeros((300, 300), np.float32))[:300] == heatmap.colours()[0]).all()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Pillow.fromarray(image().values).save("a.png")
    Pillow.fromarray(image(1).values[..., 0]).save("grey.png")
    return tmp_path


@pytest.fixture
def run(tiny_bundle):
    def run(*arguments, code=0):
        words = ["heatmap", "--model", tiny_bundle, "--threads", 1, *arguments]
        result = CliRunner().invoke(cli, [str(word) for word in words])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    return run


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_command_writes_a_picture_and_says_what_it_costs(run, folder, tiny_model):
    row = json.loads(run("a.png", "-o", "heat.png", "--json").stdout)[0]
    expected, found = compress(image(), tiny_model).nll_bits, analyse(image(), tiny_model)
    assert (row["input"], row["output"]) == ("a.png", "heat.png")
    assert (row["width"], row["height"], row["kind"], row["depth"]) == (26, 20, "rgb", 8)
    assert row["bits"] == pytest.approx(expected, rel=1e-6) == pytest.approx(sum(row["channel_bits"]), rel=1e-6)
    assert row["bpsp"] == pytest.approx(expected / 1560, rel=1e-6)
    assert row["channel_bpsp"] == pytest.approx([bits / 520 for bits in row["channel_bits"]])
    assert row["stages"] == pytest.approx(found.stages)
    np.testing.assert_array_equal(np.asarray(Pillow.open("heat.png")), heatmap.draw(found.costs.sum(axis=2)))
    assert names(folder) == ["a.png", "grey.png", "heat.png"]


def test_a_line_and_a_name_for_each_picture(run, folder):
    result = run("a.png", "grey.png")
    colour, grey = result.stdout.splitlines()
    assert colour.startswith("a.png") and " bpsp  R " in colour and "  G " in colour and "  B " in colour
    assert grey.startswith("grey.png") and " bpsp  L " in grey
    assert result.stderr == ""
    assert names(folder) == ["a.heat.png", "a.png", "grey.heat.png", "grey.png"]


def test_what_stops_the_writing_is_said_before_the_work(run, folder, monkeypatch):
    monkeypatch.setattr("codec.compression.analyse", None)
    (folder / "heat.png").write_bytes(b"old")
    for output, words in (
        ("heat.png", "heat.png exists: overwrite it with --force"),
        ("heat.jpg", "a heat map is a PNG: end heat.jpg with .png"),
        ("missing/heat.png", "missing is no folder that exists"),
    ):
        result = run("a.png", "-o", output, code=1)
        assert words in result.stderr and len(result.stderr.splitlines()) == 1
    assert (folder / "heat.png").read_bytes() == b"old"


def test_force_overwrites(run, folder):
    (folder / "heat.png").write_bytes(b"old")
    run("a.png", "-o", "heat.png", "--force")
    assert Pillow.open("heat.png").width == 338


def test_inputs_that_cannot_be_read_are_one_line(run, folder):
    (folder / "text.png").write_text("Dear sir or madam")
    result = run("missing.png", "text.png", "grey.png", "--json", code=1)
    *failures, row = json.loads(result.stdout)
    assert row["input"] == "grey.png" and ["error" in each for each in failures] == [True, True]
    assert [line.split(":")[1] for line in result.stderr.splitlines()] == [" missing.png", " text.png"]
    assert "more than 5 in all" in run("a.png", "--max-pixels", 5, code=1).stderr
    assert "would overwrite a.png" in run("a.png", "-o", "a.png", "--force", code=1).stderr
    assert not (folder / "a.heat.png").exists()


@pytest.mark.parametrize("arguments", [[], ["a.png", "-o", "x/", "--mirror", "y"], ["a.png", "--effort", "0"]])
def test_wrong_usage_exits_with_2(run, folder, arguments):
    run(*arguments, code=2)
    assert names(folder) == ["a.png", "grey.png"]


def test_nothing_is_half_written(run, folder, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert "No space left on device" in run("a.png", "-o", "heat.png", code=1).stderr
    assert names(folder) == ["a.png", "grey.png"]
