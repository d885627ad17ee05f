"""Who may import whom (design: ARCHITECTURE.md), read from the source and tried in a process that lacks the rest."""

import ast
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("lmconv", "export", "runtime", "codec")

# What a room imports of other rooms (a prefix of the dotted name) and of other people's packages.
ALLOWED_ROOMS = {
    "lmconv": (
        "runtime.command_line",
        "runtime.entry",
        "runtime.errors",
        "runtime.files",
        "runtime.least_squares",
        "runtime.progress",
        "runtime.rules",
        "runtime.schedule",
        "runtime.variants",
        "runtime.version",
    ),
    "export": ("lmconv", "runtime"),
    "runtime": (),
    "codec": ("runtime",),
}
ALLOWED_PACKAGES = {
    "lmconv": {"PIL", "click", "matplotlib", "numpy", "safetensors", "tensorboard", "torch", "torchvision", "tqdm"},
    "export": {"PIL", "click", "numpy", "onnx", "onnxruntime", "onnxscript", "safetensors", "torch", "tqdm"},
    "runtime": {"click", "llvmlite", "numba", "numpy", "onnxruntime", "safetensors"},
    "codec": {
        "PIL",
        "click",
        "constriction",
        "distributed",
        "imagecodecs",
        "numba",
        "numcodecs",
        "numpy",
        "pillow_heif",
        "pillow_jxl",
        "tifffile",
    },
}
NOT_FOR_COMPRESSING = ("torch", "lmconv", "export", "onnx", "tqdm", "tensorboard")
HEAVY = ("PIL", "constriction", "llvmlite", "numba", "numpy", "onnxruntime", "safetensors", "torch")


def imported(source: str, module: str, is_package: bool = False) -> set[str]:
    """Dotted names that a module's source imports anywhere in it, `from a import b` as a.b, relative ones resolved."""
    package = module.split(".") if is_package else module.split(".")[:-1]
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = [*above, *([node.module] if node.module else [])]
            names |= {".".join([*base, alias.name]) for alias in node.names}
    return names


def imports_of(path: Path) -> set[str]:
    parts = path.relative_to(ROOT).with_suffix("").parts
    is_package = parts[-1] == "__init__"
    module = ".".join(parts[:-1] if is_package else parts)
    return imported(path.read_text(encoding="utf-8"), module, is_package)


def is_within(name: str, prefixes: tuple[str, ...]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def strangers(room: str, names: set[str]) -> set[str]:
    """The imports that a room may not make."""
    other_rooms = {name for name in names if is_within(name, ROOMS) and not is_within(name, (room,))}
    packages = {name for name in names if not is_within(name, ROOMS)}
    return {name for name in other_rooms if not is_within(name, ALLOWED_ROOMS[room])} | {
        name
        for name in packages
        if (top := name.split(".")[0]) not in sys.stdlib_module_names and top not in ALLOWED_PACKAGES[room]
    }


FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))


def test_import_directions():
    wrong = {
        str(path.relative_to(ROOT)): strangers(path.relative_to(ROOT).parts[0], imports_of(path)) for path in FILES
    }
    assert {path: names for path, names in wrong.items() if names} == {}


# The folders in a room, and what each imports of its own room. What is to be coded knows nothing of how, what is
# exported nothing of other formats, and nothing imports commands.
ALLOWED_INSIDE = {
    "codec/format": ("codec.errors", "codec.format"),
    "codec/images": ("codec.errors", "codec.format", "codec.images", "codec.jpeg"),
    "codec/entropy": ("codec.errors", "codec.entropy"),
    "codec/jpeg": ("codec.entropy", "codec.errors", "codec.format", "codec.jpeg", "codec.modelling"),
    "codec/modelling": ("codec.errors", "codec.entropy", "codec.modelling"),
    "codec/tile_coders": ("codec.errors", "codec.entropy", "codec.format", "codec.modelling", "codec.tile_coders"),
    "lmconv/orders": ("lmconv.errors", "lmconv.orders"),
    "lmconv/data": ("lmconv.config", "lmconv.data", "lmconv.errors"),
    "lmconv/networks": (
        *("lmconv.config", "lmconv.errors", "lmconv.family.settings", "lmconv.layers"),
        *("lmconv.networks", "lmconv.orders"),
    ),
    "lmconv/family": (
        *("lmconv.config", "lmconv.errors", "lmconv.family", "lmconv.layers"),
        *("lmconv.networks", "lmconv.orders"),
    ),
    "lmconv/checkpoints": (
        *("lmconv.checkpoints", "lmconv.config", "lmconv.errors", "lmconv.networks", "lmconv.orders"),
    ),
    "lmconv/evaluation": (
        *("lmconv.config", "lmconv.data", "lmconv.evaluation", "lmconv.networks", "lmconv.orders", "lmconv.processes"),
    ),
    "lmconv/sampling": (
        *("lmconv.config", "lmconv.errors", "lmconv.layers", "lmconv.networks", "lmconv.orders", "lmconv.sampling"),
    ),
    "lmconv/training": (
        *("lmconv.checkpoints", "lmconv.config", "lmconv.data", "lmconv.errors", "lmconv.evaluation", "lmconv.family"),
        *("lmconv.layers",),
        *("lmconv.networks", "lmconv.orders", "lmconv.processes", "lmconv.sampling", "lmconv.training"),
    ),
    "export/exact": ("export.errors", "export.exact"),
    "export/photo": ("export.errors", "export.exact", "export.photo"),
    "export/pixelcnn": ("export.errors", "export.exact", "export.metadata", "export.pixelcnn"),
    "export/floats": ("export.errors", "export.exact", "export.floats", "export.metadata"),
}
WITHOUT_CODE = ("__pycache__", "bundles", "demo", "models")


