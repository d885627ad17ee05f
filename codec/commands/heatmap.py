"""lmconv-codec heatmap."""

from dataclasses import dataclass
from pathlib import Path

import click

from codec import files, models
from codec.commands.batch import Task, Telling, shown
from codec.commands.options import Batch, Engine, batch, engine, options, telling
from codec.commands.running import planned, ready
from codec.errors import UnsupportedOutput
from runtime.progress import Progress

_ENDING = ".heat.png"


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
@batch()
@engine("model", "threads", "provider", "max_pixels")
@telling("quiet", "progress")
@options("effort", "order")
def heatmap(batch: Batch, engine: Engine, telling: Telling, effort: str, order: str) -> None:
    """Draw where the bits of pictures go: IN.png becomes IN.heat.png."""
    from codec import archive, heatmap
    from codec.compression import analyse
    from codec.images import ENDINGS
    from codec.images.samples import Samples

    def short(path: Path) -> str:
        return f"{path.stem}{_ENDING}"

    plan = planned(batch, engine, telling, short, ENDINGS, lambda path: f"{path.name}{_ENDING}")
    bundle = models.of_effort(engine.model, effort)
    network = ready(bundle, engine.provider, engine.threads, telling.quiet)

    def work(task: Task, progress: Progress) -> Heat:
        source, target = task.source, task.output(batch.force)
        if target.suffix.lower() != ".png":
            raise UnsupportedOutput(f"a heat map is a PNG: end {target.name} with .png")
        samples = archive.read(source, engine.max_pixels)
        found = analyse(samples, network, effort=effort, order=order, progress=progress)
        costs = found.costs
        files.write_atomically(target, archive.new_png(Samples.of(heatmap.draw(costs.sum(axis=2)))), force=batch.force)
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

    plan.run(work, line)
