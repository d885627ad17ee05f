"""Makes the API pages: HTML of every module's docstrings and signatures.

    python tools/make_api.py [FOLDER]      default: docs/api

Needs the extras cpu, train, export and test.
"""

import os
import sys
import warnings
from pathlib import Path

os.environ["NUMBA_DISABLE_JIT"] = "1"  # kernels are plain functions then, with their docstrings
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import pdoc  # noqa: E402

import codec  # noqa: E402
import runtime  # noqa: E402

ROOMS = ("lmconv", "export", "runtime", "codec")


def modules() -> list[str]:
    """All of the rooms, by their dotted names."""
    paths = (path.relative_to(ROOT) for room in ROOMS for path in (ROOT / room).rglob("*.py"))
    names = {".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in paths}
    return sorted(names - {"lmconv.__main__"})


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "api"
    for room in (codec, runtime):  # what is imported on first use, for which pdoc does not wait
        for name in room.__all__:
            setattr(room, name, getattr(room, name))
    for known in ("Error parsing type annotation", "The module specification"):  # of NamedTuples; of rooms in rooms
        warnings.filterwarnings("ignore", known)
    pdoc.render.configure(docformat="markdown", show_source=False)
    pdoc.pdoc(*modules(), output_directory=folder)
    pages = {name: folder / f"{name.replace('.', '/')}.html" for name in modules()}
    missing = [name for name, page in pages.items() if not page.exists()]
    if missing:
        sys.exit(f"no page was made of {', '.join(missing)}")
    print(f"{folder / 'index.html'}: the API of {', '.join(ROOMS)}")


if __name__ == "__main__":
    main()
