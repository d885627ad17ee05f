"""lmconv-codec: compress and restore pictures, look into compressed files, list the models. A command is a file of
commands/.

Thin: parse, call, print. Results go to stdout, everything else to stderr. A failed input is one line on stderr, the
others go on, and the exit code is 1 at the end; wrong usage is 2. What is slow to import is imported in the commands.
"""

import click

from codec.commands.compress import compress
from codec.commands.decompress import decompress
from codec.commands.heatmap import heatmap
from codec.commands.info import info
from codec.commands.list_models import list_models
from codec.commands.running import explain, say
from codec.commands.verify import verify


class Group(click.Group):
    """A group whose commands fail in one line."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            say("interrupted")
        except Exception as error:
            say(explain(error))
        ctx.exit(1)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Lossless compression of images with a neural model."""


for command in (compress, decompress, info, verify, heatmap, list_models):
    cli.add_command(command)
