"""lmconv-codec verify."""

from dataclasses import dataclass
from pathlib import Path

import click

from codec.commands.options import options
from codec.commands.running import Decoder, compare, each, read_picture, shown


@dataclass(frozen=True)
class Verification:
    """A line of `verify`."""

    input: str
    picture: str


@click.command()
@options("inputs", "model", "threads", "provider", "max_pixels", "quiet")
@click.option("--against", type=click.Path(path_type=Path), metavar="IMAGE", help="Compare with it.")
def verify(
    inputs: tuple[Path, ...],
    model: str | None,
    threads: int,
    provider: str,
    max_pixels: int,
    quiet: bool,
    against: Path | None,
) -> None:
    """Decode compressed files fully and check them, writing nothing."""
    if against is not None and len(inputs) > 1:
        raise click.UsageError("--against compares one file with one picture: give one FILE")

    decoder = Decoder(model, threads, provider, max_pixels, quiet)

    def work(path: Path) -> Verification:
        image, _ = decoder.decode(decoder.read(path))
        if against is not None:
            compare(read_picture(against, max_pixels), image, str(against))
        return Verification(str(path), image.description)

    def line(row: Verification, width: int) -> str:
        same = f", the pixels of {shown(against)}" if against is not None else ""
        return f"{shown(row.input, width)}  ok: {row.picture}{same}"

    each(inputs, work, line, as_json=False)
