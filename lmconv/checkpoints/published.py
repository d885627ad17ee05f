"""Reads the checkpoints that the paper's authors published (.pth of github.com/ajayjain/lmconv).

A file is a pickled dictionary with `model_state_dict` and, if all went well, the arguments of its run. It is read
without running anything in it: tensors, plain values, argparse's Namespace and numpy's numbers, all else is refused.
The architecture follows from the shapes of its 192 tensors (for colours); what shapes do not show comes from the
arguments, else from the published settings.
"""

from __future__ import annotations

import argparse
import pickle
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from lmconv.checkpoints.checkpoint import Checkpoint
from lmconv.config import PRESETS, ImageConfig, PixelCnnConfig
from lmconv.errors import LmconvError
from lmconv.networks.pixelcnn import PixelCnn
from lmconv.orders import VARIANTS
from runtime.variants import TRANSPOSED

# Losses were saved as numpy's numbers: how those are pickled, by numpy 1 and by numpy 2.
_scalar = np.float64(0).__reduce__()[0]
_NUMBERS: list[Any] = [
    np.dtype,
    *(type(np.dtype(kind)) for kind in ("float64", "float32", "int64", "int32", "bool")),
    (_scalar, "numpy.core.multiarray.scalar"),
    (_scalar, "numpy._core.multiarray.scalar"),
]
# Our names -> theirs, in this order.
_NAMES = (
    (r"^first\b", "u_init"),
    (r"^(up|down)\.(\d+)\.", r"\1_layers.\2.u_stream."),
    (r"^up_dilated\b", "downsize_u_stream"),
    (r"^down_dilated\b", "upsize_u_stream"),
    (r"^head\b", "nin_out.lin_a"),
    (r"\bnin_skip\b", "nin_skip.lin_a"),
    (r"parametrizations\.weight\.original0$", "weight_g"),
    (r"parametrizations\.weight\.original1$", "weight_v"),
)
# Their orders -> ours, where the names differ.
_ORDERS = {"raster_scan": "raster", "gilbert2d": "gilbert"}

_PLAIN = (str, int, float, type(None))  # what JSON can say


class PublishedError(LmconvError):
    """A file that is not a published checkpoint, or whose tensors do not make a network."""


@dataclass(frozen=True)
class PublishedInfo:
    """What a file says of itself, and which settings it does not say, so that the published ones were taken."""

    epoch: int | None
    step: int | None
    arguments: dict[str, Any]
    assumed: tuple[str, ...]


class Published(NamedTuple):
    """A network's config and float32 state for `PixelCnn(config).load_state_dict(state)`."""

    config: PixelCnnConfig
    state: dict[str, Tensor]
    info: PublishedInfo


def load(path: str | Path) -> Published:
    """Reads a file. Raises PublishedError with the names of what is missing, extra, misshapen or not allowed in it.

    The weights are those trained last; the averaged ones of the file are left, as the code that made them averaged
    only the first tensor.
    """
    content = _read(path)
    tensors = content.get("model_state_dict", content)
    if not isinstance(tensors, dict) or not tensors:
        raise PublishedError(f"{path} is not a published checkpoint: it has no model_state_dict")
    wrong = [name for name, tensor in tensors.items() if not _is_real(name, tensor)]
    if wrong:
        raise PublishedError(f"{path} is not a published checkpoint: not tensors of real numbers: {_some(wrong)}")
    tensors = {name.removeprefix("module."): tensor for name, tensor in tensors.items()}  # of torch's DataParallel
    arguments = content.get("args") or {}
    arguments = vars(arguments) if isinstance(arguments, argparse.Namespace) else arguments
    if not isinstance(arguments, dict):
        raise PublishedError(f"{path} is not a published checkpoint: its args are {type(arguments).__name__}")
    try:
        config, assumed = infer(tensors, arguments)
        state = _translate(tensors, config)
    except LmconvError as error:
        raise PublishedError(f"{path}: {error}") from error
    numbers = (content.get(name) for name in ("epoch", "global_step"))
    epoch, step = (int(number) if isinstance(number, (int, np.integer)) else None for number in numbers)
    return Published(config, state, PublishedInfo(epoch, step, dict(arguments), assumed))


