"""Habits of the command line that need no coder: pipes, folders, names, lists of files; with the coder made up."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image as Pillow

from codec.cli import cli
from codec.commands.bar import Bar
from codec.images import ENDINGS
from runtime.version import __version__
from tests.codec.made_up import PIXELS, names, restore, run, store


def piped(*arguments, stdin: bytes, code=0):
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments], input=stdin)
    assert result.exit_code == code, result.stderr
    return result


def test_pipes_both_ways(folder):
    before = Path("a.png").read_bytes()
    there = piped("compress", "-", stdin=before)
    run("compress", "a.png", "-q")
    assert "a.png" not in there.stderr and there.stderr.startswith("-  ")
    back = piped("decompress", "-", stdin=there.stdout_bytes)
    assert back.stdout_bytes == before
    assert run("compress", "a.png", "-o", "-", "-q", "-f").stdout_bytes == Path("a.lmc").read_bytes()
    assert run("decompress", "a.lmc", "-o", "-", "-q").stdout_bytes == before
    piped("compress", "-", "-o", "b.lmc", stdin=before)
    piped("decompress", "-", "-o", "b.png", stdin=Path("b.lmc").read_bytes())
    assert Path("b.png").read_bytes() == before
    assert piped("verify", "-", stdin=there.stdout_bytes).stdout == "-  ok: 3 x 2 rgb\n"
    assert "3 x 2 rgb" in piped("info", "-", stdin=there.stdout_bytes).stdout
    assert "no picture" in piped("compress", "-", stdin=b"text", code=1).stderr
    piped("compress", "-", "-o", "new/", stdin=before, code=1)


def test_nothing_binary_goes_to_a_terminal(folder, monkeypatch):
    monkeypatch.setattr("codec.commands.running.on_terminal", lambda stream: True)
    result = run("compress", "a.png", "-o", "-", code=2)
    assert "stdout is a terminal" in result.stderr and not result.stdout


def test_names_tell_what_a_file_was(folder):
    Path("a.png").rename("v1.2.png")
    run("compress", "v1.2.png")
    assert Path("v1.2.lmc").exists()
    run("decompress", "v1.2.lmc", "-f")
    Pillow.fromarray(PIXELS).save("x.png")
    Pillow.fromarray(PIXELS).save("x.bmp")
    Pillow.fromarray(PIXELS).save("y.png.png")
    Pillow.fromarray(PIXELS).save("z", "png")
    inputs = ["x.png", "x.bmp", "y.png.png", "z"]
    before = {name: Path(name).read_bytes() for name in inputs}
    run("compress", *inputs, "--rm")
    results = ["x.png.lmc", "x.bmp.lmc", "y.png.png.lmc", "z.lmc"]
    assert set(names(folder)) == {"grey.png", "v1.2.lmc", "v1.2.png", *results}
    run("decompress", *results)
    assert {name: Path(name).read_bytes() for name in inputs} == before


def test_one_of_two_that_share_a_name_is_reported(folder):
    Path("x").mkdir()
    Pillow.fromarray(PIXELS).save("x/a.png")
    result = run("compress", "a.png", "x/a.png", "grey.png", "-o", "out", "--json", code=1)
    good, shared, last = json.loads(result.stdout)
    assert (good["output"], last["output"]) == ("out/a.png.lmc", "out/grey.lmc")
    assert shared["input"] == "x/a.png" and "both" in shared["error"]


def test_a_result_is_named_by_an_option(folder):
    for arguments in (["compress", "a.png", "out.lmc"], ["decompress", "a.lmc", "out.png"]):
        assert f"to name the result, write -o {arguments[2]}" in run(*arguments, code=2).stderr
    run("compress", "a.png", "-o", "out.lmc")
    assert "it is compressed already" in run("compress", "out.lmc", "-o", "b", code=1).stderr


def test_folders(folder):
    for name in ("p/a.png", "p/q/a.png", "p/q/b.bmp"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Pillow.fromarray(PIXELS).save(name)
    Path("p/notes.txt").write_text("not a picture")
    assert "-r" in run("compress", "p", code=1).stderr
    run("compress", "-r", "p", "--mirror", "out")
    found = sorted(str(path) for path in Path("out").rglob("*") if path.is_file())
    assert found == ["out/p/a.lmc", "out/p/q/a.lmc", "out/p/q/b.lmc"]
    run("verify", "-r", "out")
    run("decompress", "-r", "out", "--mirror", "back")
    assert Path("back/out/p/q/b.bmp").read_bytes() == Path("p/q/b.bmp").read_bytes()
    assert "no file below" in run("decompress", "-r", "p", code=1).stderr


@pytest.mark.parametrize("ending", sorted(ENDINGS))
def test_every_ending_of_pictures_is_meant_below_folders(folder, ending):
    Path("p").mkdir()
    Path("p", f"x{ending}").write_bytes(b"")
    assert f"p/x{ending}" in run("compress", "-r", "p", code=1).stderr


def test_a_batch_goes_on(folder, fakes):
    run("compress", "a.png")
    seen = []
    fakes.coder.compress = lambda samples, model, **more: seen.append(samples.kind) or store(samples, model, **more)
    result = run("compress", "a.png", "grey.png", "--skip-existing")
    assert seen == ["grey"] and "1 of 2 left out: their results are there" in result.stderr
    assert run("compress", "a.png", "grey.png", "--skip-existing", "-q").stderr == ""
    assert seen == ["grey"]
    Path("a.png").unlink()
    run("decompress", "a.lmc", "grey.lmc", "--skip-existing")
    assert Path("a.png").exists()


def test_a_dry_run_writes_nothing(folder):
    before = names(folder)
    result = run("compress", "a.png", "missing.png", "-o", "new/", "--dry-run")
    assert result.stdout.splitlines()[0] == "a.png        would become new/a.lmc"
    assert names(folder) == before
    rows = json.loads(run("compress", "a.png", "-n", "--json").stdout)
    assert rows == [{"input": "a.png", "output": "a.lmc"}]
    run("compress", "a.png")
    assert "exists" in run("compress", "a.png", "-n", code=1).stderr
    assert "would become a.png" in run("decompress", "a.lmc", "-n", "-f").stdout


def test_another_suffix(folder):
    run("compress", "a.png", "--suffix", "tiny", "--rm")
    assert names(folder) == ["a.tiny", "grey.png"]
    run("decompress", "-r", ".", "--suffix", ".tiny")
    assert names(folder) == ["a.png", "a.tiny", "grey.png"]


def test_quiet_and_verbose(folder):
    result = run("compress", "a.png", "grey.png", "-q")
    assert result.output == ""
    shown = run("compress", "a.png", "-v", "-f").stdout
    assert "model: photo-small, order wavefront, effort normal" in shown and "comes back: byte for byte" in shown
    result = run("decompress", "a.lmc", "missing.lmc", "-q", "-f", code=1)
    assert result.stdout == "" and len(result.stderr.splitlines()) == 1


def test_the_last_line_is_of_all(folder):
    *lines, last = run("compress", "a.png", "grey.png").stdout.splitlines()
    sizes = [os.path.getsize(name) for name in ("a.png", "grey.png", "a.lmc", "grey.lmc")]
    before, after = sum(sizes[:2]), sum(sizes[2:])
    assert (
        len(lines) == 2 and last.split()[:7] == f"2 files {before} -> {after} bytes {100 * after / before:.1f}".split()
    )


def test_a_manifest(folder):
    run("compress", "a.png", "grey.png", "--manifest", "list")
    lines = [json.loads(line) for line in Path("list").read_text().splitlines()]
    assert [(line["input"], line["output"]) for line in sorted(lines, key=str)] == [
        ("a.png", "a.lmc"),
        ("grey.png", "grey.lmc"),
    ]
    shown = run("verify", "--manifest", "list").stdout
    assert shown.count("ok") == 2 and shown.count("the bytes of list") == 2
    run("verify", "a.lmc", "--manifest", "list")
    Pillow.fromarray(PIXELS[::-1]).save("a.png")
    run("compress", "a.png", "-f", "--manifest", "list")
    run("verify", "--manifest", "list")
    os.mkdir("elsewhere")
    for name in ("list", "a.lmc", "grey.lmc"):
        os.rename(name, f"elsewhere/{name}")
    run("verify", "--manifest", "elsewhere/list")
    run("compress", "grey.png")
    assert "does not list it" in run("verify", "grey.lmc", "--manifest", "elsewhere/list", code=1).stderr


def test_a_manifest_notices_what_changed(folder):
    run("compress", "a.png", "grey.png", "--manifest", "list")
    Path("a.lmc").write_bytes(Path("grey.lmc").read_bytes())
    Path("grey.lmc").unlink()
    changed, missing = sorted(run("verify", "--manifest", "list", code=1).stderr.splitlines())
    assert "a.lmc: not the bytes that list lists" in changed and "grey.lmc: cannot be read" in missing
    text = Path("list").read_text()
    Path("list").write_text(text[:-20])  # a run that was killed while it wrote
    assert len(run("verify", "--manifest", "list", code=1).stderr.splitlines()) == 1
    run("compress", "grey.png", "-f", "--manifest", "list")
    run("compress", "a.png", "-f", "--manifest", "list")
    run("verify", "--manifest", "list")
    Path("other").write_text("Dear sir or madam")
    assert "line 1 is none of a manifest" in run("compress", "a.png", "-f", "--manifest", "other", code=1).stderr
    assert Path("other").read_text() == "Dear sir or madam"


def test_a_manifest_of_what_comes_back_otherwise(folder):
    run("compress", "a.png", "--strip", "--manifest", "list")
    (line,) = map(json.loads, Path("list").read_text().splitlines())
    assert line["exact"] is False
    assert run("verify", "--manifest", "list").stdout == "a.lmc  ok: 3 x 2 rgb\n"


def test_restored_files_may_go(folder):
    before = Path("a.png").read_bytes()
    run("compress", "a.png", "grey.png", "--rm")
    run("decompress", "a.lmc", "--rm")
    assert names(folder) == ["a.png", "grey.lmc"] and Path("a.png").read_bytes() == before
    run("decompress", "grey.lmc", "-k")
    assert Path("grey.lmc").exists()


def test_verify_json(folder):
    run("compress", "a.png")
    Path("text.lmc").write_text("Dear sir or madam")
    good, bad = json.loads(run("verify", "a.lmc", "text.lmc", "--json", code=1).stdout)
    assert good == {"input": "a.lmc", "picture": "3 x 2 rgb", "of": ""}
    assert bad["input"] == "text.lmc" and "not as a compressed image" in bad["error"]


def test_versions():
    assert CliRunner().invoke(cli, ["-V"], prog_name="lmconv-codec").output == f"lmconv-codec {__version__}\n"


def test_lines_in_place_of_a_bar(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr("codec.commands.bar.time.perf_counter", lambda: now[0])
    bar = Bar([3_000_000, 1_000_000], "2 files")
    with bar.shown(True):
        report, second = bar.progress(0), bar.progress(1)
        report(1, 3)
        now[0] = 10.0
        report(2, 3)
        second(1, 1)
        now[0] = 20.0
        report(3, 3)
    assert capsys.readouterr().err.splitlines() == [
        "lmconv-codec: 2 files: 50 %  0/2 files  0.20 MB/s  10 s left",
        "lmconv-codec: 2 files: 100 %  2/2 files  0.20 MB/s  0 s left",
    ]
    with Bar([1], "x").shown(None):
        pass
    assert capsys.readouterr().err == ""


def test_what_is_closed_does_not_stop_the_work(folder, fakes, monkeypatch):
    reader, writer = os.pipe()
    os.close(reader)
    kept = os.dup(1)
    os.dup2(writer, 1)
    try:
        with open(1, "w", buffering=1, closefd=False) as closed:
            monkeypatch.setattr(sys, "stdout", closed)
            with pytest.raises(SystemExit) as end:
                cli(["compress", "a.png", "grey.png"])
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(writer)
    assert end.value.code == 1
    assert {"a.lmc", "grey.lmc"} <= set(names(folder))
    np.testing.assert_array_equal(restore_of("a.lmc"), PIXELS)


def restore_of(name):
    from codec.format import container

    return restore(container.read(Path(name).read_bytes()), None).values
