"""What an installation has: all of the rooms, and the files beside the sources."""

import configparser
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOMS = ("lmconv", "export", "runtime", "codec")


def files(room: str) -> set[str]:
    """Of a room, but for what Python leaves there."""
    found = (path.relative_to(ROOT / room) for path in (ROOT / room).rglob("*") if path.is_file())
    return {str(path) for path in found if "__pycache__" not in path.parts}


def test_every_file_is_installed():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    for room in ROOMS:
        patterns = setup["options.package_data"].get(room, "").split()
        data = {str(path.relative_to(ROOT / room)) for each in patterns for path in (ROOT / room).glob(each)}
        assert {name for name in files(room) if not name.endswith(".py")} == data
        assert all((ROOT / room / each).is_file() for each in data)


def test_every_folder_of_sources_is_a_package():
    """setuptools finds packages by this file."""
    for room in ROOMS:
        folders = {Path(name).parent for name in files(room) if name.endswith(".py")}
        assert {folder for folder in folders if not (ROOT / room / folder / "__init__.py").exists()} == set()
