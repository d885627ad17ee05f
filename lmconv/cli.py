"""lmconv: train the photo network, describe checkpoints, draw orders.

Thin: parse, call, print. Results go to stdout, progress and errors (one line each) to stderr; failed inputs exit
with 1, wrong usage with 2. Torch and numpy are imported in the commands that need them.
"""
import json
import math
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import click
from click.core import ParameterSource

from lmconv.config import Machine, PhotoConfig, TrainConfig
from lmconv.errors import LmconvError

PATH = click.Path(path_type=Path)
COUNT = click.IntRange(1)
FRACTION = click.FloatRange(0, 1)
ABOVE_ZERO = click.FloatRange(0, min_open=True)


class Group(click.Group):
    """A group whose commands fail in one line."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            _say("interrupted")
        except Exception as error:
            _say(_explain(error))
        ctx.exit(1)


class Variants(click.ParamType):
    """Numbers from 0 to 7, as in 0,4,3,7."""
    name = "variants"

    def convert(self, value, param, ctx):
        if isinstance(value, tuple):
            return value
        numbers = value.split(",")
        if not all(number in tuple("01234567") for number in numbers) or len(set(numbers)) < len(numbers):
            self.fail(f"{value!r} is not a list of different numbers from 0 to 7, as in 0,4,3,7", param, ctx)
        return tuple(map(int, numbers))


class Odd(click.IntRange):
    """The side of a kernel."""

    def convert(self, value, param, ctx):
        number = super().convert(value, param, ctx)
        if number % 2 == 0:
            self.fail(f"{number} is not odd", param, ctx)
        return number


KERNEL = Odd(1, 31)
TRAINING = {
    "steps": (COUNT, "Steps of the whole run."),
    "batch": (COUNT, "Windows a step."),
    "window": (COUNT, "Side of the windows cut from the crops."),
    "crop": (COUNT, "Side of the crops, whole pictures to the predictor."),
    "variants": (Variants(), "Orientations to train on; the first is evaluated."),
    "altered": (FRACTION, "Share of windows from altered crops: enlarged, noisy, in other light, once JPEG."),
    "rate": (ABOVE_ZERO, "Highest learning rate of Adam: first and last layer, biases."),
    "matrix_rate": (ABOVE_ZERO, "Highest learning rate of Muon: hidden layers."),
    "betas": ((FRACTION, FRACTION), "Adam's averaging of gradients and squares."),
    "warmup": (click.IntRange(0), "Steps in which the rate rises."),
    "cooldown": (FRACTION, "Part of the run in which the rate falls to zero."),
    "clip": (ABOVE_ZERO, "Largest norm of the gradient."),
    "ema": (FRACTION, "Averaging of the weights, a step."),
    "holdout": (COUNT, "Crops kept for evaluation, the last ones."),
    "evaluate_every": (COUNT, "Steps between evaluations."),
    "save_minutes": (click.FloatRange(0), "Minutes between checkpoints."),
    "seed": (click.IntRange(0), "Of weights and batches."),
}
NETWORK = {
    "channels": (COUNT, "Features a position."),
    "blocks": (COUNT, "Residual blocks."),
    "components": (COUNT, "Logistics in the mixture."),
    "first_kernel": (KERNEL, "Side of the first layer's kernel."),
    "kernel": (KERNEL, "Side of the blocks' kernels."),
}
MACHINE = {
    "device": (str, "auto, cpu, cuda, cuda:1, ..."),
    "precision": (click.Choice(["auto", "fp32", "bf16"]), "auto: bf16 where it is fast."),
    "threads": (click.IntRange(0), "0: all cores."),
    "minutes": (ABOVE_ZERO, "Stop after so long; go on with --resume."),
}
_METAVARS = {click.IntRange: "N", Odd: "N", click.FloatRange: "X", Variants: "V,V,..."}


def settings(config: type, table: dict):
    """Adds an option for every field in `table`, with the default of the dataclass."""
    default = {field.name: field.default for field in fields(config)}

    def add(command):
        for name, (kind, text) in reversed(table.items()):
            value = default[name]
            shown = "no limit" if value == math.inf else ",".join(map(str, value)) if name == "variants" else True
            unit = "X X" if isinstance(kind, tuple) else _METAVARS.get(type(kind))
            command = click.option("--" + name.replace("_", "-"), type=kind, default=value, show_default=shown,
                                   metavar=unit, help=text)(command)
        return command
    return add


@click.group(cls=Group, name="lmconv", context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Train models of locally masked convolutions."""


@dataclass(frozen=True)
class Description:
    """What `describe` prints, and `train` at its end; bits_per_subpixel is None before the first evaluation."""
    checkpoint: str
    step: int
    bits_per_subpixel: float | None
    parameters: int
    multiply_adds_per_pixel: int
    network: dict
    training: dict
    curve: list


@cli.command()
@click.argument("source", type=PATH)
@click.option("-o", "--output", "run", type=PATH, required=True, metavar="RUN",
              help="Folder for checkpoints and TensorBoard scalars.")
