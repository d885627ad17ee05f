"""lmconv-export: a checkpoint becomes a bundle; prints the proof of every layer and the loss of rounding."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The bundle to write (*.lmconv).")
@click.option(
    "--pictures",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder or zip of photographs: half calibrate the ranges, half measure the loss of rounding.",
)
@click.option("--count", default=24, show_default=True, help="How many crops of the pictures to use.")
@click.option("--crop", default=192, show_default=True, help="Side of the crops.")
@click.option("--name", help="Name of the model (default: the output's name).")
@click.option(
    "--card", type=click.Path(path_type=Path), help="JSON with more for the model card: data, licence, limits."
)
@click.option("--force", is_flag=True, help="Overwrite the output.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def cli(
    checkpoint: Path,
    output: Path,
    pictures: Path,
    count: int,
    crop: int,
    name: str | None,
    card: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Export CHECKPOINT (a *.safetensors of `lmconv train`) as a bundle that lmconv-codec and the runtime use.

    The network becomes exact integers; every sum is proved to stay below 2^24; the written bundle must give PyTorch's
    integers on a real picture, or no file is left.
    """
    from export.bundle import describe, export_bundle
    from export.quantise import QuantisationError
    from lmconv.checkpoint import CheckpointError, load
    from lmconv.data import DataError, crops
    from runtime import BundleError

    if count < 2:
        raise click.UsageError("--count must be at least 2: one crop to calibrate, one to measure")
    try:
        if output.exists() and not force:
            raise FileExistsError(f"{output} exists: use --force to overwrite it")
        source = load(checkpoint)
        told = json.loads(card.read_text()) if card else {}
        told |= {"training": source.training, "steps": source.step, "curve": source.curve}
        report = export_bundle(source, output, name or output.stem, crops(pictures, crop)[:count], told)
    except (CheckpointError, DataError, QuantisationError, BundleError, OSError, ValueError) as error:
        click.echo(f"lmconv-export: {error}", err=True)
        sys.exit(1)
    click.echo(json.dumps(asdict(report) | {"loss": report.loss}) if as_json else describe(report))


if __name__ == "__main__":
    cli()
