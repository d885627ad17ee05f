"""Trains the family's small networks for the same core minutes each, and prints the literature's table beside ours.

    python tools/family_table.py mnist.npz OUT [--minutes 15] [--models nade,made] [--images 10000] [--json]

Binary MNIST, drawn anew for each batch, tested by one draw (seed 0). A network's steps are those that one core takes in
the minutes, found by trying for some seconds; rates fall along a cosine. OUT/NAME is the run of a network, which goes
on where it was stopped, OUT/NAME.json its line of the table, OUT/samples_NAME.png a sheet, OUT/curves.png nats against
core minutes. Time nothing else beside it.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch import nn  # noqa: E402

from lmconv import orders  # noqa: E402
from lmconv.checkpoints import checkpoint as checkpoints  # noqa: E402
from lmconv.checkpoints.checkpoint import Checkpoint  # noqa: E402
from lmconv.config import PRESETS, ImageTraining, Machine, Preset, fixed, image_training  # noqa: E402
from lmconv.data import datasets  # noqa: E402
from lmconv.evaluation import likelihoods  # noqa: E402
from lmconv.family.settings import FAMILY  # noqa: E402
from lmconv.sampling import sampler, sheet  # noqa: E402
from lmconv.training import plots  # noqa: E402
from lmconv.training.run import train  # noqa: E402
from lmconv.training.tasks import ImageTask  # noqa: E402
from lmconv.training.trainer import Trainer  # noqa: E402

CPU = torch.device("cpu")
TRY = 8.0  # seconds in which the speed of a network is found
OURS = "tiny_mnist_binary"

# Nats of binary MNIST's test images, and which table they are from.
PUBLISHED = {
    "nade": (88.33, "NADE, 500 hidden units"),
    "eonade": (85.10, "EoNADE, 2 layers, 128 orderings (EoNADE-5: 84.68)"),
    "convnade": (85.25, "ConvNADE"),
    "made": (88.40, "MADE, 1 layer, 1 mask"),
    "made_8": (86.64, "MADE, 2 layers, 32 masks"),
    "masked_pixelcnn": (81.30, "PixelCNN"),
    "row_lstm": (80.54, "Row LSTM"),
    "diagonal_bilstm": (79.20, "Diagonal BiLSTM, 7 layers (1 layer: 80.75)"),
    OURS: (77.56, "LMConv, 46 million parameters, 8 orders"),
}
UNBUILT = {"DARN": 84.13}
SLOW = {"convnade": 200}  # networks whose likelihoods take whole passes for each pixel: how many test images
ENSEMBLE = {"eonade": 8, "convnade": 1}  # orders that are averaged, where not all that were trained on


@dataclass(frozen=True)
class Row:
    """A network's line. nats: by the first order; ensemble: by `orders` orders, averaged."""

    name: str
    parameters: int
    steps: int
    minutes: float
    images: int
    nats: float
    orders: int
    ensemble: float
    draws: int
    seconds: float
    published: float | None
    of: str


def presets() -> dict[str, Preset]:
    """What is trained: those for images, MADE by eight orders, and the paper's network."""
    found = {name: preset for name, preset in FAMILY.items() if preset.network.binary and preset.height == 28}
    eight = replace(found["made"], order=",".join(f"random={seed}" for seed in range(8)))
    return found | {"made_8": eight, OURS: PRESETS[OURS]}


def training(preset: Preset, holdout: int) -> ImageTraining:
    """Alike for all but for batch and rate, which are the preset's."""
    usual = image_training(preset)
    return replace(usual, schedule="cosine", warmup=100, ema=0.999, holdout=holdout, seed=0, optimiser="adam")


def steps_in(task: ImageTask, minutes: float) -> int:
    """How many steps a core takes, by the time that the processor counts for the process, which has one thread."""
    trainer = Trainer(task, machine())
    trainer.train_step(trainer.batches(0))
    began = time.process_time()
    while time.process_time() - began < min(TRY, 30 * minutes):
        trainer.train_step(trainer.batches(trainer.step))
    return max(2, math.ceil((trainer.step - 1) / (time.process_time() - began) * 60 * minutes))