def infer(tensors: dict[str, Tensor], arguments: dict[str, Any]) -> tuple[PixelCnnConfig, tuple[str, ...]]:
    """The config of published tensors, and the names of settings that neither shapes nor arguments told."""
    if any(".ul_stream." in name for name in tensors):
        raise PublishedError("a two-stream baseline, only the one-stream network can be read")
    first = _shape(tensors, "u_init.weight", "u_init.weight_v", dimensions=4)
    head = _shape(tensors, "nin_out.lin_a.weight_v", dimensions=2)
    channels = first[1] - 1
    if channels not in (1, 3):
        raise PublishedError(f"u_init has {first[1]} input channels, an image and its ones have 2 or 4")
    binary = channels == 1 and head[0] == 2
    per_component = 10 if channels == 3 else 3
    if not binary and head[0] % per_component:
        raise PublishedError(f"nin_out gives {head[0]} numbers a position, no multiple of {per_component}")
    blocks = {match[1] for name in tensors if (match := re.match(r"up_layers\.0\.u_stream\.(\d+)\.", name))}

    said = {"norm": "normalization", "dilation": "max_dilation", "bits": "n_bits"}
    values: dict[str, Any] = {"norm": "pono", "dilation": 2, "bits": 8}
    values |= {name: arguments[theirs] for name, theirs in said.items() if theirs in arguments}
    shown = set()
    if "u_init.weight_g" in tensors:
        values["norm"] = "weight_norm"
        shown.add("norm")
    elif values["norm"] == "weight_norm":
        raise PublishedError("its args say weight_norm, but u_init has no weight_g")
    if binary:
        values["bits"] = 1
        shown.add("bits")
    config = PixelCnnConfig(
        channels=channels,
        binary=binary,
        filters=first[0],
        resnets=len(blocks),
        components=PixelCnnConfig.components if binary else head[0] // per_component,
        kernel=first[2],
        dropout=arguments.get("dropout_prob", 0.0),
        bias="u_init.bias" in tensors,
        mask_weight="u_init.mask_weight" in tensors,
        **values,
    )
    return config, tuple(name for name, theirs in said.items() if theirs not in arguments and name not in shown)


def as_checkpoint(published: Published, name: str) -> Checkpoint:
    """Our checkpoint of a published one; `name` is its file's, for the record.

    Its training says size and orders as the run's arguments do, where these do not as the preset of such a network
    does, and which settings were `assumed`. Raises PublishedError for arguments that make no order or size.
    """
    config, state, info = published
    of = next((preset for preset in PRESETS.values() if _likes(preset.network) == _likes(config)), PRESETS["cifar10"])
    said = info.arguments
    assumed = (*info.assumed, *(() if said.get("order") else ("order",)))
    try:
        size = int(said["celeba_size"]) if said.get("dataset") == "celebahq" and "celeba_size" in said else None
        order, variants = _orders(said) if said.get("order") else (of.order, of.variants)
    except (TypeError, ValueError) as error:
        raise PublishedError(f"{name}: its args make no order or size: {error}") from error
    plain = {key: value if isinstance(value, _PLAIN) else str(value) for key, value in said.items()}
    training = {
        "published": name,
        "epoch": info.epoch,
        "arguments": plain,
        "assumed": assumed,
        "order": order,
        "variants": variants,
        "height": size or of.height,
        "width": size or of.width,
        "unit": "nats" if config.binary else "bits/dim",
    }
    return Checkpoint(config, state, state, {}, training, info.step or 0)


