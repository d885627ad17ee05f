"""lmconv-codec decompress."""

from dataclasses import dataclass
from pathlib import Path

import click

from codec import files
from codec.commands.options import options
from codec.commands.running import Decoder, each, shown, targets_of


@dataclass(frozen=True)
class Decompression:
    """A line of `decompress`; seconds is the time of the decoding alone."""

    input: str
    output: str
    width: int
    height: int
    mode: str
    bytes: int
    seconds: float


@click.command()
@options("inputs", "output", "model", "threads", "provider", "max_pixels", "force", "as_json", "quiet")
def decompress(
    inputs: tuple[Path, ...],
    output: str | None,
    model: str | None,
    threads: int,
    provider: str,
    max_pixels: int,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Restore pictures: IN.lmc becomes IN.png, or what the name after -o ends with."""
    targets = targets_of(inputs, output, ".png")
    from codec import images

    decoder = Decoder(model, threads, provider, max_pixels, quiet)

    def work(pair: tuple[Path, Path]) -> Decompression:
        source, target = pair
        files.check_output(target, force=force)
        file = decoder.read(source)
        images.format_of(target, file.parsed.header.mode)
        image, seconds = decoder.decode(file)
        images.write(target, image, force=force)
        return Decompression(str(source), str(target), image.width, image.height, image.mode, file.size, seconds)

    def line(row: Decompression, width: int) -> str:
        picture = f"{row.width} x {row.height} {row.mode}"
        return f"{shown(row.input, width)}  {row.bytes:>10} bytes -> {picture:<16}  {row.seconds:7.2f} s"

    each(list(zip(inputs, targets, strict=True)), work, line, as_json, name=lambda pair: pair[0])
