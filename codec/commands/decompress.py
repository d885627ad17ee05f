"""lmconv-codec decompress."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from codec import files
from codec.commands.batch import Task, Telling, say, shown
from codec.commands.options import Batch, Engine, batch, engine, telling
from codec.commands.running import Decoder, File, planned
from codec.errors import UnsupportedOutput
from codec.format import container
from runtime.errors import UserError
from runtime.progress import Progress

if TYPE_CHECKING:
    from codec.decompression import Lost
    from codec.format.tiles import Box


@dataclass(frozen=True)
class Decompression:
    """A line of `decompress`; seconds is the time of the decoding alone. kind and depth: of the samples, None for a
    file that was kept whole. exact: whether the very file came back, None where nothing says so. lost: what a damaged
    file no longer has: places of tiles, what came with the samples."""

    input: str
    output: str
    width: int | None
    height: int | None
    kind: str | None
    depth: int | None
    bytes: int
    seconds: float
    exact: bool | None
    lost: tuple[str, ...] = ()


@click.command()
@batch()
@engine("model", "jobs", "threads", "provider", "max_pixels", "dask")
@telling("quiet", "progress")
@click.option("--as-png", is_flag=True, help="Write the samples as a new PNG, without what came with them.")
@click.option("--crop", metavar="X,Y,W,H", help="Decode these pixels alone, to a new PNG.")
@click.option("--salvage", is_flag=True, help="Restore what a damaged file still has; lost squares are 0.")
@click.option("--rm/--keep", " /-k", help="Remove each input once its result is on the disk and exactly what it was.")
def decompress(
    batch: Batch,
    engine: Engine,
    telling: Telling,
    as_png: bool,
    crop: str | None,
    salvage: bool,
    rm: bool,
) -> None:
    """Restore files: IN.lmc becomes IN.png, .tif, .jpg, ..., whatever it was.

    A FILE may be -, which is stdin; its result goes to stdout.
    """
    as_png = as_png or crop is not None
    if rm and (as_png or salvage):
        raise click.UsageError("--rm removes what was restored whole: leave --as-png, --crop and --salvage")
    if len(batch.inputs) == 2 and batch.inputs[1].suffix != batch.suffix and not batch.inputs[1].exists():
        raise click.UsageError(f"{batch.inputs[1]} is not there: to name the result, write -o {batch.inputs[1]}")
    from codec import archive

    box = _box(crop) if crop is not None else None
    force = batch.force

    def name(path: Path) -> str:
        """Of what a file is restored to; one that cannot be read will say so when its turn comes."""
        try:
            with open(path, "rb") as stream:
                ending = ".png" if as_png else archive.suffix_of(container.read_beginning(stream))
        except (UserError, OSError):
            ending = ".png"
        stem = path.name.removesuffix(batch.suffix)
        return stem if stem.lower().endswith(ending.lower()) and stem != path.name else stem + ending

    plan = planned(batch, engine, telling, name, (batch.suffix,), rm=rm)
    decoder = Decoder(engine, plan.threads, telling.quiet, salvage, plan.cluster)

    def work(task: Task, progress: Progress) -> Decompression:
        source, target = task.source, task.output(force)
        with files.opened(source) as data:
            file = decoder.parsed(source, data)
            endings = (".png",) if as_png else archive.suffixes_for(file.contents)
            own = None if as_png else archive.suffix_of(file.contents)
            if target != files.STANDARD and endings and target.suffix.lower() not in endings and target.suffix != own:
                hint = "" if as_png or file.contents.kept else ", or write a new PNG with --as-png"
                raise UnsupportedOutput(
                    f"it holds a {endings[0]} file: end {target.name} with {' or '.join(endings)}{hint}"
                )
            row = (whole if file.contents.kept else picture)(file, target, progress)
        if rm and row.exact is not False and not row.lost:
            source.unlink()
        return row

    def whole(file: File, target: Path, progress: Progress) -> Decompression:
        from codec.jpeg import keep

        kept = file.contents.kept
        assert kept is not None
        if as_png:
            raise UnsupportedOutput("it keeps a file, whose pixels are not decoded: restore it without --as-png")
        start = time.perf_counter()
        data = keep.restore(kept, engine.max_pixels, progress)
        seconds = time.perf_counter() - start
        write(file, target, data)
        frame = keep.frame_of(kept)
        width, height = (frame.width, frame.height) if frame else (None, None)
        return Decompression(str(file.path), str(target), width, height, None, None, file.size, seconds, exact=True)

    def picture(file: File, target: Path, progress: Progress) -> Decompression:
        lost: list[Lost] | None = [] if salvage else None
        samples, seconds = decoder.decode(file, progress, crop=box, lost=lost)
        pieces = (
            archive.new_png(samples, file.contents.source)
            if as_png
            else archive.pieces_of(file.contents.source, samples)
        )
        crc = write(file, target, pieces)
        source = file.contents.source
        exact = crc == source.exact[1] if source and source.exact and not as_png and not lost else None
        if exact is False and not telling.quiet:
            say(f"{file.path}: warning: all samples and metadata are right, but packed otherwise than they were")
        gone = tuple(map(str, lost or []))
        if file.contents.damaged:
            gone = ("what came with the samples", *gone)
        if gone:
            say(f"{file.path}: lost: {'; '.join(gone)}")
        return Decompression(
            input=str(file.path),
            output=str(target),
            width=samples.width,
            height=samples.height,
            kind=samples.kind,
            depth=samples.depth,
            bytes=file.size,
            seconds=seconds,
            exact=exact,
            lost=gone,
        )

    def write(file: File, target: Path, data: bytes | Iterable[bytes]) -> int:
        source = file.contents.source
        modified, permissions = (source.modified, source.permissions) if source else (None, None)
        return files.write_atomically(target, data, force=force, modified=modified, permissions=permissions)

    def line(row: Decompression, width: int) -> str:
        picture = f"{row.width} x {row.height} {row.kind or 'JPEG'}" if row.width else "stored bytes"
        return f"{shown(row.input, width)}  {row.bytes:>10} bytes -> {picture:<16}  {row.seconds:7.2f} s"

    def totals(rows: Sequence[Decompression], seconds: float) -> str:
        return f"{len(rows)} files  {sum(row.bytes for row in rows)} bytes restored  {seconds:.2f} s"

    plan.run(work, line, totals, failed=lambda row: bool(row.lost))


def _box(crop: str) -> Box:
    """The part of a picture that --crop means."""
    from codec.format.tiles import Box

    try:
        left, top, width, height = map(int, crop.split(","))
    except ValueError as error:
        raise click.UsageError(f"--crop {crop!r} is not four numbers X,Y,W,H") from error
    return Box(top, left, height, width)
