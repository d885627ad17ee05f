"""The command line, with a model and a coder that are made up here: raw pixels in the real container.

What is tested is the way of files, messages and exit codes; the real coder has tests of its own.
"""

import json
import os
import pty
import subprocess
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image as Pillow

import codec.jpeg.born  # noqa: F401  what the made-up runtime does not stand for
import runtime.files  # noqa: F401  nor for this
from codec import models
from codec.cli import cli
from codec.commands.running import progress_bar
from codec.errors import DamagedFile, ImageTooLarge
from codec.format import container
from codec.format.container import Header, Tile
from codec.format.method import Method
from codec.images import Image
from runtime.network import BundleError

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = {"drawing": "cd" * 32, "photo": "ef" * 32, "photo-small": "ab" * 32}
PIXELS = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)


@dataclass(frozen=True)
class Manifest:
    name: str
    model_id: str
    order: str = "wavefront"
    bits_per_subpixel: float | None = 2.5
    parameters: int = 1000


@dataclass(frozen=True)
class Model:
    manifest: Manifest
    provider: str
    threads: int


@dataclass(frozen=True)
class Compressed:
    data: bytes
    nll_bits: float
    methods: dict
    source: None = None


def read_manifest(path):
    text = Path(path).read_text()
    if len(text) != 64:
        raise BundleError(f"{path} is no bundle")
    return Manifest(Path(path).stem, text)


def store(image, model, *, effort="normal", order="auto", progress=None):
    """codec.codec.compress, made up: the pixels as they are, in one tile."""
    progress = progress or (lambda done, total: None)
    progress(1, image.height * image.width)
    header = Header(image.width, image.height, image.mode, container.short_id(model.manifest.model_id))
    pixels = image.pixels[:, :, : container.MODES[image.mode].colours]
    alpha = image.pixels[:, :, 3].tobytes() if image.mode == "RGBA" else None
    progress(image.height * image.width, image.height * image.width)
    tile = Tile(pixels.tobytes(), container.pixels_crc(pixels), Method().code)
    return Compressed(container.pack(header, [tile], alpha), 8.0 * pixels.size, {Method(): 1})


def restore(data, model, *, max_pixels=container.MAX_PIXELS, progress=None):
    """codec.codec.decompress, made up."""
    parsed = container.unpack(data, max_pixels) if isinstance(data, bytes) else data
    header, mode = parsed.header, container.MODES[parsed.header.mode]
    size = header.height * header.width
    pixels = np.frombuffer(parsed.tiles[0].payload, np.uint8).reshape(header.height, header.width, mode.colours)
    if container.pixels_crc(pixels) != parsed.tiles[0].pixels_crc:
        raise DamagedFile("tile 1 decodes to other pixels: get the file again")
    if parsed.alpha is not None:
        alpha = np.frombuffer(parsed.alpha, np.uint8).reshape(header.height, header.width, 1)
        pixels = np.concatenate([pixels, alpha], axis=2)
    if progress:
        progress(size, size)
    return Image(pixels, header.mode)


@pytest.fixture
def fakes(monkeypatch):
    """The two modules that the command line calls; their functions can be replaced in a test."""
    runtime, codec = ModuleType("runtime"), ModuleType("codec.codec")
    runtime.BundleError, runtime.read_manifest, runtime.compiled = BundleError, read_manifest, lambda: True
    runtime.load = lambda path, provider="cpu", threads=0: Model(read_manifest(path), provider, threads)
    codec.compress, codec.decompress = store, restore
    monkeypatch.setitem(sys.modules, "runtime", runtime)
    monkeypatch.setitem(sys.modules, "codec.codec", codec)
    runtime.codec = codec
    return runtime


@pytest.fixture
def folder(tmp_path, monkeypatch, fakes):
    """The current folder, with two pictures and three shipped models."""
    bundles = tmp_path / "shipped"
    bundles.mkdir()
    for name, model_id in SHIPPED.items():
        (bundles / f"{name}.lmconv").write_text(model_id)
    monkeypatch.setattr(models, "BUNDLES", bundles)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    Pillow.fromarray(PIXELS).save("a.png")
    Pillow.fromarray(PIXELS[:, :, 0]).save("grey.png")
    return work


def run(*arguments, code=0):
    """Run a command; an unexpected exception is raised here, as it would print a traceback."""
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_there_and_back(folder):
    run("compress", "a.png", "grey.png")
    assert names(folder) == ["a.lmc", "a.png", "grey.lmc", "grey.png"]
    run("decompress", "a.lmc", "grey.lmc", "-o", "out/")
    np.testing.assert_array_equal(np.asarray(Pillow.open("out/a.png")), PIXELS)
    assert Pillow.open("out/grey.png").mode == "L"


