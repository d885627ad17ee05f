"""lmconv complete: the hidden part of images, drawn given the rest."""

from pathlib import Path

import click

from lmconv.checkpoints.trained import of_images, trained
from lmconv.commands import settings as table
from lmconv.commands.sample import drawing, prepared, progress, save
from lmconv.commands.train import CACHE, DOWNLOAD
from lmconv.config import BINARISATIONS
from lmconv.errors import LmconvError


@click.command()
@click.argument("checkpoint", type=table.CHECKPOINT)
@click.argument("images", nargs=-1, required=True)
@click.option(
    "--region",
    metavar="REGION",
    default="centre",
    show_default=True,
    help="What is hidden: top, bottom, left, right, centre, box=TOP,LEFT,HEIGHT,WIDTH, or mask=FILE, an "
    "image that is black where pixels are given.",
)
@click.option("--count", type=table.COUNT, metavar="N", default=8, show_default=True, help="Of the images, the first.")
@click.option(
    "--split",
    type=click.Choice(["train", "test"]),
    default="test",
    show_default=True,
    help="Of a data set, if it has any.",
)
@click.option(
    "--binarisation",
    type=click.Choice(BINARISATIONS),
    default="threshold",
    show_default=True,
    help="How grey becomes bits, for binary networks.",
)
@CACHE
@DOWNLOAD
@drawing("The sheet to write: a row for each image of what is given, its completion, the truth and their difference.")
def complete(
    checkpoint: Path,
    images: tuple[str, ...],
    region: str,
    count: int,
    split: str,
    binarisation: str,
    cache: Path,
    download: bool,
    output: Path,
    order: str | None,
    seed: int,
    temperature_mixture: float,
    temperature_logistic: float,
    batch: int,
    save_npy: Path | None,
    device: str,
    threads: int,
    quiet: bool,
) -> None:
    """Hide a region of IMAGES and draw it anew, given the rest, from a CHECKPOINT with its averaged weights.

    IMAGES are files, or data sets as in `lmconv train`; all are cropped and shrunk to the size of the training. Of the
    orders trained on one is taken that ends in the region, so that every hidden pixel is drawn with all that is given
    in view. Where none does, and for an --order that does not, the region is moved to the end of the order.
    """
    import numpy as np

    from lmconv import orders
    from lmconv.checkpoints import checkpoint as checkpoints
    from lmconv.data import datasets
    from lmconv.orders import regions
    from lmconv.sampling import sampler, sheet

    machine = prepared(device, threads)
    state = checkpoints.load(checkpoint)
    network = of_images(state.network)
    known = trained(network, state.training)
    hidden = regions.make(region, known.height, known.width)
    specs = (order,) if order else known.orders
    order = regions.ending_in(specs, region, *hidden.shape)[0]
    rank = orders.make(order, *hidden.shape)
    grid = datasets.grid(network, binarisation)
    sets = [datasets.load(source, split, grid, hidden.shape, cache, download).first(count) for source in images]
    truth = np.concatenate([each.levels for each in sets])[:count]
    given = np.concatenate([each.given(slice(None)) for each in sets])[:count] if network.given else None
    if any(Path(source).resolve() == output.resolve() for source in images):
        raise LmconvError(f"{output} is one of the images: choose another output")
    net = state.net().to(machine.resolved_device())
    temperatures = sampler.Temperatures(temperature_mixture, temperature_logistic)
    with progress(quiet) as shown:
        drawn = sampler.complete(net, rank, truth, hidden, seed, temperatures, batch, shown, given)
    sheet.write(output, sheet.sheet(sheet.completions(truth, drawn, hidden, network.bits), columns=4))
    save(save_npy, drawn, network)
    click.echo(
        f"{output}: {len(truth)} images {hidden.shape[0]}x{hidden.shape[1]}, region {region}, order {order}, "
        f"seed {seed}"
    )
