"""lmconv eval: how likely a data set's images, or photographs, are under a checkpoint."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from lmconv.checkpoints.trained import trained
from lmconv.commands import settings as table
from lmconv.commands.settings import check_device, settings
from lmconv.commands.train import CACHE, DOWNLOAD
from lmconv.config import BINARISATIONS, ImageConfig, Machine, PhotoConfig

if TYPE_CHECKING:
    from lmconv.checkpoints.checkpoint import Checkpoint
    from lmconv.data.datasets import ImageSet
    from lmconv.processes import Processes

PATH = click.Path(path_type=Path)
MACHINE = {name: table.MACHINE[name] for name in ("device", "threads")}
OF_IMAGES = ("split", "order", "variants", "region", "binarisation", "seed", "images", "batch", "download")


@click.command("eval")
@click.argument("checkpoint", type=table.CHECKPOINT)
@click.argument("source", metavar="DATA")
@click.option(
    "--split",
    type=click.Choice(["train", "test"]),
    default="test",
    show_default=True,
    help="Of the data set, if it has any.",
)
@click.option("--order", multiple=True, help="Instead of the order trained on; may be repeated.")
@click.option("--variants", type=table.VARIANTS, metavar="N,N,...", help="Instead of the variants trained on.")
@click.option(
    "--region",
    metavar="REGION",
    help="Only top, bottom, left, right, centre, box=TOP,LEFT,HEIGHT,WIDTH or mask=PATH, given the rest of the image.",
)
@click.option(
    "--binarisation",
    type=click.Choice([*BINARISATIONS, "both"]),
    default="both",
    show_default=True,
    help="How grey becomes bits, for binary networks.",
)
@click.option("--seed", type=table.FROM_ZERO, default=0, show_default=True, help="Of the stochastic binarisation.")
@click.option("--images", type=table.COUNT, metavar="N", help="Only the first N images.")
@click.option("--batch", type=table.COUNT, default=64, show_default=True, help="Images at a time.")
@CACHE
@DOWNLOAD
@settings(Machine(), MACHINE)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@click.pass_context
def evaluate(
    ctx: click.Context,
    checkpoint: Path,
    source: str,
    device: str,
    threads: int,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Say how likely DATA is under a CHECKPOINT, with its averaged weights, every image counted.

    DATA is a data set as in `lmconv train`, or photographs for a checkpoint of the photo network. Images are asked in
    every order that the network was trained on: each alone, the average of their joint likelihoods, and what a coder
    takes that picks the best order of each image and says which. A --region is asked in the orders that visit it last
    (most context; where none does, it is moved to their end) and in those that visit it first (none).
    """
    import torch

    from lmconv import processes
    from lmconv.checkpoints import checkpoint as checkpoints

    machine = Machine(device=device, threads=threads, progress=not quiet)
    check_device(machine)
    if threads:
        torch.set_num_threads(threads)
    state = checkpoints.load(checkpoint)
    with processes.started(machine) as them:
        if isinstance(state.network, PhotoConfig):
            given = [name for name in OF_IMAGES if ctx.get_parameter_source(name) != ParameterSource.DEFAULT]
            if given:
                raise click.UsageError(f"--{given[0]} is not for checkpoints of the photo network")
            found = _photographs(state, source, machine, them)
        else:
            found = _images(state, state.network, source, machine, them, options)
    if them.rank == 0:
        about = {"checkpoint": str(checkpoint), "step": state.step, "network": asdict(state.network)}
        click.echo(json.dumps(about | found, indent=2) if as_json else _text(found))