@click.option("--resume", is_flag=True, help="Go on with RUN; settings not given are those of its checkpoint.")
@click.option("--cache", type=PATH, default="~/.cache/lmconv", show_default=True,
              help="Folder for the crops' predictions, computed once.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@settings(TrainConfig, TRAINING)
@settings(PhotoConfig, NETWORK)
@settings(Machine, MACHINE)
@click.pass_context
def train(ctx: click.Context, source: Path, run: Path, resume: bool, cache: Path, as_json: bool, quiet: bool,
          **values) -> None:
    """Train the photo network on SOURCE, a folder or a zip of photographs.

    An interrupt saves RUN/last.safetensors, and --resume goes on from there as if nothing had happened.
    """
    if values["window"] > values["crop"]:
        raise click.UsageError(f"windows of {values['window']} do not fit into crops of {values['crop']}")
    from lmconv import checkpoint, data
    from lmconv import train as training

    last = run / "last.safetensors"
    if last.exists() and not resume:
        raise LmconvError(f"{last} exists: go on with --resume, or choose another folder")
    if last.exists():
        before = checkpoint.load(last)
        for name, value in (before.training | asdict(before.network)).items():
            if name in values and ctx.get_parameter_source(name) == ParameterSource.DEFAULT:
                values[name] = tuple(value) if isinstance(value, list) else value
    config = TrainConfig(**{name: values[name] for name in TRAINING})
    network = PhotoConfig(**{name: values[name] for name in NETWORK})
    machine = Machine(**{name: values[name] for name in MACHINE}, progress=not quiet)
    _check_device(machine)
    start = time.monotonic()
    prepared = data.prepare(source, cache.expanduser(), config.crop, config.variants, workers=machine.threads,
                            progress=machine.progress, altered=config.altered > 0)
    try:
        last = training.train(prepared, run, config, network, machine, resume)
    except KeyboardInterrupt:
        _say(f"interrupted: {last} is saved, go on with --resume")
        ctx.exit(1)
    row = _describe(last)
    if as_json:
        click.echo(json.dumps(asdict(row) | {"seconds": round(time.monotonic() - start, 1)}))
    else:
        click.echo(f"{last}: step {row.step} of {config.steps}, {_bits(row)}")


@cli.command()
@click.argument("checkpoint", type=PATH)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON, the curve too.")
def describe(checkpoint: Path, as_json: bool) -> None:
    """Say what a CHECKPOINT holds: its size, its result, how it was trained."""
    row = _describe(checkpoint)
    if as_json:
        click.echo(json.dumps(asdict(row), indent=2))
        return
    click.echo(f"step        {row.step} of {row.training.get('steps', 'unknown')}, {_bits(row)}")
    click.echo(f"parameters  {row.parameters}, multiply-adds per pixel {row.multiply_adds_per_pixel}")
    for title, values in (("network", row.network), ("training", row.training)):
        click.echo(f"{title:<12}" + ", ".join(f"{name} {_plain(value)}" for name, value in values.items()))


@cli.command("orders")
@click.argument("spec")
@click.argument("height", type=COUNT)
@click.argument("width", type=COUNT)
@click.option("--kernel", type=KERNEL, default=3, show_default=True, help="Side of the layers' kernels.")
@click.option("-o", "--output", type=PATH, metavar="PNG", help="Draw the ranks, dark first.")
def draw_orders(spec: str, height: int, width: int, kernel: int, output: Path | None) -> None:
    """Say in how many steps an order is computed, and draw it.

    SPEC is raster, s_curve, hilbert, gilbert, wavefront, multiscale=STEP, random=SEED or file=PATH, and ":V" after
    it picks one of 8 variants, as in s_curve:5.
    """
    from lmconv.orders import make
    from runtime.schedule import Kernel, levels

    rank = make(spec, height, width)
    steps = int(levels(rank, (Kernel(kernel),)).max()) + 1
    click.echo(f"{spec} {height} x {width}: {steps} steps for {rank.size} positions, kernel {kernel}")
    if output is not None:
        _draw(rank, output)


def _draw(rank, path: Path) -> None:
    """The rank map as a grey PNG, black first and white last, every position a square of at least one pixel."""
    import io
    import os

    import numpy as np
    from PIL import Image
    grey = (rank.astype(np.int64) * 255 // max(1, int(rank.max()))).clip(0).astype(np.uint8)
    side = max(1, 512 // max(rank.shape))
    drawn = io.BytesIO()
    Image.fromarray(grey.repeat(side, 0).repeat(side, 1)).save(drawn, "png")
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_bytes(drawn.getvalue())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _describe(path: Path) -> Description:
    from lmconv import checkpoint
    state = checkpoint.load(path)
    parameters, multiply_adds = state.net().size()
    bits = state.curve[-1][1] if state.curve else None
    return Description(str(path), state.step, bits, parameters, multiply_adds, asdict(state.network), state.training,
                       state.curve)


def _bits(row: Description) -> str:
    if row.bits_per_subpixel is None:
        return "not evaluated yet"
    return f"{row.bits_per_subpixel:.4f} bits per subpixel held out at step {row.curve[-1][0]}"


def _plain(value: object) -> str:
    return "(" + " ".join(map(str, value)) + ")" if isinstance(value, list | tuple) else str(value)


def _check_device(machine: Machine) -> None:
    import torch
    try:
        torch.empty(1, device=machine.resolved_device())
    except (RuntimeError, AssertionError) as error:             # what torch raises without CUDA
        raise click.BadParameter(f"{machine.device}: {error}", param_hint="--device") from error


def _explain(error: Exception) -> str:
    """The line for an error that a user can act on; any other one is a bug and is raised again."""
    if isinstance(error, BrokenPipeError | click.ClickException | click.exceptions.Exit | click.Abort):
        raise error
    from lmconv.masks import MaskError
    from lmconv.orders import OrderError
    if isinstance(error, LmconvError | MaskError | OrderError):
        text = str(error)
    elif isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        text = "not enough memory: a smaller --batch or a machine with more"
    elif isinstance(error, ImportError):
        text = f"{error}: pip install lmconv[train] brings what is needed"
    elif isinstance(error, OSError):
        text = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)
    else:
        raise error
    return " ".join(text.split())


def _say(message: str) -> None:
    click.echo(f"lmconv: {message}", err=True)
