"""lmconv-codec: compress and restore pictures, look into compressed files, list the models.

Thin: parse, call, print. Results go to stdout, everything else to stderr. A failed input is one line on
stderr, the others go on, and the exit code is 1 at the end; wrong usage is 2. What is slow to import is
imported in the commands.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from codec import container, files, models
from codec.errors import CodecError, PixelsDiffer
from codec.method import MAX_EFFORT, InOrder, Method

if TYPE_CHECKING:
    import runtime
    from codec.images import Image

Input = TypeVar("Input")
Row = TypeVar("Row")
Progress = Callable[[int, int], None]

INSTALL = "pip install lmconv[cpu] (or lmconv[gpu] for NVIDIA cards)"


class _Group(click.Group):
    """A group whose commands fail in one line."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            _say("interrupted")
        except Exception as error:
            _say(_explain(error))
        ctx.exit(1)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Lossless compression of images with a neural model."""


def _options(*names: str) -> Callable[[Callable], Callable]:
    """The options that several commands share, with the same names, defaults and words."""
    path = click.Path(path_type=Path)
    every = {
        "inputs": click.argument("inputs", nargs=-1, required=True, type=path, metavar="FILE..."),
        "output": click.option("-o", "--output", metavar="OUT|DIR", help="Folder if it is one or ends with /."),
        "model": click.option("--model", metavar="NAME|PATH", help="Shipped model or bundle file."),
        "threads": click.option("--threads", type=click.IntRange(min=0), default=0, help="0: all cores."),
        "provider": click.option(
            "--provider",
            type=click.Choice(["cpu", "cuda", "auto"]),
            default="cpu",
            show_default=True,
            help="What runs the network; auto: cuda where it is there and exact, else cpu.",
        ),
        "max_pixels": click.option(
            "--max-pixels",
            type=click.IntRange(min=1),
            default=container.MAX_PIXELS,
            show_default=True,
            help="Refuse larger images.",
        ),
        "effort": click.option(
            "--effort",
            type=click.IntRange(1, MAX_EFFORT),
            default=container.EFFORT,
            show_default=True,
            help="1: the network alone, fastest. 2 to 5: learn the picture at hand as well. 6 to 9: all there is.",
        ),
        "force": click.option("--force", is_flag=True, help="Overwrite outputs that exist."),
        "as_json": click.option("--json", "as_json", is_flag=True, help="Print a JSON list."),
        "quiet": click.option("-q", "--quiet", is_flag=True, help="No progress, no warnings, only errors."),
    }

    def add(command: Callable) -> Callable:
        for name in reversed(names):
            command = every[name](command)
        return command

    return add


@dataclass(frozen=True)
class Compression:
    """A line of `compress`; bpsp is 8 x bytes / subpixels, seconds the time of the coding alone.

    methods: tiles by method. stages: bits that each stage would have spent as the last one (codec.Compressed).
    """

    input: str
    output: str
    raw_bytes: int
    bytes: int
    bpsp: float
    nll_bits: float
    seconds: float
    model: str
    order: str
    effort: int
    methods: dict[str, int]
    stages: dict[str, float]


@cli.command()
@_options("inputs", "output", "model", "threads", "provider", "max_pixels", "force", "as_json", "quiet", "effort")
@click.option(
    "--order",
    default="auto",
    show_default=True,
    metavar="NAME[:VARIANT]",
    help="Of a model with several orders; auto tries each and keeps the best.",
)
@click.option("--verify", is_flag=True, help="Decode each result and compare before writing it.")
def compress(
    inputs: tuple[Path, ...],
    output: str | None,
    model: str | None,
    threads: int,
    provider: str,
    max_pixels: int,
    force: bool,
    as_json: bool,
    quiet: bool,
    effort: int,
    order: str,
    verify: bool,
) -> None:
    """Compress pictures: IN.png becomes IN.lmc."""
    targets = _targets(inputs, output, ".lmc")
    from codec import images
    from codec.codec import compress as encode
    from codec.codec import decompress as decode

    network = _load(models.resolve(model or models.DEFAULT), provider, threads, quiet)

    def work(pair: tuple[Path, Path]) -> Compression:
        source, target = pair
        files.check_output(target, force=force)
        image = images.read(source, max_pixels)
        if image.dropped and not quiet:
            _say(f"{source}: warning: {' and '.join(image.dropped)} of this picture will not be kept")
        start = time.perf_counter()
        with _progress(source.name, quiet) as progress:
            coded = encode(image, network, effort=effort, order=order, progress=progress)
        seconds = time.perf_counter() - start
        if verify:
            with _progress("verifying", quiet) as progress:
                restored = decode(coded.data, network, max_pixels=max_pixels, progress=progress)
            _compare(image, restored, "what it decodes to")
        files.write_atomically(target, coded.data, force=force)
        size = len(coded.data)
        return Compression(
            input=str(source),
            output=str(target),
            raw_bytes=image.pixels.nbytes,
            bytes=size,
            bpsp=8 * size / image.pixels.size,
            nll_bits=float(coded.nll_bits),
            seconds=seconds,
            model=network.manifest.name,
            order=network.manifest.order,
            effort=effort,
            methods=_named(coded.methods, network.manifest),
            stages=coded.stages,
        )

    def line(row: Compression, width: int) -> str:
        sizes = f"{row.raw_bytes:>10} -> {row.bytes:>10} bytes  {row.bpsp:6.3f} bpsp"
        return f"{_name(row.input, width)}  {sizes}  {row.seconds:7.2f} s"

    _each(list(zip(inputs, targets, strict=True)), work, line, as_json, name=lambda pair: pair[0])


def _named(methods: dict[Method | InOrder, int], manifest: runtime.Manifest | None) -> dict[str, int]:
    """Tiles by what a method is called; orders by their names where the model is known."""

    def name(method: Method | InOrder) -> str:
        if isinstance(method, InOrder) and manifest is not None:
            return f"order {manifest.layout.orders[method.order]}"
        return str(method)

    return {name(method): tiles for method, tiles in methods.items()}


@dataclass(frozen=True)
class Decompression:
    """A line of `decompress`; seconds is the time of the decoding alone."""

    input: str
    output: str
    width: int
    height: int
    mode: str
    bytes: int
    seconds: float


@cli.command()
@_options("inputs", "output", "model", "threads", "provider", "max_pixels", "force", "as_json", "quiet")
def decompress(
    inputs: tuple[Path, ...],
    output: str | None,
    model: str | None,
    threads: int,
    provider: str,
    max_pixels: int,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Restore pictures: IN.lmc becomes IN.png, or what the name after -o ends with."""
    targets = _targets(inputs, output, ".png")
    from codec import images

    decoder = _Decoder(model, threads, provider, max_pixels, quiet)

    def work(pair: tuple[Path, Path]) -> Decompression:
        source, target = pair
        files.check_output(target, force=force)
        images.format_of(target, decoder.header(source).mode)
        image, size, seconds = decoder.decode(source)
        images.write(target, image, force=force)
        return Decompression(str(source), str(target), image.width, image.height, image.mode, size, seconds)

    def line(row: Decompression, width: int) -> str:
        picture = f"{row.width} x {row.height} {row.mode}"
        return f"{_name(row.input, width)}  {row.bytes:>10} bytes -> {picture:<16}  {row.seconds:7.2f} s"

    _each(list(zip(inputs, targets, strict=True)), work, line, as_json, name=lambda pair: pair[0])


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


