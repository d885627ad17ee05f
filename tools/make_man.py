"""Manual pages and completions of the commands, from their help: docs/man and docs/completions, which pip installs.

python tools/make_man.py
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import click
from click.shell_completion import get_completion_class

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from runtime.version import __version__  # noqa: E402

COMMANDS = {"lmconv-codec": "codec.cli", "lmconv": "lmconv.cli", "lmconv-export": "export.cli"}
SHELLS = {"bash": "{name}", "zsh": "_{name}", "fish": "{name}.fish"}  # names of files, as shells look for them
EXIT = {
    "0": "Everything was done.",
    "1": "An input failed; the others were done. Each failure is a line on stderr.",
    "2": "Wrong usage: nothing was done.",
    "SIGINT": "Interrupted; a shell shows 130. What is there is whole.",
}
ENVIRONMENT = {
    "LMCONV_CACHE": "Folder in which compiled kernels are kept; else lmconv below XDG_CACHE_HOME or ~/.cache.",
    "NUMBA_CPU_NAME": "Processor that kernels are compiled for, such as x86-64-v3; else the one at hand.",
}


def roff(text: str) -> str:
    """Text as it is."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join(f"\\&{line}" if line.startswith((".", "'")) else line for line in escaped.splitlines())


def listed(heading: str, entries: dict[str, str]) -> list[str]:
    lines = [f".SH {heading}"] if heading else []
    for name, text in entries.items():
        lines += [".TP", f".B {roff(name)}", roff(text)]
    return lines


def options(command: click.Command, context: click.Context) -> dict[str, str]:
    records = (parameter.get_help_record(context) for parameter in command.get_params(context))
    return {name: " ".join(text.split()) for name, text in filter(None, records) if text}


def described(command: click.Command) -> str:
    """The help's paragraphs, each on a line."""
    return "\n.PP\n".join(roff(" ".join(part.split())) for part in (command.help or "").split("\n\n"))


def page(name: str, cli: click.Command) -> str:
    """The manual page of a program."""
    context = click.Context(cli, info_name=name)
    short = cli.get_short_help_str(200).rstrip(".")
    lines = [f'.TH {name.upper()} 1 "" "LMConv {__version__}"', ".SH NAME", f"{roff(name)} \\- {roff(short)}"]
    lines += [".SH SYNOPSIS", f".B {roff(name)}", roff(" ".join(cli.collect_usage_pieces(context)))]
    lines += [".SH DESCRIPTION", described(cli), *listed("OPTIONS", options(cli, context))]
    if isinstance(cli, click.Group):
        lines.append(".SH COMMANDS")
        for each in cli.list_commands(context):
            command = cli.get_command(context, each)
            assert command is not None
            below = click.Context(command, info_name=each, parent=context)
            usage = roff(" ".join(command.collect_usage_pieces(below)))
            lines += [f".SS {roff(name)} {roff(each)} {usage}", described(command)]
            lines += listed("", options(command, below))
    lines += [*listed("EXIT STATUS", EXIT), *listed("ENVIRONMENT", ENVIRONMENT)]
    others = [f"{other} (1)" for other in COMMANDS if other != name]
    return "\n".join([*lines, ".SH SEE ALSO", roff(", ".join(others))]) + "\n"


def completion(name: str, cli: click.Command, shell: str) -> str:
    """What a shell reads to complete a program's words, for which it asks the program."""
    kind = get_completion_class(shell)
    assert kind is not None
    return kind(cli, {}, name, f"_{name.upper().replace('-', '_')}_COMPLETE").source()


def made() -> dict[Path, str]:
    """All files, by their paths."""
    files = {}
    for name, home in COMMANDS.items():
        cli = import_module(home).cli
        files[ROOT / "docs" / "man" / f"{name}.1"] = page(name, cli)
        for shell, of in SHELLS.items():
            files[ROOT / "docs" / "completions" / shell / of.format(name=name)] = completion(name, cli, shell)
    return files


def main() -> int:
    for path, text in made().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