@pytest.mark.parametrize("folder", ALLOWED_INSIDE)
def test_import_directions_inside_a_room(folder):
    names = set().union(*(imports_of(path) for path in (ROOT / folder).rglob("*.py")))
    inside = {name for name in names if is_within(name, (folder.split("/")[0],))}
    assert inside and {name for name in inside if not is_within(name, ALLOWED_INSIDE[folder])} == set()


def test_every_folder_has_its_arrows():
    folders = {f"{room}/{path.name}" for room in ROOMS for path in (ROOT / room).iterdir() if path.is_dir()}
    others = {f"{room}/{name}" for room in ROOMS for name in (*WITHOUT_CODE, "commands")}
    assert folders - others == set(ALLOWED_INSIDE)


def test_nothing_imports_commands_but_commands():
    for path in FILES:
        room, *folders = path.relative_to(ROOT).parts
        if "commands" not in folders and folders != ["cli.py"]:
            assert not {name for name in imports_of(path) if ".commands" in name}, path


def test_every_room_is_read():
    assert {path.relative_to(ROOT).parts[0] for path in FILES} == set(ROOMS)


@pytest.mark.parametrize(
    ("room", "source", "found"),
    [
        ("codec", "import torch", {"torch"}),
        ("codec", "def f():\n    from torch.nn import functional", {"torch.nn.functional"}),
        ("codec", "import os\nimport runtime\nfrom runtime import load\nfrom . import tiles", set()),
        ("codec", "from lmconv import orders", {"lmconv.orders"}),
        ("runtime", "from codec import images", {"codec.images"}),
        ("runtime", "from .. import codec", {"codec"}),
        ("runtime", "if True:\n    import export.bundle as e", {"export.bundle"}),
        ("lmconv", "from runtime.least_squares import Settings\nfrom runtime import schedule", set()),
        ("lmconv", "import runtime", {"runtime"}),
        ("lmconv", "from runtime import load", {"runtime.load"}),
        ("lmconv", "from runtime.least_squaress import x", {"runtime.least_squaress.x"}),
        ("export", "import codec.container", {"codec.container"}),
        ("export", "import pandas", {"pandas"}),
    ],
)
def test_the_check_sees_what_it_should(room, source, found):
    assert strangers(room, imported(source, f"{room}.module")) == found


def test_relative_imports_are_resolved():
    assert imported("from . import a\nfrom .b import c", "codec", is_package=True) == {"codec.a", "codec.b.c"}
    assert imported("from . import a\nfrom .b import c", "codec.x") == {"codec.a", "codec.b.c"}
    assert imported("from ..y import c", "codec.x.z") == {"codec.y.c"}


def python(code: str, *blocked: str) -> str:
    """What code prints in a fresh interpreter that cannot import `blocked`."""
    block = "".join(f"sys.modules[{name!r}] = None\n" for name in blocked)
    command = [sys.executable, "-c", f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n{block}{code}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_blocking_works():
    with pytest.raises(AssertionError, match="ModuleNotFoundError: import of torch halted"):
        python("import torch", "torch")


def test_compressing_loads_no_training_code():
    python("import codec, runtime, codec.cli, codec.compression, codec.decompression", *NOT_FOR_COMPRESSING)


@pytest.mark.parametrize("room", ["codec", "runtime"])
def test_every_module_imports_without_training_code(room):
    paths = [path.relative_to(ROOT) for path in FILES if path.is_relative_to(ROOT / room)]
    modules = [".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in paths]
    python(f"import {', '.join(modules)}", *NOT_FOR_COMPRESSING)


def test_orders_and_masks_need_numpy_alone():
    printed = python("import lmconv.orders, lmconv.orders.masks\n" + LOADED)
    assert printed == "loaded: ['numpy']\n"


def test_layers_need_torch_and_numpy_alone():
    python("import lmconv.layers", *sorted(set(HEAVY) - {"numpy", "torch"}), "click", "tqdm", "torchvision", "onnx")


HELP = "from codec.cli import cli\ncli({arguments!r}, standalone_mode=False)\n"
LOADED = f"print('loaded:', sorted(set({HEAVY!r}) & set(sys.modules)))"


@pytest.mark.parametrize("command", [[], ["compress"], ["decompress"], ["info"], ["verify"], ["heatmap"], ["models"]])
def test_help_loads_nothing_heavy(command):
    printed = python(HELP.format(arguments=[*command, "--help"]) + LOADED)
    assert printed.startswith("Usage:")
    assert printed.splitlines()[-1] == "loaded: []"


def test_help_answers_soon():
    """A bound for a busy machine; tools/bench_codec.py prints the time itself."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        python(HELP.format(arguments=["--help"]))
        times.append(time.perf_counter() - start)
    assert min(times) < 2
