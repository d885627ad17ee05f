"""lmconv-codec verify."""

from dataclasses import dataclass
from pathlib import Path

import click

from codec.commands.kept import is_kept, read_kept, restore
from codec.commands.options import options
from codec.commands.running import Decoder, compare, each, read_picture, shown
from codec.errors import PixelsDiffer


@dataclass(frozen=True)
class Verification:
    """A line of `verify`. of: what is compared, pixels or bytes."""

    input: str
    picture: str
    of: str


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
        if is_kept(path):
            data = restore(read_kept(path), path.name, max_pixels, quiet)
            if against is not None and against.read_bytes() != data:
                raise PixelsDiffer(f"not the same bytes as {against}: keep the original")
            return Verification(str(path), f"JPEG file of {len(data)} bytes", "bytes")
        image, _ = decoder.decode(decoder.read(path))
        if against is not None:
            compare(read_picture(against, max_pixels), image, str(against))
        return Verification(str(path), image.description, "pixels")

    def line(row: Verification, width: int) -> str:
        same = f", the {row.of} of {shown(against)}" if against is not None else ""
        return f"{shown(row.input, width)}  ok: {row.picture}{same}"

    each(inputs, work, line, as_json=False)
