"""lmconv-codec compare, and bench."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from codec import files, models
from codec.commands.batch import Telling, each, shown
from codec.commands.options import Engine, engine, options, telling
from codec.commands.running import ready
from codec.models import EFFORTS, NORMAL
from runtime.progress import Progress

if TYPE_CHECKING:
    import runtime
    from codec.peers import Coder, Measured

_PEERS = "png,webp,jxl"


@dataclass(frozen=True)
class Comparison:
    """A line of `compare`. input_bytes: of the file; coders: what each made of its samples, which came back."""

    input: str
    input_bytes: int
    width: int
    height: int
    coders: tuple[Measured, ...]


def _comparing(command: Callable) -> Callable:
    """The options that both commands have."""
    command = click.option(
        "-e",
        "--effort",
        "efforts",
        type=click.Choice(EFFORTS),
        multiple=True,
        default=(NORMAL,),
        show_default=True,
        help="Of ours; may be given several times.",
    )(command)
    command = click.option("--peers", default=_PEERS, show_default=True, help="Others; an empty text for none.")(
        command
    )
    command = telling("quiet", "progress")(command)
    command = engine("model", "threads", "provider", "max_pixels")(command)
    return options("inputs", "recursive")(command)


@click.command()
@_comparing
def compare(
    inputs: tuple[Path, ...], recursive: bool, engine: Engine, telling: Telling, peers: str, efforts: tuple[str, ...]
) -> None:
    """Code pictures with other codecs beside ours: bytes, and seconds there and back. Nothing is written."""

    def line(row: Comparison, width: int) -> str:
        return f"{shown(row.input)}  {row.width} x {row.height}, {row.input_bytes} bytes\n{_table([row])}"

    _run(inputs, recursive, engine, telling, peers, efforts, line)


@click.command()
@_comparing
def bench(
    inputs: tuple[Path, ...], recursive: bool, engine: Engine, telling: Telling, peers: str, efforts: tuple[str, ...]
) -> None:
    """Code pictures with other codecs beside ours and show the sums; a FILE may be a folder of pictures."""

    def line(row: Comparison, width: int) -> str:
        return f"{shown(row.input, width)}  {row.width} x {row.height}"

    below = tuple(path for each in inputs for path in (sorted(each.iterdir()) if each.is_dir() else [each]))
    chosen = below if not recursive else inputs
    _run(chosen, recursive, engine, telling, peers, efforts, line)


def _run(
    inputs: tuple[Path, ...],
    recursive: bool,
    engine: Engine,
    telling: Telling,
    names: str,
    efforts: tuple[str, ...],
    line: Callable[[Comparison, int], str],
) -> None:
    from codec import archive
    from codec.images import ENDINGS
    from codec.peers import PEERS, measure, ours, peers

    wanted = [name for name in names.split(",") if name]
    if set(wanted) - set(PEERS):
        raise click.UsageError(f"--peers knows {', '.join(PEERS)}, not {', '.join(sorted(set(wanted) - set(PEERS)))}")
    paths = files.found(inputs, ENDINGS, recursive=recursive)
    others = peers(wanted, engine.threads)

    def load(bundle: Path) -> runtime.Model:
        return ready(bundle, engine.provider, engine.threads, telling.quiet)

    def own_coder(effort: str) -> Coder:
        return ours(models.Choice(engine.model, effort, load), effort)

    def work(path: Path, progress: Progress) -> Comparison:
        samples = archive.read(path, engine.max_pixels)
        found, coders = [], [*map(own_coder, efforts), *others]
        for coder in coders:
            found.append(measure(coder, samples))
            progress(len(found), len(coders))
        return Comparison(str(path), path.stat().st_size, samples.width, samples.height, tuple(found))

    def totals(rows: Sequence[Comparison], seconds: float) -> str:
        before, area = sum(row.input_bytes for row in rows), sum(row.width * row.height for row in rows)
        return f"{len(rows)} files  {area / 1e6:.2f} megapixels, {before} bytes\n{_table(rows)}"

    each(paths, work, line, telling, totals=totals)


def _table(rows: Sequence[Comparison]) -> str:
    """Of all rows together: a line for each coder, its bytes as a share of the first one's."""
    area = sum(row.width * row.height for row in rows) / 1e6
    lines = []
    for number, coder in enumerate(rows[0].coders):
        found = [row.coders[number] for row in rows]
        size, first = sum(each.bytes for each in found), sum(row.coders[0].bytes for row in rows)
        there, back = (sum(times) / area for times in zip(*((f.encode_seconds, f.decode_seconds) for f in found)))
        lines.append(
            f"    {coder.coder:<21}{size:>12} bytes  {100 * size / first:6.1f} %  "
            f"{there:7.2f} s/MP there  {back:7.2f} s/MP back"
        )
    return "\n".join(lines)
