"""lmconv-codec compress."""

import time
from dataclasses import dataclass
from pathlib import Path

import click

from codec import files, models
from codec.commands.options import options
from codec.commands.running import compare, each, load, named, progress_bar, read_picture, say, shown, targets_of


@dataclass(frozen=True)
class Compression:
    """A line of `compress`; bpsp is 8 x bytes / subpixels, seconds the time of the coding alone.

    methods: tiles by method.
    """

    input: str
    output: str
    raw_bytes: int
    bytes: int
    bpsp: float
    nll_bits: float
    seconds: float
    model: str
    order: str
    effort: str
    methods: dict[str, int]


@click.command()
@options("inputs", "output", "model", "threads", "provider", "max_pixels", "force", "as_json", "quiet")
@options("effort", "order")
@click.option("--verify", is_flag=True, help="Decode each result and compare before writing it.")
def compress(
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
    verify: bool,
) -> None:
    """Compress pictures: IN.png becomes IN.lmc."""
    targets = targets_of(inputs, output, ".lmc")
    from codec.codec import compress as encode
    from codec.codec import decompress as decode

    network = load(models.resolve(model or models.DEFAULTS[effort]), provider, threads, quiet)

    def work(pair: tuple[Path, Path]) -> Compression:
        source, target = pair
        files.check_output(target, force=force)
        image = read_picture(source, max_pixels)
        if image.dropped and not quiet:
            say(f"{source}: warning: {' and '.join(image.dropped)} of this picture will not be kept")
        start = time.perf_counter()
        with progress_bar(source.name, quiet) as progress:
            coded = encode(image, network, effort=effort, order=order, progress=progress)
        seconds = time.perf_counter() - start
        if verify:
            with progress_bar("verifying", quiet) as progress:
                restored = decode(coded.data, network, max_pixels=max_pixels, progress=progress)
            compare(image, restored, "what it decodes to")
        files.write_atomically(target, coded.data, force=force)
        size = len(coded.data)
        return Compression(
            input=str(source),
            output=str(target),
            raw_bytes=image.pixels.nbytes,
            bytes=size,
            bpsp=8 * size / image.pixels.size,
            nll_bits=float(coded.nll_bits),
            seconds=seconds,
            model=network.manifest.name,
            order=network.manifest.order,
            effort=effort,
            methods=named(coded.methods, network.manifest),
        )

    def line(row: Compression, width: int) -> str:
        sizes = f"{row.raw_bytes:>10} -> {row.bytes:>10} bytes  {row.bpsp:6.3f} bpsp"
        return f"{shown(row.input, width)}  {sizes}  {row.seconds:7.2f} s"

    each(list(zip(inputs, targets, strict=True)), work, line, as_json, name=lambda pair: pair[0])
