"""lmconv-codec decompress."""

import time
from dataclasses import dataclass
from pathlib import Path

import click

from codec import files
from codec.commands.kept import JPEG_SUFFIXES, is_kept, read_kept, restore, shape_of, suffix_of
from codec.commands.options import options
from codec.commands.running import Decoder, each, shown, targets_of
from codec.errors import UnsupportedOutput
from codec.format.container import KeptFile


@dataclass(frozen=True)
class Decompression:
    """A line of `decompress`; seconds is the time of the decoding alone. mode: of the pixels, or JPEG for a file of
    which nothing else is said if its bytes were stored."""

    input: str
    output: str
    width: int | None
    height: int | None
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
    """Restore pictures and files: IN.lmc becomes IN.png, or what the name after -o ends with; a JPEG IN.jpg again."""
    targets = targets_of(inputs, output, suffix_of)
    from codec import images

    decoder = Decoder(model, threads, provider, max_pixels, quiet)

    def work(pair: tuple[Path, Path]) -> Decompression:
        source, target = pair
        files.check_output(target, force=force)
        if is_kept(source):
            return restore_whole(source, target, read_kept(source))
        file = decoder.read(source)
        images.format_of(target, file.parsed.header.mode)
        image, seconds = decoder.decode(file)
        images.write(target, image, force=force)
        return Decompression(str(source), str(target), image.width, image.height, image.mode, file.size, seconds)

    def restore_whole(source: Path, target: Path, kept: KeptFile) -> Decompression:
        if target.suffix.lower() not in JPEG_SUFFIXES:
            raise UnsupportedOutput(f"it keeps a JPEG file: end {target.name} with .jpg")
        size = source.stat().st_size
        start = time.perf_counter()
        data = restore(kept, source.name, max_pixels, quiet)
        seconds = time.perf_counter() - start
        files.write_atomically(target, data, force=force)
        width, height, _ = shape_of(kept) or (None, None, None)
        return Decompression(str(source), str(target), width, height, "JPEG", size, seconds)

    def line(row: Decompression, width: int) -> str:
        picture = f"{row.width} x {row.height} {row.mode}" if row.width else "stored bytes"
        return f"{shown(row.input, width)}  {row.bytes:>10} bytes -> {picture:<16}  {row.seconds:7.2f} s"

    each(list(zip(inputs, targets, strict=True)), work, line, as_json, name=lambda pair: pair[0])
