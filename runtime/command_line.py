"""What the commands lmconv, lmconv-export and lmconv-codec have in common: a failure is one line on stderr.

A failed input exits with 1, wrong usage with 2, an interrupt with 130, and a bug keeps its traceback. Needs click
alone, so that help answers at once.
"""

from contextlib import suppress
from typing import Any

import click

from runtime.entry import INTERRUPTED, interruptible
from runtime.errors import UserError


class Command(click.Command):
    """A command that fails in one line, which begins with its name; `install` brings the packages that it needs."""

    def __init__(self, *arguments: Any, install: str, **settings: Any) -> None:
        settings.setdefault("context_settings", {"help_option_names": ["-h", "--help"]})
        super().__init__(*arguments, **settings)
        self.install = install

    def invoke(self, ctx: click.Context) -> object:
        """Runs the command. Raises what `explain` raises."""
        try:
            with interruptible():
                return super().invoke(ctx)
        except KeyboardInterrupt:
            say(self.name, "interrupted")
            ctx.exit(INTERRUPTED)
        except Exception as error:
            say(self.name, explain(error, self.install))
        ctx.exit(1)


class Group(Command, click.Group):
    """A group whose commands fail in one line."""


def explain(error: Exception, install: str, about: object = None) -> str:
    """The line for an error that a user can act on; any other one is a bug and is raised again.

    A file that could not be read or written is named, but for the file `about`, whose name the line begins with.
    """
    if isinstance(error, BrokenPipeError | click.ClickException | click.exceptions.Exit | click.Abort):
        raise error
    if isinstance(error, UserError):
        text = str(error)
    elif isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # the latter is PyTorch's
        text = "not enough memory: close other programs, take less at a time or use a machine with more"
    elif isinstance(error, ImportError):
        text = f"{error}: {install} brings what is needed"
    elif isinstance(error, OSError):
        name = None if error.filename is None or str(error.filename) == str(about) else error.filename
        text = f"{name}: {error.strerror}" if name and error.strerror else error.strerror or str(error)
    else:
        raise error
    return " ".join(text.split())


def say(name: str | None, message: str) -> None:
    """A line of the command of that name on stderr."""
    with suppress(BrokenPipeError):
        click.echo(f"{name}: {message}", err=True)
