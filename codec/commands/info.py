"""lmconv-codec info."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from codec import files, models
from codec.commands.batch import Telling, each, shown
from codec.commands.options import options, telling
from codec.commands.running import named
from codec.format import container
from codec.format.container import Contents
from codec.format.kept import KeptFile
from codec.format.picture import KINDS, Picture, short_id
from runtime.progress import Progress

_SHOWN = 60  # characters of a piece of metadata that is text


@dataclass(frozen=True)
class Information:
    """A line of `info`.

    kind, depth: of the samples. model and order are None when the model is neither among the shipped ones nor given.
    methods: tiles by method. format: of the file that was compressed; exact: whether that very file comes back. kept:
    what came with the samples, by name, and how many bytes it has; stripped: whether it was left out. modified: seconds
    since 1970. kept_bytes: of a file that is kept whole. was_jpeg: which JPEG the samples came from, if that was found.
    chunks: types that this program passes over. What does not belong to a file is None.
    """

    input: str
    width: int | None
    height: int | None
    kind: str | None
    depth: int | None
    model: str | None
    model_id: str | None
    order: str | None
    variant: int | None
    tile: int | None
    tiles: int
    bytes: int
    bpsp: float | None
    version: int
    methods: dict[str, int]
    format: str | None
    exact: bool
    kept: tuple[tuple[str, int], ...]
    stripped: bool
    modified: float | None
    permissions: str | None
    kept_bytes: int | None = None
    was_jpeg: str | None = None
    chunks: tuple[str, ...] = ()


@click.command()
@options("inputs", "model")
@telling()
@click.option("--metadata", is_flag=True, help="Show what came with the samples, a line for each.")
def info(inputs: tuple[Path, ...], model: str | None, telling: Telling, metadata: bool) -> None:
    """Say what compressed files hold, without decoding them."""
    import runtime
    from codec.archive import metadata_of
    from codec.jpeg import keep
    from codec.jpeg.origin import read_origin

    known = [shipped.manifest for shipped in models.available()]
    if model:
        known.append(runtime.read_manifest(models.resolve(model)))
    manifests = {short_id(manifest.model_id): manifest for manifest in known}

    def work(path: Path, progress: Progress) -> Information:
        with files.opened(path) as data:
            contents, size = container.read(memoryview(data), None), len(data)
        if metadata and not telling.as_json:
            for item in metadata_of(contents):
                click.echo(f"{shown(path)}  {item.name}: {_in_words(item.data)}")
        if contents.picture is not None:
            return picture(path, contents, contents.picture, size)
        assert contents.kept is not None
        return kept_whole(path, contents, contents.kept, size)

    def picture(path: Path, contents: Contents, found: Picture, size: int) -> Information:
        header = found.header
        manifest = manifests.get(header.model_id) if header.model_id is not None else None
        samples = header.width * header.height * KINDS[header.kind].channels
        return Information(
            width=header.width,
            height=header.height,
            kind=header.kind,
            depth=header.depth,
            model=manifest.name if manifest else None,
            model_id=header.model_id.hex() if header.model_id is not None else None,
            order=manifest.order if manifest else None,
            variant=header.variant,
            tile=header.tile,
            tiles=len(found.tiles),
            bpsp=8 * size / samples,
            methods=named(Counter(tile.method for tile in found.tiles), manifest),
            was_jpeg=str(read_origin(contents.jpeg)[0]) if contents.jpeg is not None else None,
            kept=tuple((item.name, len(item.data)) for item in metadata_of(contents)),
            **outside(path, contents, size),
        )

    def kept_whole(path: Path, contents: Contents, kept: KeptFile, size: int) -> Information:
        frame = keep.frame_of(kept)
        return Information(
            width=frame.width if frame else None,
            height=frame.height if frame else None,
            kind=None,
            depth=None,
            model=None,
            model_id=None,
            order=None,
            variant=None,
            tile=None,
            tiles=0,
            bpsp=None,
            methods={str(kept): 1},
            kept=(),
            kept_bytes=kept.size,
            **outside(path, contents, size),
        )

    def line(row: Information, width: int) -> str:
        size = f"{row.width} x {row.height} {row.kind or 'JPEG'}" if row.width else "file"
        parts = [f"{size:<18}  {row.bytes:>10} bytes"]
        if row.kept_bytes is not None:
            parts.append(f"{100 * row.bytes / max(row.kept_bytes, 1):5.1f} % of a file of {row.kept_bytes}")
        else:
            parts.append(f"{row.bpsp:6.3f} bpsp  {row.tiles:>3} tile{'s' if row.tiles > 1 else ' '}")
            parts.append(f"{row.model or 'unknown'} {row.model_id[:12]}" if row.model_id else "no model")
        parts.append(", ".join(row.methods))
        if row.format is not None:
            kept = "" if not row.kept else f" with {', '.join(dict.fromkeys(name for name, _ in row.kept))}"
            parts.append(
                f"{row.format}{kept}" + (", stripped" if row.stripped else "" if row.exact else ", not packed alike")
            )
        parts += [row.was_jpeg] if row.was_jpeg else []
        return f"{shown(row.input, width)}  {'  '.join(parts)}"

    each(inputs, work, line, telling)


def outside(path: Path, contents: Contents, size: int) -> dict[str, Any]:
    """What is said of any file."""
    source = contents.source
    modified = source.modified if source else None
    permissions = source.permissions if source else None
    return {
        "input": str(path),
        "bytes": size,
        "version": container.VERSION,
        "format": source.format if source else None,
        "exact": contents.kept is not None or (source is not None and source.exact is not None),
        "stripped": source is not None and source.stripped,
        "modified": modified / 1e9 if modified is not None else None,
        "permissions": f"{permissions:o}" if permissions is not None else None,
        "chunks": contents.passed_over,
    }


def _in_words(data: bytes) -> str:
    """Text as it is, as far as it goes on a line, and how many bytes anything else has."""
    text = data.decode("utf-8", errors="replace")
    if data and all(character.isprintable() for character in text) and "\ufffd" not in text:
        return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(data)} bytes)"
    return f"{len(data)} bytes"
