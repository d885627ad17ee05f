"""lmconv-codec compress."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from codec import files, models
from codec.commands.batch import Task, Telling, say, shown
from codec.commands.manifest import Manifest
from codec.commands.options import Batch, Engine, batch, engine, options, telling
from codec.commands.running import named, planned, ready, say_first_use
from codec.errors import PixelsDiffer
from runtime.progress import Progress

if TYPE_CHECKING:
    import runtime
    from codec.archive import Wishes
    from codec.format.source import SourceFile


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
@batch()
@engine("model", "jobs", "threads", "provider", "max_pixels", "dask")
@telling("quiet", "verbose", "progress")
@options("effort", "order")
@click.option("--strip", is_flag=True, help="Leave out what came with the samples (ICC profile, EXIF, text, ...).")
@click.option("--exact-file", is_flag=True, help="Refuse files that would come back packed otherwise.")
@click.option("--pixels", is_flag=True, help="Take the pixels of a lossy file in place of the file: larger.")
@click.option("--verify/--no-verify", default=True, help="Decode each result and compare before writing it (default).")
@click.option("--rm/--keep", " /-k", help="Remove each input once its result is verified and on the disk.")
@click.option("--manifest", type=click.Path(path_type=Path), metavar="FILE", help="Add SHA-256 of inputs and results.")
def compress(
    batch: Batch,
    engine: Engine,
    telling: Telling,
    effort: str,
    order: str,
    strip: bool,
    exact_file: bool,
    pixels: bool,
    verify: bool,
    rm: bool,
    manifest: Path | None,
) -> None:
    """Compress pictures with all that came with them, and JPEG files as they are: IN.png becomes IN.lmc.

    A FILE may be -, which is stdin; its result goes to stdout.
    """
    if rm and (not verify or strip or pixels):
        raise click.UsageError("--rm removes what comes back whole: leave --no-verify, --strip and --pixels")
    if len(batch.inputs) == 2 and batch.inputs[1].suffix == batch.suffix:
        raise click.UsageError(f"{batch.inputs[1]} is no picture: to name the result, write -o {batch.inputs[1]}")
    from codec.archive import Wishes, needs_model, outside
    from codec.images import ENDINGS

    def longer(path: Path) -> str:
        return path.name + batch.suffix

    plan = planned(batch, engine, telling, partial(_short, batch.suffix), ENDINGS, longer, rm=rm)
    wishes = Wishes(effort, order, strip, exact_file, pixels, verify, engine.max_pixels)

    def load(bundle: Path) -> runtime.Model:
        return ready(bundle, engine.provider, plan.threads, telling.quiet)

    choice = models.Choice(engine.model, effort, load)
    book = Manifest(manifest) if manifest is not None else None

    def work(task: Task, progress: Progress) -> Compression:
        source, target = task.source, task.output(batch.force)
        with files.opened(source) as data:
            if plan.cluster is not None:
                coded, warning, row = plan.cluster.run(_remotely, bytes(data), outside(source), engine.model, wishes)
            else:
                say_first_use(telling.quiet)
                if needs_model(data, wishes):
                    choice.first()
                coded, warning, row = _compressed(data, outside(source), choice, wishes, progress)
            if book is not None:
                book.add(source, data, target, coded, row.exact)
        files.write_atomically(target, coded, force=batch.force)
        if warning is not None and not telling.quiet:
            say(f"{source}: warning: {warning}")
        if rm:
            _remove(source, target, coded)
        return replace(row, input=str(source), output=str(target))

    def line(row: Compression, width: int) -> str:
        rate = f"{row.bpsp:6.3f} bpsp" if row.bpsp is not None else " " * 11
        dropped = f"  without {', '.join(row.dropped)}" if row.dropped else ""
        details = f"\n{_details(row)}" if telling.verbose else ""
        return f"{shown(row.input, width)}  {_sizes([row])}  {rate}  {row.seconds:7.2f} s{dropped}{details}"

    def totals(rows: Sequence[Compression], seconds: float) -> str:
        return f"{len(rows)} files  {_sizes(rows)}  {seconds:.2f} s"

    plan.run(work, line, totals)


def _short(suffix: str, path: Path) -> str:
    """The name of a result, from which the input's can be told: x.lmc of x.png."""
    twice = path.suffix and path.stem.lower().endswith(path.suffix.lower())  # of x.png.png it is x.png.png.lmc
    return (path.name if twice else path.stem) + suffix


def _compressed(
    data: bytes, said: SourceFile, choice: models.Choice, wishes: Wishes, progress: Progress | None = None
) -> tuple[bytes, str | None, Compression]:
    """A compressed file, what is to be warned of, and its line, without names."""
    from codec.archive import archive_bytes

    start = time.perf_counter()
    found = archive_bytes(data, said, choice, wishes, progress)
    seconds = time.perf_counter() - start
    coded, samples = found.coded, found.samples
    manifest = found.model.manifest if found.model else None
    warning = f"stored without its coefficients: {found.reason}" if found.reason is not None else None
    row = Compression(
        input="",
        output="",
        input_bytes=found.size,
        raw_bytes=samples.values.nbytes if samples else None,
        bytes=len(found.data),
        bpsp=8 * len(found.data) / samples.values.size if samples else None,
        nll_bits=float(coded.nll_bits) if coded else None,
        seconds=seconds,
        model=manifest.name if manifest else None,
        order=manifest.order if manifest else None,
        effort=wishes.effort,
        methods=named(coded.methods, manifest) if coded else {str(found.contents.held): 1},
        kind=samples.kind if samples else None,
        depth=samples.depth if samples else None,
        exact=found.exact,
        verified=wishes.verify,
        kept=found.kept,
        dropped=found.dropped,
        was_jpeg=str(coded.origin) if coded and coded.origin else None,
    )
    return found.data, warning, row


def _remotely(
    data: bytes, said: SourceFile, model: str | None, wishes: Wishes
) -> tuple[bytes, str | None, Compression]:
    """The same on another machine."""
    return _compressed(data, said, models.Choice(model, wishes.effort, partial(models.load, threads=1)), wishes)


def _sizes(rows: Sequence[Compression]) -> str:
    before, after = sum(row.input_bytes for row in rows), sum(row.bytes for row in rows)
    return f"{before:>10} -> {after:>10} bytes  {100 * after / max(before, 1):5.1f} %"


def _details(row: Compression) -> str:
    """What -v adds, a line for each."""
    tiles = ", ".join(f"{name}: {count}" for name, count in row.methods.items())
    about = {
        "picture": f"{row.kind}, {row.depth} bits" if row.kind else None,
        "model": f"{row.model}, order {row.order}, effort {row.effort}" if row.model else None,
        "tiles": tiles,
        "comes back": "byte for byte" if row.exact else "with the same samples and metadata, packed otherwise",
        "kept": ", ".join(row.kept),
        "was a JPEG": row.was_jpeg,
    }
    return "\n".join(f"    {name}: {text}" for name, text in about.items() if text)


def _remove(source: Path, target: Path, data: bytes) -> None:
    """Removes an input whose result is on the disk, as it was verified."""
    if target.read_bytes() != data:
        raise PixelsDiffer(f"{target} does not hold what was written to it: keep the original")
    os.unlink(source)
