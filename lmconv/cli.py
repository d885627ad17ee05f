"""lmconv: train, evaluate and sample networks, look into checkpoints and orders. A command is a file of commands/.

Results go to stdout, progress and errors (one line each) to stderr; failed inputs exit with 1, wrong usage with 2.
"""

import click

from lmconv.commands.average import average
from lmconv.commands.complete import complete
from lmconv.commands.describe import describe
from lmconv.commands.evaluate import evaluate
from lmconv.commands.import_checkpoint import import_checkpoint
from lmconv.commands.list_models import list_models
from lmconv.commands.orders import draw_orders
from lmconv.commands.plot import plot
from lmconv.commands.sample import sample
from lmconv.commands.train import train
from runtime.command_line import Group
from runtime.version import __version__


@click.group("lmconv", cls=Group, install="pip install lmconv[train]")
@click.version_option(__version__, "-V", "--version", message="%(prog)s %(version)s")
def cli() -> None:
    """Train, evaluate and sample models of locally masked convolutions."""


for command in (
    train,
    evaluate,
    sample,
    complete,
    average,
    import_checkpoint,
    describe,
    draw_orders,
    plot,
    list_models,
):
    cli.add_command(command)
