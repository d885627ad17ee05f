"""Configurations as options: every field of a dataclass has one, with the dataclass's default and a line of help."""

import math
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from lmconv.config import BINARISATIONS, FARTHEST, NORMS, OPTIMISERS, SCHEDULES, PixelCnnConfig
from lmconv.errors import LmconvError
from lmconv.family.settings import own

COUNT = click.IntRange(1)
FROM_ZERO = click.IntRange(0)
FRACTION = click.FloatRange(0, 1)
ABOVE_ZERO = click.FloatRange(0, min_open=True)


class Numbers(click.ParamType):
    """Different whole numbers in a range, as in 0,4,3,7."""

    def __init__(self, name: str, low: int, high: int, empty: bool = False, repeated: bool = False) -> None:
        self.name, self.low, self.high, self.empty, self.repeated = name, low, high, empty, repeated

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """The numbers; fails for anything else."""
        if isinstance(value, tuple):
            return value
        words = value.split(",") if value or not self.empty else []
        right = all(word.isdecimal() and self.low <= int(word) <= self.high for word in words)
        if not right or (len(set(words)) < len(words) and not self.repeated):
            different = "" if self.repeated else "different "
            self.fail(
                f"{value!r} is not a list of {different}numbers from {self.low} to {self.high}, as in "
                f"{self.low},{self.low + 3}",
                param,
                ctx,
            )
        return tuple(map(int, words))


class CheckpointPath(click.Path):
    """The path of a checkpoint, or the name of one that comes with the package."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path, whether or not something is there."""
        from lmconv.checkpoints.shipped import resolve

        return resolve(value)


class Odd(click.IntRange):
    """The side of a kernel."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number; fails for one that is even."""
        number = super().convert(value, param, ctx)
        if number % 2 == 0:
            self.fail(f"{number} is not odd", param, ctx)
        return number


CHECKPOINT = CheckpointPath()
VARIANTS = Numbers("variants", 0, 7)
KERNEL = Odd(1, 31)

TRAINING = {
    "steps": (COUNT, "Steps of the whole run."),
    "batch": (COUNT, "Images of a step, over all processes."),
    "accumulate": (COUNT, "Parts in which a process computes its share of a batch: less memory."),
    "optimiser": (click.Choice(OPTIMISERS), "muon: Muon for hidden layers, Adam for the rest; adam: Adam for all."),
    "rate": (ABOVE_ZERO, "Highest learning rate of Adam."),
    "matrix_rate": (ABOVE_ZERO, "Highest learning rate of Muon."),
    "betas": ((FRACTION, FRACTION), "Adam's averaging of gradients and squares."),
    "schedule": (click.Choice(SCHEDULES), "How the rates fall: at the end, along a cosine, by --decay, or not."),
    "warmup": (FROM_ZERO, "Steps in which the rates rise."),
    "cooldown": (FRACTION, "Part of the run in which a linear schedule falls to zero."),
    "decay": (FRACTION, "Factor of the rates, with the schedule decay."),
    "decay_every": (COUNT, "Steps between two decays; the published code's were an epoch's."),
    "weight_decay": (click.FloatRange(0), "Of matrices and kernels, a step, times the rate."),
    "clip": (ABOVE_ZERO, "Largest norm of the gradient."),
    "ema": (FRACTION, "Averaging of the weights, a step; 0 for none."),
    "evaluate_every": (COUNT, "Steps between evaluations."),
    "save_minutes": (click.FloatRange(0), "Minutes between checkpoints."),
    "keep": (FROM_ZERO, "How many of the evaluated checkpoints to keep, the last ones."),
    "seed": (FROM_ZERO, "Of weights and batches."),
}
PHOTO_TRAINING = TRAINING | {
    "window": (COUNT, "Side of the windows cut from the crops."),
    "crop": (COUNT, "Side of the crops, whole pictures to the predictor."),
    "variants": (VARIANTS, "Orientations to train on; the first is evaluated."),
    "altered": (FRACTION, "Share of windows from altered crops: enlarged, noisy, in other light, once JPEG."),
    "holdout": (COUNT, "Crops kept for evaluation, the last ones."),
}
IMAGE_TRAINING = TRAINING | {
    "height": (COUNT, "Rows; images are cropped and shrunk to this size."),
    "width": (COUNT, "Columns."),
    "order": (
        str,
        "As `lmconv orders` knows them, several between commas; random: a new one for each batch.",
    ),
    "variants": (VARIANTS, "Variants of the orders: one of all is drawn for each batch."),
    "sizes": (Numbers("sizes", 1, 4096, empty=True), "Heights to resize batches to, one drawn for each."),
    "binarisation": (click.Choice(BINARISATIONS), "How binary networks see grey: drawn for each batch, or over 127."),
    "holdout": (COUNT, "Images kept for evaluation, the last ones of the training split."),
}
PHOTO_NETWORK = {
    "channels": (COUNT, "Features a position."),
    "blocks": (COUNT, "Residual blocks."),
    "components": (COUNT, "Logistics in the mixture."),
    "first_kernel": (KERNEL, "Side of the first layer's kernel."),
    "kernel": (KERNEL, "Side of the blocks' kernels."),
}
IMAGES = {
    "channels": (click.IntRange(1, 3), "Of the images: 1 or 3."),
    "bits": (click.IntRange(1, 8), "Bits of a value."),
    "binary": (bool, "Two logits a pixel, for 1 channel of 1 bit."),
    "categorical": (bool, "A logit for each level, for 1 channel of numbers below 2^bits: palettes, labels, codes."),
    "planes": (FROM_ZERO, "Planes given with every image, from the arrays train_planes and test_planes of a .npz."),
    "classes": (FROM_ZERO, "Labels of images, from train_labels and test_labels, or y_train and y_test."),
    "components": (COUNT, "Logistics in the mixture."),
}
IMAGE_NETWORK = IMAGES | {
    "filters": (COUNT, "Features a position."),
    "resnets": (COUNT, "Gated resnets in a group."),
    "kernel": (KERNEL, "Side of the kernels: 3 or 5."),
    "dilation": (COUNT, "Of the convolutions between groups."),
    "far": (
        Numbers("far", 2, FARTHEST, empty=True),
        "Further dilations of these and of the first layer; for multiscale=STEP by default those that it needs.",
    ),
    "norm": (click.Choice(NORMS), "Normalisation."),
    "dropout": (click.FloatRange(0, 1, max_open=True), "Of whole channels."),
    "bias": (bool, "Biases of the masked convolutions."),
    "mask_weight": (bool, "Weights on the masks themselves."),
    "checkpointing": (bool, "Recompute blocks in the backward pass: less memory, more time."),
    "two_stream": (bool, "The baseline: needs --norm weight_norm --order raster --variants 0."),
}
MACHINE = {
    "device": (str, "auto, cpu, cuda, cuda:1, ..."),
    "precision": (
        click.Choice(["auto", "fp32", "tf32", "bf16"]),
        "auto: bf16 where it is fast, on other NVIDIA cards tf32; likelihoods are always in fp32.",
    ),
    "threads": (FROM_ZERO, "0: all cores."),
    "minutes": (ABOVE_ZERO, "Stop after so long; go on with --resume."),
    "log_every": (COUNT, "Steps between lines where stderr is no terminal."),
    "compile": (bool, "torch.compile: minutes of compiling, faster steps, mostly on a GPU."),
}
_METAVARS: dict[type, str] = {click.IntRange: "N", Odd: "N", click.FloatRange: "X", Numbers: "N,N,..."}