def trained(
    out: Path, config: ImageTraining, minutes: float, task_of: Callable[[ImageTraining], ImageTask]
) -> Checkpoint:
    """Trains for the minutes what a task of the config trains, or goes on with the run in `out`."""
    known = out / "last.safetensors"
    if known.exists():
        steps = int(checkpoints.load(known).training["steps"])
    else:
        steps = steps_in(task_of(config), minutes)
    config = replace(config, steps=steps, evaluate_every=max(1, steps // 12))
    return checkpoints.load(train(task_of(config), out, machine(progress=True), resume="auto"))


def measure(name: str, preset: Preset, data: str, out: Path, minutes: float, count: int) -> Row:
    """Trains or goes on, then tests, draws and times."""
    network = preset.network
    images = datasets.load(data, "train", datasets.grid(network), (preset.height, preset.width))
    config = training(preset, min(1000, len(images) // 5))
    state = trained(out / name, config, minutes, lambda config: ImageTask(images, config, network, CPU))
    test = datasets.load(data, "test", datasets.grid(network), (preset.height, preset.width))
    test = test.first(min(count, SLOW.get(name, count)))
    net, specs = state.net(), list(map(fixed, config.orders))[: ENSEMBLE.get(name)]
    nats = likelihoods.joint(net, network, test.levels, specs, CPU, batch=250)
    drawn, seconds, draws = sampled(net, specs[0], preset, 16)
    sheet.write(out / f"samples_{name}.png", sheet.sheet(sheet.tiles(drawn, network.bits), columns=4))
    published, of = PUBLISHED.get(name, (None, ""))
    return Row(
        name,
        sum(parameter.numel() for parameter in net.parameters()),
        state.step,
        minutes,
        len(test),
        float(nats[0].mean()),
        len(specs),
        float(likelihoods.ensemble(nats).mean()),
        draws,
        seconds,
        published,
        of,
    )


def sampled(net: nn.Module, order: str, preset: Preset, count: int) -> tuple[np.ndarray, float, int]:
    """So many images, the seconds for all of them, and how many calls of the network these take."""
    rank, began = orders.make(order, preset.height, preset.width), time.monotonic()
    images = sampler.sample(net, rank, count)
    seconds = time.monotonic() - began
    return images, seconds, sampler.drawer_of(net, rank, np.ones(rank.shape, bool)).steps


def table(rows: list[Row]) -> str:
    """As Markdown."""
    lines = [
        "| network | parameters | core minutes | nats, one order | averaged (orders) | calls, seconds | published |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    for row in rows:
        subset = "" if row.images == 10_000 else f" ({row.images} images)"
        average = f"{row.ensemble:.2f} ({row.orders})" if row.orders > 1 else ""
        told = f"{row.published:.2f}, {row.of}" if row.published else ""
        lines.append(
            f"| `{row.name}` | {row.parameters:,} | {row.minutes:g} | {row.nats:.2f}{subset} | {average} "
            f"| {row.draws}, {row.seconds:.1f} | {told} |"
        )
    lines += [f"| ({name}) | | | | | | {nats:.2f} |" for name, nats in UNBUILT.items()]
    return "\n".join(lines)


def curves(out: Path, rows: list[Row]) -> list[plots.Curves]:
    """What was held out, by core minutes."""
    found = []
    for row in rows:
        curve = checkpoints.load(out / row.name / "last.safetensors").curve
        found.append(
            plots.Curves(row.name, "nats", [[step * row.minutes / row.steps, nats] for step, nats in curve], [])
        )
    return found


def machine(progress: bool = False) -> Machine:
    """One core."""
    return Machine(device="cpu", precision="fp32", threads=1, progress=progress)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="mnist.npz")
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--models", help="some of them, between commas")
    parser.add_argument("--images", type=int, default=10_000, help="of the test set")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    known = presets()
    names = arguments.models.split(",") if arguments.models else list(known)
    if wrong := [name for name in names if name not in known]:
        parser.error(f"there is no network {wrong[0]}: known are {', '.join(known)}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    rows = []
    for name in names:
        line = arguments.out / f"{name}.json"
        if not line.exists():
            row = measure(name, known[name], arguments.data, arguments.out, arguments.minutes, arguments.images)
            line.write_text(json.dumps(asdict(row)))
        rows.append(Row(**json.loads(line.read_text())))
    plots.draw(curves(arguments.out, rows), arguments.out / "curves.png")
    print(json.dumps([asdict(row) for row in rows], indent=2) if arguments.json else table(rows))


if __name__ == "__main__":
    main()
