"""lmconv-codec info."""

from collections import Counter
from dataclasses import dataclass
from math import prod
from pathlib import Path

import click

from codec import models
from codec.commands.kept import FORMS, is_kept, read_kept, shape_of
from codec.commands.options import options
from codec.commands.running import each, named, shown
from codec.format import container


@dataclass(frozen=True)
class Information:
    """A line of `info`; model and order are None when it is neither among the shipped ones nor given.

    methods: tiles by method. kept_bytes: of the JPEG file that is kept whole, None for a picture's pixels; source:
    which JPEG these came from, if that was found. What does not belong to a file is None.
    """

    input: str
    width: int | None
    height: int | None
    mode: str
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
    kept_bytes: int | None = None
    source: str | None = None


@click.command()
@options("inputs", "model", "as_json")
def info(inputs: tuple[Path, ...], model: str | None, as_json: bool) -> None:
    """Say what compressed files hold, without decoding them."""
    import runtime
    from codec.jpeg.origin import read_origin

    known = [shipped.manifest for shipped in models.available()]
    if model:
        known.append(runtime.read_manifest(models.resolve(model)))
    manifests = {container.short_id(manifest.model_id): manifest for manifest in known}

    def work(path: Path) -> Information:
        if is_kept(path):
            return of_kept(path)
        with open(path, "rb") as stream:
            header, methods, source = container.describe(stream)
        manifest = manifests.get(header.model_id)
        size, needed = path.stat().st_size, header.model_id != container.NO_MODEL
        return Information(
            input=str(path),
            width=header.width,
            height=header.height,
            mode=header.mode,
            model=manifest.name if manifest else None,
            model_id=header.model_id.hex() if needed else None,
            order=manifest.order if manifest else None,
            variant=header.variant,
            tile=header.tile,
            tiles=header.tile_count,
            bytes=size,
            bpsp=8 * size / (header.width * header.height * container.MODES[header.mode].channels),
            version=container.VERSION,
            methods=named(Counter(methods), manifest),
            source=str(read_origin(source)[0]) if source is not None else None,
        )

    def of_kept(path: Path) -> Information:
        kept, size = read_kept(path), path.stat().st_size
        shape = shape_of(kept)
        width, height, _ = shape or (None, None, None)
        return Information(
            input=str(path),
            width=width,
            height=height,
            mode="JPEG",
            model=None,
            model_id=None,
            order=None,
            variant=None,
            tile=None,
            tiles=0,
            bytes=size,
            bpsp=8 * size / prod(shape) if shape else None,
            version=container.VERSION,
            methods={FORMS[kept.form]: 1},
            kept_bytes=kept.size,
        )

    def line(row: Information, width: int) -> str:
        if row.kept_bytes is not None:
            size = f"{row.width} x {row.height} JPEG" if row.width else "JPEG"
            share = f"{row.bytes:>10} bytes  {100 * row.bytes / max(row.kept_bytes, 1):5.1f} %"
            sizes = f"{share} of a file of {row.kept_bytes}"
            return f"{shown(row.input, width)}  {size:<18}  {sizes}  {', '.join(row.methods)}"
        picture = f"{row.width} x {row.height} {row.mode}"
        sizes = f"{row.bytes:>10} bytes  {row.bpsp:6.3f} bpsp  {row.tiles:>3} tile{'s' if row.tiles > 1 else ' '}"
        model = f"{row.model or 'unknown'} {row.model_id[:12]}" if row.model_id else "no model"
        parts = sizes, model, ", ".join(row.methods), *([row.source] if row.source else [])
        return f"{shown(row.input, width)}  {picture:<18}  {'  '.join(parts)}"

    each(inputs, work, line, as_json)
