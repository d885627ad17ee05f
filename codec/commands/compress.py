"""lmconv-codec compress."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import click

from codec import files, models
from codec.commands.kept import FORMS, is_jpeg, keep, restore, shape_of
from codec.commands.options import options
from codec.commands.running import compare, each, load, named, progress_bar, read_picture, say, shown, targets_of
from codec.errors import PixelsDiffer
from codec.format import container

if TYPE_CHECKING:
    import runtime


@dataclass(frozen=True)
class Compression:
    """A line of `compress`; bpsp is 8 x bytes / subpixels, seconds the time of the coding alone.

    raw_bytes: of the pixels, or of a JPEG file that is kept. methods: tiles by method. source: which JPEG
    made the picture, if one was found. What has no sense for a file that is kept is None.
    """

    input: str
    output: str
    raw_bytes: int
    bytes: int
    bpsp: float | None
    nll_bits: float | None
    seconds: float
    model: str | None
    order: str | None
    effort: str
    methods: dict[str, int]
    source: str | None = None


@click.command()
@options("inputs", "output", "model", "threads", "provider", "max_pixels", "force", "as_json", "quiet")
@options("effort", "order")
@click.option("--verify", is_flag=True, help="Decode each result and compare before writing it.")
@click.option("--pixels", is_flag=True, help="Keep the pixels of a JPEG in place of its file: larger.")
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
    pixels: bool,
) -> None:
    """Compress pictures, and JPEG files as they are: IN.png becomes IN.lmc."""
    targets = targets_of(inputs, output, ".lmc")
    from codec.codec import compress as encode
    from codec.codec import decompress as decode

    bundle = models.resolve(model or models.DEFAULTS[effort])
    network = cache(lambda: load(bundle, provider, threads, quiet))
    whole = {path for path in inputs if not pixels and is_jpeg(path)}
    if len(whole) < len(set(inputs)):
        network()

    def work(pair: tuple[Path, Path]) -> Compression:
        source, target = pair
        files.check_output(target, force=force)
        if source in whole:
            return keep_whole(source, target)
        return code_pixels(source, target, network())

    def keep_whole(source: Path, target: Path) -> Compression:
        start = time.perf_counter()
        data, kept = keep(source, max_pixels, quiet)
        seconds = time.perf_counter() - start
        if verify and restore(kept, "verifying", max_pixels, quiet) != data:
            raise PixelsDiffer("not the same as what it decodes to: keep the original")
        coded = container.pack_kept(kept)
        files.write_atomically(target, coded, force=force)
        shape = shape_of(kept)
        return Compression(
            input=str(source),
            output=str(target),
            raw_bytes=len(data),
            bytes=len(coded),
            bpsp=8 * len(coded) / prod(shape) if shape else None,
            nll_bits=None,
            seconds=seconds,
            model=None,
            order=None,
            effort=effort,
            methods={FORMS[kept.form]: 1},
        )

    def code_pixels(source: Path, target: Path, network: runtime.Model) -> Compression:
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
            source=str(coded.source) if coded.source else None,
        )

    def line(row: Compression, width: int) -> str:
        rate = f"{row.bpsp:6.3f} bpsp" if row.model else f"{100 * row.bytes / row.raw_bytes - 100:+6.1f} %   "
        sizes = f"{row.raw_bytes:>10} -> {row.bytes:>10} bytes  {rate}"
        return f"{shown(row.input, width)}  {sizes}  {row.seconds:7.2f} s"

    each(list(zip(inputs, targets, strict=True)), work, line, as_json, name=lambda pair: pair[0])
