"""Files of small images by a bundle of the paper's network: each order, the best of them, and what likelihoods say.

    python tools/bench_orders.py BUNDLE CHECKPOINT DATA [--images 200] [--json FILE]

BUNDLE is of CHECKPOINT, DATA a data set of its size, of which the first images of the test split are coded, decoded and
compared. Bits per dimension of the files, of the exact model and of the float network, and of likelihoods averaged over
the orders, the paper's ensemble.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from bench_report import Machine, this_machine

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np  # noqa: E402
import torch  # noqa: E402
from tqdm import tqdm  # noqa: E402

import runtime  # noqa: E402
from codec import compress, decompress  # noqa: E402
from codec.images.samples import Samples  # noqa: E402
from lmconv import orders  # noqa: E402
from lmconv.checkpoints import checkpoint  # noqa: E402
from lmconv.data import datasets  # noqa: E402
from lmconv.networks import kinds  # noqa: E402
from lmconv.networks.pixelcnn import order_masks  # noqa: E402


@dataclass(frozen=True)
class Report:
    """Bits of each image, [orders][images], and bytes of its files; `auto` are the bytes of the best [images]."""

    names: tuple[str, ...]
    dimensions: int
    files: list[list[int]]
    exact: list[list[float]]
    floats: list[list[float]]
    auto: list[int]
    machine: Machine


def measure(model: runtime.Model, source: checkpoint.Checkpoint, levels: np.ndarray) -> Report:
    """levels uint8 [N, C, H, W] of the network's grid."""
    names, pixels = model.layout.orders, levels * np.uint8(255 if model.layout.binary else 1)
    images = [Samples.of(np.ascontiguousarray(each.transpose(1, 2, 0))) for each in pixels]
    coded, auto = [[] for _ in names], []
    for image in tqdm(images, unit="image"):
        for order, row in zip(names, coded):
            row.append(compress(image, model, order=order))
        best = compress(image, model)
        assert not image.difference(decompress(best.data, model))
        auto.append(len(best.data))
    return Report(
        names,
        levels[0].size,
        [[len(each.data) for each in row] for row in coded],
        [[each.nll_bits for each in row] for row in coded],
        _floats(source, names, levels).tolist(),
        auto,
        this_machine(model.threads),
    )


@torch.no_grad()
def _floats(source: checkpoint.Checkpoint, names: tuple[str, ...], levels: np.ndarray) -> np.ndarray:
    """Bits of each image under the float network, [orders, images]."""
    net, network, found = source.net(), source.network, []
    for name in names:
        masks = order_masks(orders.make(name, *levels.shape[2:]), network)
        parts = [kinds.nll(net, network, part, masks).double() for part in torch.from_numpy(levels).split(16)]
        found.append(torch.cat(parts).flatten(1).sum(1).numpy() / math.log(2))
    return np.array(found)


def ensemble(bits: list[list[float]]) -> float:
    """Mean bits of images whose likelihoods are averaged over the orders."""
    return float(np.mean(math.log2(len(bits)) - np.logaddexp2.reduce(-np.array(bits), 0)))


def markdown(report: Report) -> str:
    dims, auto = report.dimensions, (report.auto, np.min(report.exact, 0), np.min(report.floats, 0))
    lines = [
        "| order | files | exact model | float network | a file's bytes over the exact model |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, files, *bits in [*zip(report.names, report.files, report.exact, report.floats), ("auto", *auto)]:
        means = [float(np.mean(part)) / dims for part in (8 * np.array(files), *bits)]
        over = np.mean(files) - np.mean(bits[0]) / 8
        lines.append(f"| {name} | {' | '.join(f'{mean:.4f}' for mean in means)} | {over:.1f} |")
    exact, floats = ensemble(report.exact), ensemble(report.floats)
    lines.append(f"| averaged over the orders | | {exact / dims:.4f} | {floats / dims:.4f} | |")
    gap = float(np.mean(auto[1])) - exact
    told = f"{len(report.auto)} images of {dims} dimensions, every file of `auto` decoded and compared."
    return "\n".join([*lines, "", f"{told} The best order takes {gap:+.1f} bits an image against the average."])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    source, model = checkpoint.load(arguments.checkpoint), runtime.load(arguments.bundle, threads=1)
    grid, size = datasets.grid(source.network), (model.layout.height, model.layout.width)
    levels = datasets.load(arguments.data, "test", grid, size).first(arguments.images).levels
    report = measure(model, source, levels)
    if arguments.json:
        arguments.json.write_text(json.dumps(asdict(report)))
    print(markdown(report))


if __name__ == "__main__":
    main()