@cli.command()
@_options("inputs", "model", "threads", "provider", "max_pixels", "as_json", "quiet")
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

    decoder = _Decoder(model, threads, provider, max_pixels, quiet) if stages else None
    known = [shipped.manifest for shipped in models.available()]
    if model:
        known.append(runtime.read_manifest(models.resolve(model)))
    manifests = {container.short_id(manifest.model_id): manifest for manifest in known}

    def work(path: Path) -> Information:
        with open(path, "rb") as stream:
            header = container.peek(stream)
            methods = Counter(container.methods(stream))
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
            methods=_named(methods, manifest),
            stages=decoder.stages(path) if decoder else None,
        )

    def line(row: Information, width: int) -> str:
        picture = f"{row.width} x {row.height} {row.mode}"
        sizes = f"{row.bytes:>10} bytes  {row.bpsp:6.3f} bpsp  {row.tiles:>3} tile{'s' if row.tiles > 1 else ' '}"
        model = f"{row.model or 'unknown'} {row.model_id[:12]}"
        found = [f"{_name(row.input, width)}  {picture:<18}  {sizes}  {model}  {', '.join(row.methods)}"]
        for name, bits in (row.stages or {}).items():
            found.append(f"{'':{width}}  {name} alone: {bits / 8:.0f} bytes")
        return "\n".join(found)

    _each(inputs, work, line, as_json)


