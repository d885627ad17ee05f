"""What runs of the program leave behind: outputs and compiled kernels, nothing else, wherever it may write."""

import ctypes
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.pictures import photograph, screen

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "tests" / "golden" / "tiny.lmconv"
CODEC = sys.executable, "-c", "from codec.cli import cli; cli(prog_name='lmconv-codec')"
SOURCES = "photo.png", "scan.tif"
PACKED = "photo.lmc", "scan.lmc"
OURS = ("HOME", "LMCONV_", "NUMBA_", "ORT_", "XDG_")  # names in the environment that start so are set here alone
CAPABILITIES, DROP = (1, 2), 24  # of root, to write and to read whatever permissions say; prctl's PR_CAPBSET_DROP


def bound_by_permissions() -> None:
    """In a new process, before it becomes another program: root is as any owner of files from then on."""
    for capability in CAPABILITIES:
        ctypes.CDLL(None).prctl(DROP, capability, 0, 0, 0)


def files_under(folder: Path) -> dict[str, tuple[int, int]]:
    """Sizes and times of all files and empty folders, but for Python's own."""
    paths = [path for path in folder.rglob("*") if "__pycache__" not in path.parts]
    kept = [path for path in paths if not path.is_dir() or not any(path.iterdir())]
    return {str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns) for path in kept}


@dataclass(frozen=True)
class Place:
    """A folder to work in with others for a home and for temporary files. settings: of the environment; root: where the
    program is."""

    folder: Path
    settings: dict[str, str]
    root: Path = ROOT

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def work(self) -> Path:
        return self.folder / "work"

    @property
    def temporary(self) -> Path:
        return self.folder / "temporary"

    def run(self, *command: object) -> tuple[str, str]:
        """What it printed, to stdout and stderr."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        environment |= {"PYTHONPATH": str(self.root), "TMPDIR": str(self.temporary)} | self.settings
        done = subprocess.run(
            [*map(str, command)],
            cwd=self.work,
            env=environment,
            capture_output=True,
            text=True,
            timeout=1200,
            preexec_fn=bound_by_permissions,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout, done.stderr

    def there_and_back(self) -> str:
        """Compresses, verifies and restores some files; returns what was said on stderr."""
        for name in SOURCES:
            Image.fromarray(np.ascontiguousarray(photograph(24, 30).transpose(1, 2, 0))).save(self.work / name)
        before = {name: (self.work / name).read_bytes() for name in SOURCES}
        said = [self.run(*CODEC, "compress", *SOURCES, "--rm", "--model", MODEL)[1]]
        assert set(files_under(self.work)) == set(PACKED)
        said += [
            self.run(*CODEC, command, *PACKED, "--model", MODEL)[1] for command in ("verify", "info", "decompress")
        ]
        assert {name: (self.work / name).read_bytes() for name in SOURCES} == before
        assert set(files_under(self.work)) == {*SOURCES, *PACKED}
        return "".join(said)


@pytest.fixture
def place(tmp_path) -> Iterator[Place]:
    """With an empty home."""
    found = Place(tmp_path, {"HOME": str(tmp_path / "home")})
    for folder in (found.home, found.work, found.temporary):
        folder.mkdir()
    yield found
    found.home.chmod(0o700)


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> tuple[Place, str]:
    """Where the program ran for the first time, and what it said. Its kernels are there for other tests."""
    folder = tmp_path_factory.mktemp("first")
    found = Place(folder, {"HOME": str(folder / "home")})
    for each in (found.home, found.work, found.temporary):
        each.mkdir()
    installed = files_under(ROOT / "codec"), files_under(ROOT / "runtime")
    said = found.there_and_back()
    assert installed == (files_under(ROOT / "codec"), files_under(ROOT / "runtime"))
    return found, said


@pytest.fixture
def kernels(first) -> Path:
    """The folder of compiled kernels: `place` has none to compile with it."""
    (folder,) = (first[0].home / ".cache" / "lmconv").iterdir()
    return folder


def test_a_first_use_writes_outputs_and_kernels(first):
    """No device's number, no database, no folder of settings."""
    place, said = first
    written = [Path(name) for name in files_under(place.home)]
    assert {path.parts[:2] for path in written} == {(".cache", "lmconv")}
    assert {path.suffix for path in written} == {".kernel"} and len({path.parent for path in written}) == 1
    assert not files_under(place.temporary)
    assert [line.split(":")[1] for line in said.splitlines()] == [" first use"]


