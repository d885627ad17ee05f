"""lmconv-codec models."""

from dataclasses import dataclass

import click

from codec import models
from codec.commands.batch import Telling, each, shown
from codec.commands.options import telling
from runtime.progress import Progress


@dataclass(frozen=True)
class Listing:
    """A line of `models`; bits_per_subpixel is None when the bundle does not say."""

    name: str
    path: str
    model_id: str
    order: str
    bits_per_subpixel: float | None
    parameters: int
    bytes: int


@click.command("models")
@telling()
def list_models(telling: Telling) -> None:
    """List the models that come with the package."""

    def work(model: models.Shipped, progress: Progress) -> Listing:
        about = model.manifest
        return Listing(
            name=model.name,
            path=str(model.path),
            model_id=about.model_id,
            order=about.order,
            bits_per_subpixel=about.bits_per_subpixel,
            parameters=about.parameters,
            bytes=model.path.stat().st_size,
        )

    def line(row: Listing, width: int) -> str:
        bpsp = "        -" if row.bits_per_subpixel is None else f"{row.bits_per_subpixel:9.3f}"
        size = f"{row.parameters:>10} parameters  {row.bytes:>10} bytes"
        return f"{shown(row.name, width)}  {row.order:<12}{bpsp} bpsp  {size}  {row.model_id[:12]}"

    each(models.available(), work, line, telling, name=lambda model: model.name)
