"""lmconv average: several checkpoints of a network become one with the mean of their weights."""

from pathlib import Path

import click

from lmconv.errors import LmconvError


@click.command()
@click.argument("checkpoints", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, metavar="OUT", help="The file to write."
)
@click.option("--slim", is_flag=True, help="Keep averaged weights alone, in half precision: for passing on.")
@click.option("--force", is_flag=True, help="Overwrite OUT.")
def average(checkpoints: tuple[Path, ...], output: Path, slim: bool, force: bool) -> None:
    """Average the weights of CHECKPOINTS, as in lmconv average RUN/step_*.safetensors -o mean.safetensors.

    One alone is as it was, which with --slim makes a small file of it.
    """
    from lmconv.checkpoints import checkpoint

    if output.exists() and not force:
        raise LmconvError(f"{output} exists: use --force to overwrite it")
    mean = checkpoint.average(checkpoints)
    checkpoint.save(output, mean.slim() if slim else mean)
    steps = ", ".join(map(str, mean.training["averaged"]))
    click.echo(f"{output}: mean of {len(checkpoints)} checkpoints, steps {steps}")