def network(architecture: type) -> dict:
    """The table of a network of images: the paper's, or one of the family's, whose settings say what they are."""
    if architecture is PixelCnnConfig:
        return IMAGE_NETWORK
    kinds = {int: COUNT, float: FRACTION, bool: bool, tuple: Numbers("sizes", 1, 1 << 16, repeated=True)}
    return IMAGES | {
        name: (kinds[type(each.default)], each.metadata["help"]) for name, each in own(architecture).items()
    }


def settings(defaults: Any, table: dict) -> Callable:
    """Adds an option for every field in `table`, with the default of the configuration `defaults`."""

    def add(command: Callable) -> Callable:
        for name, (kind, text) in reversed(table.items()):
            value = getattr(defaults, name)
            option = "--" + name.replace("_", "-")
            shown: str | bool = True
            if value == math.inf:
                shown = "no limit"
            elif isinstance(kind, Numbers):
                shown = ",".join(map(str, value)) or True
            if kind is bool:
                option += "/--no-" + name.replace("_", "-")
            unit = "X X" if isinstance(kind, tuple) else _METAVARS.get(type(kind))
            command = click.option(
                option, type=None if kind is bool else kind, default=value, show_default=shown, metavar=unit, help=text
            )(command)
        return command

    return add


def from_checkpoint(ctx: click.Context, values: dict, said: dict) -> list[str]:
    """Takes for options that were not given what a checkpoint says; those that it changes, in words."""
    changed = []
    for name, value in said.items():
        if name in values and ctx.get_parameter_source(name) == ParameterSource.DEFAULT:
            value = tuple(value) if isinstance(value, list) else value
            if values[name] != value:
                changed.append(f"{name} {value} in place of {values[name]}")
            values[name] = value
    return changed


def chosen(config: type, values: dict) -> Any:
    """The configuration of the options' values; what does not fit together is wrong usage."""
    try:
        return config(**{field.name: values[field.name] for field in fields(config) if field.name in values})
    except LmconvError as error:
        raise click.UsageError(str(error)) from error


def check_device(machine: Any) -> None:
    """Raises BadParameter unless the machine has the device."""
    import torch

    try:
        torch.empty(1, device=machine.resolved_device())
    except (RuntimeError, AssertionError) as error:  # what torch raises without CUDA
        raise click.BadParameter(f"{machine.device}: {error}", param_hint="--device") from error
