"""What tools/bench_codec.py measured: kept as JSON, shown as the markdown tables of README.

    python tools/bench_report.py FILE.json

bpsp is 8 x bytes / subpixels; seconds are wall clock, array to bytes and back.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("numpy", "numba", "constriction", "onnxruntime", "onnxruntime-gpu", "pillow", "pillow-jxl-plugin", "torch")
OURS = "lmconv"


@dataclass(frozen=True)
class Row:
    """One image through one codec; nll_bits is the model's own likelihood, None for the peers."""

    codec: str
    image: str
    width: int
    height: int
    subpixels: int
    bytes: int
    bpsp: float
    encode_seconds: float
    decode_seconds: float
    nll_bits: float | None = None


@dataclass(frozen=True)
class Peak:
    """Largest resident memory of a process that codes one image and does nothing else."""

    image: str
    direction: str
    megabytes: float


@dataclass(frozen=True)
class Used:
    """A model that was used."""

    name: str
    model_id: str
    parameters: int


@dataclass(frozen=True)
class Machine:
    cpu: str
    cores: int
    threads: int
    system: str
    python: str
    packages: dict[str, str]
    date: str


@dataclass(frozen=True)
class Report:
    """models: by effort. sizes: the rows of --sizes; data_sha256: of all names and bytes of the images, by name."""

    folder: str
    data_sha256: str
    models: dict[str, Used]
    machine: Machine
    help_seconds: float
    peaks: list[Peak]
    rows: list[Row]
    sizes: list[Row]

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")


def read(path: Path) -> Report:
    fields = json.loads(path.read_text())
    fields["machine"] = Machine(**fields["machine"])
    for name, kind in (("peaks", Peak), ("rows", Row), ("sizes", Row)):
        fields[name] = [kind(**row) for row in fields[name]]
    fields["models"] = {effort: Used(**used) for effort, used in fields["models"].items()}
    return Report(**fields)


def this_machine(threads: int) -> Machine:
    """threads 0 means all cores."""
    packages = {}
    for name in PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    cores = os.cpu_count() or 1
    return Machine(
        cpu=names[0] if names else platform.machine(),
        cores=cores,
        threads=threads or cores,
        system=platform.system(),
        python=platform.python_version(),
        packages=packages,
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
    )


def markdown(report: Report) -> str:
    """All tables, and below them what was measured once."""
    tables = [total_table(report.rows), image_table(report.rows)]
    if report.sizes:
        tables.append(size_table(report.sizes))
    used = ", ".join(f"{effort} {used.name} {used.model_id[:12]}" for effort, used in report.models.items())
    machine, peaks = report.machine, ", ".join(f"{peak.direction} {peak.megabytes:.0f} MB" for peak in report.peaks)
    return "\n\n".join(
        [
            *tables,
            "\n".join(
                [
                    f"Peak memory of one process ({report.peaks[0].image}): {peaks}. "
                    f"`lmconv-codec --help`: {report.help_seconds:.2f} s.",
                    excess_line(report.rows),
                    f"Every image decoded and compared. {machine.cpu}, {machine.threads} threads, "
                    f"Python {machine.python}, {machine.date}; images {report.data_sha256[:12]}; models: {used}.",
                ]
            ),
        ]
    )


@dataclass(frozen=True)
class Total:
    """One codec over all images; seconds are means per image."""

    codec: str
    bytes: int
    bpsp: float
    encode_seconds: float
    decode_seconds: float


def totals(rows: list[Row]) -> list[Total]:
    """Every codec's, in the order of their first rows."""
    found = []
    for name in dict.fromkeys(row.codec for row in rows):
        of = [row for row in rows if row.codec == name]
        size, subpixels = sum(row.bytes for row in of), sum(row.subpixels for row in of)
        encode, decode = (statistics.mean(times) for times in zip(*((r.encode_seconds, r.decode_seconds) for r in of)))
        found.append(Total(name, size, 8 * size / subpixels, encode, decode))
    return found


def total_table(rows: list[Row]) -> str:
    lines = ["| codec | bytes | bpsp | lmconv's files | encode s | decode s |", "|---|---:|---:|---:|---:|---:|"]
    ours = sum(row.bytes for row in rows if row.codec == OURS)
    for total in totals(rows):
        change = "" if total.codec == OURS else f"{100 * (ours / total.bytes - 1):+.1f} %"
        lines.append(
            f"| {total.codec} | {total.bytes} | {total.bpsp:.3f} | {change} | {total.encode_seconds:.2f} | "
            f"{total.decode_seconds:.2f} |"
        )
    return "\n".join(lines)


def image_table(rows: list[Row]) -> str:
    """bpsp of every image by every codec, and the seconds of ours."""
    names = list(dict.fromkeys(row.codec for row in rows))
    lines = [
        f"| bpsp of | size | {' | '.join(names)} | encode s | decode s |",
        "|---|---" + "|---:" * (len(names) + 2) + "|",
    ]
    for image in dict.fromkeys(row.image for row in rows):
        of = {row.codec: row for row in rows if row.image == image}
        mine = of[OURS]
        sizes = " | ".join(f"{of[name].bpsp:.3f}" for name in names)
        seconds = f"{mine.encode_seconds:.2f} | {mine.decode_seconds:.2f}"
        lines.append(f"| {image} | {mine.width} x {mine.height} | {sizes} | {seconds} |")
    return "\n".join(lines)


def size_table(rows: list[Row]) -> str:
    lines = [
        "| size | encode s | decode s | encode s / megapixel | decode s / megapixel |",
        "|---|---:|---:|---:|---:|",
    ]
    for row in rows:
        million = row.width * row.height / 1e6
        lines.append(
            f"| {row.width} x {row.height} | {row.encode_seconds:.2f} | {row.decode_seconds:.2f} | "
            f"{row.encode_seconds / million:.2f} | {row.decode_seconds / million:.2f} |"
        )
    return "\n".join(lines)


def excess_line(rows: list[Row]) -> str:
    """How far the files are longer than the likelihood says, against the bound 0.1 % + 256 bits."""
    mine = [row for row in rows if row.nll_bits is not None]
    worst = max(mine, key=lambda row: 8 * row.bytes - 1.001 * row.nll_bits)
    held = 8 * worst.bytes <= 1.001 * worst.nll_bits + 256
    return (
        f"File over likelihood, worst image: {8 * worst.bytes - worst.nll_bits:.0f} bits of {worst.nll_bits:.0f} "
        f"({worst.image}); the bound of 0.1 % + 256 bits is {'held' if held else 'NOT HELD'}."
    )


if __name__ == "__main__":
    print(markdown(read(Path(sys.argv[1]))))
