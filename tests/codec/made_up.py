"""A model and a coder that are made up: raw pixels in the real container. What tests of the command line run with."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image as Pillow

import runtime.pixelcnn  # noqa: F401  # which `codec.models` imports, after `runtime` is another
from codec import archive, compression, decompression, models
from codec.cli import cli
from codec.commands import running
from codec.compression import Compressed
from codec.errors import DamagedFile, PixelsDiffer
from codec.format import container
from codec.format.container import Contents
from codec.format.method import Method
from codec.format.picture import Group, Header, Picture, Tile, crc_of, short_id
from codec.images.samples import Samples
from runtime.network import BundleError

SHIPPED = {"drawing": "cd" * 32, "photo": "ef" * 32, "photo-small": "ab" * 32}
PIXELS = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)


@dataclass(frozen=True)
class Manifest:
    name: str
    model_id: str
    order: str = "wavefront"
    bits_per_subpixel: float | None = 2.5
    parameters: int = 1000
    layout: object = None
    card: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Model:
    manifest: Manifest
    provider: str
    threads: int


def read_manifest(path):
    text = Path(path).read_text()
    if len(text) != 64:
        raise BundleError(f"{path} is no bundle")
    return Manifest(Path(path).stem, text)


def stored(samples, model_id, source=None):
    """A file of the samples as they are, in one group and tile, whatever their kind."""
    tile = Tile(samples.values.tobytes(), crc_of(samples.values), Method().code)
    other = Tile(b"", crc_of(samples.values), Method().code)
    header = Header(samples.width, samples.height, samples.kind, samples.depth, model_id)
    extra = "alpha" in samples.kind
    picture = Picture(
        header, (Group((tile,)), Group((other,))) if extra else (Group((tile,)),), bytes(8) if extra else None
    )
    return container.pack(Contents(picture, source=source))


def store(samples, model, *, effort="normal", order="auto", source=None, progress=None):
    """codec.compression.compress, made up."""
    progress = progress or (lambda done, total: None)
    progress(1, samples.height * samples.width)
    progress(samples.height * samples.width, samples.height * samples.width)
    data = stored(samples, short_id(model.manifest.model_id), source)
    return Compressed(data, 8.0 * samples.values.size, {Method(): 1})


def restore(contents, model, *, crop=None, lost=None, max_pixels=2**28, progress=None):
    """codec.decompression.decompress, made up."""
    header, tile = contents.picture.header, contents.picture.tiles[0]
    if tile.payload is None:
        raise DamagedFile("tile 1 is not there: get the file again")
    values = np.frombuffer(tile.payload, np.uint8).reshape(header.height, header.width, -1)
    if crc_of(values) != tile.crc:
        raise DamagedFile("tile 1 decodes to other samples: get the file again")
    if progress:
        progress(header.height * header.width, header.height * header.width)
    return Samples(values, header.depth, header.kind)


def check(contents, model, samples, progress, coder):
    """codec.decompression.check, made up."""
    difference = samples.difference(coder.decompress(contents, model, progress=progress))
    if difference:
        raise PixelsDiffer(f"not the same as what it decodes to ({difference}): keep the original")


@pytest.fixture
def fakes(monkeypatch):
    """The runtime that the command line calls, and by `coder` its coder; their functions can be replaced in a test."""
    runtime, coder = ModuleType("runtime"), SimpleNamespace(compress=store, decompress=restore)
    runtime.BundleError, runtime.read_manifest, runtime.compiled = BundleError, read_manifest, lambda: True
    runtime.load = lambda path, provider="cpu", threads=0: Model(read_manifest(path), provider, threads)
    monkeypatch.setitem(sys.modules, "runtime", runtime)
    for module in (archive, compression):
        monkeypatch.setattr(module, "compress", lambda *given, **more: coder.compress(*given, **more))
    monkeypatch.setattr(decompression, "decompress", lambda *given, **more: coder.decompress(*given, **more))
    monkeypatch.setattr(archive, "check", lambda *given: check(*given, coder))
    monkeypatch.setattr(models, "_loaded", {})
    running.first_use.cache_clear()
    runtime.coder = coder
    return runtime


@pytest.fixture
def folder(tmp_path, monkeypatch, fakes):
    """The current folder, with two pictures and three shipped models."""
    bundles = tmp_path / "shipped"
    bundles.mkdir()
    for name, model_id in SHIPPED.items():
        (bundles / f"{name}.lmconv").write_text(model_id)
    monkeypatch.setattr(models, "BUNDLES", bundles)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    Pillow.fromarray(PIXELS).save("a.png")
    Pillow.fromarray(PIXELS[:, :, 0]).save("grey.png")
    return work


def run(*arguments, code=0):
    """Run a command; an unexpected exception is raised here, as it would print a traceback."""
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def names(folder):
    return sorted(path.name for path in folder.iterdir())
