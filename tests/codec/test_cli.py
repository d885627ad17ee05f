"""The command line, with a model and a coder that are made up here: raw pixels in the real container.

What is tested is the way of files, messages and exit codes; the real coder has tests of its own.
"""

import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path
from threading import Barrier, Event
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image as Pillow

import runtime.files  # noqa: F401  what the made-up runtime does not stand for
from codec import models
from codec.commands import running
from codec.commands.bar import Bar
from codec.commands.batch import shared_out
from codec.errors import DamagedFile, ImageTooLarge, UnsupportedImage
from codec.format import container
from codec.format.chunks import PICTURE, pack_chunks
from codec.format.container import Contents
from codec.format.numbers import varint
from codec.format.picture import Group, Header, Picture, Tile, crc_of
from codec.images.samples import Samples
from runtime.entry import INTERRUPTED
from runtime.network import BundleError
from tests.codec.made_up import PIXELS, SHIPPED, Manifest, Model, names, restore, run, store

ROOT = Path(__file__).resolve().parents[2]


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
    before = Path("alpha.png").read_bytes()
    run("decompress", "alpha.lmc", "-o", "back.png")
    assert Path("back.png").read_bytes() == before


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
            "input_bytes": Path("a.png").stat().st_size,
            "raw_bytes": 18,
            "bytes": size,
            "bpsp": 8 * size / 18,
            "nll_bits": 144.0,
            "model": "photo-small",
            "order": "wavefront",
            "effort": "normal",
            "methods": {"network + quick learning": 1},
            "kind": "rgb",
            "depth": 8,
            "exact": True,
            "verified": True,
            "kept": [],
            "dropped": [],
            "was_jpeg": None,
        }
    ]


def test_info_json(folder):
    run("compress", "a.png", "--model", "drawing")
    size = (folder / "a.lmc").stat().st_size
    status = os.stat("a.png")
    about = {
        "input": "a.lmc",
        "width": 3,
        "height": 2,
        "kind": "rgb",
        "depth": 8,
        "model": "drawing",
        "model_id": "cd" * 6,
        "order": "wavefront",
        "variant": 0,
        "tile": 1024,
        "tiles": 1,
        "bytes": size,
        "bpsp": 8 * size / 18,
        "version": 1,
        "methods": {"network + quick learning": 1},
        "format": "png",
        "exact": True,
        "kept": [],
        "stripped": False,
        "modified": status.st_mtime_ns / 1e9,
        "permissions": f"{status.st_mode & 0o777:o}",
        "kept_bytes": None,
        "was_jpeg": None,
        "chunks": [],
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
        "licence": None,
        "installed": False,
    }
    assert [row["name"] for row in rows] == list(SHIPPED)


