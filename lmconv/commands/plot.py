"""lmconv plot: the curves of runs in one picture."""

from pathlib import Path

import click

from lmconv.errors import LmconvError


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, metavar="PNG", help="What to draw.")
@click.option("--force", is_flag=True, help="Overwrite PNG.")
def plot(runs: tuple[Path, ...], output: Path, force: bool) -> None:
    """Draw the curves of runs, held out and of training, into one picture. RUN is a folder of `lmconv train`."""
    from lmconv.training import plots

    if output.exists() and not force:
        raise LmconvError(f"{output} exists: use --force to overwrite it")
    plots.draw([plots.of_run(run) for run in runs], output)
    click.echo(f"{output}: {', '.join(map(str, runs))}")