def test_alpha_comes_along(folder):
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    Pillow.fromarray(pixels).save("alpha.png")
    run("compress", "alpha.png")
    run("decompress", "alpha.lmc", "-o", "back.tif")
    np.testing.assert_array_equal(np.asarray(Pillow.open("back.tif")), pixels)


@pytest.mark.parametrize("output", ["new/", "old", "old/"])
def test_outputs_go_to_a_folder(folder, output):
    (folder / "old").mkdir()
    run("compress", "a.png", "-o", output)
    assert names(folder / output) == ["a.lmc"]


def test_several_outputs_make_their_folder(folder):
    run("compress", "a.png", "grey.png", "-o", "x/y")
    assert names(folder / "x" / "y") == ["a.lmc", "grey.lmc"]


def test_compress_json(folder):
    rows = json.loads(run("compress", "a.png", "--json", "-o", "z.lmc").stdout)
    size = (folder / "z.lmc").stat().st_size
    seconds = rows[0].pop("seconds")
    assert 0 <= seconds < 10
    assert rows == [
        {
            "input": "a.png",
            "output": "z.lmc",
            "raw_bytes": 18,
            "bytes": size,
            "bpsp": 8 * size / 18,
            "nll_bits": 144.0,
            "model": "photo-small",
            "order": "wavefront",
            "effort": "normal",
            "methods": {"network + quick learning": 1},
            "source": None,
        }
    ]


def test_info_json(folder):
    run("compress", "a.png", "--model", "drawing")
    size = (folder / "a.lmc").stat().st_size
    about = {
        "input": "a.lmc",
        "width": 3,
        "height": 2,
        "mode": "RGB",
        "model": "drawing",
        "model_id": "cd" * 6,
        "order": "wavefront",
        "variant": 0,
        "tile": 1024,
        "tiles": 1,
        "bytes": size,
        "bpsp": 8 * size / 18,
        "version": 0,
        "methods": {"network + quick learning": 1},
        "kept_bytes": None,
        "source": None,
    }
    assert json.loads(run("info", "a.lmc", "--json").stdout) == [about]
    (models.BUNDLES / "drawing.lmconv").unlink()
    unknown = json.loads(run("info", "a.lmc", "--json").stdout)
    assert unknown == [about | {"model": None, "order": None}]
    assert "unknown cdcdcdcdcdcd" in run("info", "a.lmc").stdout


def test_models_json(folder):
    rows = json.loads(run("models", "--json").stdout)
    assert rows[1] == {
        "name": "photo",
        "path": str(models.BUNDLES / "photo.lmconv"),
        "model_id": "ef" * 32,
        "order": "wavefront",
        "bits_per_subpixel": 2.5,
        "parameters": 1000,
        "bytes": 64,
    }
    assert [row["name"] for row in rows] == list(SHIPPED)


def test_decompress_json(folder):
    run("compress", "a.png")
    rows = json.loads(run("decompress", "a.lmc", "-o", "b.png", "--json").stdout)
    assert {key: rows[0][key] for key in ("input", "output", "mode")} == {
        "input": "a.lmc",
        "output": "b.png",
        "mode": "RGB",
    }


def test_a_line_per_file_without_json(folder):
    outputs = [
        run("compress", "a.png", "grey.png"),
        run("info", "a.lmc", "grey.lmc"),
        run("verify", "a.lmc", "grey.lmc"),
        run("decompress", "a.lmc", "grey.lmc", "--force"),
    ]
    for result in outputs:
        first, second = result.stdout.splitlines()
        assert first.startswith("a.") and second.startswith("grey.")
        assert result.stderr == ""
    assert [line.split()[0] for line in run("models").stdout.splitlines()] == list(SHIPPED)


def test_provider_threads_and_model_reach_the_runtime(folder, fakes):
    seen = []
    fakes.codec.compress = lambda image, model, **_: seen.append(model) or store(image, model)
    fakes.codec.decompress = lambda data, model, progress: seen.append(model) or restore(data, model)
    bundle = models.BUNDLES / "drawing.lmconv"
    run("compress", "a.png", "--threads", "2", "--provider", "cuda", "--model", bundle)
    run("decompress", "a.lmc", "--threads", "1", "--provider", "auto", "--max-pixels", "6", "--force")
    model = Manifest("drawing", SHIPPED["drawing"])
    assert seen == [Model(model, "cuda", 2), Model(model, "auto", 1)]


