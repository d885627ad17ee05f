"""How much faster images are drawn level by level than with one whole forward pass for every pixel.

    python tools/bench_sampling.py [--network tiny_cifar10] [--batch 1,16] [--orders raster,s_curve] [--json FILE]

Both samplers of lmconv.sample, with random weights (time does not depend on them). In every repetition all cases are
measured one after another; the incremental sampler draws whole images, tables and all, and of the naive loop a few of
its passes are timed, which all cost the same. Ratios are medians over the repetitions, with the smallest and largest.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from bench_report import Machine, this_machine

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch  # noqa: E402

from lmconv import orders  # noqa: E402
from lmconv.config import PRESETS, preset  # noqa: E402
from lmconv.networks import kinds  # noqa: E402
from lmconv.networks.distributions import distribution  # noqa: E402
from lmconv.sampling import sampler  # noqa: E402


@dataclass(frozen=True)
class Row:
    """One order and batch: `incremental` seconds a batch and `naive` seconds a pass, of each repetition."""

    order: str
    batch: int
    pixels: int
    levels: int
    incremental: list[float]
    naive: list[float]

    def ratios(self, passes: int) -> list[float]:
        """How much longer so many passes take."""
        return [passes * naive / incremental for naive, incremental in zip(self.naive, self.incremental)]


@dataclass(frozen=True)
class Report:
    network: str
    parameters: int
    height: int
    width: int
    device: str
    machine: Machine
    rows: list[Row]


def seconds(function) -> float:
    start = time.perf_counter()
    function()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def repetition(net: torch.nn.Module, row: Row, height: int, width: int, passes: int) -> None:
    """Adds one measurement of both samplers to a row."""
    rank = orders.make(row.order, height, width)
    noise = distribution(net.config).noise(row.batch, height, width, torch.Generator().manual_seed(0))
    images = torch.zeros(row.batch, net.config.channels, height, width, dtype=torch.uint8)
    row.incremental.append(seconds(lambda: sampler.Sampler(net, rank).draw(noise, images)))
    naive = sampler.Naive(net, rank)
    naive.groups = naive.groups[:passes]
    row.naive.append(seconds(lambda: naive.draw(noise, images)) / len(naive.groups))


def markdown(report: Report) -> str:
    lines = [
        f"{report.network}, {report.parameters:,} parameters, {report.height}x{report.width}, {report.device}",
        "",
        "| order | images | levels | a pass for every pixel / ours | a pass for every level / ours |",
        "|---|---:|---:|---:|---:|",
    ]
    for row in report.rows:
        by_pixel, by_level = (_spread(row.ratios(passes)) for passes in (row.pixels, row.levels))
        lines.append(f"| {row.order} | {row.batch} | {row.levels} | {by_pixel} | {by_level} |")
    machine = report.machine
    return "\n".join(
        [
            *lines,
            "",
            f"{machine.cpu}, {machine.threads} threads, torch {machine.packages['torch']}, "
            f"{machine.date}, {len(report.rows[0].naive)} repetitions.",
        ]
    )


def _spread(ratios: list[float]) -> str:
    return f"{statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=PRESETS, default="tiny_cifar10", help="default: %(default)s")
    parser.add_argument("--orders", default="raster,s_curve,wavefront", help="default: %(default)s")
    parser.add_argument("--batch", default="1,16", help="images at a time; default: %(default)s")
    parser.add_argument("--size", type=int, default=32, help="side of the images; default: %(default)s")
    parser.add_argument("--repeat", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--passes", type=int, default=10, help="of the naive loop, to time; default: %(default)s")
    parser.add_argument("--threads", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--device", default="cpu", help="default: %(default)s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every measurement there")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    net = kinds.build(preset(given.network).network).to(given.device).eval()
    rows = []
    for order in given.orders.split(","):
        rank = orders.make(order, given.size, given.size)
        levels = sampler.Sampler(net, rank).steps
        rows += [Row(order, int(batch), rank.size, levels, [], []) for batch in given.batch.split(",")]
    for turn in range(given.repeat + 1):
        for row in rows:
            repetition(net, row, given.size, given.size, given.passes)
            if turn == 0:  # a warm-up
                row.incremental.clear()
                row.naive.clear()
        print(f"repetition {turn} of {given.repeat}", file=sys.stderr)
    report = Report(
        given.network,
        sum(p.numel() for p in net.parameters()),
        given.size,
        given.size,
        given.device,
        this_machine(given.threads),
        rows,
    )
    if given.json:
        given.json.write_text(json.dumps(asdict(report), indent=1) + "\n")
    print(markdown(report))


if __name__ == "__main__":
    main()