@dataclass(frozen=True)
class Verification:
    """A line of `verify`."""

    input: str
    picture: str


@cli.command()
@_options("inputs", "model", "threads", "provider", "max_pixels", "quiet")
@click.option("--against", type=click.Path(path_type=Path), metavar="IMAGE", help="Compare with it.")
def verify(
    inputs: tuple[Path, ...],
    model: str | None,
    threads: int,
    provider: str,
    max_pixels: int,
    quiet: bool,
    against: Path | None,
) -> None:
    """Decode compressed files fully and check them, writing nothing."""
    if against is not None and len(inputs) > 1:
        raise click.UsageError("--against compares one file with one picture: give one FILE")
    from codec import images

    decoder = _Decoder(model, threads, provider, max_pixels, quiet)

    def work(path: Path) -> Verification:
        image, _, _ = decoder.decode(path)
        if against is not None:
            _compare(images.read(against, max_pixels), image, str(against))
        return Verification(str(path), image.description)

    def line(row: Verification, width: int) -> str:
        same = f", the pixels of {_name(against)}" if against is not None else ""
        return f"{_name(row.input, width)}  ok: {row.picture}{same}"

    _each(inputs, work, line, as_json=False)


@dataclass(frozen=True)
class Heat:
    """A line of `heatmap`; bits and bpsp are the model's, without alpha, in all and for each grey or colour channel."""

    input: str
    output: str
    width: int
    height: int
    mode: str
    bits: float
    bpsp: float
    channel_bits: tuple[float, ...]
    channel_bpsp: tuple[float, ...]


@cli.command()
@_options("inputs", "output", "model", "threads", "provider", "max_pixels", "force", "as_json", "quiet", "effort")
def heatmap(
    inputs: tuple[Path, ...],
    output: str | None,
    model: str | None,
    threads: int,
    provider: str,
    max_pixels: int,
    force: bool,
    as_json: bool,
    quiet: bool,
    effort: int,
) -> None:
    """Draw where the bits of pictures go: IN.png becomes IN.heat.png."""
    targets = _targets(inputs, output, ".heat.png")
    from codec import heatmap, images
    from codec.codec import cost_map

    network = _load(models.resolve(model or models.DEFAULT), provider, threads, quiet)

    def work(pair: tuple[Path, Path]) -> Heat:
        source, target = pair
        files.check_output(target, force=force)
        images.format_of(target, "RGB")
        image = images.read(source, max_pixels)
        with _progress(source.name, quiet) as progress:
            costs = cost_map(image, network, effort=effort, progress=progress)
        images.write(target, images.Image(heatmap.draw(costs.sum(axis=2)), "RGB"), force=force)
        channels = costs.sum(axis=(0, 1), dtype=float)
        area = image.width * image.height
        return Heat(
            input=str(source),
            output=str(target),
            width=image.width,
            height=image.height,
            mode=image.mode,
            bits=float(channels.sum()),
            bpsp=float(channels.mean() / area),
            channel_bits=tuple(channels.tolist()),
            channel_bpsp=tuple((channels / area).tolist()),
        )

    def line(row: Heat, width: int) -> str:
        names = "RGB" if len(row.channel_bpsp) == 3 else "L"
        channels = "  ".join(f"{name} {bpsp:.3f}" for name, bpsp in zip(names, row.channel_bpsp, strict=True))
        return f"{_name(row.input, width)}  {row.bits:>12.0f} bits  {row.bpsp:6.3f} bpsp  {channels}"

    _each(list(zip(inputs, targets, strict=True)), work, line, as_json, name=lambda pair: pair[0])


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


@cli.command("models")
@_options("as_json")
def list_models(as_json: bool) -> None:
    """List the models that come with the package."""

    def work(model: models.Shipped) -> Listing:
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
        return f"{_name(row.name, width)}  {row.order:<12}{bpsp} bpsp  {size}  {row.model_id[:12]}"

    _each(models.available(), work, line, as_json, name=lambda model: model.name)


