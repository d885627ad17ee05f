"""lmconv-export: a checkpoint becomes a bundle of exact integers, or a file of ONNX, TorchScript or torch.export."""

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from export.errors import ExportError
from runtime.command_line import Command
from runtime.version import __version__

if TYPE_CHECKING:
    from lmconv.checkpoints.checkpoint import Checkpoint

FORMATS = ("bundle", "onnx", "torchscript", "pt2")
PRECISIONS = ("exact", "fp32", "fp16")


class Size(click.ParamType):
    """A height and a width, as in 32x32."""

    name = "HxW"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """The two numbers; fails for anything else."""
        match = re.fullmatch(r"([1-9]\d{0,3})x([1-9]\d{0,3})", value, re.ASCII)
        if match is None:
            self.fail(f"{value!r} is no height and width of 1 to 9999 pixels, as in 32x48", param, ctx)
        return int(match[1]), int(match[2])


@click.command("lmconv-export", cls=Command, install="pip install 'lmconv[cpu,export]'")
@click.version_option(__version__, "-V", "--version", message="%(prog)s %(version)s")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The file to write.")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="bundle",
    show_default=True,
    help="bundle (*.lmconv) for the codec; the others for anybody's programs (docs/export.md).",
)
@click.option("--precision", type=click.Choice(PRECISIONS), help="exact for a bundle, else fp32 (default) or fp16.")
@click.option(
    "--order",
    "orders",
    multiple=True,
    metavar="NAME[:VARIANT]",
    help="Instead of all (bundle) or the first (the others) that the network was trained on; several for a "
    "bundle, on one copy of the weights.",
)
@click.option("--size", type=Size(), help="Of the paper's networks, instead of the size trained on.")
@click.option(
    "--pictures",
    type=click.Path(path_type=Path),
    help="Data set, folder or zip of pictures. For a bundle, required: half calibrate the ranges, half "
    "measure the loss of rounding. Else: the written file is tried on the first three, too.",
)
@click.option("--count", default=48, show_default=True, help="How many of the pictures a bundle uses.")
@click.option("--crop", default=192, show_default=True, help="Side of the crops of photographs.")
@click.option("--name", help="Name of the model (default: the output's name).")
@click.option(
    "--card",
    type=click.Path(path_type=Path),
    help="JSON with more for the model card: data, licence, limits, bits_per_dim.",
)
@click.option("--report", is_flag=True, help="Say of each layer of a bundle the scales and the proved bound.")
@click.option("--force", is_flag=True, help="Overwrite the output.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def cli(checkpoint: Path, output: Path, form: str, as_json: bool, **options: Any) -> None:
    """Export CHECKPOINT (a *.safetensors of `lmconv train`, or the name of one of `lmconv models`).

    By default as a bundle that lmconv-codec and the runtime use: the network becomes exact integers, every sum is
    proved to stay below 2^24, and the written bundle must give PyTorch's integers on a real picture. --format makes
    a float file for one order and size, which must give PyTorch's numbers. Else no file is left.
    """
    if form == "bundle" and options["pictures"] is None:
        raise click.UsageError("Missing option '--pictures'.")
    if form == "bundle" and options["count"] < 2:
        raise click.UsageError("--count must be at least 2: one crop to calibrate, one to measure")
    told, text = (_bundle if form == "bundle" else _float)(checkpoint, output, form, **options)
    click.echo(json.dumps(told) if as_json else text)


def _bundle(
    checkpoint: Path,
    output: Path,
    form: str,
    precision: str | None,
    orders: tuple[str, ...],
    size: tuple[int, int] | None,
    report: bool,
    **options: Any,
) -> tuple[dict, str]:
    """The report for JSON, and as text."""
    from export.bundle import check_target, export_bundle
    from export.exact.reports import describe
    from lmconv.config import PhotoConfig

    if precision not in (None, "exact"):
        raise ExportError(f"a bundle is exact, not {precision}: choose a --format for {precision}")
    source, card = _inputs(checkpoint, output, options)
    card |= {"training": source.training, "steps": source.step, "curve": source.curve}
    check_target(source, orders, size)
    if isinstance(source.network, PhotoConfig):
        from lmconv.data.crops import crops

        pictures = crops(options["pictures"], options["crop"])[: options["count"]]
    else:
        from export.pixelcnn.bundle import read_levels

        pictures = read_levels(source, options["pictures"], size, options["count"])
    found = export_bundle(source, output, options["name"] or output.stem, pictures, card, orders, size)
    return asdict(found) | {"loss": found.loss}, describe(found, layers=report)


def _float(
    checkpoint: Path,
    output: Path,
    form: str,
    precision: Literal["exact", "fp32", "fp16"] | None,
    orders: tuple[str, ...],
    size: tuple[int, int] | None,
    report: bool,
    **options: Any,
) -> tuple[dict, str]:
    """The report for JSON, and as text."""
    from export.floats.file import describe, export_float, read_pictures, target

    if precision == "exact":
        raise ExportError(f"{form} is fp32 or fp16, not exact: only a bundle is")
    if len(orders) > 1:
        raise ExportError(f"{form} has one order: give --order once, or make a bundle")
    source, card = _inputs(checkpoint, output, options)
    order, size = target(source, orders[0] if orders else None, size)
    pictures = read_pictures(source.network, options["pictures"], size) if options["pictures"] else None
    found = export_float(source, output, form, order, size, precision or "fp32", pictures, options["name"], card)
    return asdict(found), describe(found)


def _inputs(checkpoint: Path, output: Path, options: dict) -> "tuple[Checkpoint, dict]":
    """The checkpoint and the card. Raises what keeps the output from being written before time is spent on it."""
    from lmconv.checkpoints.checkpoint import load
    from lmconv.checkpoints.shipped import resolve

    if output.exists() and not options["force"]:
        raise FileExistsError(f"{output} exists: use --force to overwrite it")
    if not output.absolute().parent.is_dir():
        raise FileNotFoundError(f"{output.parent} is no folder that exists: make it or choose another output")
    source = load(resolve(checkpoint))
    return source, _card(options["card"]) if options["card"] else {}


def _card(path: Path) -> dict:
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ExportError(f"{path} is not JSON: {error}") from error
    if not isinstance(card, dict):
        raise ExportError(f"{path} is not a JSON object")
    return card