def _photographs(state: "Checkpoint", source: str, machine: Machine, them: "Processes") -> dict:
    from tqdm import tqdm

    from lmconv.data import pictures
    from lmconv.evaluation.photographs import photographs

    if them.world > 1:
        raise click.UsageError("photographs are evaluated by one process")
    names = pictures.names(Path(source))
    device = machine.resolved_device()
    found = photographs(state.net().to(device), Path(source), device)
    rows = list(tqdm(found, total=len(names), unit="picture", disable=None if machine.progress else True))
    if not rows:
        raise pictures.DataError(f"{source} holds no pictures")
    pixels = [row.height * row.width for row in rows]
    bits = [row.bits_per_subpixel for row in rows]
    return {
        "pictures": [asdict(row) for row in rows],
        "mean": sum(bits) / len(bits),
        "mean_over_pixels": sum(b * p for b, p in zip(bits, pixels)) / sum(pixels),
    }


def _images(
    state: "Checkpoint", network: ImageConfig, source: str, machine: Machine, them: "Processes", options: dict
) -> dict:
    from tqdm import tqdm

    from lmconv.evaluation import likelihoods
    from lmconv.orders import regions

    specs = _specs(state, options["order"], options["variants"])
    with them.first():
        sets = _sets(network, state.training, source, options)
    size = sets[0].pixels.shape[2:]
    region = regions.make(options["region"], *size) if options["region"] else None
    groups = likelihoods.groups(specs, options["region"], *size)
    device = machine.resolved_device()
    net = state.net().to(device)
    passes = len(sets) * sum(map(len, groups.values()))
    shown = machine.progress and them.rank == 0
    results = []
    with tqdm(total=passes * len(sets[0]) // them.world, unit="image", disable=None if shown else True) as bar:
        for images in sets:
            found = likelihoods.measure(
                net, network, images, groups, device, region, options["batch"], them, bar.update
            )
            results.append(
                {
                    "data": images.about(),
                    "description": str(images),
                    "region": options["region"],
                    **{name: result.about() for name, result in found.items()},
                }
            )
    return {"results": results}


def _sets(network: ImageConfig, told: dict, source: str, options: dict) -> "list[ImageSet]":
    """The images under each convention asked for."""
    from lmconv.data import datasets

    conventions: tuple[str, ...] = (options["binarisation"],)
    if conventions == ("both",):
        conventions = BINARISATIONS if network.binary else ("stochastic",)
    grids = [datasets.grid(network, convention, options["seed"]) for convention in conventions]
    size = (told["height"], told["width"]) if "height" in told else None
    images = datasets.load(source, options["split"], grids[0], size, options["cache"], options["download"])
    return [images.first(options["images"] or len(images)).on(grid) for grid in grids]


def _specs(state: "Checkpoint", order: tuple[str, ...], variants: tuple[int, ...] | None) -> list[str]:
    """The orders asked for, by default those trained on."""
    from lmconv.orders import parse_variant

    known = [parse_variant(spec) for spec in trained(state.network, state.training).orders]
    bases = order or dict.fromkeys(base for base, _ in known)
    return [f"{base}:{variant}" for base in bases for variant in variants or [variant for _, variant in known]]


def _text(found: dict) -> str:
    if "pictures" in found:
        rows = [
            f"{row['bits_per_subpixel']:.4f}  {row['name']}, {row['width']} x {row['height']}"
            for row in found["pictures"]
        ]
        return "\n".join(
            [
                *rows,
                f"{found['mean']:.4f}  mean of {len(rows)} pictures, bits per subpixel "
                f"({found['mean_over_pixels']:.4f} of all their pixels)",
            ]
        )
    lines = []
    for result in found["results"]:
        lines.append(result["description"])
        for name in ("likelihood", "max_context", "adversarial"):
            if result.get(name):
                if name != "likelihood":
                    lines.append(f" region {result['region']}, {name.replace('_', ' ')}")
                lines += _lines(result[name])
    return "\n".join(lines)


def _lines(about: dict) -> list[str]:
    count = len(about["orders"])
    rows = [(row["order"], row) for row in about["orders"]]
    if count > 1:
        rows += [(f"average of {count}", about["ensemble"]), (f"best of {count}, coded", about["coded"])]
    return [f"  {name:<20} {row['nats']:>12.4f} nats {row['bits_per_dim']:>9.5f} bits/dim" for name, row in rows]
