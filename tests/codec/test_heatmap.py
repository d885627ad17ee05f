"""Costs of single pixels: they add up, lie where they belong, and are drawn and written as promised."""

import json
import os
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from codec import container, heatmap
from codec.cli import cli
from codec.codec import code_tile, compress, cost_map
from codec.coder import Decoder, Encoder
from codec.container import Header
from codec.images import Image
from tests import tolerance
from tests.pictures import noise, photograph

EFFORTS = (1, 5, 9)
COST = 2                    # roundings to float32 of the cost of a value, by the colours and by the mixture


def image(height, width, mode="RGB") -> Image:
    planes = np.concatenate([photograph(height, width), noise(height, width)[:1] | 3])
    channels = {"L": [1], "RGB": [0, 1, 2], "RGBA": [0, 1, 2, 3]}[mode]
    return Image(np.ascontiguousarray(planes[channels].transpose(1, 2, 0)), mode)


@pytest.fixture
def tiles_of_16(monkeypatch):
    defaults = tuple(16 if name == "tile" else getattr(Header, name) for name in ("variant", "tile", "effort"))
    monkeypatch.setattr(Header.__init__, "__defaults__", defaults)
    assert Header(40, 33, "RGB", bytes(6)).tile_count == 9


def check_sum(picture, model, effort) -> None:
    costs = cost_map(picture, model, effort=effort)
    colours = container.MODES[picture.mode].colours
    assert costs.shape == (picture.height, picture.width, colours) and costs.dtype == np.float32
    assert (costs > 0).all()
    expected = compress(picture, model, effort=effort).nll_bits
    tolerance.assert_close(costs.sum(dtype=float), expected, COST, number="float32")


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize("size", [(14, 19), (19, 14), (1, 30), (30, 1), (1, 1)], ids=str)
def test_the_sum_is_the_likelihood(tiny_model, size, mode, effort):
    check_sum(image(*size, mode), tiny_model, effort)


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("size, mode, threads", [((33, 40), "RGBA", 1), ((33, 40), "L", 2), ((40, 33), "RGBA", 2)])
def test_the_sum_of_several_tiles_is_the_likelihood(tiny_model, tiles_of_16, size, mode, threads, effort):
    check_sum(image(*size, mode), replace(tiny_model, threads=threads), effort)


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("size", [(9, 14), (14, 9)], ids=["landscape", "portrait"])
@pytest.mark.parametrize("channel", range(3))
def test_costs_belong_to_their_pixels_and_channels(tiny_model, size, channel, effort):
    """Another value costs other bits at its place, and nothing changes of what was coded before it."""
    picture, high = image(*size), size[0] > size[1]
    costs = partial(cost_map, model=tiny_model, effort=effort, order=f"wavefront:{4 * high}")
    before = costs(picture)
    across, down = (2, 1) if high else (1, 2)
    for row, col in ((0, 0), (4, 6), (size[0] - 1, 0), (size[0] - 1, size[1] - 1)):
        pixels = picture.pixels.copy()
        pixels[row, col, channel] ^= 128
        after = costs(Image(pixels, "RGB"))
        assert after[row, col, channel] != before[row, col, channel]
        rows, cols = np.indices(size)
        rank = across * cols + down * rows
        same = rank <= rank[row, col]
        same[row, col] = False
        np.testing.assert_array_equal(after[same], before[same])
        np.testing.assert_array_equal(after[row, col, :channel], before[row, col, :channel])


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("size, mode", [((32, 48), "L"), ((48, 32), "RGB")], ids=["landscape", "portrait"])
def test_noise_costs_more_than_what_is_flat(tiny_model, tiles_of_16, size, mode, effort):
    """With tiles of one half or the other, each of which must find its place."""
    rows, cols = size[0] // 2, size[1] // 2
    for half in (np.s_[:rows], np.s_[rows:], np.s_[:, :cols], np.s_[:, cols:]):
        noisy = np.zeros(size, bool)
        noisy[half] = True
        pixels = np.where(noisy[..., None], noise(*size).transpose(1, 2, 0), np.uint8(90))[..., : len(mode)]
        costs = cost_map(Image(pixels, mode), tiny_model, effort=effort).mean(axis=2)
        assert costs[noisy].mean() > 2 * costs[~noisy].mean(), half


