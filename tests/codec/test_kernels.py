"""Where compiled kernels are kept: a folder for exactly these sources, below the cache that the user names."""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from runtime import kernels

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("runtime", "codec")
SOURCES = sorted(str(path.relative_to(ROOT)) for room in ROOMS for path in (ROOT / room).rglob("*.py"))
DATA = sorted(str(path.relative_to(ROOT)) for room in ROOMS for path in (ROOT / room).rglob("*.npz"))
NAMED = ("LMCONV_CACHE", "NUMBA_CACHE_DIR", "XDG_CACHE_HOME")
CANNOT_BE_MADE = "/dev/null/cache"


def copied(folder: Path) -> Path:
    for room in ROOMS:
        shutil.copytree(ROOT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__", "bundles", "demo"))
    return folder


@pytest.fixture
def copy(tmp_path, monkeypatch) -> Path:
    """Both rooms in another place, which kernels then takes for its own; edit them freely."""
    root = copied(tmp_path / "copy")
    monkeypatch.setattr(kernels, "__file__", str(root / "runtime" / "kernels.py"))
    return root


@pytest.fixture
def no_cache_named(monkeypatch):
    for name in NAMED:
        monkeypatch.delenv(name, raising=False)


@kernels.inlined
def doubled(numbers, i):
    kernels.prefetch(numbers, i)
    return 2 * numbers[i]


@kernels.kernel
def total_of_doubles(numbers):
    total = 0
    for i in range(len(numbers)):
        total += doubled(numbers, i)
    kernels.prefetch(numbers, -(10**6))
    return total


def test_parts_have_machine_code_in_kernels_alone():
    """And asking for memory, even for what is none of ours, changes nothing."""
    assert total_of_doubles(np.arange(7)) == 42
    (kernel,), (part,) = total_of_doubles.overloads.values(), doubled.overloads.values()
    assert "prefetch" in kernel.library.get_llvm_str() and not isinstance(kernel.library, kernels._PartLibrary)
    assert isinstance(part.library, kernels._PartLibrary)
    assert "doubled" not in "".join(line for line in kernel.library.get_asm_str().splitlines() if "call" in line)


def test_every_room_with_kernels_is_looked_at():
    rooms = [package.parent for package in ROOT.glob("*/__init__.py")]
    found = {room.name for room in rooms for path in room.rglob("*.py") if "@kernel" in path.read_text("utf-8")}
    assert found == set(ROOMS) == set(kernels._ROOMS)


def test_the_folder_is_named_by_the_contents_alone(copy, no_cache_named):
    here = kernels._folder()
    assert here == Path.home() / ".cache" / "lmconv" / here.name
    for source in SOURCES:
        os.utime(copy / source, (0, 0))
    assert kernels._folder() == here
    kernels.__file__ = str(ROOT / "runtime" / "kernels.py")  # monkeypatch puts back what was there first
    assert kernels._folder() == here


def test_any_change_of_a_source_changes_the_folder(copy):
    """Even of a comment: what a kernel calls may stand in another file, and what it looks up in a table of data."""
    before = kernels._folder()
    for source in SOURCES + DATA:
        path = copy / source
        original = path.read_bytes()
        path.write_bytes(original + b"# a remark\n")
        if "commands" in Path(source).parts:  # no kernels there, nor what they call
            assert kernels._folder() == before
            path.write_bytes(original)
            continue
        assert kernels._folder().name != before.name, source
        path.write_bytes(original)
        assert kernels._folder() == before
        path.unlink()
        assert not original or kernels._folder().name != before.name, source
        path.write_bytes(original)


def test_sources_of_subpackages_count(copy):
    before = kernels._folder()
    (copy / "codec" / "deep" / "deeper").mkdir(parents=True)
    assert kernels._folder() == before
    (copy / "codec" / "deep" / "deeper" / "stage.py").write_text("x = 1\n")
    assert kernels._folder() != before


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ({}, "home/.cache/lmconv"),
        ({"XDG_CACHE_HOME": "xdg"}, "xdg/lmconv"),
        ({"NUMBA_CACHE_DIR": "numba"}, "numba/lmconv"),
        ({"NUMBA_CACHE_DIR": "numba", "XDG_CACHE_HOME": "xdg"}, "numba/lmconv"),
        ({"NUMBA_CACHE_DIR": "", "XDG_CACHE_HOME": "xdg"}, "xdg/lmconv"),
        ({"NUMBA_CACHE_DIR": "", "XDG_CACHE_HOME": ""}, "home/.cache/lmconv"),
        ({"LMCONV_CACHE": "own", "NUMBA_CACHE_DIR": "numba", "XDG_CACHE_HOME": "xdg"}, "own"),
        ({"LMCONV_CACHE": "", "XDG_CACHE_HOME": "xdg"}, "xdg/lmconv"),
    ],
    ids=str,
)
def test_the_user_names_the_cache(tmp_path, monkeypatch, no_cache_named, named, expected):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name, value in named.items():
        monkeypatch.setenv(name, value and str(tmp_path / value))
    assert kernels._folder().parent == tmp_path / expected


