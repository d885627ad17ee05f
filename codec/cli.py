"""lmconv-codec: compress and restore pictures, look into compressed files, list the models. A command is a file of
commands/.

Thin: parse, call, print. Results go to stdout, everything else to stderr. A failed input is one line on stderr, the
others go on, and the exit code is 1 at the end; wrong usage is 2. What is slow to import is imported in the commands.
"""

import click

from codec.commands.batch import INSTALL
from codec.commands.compare import bench, compare
from codec.commands.compress import compress
from codec.commands.decompress import decompress
from codec.commands.heatmap import heatmap
from codec.commands.info import info
from codec.commands.list_models import list_models
from codec.commands.verify import verify
from codec.commands.warm_up import warm_up
from runtime.command_line import Group
from runtime.version import __version__


@click.group("lmconv-codec", cls=Group, install=INSTALL)
@click.version_option(__version__, "-V", "--version", message="%(prog)s %(version)s")
def cli() -> None:
    """Lossless compression of images with a neural model."""


for command in (compress, decompress, info, verify, compare, bench, heatmap, list_models, warm_up):
    cli.add_command(command)