def test_the_decoder_pays_the_same(tiny_model):
    planes = photograph(8, 11)
    encoder, paid = Encoder(), np.zeros((2, 3, 88), np.float32)
    code_tile(tiny_model, encoder, planes, costs=paid[0])
    code_tile(tiny_model, Decoder(encoder.finish()), np.zeros_like(planes), costs=paid[1])
    assert (paid[0] > 0).all()
    np.testing.assert_array_equal(paid[0], paid[1])


def test_progress_reaches_the_number_of_pixels(tiny_model):
    calls = []
    cost_map(image(9, 12), tiny_model, progress=lambda *call: calls.append(call))
    assert calls == sorted(calls) and calls[-1] == (108, 108)


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
    assert highest <= step * parts * (1 + tolerance.bound(3)) and step * parts < 1.4 * highest
    assert 3 <= parts <= 6
    assert f"{step:.1e}"[:3] in ("1.0", "2.0", "2.5", "5.0")


@pytest.mark.parametrize(
    ("highest", "expected"),
    [(0, (1, 1)), (6, (1, 6)), (7.3, (2, 4)), (21.7, (5, 5)), (0.5, (0.1, 5)), (60, (10, 6)), (61, (20, 4))],
)
def test_some_scales(highest, expected):
    tolerance.assert_close(heatmap.scale(highest), expected, depth=3)


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
    Pillow.fromarray(image(20, 26).pixels).save("a.png")
    Pillow.fromarray(image(20, 26, "L").pixels[..., 0]).save("grey.png")
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
    row = json.loads(run("a.png", "-o", "heat.png", "--json", "--effort", 1).stdout)[0]
    expected = compress(image(20, 26), tiny_model, effort=1).nll_bits
    assert (row["input"], row["output"]) == ("a.png", "heat.png")
    assert (row["width"], row["height"], row["mode"]) == (26, 20, "RGB")
    tolerance.assert_close(row["bits"], expected, COST, number="float32")
    tolerance.assert_close(sum(row["channel_bits"]), expected, COST, number="float32")
    tolerance.assert_close(row["bpsp"], expected / 1560, COST, number="float32")
    tolerance.assert_close(row["channel_bpsp"], [bits / 520 for bits in row["channel_bits"]], depth=3)
    costs = cost_map(image(20, 26), tiny_model, effort=1)
    np.testing.assert_array_equal(np.asarray(Pillow.open("heat.png")), heatmap.draw(costs.sum(axis=2)))
    assert names(folder) == ["a.png", "grey.png", "heat.png"]


def test_a_line_and_a_name_for_each_picture(run, folder):
    result = run("a.png", "grey.png", "-q")
    colour, grey = result.stdout.splitlines()
    assert colour.startswith("a.png") and " bpsp  R " in colour and "  G " in colour and "  B " in colour
    assert grey.startswith("grey.png") and " bpsp  L " in grey
    assert result.stderr == ""
    assert names(folder) == ["a.heat.png", "a.png", "grey.heat.png", "grey.png"]


def test_what_stops_the_writing_is_said_before_the_work(run, folder, monkeypatch):
    monkeypatch.setattr("codec.codec.cost_map", None)
    (folder / "heat.png").write_bytes(b"old")
    for output, words in (
        ("heat.png", "heat.png exists: overwrite it with --force"),
        ("heat.jpg", "heat.jpg names no lossless format"),
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
    assert [row["input"] for row in json.loads(result.stdout)] == ["grey.png"]
    assert [line.split(":")[1] for line in result.stderr.splitlines()] == [" missing.png", " text.png"]
    assert "more than 5 in all" in run("a.png", "--max-pixels", 5, code=1).stderr
    assert not (folder / "a.heat.png").exists()


@pytest.mark.parametrize("arguments", [[], ["a.png", "-o", "a.png", "--force"], ["a.png", "--effort", "0"]])
def test_wrong_usage_exits_with_2(run, folder, arguments):
    run(*arguments, code=2)
    assert names(folder) == ["a.png", "grey.png"]


def test_nothing_is_half_written(run, folder, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert "No space left on device" in run("a.png", "-o", "heat.png", code=1).stderr
    assert names(folder) == ["a.png", "grey.png"]
