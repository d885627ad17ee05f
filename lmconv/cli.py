"""lmconv: train, evaluate and sample networks, look into checkpoints and orders. A command is a file of commands/.

Results go to stdout, progress and errors (one line each) to stderr; failed inputs exit with 1, wrong usage with 2.
"""

import click

from lmconv.commands.average import average
from lmconv.commands.complete import complete
from lmconv.commands.describe import describe
from lmconv.commands.evaluate import evaluate
from lmconv.commands.import_checkpoint import import_checkpoint
from lmconv.commands.orders import draw_orders
from lmconv.commands.sample import sample
from lmconv.commands.train import train
from lmconv.errors import LmconvError


class Group(click.Group):
    """A group whose commands fail in one line."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            _say("interrupted")
        except Exception as error:
            _say(_explain(error))
        ctx.exit(1)


@click.group(cls=Group, name="lmconv", context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Train, evaluate and sample models of locally masked convolutions."""


for command in (train, evaluate, sample, complete, average, import_checkpoint, describe, draw_orders):
    cli.add_command(command)


def _explain(error: Exception) -> str:
    """The line for an error that a user can act on; any other one is a bug and is raised again."""
    if isinstance(error, BrokenPipeError | click.ClickException | click.exceptions.Exit | click.Abort):
        raise error
    from lmconv.masks import MaskError
    from lmconv.orders import OrderError

    if isinstance(error, LmconvError | MaskError | OrderError):
        text = str(error)
    elif isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        text = "not enough memory: a smaller --batch or a machine with more"
    elif isinstance(error, ImportError):
        text = f"{error}: pip install lmconv[train] brings what is needed"
    elif isinstance(error, OSError):
        text = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)
    else:
        raise error
    return " ".join(text.split())


def _say(message: str) -> None:
    click.echo(f"lmconv: {message}", err=True)
