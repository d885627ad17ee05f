"""Checkpoint -> one file of a float format, for one order at one size, tried against PyTorch before it is written."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from export.errors import ExportError
from export.floats.baked import Precision, bake
from export.floats.formats import FORMATS, Arrays, Run
from export.metadata import metadata
from lmconv import orders
from lmconv.checkpoints.checkpoint import Checkpoint
from lmconv.checkpoints.trained import trained
from lmconv.config import PhotoConfig, PhotoTraining, PixelCnnConfig
from lmconv.data import datasets
from lmconv.networks import kinds
from lmconv.networks.distributions import centred
from lmconv.networks.kinds import Network
from runtime.files import whole
from runtime.least_squares import UNIT, predict_picture

TOLERANCE = {"fp32": 1e-4, "fp16": 2e-2}  # of a parameter, as a part of the largest one or of 1
BATCHES = (1, 3)
HIGHEST_BASE = 255 * UNIT


@dataclass(frozen=True)
class Parity:
    """The largest difference from PyTorch's network in one batch, as a part of its largest parameter or of 1."""

    inputs: str
    batch: int
    difference: float


@dataclass(frozen=True)
class FloatReport:
    """What was written, and how near to PyTorch its results are."""

    format: str
    precision: str
    order: str
    size: str
    model_id: str
    bytes: int
    tolerance: float
    parity: tuple[Parity, ...]


def export_float(
    checkpoint: Checkpoint,
    path: Path,
    format: str = "onnx",
    order: str | None = None,
    size: tuple[int, int] | None = None,
    precision: Precision = "fp32",
    pictures: np.ndarray | None = None,
    name: str | None = None,
    card: dict | None = None,
) -> FloatReport:
    """Writes a file of a format, "onnx", "torchscript" or "pt2", whole or not at all.

    By default for the first order and the (height, width) that the checkpoint was trained on. The file is run on
    random inputs, in batches of 1 and 3, and on `pictures`, uint8 [N, C, height, width] of the network's levels, if
    there are any. Raises ExportError where it differs from PyTorch's network or a package is missing, OrderError.
    """
    order, size = target(checkpoint, order, size)
    rank = orders.make(order, *size)
    about = metadata(checkpoint, order, rank, precision, name or Path(path).stem, card or {})
    tries = [(f"random {batch}", random_inputs(checkpoint.network, size, batch)) for batch in BATCHES]
    if pictures is not None:
        tries.append(("pictures", picture_inputs(checkpoint.network, size, pictures)))
    expected = [reference(checkpoint, rank, inputs) for _, inputs in tries]
    example = random_inputs(checkpoint.network, size, 2)
    data = FORMATS[format].write(bake(checkpoint, rank, precision), example, about)
    parity = prove(FORMATS[format].open(data), tries, expected, TOLERANCE[precision])
    with whole(path) as file:
        file.write(data)
    return FloatReport(
        format, precision, about["order"], about["size"], about["model_id"], len(data), TOLERANCE[precision], parity
    )


def target(checkpoint: Checkpoint, order: str | None, size: tuple[int, int] | None) -> tuple[str, tuple[int, int]]:
    """The order and the size of an export, what is not asked for as in the training. Raises ExportError.

    The photo network has one order, as pictures are turned for it, and the size is that of its training's crops.
    """
    network, training = checkpoint.network, checkpoint.training
    known = trained(network, training)
    alone, usual = None, (known.height, known.width)
    if isinstance(network, PhotoConfig):
        alone, usual = "wavefront", (training.get("crop", PhotoTraining.crop),) * 2
    elif kinds.sort(network).estimated or kinds.sort(network).from_noise is not None:
        raise ExportError(f"a {kinds.kind(network)} network has no pass that gives every pixel its parameters")
    elif network.raster_only:
        alone = "raster"
    order = order or known.orders[0]
    if alone and orders.parse_variant(order) != (alone, 0):
        sort = "two-stream" if isinstance(network, PixelCnnConfig) else kinds.kind(network)
        raise ExportError(f"a {sort} network knows the order {alone} alone, not {order}")
    return order, size or usual