def test_a_later_use_writes_outputs_alone(first, place, kernels):
    before = files_under(kernels)
    for name in ("home", "work"):
        shutil.rmtree(place.folder / name)
    shutil.copytree(first[0].home, place.home)
    place.work.mkdir()
    assert place.there_and_back() == ""
    (copied,) = (place.home / ".cache" / "lmconv").iterdir()
    assert {name: size for name, (size, _) in files_under(copied).items()} == {
        name: size for name, (size, _) in before.items()
    }
    assert len(files_under(place.home)) == len(before) and not files_under(place.temporary)


@pytest.mark.parametrize(
    ("named", "home"),
    [("LMCONV_CACHE", None), ("LMCONV_CACHE", "/dev/null"), ("XDG_CACHE_HOME", "missing"), ("XDG_CACHE_HOME", "/proc")],
)
def test_a_home_that_is_none(place, kernels, named, home):
    """With a folder for kernels that the user names, whatever else there is."""
    cache = {"LMCONV_CACHE": kernels.parent, "XDG_CACHE_HOME": kernels.parent.parent}[named]
    settings = {named: str(cache)} | ({} if home is None else {"HOME": str(place.folder / home)})
    before = files_under(kernels)
    assert replace(place, settings=settings).there_and_back() == ""
    assert files_under(kernels) == before
    assert not files_under(place.home) and not files_under(place.temporary)
    assert not (place.folder / "missing").exists()


def private(place: Place, kernels: Path) -> None:
    """Compiled kernels among temporary files, where they are kept for whoever has no home to write to."""
    folder = place.temporary / f"lmconv-{os.getuid()}"
    folder.mkdir(mode=0o700)
    shutil.copytree(kernels, folder / kernels.name)


def test_a_home_that_cannot_be_written(place, kernels):
    private(place, kernels)
    place.home.chmod(0o500)
    try_it = "import os\ntry: os.mkdir(os.path.expanduser('~/.cache'))\nexcept PermissionError: print('bound')"
    if place.run(sys.executable, "-c", try_it)[0] != "bound\n":
        pytest.skip("permissions do not bind here")
    before = files_under(place.temporary)
    assert place.there_and_back() == ""
    assert not files_under(place.home) and files_under(place.temporary) == before


