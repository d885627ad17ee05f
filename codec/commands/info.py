"""lmconv-codec info."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import click

from codec import models
from codec.format import container
from codec.commands.options import options
from codec.commands.running import Decoder, each, named, shown


@dataclass(frozen=True)
class Information:
    """A line of `info`; model and order are None when it is neither among the shipped ones nor given.

    methods: tiles by method. stages: as in Compression with --stages, else None.
    """

    input: str
    width: int
    height: int
    mode: str
    model: str | None
    model_id: str
    order: str | None
    variant: int
    effort: int
    tile: int
    tiles: int
    bytes: int
    bpsp: float
    version: int
    methods: dict[str, int]
    stages: dict[str, float] | None


@click.command()
@options("inputs", "model", "threads", "provider", "max_pixels", "as_json", "quiet")
@click.option("--stages", is_flag=True, help="Decode the files to say what each stage gained.")
def info(
    inputs: tuple[Path, ...],
    model: str | None,
    threads: int,
    provider: str,
    max_pixels: int,
    as_json: bool,
    quiet: bool,
    stages: bool,
) -> None:
    """Say what compressed files hold, without decoding them."""
    import runtime

    decoder = Decoder(model, threads, provider, max_pixels, quiet) if stages else None
    known = [shipped.manifest for shipped in models.available()]
    if model:
        known.append(runtime.read_manifest(models.resolve(model)))
    manifests = {container.short_id(manifest.model_id): manifest for manifest in known}

    def work(path: Path) -> Information:
        with open(path, "rb") as stream:
            header, methods = container.describe(stream)
        manifest = manifests.get(header.model_id)
        size = path.stat().st_size
        return Information(
            input=str(path),
            width=header.width,
            height=header.height,
            mode=header.mode,
            model=manifest.name if manifest else None,
            model_id=header.model_id.hex(),
            order=manifest.order if manifest else None,
            variant=header.variant,
            effort=header.effort,
            tile=header.tile,
            tiles=header.tile_count,
            bytes=size,
            bpsp=8 * size / (header.width * header.height * container.MODES[header.mode].channels),
            version=container.VERSION,
            methods=named(Counter(methods), manifest),
            stages=decoder.stages(decoder.read(path)) if decoder else None,
        )

    def line(row: Information, width: int) -> str:
        picture = f"{row.width} x {row.height} {row.mode}"
        sizes = f"{row.bytes:>10} bytes  {row.bpsp:6.3f} bpsp  {row.tiles:>3} tile{'s' if row.tiles > 1 else ' '}"
        model = f"{row.model or 'unknown'} {row.model_id[:12]}"
        found = [f"{shown(row.input, width)}  {picture:<18}  {sizes}  {model}  {', '.join(row.methods)}"]
        for name, bits in (row.stages or {}).items():
            found.append(f"{'':{width}}  {name} alone: {bits / 8:.0f} bytes")
        return "\n".join(found)

    each(inputs, work, line, as_json)
