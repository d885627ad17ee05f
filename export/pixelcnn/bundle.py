"""The paper's network in exact integers: one bundle of any number of orders on one copy of the weights."""

from pathlib import Path

import numpy as np
import torch

from export.errors import ExportError
from export.exact.contents import Exact
from export.exact.reports import LayerReport
from export.metadata import shown
from export.pixelcnn.graph import step_graph_pixelcnn
from export.pixelcnn.network import IntegerPixelCnn
from export.pixelcnn.pytorch import IntegerPixelCnnNet, bits_per_dim
from export.pixelcnn.quantise import quantise_pixelcnn
from lmconv import orders as rank_maps
from lmconv.checkpoints.checkpoint import Checkpoint
from lmconv.checkpoints.trained import trained
from lmconv.config import PixelCnnConfig
from lmconv.data import datasets
from lmconv.networks import kinds
from runtime.model import Model
from runtime.network import PRODUCTS
from runtime.pixelcnn import INSIDE, PixelCnnLayout, PixelCnnModel
from runtime.schedule import all_at_once

_PROBE_SIDE = 8  # of the picture that a probe is a step of


def exact_pixelcnn(
    checkpoint: Checkpoint, levels: np.ndarray, orders: tuple[str, ...], size: tuple[int, int] | None
) -> Exact:
    """levels uint8 [N, C, H, W] of the network's grid: half calibrates, half measures, shared out among the orders.

    Raises QuantisationError, ExportError for images that do not fit, OrderError.
    """
    orders, (height, width) = bundle_target(checkpoint, orders, size)
    net, config = checkpoint.net(), _config(checkpoint)
    if levels.dtype != np.uint8 or levels.shape[1:] != (config.channels, height, width) or len(levels) < 2:
        wanted = f"2 or more of uint8 [{config.channels}, {height}, {width}]"
        raise ExportError(f"images for this export are {wanted}, not {levels.dtype} {list(levels.shape)}")
    ranks, half = [rank_maps.make(order, height, width).astype(np.int32) for order in orders], len(levels) // 2
    network = quantise_pixelcnn(net, ranks, levels[:half])
    float_bits, integer_bits = _bits(net, network, ranks, levels[half:])
    layout = _layout(config, tuple(map(shown, orders)), height, width)
    layers = network.layers()
    return Exact(
        layout=layout,
        weights=network.tensors(),
        tables={f"rank.{i}": rank for i, rank in enumerate(ranks)} | _probe(network, layout, ranks[0]),
        graphs={kind: step_graph_pixelcnn(network, kind) for kind in PRODUCTS},
        parameters=sum(layer.weight.size + layer.bias.size for layer in layers),
        layers=list(map(LayerReport.of, layers)),
        float_bits=float_bits,
        integer_bits=integer_bits,
        prove=lambda model: _prove(model, network, ranks, levels[-1:]),
    )


def bundle_target(
    checkpoint: Checkpoint, orders: tuple[str, ...], size: tuple[int, int] | None
) -> tuple[tuple[str, ...], tuple[int, int]]:
    """The orders and the (height, width) of a bundle, what is not asked for as in the training."""
    known = trained(checkpoint.network, checkpoint.training)
    return tuple(dict.fromkeys(orders or known.orders)), size or (known.height, known.width)