def test_a_model_is_loaded_once_for_many_files(folder, fakes):
    run("compress", "a.png", "grey.png")
    loads, load = [], fakes.load
    fakes.load = lambda path, **options: loads.append(path) or load(path, **options)
    run("verify", "a.lmc", "grey.lmc")
    assert len(loads) == 1


@pytest.mark.parametrize(
    ("options", "effort", "model"),
    [
        ([], "normal", "photo-small"),
        (["-e", "fast"], "fast", "photo-small"),
        (["--effort", "best"], "best", "photo"),
        (["--effort", "best", "--model", "drawing"], "best", "drawing"),
    ],
)
def test_the_effort_names_the_model(folder, fakes, options, effort, model):
    seen = []
    fakes.codec.compress = lambda image, model, *, effort, **_: seen.append(effort) or store(image, model)
    (row,) = json.loads(run("compress", "a.png", *options, "--json").stdout)
    assert (row["effort"], row["model"], seen) == (effort, model, [effort])
    with open("a.lmc", "rb") as stream:
        assert container.read(stream).header.model_id == bytes.fromhex(SHIPPED[model])[:6]


def test_a_failed_input_does_not_stop_the_others(folder):
    Path("text.png").write_text("Dear sir or madam")
    result = run("compress", "missing.png", "text.png", "a.png", "--json", code=1)
    assert [row["input"] for row in json.loads(result.stdout)] == ["a.png"]
    missing, text = result.stderr.splitlines()
    assert missing == "lmconv-codec: missing.png: cannot be read (No such file or directory)"
    assert text.startswith("lmconv-codec: text.png: no picture in a format that is read")
    assert not Path("text.lmc").exists()


def test_modes_that_are_not_coded_are_named(folder):
    Pillow.new("CMYK", (2, 2)).save("a.tif")
    result = run("compress", "a.tif", code=1)
    assert result.stderr.startswith("lmconv-codec: a.tif: mode CMYK is not supported")
    assert len(result.stderr.splitlines()) == 1


def test_metadata_that_is_dropped_is_warned_about(folder):
    Pillow.fromarray(PIXELS).save("icc.png", icc_profile=b"profile" * 30)
    warning = "lmconv-codec: icc.png: warning: ICC profile of this picture will not be kept\n"
    assert run("compress", "icc.png").stderr == warning
    assert run("compress", "icc.png", "--force", "-q").stderr == ""


def test_nothing_is_overwritten_without_force(folder):
    Path("a.lmc").write_bytes(b"old")
    result = run("compress", "a.png", code=1)
    assert result.stderr == ("lmconv-codec: a.png: a.lmc exists: overwrite it with --force or choose another output\n")
    assert Path("a.lmc").read_bytes() == b"old"
    run("compress", "a.png", "--force")
    before = Path("a.png").read_bytes()
    assert "a.png exists" in run("decompress", "a.lmc", code=1).stderr
    assert Path("a.png").read_bytes() == before
    run("decompress", "a.lmc", "--force")


def test_an_input_is_never_overwritten_though_forced(folder):
    Path("out.lmc").symlink_to("a.png")
    before = Path("a.png").read_bytes()
    for command in ("compress", "heatmap"):
        result = run(command, "a.png", "-o", "out.lmc", "--force", code=2)
        assert "the result of a.png would overwrite a.png: choose another output" in result.stderr
    assert Path("a.png").read_bytes() == before


def test_an_existing_output_is_noticed_before_the_work(folder, fakes):
    run("compress", "a.png")
    fakes.codec.compress = fakes.codec.decompress = None  # would fail when called
    run("compress", "a.png", code=1)
    run("decompress", "a.lmc", code=1)
    assert "names no lossless format" in run("decompress", "a.lmc", "-o", "b.jpg", code=1).stderr


def test_unwritable_folders_are_one_line(folder):
    Path("file").write_bytes(b"")
    for output, words in (
        ("file/a.lmc", "lmconv-codec: a.png: file is no folder that exists"),
        ("missing/a.lmc", "lmconv-codec: a.png: missing is no folder that exists"),
        ("file/", "lmconv-codec: cannot make the folder file"),
        ("file/x/", "lmconv-codec: cannot make the folder file/x"),
    ):
        result = run("compress", "a.png", "-o", output, code=1)
        assert result.stderr.startswith(words)
        assert len(result.stderr.splitlines()) == 1
    assert names(folder) == ["a.png", "file", "grey.png"]