def test_models_are_installed(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("LMCONV_MODELS", str(tmp_path / "own"))
    (tmp_path / "digits.lmconv").write_text("12" * 32)
    (row,) = json.loads(run("models", "--install", tmp_path / "digits.lmconv", "--json").stdout)
    installed = tmp_path / "own" / "digits.lmconv"
    assert (row["name"], row["path"], row["installed"]) == ("digits", str(installed), True)
    assert installed.read_bytes() == (tmp_path / "digits.lmconv").read_bytes()
    (tmp_path / "digits.lmconv").unlink()
    assert str(installed) in run("models").stdout.splitlines()[-1]
    run("compress", "a.png", "--model", "digits")
    run("verify", "a.lmc")  # found by what the file says
    (tmp_path / "other.lmconv").write_text("12" * 32)
    assert "digits" in run("models", "--install", tmp_path / "other.lmconv").stdout  # it is there
    (tmp_path / "photo.lmconv").write_text("34" * 32)
    named = run("models", "--install", tmp_path / "photo.lmconv", code=1)
    assert f"another model is named photo: {models.BUNDLES / 'photo.lmconv'}" in named.stderr
    (tmp_path / "text.lmconv").write_text("Dear sir or madam")
    assert "is no bundle" in run("models", "--install", tmp_path / "text.lmconv", code=1).stderr
    assert [path.name for path in installed.parent.iterdir()] == ["digits.lmconv"]


def test_decompress_json(folder):
    run("compress", "a.png")
    rows = json.loads(run("decompress", "a.lmc", "-o", "b.png", "--json").stdout)
    del rows[0]["seconds"]
    assert rows == [
        {
            "input": "a.lmc",
            "output": "b.png",
            "width": 3,
            "height": 2,
            "kind": "rgb",
            "depth": 8,
            "bytes": Path("a.lmc").stat().st_size,
            "exact": True,
            "lost": [],
        }
    ]


def test_a_line_per_file_without_json(folder):
    outputs = [
        run("compress", "a.png", "grey.png"),
        run("info", "a.lmc", "grey.lmc"),
        run("verify", "a.lmc", "grey.lmc"),
        run("decompress", "a.lmc", "grey.lmc", "--force"),
    ]
    for result in outputs:
        first, second, *totals = result.stdout.splitlines()
        assert first.startswith("a.") and second.startswith("grey.")
        assert [line.split()[:2] for line in totals] in ([], [["2", "files"]])
        assert result.stderr == ""
    assert [line.split()[0] for line in run("models").stdout.splitlines()] == list(SHIPPED)


def test_provider_threads_and_model_reach_the_runtime(folder, fakes):
    seen = []
    fakes.coder.compress = lambda samples, model, **more: seen.append(model) or store(samples, model, **more)
    fakes.coder.decompress = lambda contents, model, **_: seen.append(model) or restore(contents, model)
    bundle = models.BUNDLES / "drawing.lmconv"
    run("compress", "a.png", "--threads", "2", "--provider", "cuda", "--model", bundle, "--no-verify")
    run("decompress", "a.lmc", "--threads", "1", "--provider", "auto", "--max-pixels", "6", "--force")
    model = Manifest("drawing", SHIPPED["drawing"])
    assert seen == [Model(model, "cuda", 2), Model(model, "auto", 1)]


def test_a_model_is_loaded_once_for_many_files(folder, fakes):
    run("compress", "a.png", "grey.png")
    models._loaded.clear()
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
    fakes.coder.compress = lambda samples, model, *, effort, **more: (
        seen.append(effort) or store(samples, model, **more)
    )
    (row,) = json.loads(run("compress", "a.png", *options, "--json").stdout)
    assert (row["effort"], row["model"], seen) == (effort, model, [effort])
    found = container.read(Path("a.lmc").read_bytes()).picture
    assert found.header.model_id == bytes.fromhex(SHIPPED[model])[:6]


@pytest.mark.parametrize("command", ["compress", "decompress"])
def test_a_first_use_is_said_before_the_model_is_loaded(folder, fakes, monkeypatch, command):
    """For loading compiles kernels of its own; all others are compiled then, once."""
    run("compress", "a.png", "grey.png")
    load, done = fakes.load, []
    fakes.compiled = lambda: bool(done)
    fakes.load = lambda path, **options: done.append("loaded") or load(path, **options)
    warm_up = SimpleNamespace(warm_up=lambda model, effort: done.append(effort))
    monkeypatch.setitem(sys.modules, "codec.warm_up", warm_up)
    monkeypatch.setattr(running, "say", lambda message: done.append(message.split(":")[0]))
    running.first_use.cache_clear()
    models._loaded.clear()
    names = ("a.lmc", "grey.lmc") if command == "decompress" else ("a.png", "grey.png")
    done.clear()
    run(command, *names, "--force")
    assert done[:3] == ["first use", "loaded", "normal"] and done.count("normal") == 1


def test_a_failed_input_does_not_stop_the_others(folder):
    Path("text.png").write_text("Dear sir or madam")
    result = run("compress", "missing.png", "text.png", "a.png", "--json", code=1)
    *failures, row = json.loads(result.stdout)
    missing, text = result.stderr.splitlines()
    assert missing == "lmconv-codec: missing.png: cannot be read (No such file or directory)"
    assert row["input"] == "a.png" and "error" not in row
    assert failures == [
        {"input": "missing.png", "error": missing.split(": ", 2)[2]},
        {"input": "text.png", "error": text.split(": ", 2)[2]},
    ]
    assert text.startswith("lmconv-codec: text.png: no picture in a format that is read")
    assert not Path("text.lmc").exists()


def test_metadata_comes_along_or_is_named(folder):
    Pillow.fromarray(PIXELS).save("icc.png", icc_profile=b"profile" * 30)
    before = Path("icc.png").read_bytes()
    (row,) = json.loads(run("compress", "icc.png", "--json").stdout)
    assert (row["kept"], row["dropped"]) == (["ICC profile"], [])
    assert "ICC profile" in run("info", "icc.lmc", "--metadata").stdout
    run("decompress", "icc.lmc", "--force")
    assert Path("icc.png").read_bytes() == before
    (row,) = json.loads(run("compress", "icc.png", "--json", "--strip", "--force").stdout)
    assert (row["kept"], row["dropped"], row["exact"]) == ([], ["ICC profile"], False)
    assert "without ICC profile" in run("compress", "icc.png", "--strip", "--force").stdout
    (about,) = json.loads(run("info", "icc.lmc", "--json").stdout)
    assert about["stripped"] and not about["kept"] and not about["exact"]
    run("decompress", "icc.lmc", "--force")
    assert "icc_profile" not in Pillow.open("icc.png").info
    np.testing.assert_array_equal(np.asarray(Pillow.open("icc.png")), PIXELS)


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
        result = run(command, "a.png", "-o", "out.lmc", "--force", code=1)
        assert result.stderr == "lmconv-codec: a.png: its result would overwrite a.png: choose another output\n"
    assert Path("a.png").read_bytes() == before


def test_an_existing_output_is_noticed_before_the_work(folder, fakes):
    run("compress", "a.png")
    fakes.coder.compress = fakes.coder.decompress = None  # would fail when called
    run("compress", "a.png", code=1)
    run("decompress", "a.lmc", code=1)
    refused = run("decompress", "a.lmc", "-o", "b.jpg", code=1).stderr
    assert "a.lmc: it holds a .png file: end b.jpg with .png" in refused


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
    body = bytes([64 + 2, 7, 0]) + bytes(6) + 2 * varint(2**31) + bytes([3, 0, 0, 0, 0, 0])
    Path("huge.lmc").write_bytes(pack_chunks({PICTURE: body}))
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
    assert "more than 5" in run("compress", "a.png", "--max-pixels", 5, "--force", code=1).stderr
    assert "more than 5" in run("decompress", "a.lmc", "--max-pixels", 5, "-o", "b.png", code=1).stderr
    assert "more than 5" in run("verify", "a.lmc", "--max-pixels", 5, code=1).stderr


def test_missing_and_wrong_models(folder):
    run("compress", "a.png")
    Path("other.lmconv").write_text("12" * 32)
    result = run("decompress", "a.lmc", "-o", "b.png", "--model", "other.lmconv", code=1)
    assert "made with model abababababab, but other.lmconv is model 121212121212" in result.stderr
    (models.BUNDLES / "photo-small.lmconv").unlink()
    result = run("decompress", "a.lmc", "-o", "b.png", code=1)
    assert result.stderr.startswith("lmconv-codec: a.lmc: made with model abababababab, which is not at hand")
    result = run("compress", "grey.png", code=1)
    assert result.stderr == (
        "lmconv-codec: no model 'photo-small': give a .lmconv file's path or one of: drawing, photo\n"
    )
    Path("broken.lmconv").write_text("x")
    result = run("compress", "grey.png", "--model", "broken.lmconv", code=1)
    assert result.stderr == "lmconv-codec: grey.png: broken.lmconv is no bundle\n"
    assert names(folder) == ["a.lmc", "a.png", "broken.lmconv", "grey.png", "other.lmconv"]


def test_a_missing_onnxruntime_says_what_to_install(folder, fakes):
    def load(path, **options):
        raise ModuleNotFoundError("No module named 'onnxruntime'", name="onnxruntime")

    run("compress", "a.png")
    models._loaded.clear()
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

    fakes.coder.compress = fail
    result = run("compress", "a.png", "grey.png", code=1)
    assert [words in line for line in result.stderr.splitlines()] == [True, True]
    assert names(folder) == ["a.png", "grey.png"]


def test_a_bug_is_not_hidden(folder, fakes):
    def fail(*_, **__):
        raise ZeroDivisionError

    fakes.coder.compress = fail
    with pytest.raises(ZeroDivisionError):
        run("compress", "a.png")


def test_an_interrupt_keeps_what_is_whole(folder, fakes):
    def interrupted(samples, model, **more):
        if samples.kind == "grey":
            raise KeyboardInterrupt
        return store(samples, model, **more)

    fakes.coder.compress = interrupted
    Pillow.fromarray(PIXELS).save("z.png")
    result = run("compress", "a.png", "grey.png", "z.png", "--json", "-j", "1", code=INTERRUPTED)
    assert [row["input"] for row in json.loads(result.stdout)] == ["a.png"]
    assert result.stderr == "lmconv-codec: interrupted\n"
    assert names(folder) == ["a.lmc", "a.png", "grey.png", "z.png"]


def test_files_side_by_side_are_told_in_their_order(folder, fakes):
    """Also where the last one ends first, and one in the middle fails."""
    ended, meet = [], Barrier(3, timeout=60)

    def late(samples, model, **more):
        assert model.threads == 2
        meet.wait()  # all of them have begun
        while samples.kind == "rgb" and len(ended) < 1:
            time.sleep(0.01)
        if samples.kind == "grey+alpha":
            raise UnsupportedImage("not this one")
        ended.append(samples.kind)
        return store(samples, model, **more)

    fakes.coder.compress = late
    Pillow.fromarray(PIXELS[:, :, :2]).save("la.png")
    result = run("compress", "a.png", "la.png", "grey.png", "--json", "-j", "3", "--threads", "7", code=1)
    rows = json.loads(result.stdout)
    assert [row["input"] for row in rows] == ["a.png", "la.png", "grey.png"] and ended == ["grey", "rgb"]
    assert ["error" in row for row in rows] == [False, True, False]
    assert result.stderr == "lmconv-codec: la.png: not this one\n"
    run("verify", "a.lmc", "grey.lmc", "-j", "2")
    run("decompress", "a.lmc", "grey.lmc", "-j", "2", "--force")


def test_an_interrupt_of_files_side_by_side(folder, fakes):
    """What has ended is whole and told, and what has not leaves nothing."""
    started = Event()

    def long(samples, model, *, progress, **more):
        if samples.kind == "rgb":
            assert started.wait(60)
            raise KeyboardInterrupt
        if samples.kind == "grey":
            return store(samples, model, progress=progress, **more)
        started.set()
        with pytest.raises(InterruptedError):
            while True:
                progress(1, 2)
                time.sleep(0.01)
        raise InterruptedError

    fakes.coder.compress = long
    Pillow.fromarray(PIXELS[:, :, :2]).save("la.png")
    result = run("compress", "a.png", "grey.png", "la.png", "--json", "-j", "2", code=INTERRUPTED)
    assert [row["input"] for row in json.loads(result.stdout)] == ["grey.png"]
    assert result.stderr == "lmconv-codec: interrupted\n"
    assert names(folder) == ["a.png", "grey.lmc", "grey.png", "la.png"]


def test_threads_are_shared_out():
    assert shared_out(1, 8, 0) == (1, 8) and shared_out(3, 8, 0) == (3, 2) and shared_out(99, 8, 0) == (8, 1)
    assert shared_out(3, 1, 0) == (1, 1) and shared_out(3, 2, 5) == (3, 1) and shared_out(0, 4, 2) == (1, 4)
    assert shared_out(10**6, 0, 0) == (os.cpu_count(), 1)


def test_an_interrupt_while_the_model_is_loaded(folder, fakes):
    def load(path, **options):
        raise KeyboardInterrupt

    fakes.load = load
    assert run("compress", "a.png", code=INTERRUPTED).stderr == "lmconv-codec: interrupted\n"


def test_verify(folder):
    run("compress", "a.png")
    assert run("verify", "a.lmc").stdout == "a.lmc  ok: 3 x 2 rgb\n"
    assert "the bytes of a.png" in run("verify", "a.lmc", "--against", "a.png").stdout
    Pillow.fromarray(PIXELS).save("again.png", compress_level=0)
    assert "the samples and metadata of again.png" in run("verify", "a.lmc", "--against", "again.png").stdout
    Pillow.fromarray(PIXELS).save("icc.png", icc_profile=b"profile" * 30)
    assert "the samples, but not the metadata, of icc.png" in run("verify", "a.lmc", "--against", "icc.png").stdout
    other = PIXELS.copy()
    other[1, 2, 0] += 1
    Pillow.fromarray(other).save("other.png")
    result = run("verify", "a.lmc", "--against", "other.png", code=1)
    assert "1 of 6 pixels differ, the first in row 1, column 2" in result.stderr
    result = run("verify", "a.lmc", "--against", "grey.png", code=1)
    assert "3 x 2 grey is not 3 x 2 rgb" in result.stderr


def test_verify_notices_samples_that_differ_from_those_coded(folder):
    wrong = Picture(Header(3, 2, "rgb", model_id=b"\xab" * 6), (Group((Tile(bytes(18), crc_of(PIXELS), 3),)),))
    Path("wrong.lmc").write_bytes(container.pack(Contents(wrong)))
    result = run("verify", "wrong.lmc", code=1)
    assert result.stderr.startswith("lmconv-codec: wrong.lmc: tile 1 decodes to other samples")


def test_compress_compares_before_it_writes_and_removes(folder, fakes):
    run("compress", "a.png")
    fakes.coder.decompress = lambda contents, model, **_: Samples.of(PIXELS[::-1])
    result = run("compress", "a.png", "-o", "b.lmc", "--rm", code=1)
    assert "not the same as what it decodes to (6 of 6 pixels differ" in result.stderr
    assert not Path("b.lmc").exists() and Path("a.png").exists()
    run("compress", "a.png", "-o", "b.lmc", "--no-verify")
    assert Path("b.lmc").exists()


def test_an_input_is_removed_once_its_result_is_there(folder):
    before, status = Path("a.png").read_bytes(), os.stat("a.png")
    os.utime("a.png", ns=(10**18 + 7, 10**18 + 7))
    os.chmod("a.png", 0o640)
    run("compress", "a.png", "--rm")
    assert names(folder) == ["a.lmc", "grey.png"]
    run("decompress", "a.lmc")
    assert Path("a.png").read_bytes() == before and status.st_size == len(before)
    assert os.stat("a.png").st_mtime_ns == 10**18 + 7 and os.stat("a.png").st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["compress"],
        ["compress", "a.png", "--threads", "-1"],
        ["compress", "a.png", "--max-pixels", "0"],
        ["compress", "a.png", "--effort", "9"],
        ["compress", "a.png", "--rm", "--strip"],
        ["compress", "a.png", "--rm", "--no-verify"],
        ["decompress", "a.lmc", "--crop", "1,2,3"],
        ["compress", "a.png", "b.lmc"],
        ["compress", "a.png", "-o", "x/", "--mirror", "y"],
        ["compress", "a.png", "--suffix", "."],
        ["compress", "-", "--rm"],
        ["compress", "a.png", "--rm", "-o", "-"],
        ["decompress", "a.lmc", "b.png"],
        ["decompress", "a.lmc", "--rm", "--as-png"],
        ["verify"],
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
        "about = {'model_id': 'ab' * 32, 'order': '', 'bits_per_subpixel': None, 'parameters': 0, 'card': {}}\n"
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
                bar = Bar([0, 0], "a.png")
                with bar.shown(None, quiet):
                    first, second = bar.progress(0), bar.progress(1)
                    first(100, 200)
                    second(1, 1)
                    first(50, 200)  # another pass
                    first(200, 200)
            terminal.write("end")
        text = ""
        while not text.endswith("end"):  # a terminal gives its text in pieces
            text += os.read(leader, 10000).decode()
        os.close(leader)
        return text

    assert drawn(quiet=True) == "end"
    shown = drawn(quiet=False)
    assert "a.png" in shown and "25%" in shown and "75%" in shown and "100%" in shown
