"""What is left when a process is killed, or its disk is full: whole files, and no source lost."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from codec import decompress, read
from codec.format import container

ROOT = Path(__file__).resolve().parents[2]
KILLS = 200

# Forks a process that compresses and removes a picture, kills it after some time, and does so again. The times are
# spread over what a whole run takes.
SCRIPT = """
import os, random, signal, sys, time
from codec import archive, cli, compression, warm_up
import numba, onnxruntime, PIL.PngImagePlugin
from codec.tile_coders import photo, squares, independent
import runtime.bundle, runtime.network

model, kills = sys.argv[1], int(sys.argv[2])
picture = open("kept.png", "rb").read()
random.seed(1)

def start():
    open("a.png", "wb").write(picture)
    os.utime("a.png", (1, 1))  # is in the result
    if os.path.exists("a.lmc"):
        os.unlink("a.lmc")
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        try:
            cli.cli(["compress", "a.png", "--rm", "-q", "--model", model, "--threads", "1"], standalone_mode=False)
        finally:
            os._exit(0)
    return child

began = time.perf_counter()
os.waitpid(start(), 0)
assert os.listdir(".").count("a.lmc") and not os.path.exists("a.png")
whole = time.perf_counter() - began
made = open("a.lmc", "rb").read()
ends = {"source": 0, "both": 0, "result": 0}
for kill in range(kills):
    child = start()
    time.sleep(random.random() * 1.2 * whole)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    there = [name for name, data in (("a.png", picture), ("a.lmc", made)) if os.path.exists(name)]
    for name, data in (("a.png", picture), ("a.lmc", made)):
        assert name not in there or open(name, "rb").read() == data, name
    assert there, "both are gone"
    ends["both" if len(there) == 2 else "source" if there == ["a.png"] else "result"] += 1
print(ends["source"], ends["both"], ends["result"], len([name for name in os.listdir(".") if name.endswith(".part")]))
"""


@pytest.fixture
def folder(tmp_path):
    Image.fromarray(np.full((5, 7, 3), (9, 8, 7), np.uint8)).save(tmp_path / "kept.png")
    return tmp_path


def run(folder, script, *arguments, **environment):
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_killed_at_any_moment(folder, tiny_bundle):
    source, both, result, parts = map(int, run(folder, SCRIPT, tiny_bundle, KILLS).split())
    assert source + both + result == KILLS and min(source, result) > 0  # moments before and after the end
    assert parts <= KILLS  # a killed process cannot tidy up, but what it leaves has no name that anybody reads


FULL = """
import resource, signal, sys
from codec import cli

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
cli.cli(["compress", "kept.png", "-q", "--rm", "--model", sys.argv[1]])
"""


@pytest.mark.parametrize("room", [0, 1, 20])
def test_a_full_disk(folder, tiny_bundle, room):
    """As far as a limit on a file's size is like it: writing ends with an error in the middle."""
    run_to_the_end = subprocess.run(
        [sys.executable, "-c", FULL, str(tiny_bundle), str(room)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run_to_the_end.returncode == 1
    assert "cannot write kept.lmc (File too large): choose another output" in run_to_the_end.stderr
    assert [path.name for path in folder.iterdir()] == ["kept.png"]


def test_what_is_written_is_whole(folder, tiny_bundle):
    script = "import sys\nfrom codec import cli\ncli.cli(['compress', 'kept.png', '-q', '--model', sys.argv[1]])"
    run(folder, script, tiny_bundle)
    data = (folder / "kept.lmc").read_bytes()
    assert container.read(data).picture is not None
    assert read(folder / "kept.png").same(decompress(data))
