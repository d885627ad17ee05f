"""Memory and time of a locally masked convolution, forward and backward, beside a plain one and one without masks.

    python tools/bench_layer.py [--shapes 16x160x32x32,8x64x64x64] [--orders raster,hilbert] [--json FILE]

`ours` is lmconv.layers, `plain` the same product left to autograd (unfold, times the mask, times the weight), `conv2d`
a convolution with all taps; 3x3, kind B, as many channels out as in, float32. Memory is the growth of a fresh process's
peak over what it held before, output and gradients included. Times are taken in turns, so that what else the machine
does touches all forms; ratios are medians over the repetitions, with the smallest and largest.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench_report import Machine, this_machine

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from torch import Tensor  # noqa: E402

from lmconv import orders  # noqa: E402
from lmconv.layers import LocallyMaskedConv2d, TorchMask, mask_from_rank  # noqa: E402

FORMS = ("ours", "plain", "conv2d")
Form = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Row:
    """One shape and order: patterns of its mask, megabytes and seconds (of each repetition) of each form."""

    shape: tuple[int, int, int, int]
    order: str
    patterns: int
    megabytes: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def ratios(self, form: str, other: str) -> list[float]:
        return [ours / theirs for ours, theirs in zip(self.seconds[form], self.seconds[other])]


@dataclass(frozen=True)
class Report:
    device: str
    machine: Machine
    rows: list[Row]


def form(name: str, layer: LocallyMaskedConv2d, mask: TorchMask) -> Form:
    """The function [B, C, H, W] -> [B, C, H, W] of one of FORMS."""
    if name == "ours":
        return lambda x: layer(x, mask)
    if name == "conv2d":
        return lambda x: F.conv2d(x, layer.weight, layer.bias, padding=1)
    dense = mask.dense.to(layer.weight)

    def plain(x: Tensor) -> Tensor:
        patches = F.unfold(x, 3, padding=1).unflatten(1, (-1, 9)) * dense  # [B, C, 9, H W]
        out = layer.weight.flatten(1) @ patches.flatten(1, 2) + layer.bias[:, None]
        return out.unflatten(2, x.shape[2:])

    return plain


def case(shape: tuple[int, ...], order: str, device: str) -> tuple[LocallyMaskedConv2d, TorchMask, Tensor, Tensor]:
    """A layer, its mask, its input and the gradient of its output."""
    torch.manual_seed(0)
    layer = LocallyMaskedConv2d(shape[1], shape[1], 3).to(device)
    mask = mask_from_rank(orders.make(order, *shape[2:]), 3, 1, "B").to(device)
    return layer, mask, torch.randn(shape, device=device).requires_grad_(), torch.randn(shape, device=device)


def step(function: Form, x: Tensor, grad: Tensor) -> None:
    function(x).backward(grad)


def peak(device: str) -> float:
    """Megabytes that this process has held at most."""
    if device == "cpu":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
    return torch.cuda.max_memory_allocated() / 1e6


def growth(name: str, shape: tuple[int, ...], order: str, device: str) -> float:
    """What one step adds to the peak of this process, after a step on a small image that loads what is needed."""
    small, small_mask, x, grad = case((1, shape[1], 4, 4), order, device)
    step(form(name, small, small_mask), x, grad)
    layer, mask, x, grad = case(shape, order, device)
    before = peak(device)
    step(form(name, layer, mask), x, grad)
    return peak(device) - before


def growth_alone(name: str, row: Row, given: argparse.Namespace) -> float:
    """`growth` in a process of its own. On Linux its maximum begins at ours: call it before anything large."""
    shape = "x".join(map(str, row.shape))
    command = [
        sys.executable,
        __file__,
        "--growth",
        name,
        "--shapes",
        shape,
        "--orders",
        row.order,
        "--device",
        given.device,
        "--threads",
        str(given.threads),
    ]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def repetition(row: Row, device: str) -> None:
    """Adds one time of every form to a row."""
    layer, mask, x, grad = case(row.shape, row.order, device)
    for name in FORMS:
        function = form(name, layer, mask)
        start = time.perf_counter()
        step(function, x, grad)
        if device != "cpu":
            torch.cuda.synchronize()
        row.seconds.setdefault(name, []).append(time.perf_counter() - start)


def markdown(report: Report) -> str:
    lines = [
        "| shape | order | patterns | MB ours | MB plain | MB conv2d | time ours / conv2d | plain / conv2d |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in report.rows:
        memory = " | ".join(f"{row.megabytes[name]:.0f}" for name in FORMS)
        times = " | ".join(_spread(row.ratios(name, "conv2d")) for name in ("ours", "plain"))
        lines.append(f"| {'x'.join(map(str, row.shape))} | {row.order} | {row.patterns} | {memory} | {times} |")
    machine = report.machine
    return "\n".join(
        [
            *lines,
            "",
            f"{machine.cpu if report.device == 'cpu' else torch.cuda.get_device_name()}, "
            f"{machine.threads} threads, torch {machine.packages['torch']}, {machine.date}, "
            f"{len(report.rows[0].seconds['ours'])} repetitions.",
        ]
    )


def _spread(ratios: list[float]) -> str:
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", default="16x160x32x32,8x64x64x64", help="default: %(default)s")
    parser.add_argument("--orders", default="raster,wavefront,s_curve,hilbert", help="default: %(default)s")
    parser.add_argument("--repeat", type=int, default=7, help="default: %(default)s")
    parser.add_argument("--threads", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--device", default="cpu", help="default: %(default)s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every measurement there")
    parser.add_argument("--growth", choices=FORMS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.shapes = [tuple(map(int, shape.split("x"))) for shape in given.shapes.split(",")]
    given.orders = given.orders.split(",")
    return given


def main() -> None:
    given = arguments()
    torch.set_num_threads(given.threads)
    if given.growth:
        print(growth(given.growth, given.shapes[0], given.orders[0], given.device))
        return
    rows = []
    for shape in given.shapes:
        for order in given.orders:
            rows.append(Row(shape, order, len(mask_from_rank(orders.make(order, *shape[2:]), 3, 1, "B").boxes)))
            rows[-1].megabytes.update({name: growth_alone(name, rows[-1], given) for name in FORMS})
        print(f"memory of {'x'.join(map(str, shape))}", file=sys.stderr)
    for turn in range(given.repeat + 1):
        for row in rows:
            repetition(row, given.device)
            if turn == 0:  # a warm-up
                row.seconds.clear()
        print(f"repetition {turn} of {given.repeat}", file=sys.stderr)
    report = Report(given.device, this_machine(given.threads), rows)
    if given.json:
        given.json.write_text(json.dumps(asdict(report), indent=1) + "\n")
    print(markdown(report))


if __name__ == "__main__":
    main()
