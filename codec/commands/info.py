"""lmconv-codec info."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import click

from codec import models
from codec.commands.options import options
from codec.commands.running import each, named, shown
from codec.format import container


@dataclass(frozen=True)
class Information:
    """A line of `info`; model and order are None when it is neither among the shipped ones nor given.

    methods: tiles by method.
    """

    input: str
    width: int
    height: int
    mode: str
    model: str | None
    model_id: str
    order: str | None
    variant: int
    tile: int
    tiles: int
    bytes: int
    bpsp: float
    version: int
    methods: dict[str, int]


@click.command()
@options("inputs", "model", "as_json")
def info(inputs: tuple[Path, ...], model: str | None, as_json: bool) -> None:
    """Say what compressed files hold, without decoding them."""
    import runtime

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
            tile=header.tile,
            tiles=header.tile_count,
            bytes=size,
            bpsp=8 * size / (header.width * header.height * container.MODES[header.mode].channels),
            version=container.VERSION,
            methods=named(Counter(methods), manifest),
        )

    def line(row: Information, width: int) -> str:
        picture = f"{row.width} x {row.height} {row.mode}"
        sizes = f"{row.bytes:>10} bytes  {row.bpsp:6.3f} bpsp  {row.tiles:>3} tile{'s' if row.tiles > 1 else ' '}"
        model = f"{row.model or 'unknown'} {row.model_id[:12]}"
        return f"{shown(row.input, width)}  {picture:<18}  {sizes}  {model}  {', '.join(row.methods)}"

    each(inputs, work, line, as_json)
