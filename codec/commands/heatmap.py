"""lmconv-codec heatmap."""

from dataclasses import dataclass
from pathlib import Path

import click

from codec import files, models
from codec.commands.options import options
from codec.commands.running import each, load, progress_bar, read_picture, shown, targets_of


@dataclass(frozen=True)
class Heat:
    """A line of `heatmap`; bits and bpsp are the model's, without alpha, in all and for each grey or colour channel.

    stages: see codec.Analysis.
    """

    input: str
    output: str
    width: int
    height: int
    mode: str
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
    from codec import heatmap, images
    from codec.codec import analyse

    network = load(models.resolve(model or models.DEFAULTS[effort]), provider, threads, quiet)

    def work(pair: tuple[Path, Path]) -> Heat:
        source, target = pair
        files.check_output(target, force=force)
        images.format_of(target, "RGB")
        image = read_picture(source, max_pixels)
        with progress_bar(source.name, quiet) as progress:
            found = analyse(image, network, effort=effort, order=order, progress=progress)
        costs = found.costs
        images.write(target, images.Image(heatmap.draw(costs.sum(axis=2)), "RGB"), force=force)
        channels = costs.sum(axis=(0, 1), dtype=float)
        area = image.width * image.height
        return Heat(
            input=str(source),
            output=str(target),
            width=image.width,
            height=image.height,
            mode=image.mode,
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

    each(list(zip(inputs, targets, strict=True)), work, line, as_json, name=lambda pair: pair[0])
