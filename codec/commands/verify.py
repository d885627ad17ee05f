"""lmconv-codec verify."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from codec.commands.batch import each, shared_out, shown
from codec.commands.options import options
from codec.commands.running import Decoder, File
from codec.errors import DamagedFile, PixelsDiffer
from runtime.progress import Progress


@dataclass(frozen=True)
class Verification:
    """A line of `verify`. of: what is compared with another file: its bytes, or its samples and what came with them."""

    input: str
    picture: str
    of: str


@click.command()
@options("inputs", "model", "jobs", "threads", "provider", "max_pixels", "quiet")
@click.option("--against", type=click.Path(path_type=Path), metavar="IMAGE", help="Compare with it.")
def verify(
    inputs: tuple[Path, ...],
    model: str | None,
    jobs: int,
    threads: int,
    provider: str,
    max_pixels: int,
    quiet: bool,
    against: Path | None,
) -> None:
    """Decode compressed files fully and check them, writing nothing; say which tiles are damaged."""
    if against is not None and len(inputs) > 1:
        raise click.UsageError("--against compares one file with one picture: give one FILE")
    from codec import archive
    from codec.decompression import Lost

    jobs, threads = shared_out(len(inputs), threads, jobs)
    decoder = Decoder(model, threads, provider, max_pixels, quiet, cut=True)
    strict = Decoder(model, threads, provider, max_pixels, quiet)

    def work(path: Path, progress: Progress) -> Verification:
        file = decoder.read(path)
        return kept_whole(file, progress) if file.contents.kept else picture(file, progress)

    def kept_whole(file: File, progress: Progress) -> Verification:
        from codec.jpeg import keep

        assert file.contents.kept is not None
        data = keep.restore(file.contents.kept, max_pixels, progress)
        if against is not None and against.read_bytes() != data:
            raise PixelsDiffer(f"not the same bytes as {against}: keep the original")
        return Verification(str(file.path), f"file of {len(data)} bytes", "bytes")

    def picture(file: File, progress: Progress) -> Verification:
        lost: list[Lost] = []
        samples, _ = decoder.decode(file, progress, lost=lost)
        if lost:
            raise DamagedFile(
                f"{'; '.join(map(str, lost))} is not there or does not decode: get the file again, or restore what is "
                "left with decompress --salvage"
            )
        strict.read(file.path)  # what a reader passes over that makes the best of damage
        of = "" if against is None else archive.compare(file.contents, samples, against, max_pixels)
        return Verification(str(file.path), samples.description, of)

    def line(row: Verification, width: int) -> str:
        same = f", the {row.of} of {shown(against)}" if against is not None else ""
        return f"{shown(row.input, width)}  ok: {row.picture}{same}"

    each(inputs, work, line, as_json=False, jobs=jobs, quiet=quiet)
