"""lmconv train photo | cifar10 | ...: a command for the photo network and one for each of the paper's settings."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from lmconv.commands import settings as table
from lmconv.commands.settings import check_device, chosen, from_checkpoint, settings
from lmconv.config import (
    PRESETS,
    ImageConfig,
    ImageTraining,
    Machine,
    PhotoConfig,
    PhotoTraining,
    PixelCnnConfig,
    Preset,
    far_of,
    image_training,
)
from lmconv.family.settings import FAMILY, ParallelWavenetConfig

if TYPE_CHECKING:
    from lmconv.training.run import Sheet
    from lmconv.training.tasks import ImageTask, Task

PATH = click.Path(path_type=Path)
CACHE = click.option(
    "--cache",
    type=PATH,
    default="~/.cache/lmconv",
    show_default=True,
    help="Folder for what is computed or downloaded once.",
)
DOWNLOAD = click.option("--download", is_flag=True, help="Let torchvision fetch a data set that is not in --cache.")


@click.group()
def train() -> None:
    """Train a network: photo is the codec's, all others are the paper's under the names of their settings.

    An interrupt saves RUN/last.safetensors, and --resume goes on from there as if nothing had happened.
    Several processes: torchrun --nproc-per-node 2 -m lmconv train ...; on several machines RUN is on a disk they share.
    """


def common(source: str) -> Callable:
    """The options of every training; `source` says what its data can be."""
    options = [
        click.option("--data", "source", required=True, metavar="SOURCE", help=source),
        click.option(
            "-o",
            "--output",
            "run",
            type=PATH,
            required=True,
            metavar="RUN",
            help="Folder for checkpoints, TensorBoard scalars and config.json.",
        ),
        click.option(
            "--resume",
            is_flag=False,
            flag_value="auto",
            metavar="[auto|PATH]",
            help="Go on with RUN if it holds a checkpoint, or from the one at PATH; settings not given are "
            "those of the checkpoint.",
        ),
        click.option(
            "--init",
            type=table.CHECKPOINT,
            metavar="CHECKPOINT",
            help="Begin with the averaged weights of a checkpoint whose network has the same tensors, for other data, "
            "orders, bits or another optimiser.",
        ),
        CACHE,
        click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON."),
        click.option("-q", "--quiet", is_flag=True, help="No progress."),
    ]

    def add(command: Callable) -> Callable:
        for option in reversed(options):
            command = option(command)
        return command

    return add


@train.command()
@common("A folder or a zip of photographs.")
@settings(PhotoTraining(), table.PHOTO_TRAINING)
@settings(PhotoConfig(), table.PHOTO_NETWORK)
@settings(Machine(), table.MACHINE)
@click.pass_context
def photo(ctx: click.Context, source: str, cache: Path, **values: Any) -> None:
    """The codec's network, on photographs."""

    def task(config: PhotoTraining, network: PhotoConfig, machine: Machine) -> "Task":
        from lmconv.data import crops
        from lmconv.training.tasks import PhotoTask

        prepared = crops.prepare(
            Path(source),
            cache.expanduser(),
            config.crop,
            config.variants,
            workers=machine.threads,
            progress=machine.progress,
            altered=config.altered > 0,
        )
        return PhotoTask(prepared, config, network, machine.resolved_device())

    run(ctx, PhotoTraining, PhotoConfig, task, lambda config, network, task: None, **values)


def _image_command(name: str, preset: Preset, about: str) -> click.Command:
    architecture = type(preset.network)

    student = architecture is ParallelWavenetConfig

    @click.command(name, help=about)
    @common("cifar10, mnist or celeba (by torchvision), a folder or zip of images, a .npz or a .npy.")
    @DOWNLOAD
    @click.option(
        "--samples",
        type=table.FROM_ZERO,
        metavar="N",
        default=16,
        show_default=True,
        help="Images drawn into RUN/samples after each evaluation.",
    )
    @_teacher(student)
    @settings(image_training(preset), table.IMAGE_TRAINING)
    @settings(preset.network, table.network(architecture))
    @settings(Machine(), table.MACHINE)
    @click.pass_context
    def command(
        ctx: click.Context,
        source: str,
        cache: Path,
        download: bool,
        samples: int,
        teacher: Path | None = None,
        **values: Any,
    ) -> None:
        def task(config: ImageTraining, network: ImageConfig, machine: Machine) -> "Task":
            from lmconv.data import datasets
            from lmconv.training.tasks import ImageTask

            grid = datasets.grid(network, config.binarisation)
            images = datasets.load(source, "train", grid, (config.height, config.width), cache, download)
            if teacher is not None:
                from lmconv.checkpoints import checkpoint
                from lmconv.training.distillation import Distillation

                assert isinstance(network, ParallelWavenetConfig)
                return Distillation(images, config, network, machine.resolved_device(), checkpoint.load(teacher))
            return ImageTask(images, config, network, machine.resolved_device())

        def sheet(config: ImageTraining, network: ImageConfig, task: "ImageTask") -> "Sheet | None":
            import numpy as np

            from lmconv.sampling.sampler import sheets

            held = len(task.images) - config.holdout
            given = task.images.given(np.arange(held, held + samples) % len(task.images)) if samples else None
            return sheets(network, config, samples, given=given) if samples else None

        if architecture is PixelCnnConfig and ctx.get_parameter_source("far") == ParameterSource.DEFAULT:
            values["far"] = far_of(values["order"])
        run(ctx, ImageTraining, architecture, task, sheet, **values)

    return command


