"""lmconv sample: images drawn from a network."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lmconv.checkpoints.trained import of_images, trained
from lmconv.commands import settings as table
from lmconv.commands.settings import check_device, settings
from lmconv.config import Machine
from runtime.progress import Progress

if TYPE_CHECKING:
    import numpy as np

PATH = click.Path(path_type=Path)
TEMPERATURE = click.FloatRange(0)
MACHINE = {name: table.MACHINE[name] for name in ("device", "threads")}


def drawing(sheet: str) -> Callable:
    """The options of all that draws; `sheet` says what is on it."""
    options = [
        click.option("-o", "--output", type=PATH, required=True, metavar="PNG", help=sheet),
        click.option("--order", metavar="SPEC", help="Instead of an order trained on; `lmconv orders` knows them."),
        click.option("--seed", type=table.FROM_ZERO, metavar="N", default=0, show_default=True, help="Of the draws."),
        click.option(
            "--temperature-mixture",
            type=TEMPERATURE,
            metavar="X",
            default=1.0,
            show_default=True,
            help="Of the choice of a component: 0 takes the likeliest.",
        ),
        click.option(
            "--temperature-logistic",
            type=TEMPERATURE,
            metavar="X",
            default=1.0,
            show_default=True,
            help="Factor of the scales: 0 takes the mean. Not for binary networks.",
        ),
        click.option("--batch", type=table.COUNT, metavar="N", default=16, show_default=True, help="Images at a time."),
        click.option(
            "--save-npy",
            type=PATH,
            metavar="NPY",
            help="Write the images there, too, uint8 [N, H, W, C] of 8 bits, as `lmconv eval` reads them.",
        ),
        settings(Machine(), MACHINE),
        click.option("-q", "--quiet", is_flag=True, help="No progress."),
    ]

    def add(command: Callable) -> Callable:
        for option in reversed(options):
            command = option(command)
        return command

    return add


@click.command()
@click.argument("checkpoint", type=PATH)
@click.option("--count", type=table.COUNT, metavar="N", default=16, show_default=True, help="How many images.")
@click.option("--height", type=table.COUNT, metavar="N", help="Rows, by default as in training.")
@click.option("--width", type=table.COUNT, metavar="N", help="Columns, by default as in training.")
@drawing("The sheet to write: the images in rows.")
def sample(
    checkpoint: Path,
    count: int,
    height: int | None,
    width: int | None,
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
    """Draw images from a CHECKPOINT, with its averaged weights."""
    from lmconv import orders
    from lmconv.checkpoints import checkpoint as checkpoints
    from lmconv.sampling import sampler, sheet

    machine = prepared(device, threads)
    state = checkpoints.load(checkpoint)
    network = of_images(state.network)
    known = trained(network, state.training)
    order = order or known.orders[0]
    rank = orders.make(order, height or known.height, width or known.width)
    net = state.net().to(machine.resolved_device())
    temperatures = sampler.Temperatures(temperature_mixture, temperature_logistic)
    with progress(quiet) as shown:
        images = sampler.sample(net, rank, count, seed, temperatures, batch, shown)
    sheet.write(output, sheet.sheet(sheet.tiles(images, network.bits), columns=round(count**0.5)))
    save(save_npy, images, network.bits)
    click.echo(f"{output}: {count} images {rank.shape[0]}x{rank.shape[1]}, order {order}, seed {seed}")


def prepared(device: str, threads: int) -> Machine:
    """The machine, with its threads set. Raises BadParameter for a device that is not there."""
    import torch

    machine = Machine(device=device, threads=threads)
    check_device(machine)
    if threads:
        torch.set_num_threads(threads)
    return machine


@contextmanager
def progress(quiet: bool) -> Iterator[Progress]:
    """A bar on a terminal, told how many steps are done and how many there are."""
    from tqdm import tqdm

    with tqdm(unit="step", disable=True if quiet else None) as bar:

        def shown(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield shown


def save(path: Path | None, levels: "np.ndarray", bits: int) -> None:
    """Writes levels [N, C, H, W] as the pixels of a data set."""
    from lmconv.sampling import sheet

    if path is not None:
        sheet.write_array(path, sheet.grey_levels(levels, bits).transpose(0, 2, 3, 1))
