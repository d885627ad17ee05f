"""lmconv sample: images drawn from a network."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lmconv.checkpoints.trained import of_images, trained
from lmconv.commands import settings as table
from lmconv.commands.settings import check_device, settings
from lmconv.config import ImageConfig, Machine
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
@click.argument("checkpoint", type=table.CHECKPOINT)
@click.option("--count", type=table.COUNT, metavar="N", default=16, show_default=True, help="How many images.")
@click.option("--height", type=table.COUNT, metavar="N", help="Rows, by default as in training.")
@click.option("--width", type=table.COUNT, metavar="N", help="Columns, by default as in training.")
@click.option("--label", type=table.FROM_ZERO, metavar="N", help="Of all images; by default the labels take turns.")
@click.option("--given", metavar="DATA", help="A .npz whose test planes and labels are given with the images.")
@click.option(
    "--rate", type=table.COUNT, metavar="N", default=8000, show_default=True, help="Samples a second of sounds."
)
@drawing("The sheet to write: the images in rows; of rows of samples a .wav file.")
def sample(
    checkpoint: Path,
    count: int,
    height: int | None,
    width: int | None,
    label: int | None,
    given: str | None,
    rate: int,
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
    from lmconv.data import sounds
    from lmconv.sampling import sampler, sheet

    machine = prepared(device, threads)
    state = checkpoints.load(checkpoint)
    network = of_images(state.network)
    known = trained(network, state.training)
    if output.suffix == sounds.SUFFIX and (network.bits, network.channels, height or known.height) != (8, 1, 1):
        raise click.UsageError(f"{output} is for sounds: networks of images of one row, 1 channel and 8 bits")
    order = order or known.orders[0]
    rank = orders.make(order, height or known.height, width or known.width)
    planes = _planes(network, count, rank.shape, label, given)
    net = state.net().to(machine.resolved_device())
    temperatures = sampler.Temperatures(temperature_mixture, temperature_logistic)
    with progress(quiet) as shown:
        images = sampler.sample(net, rank, count, seed, temperatures, batch, shown, planes)
    if output.suffix == sounds.SUFFIX:
        sounds.write(output, images[:, 0, 0], rate)
    else:
        sheet.write(output, sheet.sheet(sheet.tiles(images, network.bits), columns=round(count**0.5)))
    save(save_npy, images, network)
    click.echo(f"{output}: {count} images {rank.shape[0]}x{rank.shape[1]}, order {order}, seed {seed}")


def _planes(
    network: ImageConfig, count: int, size: tuple[int, ...], label: int | None, source: str | None
) -> "np.ndarray | None":
    """What is given with the images that are drawn, uint8 [count, P, H, W], None for networks that learned without."""
    import numpy as np

    from lmconv.data import datasets

    if label is not None and (source is not None or label >= network.classes):
        raise click.UsageError(f"--label is for labels below {network.classes}, without --given")
    if source is not None:
        if not network.given:
            raise click.UsageError("--given is for networks that learned with planes or labels")
        grid = datasets.grid(network)
        found = datasets.load(source, "test", grid, (size[0], size[1])).given(slice(None))
        assert found is not None  # as the grid asks for some
        return found[np.arange(count) % len(found)]
    if network.planes:
        raise click.UsageError(f"the network is given {network.planes} planes with an image: name a .npz with --given")
    labels = np.arange(count) % network.classes if label is None and network.classes else np.full(count, label or 0)
    return datasets.planes_of(labels, network.classes, size[0], size[1]) if network.classes else None


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


def save(path: Path | None, levels: "np.ndarray", network: ImageConfig) -> None:
    """Writes levels [N, C, H, W] as the pixels of a data set, numbers as they are."""
    from lmconv.sampling import sheet

    if path is not None:
        pixels = levels if network.categorical else sheet.grey_levels(levels, network.bits)
        sheet.write_array(path, pixels.transpose(0, 2, 3, 1))