def _teacher(student: bool) -> Callable:
    """The option of a network that learns from another."""
    told = "The checkpoint of a wavenet trained with --no-categorical, to learn from."
    return click.option("--teacher", type=table.CHECKPOINT, required=True, help=told) if student else lambda f: f


for _name, _preset in PRESETS.items():
    _about = f"The paper's network with the settings of {_name}, {_preset.height}x{_preset.width}."
    train.add_command(_image_command(_name, _preset, _about))
for _name, _preset in FAMILY.items():
    train.add_command(_image_command(_name, _preset, str(type(_preset.network).__doc__)))


def run(
    ctx: click.Context,
    training: type,
    architecture: type,
    task_of: Callable,
    sheet_of: Callable,
    run: Path,
    resume: str | None,
    init: Path | None,
    as_json: bool,
    quiet: bool,
    **values: Any,
) -> None:
    """What all trainings do; `task_of` makes the task of the configurations, `sheet_of` what draws samples, or None."""
    from lmconv import processes
    from lmconv.checkpoints import checkpoint
    from lmconv.training import run as runs

    began = time.monotonic()
    if init is not None and resume not in (None, "auto"):
        raise click.UsageError("--init begins a run and --resume goes on with one: give one checkpoint")
    start, first = runs.resume_point(run, resume), None
    if start is not None:
        before = checkpoint.load(start)
        if type(before.network) is not architecture:
            raise checkpoint.CheckpointError(f"{start} is of another kind of network: {before.network}")
        taken = from_checkpoint(ctx, values, before.training | asdict(before.network))
        if taken and not quiet:
            click.echo(f"lmconv: as in {start}: {', '.join(taken)}", err=True)
    elif init is not None:
        first = checkpoint.load(init)
        if type(first.network) is not architecture:
            raise checkpoint.CheckpointError(f"{init} is of another kind of network: {first.network}")
        _agree(ctx, values, first.network, init)
    network, config = chosen(architecture, values), chosen(training, values)
    machine = chosen(Machine, values | {"progress": not quiet})
    check_device(machine)
    with processes.started(machine) as them:
        with them.first():
            task = task_of(config, network, machine)
        try:
            last = runs.train(task, run, machine, resume, them, sheet_of(config, network, task), first)
        except KeyboardInterrupt:
            click.echo(f"lmconv: interrupted: {run / runs.LAST} is saved, go on with --resume", err=True)
            ctx.exit(1)
    if them.rank == 0:
        _print(last, config.steps, time.monotonic() - began, as_json)


_OF_TRAINING = ("dropout", "checkpointing")  # settings of a network that are none of what it computes


def _agree(ctx: click.Context, values: dict, network: Any, init: Path) -> None:
    """Raises UsageError where a network's settings that were not given are not those of the checkpoint that it begins
    with: its weights would mean something else."""
    given = {name for name in values if ctx.get_parameter_source(name) != ParameterSource.DEFAULT}
    differ = {
        name: value
        for name, value in asdict(network).items()
        if name not in (*_OF_TRAINING, *given) and values.get(name, value) != value
    }
    if differ:
        options = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in differ.items())
        raise click.UsageError(f"{init} is not of {ctx.info_name}'s settings: give {options}, or others on purpose")


def _print(last: Path, steps: int, seconds: float, as_json: bool) -> None:
    from lmconv.checkpoints import checkpoint

    state = checkpoint.load(last)
    unit = state.training.get("unit", "bits per subpixel")
    at, value = state.curve[-1] if state.curve else (None, None)
    if as_json:
        click.echo(
            json.dumps(
                {
                    "checkpoint": str(last),
                    "step": state.step,
                    "heldout": value,
                    "unit": unit,
                    "seconds": round(seconds, 1),
                }
            )
        )
    else:
        result = f"{value:.4f} {unit} held out at step {at}" if state.curve else "not evaluated yet"
        click.echo(f"{last}: step {state.step} of {steps}, {result}")
