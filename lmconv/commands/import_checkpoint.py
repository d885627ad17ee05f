"""lmconv import-checkpoint: a checkpoint that the paper's authors published becomes one of ours."""

from pathlib import Path

import click

from lmconv.errors import LmconvError


@click.command("import-checkpoint")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, metavar="OUT", help="The checkpoint to write."
)
@click.option("--force", is_flag=True, help="Overwrite OUT.")
def import_checkpoint(file: Path, output: Path, force: bool) -> None:
    """Read a .pth FILE of github.com/ajayjain/lmconv and write it as a checkpoint of ours.

    Nothing in FILE is run. The network follows from the shapes of its tensors; what neither these nor the arguments
    of its run tell is taken from the published settings, and named.
    """
    from lmconv.checkpoints import checkpoint, published

    if output.exists() and not force:
        raise LmconvError(f"{output} exists: use --force to overwrite it")
    found = published.load(file)
    state = published.as_checkpoint(found, file.name)
    checkpoint.save(output, state)
    count = sum(tensor.numel() for tensor in state.model.values())
    training = state.training
    variants = ",".join(map(str, training["variants"]))
    click.echo(
        f"{output}: {count} parameters, {training['order']} variants {variants}, "
        f"{training['height']}x{training['width']}, epoch {training['epoch']}"
    )
    if training["assumed"]:
        click.echo(f"taken from the published settings: {', '.join(training['assumed'])}")
