"""lmconv-codec verify."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import click

from codec import files
from codec.commands.batch import Telling, each, shared_out, shown
from codec.commands.cluster import Cluster
from codec.commands.manifest import Entry, read, sha256
from codec.commands.options import Engine, engine, options, telling
from codec.commands.running import Decoder, File
from codec.errors import DamagedFile, PixelsDiffer
from runtime.progress import Progress


@dataclass(frozen=True)
class Verification:
    """A line of `verify`. of: what is compared with another file or a manifest: its bytes, or its samples and what came
    with them; nothing where it is empty."""

    input: str
    picture: str
    of: str


@click.command()
@click.argument("inputs", nargs=-1, type=click.Path(path_type=Path), metavar="FILE...")
@options("recursive", "suffix")
@engine("model", "jobs", "threads", "provider", "max_pixels", "dask")
@telling("quiet", "progress")
@click.option("--against", type=click.Path(path_type=Path), metavar="IMAGE", help="Compare with it.")
@click.option("--manifest", type=click.Path(path_type=Path), metavar="FILE", help="Check all results that it lists.")
def verify(
    inputs: tuple[Path, ...],
    recursive: bool,
    suffix: str,
    engine: Engine,
    telling: Telling,
    against: Path | None,
    manifest: Path | None,
) -> None:
    """Decode compressed files fully and check them, writing nothing; say which tiles are damaged."""
    if not inputs and manifest is None:
        raise click.UsageError("Missing argument 'FILE...'.")
    if against is not None and (len(inputs) > 1 or manifest is not None):
        raise click.UsageError("--against compares one file with one picture: give one FILE")
    from codec import archive
    from codec.decompression import Lost

    entries = read(manifest) if manifest is not None else {}
    by_place = {os.path.abspath(path): entry for path, entry in entries.items()}
    paths = files.found(inputs or entries, (suffix,), recursive=recursive)
    jobs, threads = shared_out(len(paths), engine.threads, engine.jobs)
    cluster = Cluster(engine.dask) if engine.dask else None
    decoder = Decoder(engine, threads, telling.quiet, cut=True, cluster=cluster)
    strict = Decoder(engine, threads, telling.quiet)

    def work(path: Path, progress: Progress) -> Verification:
        with files.opened(path) as data:
            entry = by_place.get(os.path.abspath(path))
            if manifest is not None and entry is None:
                raise PixelsDiffer(f"{manifest} does not list it")
            if entry is not None and sha256(data) != entry.output_sha256:
                raise DamagedFile(f"not the bytes that {manifest} lists: get the file again")
            file = decoder.parsed(path, data)
            return kept_whole(file, entry, progress) if file.contents.kept else picture(file, entry, progress)

    def kept_whole(file: File, entry: Entry | None, progress: Progress) -> Verification:
        from codec.jpeg import keep

        assert file.contents.kept is not None
        data = keep.restore(file.contents.kept, engine.max_pixels, progress)
        if against is not None and against.read_bytes() != data:
            raise PixelsDiffer(f"not the same bytes as {against}: keep the original")
        listed(entry, data)
        return Verification(str(file.path), f"file of {len(data)} bytes", "bytes" if against or entry else "")

    def picture(file: File, entry: Entry | None, progress: Progress) -> Verification:
        lost: list[Lost] = []
        samples, _ = decoder.decode(file, progress, lost=lost)
        if lost:
            raise DamagedFile(
                f"{'; '.join(map(str, lost))} is not there or does not decode: get the file again, or restore what is "
                "left with decompress --salvage"
            )
        strict.parsed(file.path, file.data)  # what a reader passes over that makes the best of damage
        of = "" if against is None else archive.compare(file.contents, samples, against, engine.max_pixels)
        if entry is not None and entry.exact:
            listed(entry, b"".join(archive.pieces_of(file.contents.source, samples)))
            of = "bytes"
        return Verification(str(file.path), samples.description, of)

    def listed(entry: Entry | None, data: bytes) -> None:
        if entry is not None and sha256(data) != entry.input_sha256:
            raise PixelsDiffer(f"not the bytes that {manifest} lists for {entry.input}")

    def line(row: Verification, width: int) -> str:
        same = f", the {row.of} of {shown(against or manifest)}" if row.of else ""
        return f"{shown(row.input, width)}  ok: {row.picture}{same}"

    each(paths, work, line, telling, jobs=cluster.slots if cluster else jobs)
