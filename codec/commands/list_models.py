"""lmconv-codec models."""

from dataclasses import dataclass
from pathlib import Path

import click

from codec import models
from codec.commands.batch import Telling, each, shown
from codec.commands.options import telling
from runtime.progress import Progress


@dataclass(frozen=True)
class Listing:
    """A line of `models`; bits_per_subpixel is None when the bundle does not say, and so is the licence. installed: by
    the user, else it comes with the package."""

    name: str
    path: str
    model_id: str
    order: str
    bits_per_subpixel: float | None
    parameters: int
    bytes: int
    licence: str | None
    installed: bool


@click.command("models")
@telling()
@click.option(
    "--install", type=click.Path(path_type=Path), metavar="FILE", help="Add a bundle, for files that were made with it."
)
def list_models(telling: Telling, install: Path | None) -> None:
    """List the models that are at hand: those that come with the package, and installed ones.

    These are in LMCONV_MODELS, or in lmconv/models below XDG_DATA_HOME, by default ~/.local/share.
    """
    listed = models.available() if install is None else [models.install(install)]

    def work(model: models.Available, progress: Progress) -> Listing:
        about = model.manifest
        return Listing(
            name=model.name,
            path=str(model.path),
            model_id=about.model_id,
            order=about.order,
            bits_per_subpixel=about.bits_per_subpixel,
            parameters=about.parameters,
            bytes=model.path.stat().st_size,
            licence=about.card.get("licence"),
            installed=model.installed,
        )

    def line(row: Listing, width: int) -> str:
        bpsp = "        -" if row.bits_per_subpixel is None else f"{row.bits_per_subpixel:9.3f}"
        size = f"{row.parameters:>10} parameters  {row.bytes:>10} bytes"
        told = f"{shown(row.name, width)}  {row.order:<12}{bpsp} bpsp  {size}  {row.model_id[:12]}"
        told += f"  {row.licence}" if row.licence else ""
        return told + (f"  {shown(row.path)}" if row.installed else "")

    each(listed, work, line, telling, name=lambda model: model.name)