def _orders(said: dict[str, Any]) -> tuple[str, tuple[int, ...]]:
    """A run's orders as ImageTraining names them.

    The base orders are moved first, as the arguments say, then each becomes eight variants, or some of them, if they
    are randomised; all of them in a row are what masks are chosen from by number. Raises ValueError for a number that
    there is not, and where two arguments choose.
    """
    names = said["order"] if isinstance(said["order"], (list, tuple)) else [said["order"]]
    moves = (said.get(f"base_order_{move}", False) for move in ("reflect_rows", "reflect_cols", "transpose"))
    base = sum(2**bit for bit, move in enumerate(moves) if move)
    some, masks = said.get("order_variants") or range(VARIANTS), said.get("train_masks")
    if masks and said.get("order_variants"):
        raise ValueError("train_masks and order_variants, one of which would choose among the other's")
    variants = [int(variant) for variant in some] if said.get("randomize_order") else [0]
    every = [(_ORDERS.get(str(name), str(name)), _then(base, variant)) for name in names for variant in variants]
    chosen = [int(index) for index in masks or range(len(every))]
    for number, count in [(index, len(every)) for index in chosen] + [(variant, VARIANTS) for variant in variants]:
        if not 0 <= number < count:
            raise ValueError(f"{number} is none of {count} orders")
    found = [every[index] for index in chosen]
    bases, numbers = (tuple(dict.fromkeys(part)) for part in zip(*found))
    if found == [(name, number) for name in bases for number in numbers]:
        return ",".join(bases), numbers
    return ",".join(f"{name}:{number}" for name, number in found), numbers


def _then(first: int, second: int) -> int:
    """The variant of a square that is one variant after another: each transposes (4), then flips rows (1), columns
    (2)."""
    flips = first & 3
    if second & TRANSPOSED:
        flips = (flips & 1) << 1 | flips >> 1
    return (flips ^ second & 3) | (first ^ second) & TRANSPOSED


def _likes(config: ImageConfig) -> tuple[int, bool, int]:
    return config.channels, config.binary, config.bits


def published_name(name: str) -> str:
    """The published name of a tensor in `PixelCnn.state_dict()`."""
    for ours, theirs in _NAMES:
        name = re.sub(ours, theirs, name)
    return name


def _translate(tensors: dict[str, Tensor], config: PixelCnnConfig) -> dict[str, Tensor]:
    with torch.device("meta"):  # shapes without memory
        expected = PixelCnn(config).state_dict()
    theirs = {published_name(name): name for name in expected}
    found = theirs.keys() & tensors.keys()
    faults = {
        "missing": theirs.keys() - found,
        "extra": tensors.keys() - found,
        "misshapen": [
            f"{name} {list(tensors[name].shape)} for {list(expected[theirs[name]].shape)}"
            for name in found
            if tensors[name].shape != expected[theirs[name]].shape
        ],
    }
    if any(faults.values()):
        raise PublishedError("; ".join(f"{kind}: {_some(names)}" for kind, names in faults.items() if names))
    return {theirs[name]: tensors[name].float().clone() for name in theirs}


def _read(path: str | Path) -> dict[str, Any]:
    if not Path(path).exists():
        raise FileNotFoundError(f"no checkpoint {path}")
    try:
        with torch.serialization.safe_globals([argparse.Namespace, *_NUMBERS]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL (\S+)", str(error))
        reason = f"it asks for {found[1]}" if found else "its pickle is broken or not a plain one"
        raise PublishedError(f"{path} was refused, nothing in it was run: {reason}") from error
    except (RuntimeError, EOFError, OSError, ValueError, TypeError, LookupError, AttributeError) as error:
        reason = f"{type(error).__name__} {error}".splitlines()[0]
        raise PublishedError(f"{path} is not a file that torch.load can read: {reason}") from error
    if not isinstance(content, dict):
        raise PublishedError(f"{path} is not a published checkpoint: it holds {type(content).__name__}")
    return content


def _is_real(name: Any, tensor: Any) -> bool:
    return isinstance(name, str) and isinstance(tensor, Tensor) and tensor.is_floating_point()


def _shape(tensors: dict[str, Tensor], *names: str, dimensions: int) -> torch.Size:
    for name in names:
        if name in tensors:
            shape = tensors[name].shape
            if len(shape) != dimensions:
                raise PublishedError(f"{name} has shape {list(shape)}, not {dimensions} dimensions")
            return shape
    raise PublishedError(f"missing: {names[0]}")


def _some(names: Any, most: int = 5) -> str:
    names = sorted(map(str, names))
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