INNER = """
from runtime.kernels import kernel

@kernel
def grown(x):
    return x + 1
"""
OUTER = """
from runtime.kernels import kernel
from .inner import grown

@kernel
def grown_twice(x):
    return grown(grown(x))
"""
CODE = """
import numba
before = numba.config.CACHE_DIR
from runtime import kernels
known = kernels.compiled()
from codec.outer import grown_twice
assert numba.config.CACHE_DIR == before
print(grown_twice(1), known, kernels.compiled(), sum(grown_twice.stats.cache_hits.values()))
"""
COMPILED, FOUND = "3 False True 0", "3 True True 1"  # what CODE prints the first and every other time


@pytest.fixture
def program(tmp_path) -> Path:
    """A copy of both rooms with two small kernels, one of which calls the other."""
    root = copied(tmp_path / "copy")
    (root / "codec" / "inner.py").write_text(INNER)
    (root / "codec" / "outer.py").write_text(OUTER)
    return root


def start(root: Path, code: str, environment: dict[str, str]) -> subprocess.Popen:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("LMCONV_", "NUMBA_", "XDG_"))}
    environment = clean | {"PYTHONDONTWRITEBYTECODE": "1"} | environment
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=root,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def end(process: subprocess.Popen) -> tuple[str, str]:
    """What it printed, to stdout and to stderr."""
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out.strip(), err.strip()


def run(root: Path, code: str = CODE, **environment: str) -> tuple[str, str]:
    return end(start(root, code, environment))


def test_kernels_are_compiled_once_and_kept(program, tmp_path):
    """From a second process on nothing is compiled; with another version of the program everything is."""
    cache = tmp_path / "cache" / "lmconv"
    named = {"XDG_CACHE_HOME": str(cache.parent)}
    assert [run(program, **named) for _ in range(2)] == [(COMPILED, ""), (FOUND, "")]
    (folder,) = cache.iterdir()
    assert folder.name.startswith("kernels-") and {path.suffix for path in folder.iterdir()} == {".kernel"}
    assert not [path for path in program.rglob("*") if path.suffix in (".nbi", ".nbc", ".kernel")]
    with (program / "codec" / "entropy" / "binarisation.py").open("a") as source:
        source.write("# a remark\n")
    assert run(program, **named) == (COMPILED, "")
    assert len(list(cache.iterdir())) == 2


def test_the_host_s_own_kernels_are_kept_where_it_says(program, tmp_path):
    host = tmp_path / "host"
    host.mkdir()
    (host / "theirs.py").write_text("from numba import njit\n\n@njit(cache=True)\ndef same(x):\n    return x\n")
    run(
        program,
        f"import sys\nsys.path.append({str(host)!r})\nimport runtime\nfrom theirs import same\nsame(1)",
        LMCONV_CACHE=str(tmp_path / "cache"),
    )
    assert list((host / "__pycache__").glob("theirs.same*.nbc"))


