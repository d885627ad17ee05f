"""Manual pages and completions are those of the help, and are installed."""

import configparser
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import make_man  # noqa: E402

FILES = make_man.made()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_are_as_the_help(path):
    assert path.read_text(encoding="utf-8") == FILES[path], "run python tools/make_man.py"


def test_all_of_them_are_installed():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    listed = {ROOT / name for names in setup["options.data_files"].values() for name in names.split()}
    assert listed == set(FILES)


def test_every_command_and_option_is_in_the_page():
    text = FILES[ROOT / "docs" / "man" / "lmconv-codec.1"]
    for word in ("compress", "decompress", "verify", "--manifest", "--skip-existing", "EXIT STATUS", "LMCONV_CACHE"):
        assert word.replace("-", "\\-") in text


@pytest.mark.parametrize("name", make_man.COMMANDS)
def test_bash_completes(name):
    script = FILES[ROOT / "docs" / "completions" / "bash" / name]
    subprocess.run(["bash", "-n", "-c", script], check=True)


def test_the_program_answers_a_shell():
    """As the script asks it."""
    asked = {"_LMCONV_CODEC_COMPLETE": "bash_complete", "COMP_WORDS": "lmconv-codec comp", "COMP_CWORD": "1"}
    program = f"import os; os.environ |= {asked!r}; from codec.__main__ import main; main()"
    found = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["plain,compare", "plain,compress"]
