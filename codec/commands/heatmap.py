"""lmconv-codec heatmap."""

from dataclasses import dataclass
from pathlib import Path

import click

from codec import files, models
from codec.commands.batch import each, shown
from codec.commands.options import options
from codec.commands.running import read_samples, ready, targets_of
from codec.errors import UnsupportedOutput
from runtime.progress import Progress


@dataclass(frozen=True)
class Heat:
    """A line of `heatmap`; bits and bpsp are those of the grey or colour channels, in all and for each of them.

    stages: see codec.Analysis.
    """

    input: str
    output: str
    width: int
    height: int
    kind: str
    depth: int
    bits: float
    bpsp: float
    channel_bits: tuple[float, ...]
    channel_bpsp: tuple[float, ...]
    stages: dict[str, float]


@click.command()
@options("inputs", "output", "model", "threads", "provider", "max_pixels", "force", "as_json", "quiet")
@options("effort", "order")
def heatmap(
    inputs: tuple[Path, ...],
    output: str | None,
    model: str | None,
    threads: int,
    provider: str,
    max_pixels: int,
    force: bool,
    as_json: bool,
    quiet: bool,
    effort: str,
    order: str,
) -> None:
    """Draw where the bits of pictures go: IN.png becomes IN.heat.png."""
    targets = targets_of(inputs, output, ".heat.png")
    from codec import archive, heatmap
    from codec.compression import analyse
    from codec.images.samples import Samples

    network = ready(models.resolve(model or models.DEFAULTS[effort]), provider, threads, quiet)

    def work(pair: tuple[Path, Path], progress: Progress) -> Heat:
        source, target = pair
        files.check_output(target, force=force)
        if target.suffix.lower() != ".png":
            raise UnsupportedOutput(f"a heat map is a PNG: end {target.name} with .png")
        samples = read_samples(source, max_pixels)
        found = analyse(samples, network, effort=effort, order=order, progress=progress)
        costs = found.costs
        files.write_atomically(target, archive.new_png(Samples.of(heatmap.draw(costs.sum(axis=2)))), force=force)
        channels = costs.sum(axis=(0, 1), dtype=float)
        area = samples.width * samples.height
        return Heat(
            input=str(source),
            output=str(target),
            width=samples.width,
            height=samples.height,
            kind=samples.kind,
            depth=samples.depth,
            bits=float(channels.sum()),
            bpsp=float(channels.mean() / area),
            channel_bits=tuple(channels.tolist()),
            channel_bpsp=tuple((channels / area).tolist()),
            stages=found.stages,
        )

    def line(row: Heat, width: int) -> str:
        names = "RGB" if len(row.channel_bpsp) == 3 else "L"
        channels = "  ".join(f"{name} {bpsp:.3f}" for name, bpsp in zip(names, row.channel_bpsp, strict=True))
        return f"{shown(row.input, width)}  {row.bits:>12.0f} bits  {row.bpsp:6.3f} bpsp  {channels}"

    each(list(zip(inputs, targets, strict=True)), work, line, as_json, name=lambda pair: pair[0], quiet=quiet)
