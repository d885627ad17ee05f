"""The documentation is true: its Python runs, its commands and options exist, its links lead somewhere.

A fence marked python is run; one marked sh is read for our commands, which are run where the page says that all is.
Blocks of one file share their names and a folder that holds a photo.png.
"""

import re
import shlex
import shutil
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "codec").rglob("*.md")])
COMMANDS = {"lmconv-codec": "codec.cli", "lmconv": "lmconv.cli", "lmconv-export": "export.cli"}
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)#]+)(#[^)]*)?\)")


@dataclass(frozen=True)
class Block:
    language: str
    text: str
    line: int


def blocks(text: str, language: str) -> list[Block]:
    return [
        Block(found[1], found[2], text[: found.start(2)].count("\n") + 1)
        for found in _FENCE.finditer(text)
        if found[1] == language
    ]


def commands(text: str) -> list[list[str]]:
    """The words of each line that calls one of our commands, comments and what a pipe adds left out."""
    found = []
    for block in blocks(text, "sh"):
        for line in block.text.replace("\\\n", " ").splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            ends = [index for index, word in enumerate(words) if word in ("|", ">", "&&", ";")]
            words = words[: min(ends, default=len(words))]
            if words and words[0] in COMMANDS:
                found.append(words)
    return found


def check(words: list[str], command: click.Command) -> None:
    """Fails unless every subcommand and every option of a command line exists."""
    rest = words[1:]
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        known = command.commands
        assert rest[0] in known, f"{shlex.join(words)}: no command {rest[0]!r}"
        command, rest = known[rest[0]], rest[1:]
    context = click.Context(command)
    known = {"-h", "--help"}
    for parameter in command.get_params(context):
        known |= {*parameter.opts, *parameter.secondary_opts}
    for word in rest:
        if re.fullmatch(r"--?[a-z].*", word):
            assert word.split("=")[0] in known, f"{shlex.join(words)}: no option {word!r}"


def pages_with(found) -> list:
    return [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES if found(page.read_text("utf-8"))]


@pytest.mark.parametrize("page", pages_with(lambda text: blocks(text, "python")))
def test_python_examples_run(page, tmp_path, monkeypatch):
    """In their order; so do commands, where the page says that everything below runs as it stands."""
    shutil.copy(ROOT / "codec" / "demo" / "photo.png", tmp_path / "photo.png")
    monkeypatch.chdir(tmp_path)
    text, names = page.read_text("utf-8"), {"__name__": "__main__"}
    shell = blocks(text, "sh") if "Everything below runs as it stands." in text else []
    for block in sorted([*blocks(text, "python"), *shell], key=lambda block: block.line):
        if block.language == "sh":
            for words in commands(f"```sh\n{block.text}```\n"):
                result = CliRunner().invoke(import_module(COMMANDS[words[0]]).cli, words[1:])
                assert result.exit_code == 0, f"{page}, {shlex.join(words)}: {result.output}"
        else:
            lines = "\n" * (block.line - 1)
            exec(compile(lines + block.text, str(page), "exec"), names)


@pytest.mark.parametrize("page", pages_with(commands))
def test_commands_exist(page):
    for words in commands(page.read_text("utf-8")):
        check(words, import_module(COMMANDS[words[0]]).cli)


@pytest.mark.parametrize("page", pages_with(_LINK.search))
def test_links_lead_somewhere(page):
    links = {found[1] for found in _LINK.finditer(page.read_text("utf-8"))}
    local = {link for link in links if "://" not in link and not link.startswith("mailto:")}
    assert {link for link in local if not (page.parent / link).exists()} == set()


def test_the_readme_shows_both_ways():
    text = (ROOT / "README.md").read_text("utf-8")
    assert blocks(text, "python")
    assert {words[1] for words in commands(text) if words[0] == "lmconv-codec"} >= {"compress", "decompress"}


def test_the_check_sees_what_it_should():
    from codec.cli import cli

    page = "```sh\n$ lmconv-codec compress a.png --json | head -1  # fine\nls -la\nlmconv-codec \\\n  press -q\n```\n"
    assert commands(page) == [["lmconv-codec", "compress", "a.png", "--json"], ["lmconv-codec", "press", "-q"]]
    assert blocks("x\n```python\na = 1\n```\n", "python") == [Block("python", "a = 1\n", 3)]
    check(["lmconv-codec", "compress", "a.png", "-o", "out/", "--threads=2"], cli)
    check(["lmconv-codec", "--help"], cli)
    with pytest.raises(AssertionError, match="no command 'press'"):
        check(["lmconv-codec", "press", "a.png"], cli)
    with pytest.raises(AssertionError, match="no option '--loss'"):
        check(["lmconv-codec", "compress", "--loss", "a.png"], cli)