def test_an_installation_that_is_only_read(place, kernels):
    """Python's own files beside the sources are left out, too, and kernels are found: they depend on contents alone."""
    root = place.folder / "installed"
    for room in ("codec", "runtime"):
        shutil.copytree(ROOT / room, root / room, ignore=shutil.ignore_patterns("__pycache__", "bundles", "demo"))
    folders = [root, *(path for path in root.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o500)
    try:
        there = replace(place, root=root, settings=place.settings | {"LMCONV_CACHE": str(kernels.parent)})
        try_it = f"try: open({str(root / 'codec' / 'a.py')!r}, 'w')\nexcept PermissionError: print('bound')"
        if there.run(sys.executable, "-c", try_it)[0] != "bound\n":
            pytest.skip("permissions do not bind here")
        before = files_under(root), files_under(kernels)
        assert there.run(sys.executable, "-c", "import codec; print(codec.__file__)")[0].startswith(str(root))
        assert there.there_and_back() == ""
        assert (files_under(root), files_under(kernels)) == before and not list(root.rglob("__pycache__"))
    finally:
        for folder in folders:
            folder.chmod(0o700)


def test_damaged_kernels_are_compiled_again(place, kernels):
    """Two that every use needs; and what is no kernel at all is left alone."""
    copied = place.folder / "cache" / kernels.name
    shutil.copytree(kernels, copied)
    (copied / "a remark").write_text("mine")
    (empty,), (cut,) = (list(copied.glob(f"*.{name}-*")) for name in ("arithmetic.compute", "range_coder._fill_costs"))
    sizes = {path: path.stat().st_size for path in (empty, cut)}
    empty.write_bytes(b"")
    cut.write_bytes(cut.read_bytes()[:-100])
    settings = {"LMCONV_CACHE": str(copied.parent)}
    assert replace(place, settings=settings).there_and_back() == ""
    assert all(path.stat().st_size == pytest.approx(size, rel=0.2) for path, size in sizes.items())
    assert set(files_under(copied)) == {*files_under(kernels), "a remark"}


HOST = """
import gc, json, locale, os, random, signal, sys, threading, warnings
import numba, numpy as np
from PIL import Image, ImageFile, PngImagePlugin

def state():
    pillow = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, PngImagePlugin.MAX_TEXT_CHUNK
    numbers = random.getstate()[1][:9], np.random.get_state()[1][:9].tolist(), np.geterr(), np.get_printoptions()
    python = sys.getrecursionlimit(), sys.get_int_max_str_digits(), sys.getswitchinterval(), gc.get_threshold()
    handlers = [str(signal.getsignal(each)) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)]
    return {
        "numba": {name: repr(getattr(numba.config, name)) for name in dir(numba.config) if name.isupper()},
        "threads of numba": numba.get_num_threads(),
        "environment": {name: each for name, each in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"},
        "others": repr((pillow, numbers, python, handlers, locale.getlocale(), warnings.filters, os.umask(0o22))),
        "threads": threading.active_count(),
    }

os.umask(0o22)
Image.init()
before = state()
import codec, codec.archive, runtime
samples = codec.read(sys.argv[1])
model = runtime.load(sys.argv[2], threads=2)
data = codec.compress(samples, model).data
assert codec.decompress(data, model).same(samples)
after = state()
print(json.dumps({name: [before[name], after[name]] for name in before if before[name] != after[name]}))
"""


def test_the_host_is_as_it_was(place, kernels):
    """Settings of numba, Pillow, numpy and Python, and the environment but for what keeps onnxruntime quiet."""
    Image.fromarray(np.ascontiguousarray(photograph(24, 30).transpose(1, 2, 0))).save(place.work / "photo.png")
    there = replace(place, settings=place.settings | {"LMCONV_CACHE": str(kernels.parent)})
    out, err = there.run(sys.executable, "-c", HOST, "photo.png", MODEL)
    assert json.loads(out) == {} and err == ""
    assert not files_under(place.home)


@pytest.mark.slow
def test_after_warm_up_nothing_is_compiled(place):
    """Whatever the effort: pictures in colour and grey, with alpha, deep ones, screens, and JPEG files."""
    place.run(*CODEC, "warm-up")
    (folder,) = (place.home / ".cache" / "lmconv").iterdir()
    compiled = set(files_under(folder))
    assert compiled and not files_under(place.temporary)
    colours = np.ascontiguousarray(photograph(90, 120).transpose(1, 2, 0))
    pictures = {
        "colours.png": colours,
        "grey.png": colours[..., 0],
        "alpha.png": np.dstack([colours, colours[..., 0] // 50 * 50]),
        "deep.png": colours[..., 0].astype(np.uint16) * 257 ^ colours[..., 1],
        "screen.png": np.ascontiguousarray(screen(90, 120).transpose(1, 2, 0)),
        "scan.jpg": colours,
    }
    for name, picture in pictures.items():
        Image.fromarray(picture).save(place.work / name)
    with Image.open(place.work / "scan.jpg") as decoded:
        decoded.save(place.work / "was_a_jpeg.png")
    packed = [name[:-4] + ".lmc" for name in (*pictures, "was_a_jpeg.png")]
    for effort in ("fast", "normal", "best"):
        _, err = place.run(*CODEC, "compress", *pictures, "was_a_jpeg.png", "-e", effort, "--force")
        assert err == ""
        place.run(*CODEC, "decompress", *packed, "--force")
        assert set(files_under(folder)) == compiled