@pytest.mark.parametrize("command", ["decompress", "info", "verify"])
def test_damaged_files_are_one_line(folder, command):
    run("compress", "a.png")
    whole = Path("a.lmc").read_bytes()
    Path("text.lmc").write_text("Dear sir or madam")
    Path("empty.lmc").write_bytes(b"")
    Path("cut.lmc").write_bytes(whole[:-1])
    Path("more.lmc").write_bytes(whole + b"\0")
    huge = whole[:11] + b"\xff\xff\xff\xff\x0f" * 2 + whole[13:-4]
    Path("huge.lmc").write_bytes(huge + zlib.crc32(huge).to_bytes(4, "little"))
    Path("folder.lmc").mkdir()
    damaged = ["text.lmc", "empty.lmc", "cut.lmc", "more.lmc", "huge.lmc", "folder.lmc", "missing.lmc"]
    result = run(command, *damaged, code=1)
    lines = result.stderr.splitlines()
    assert len(lines) == len(damaged)
    for name, line in zip(damaged, lines, strict=True):
        assert line.startswith(f"lmconv-codec: {name}: ")
    assert result.stdout == ""
    assert sorted(path.name for path in folder.glob("*.png")) == ["a.png", "grey.png"]


def test_a_claim_of_too_many_pixels_is_refused(folder):
    run("compress", "a.png")
    assert "more than 5 in all" in run("compress", "a.png", "--max-pixels", 5, "--force", code=1).stderr
    assert "more than 5" in run("decompress", "a.lmc", "--max-pixels", 5, "-o", "b.png", code=1).stderr
    assert "more than 5" in run("verify", "a.lmc", "--max-pixels", 5, code=1).stderr


def test_missing_and_wrong_models(folder):
    run("compress", "a.png")
    Path("other.lmconv").write_text("12" * 32)
    result = run("decompress", "a.lmc", "-o", "b.png", "--model", "other.lmconv", code=1)
    assert "made with model abababababab, but other.lmconv is model 121212121212" in result.stderr
    (models.BUNDLES / "photo-small.lmconv").unlink()
    result = run("decompress", "a.lmc", "-o", "b.png", code=1)
    assert result.stderr.startswith("lmconv-codec: a.lmc: made with model abababababab, which is not shipped")
    result = run("compress", "grey.png", code=1)
    assert result.stderr == (
        "lmconv-codec: no model 'photo-small': give a .lmconv file's path or one of: drawing, photo\n"
    )
    Path("broken.lmconv").write_text("x")
    result = run("compress", "grey.png", "--model", "broken.lmconv", code=1)
    assert result.stderr == "lmconv-codec: broken.lmconv is no bundle\n"
    assert names(folder) == ["a.lmc", "a.png", "broken.lmconv", "grey.png", "other.lmconv"]


def test_a_missing_onnxruntime_says_what_to_install(folder, fakes):
    def load(path, **options):
        raise ModuleNotFoundError("No module named 'onnxruntime'", name="onnxruntime")

    run("compress", "a.png")
    fakes.load = load
    for arguments in (["compress", "grey.png"], ["verify", "a.lmc"]):
        result = run(*arguments, code=1)
        assert "No module named 'onnxruntime': pip install lmconv[cpu]" in result.stderr
        assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "not enough memory"),
        (OSError(5, "Input/output error"), "Input/output error"),
        (DamagedFile("of two\nlines"), "of two lines"),
        (ImageTooLarge("too large"), "too large"),
        (BundleError("a bundle's"), "a bundle's"),
    ],
)
def test_errors_of_the_coder_are_one_line(folder, fakes, error, words):
    def fail(*_, **__):
        raise error

    fakes.codec.compress = fail
    result = run("compress", "a.png", "grey.png", code=1)
    assert [words in line for line in result.stderr.splitlines()] == [True, True]
    assert names(folder) == ["a.png", "grey.png"]


def test_a_bug_is_not_hidden(folder, fakes):
    def fail(*_, **__):
        raise ZeroDivisionError

    fakes.codec.compress = fail
    with pytest.raises(ZeroDivisionError):
        run("compress", "a.png")


def test_an_interrupt_keeps_what_is_whole(folder, fakes):
    def interrupted(image, model, **_):
        if image.mode == "L":
            raise KeyboardInterrupt
        return store(image, model)

    fakes.codec.compress = interrupted
    Pillow.fromarray(PIXELS).save("z.png")
    result = run("compress", "a.png", "grey.png", "z.png", "--json", code=1)
    assert [row["input"] for row in json.loads(result.stdout)] == ["a.png"]
    assert result.stderr == "lmconv-codec: interrupted\n"
    assert names(folder) == ["a.lmc", "a.png", "grey.png", "z.png"]


