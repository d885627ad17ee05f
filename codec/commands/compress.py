"""lmconv-codec compress."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click

from codec import files, models
from codec.commands.batch import each, say, shared_out, shown
from codec.commands.options import options
from codec.commands.running import Loaded, named, say_first_use, targets_of
from codec.errors import PixelsDiffer
from runtime.progress import Progress


@dataclass(frozen=True)
class Compression:
    """A line of `compress`. input_bytes: of the file; raw_bytes: of its samples; bpsp: 8 x bytes / samples; seconds:
    of reading, coding and, with verification, decoding again.

    kind, depth: of the samples. exact: whether the very file comes back, else one of the same samples and metadata.
    kept, dropped: names of what came with the samples. methods: tiles by method. was_jpeg: which JPEG made the picture,
    if one was found. What has no sense for a file that is kept whole is None.
    """

    input: str
    output: str
    input_bytes: int
    raw_bytes: int | None
    bytes: int
    bpsp: float | None
    nll_bits: float | None
    seconds: float
    model: str | None
    order: str | None
    effort: str
    methods: dict[str, int]
    kind: str | None
    depth: int | None
    exact: bool
    verified: bool
    kept: tuple[str, ...]
    dropped: tuple[str, ...]
    was_jpeg: str | None = None


@click.command()
@options("inputs", "output", "model", "jobs", "threads", "provider", "max_pixels", "force", "as_json", "quiet")
@options("effort", "order")
@click.option("--strip", is_flag=True, help="Leave out what came with the samples (ICC profile, EXIF, text, ...).")
@click.option("--exact-file", is_flag=True, help="Refuse files that would come back packed otherwise.")
@click.option("--pixels", is_flag=True, help="Take the pixels of a lossy file in place of the file: larger.")
@click.option("--verify/--no-verify", default=True, help="Decode each result and compare before writing it (default).")
@click.option("--rm", is_flag=True, help="Remove each input once its result is verified and on the disk.")
def compress(
    inputs: tuple[Path, ...],
    output: str | None,
    model: str | None,
    jobs: int,
    threads: int,
    provider: str,
    max_pixels: int,
    force: bool,
    as_json: bool,
    quiet: bool,
    effort: str,
    order: str,
    strip: bool,
    exact_file: bool,
    pixels: bool,
    verify: bool,
    rm: bool,
) -> None:
    """Compress pictures with all that came with them, and JPEG files as they are: IN.png becomes IN.lmc."""
    if rm and (not verify or strip or pixels):
        raise click.UsageError("--rm removes what comes back whole: leave --no-verify, --strip and --pixels")
    targets = targets_of(inputs, output, ".lmc")
    from codec.archive import Wishes, archive, needs_model

    wishes = Wishes(effort, order, strip, exact_file, pixels, verify, max_pixels)
    jobs, threads = shared_out(len(inputs), threads, jobs)
    network = partial(Loaded(provider, threads, quiet), models.resolve(model or models.DEFAULTS[effort]))

    def work(pair: tuple[Path, Path], progress: Progress) -> Compression:
        source, target = pair
        files.check_output(target, force=force)
        say_first_use(quiet)
        if needs_model(source, wishes):
            network()
        start = time.perf_counter()
        found = archive(source, network, wishes, progress)
        seconds = time.perf_counter() - start
        files.write_atomically(target, found.data, force=force)
        if found.reason is not None and not quiet:
            say(f"{source}: warning: stored without its coefficients: {found.reason}")
        if rm:
            _remove(source, target, found.data)
        coded, samples, held = found.coded, found.samples, found.contents.held
        return Compression(
            input=str(source),
            output=str(target),
            input_bytes=found.size,
            raw_bytes=samples.values.nbytes if samples else None,
            bytes=len(found.data),
            bpsp=8 * len(found.data) / samples.values.size if samples else None,
            nll_bits=float(coded.nll_bits) if coded else None,
            seconds=seconds,
            model=network().manifest.name if coded else None,
            order=network().manifest.order if coded else None,
            effort=effort,
            methods=named(coded.methods, network().manifest) if coded else {str(held): 1},
            kind=samples.kind if samples else None,
            depth=samples.depth if samples else None,
            exact=found.exact,
            verified=verify,
            kept=found.kept,
            dropped=found.dropped,
            was_jpeg=str(coded.origin) if coded and coded.origin else None,
        )

    def line(row: Compression, width: int) -> str:
        rate = f"{row.bpsp:6.3f} bpsp" if row.bpsp is not None else " " * 11
        sizes = f"{row.input_bytes:>10} -> {row.bytes:>10} bytes  {100 * row.bytes / max(row.input_bytes, 1):5.1f} %"
        dropped = f"  without {', '.join(row.dropped)}" if row.dropped else ""
        return f"{shown(row.input, width)}  {sizes}  {rate}  {row.seconds:7.2f} s{dropped}"

    pairs = list(zip(inputs, targets, strict=True))
    each(pairs, work, line, as_json, name=lambda pair: pair[0], jobs=jobs, quiet=quiet)


def _remove(source: Path, target: Path, data: bytes) -> None:
    """Removes an input whose result is on the disk, as it was verified."""
    if target.read_bytes() != data:
        raise PixelsDiffer(f"{target} does not hold what was written to it: keep the original")
    os.unlink(source)