def random_inputs(network: Network, size: tuple[int, int], batch: int) -> Arrays:
    """What the exported network takes, uniform over all that it may be given."""
    rng = np.random.default_rng(batch)
    if isinstance(network, PhotoConfig):
        shape = (batch, 3, *size)
        pixels, bases = rng.integers(256, size=shape), rng.integers(HIGHEST_BASE + 1, size=shape)
        return torch.from_numpy(pixels.astype(np.uint8)), torch.from_numpy(bases.astype(np.int16))
    levels = rng.integers(2**network.bits, size=(batch, network.channels, *size))
    planes = rng.integers(256, size=(batch, network.given, *size))
    inputs = (levels, planes) if network.given else (levels,)
    return tuple(torch.from_numpy(array.astype(np.uint8)) for array in inputs)


def picture_inputs(network: Network, size: tuple[int, int], pictures: np.ndarray) -> Arrays:
    """What the exported network takes, of pictures uint8 [N, C, H, W]. Raises ExportError for others than it is for."""
    channels, bits = (3, 8) if isinstance(network, PhotoConfig) else (network.channels, network.bits)
    if pictures.dtype != np.uint8 or pictures.shape[1:] != (channels, *size) or not len(pictures):
        raise ExportError(
            f"pictures for this export are uint8 [N, {channels}, {size[0]}, {size[1]}], "
            f"not {pictures.dtype} {list(pictures.shape)}"
        )
    if pictures.max() >= 2**bits:
        raise ExportError(f"pictures for this export have levels 0 to {2**bits - 1}, not {pictures.max()}")
    levels = torch.from_numpy(np.ascontiguousarray(pictures))
    if not isinstance(network, PhotoConfig):
        return (levels, *random_inputs(network, size, len(levels))[1:])
    return levels, torch.from_numpy(np.stack(list(map(predict_picture, pictures))))


def read_pictures(network: Network, source: Path, size: tuple[int, int], count: int = 3) -> np.ndarray:
    """The first pictures of a data set (datasets.load) as `export_float` takes them. Raises DataError."""
    levels = (
        datasets.Grid(3) if isinstance(network, PhotoConfig) else replace(datasets.grid(network), planes=0, classes=0)
    )
    return datasets.load(source, "test", levels, size).first(count).levels


@torch.no_grad()
def reference(checkpoint: Checkpoint, rank: np.ndarray, inputs: Arrays) -> np.ndarray:
    """The parameters that PyTorch's own network gives, with masks for the rank map [H, W]."""
    net, network = checkpoint.net(), checkpoint.network
    if isinstance(network, PhotoConfig):
        return net(*inputs).numpy()
    levels, *planes = inputs
    x = centred(levels, network.bits)
    return (net(x, kinds.view(network, rank).beside(planes[0] if planes else None))).numpy()


def prove(
    run: Run, tries: list[tuple[str, Arrays]], expected: list[np.ndarray], tolerance: float
) -> tuple[Parity, ...]:
    """Runs an export on all inputs. Raises ExportError where it differs by more than the tolerance."""
    found = []
    for (name, inputs), wanted in zip(tries, expected):
        given = run(inputs)
        if given.shape != wanted.shape:
            raise ExportError(f"on {name} the export gives {list(given.shape)}, PyTorch {list(wanted.shape)}")
        difference = float(np.abs(given - wanted).max() / max(1.0, np.abs(wanted).max()))
        if not difference <= tolerance:
            raise ExportError(
                f"on {name} the export differs from PyTorch by {difference:.2g} of the largest "
                f"parameter, over {tolerance:.0e}; nothing was written"
            )
        found.append(Parity(name, len(wanted), difference))
    return tuple(found)


def describe(report: FloatReport) -> str:
    """The report as text."""
    lines = [f"{report.format}, {report.precision}: order {report.order}, {report.size}, {report.bytes} bytes"]
    lines += [
        f"{each.inputs:<10} differs from PyTorch by {each.difference:.1e} of the largest parameter"
        for each in report.parity
    ]
    return "\n".join([*lines, f"model id {report.model_id}"])