def test_an_interrupt_while_the_model_is_loaded(folder, fakes):
    def load(path, **options):
        raise KeyboardInterrupt

    fakes.load = load
    assert run("compress", "a.png", code=1).stderr == "lmconv-codec: interrupted\n"


def test_verify(folder):
    run("compress", "a.png")
    assert run("verify", "a.lmc").stdout == "a.lmc  ok: 3 x 2 RGB\n"
    assert "the pixels of a.png" in run("verify", "a.lmc", "--against", "a.png").stdout
    other = PIXELS.copy()
    other[1, 2, 0] += 1
    Pillow.fromarray(other).save("other.png")
    result = run("verify", "a.lmc", "--against", "other.png", code=1)
    assert "1 of 6 pixels differ, the first in row 1, column 2" in result.stderr
    result = run("verify", "a.lmc", "--against", "grey.png", code=1)
    assert "3 x 2 L is not 3 x 2 RGB" in result.stderr


def test_verify_notices_pixels_that_differ_from_those_coded(folder):
    header = Header(3, 2, "RGB", b"\xab" * 6)
    wrong = Tile(bytes(18), container.pixels_crc(PIXELS))
    Path("wrong.lmc").write_bytes(container.pack(header, [wrong]))
    result = run("verify", "wrong.lmc", code=1)
    assert result.stderr.startswith("lmconv-codec: wrong.lmc: tile 1 decodes to other pixels")


def test_compress_verify_compares_before_it_writes(folder, fakes):
    run("compress", "a.png", "--verify")
    fakes.codec.decompress = lambda data, model, **_: Image(PIXELS[::-1], "RGB")
    result = run("compress", "a.png", "--verify", "-o", "b.lmc", code=1)
    assert "not the same as what it decodes to (6 of 6 pixels differ" in result.stderr
    assert not Path("b.lmc").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["compress"],
        ["compress", "a.png", "--threads", "-1"],
        ["compress", "a.png", "--max-pixels", "0"],
        ["compress", "a.png", "--effort", "9"],
        ["compress", "a.png", "a.png"],
        ["compress", "a.png", "-o", "a.png", "--force"],
        ["verify", "a.lmc", "b.lmc", "--against", "a.png"],
        ["sing"],
    ],
)
def test_wrong_usage_exits_with_2(folder, arguments):
    before = Path("a.png").read_bytes()
    run(*arguments, code=2)
    assert Path("a.png").read_bytes() == before
    assert names(folder) == ["a.png", "grey.png"]


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom codec.cli import cli\n"
        "try:\n    cli(['compress', '--help'])\nexcept SystemExit as end:\n    assert not end.code\n"
        "heavy = {'numpy', 'PIL', 'numba', 'constriction', 'onnxruntime', 'lmconv', 'torch'}\n"
        "print('heavy:', sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
    )
    assert "--max-pixels" in result.stdout
    assert result.stdout.endswith("heavy: []\n")


def test_a_closed_pipe_is_quiet(folder, fakes):
    """As in `lmconv-codec models | head -0`."""
    script = (
        "import sys, types, pathlib\n"
        "from codec import cli, models\n"
        "runtime = types.ModuleType('runtime')\n"
        "about = {'model_id': 'ab' * 32, 'order': '', 'bits_per_subpixel': None, 'parameters': 0}\n"
        "manifest = types.SimpleNamespace(**about)\n"
        "runtime.BundleError, runtime.read_manifest = ValueError, lambda path: manifest\n"
        "sys.modules['runtime'] = runtime\n"
        f"models.BUNDLES = pathlib.Path({str(models.BUNDLES)!r})\n"
        "cli.cli(['models'])\n"
    )
    reader, writer = os.pipe()
    os.close(reader)
    try:
        result = subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, timeout=30
        )
    finally:
        os.close(writer)
    assert result.stderr == b""
    assert result.returncode == 1


def test_a_terminal_gets_a_progress_bar_unless_quiet(monkeypatch):
    def drawn(quiet):
        leader, follower = pty.openpty()
        with os.fdopen(follower, "w") as terminal:
            with monkeypatch.context() as patch:
                patch.setattr(sys, "stderr", terminal)
                with progress_bar("a.png", quiet) as progress:
                    if progress:
                        progress(50, 200)
                        progress(200, 200)
            terminal.write("end")
        text = ""
        while not text.endswith("end"):  # a terminal gives its text in pieces
            text += os.read(leader, 10000).decode()
        os.close(leader)
        return text

    assert drawn(quiet=True) == "end"
    shown = drawn(quiet=False)
    assert "a.png" in shown and "25%" in shown and "100%" in shown
