"""Ctrl-C and closed streams, as a shell has them: real processes of the installed command."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from tests.pictures import photograph

ROOT = Path(__file__).resolve().parents[2]
BEGUN = "import sys; sys.path.insert(0, {root!r})\nfrom codec.__main__ import main\nprint('begun', flush=True)\nmain()"
COUNT = 40
MANY = 1500  # more than any machine compresses in a second


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny_bundle):
    """Pictures that take some seconds in all."""
    folder = tmp_path_factory.mktemp("signals")
    picture = np.ascontiguousarray(photograph(64, 96).transpose(1, 2, 0))
    for number in range(COUNT):
        Pillow.fromarray(np.roll(picture, number, axis=1)).save(folder / f"{number:02}.png")
    return folder


@pytest.fixture(scope="module")
def many(folder):
    """The same pictures again and again, under other names."""
    pictures = sorted(folder.glob("*.png"))
    more = folder / "many"
    more.mkdir()
    for number in range(MANY):
        os.link(pictures[number % COUNT], more / f"{number:04}.png")
    return more


def command(folder, *arguments, **settings):
    names = sorted(path.name for path in folder.glob("*.png"))
    code = BEGUN.format(root=str(ROOT))
    return subprocess.Popen(
        [sys.executable, "-c", code, "compress", *names, "-f", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **settings,
    )


@pytest.mark.parametrize("delay", [0.01, 0.03, 0.1, 0.3, 1.0])
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_an_interrupt_ends_by_its_signal(many, tiny_bundle, delay, jobs):
    for old in many.glob("*.lmc"):
        old.unlink()
    process = command(many, "--model", str(tiny_bundle), "-j", jobs)
    assert process.stdout.readline() == b"begun\n"
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == -signal.SIGINT
    assert b"Traceback" not in errors
    assert {path.suffix for path in many.iterdir()} <= {".png", ".lmc"}
    whole = sorted(path.name for path in many.glob("*.lmc"))
    if whole:
        check = [sys.executable, "-m", "codec", "verify", "-q", "--model", str(tiny_bundle)]
        paths = [str(many / name) for name in whole]
        subprocess.run([*check, *paths], cwd=ROOT, check=True, timeout=120)


def test_an_ignored_signal_stays_ignored(folder, tiny_bundle):
    """As behind nohup, or in the background of a script."""
    picture = next(folder.glob("*.png"))
    code = f"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n{BEGUN.format(root=str(ROOT))}"
    arguments = ["compress", picture.name, "-o", "ignored.out", "-f", "--model", str(tiny_bundle)]
    process = subprocess.Popen([sys.executable, "-c", code, *arguments], cwd=folder, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"begun\n"
    for _ in range(5):
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    assert process.returncode == 0 and (folder / "ignored.out").exists()
    (folder / "ignored.out").unlink()


@pytest.mark.parametrize("closed", ["1>&-", "2>&-", "<&-", "1>&- 2>&- <&-"])
def test_closed_streams_are_survived(folder, tiny_bundle, closed):
    out = folder / "closed.out"
    out.unlink(missing_ok=True)
    picture = sorted(folder.glob("*.png"))[0]
    line = f"exec {sys.executable} -m codec compress {picture} -o {out} --model {tiny_bundle} -v {closed}"
    result = subprocess.run(["sh", "-c", line], cwd=ROOT, timeout=120)
    assert result.returncode == 0
    back = folder / "back.png"
    back.unlink(missing_ok=True)
    restore = [
        sys.executable,
        "-m",
        "codec",
        "decompress",
        "-q",
        str(out),
        "-o",
        str(back),
        "--model",
        str(tiny_bundle),
    ]
    subprocess.run(restore, cwd=ROOT, check=True, timeout=120)
    assert back.read_bytes() == picture.read_bytes()
    out.unlink(), back.unlink()


def test_a_reader_that_leaves(folder, tiny_bundle):
    """As `| head -1`: all files are written all the same."""
    process = command(folder, "--model", str(tiny_bundle), "-o", "left/")
    assert process.stdout.readline() == b"begun\n"
    process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read()
    assert process.wait(timeout=120) == 1
    assert b"Traceback" not in errors and len(list((folder / "left").iterdir())) == COUNT


def test_a_pipe_of_two(folder, tiny_bundle):
    picture = sorted(folder.glob("*.png"))[0]
    ours = f"{sys.executable} -m codec"
    line = f"{ours} compress - --model {tiny_bundle} < {picture} | {ours} decompress - --model {tiny_bundle}"
    result = subprocess.run(["sh", "-c", line], cwd=ROOT, capture_output=True, timeout=120, check=True)
    assert result.stdout == picture.read_bytes()


def test_a_terminal_gets_nothing_binary(folder, tiny_bundle):
    leader, follower = os.openpty()
    picture = sorted(folder.glob("*.png"))[0]
    arguments = [sys.executable, "-m", "codec", "compress", str(picture), "-o", "-", "--model", str(tiny_bundle)]
    result = subprocess.run(arguments, cwd=ROOT, stdout=follower, stderr=subprocess.PIPE, timeout=120)
    os.close(follower)
    os.close(leader)
    assert result.returncode == 2 and b"stdout is a terminal" in result.stderr
