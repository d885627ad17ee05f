"""From pixels to a file and back: any picture, any size, any way of running it: the same bytes and the same pixels."""

import functools
import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

import runtime
from codec import compress, decompress, models
from codec.cli import cli
from codec.format import container
from codec.images.samples import Samples
from tests import bundles
from tests.pictures import KINDS, noise, photograph

MODES = {"L": 1, "RGB": 3, "RGBA": 4}
KIND = {"L": "grey", "RGB": "rgb", "RGBA": "rgb+alpha"}
EFFORTS = ("fast", "normal")
SIZES = [(1, 1), (1, 2), (2, 1), (2, 2), (1, 300), (300, 1), (3, 64), (64, 3), (48, 61), (65, 129)]
WAYS = [("integer", True, 2), ("integer", False, 1), ("float32", True, 1), ("float32", False, 2)]


def image(planes, mode="RGB") -> Samples:
    """Of uint8 [3, H, W]; alpha is made of the planes, too."""
    planes = np.concatenate([planes, planes[:1] // 16 * 17])
    channels = {"L": [1], "RGB": [0, 1, 2], "RGBA": [0, 1, 2, 3]}[mode]
    return Samples.of(np.ascontiguousarray(planes[channels].transpose(1, 2, 0)))


@pytest.fixture(scope="module")
def other_ways(tiny_bundle):
    return [
        runtime.load(tiny_bundle, threads=threads, products=products, optimise=optimise)
        for products, optimise, threads in WAYS
    ]


def check_length(coded) -> None:
    """The file is as long as the model's likelihood says, and a coder cannot be shorter."""
    tiles = len(container.read(coded.data).picture.tiles)
    assert coded.nll_bits <= 8 * len(coded.data) <= 1.001 * coded.nll_bits + 8 * (24 + 16 * tiles)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("effort", EFFORTS)
def test_lossless_in_every_size_and_way(tiny_model, other_ways, effort, size):
    picture = image(noise(*size) if effort == "fast" else photograph(*size))
    coded = compress(picture, tiny_model, effort=effort)
    check_length(coded)
    assert picture.difference(decompress(coded.data, tiny_model)) is None
    for model in other_ways:
        assert compress(picture, model, effort=effort) == coded
        assert picture.difference(decompress(coded.data, model)) is None


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", KINDS)
def test_lossless_for_every_kind_and_mode(tiny_model, kind, mode):
    picture = image(KINDS[kind](29, 43), mode)
    for effort in EFFORTS:
        coded = compress(picture, tiny_model, effort=effort)
        check_length(coded)
        assert picture.difference(decompress(coded.data, tiny_model)) is None


@settings(deadline=None, max_examples=40)
@given(
    data=st.data(),
    height=st.integers(1, 24),
    width=st.integers(1, 24),
    mode=st.sampled_from(list(MODES)),
    effort=st.sampled_from(EFFORTS),
    values=st.sampled_from([(0, 255), (0, 1), (254, 255), (100, 103)]),
    seed=st.integers(0, 2**32 - 1),
)
def test_lossless_for_anything(tiny_model, data, height, width, mode, effort, values, seed):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(values[0], values[1] + 1, (height, width, MODES[mode]), dtype=np.uint8)
    flat = data.draw(st.integers(0, height))  # some rows of one colour
    pixels[:flat] = pixels[0, 0]
    picture = Samples.of(pixels)
    coded = compress(picture, tiny_model, effort=effort)
    check_length(coded)
    assert picture.difference(decompress(coded.data, tiny_model)) is None


def test_a_photograph_becomes_smaller(tiny_model):
    """Even a model of random weights has the online predictor to stand on."""
    picture = image(photograph(96, 128, seed=5))
    assert len(compress(picture, tiny_model).data) < 0.6 * picture.values.nbytes


def test_a_transposed_picture_takes_the_same_bits(tiny_model):
    """Both are turned the way that suits them best, so both are the same picture to the coder."""
    picture = image(photograph(20, 50))
    turned = Samples.of(np.ascontiguousarray(picture.values.transpose(1, 0, 2)))
    first, second = (container.read(compress(p, tiny_model).data).picture for p in (picture, turned))
    assert first.tiles[0].payload == second.tiles[0].payload and first.header.variant != second.header.variant


@pytest.mark.slow
@pytest.mark.parametrize("size", [(640, 480), (1100, 1030)], ids=str)
def test_large_pictures(tiny_model, size):
    """1100 x 1030 is four tiles: their index costs 24 bytes more than a single one's."""
    picture = image(photograph(*size, seed=2))
    coded = compress(picture, replace(tiny_model, threads=2))
    assert 8 * len(coded.data) <= 1.001 * coded.nll_bits + 8 * 48
    assert coded == compress(picture, tiny_model)
    assert picture.difference(decompress(coded.data, replace(tiny_model, threads=3))) is None


@pytest.fixture
def folder(tmp_path, monkeypatch, tiny_bundle):
    """The current folder, with pictures of all modes; no model is shipped."""
    monkeypatch.setattr(models, "BUNDLES", tmp_path / "none")
    monkeypatch.chdir(tmp_path)
    for mode in MODES:
        pixels = image(photograph(66, 70, seed=len(mode)), mode).values
        Pillow.fromarray(pixels[..., 0] if mode == "L" else pixels).save(f"{mode}.png")
    return tmp_path


def command(*arguments, code=0):
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def test_the_command_line_there_and_back(folder, tiny_bundle, tiny_model):
    model, names = ("--model", tiny_bundle), [f"{mode}.png" for mode in MODES]
    rows = json.loads(command("compress", *names, *model, "--threads", 1, "--json").stdout)
    assert [row["input"] for row in rows] == names
    for mode, row in zip(MODES, rows):
        size = (folder / f"{mode}.lmc").stat().st_size
        assert {"input", "output", "raw_bytes", "bytes", "bpsp", "nll_bits", "seconds", "model", "order"} <= set(row)
        assert (row["output"], row["bytes"], row["raw_bytes"]) == (f"{mode}.lmc", size, 66 * 70 * MODES[mode])
        assert row["bpsp"] == 8 * size / (66 * 70 * MODES[mode])
        assert (row["model"], row["order"]) == ("tiny", "wavefront") and row["seconds"] > 0
        assert 0 < row["nll_bits"] <= 8 * size
        about = json.loads(command("info", f"{mode}.lmc", "--json").stdout)[0]
        assert (about["height"], about["width"], about["kind"], about["bytes"]) == (66, 70, KIND[mode], size)
        assert about["model_id"] == tiny_model.manifest.model_id[:12] and about["tiles"] == 1 + (mode == "RGBA")
        assert about["model"] is None and about["order"] is None  # not a shipped one
    files = [f"{mode}.lmc" for mode in MODES]
    verified = command("verify", *files, *model, "--threads", 2).stdout.splitlines()
    assert [line.split("ok: ")[1] for line in verified] == [f"70 x 66 {KIND[mode]}" for mode in MODES]
    command("verify", "RGB.lmc", "--against", "RGB.png", *model)
    command("decompress", *files, "-o", "back/", *model, "--threads", 2)
    for mode in MODES:
        with Pillow.open(f"back/{mode}.png") as back, Pillow.open(f"{mode}.png") as original:
            assert back.mode == original.mode == mode
            np.testing.assert_array_equal(np.asarray(back), np.asarray(original))


def test_the_command_line_writes_the_same_file_every_time(folder, tiny_bundle):
    for number, options in enumerate((["--threads", 1], ["--threads", 2], ["--no-verify"])):
        command("compress", "RGB.png", "--model", tiny_bundle, "-o", f"{number}.lmc", *options)
    assert len({(folder / f"{number}.lmc").read_bytes() for number in range(3)}) == 1


def fails(folder, *arguments):
    """One line on stderr, exit code 1, no file made; the line."""
    before = sorted(folder.rglob("*"))
    result = command(*arguments, code=1)
    assert sorted(folder.rglob("*")) == before
    (line,) = result.stderr.splitlines()
    assert line.startswith("lmconv-codec: ") and "Traceback" not in line
    return line


def test_the_command_line_refuses_what_it_cannot_do(folder, tiny_bundle, tmp_path):
    model = ("--model", tiny_bundle)
    command("compress", "RGB.png", *model)
    fail = functools.partial(fails, folder)
    assert "--force" in fail("compress", "RGB.png", *model)
    assert "no model" in fail("compress", "L.png", "--model", "nowhere.lmconv")
    assert "not at hand" in fail("decompress", "RGB.lmc", "-o", "x.png")
    assert "not a model bundle" in fail("compress", "L.png", "--model", "L.png")
    assert "cuda" in fail("compress", "L.png", *model, "--provider", "cuda")
    (folder / "text.lmc").write_text("a text file")
    assert "not as a compressed image" in fail("decompress", "text.lmc", *model)
    assert "--max-pixels" in fail("decompress", "RGB.lmc", "-o", "x.png", *model, "--max-pixels", 100)
    data = (folder / "RGB.lmc").read_bytes()
    (folder / "cut.lmc").write_bytes(data[:-7])
    assert "is not there" in fail("verify", "cut.lmc", *model)
    assert "truncated" in fail("decompress", "cut.lmc", *model)
    contents = container.read(data)
    (group,) = contents.picture.groups
    tiles = (replace(group.tiles[0], payload=b"\xff" * 40),)
    forged = replace(contents.picture, groups=(replace(group, tiles=tiles),))
    (folder / "forged.lmc").write_bytes(container.pack(replace(contents, held=forged)))
    assert "does not decode" in fail("decompress", "forged.lmc", *model)
    another = bundles.altered_weights(folder / "another.lmconv", tiny_bundle)
    assert "another.lmconv is model" in fail("decompress", "RGB.lmc", "-o", "x.png", "--model", another)
