"""Plots what tools/bench_codec.py measured: size against decoding time, and against the network's parameters.

    python tools/plot_rates.py BENCH.json [OTHER_MODEL.json ...] -o docs/rates.png

The peers' points come from the first file. Needs matplotlib (the extra plot).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench_report import OURS, Report, read, totals

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from runtime.files import whole  # noqa: E402


def plot(reports: list[Report], path: Path) -> None:
    """Bits per subpixel against decoding time: each report's efforts as a line, the first one's peers as points."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for point in totals(reports[0].rows):
        if point.codec.startswith(OURS) or point.codec == "png":  # PNG is far above the rest
            continue
        axes.plot(point.decode_seconds, point.bpsp, "s", color="grey")
        axes.annotate(point.codec, (point.decode_seconds, point.bpsp), xytext=(6, 3), textcoords="offset points")
    for report in reports:
        ours = sorted((p for p in totals(report.rows) if p.codec.startswith(OURS)), key=lambda p: p.decode_seconds)
        label = ", ".join(dict.fromkeys(f"{used.name} {used.model_id[:6]}" for used in report.models.values()))
        axes.plot([p.decode_seconds for p in ours], [p.bpsp for p in ours], "o-", label=label)
    first = reports[0]
    axes.set(
        xscale="log",
        xlabel=f"seconds to decode an image ({first.machine.threads} threads)",
        ylabel=f"bits per subpixel, {len({row.image for row in first.rows})} images",
    )
    axes.grid(alpha=0.3)
    axes.legend()
    with whole(path) as file:
        figure.savefig(file, format=path.suffix.lstrip(".") or "png", dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reports", type=Path, nargs="+", metavar="BENCH.json")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    plot([read(path) for path in arguments.reports], arguments.output)


if __name__ == "__main__":
    main()