def read_levels(checkpoint: Checkpoint, source: Path, size: tuple[int, int] | None, count: int) -> np.ndarray:
    """Images for `exact_pixelcnn`: half from the training split, half from the test split. Raises DataError."""
    grid, size = datasets.grid(_config(checkpoint)), bundle_target(checkpoint, (), size)[1]
    train, test = (datasets.load(source, split, grid, size) for split in datasets.SPLITS)
    if train.split == datasets.ALL:
        return train.first(count).levels
    return np.concatenate([train.first(count // 2).levels, test.first(count - count // 2).levels])


def _config(checkpoint: Checkpoint) -> PixelCnnConfig:
    assert isinstance(checkpoint.network, PixelCnnConfig)
    return checkpoint.network


def _layout(config: PixelCnnConfig, orders: tuple[str, ...], height: int, width: int) -> PixelCnnLayout:
    return PixelCnnLayout(
        orders=orders,
        height=height,
        width=width,
        channels=config.channels,
        binary=config.binary,
        components=config.components,
        kernel=config.kernel,
        dilation=config.dilation,
        resnets=config.resnets,
        norm=config.norm,
        mask_weight=config.mask_weight,
    )


def _bits(
    net: kinds.Forward, network: IntegerPixelCnn, ranks: list[np.ndarray], levels: np.ndarray
) -> tuple[float, float]:
    """bits_per_dim of images that are shared out among the orders."""
    parts = [(rank, levels[i :: len(ranks)]) for i, rank in enumerate(ranks) if i < len(levels)]
    totals = [np.multiply(bits_per_dim(net, network, [rank], part), len(part)) for rank, part in parts]
    float_bits, integer_bits = sum(totals, np.zeros(2)) / len(levels)
    return float(float_bits), float(integer_bits)


def _prove(model: Model, network: IntegerPixelCnn, ranks: list[np.ndarray], levels: np.ndarray) -> None:
    """The bundle must give PyTorch's integers on an image, in every order at once and in the first level by level."""
    assert isinstance(model, PixelCnnModel)
    codes = _codes(network, levels)
    for number, (order, rank) in enumerate(zip(model.layout.orders, ranks)):
        expected = IntegerPixelCnnNet(network, rank)(torch.from_numpy(levels)).numpy()
        ways = {"at once": model.parameters(codes, number)}
        if number == 0:
            ways["level by level"] = model.parameters_by_levels(codes, number)
        for way, found in ways.items():
            if not np.array_equal(found, expected):
                wrong = int((found != expected).sum())
                raise ExportError(f"{wrong} parameters of order {order} {way} differ from PyTorch's")


def _codes(network: IntegerPixelCnn, levels: np.ndarray) -> np.ndarray:
    """What the runtime takes for levels: bits are 0 or 255."""
    return levels * np.uint8(255) if network.config.binary else levels


def _probe(network: IntegerPixelCnn, layout: PixelCnnLayout, rank: np.ndarray) -> dict[str, np.ndarray]:
    """A step of all positions of a noisy picture, a third of it black or white; PyTorch's integers in float64."""
    rank, rng = rank[:_PROBE_SIDE, :_PROBE_SIDE], np.random.default_rng(0)
    top, shape = (1 if layout.binary else 255), (layout.channels, *rank.shape)
    noise, ends = rng.integers(0, top + 1, shape), rng.integers(0, 2, shape) * top
    levels = np.where(rng.random(shape) < 1 / 3, ends, noise).astype(np.uint8)
    parameters = IntegerPixelCnnNet(network, rank, torch.float64)(torch.from_numpy(levels)[None])[0].numpy()
    whole = all_at_once(rank, layout.features, layout.offsets)
    known = np.zeros((whole.slots, layout.channels + 1), np.uint8)
    pixels = _codes(network, levels).reshape(len(levels), -1).T[whole.positions]
    known[whole.slot] = np.column_stack([pixels, np.full(len(pixels), INSIDE, np.uint8)])
    near = whole.taps[:, layout.near]
    feed = {"inputs": known[near].reshape(len(near), -1), "slots": whole.slot[:, None]}
    feed |= {name: whole.taps[:, columns] for name, columns in layout.sorts.items()}
    feed |= {f"cache_{i}": np.tile(row, (whole.slots, 1)) for i, row in enumerate(network.padding())}
    feed["parameters"] = parameters.reshape(len(parameters), -1).T[whole.positions]
    return {f"probe.{name}": array for name, array in feed.items()}