@pytest.mark.parametrize("environment", [{"LMCONV_CACHE": CANNOT_BE_MADE}, {"HOME": "/dev/null"}], ids=str)
def test_a_private_folder_stands_in_for_one_that_cannot_be_written(program, tmp_path, environment):
    """With a line for the user, and never with an older version's machine code."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = environment | {"TMPDIR": str(temporary)}
    out, err = run(program, **environment)
    assert out == COMPILED
    assert err.startswith("lmconv: compiled kernels cannot be kept in /dev/null/") and "LMCONV_CACHE" in err
    assert len(err.splitlines()) == 1
    assert run(program, **environment) == (FOUND, "")
    (private,) = temporary.iterdir()
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    (program / "codec" / "inner.py").write_text(INNER.replace("+ 1", "+ 10"))
    assert run(program, **environment)[0] == "21 False True 0"


def test_nothing_at_all_can_be_written(program):
    nowhere = f"import tempfile\ntempfile.tempdir = {CANNOT_BE_MADE!r}\n"
    out, err = run(program, nowhere + CODE, LMCONV_CACHE=CANNOT_BE_MADE)
    assert out == "3 False False 0"
    assert len(err.splitlines()) == 1


def test_a_user_without_a_home(monkeypatch, no_cache_named):
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # what it gives where there is none
    assert kernels._folder() is None


def test_a_private_folder_is_the_user_s_alone(tmp_path, monkeypatch):
    """Machine code is run: whoever else can write it, or a link to somewhere else, is not trusted."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = tmp_path / f"lmconv-{os.getuid()}"
    assert kernels._private(make=False) is None
    assert kernels._private(make=True) == kernels._private(make=False) == folder
    folder.chmod(0o770)
    assert kernels._private(make=True) is None
    folder.rename(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").chmod(0o700)
    folder.symlink_to("elsewhere")
    assert kernels._private(make=True) is None


DAMAGE = {
    "empty": lambda data: b"",
    "truncated": lambda data: data[: len(data) // 2],
    "garbage": lambda data: bytes(999),
    "altered": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    "longer": lambda data: data + b"\0",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_seen(tmp_path, damage):
    path = tmp_path / "folder" / "file"
    kernels._write(path, b"machine code")
    assert kernels._read(path) == b"machine code"
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    assert kernels._read(path) is None
    kernels._write(path, b"machine code")
    assert kernels._read(path) == b"machine code" and list(path.parent.iterdir()) == [path]


def test_damaged_files_are_compiled_again(program, tmp_path):
    cache = tmp_path / "cache"
    run(program, LMCONV_CACHE=str(cache))
    files = sorted(cache.rglob("*.kernel"))
    assert len(files) == 2
    for path, damage in zip(files, ("empty", "truncated")):
        path.write_bytes(DAMAGE[damage](path.read_bytes()))
    assert run(program, LMCONV_CACHE=str(cache)) == (COMPILED, "")
    assert run(program, LMCONV_CACHE=str(cache)) == (FOUND, "")
    assert sorted(cache.rglob("*.kernel")) == files


def test_files_of_another_compiler_or_processor_are_not_used(program, tmp_path):
    cache = tmp_path / "cache"
    run(program, LMCONV_CACHE=str(cache))
    for path in cache.rglob("*.kernel"):
        name, signature, _ = path.name.rsplit("-", 2)
        path.rename(path.with_name(f"{name}-{signature}-{'0' * 16}.kernel"))
    assert run(program, LMCONV_CACHE=str(cache)) == (COMPILED, "")
    assert run(program, LMCONV_CACHE=str(cache), NUMBA_CPU_NAME="generic") == (COMPILED, "")
    assert run(program, LMCONV_CACHE=str(cache)) == (FOUND, "")


SIGNATURES = """
import sys
from codec.outer import grown_twice
print([grown_twice(x) for x in {values}], sum(grown_twice.stats.cache_hits.values()))
"""


def test_first_uses_at_once(program, tmp_path):
    """Of several signatures, in either order: no process gets the code of another signature."""
    cache = {"LMCONV_CACHE": str(tmp_path / "cache")}
    forwards, backwards = (SIGNATURES.format(values=values) for values in ("(1, 1.5, True)", "(True, 1.5, 1)"))
    running = [start(program, code, cache) for code in (forwards, backwards, forwards)]
    printed = [end(process) for process in running]
    assert {out.split("]")[0] for out, _ in printed} == {"[3, 3.5, 3"}
    assert not any(err for _, err in printed)
    assert run(program, forwards, **cache) == ("[3, 3.5, 3] 3", "")
    assert {path.suffix for path in (tmp_path / "cache").rglob("*-*.*")} == {".kernel"}


def folder_of(base: Path, number: int, used: float) -> Path:
    folder = base / f"kernels-{number:016x}"
    (folder / "deeper").mkdir(parents=True)
    (folder / "deeper" / "file").write_bytes(b"code")
    os.utime(folder, (used, used))
    return folder


def test_old_folders_are_removed(tmp_path):
    """All but the eight used last, when a new one is made; and nothing else."""
    folders = [folder_of(tmp_path, number, used=1000 + number) for number in range(12)]
    (tmp_path / "kernels-of-mine").mkdir()
    (tmp_path / "cifar").mkdir()
    (tmp_path / "link").mkdir()
    (tmp_path / "kernels-00000000000000ff").symlink_to("link")
    current = tmp_path / "kernels-ffffffffffffffff"
    kernels._write(current / "a", b"code")
    assert [folder.exists() for folder in folders] == [False] * 5 + [True] * 7
    folder_of(tmp_path, 20, used=1)
    kernels._write(current / "b", b"code")  # it is there already
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [
            *(folder.name for folder in folders[5:]),
            "kernels-of-mine",
            "cifar",
            "link",
            "kernels-00000000000000ff",
            "kernels-0000000000000014",
            current.name,
        ]
    )


def test_folders_in_use_are_the_last_to_go(tmp_path):
    old, newer = folder_of(tmp_path, 1, used=1000), [folder_of(tmp_path, 2 + n, used=2000) for n in range(7)]
    kernels._mark_used(old)
    kernels._write(tmp_path / "kernels-ffffffffffffffff" / "a", b"code")
    assert old.exists() and sum(folder.exists() for folder in newer) == 6


LOOKED_UP = """
from codec.modelling.logistic import ERROR_CLASS
from runtime.kernels import kernel

@kernel
def looked_up(i):
    return ERROR_CLASS[i]
"""
CLASS_OF_NONE = "from codec.looked_up import looked_up\nprint(looked_up(0))"
OTHER_CLASSES = """
import numpy as np
path = "codec/modelling/tables.npz"
tables = dict(np.load(path))
tables["error_class"][:] = 23
np.savez(path, **tables)
"""


def test_kernels_do_not_keep_another_versions_tables(program, tmp_path):
    """numba writes arrays that a kernel finds in its module into the machine code it keeps."""
    (program / "codec" / "looked_up.py").write_text(LOOKED_UP)
    before, _ = run(program, CLASS_OF_NONE, LMCONV_CACHE=str(tmp_path / "cache"))
    run(program, OTHER_CLASSES)
    after, _ = run(program, CLASS_OF_NONE, LMCONV_CACHE=str(tmp_path / "cache"))
    assert int(before) < 23 and int(after) == 23