class _Decoder:
    """Decodes files of any model that can be found; each model is loaded once."""

    def __init__(self, model: str | None, threads: int, provider: str, max_pixels: int, quiet: bool) -> None:
        self.extra = models.resolve(model) if model else None
        self.threads, self.provider, self.max_pixels, self.quiet = threads, provider, max_pixels, quiet
        self.loaded: dict[Path, runtime.Model] = {}

    def header(self, path: Path) -> container.Header:
        with open(path, "rb") as stream:
            return container.peek(stream, self.max_pixels)

    def decode(self, path: Path) -> tuple[Image, int, float]:
        """The picture, the file's bytes, and the seconds that decoding took."""
        from codec.codec import decompress as decode

        network, data = self._open(path)
        start = time.perf_counter()
        with _progress(path.name, self.quiet) as progress:
            image = decode(data, network, max_pixels=self.max_pixels, progress=progress)
        return image, len(data), time.perf_counter() - start

    def stages(self, path: Path) -> dict[str, float]:
        """What the stages of a file would have spent, see codec.Compressed."""
        from codec.codec import stages

        network, data = self._open(path)
        with _progress(path.name, self.quiet) as progress:
            return stages(data, network, max_pixels=self.max_pixels, progress=progress)

    def _open(self, path: Path) -> tuple[runtime.Model, bytes]:
        """The model of a file, and its bytes."""
        bundle = models.find(self.header(path).model_id, self.extra)
        if bundle not in self.loaded:
            self.loaded[bundle] = _load(bundle, self.provider, self.threads, self.quiet)
        return self.loaded[bundle], path.read_bytes()


def _load(bundle: Path, provider: str, threads: int, quiet: bool) -> runtime.Model:
    """A model ready to run, after word of what has to be compiled first."""
    import runtime

    _announce(quiet)
    return runtime.load(bundle, provider=provider, threads=threads)


def _targets(inputs: tuple[Path, ...], output: str | None, suffix: str) -> list[Path]:
    """The outputs, in a folder that exists."""
    try:
        targets = files.outputs(inputs, output, suffix)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if output is not None and targets != [Path(output)]:
        files.make_folder(Path(output))
    return targets


def _each(
    inputs: Iterable[Input],
    work: Callable[[Input], Row],
    line: Callable[[Row, int], str],
    as_json: bool,
    name: Callable[[Input], object] = lambda item: item,
) -> None:
    """Work on each input and print its line, or at the end the JSON list; exit with 1 when one has failed.

    What was finished before an interrupt is printed too. line gets the width of the longest name.
    """
    inputs = list(inputs)
    width = max((len(_name(name(item))) for item in inputs), default=0)
    rows, failed = [], False
    for item in inputs:
        try:
            row = work(item)
        except KeyboardInterrupt:
            _say("interrupted")
            failed = True
            break
        except Exception as error:
            _say(f"{_name(name(item))}: {_explain(error)}")
            failed = True
            continue
        rows.append(row)
        if not as_json:
            click.echo(line(row, width))
    if as_json:
        click.echo(json.dumps([asdict(row) for row in rows], indent=2))
    if failed:
        click.get_current_context().exit(1)


def _explain(error: Exception) -> str:
    """The line for an error that a user can act on; any other one is a bug and is raised again."""
    runtime = sys.modules.get("runtime")
    if isinstance(error, BrokenPipeError | click.ClickException | click.exceptions.Exit | click.Abort):
        raise error
    if isinstance(error, CodecError) or (runtime and isinstance(error, runtime.BundleError)):
        text = str(error)
    elif isinstance(error, MemoryError):
        text = "not enough memory: close other programs or use a machine with more"
    elif isinstance(error, ImportError):
        text = f"{error}: {INSTALL} brings what is needed"
    elif isinstance(error, OSError):
        text = error.strerror or str(error)
    else:
        raise error
    return " ".join(text.split())


def _announce(quiet: bool) -> None:
    """Says that the first use of an installation takes longer."""
    import runtime

    if not quiet and not runtime.compiled():
        _say("first use: compiling kernels for this machine, which takes some seconds")


def _compare(image: Image, restored: Image, other: str) -> None:
    difference = image.difference(restored)
    if difference:
        raise PixelsDiffer(f"not the same as {other} ({difference}): keep the original")


@contextmanager
def _progress(label: str, quiet: bool) -> Iterator[Progress | None]:
    """A progress bar's callback, or None where nobody watches."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    with click.progressbar(length=1, label=_name(label), file=sys.stderr) as bar:

        def progress(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        yield progress


def _say(message: str) -> None:
    click.echo(f"lmconv-codec: {message}", err=True)


def _name(path: object, width: int = 0) -> str:
    """A file's name as it can be printed."""
    return f"{click.format_filename(str(path)):<{width}}"
