"""What the three commands have in common: which failures are one line, and what it says."""

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from runtime import command_line
from runtime.entry import INTERRUPTED
from runtime.errors import UserError

ROOT = Path(__file__).resolve().parents[2]


class OutOfMemoryError(RuntimeError):
    """As PyTorch's."""


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (UserError("of two\nlines"), "of two lines"),
        (MemoryError(), "not enough memory: close other programs, take less at a time or use a machine with more"),
        (OutOfMemoryError(), "not enough memory: close other programs, take less at a time or use a machine with more"),
        (ImportError("No module named 'torch'"), "No module named 'torch': pip install x brings what is needed"),
        (PermissionError(13, "Permission denied", "there"), "there: Permission denied"),
        (PermissionError(13, "Permission denied", "a.png"), "Permission denied"),
        (OSError("odd"), "odd"),
    ],
)
def test_errors_that_a_user_can_act_on(error, line):
    assert command_line.explain(error, "pip install x", about=Path("a.png")) == line


@pytest.mark.parametrize("error", [ZeroDivisionError(), ValueError("a bug"), click.Abort(), BrokenPipeError()])
def test_bugs_keep_their_traceback(error):
    with pytest.raises(type(error)):
        command_line.explain(error, "pip install x")


@pytest.mark.parametrize(("error", "code"), [(UserError("it is raining"), 1), (KeyboardInterrupt(), INTERRUPTED)])
def test_commands_and_groups_fail_in_one_line(error, code):
    @click.command("single", cls=command_line.Command, install="pip install x")
    def single():
        raise error

    @click.group("several", cls=command_line.Group, install="pip install x")
    def several():
        pass

    several.command("inner")(single.callback)
    said = str(error) or "interrupted"
    for command, arguments, name in ((single, [], "single"), (several, ["inner"], "several")):
        result = CliRunner().invoke(command, arguments)
        assert (result.exit_code, result.stdout, result.stderr) == (code, "", f"{name}: {said}\n")
        assert CliRunner().invoke(command, ["-h"]).exit_code == 0
        assert CliRunner().invoke(command, ["--nonsense"]).exit_code == 2


def test_the_runtime_imports_what_is_asked_for_and_no_more():
    code = (
        "import sys, runtime\n"
        "print('numpy' in sys.modules, hasattr(runtime, 'nonsense'))\n"
        "print(runtime.BundleError.__name__, 'numba' in sys.modules)\n"
        "print(all(getattr(runtime, name) for name in runtime.__all__))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False False\nBundleError False\nTrue\n"
